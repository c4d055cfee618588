"""The policies that migrate agents under their registered names: the classes with what `scripts/tune_movers.py` found.

The settings are in `movers_settings.json`, with the command that found them. A class by itself has its published
settings. Keyword arguments win over the file: `ski_rental(patience=1.0)`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

from edge_baselines.agents.distance_mdp import DistanceMdp
from edge_baselines.agents.horizon_milp import HorizonMilp
from edge_baselines.agents.lyapunov import Lyapunov
from edge_baselines.agents.movers import Hysteresis
from edge_baselines.agents.online import SkiRental, WorkFunction
from edge_gym.policy import Policy

SETTINGS_FILE = Path(__file__).with_name("movers_settings.json")

# What makes each name, without tuned settings.
CLASSES: dict[str, Callable[..., Any]] = {
    "hysteresis": Hysteresis,
    "ski_rental": SkiRental,
    "ski_rental_random": partial(SkiRental, randomised=True),
    "work_function": WorkFunction,
    "distance_mdp": DistanceMdp,
    "lyapunov": Lyapunov,
    "horizon_milp": HorizonMilp,
}


@cache
def read_settings() -> dict[str, Any]:
    """Returns the content of the settings file: `settings` by policy, and where they come from."""
    return json.loads(SETTINGS_FILE.read_text(encoding="utf-8"))


def _tuned(name: str) -> Callable[..., Policy]:
    """What the registry calls to make the policy `name`."""

    def make(**settings: Any) -> Policy:
        return CLASSES[name](**{**read_settings()["settings"].get(name, {}), **settings})

    cls = CLASSES[name]
    make.__name__, make.__doc__ = name, getattr(cls, "func", cls).__doc__
    return make


hysteresis = _tuned("hysteresis")
ski_rental = _tuned("ski_rental")
ski_rental_random = _tuned("ski_rental_random")
work_function = _tuned("work_function")
distance_mdp = _tuned("distance_mdp")
lyapunov = _tuned("lyapunov")
horizon_milp = _tuned("horizon_milp")
