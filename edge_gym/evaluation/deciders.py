"""How the sites decide, as a checked part of a suite or an argument: for comparisons decided by sites."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from edge_gym.envs.sites_batch import LONGEST_S, SITE_TASKS, check_slot, site_rules
from edge_gym.errors import EdgeGymInputError, nearest
from edge_gym.fields import check, choice, number
from edge_gym.kernel.build import World
from edge_gym.policy import Policy, is_privileged, task_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Deciders:
    """The sites decide, not one controller for all (docs/multiagent.md)."""

    slot_s: float = number(0.1, 0.0, LONGEST_S, "s", "between the instants at which the sites decide; 0: at once")
    heartbeat_s: float | None = number(
        None, 1e-6, LONGEST_S, "s", "between what nodes tell; null: as old as the telemetry, at least 1"
    )
    view: str = choice("own", ("own", "central"), "whose books each site decides on")

    def __post_init__(self) -> None:
        check(self)
        check_slot(self.slot_s)

    def rules(self, world: World) -> np.ndarray:
        """The rules for a world, (1,) of dtype SITE_RULES."""
        return site_rules(world, self.slot_s, self.heartbeat_s, view=self.view)


def as_deciders(given: Any) -> Deciders | None:
    """`Deciders`, or a mapping of its fields, checked; None stays None.

    Raises:
        EdgeGymInputError: A field is unknown, or its value not allowed.
    """
    if given is None or isinstance(given, Deciders):
        return given
    if not isinstance(given, Mapping):
        raise EdgeGymInputError("by_site", given, f"a mapping with any of {', '.join(_names())}")
    for name in given:
        if name not in _names():
            hint = nearest(str(name), _names())
            raise EdgeGymInputError("by_site", name, f"one of the fields {', '.join(_names())}", hint=hint)
    try:
        return Deciders(**given)
    except EdgeGymInputError as error:
        raise error.moved("by_site") from None


def check_task(task: str) -> None:
    """Refuse tasks that sites do not decide.

    Raises:
        EdgeGymInputError: The task is not one of `SITE_TASKS`.
    """
    if task not in SITE_TASKS:
        raise EdgeGymInputError("task", task, f"one of {', '.join(SITE_TASKS)} where the sites decide")


def check_for_sites(policy: Policy, name: str, task: str) -> None:
    """Refuse a policy that sites cannot have.

    Args:
        policy: The policy.
        name: Its name.
        task: What the sites decide.

    Raises:
        EdgeGymInputError: It is privileged, or decides something else.
    """
    if is_privileged(policy):
        raise EdgeGymInputError("policies", name, "a policy without privileges where the sites decide")
    decides = task_of(policy, task, name)
    if decides != task:
        hint = f"it decides {decides}: it controls the world's own router, and there is none"
        raise EdgeGymInputError(
            "policies", name, f"a policy that decides {task} itself where the sites decide", "", hint
        )


def _names() -> list[str]:
    return [field.name for field in fields(Deciders)]
