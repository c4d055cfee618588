"""What the views share: checks of their arguments, and the way from a task's name to a world."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np

from edge_gym.errors import EdgeGymInputError, nearest
from edge_gym.kernel.build import World
from edge_gym.scenario import Scenario
from edge_gym.scenario.presets import resolve
from edge_gym.tasks import Task, get_task


@lru_cache(maxsize=16)
def _world(scenario: Scenario) -> World:
    """A built world is read only, so environments of the same scenario share it."""
    return World(scenario)


def resolve_task(task: str, scenario: Any, overrides: dict[str, Any]) -> tuple[Task, World]:
    """The task and the world that an environment's arguments ask for; without a scenario, the task's own preset.

    Raises:
        EdgeGymInputError: Unknown task, preset or field, or a value out of range.
    """
    found = get_task(task)
    return found, _world(resolve(found.scenario if scenario is None else scenario, found.worlds, **overrides))


def check_choice(field: str, value: Any, allowed: Iterable[Any]) -> Any:
    """`value`, if it is one of `allowed`."""
    options = tuple(allowed)
    if value not in options:
        names = [str(option) for option in options]
        raise EdgeGymInputError(field, value, f"one of {', '.join(names)}", hint=nearest(str(value), names))
    return value


def check_seed(seed: Any) -> int:
    """`seed` as an int in 0 ... 2**63 - 1."""
    if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**63:
        raise EdgeGymInputError("seed", seed, "an int in 0 ... 2**63 - 1", "reset")
    return int(seed)


def check_options(options: Any, *known: str) -> None:
    """Refuse reset options that are not `known`."""
    if options is None:
        return
    if not isinstance(options, dict):
        raise EdgeGymInputError("options", options, "a dict or None", "reset")
    for key in options:
        if key not in known:
            allowed = f"absent; known: {', '.join(known) or 'none'}"
            raise EdgeGymInputError(f"options[{key!r}]", options[key], allowed, "reset")


def check_reset_options(options: dict[str, Any] | None, n_worlds: int, begun: np.ndarray) -> np.ndarray:
    """Which rows a reset is about."""
    check_options(options, "reset_mask")
    if options is None:
        return np.ones(n_worlds, bool)
    which = np.asarray(options.get("reset_mask", np.ones(n_worlds, bool)))
    if which.shape != (n_worlds,) or which.dtype != bool or not which.any():
        raise EdgeGymInputError("options['reset_mask']", which, f"({n_worlds},) bool with a true row", "reset")
    if not (which | begun).all():
        raise EdgeGymInputError("options['reset_mask']", which, "true for every row at the first reset", "reset")
    return which.copy()


def clear(numbers: list[int]) -> str:
    """A list of numbers, shortened."""
    shown = ", ".join(map(str, numbers[:12]))
    return shown if len(numbers) <= 12 else f"{shown}, ... ({len(numbers)} in all)"
