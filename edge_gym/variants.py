"""Variants of the shipped tasks: an id, a default scenario, policies, a page and decisions of one's own."""

from __future__ import annotations

import gymnasium

from edge_gym.errors import EdgeGymInputError
from edge_gym.plugins import add_name
from edge_gym.registration import TABLE, register_all
from edge_gym.tasks import SHIPPED, TASKS, Task, get_task

SAME = ("columns", "worlds", "n_actions", "noop", "control")  # the kernel fills these, and policies are made for them


def register_task(task: Task) -> None:
    """Make a variant of a shipped task known under its name, and as an environment under its id.

    Args:
        task: `dataclasses.replace(get_task("routing"), name=..., id="package/Name-v0", variant_of="routing", ...)`. It
            may have another default scenario, other policies and another page; with AI agents, fewer decisions
            (`asks`). What counts, the weights of the reward, belongs to its scenarios.

    Raises:
        EdgeGymInputError: The name or the id is taken by something else, or the task differs in what a variant cannot
            change.
    """
    if task.variant_of not in SHIPPED:
        raise EdgeGymInputError("variant_of", task.variant_of, f"one of {', '.join(SHIPPED)}", "register_task")
    base = get_task(task.variant_of)
    for field in SAME:
        if getattr(task, field) != getattr(base, field):
            raise EdgeGymInputError(field, getattr(task, field), f"as in {base.name}", "register_task")
    if task.asks & ~base.asks or bool(task.asks) != bool(base.asks):
        raise EdgeGymInputError("asks", task.asks, f"some of the bits of {base.asks}", "register_task", base.name)
    if task.id in gymnasium.registry and TABLE.get(task.id) != task.name:
        raise EdgeGymInputError("id", task.id, "an id that is not taken", "register_task")
    add_name("task", TASKS, task.name, task)
    TABLE[task.id] = task.name
    register_all()
