"""Named scenarios, built when asked for, and the one function that turns what a caller gives into a scenario."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_gym.errors import EdgeGymInputError
from edge_gym.plugins import add_name, advice, load_plugins
from edge_gym.scenario.agent_worlds import AGENT_WORLDS
from edge_gym.scenario.definition import TASKS, Scenario
from edge_gym.scenario.io import FORMATS, load_scenario
from edge_gym.scenario.worlds import ROUTING

PRESETS: dict[str, Callable[[], Scenario]] = {
    f"{task}/{name}": build
    for task, worlds in {"routing": ROUTING, **AGENT_WORLDS}.items()
    for name, build in worlds.items()
}


@dataclass(frozen=True, slots=True)
class ScenarioFile:
    """A scenario in a file."""

    path: Path

    def __call__(self) -> Scenario:
        """The scenario, read anew."""
        return load_scenario(self.path)


def register_scenario(name: str, source: Callable[[], Scenario] | str | os.PathLike) -> None:
    """Make a scenario known under `name`.

    Args:
        name: "task/name"; the task is that of the scenario: routing, placement, migration or joint.
        source: A file, read when it is asked for, or a function that builds the scenario; the first line of its
            docstring is shown by `edge-gym list scenarios`.

    Raises:
        EdgeGymInputError: The name is taken by something else, or has no such form.
    """
    task, _, short = str(name).partition("/")
    if task not in TASKS or not short:
        raise EdgeGymInputError("name", name, "task/name", "register_scenario", f"tasks: {', '.join(TASKS)}")
    build = source if callable(source) else ScenarioFile(Path(source).absolute())
    add_name("scenario", PRESETS, name, build)


def scenario_names() -> list[str]:
    """Every known name, installed packages' included."""
    load_plugins()
    return list(PRESETS)


def preset(name: str, task: str | None = "routing") -> Scenario:
    """Returns a named scenario; a short name is looked up inside its task ("stationary" -> "routing/stationary").

    Args:
        name: Short or in full.
        task: Where short names are looked up; None: in every task.

    Raises:
        EdgeGymInputError: No such preset; names the nearest one.
    """
    full = _full_name(name, task)
    if full is None:
        load_plugins()
        full = _full_name(name, task)
    if full is not None:
        return PRESETS[full]()
    short = [known.partition("/")[2] if task is None else known.removeprefix(f"{task}/") for known in PRESETS]
    raise EdgeGymInputError("scenario", name, f"one of {', '.join(short)}, or a file", "", advice(name, short))


def _full_name(name: str, task: str | None) -> str | None:
    tasks = TASKS if task is None else (task,)
    return next((full for full in (name, *(f"{one}/{name}" for one in tasks)) if full in PRESETS), None)


def resolve(scenario: Scenario | str | Path, task: str | None = "routing", **overrides: Any) -> Scenario:
    """Returns the scenario that a caller means.

    Args:
        scenario: A scenario, the name of a preset, or the path of a file (with a separator or a known suffix).
        task: The task it is for; None: any.
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
    if task not in (None, found.task):
        hint = f"these worlds are for --task {found.task} (task='{found.task}')"
        raise EdgeGymInputError("scenario.task", found.task, f"'{task}'", found.name, hint)
    return found.with_overrides(**overrides) if overrides else found


def _is_path(text: str) -> bool:
    name = text.lower()
    return text.partition("/")[0] not in _tasks() and (os.sep in text or name.endswith(tuple(FORMATS)))


def _tasks() -> set[str]:
    return {name.partition("/")[0] for name in PRESETS}
