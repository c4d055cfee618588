"""Online algorithms with a guarantee: ski rental and the work function. They assume nothing of the future."""

from __future__ import annotations

import math

import numpy as np

from edge_baselines.agents.ledger import Ledger
from edge_baselines.agents.movers import NEVER, Mover, View, at_host
from edge_gym.policy import Context


class SkiRental(Mover):
    """Moves when what the agent has lost by staying equals what the move costs (Karlin et al., Algorithmica 3, 1988).

    What it loses is its cost rate less that of the best node. With `randomised`, the threshold is a share z of the
    cost of the move, drawn anew for each stay with density e**z / (e - 1) (Karlin, Manasse, McGeoch and Owicki,
    Algorithmica 11, 1994): e / (e - 1) instead of twice the cost of who knows the future, in the mean.

    Args:
        patience: Factor on the cost of a move; 1 is as published.
        ahead_s: The loss of so many seconds to come counts too, for an agent is not asked about all the time; 0 is as
            published.
        randomised: Draw the threshold.
    """

    def __init__(self, patience: float = 1.0, ahead_s: float = 0.0, randomised: bool = False) -> None:
        self.patience, self.ahead_s, self.randomised = patience, ahead_s, randomised

    def reset(self, n_envs: int, seed: int) -> None:
        """Forget every loss; `seed` seeds the thresholds."""
        self._rng = np.random.default_rng(seed)
        self._ledger = Ledger(n_envs, 3)  # what has been lost, its rate, and the share of the cost to wait for

    def costs(self, view: View, context: Context) -> np.ndarray:
        """Cost rates, the move spread over the expected stay; nothing for the host until the loss is large enough."""
        page, elapsed_s, came = self._ledger.open(context)
        draws = np.log1p(self._rng.random(len(view.host)) * (math.e - 1.0)) if self.randomised else 1.0
        lost = np.where(came, 0.0, page[:, 0] + page[:, 1] * elapsed_s)
        share = np.where(came, draws, page[:, 2])
        best = view.running.argmin(axis=1)
        rows = np.arange(len(best))
        excess = at_host(view.running, view) - view.running[rows, best]
        self._ledger.store(np.column_stack([lost, np.where(view.settled, excess, 0.0), share]))
        due = (excess > 0.0) & (lost + excess * self.ahead_s >= self.patience * share * view.moving[rows, best])
        costs = view.running.copy()
        costs[rows, view.host] = np.where(due, costs[rows, view.host], 0.0)
        return costs


class WorkFunction(Mover):
    """The work function algorithm for metrical task systems (Borodin, Linial and Saks, JACM 39, 1992).

    For each node it keeps what the cheapest history that ends there would have cost, and goes where that and the way
    there are least.

    Args:
        move_weight: Factor on the cost of moves; 1 is as published.
    """

    def __init__(self, move_weight: float = 1.0) -> None:
        self.move_weight = move_weight

    def reset(self, n_envs: int, seed: int) -> None:
        """Forget every history."""
        self._n_envs, self._ledger = n_envs, None

    def costs(self, view: View, context: Context) -> np.ndarray:
        """The work function after what was paid since the last decision, and the way from the host."""
        n_nodes = view.cost.shape[1]
        if self._ledger is None:
            self._ledger = Ledger(self._n_envs, 2 * n_nodes)
        page, elapsed_s, _ = self._ledger.open(context)
        work, before = page[:, :n_nodes], page[:, n_nodes:]
        known = view.running < NEVER
        moving = self.move_weight * np.where(known, view.moving, NEVER)
        # What moving to the host would cost is not among the figures: as much as to the node that costs least.
        rows = np.arange(len(view.host))
        elsewhere = np.where(view.legal, moving, NEVER).min(axis=1)
        into = moving.copy()
        into[rows, view.host] = elsewhere
        paid = work + before * elapsed_s[:, None]
        work = np.minimum(paid, paid.min(axis=1, keepdims=True) + into)
        work -= work.min(axis=1, keepdims=True)  # only differences count
        # A node that cannot be had now is taken to be as bad as the worst that can.
        worst = np.where(known, view.running, 0.0).max(axis=1, keepdims=True)
        self._ledger.store(np.hstack([work, np.where(known, view.running, worst)]))
        return paid + moving  # not `work`: there the host is never dearer than another node and the way from it
