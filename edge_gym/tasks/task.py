"""The little that sets one task apart from another: which decisions are handed over, and the spaces."""

from dataclasses import dataclass

import numpy as np
from gymnasium.spaces import Box, Discrete

from edge_gym.kernel.observe import COLUMNS, Column


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task.

    Attributes:
        name: Short name, as in `--task`.
        id: Gymnasium id.
        page: The documentation page (Markdown).
        columns: The features of an observation row, in order.
    """

    name: str
    id: str
    page: str
    columns: tuple[Column, ...] = COLUMNS

    def observation_space(self, n_nodes: int) -> Box:
        """Space of one observation: (n_nodes + 1, n_features) float32."""
        low = np.tile(np.array([c.low for c in self.columns], np.float32), (n_nodes + 1, 1))
        high = np.tile(np.array([c.high for c in self.columns], np.float32), (n_nodes + 1, 1))
        return Box(low, high, dtype=np.float32)

    def action_space(self, n_nodes: int) -> Discrete:
        """Space of one action: a node number, or `n_nodes` to decline."""
        return Discrete(n_nodes + 1)
