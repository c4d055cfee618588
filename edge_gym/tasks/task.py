"""The little that sets one task apart from another: which decisions are handed over, and the spaces."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from gymnasium.spaces import Box, Discrete

from edge_gym.kernel.observe import Column


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task.

    Attributes:
        name: Short name, as in `--task`.
        id: Gymnasium id.
        page: The documentation page (Markdown).
        columns: The features of an observation row, in order.
        worlds: The task whose scenarios it is played on: its own, or another's.
        scenario: The preset that is taken where none is named.
        policies: What is compared where no policies are named.
        n_actions: From the numbers of nodes and models to the number of actions; a named function, so that
            environments can be pickled.
        noop: From the same to the action that changes nothing: decline, or end the turn.
        control: The decisions are those of the controller of the fast path.
        asks: Worlds with AI agents: which decisions are handed over (`kernel.agent_tables.ASK_...`, bits); 0: a world
            of requests alone.
        variant_of: The shipped task that it differs from in little; "" for a shipped one.
    """

    name: str
    id: str
    page: str
    columns: tuple[Column, ...]
    worlds: str
    scenario: str
    policies: tuple[str, ...]
    n_actions: Callable[[int, int], int]
    noop: Callable[[int, int], int]
    control: bool = False
    asks: int = 0
    variant_of: str = ""

    @property
    def decides(self) -> str:
        """The shipped task that a policy must be able to decide."""
        return self.variant_of or self.name

    def observation_space(self, n_nodes: int) -> Box:
        """Space of one observation: (n_nodes + 1, n_features) float32."""
        low = np.tile(np.array([c.low for c in self.columns], np.float32), (n_nodes + 1, 1))
        high = np.tile(np.array([c.high for c in self.columns], np.float32), (n_nodes + 1, 1))
        return Box(low, high, dtype=np.float32)

    def action_space(self, n_nodes: int, n_models: int = 1) -> Discrete:
        """Space of one action."""
        return Discrete(self.n_actions(n_nodes, n_models))
