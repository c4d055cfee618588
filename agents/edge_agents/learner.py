"""What every learner can do: learn a little more, and be saved and put back exactly."""

from __future__ import annotations

from typing import Any, Protocol

from edge_agents.networks import RowNetwork


class Learner(Protocol):
    """Whoever trains a network.

    Attributes:
        network: What is trained.
        env_steps: Decisions seen so far.
        reward_scale: What rewards are divided by, stored with the policy; 1: nothing.
    """

    network: RowNetwork
    env_steps: int
    reward_scale: float

    def update(self) -> dict[str, float]:
        """Collect and learn once.

        Returns:
            Figures for the log, with slashes in their names ("loss/policy", "return/mean").
        """
        ...

    def get_state(self) -> dict[str, Any]:
        """Everything needed to go on exactly: CPU tensors, arrays, plain values, in nested dicts and lists."""
        ...

    def set_state(self, state: dict[str, Any]) -> None:
        """Go back to what `get_state` returned."""
        ...
