"""Drift plus penalty: the best place for an agent, within a budget of moves kept by a virtual queue."""

from __future__ import annotations

import numpy as np

from edge_baselines.agents.movers import NEVER, Mover, View
from edge_gym.policy import Context


class Lyapunov(Mover):
    """Minimises V x cost rate + backlog x cost of the move (Ouyang, Zhou and Chen, IEEE JSAC 36, 2018).

    The backlog of a world is the cost of its moves so far less what the budget has paid off, and never less than 0:
    whoever keeps it bounded keeps the budget in the long run (Neely, Stochastic Network Optimization, 2010, 4.1).

    Args:
        v: Weight of the cost rate against the backlog; the larger, the longer it takes until the budget is kept.
        budget: Cost of moves a user may cause in a second, weighted request-seconds.
    """

    def __init__(self, v: float = 10.0, budget: float = 0.002) -> None:
        self.v, self.budget = v, budget

    def reset(self, n_envs: int, seed: int) -> None:
        """No backlog."""
        self._backlog = np.zeros(n_envs)

    def costs(self, view: View, context: Context) -> np.ndarray:
        """Drift plus penalty of each node."""
        self._backlog[context.begun] = 0.0
        users = (context.agency.users()[0] >= 0).sum(axis=1)
        self._backlog = np.maximum(self._backlog - self.budget * users * context.dt_s, 0.0)
        costs = self.v * view.running + self._backlog[:, None] * view.moving
        rows = np.arange(len(costs))
        chosen = np.where(view.running < NEVER, costs, np.inf).argmin(axis=1)
        moves = context.active & view.settled & (costs[rows, chosen] < costs[rows, view.host])
        self._backlog += np.where(moves, view.moving[rows, chosen], 0.0)
        return costs
