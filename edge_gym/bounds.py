"""Bounds: figures that no policy can beat in a given world. They stand beside the policies in results, marked."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edge_gym.plugins import add_name, check_target
from edge_gym.policy import POLICIES, load_target
from edge_gym.scenario import Scenario

Bound = Callable[[Scenario, int], Mapping[str, float | None]]

# As for policies: lazy strings "module:attribute", or callables.
BOUNDS: dict[str, str | Bound] = {
    "clairvoyant": "edge_baselines.clairvoyant:bound",
    "follow_bound": "edge_baselines.agents.follow_bound:bound",
}


def register_bound(name: str, target: str | Bound) -> None:
    """Make a bound known under `name`.

    Args:
        name: As given to `evaluate` and `--policies`.
        target: "package.module:attribute", loaded at first use, or a callable. It takes a scenario and the seed of a
            world and returns metrics (`edge_gym.evaluation.metrics.METRICS`); those it does not name are left open.

    Raises:
        EdgeGymInputError: The name is taken by something else, or holds a colon or comma, or the target is neither.
    """
    check_target("bound", target)
    add_name("bound", BOUNDS, name, target, POLICIES)


def load_bound(name: str, target: str | Bound) -> Bound:
    """The callable that a registered target means.

    Raises:
        EdgeGymInputError: What it needs is not installed.
    """
    return load_target(name, target)
