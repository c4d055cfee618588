"""Named scenarios, built when asked for, and the one function that turns what a caller gives into a scenario."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edge_gym.errors import EdgeGymInputError, nearest
from edge_gym.scenario.agent_worlds import AGENT_WORLDS
from edge_gym.scenario.definition import Scenario
from edge_gym.scenario.io import FORMATS, load_scenario
from edge_gym.scenario.worlds import ROUTING

PRESETS: dict[str, Callable[[], Scenario]] = {
    f"{task}/{name}": build
    for task, worlds in {"routing": ROUTING, **AGENT_WORLDS}.items()
    for name, build in worlds.items()
}


def preset(name: str, task: str = "routing") -> Scenario:
    """Returns a named scenario; a short name is looked up inside its task ("stationary" -> "routing/stationary").

    Raises:
        EdgeGymInputError: No such preset; names the nearest one.
    """
    full = name if name in PRESETS else f"{task}/{name}"
    if full not in PRESETS:
        short = [known.removeprefix(f"{task}/") for known in PRESETS]
        raise EdgeGymInputError("scenario", name, f"one of {', '.join(short)}, or a file", "", nearest(name, short))
    return PRESETS[full]()


def resolve(scenario: Scenario | str | Path, task: str = "routing", **overrides: Any) -> Scenario:
    """Returns the scenario that a caller means.

    Args:
        scenario: A scenario, the name of a preset, or the path of a file (with a separator or a known suffix).
        task: The task it is for.
        **overrides: Flat overrides, see `Scenario.with_overrides`.

    Raises:
        EdgeGymInputError: Unknown name, bad file, bad override, or a scenario of another task.
    """
    if isinstance(scenario, Scenario):
        found = scenario
    elif isinstance(scenario, str) and scenario in PRESETS:
        found = preset(scenario, task)
    elif isinstance(scenario, Path) or (isinstance(scenario, str) and _is_path(scenario)):
        found = load_scenario(scenario)
    elif isinstance(scenario, str):
        found = preset(scenario, task)
    else:
        raise EdgeGymInputError("scenario", scenario, "a Scenario, the name of a preset or the path of a file")
    if found.task != task:
        raise EdgeGymInputError("scenario.task", found.task, f"'{task}'", found.name)
    return found.with_overrides(**overrides) if overrides else found


def _is_path(text: str) -> bool:
    name = text.lower()
    return text.partition("/")[0] not in _tasks() and (os.sep in text or name.endswith(tuple(FORMATS)))


def _tasks() -> set[str]:
    return {name.partition("/")[0] for name in PRESETS}
