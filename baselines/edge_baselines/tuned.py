"""The policies under their registered names: the classes with the settings found by `scripts/tune_baselines.py`.

The settings are in `settings.json`, with the command that found them. A class by itself has the published settings
where there are any, so `DUcb()` is not `d_ucb`. Keyword arguments win over the file: `d_ucb(optimism=0.0)`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from edge_baselines.bandits import DUcb, SwUcb, Thompson
from edge_baselines.breaker import Breaker
from edge_baselines.dynamo import Dynamo
from edge_baselines.headroom import Headroom
from edge_baselines.latency_list import LatencyList
from edge_baselines.linucb import LinUcb
from edge_baselines.peak_ewma import PeakEwma
from edge_baselines.sect import SectEvents, SectEwma, SectWatchdog
from edge_gym.policy import Policy

SETTINGS_FILE = Path(__file__).with_name("settings.json")

# The class behind each name.
CLASSES: dict[str, Any] = {
    "sect_ewma": SectEwma,
    "sect_watchdog": SectWatchdog,
    "sect_events": SectEvents,
    "breaker": Breaker,
    "peak_ewma": PeakEwma,
    "d_ucb": DUcb,
    "sw_ucb": SwUcb,
    "thompson": Thompson,
    "linucb": LinUcb,
    "latency_list": LatencyList,
    "headroom": Headroom,
    "dynamo": Dynamo,
}


@cache
def read_settings() -> dict[str, Any]:
    """Returns the content of the settings file: `settings` by policy, and where they come from."""
    return json.loads(SETTINGS_FILE.read_text(encoding="utf-8"))


def settings_of(name: str) -> dict[str, Any]:
    """Returns the tuned settings of a registered policy; none if it was not tuned."""
    return dict(read_settings()["settings"].get(name, {}))


def _tuned(name: str) -> Callable[..., Policy]:
    """What the registry calls to make the policy `name`; what follows a colon ("breaker:jsq") comes as an argument."""
    cls = CLASSES[name]

    def make(*arguments: str, **settings: Any) -> Policy:
        return cls(*arguments, **{**settings_of(name), **settings})

    make.__name__, make.__doc__ = name, cls.__doc__
    return make


sect_ewma = _tuned("sect_ewma")
sect_watchdog = _tuned("sect_watchdog")
sect_events = _tuned("sect_events")
peak_ewma = _tuned("peak_ewma")
d_ucb = _tuned("d_ucb")
sw_ucb = _tuned("sw_ucb")
thompson = _tuned("thompson")
linucb = _tuned("linucb")
latency_list = _tuned("latency_list")
headroom = _tuned("headroom")
dynamo = _tuned("dynamo")
# Around `sect_watchdog` unless another name is given: this is `sect_breaker` as well.
breaker = _tuned("breaker")
