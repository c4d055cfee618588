"""What the learning policies share: the residual of each completion, and expected completion by what they believe.

A residual is the logarithm of `measured service time over prior` of one completion. Not the latency: that holds the
wait for requests which the policy itself sent, and a bandit that learns it flees its own queues and swings.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_baselines.common import cheapest, observe
from edge_baselines.completion import completion_s, with_overdue
from edge_gym.fields import check, number
from edge_gym.kernel.tables import COMPLETED, SECOND
from edge_gym.policy import Context


@dataclass(kw_only=True)
class ResidualPolicy:
    """Send where the completion is expected first, by believed slowdowns less an allowance for ignorance.

    Subclasses say what is believed: `allocate`, `forget`, `fade`, `learn`, `believe`. What was learned of a node is
    forgotten when it comes back after an absence, as the world's own telemetry does: it returns as a stranger.

    Raises:
        EdgeGymInputError: A setting is out of its range.
    """

    overdue_power: float = number(1.0, 0, 4, "power", "an overdue ratio r counts as r to this power; 0: ignored")
    inflicted_weight: float = number(0.0, 0, 10, "ratio", "worth of a second inflicted on others, in own seconds")

    def __post_init__(self) -> None:
        check(self)

    def reset(self, n_envs: int, seed: int) -> None:
        """Forget everything; `seed` seeds the draws of those that draw."""
        self._rng = np.random.default_rng(seed)
        self._alive = np.zeros((0, 0), bool)

    def act(self, obs: np.ndarray, action_mask: np.ndarray, context: Context) -> np.ndarray:
        """Take in the completions, then choose."""
        self._notice(obs[:, :-1, observe.ALIVE] > 0.5, context)
        self._take_in(context)
        slowdown = np.exp(self.believe(obs, self._model(obs, context)))
        slowdown = with_overdue(obs, slowdown, self.overdue_power)
        return cheapest(completion_s(obs, slowdown, self.inflicted_weight), action_mask)

    def allocate(self, n_envs: int, n_nodes: int, n_models: int) -> None:
        """Make the memory, as `forget` would leave it."""
        raise NotImplementedError  # abstract: every learner overrides it

    def forget(self, fresh: np.ndarray) -> None:
        """Know nothing more of the nodes in `fresh` (B, N) bool."""
        raise NotImplementedError  # abstract: every learner overrides it

    def fade(self, dt_s: np.ndarray, time_s: np.ndarray) -> None:
        """`dt_s` (B,) seconds have passed; it is `time_s` (B,) seconds into each episode."""
        raise NotImplementedError  # abstract: every learner overrides it

    def learn(self, rows: np.ndarray, ended: np.ndarray, residual: np.ndarray) -> None:
        """Take in K completions: row of the batch, log entry and residual of each."""
        raise NotImplementedError  # abstract: every learner overrides it

    def believe(self, obs: np.ndarray, model: np.ndarray) -> np.ndarray:
        """(B, N) logarithm of the slowdown to count with, for a request for `model` (B,) in each row."""
        raise NotImplementedError  # abstract: every learner overrides it

    def _notice(self, alive: np.ndarray, context: Context) -> None:
        """See which episodes begin and which nodes came back, and let time pass."""
        if self._alive.shape != alive.shape:
            self._alive, self._joined_s = alive.copy(), np.zeros(alive.shape)
            self.allocate(alive.shape[0], alive.shape[1], context.n_models)
        else:
            fresh = (alive & ~self._alive) | context.begun[:, None]
            if fresh.any():
                self.forget(fresh)
                self._joined_s = np.where(fresh, context.time_s[:, None], self._joined_s)
            self._alive = alive.copy()
        self.fade(context.dt_s, context.time_s)

    def _take_in(self, context: Context) -> None:
        ended, rows = context.ended, context.ended_row
        known = (ended["outcome"] == COMPLETED) & (ended["slowdown"] > 0.0)
        ended, rows = ended[known], rows[known]
        mine = ended["dispatch_ns"] / SECOND >= self._joined_s[rows, ended["node"]]
        if mine.any():
            self.learn(rows[mine], ended[mine], np.log(ended["slowdown"][mine]))

    def _model(self, obs: np.ndarray, context: Context) -> np.ndarray:
        """(B,) index of the model asked for; 0 where nothing is pending."""
        index = np.rint(obs[:, 0, observe.MODEL] * context.n_models).astype(np.int64) - 1
        return np.maximum(index, 0)


def turns(*keys: np.ndarray) -> np.ndarray:
    """(K,) how many earlier entries have the same keys (non-negative integers): 0 for the first of each."""
    keys_in_order = np.lexsort(keys)
    changed = np.zeros(len(keys_in_order), bool)
    changed[:1] = True
    for key in keys:
        sorted_key = key[keys_in_order]
        changed[1:] |= sorted_key[1:] != sorted_key[:-1]
    place = np.arange(len(changed))
    turn = np.empty(len(changed), np.int64)
    turn[keys_in_order] = place - np.maximum.accumulate(np.where(changed, place, 0))
    return turn
