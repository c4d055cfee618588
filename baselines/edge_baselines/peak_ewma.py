"""Peak-EWMA, the balancer of Finagle, Linkerd and tower: decaying peak of the response time times outstanding requests.

Published settings are the defaults of the class: decay 10 s, 1 s for a node that has not answered yet (tower).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_baselines.common import cheapest, observe, ratio
from edge_gym.fields import check, number
from edge_gym.kernel.tables import COMPLETED, SECOND
from edge_gym.policy import Context


@dataclass(kw_only=True)
class PeakEwma:
    """Send where `peak response time x (outstanding + 1)` is least.

    A response slower than the estimate replaces it at once; a faster one lowers it with weight 1 - exp(-dt / decay).

    Raises:
        EdgeGymInputError: A setting is out of its range.
    """

    decay_s: float = number(10.0, 1e-3, 1e6, "s", "memory of the peak")
    default_s: float = number(1.0, 1e-6, 1e6, "s", "response time of a node that has not answered yet")

    def __post_init__(self) -> None:
        check(self)

    def reset(self, n_envs: int, seed: int) -> None:
        """Forget every response."""
        self._peak_s = self._seen_s = np.zeros((n_envs, 0))

    def act(self, obs: np.ndarray, action_mask: np.ndarray, context: Context) -> np.ndarray:
        """Take in the responses, then choose."""
        if not self._peak_s.size:
            shape = (len(obs), obs.shape[1] - 1)
            self._peak_s, self._seen_s = np.full(shape, self.default_s), np.zeros(shape)
        self._peak_s[context.begun], self._seen_s[context.begun] = self.default_s, 0.0
        served = context.ended["outcome"] == COMPLETED
        self._take_in(context.ended_row[served], context.ended[served])
        outstanding = 8.0 * ratio(obs, observe.OUTSTANDING)
        return cheapest(self._peak_s * (outstanding + 1.0), action_mask)

    def _take_in(self, rows: np.ndarray, ended: np.ndarray) -> None:
        """Book the responses in their order; in each round every (row, node) is touched at most once."""
        while len(rows):
            pairs = rows * self._peak_s.shape[1] + ended["node"]
            now = np.zeros(len(rows), bool)
            now[np.unique(pairs, return_index=True)[1]] = True
            at = rows[now], ended["node"][now]
            took_s = (ended["finish_ns"][now] - ended["dispatch_ns"][now]) / SECOND
            finish_s = ended["finish_ns"][now] / SECOND
            weight = np.exp(-np.maximum(finish_s - self._seen_s[at], 0.0) / self.decay_s)
            known = self._peak_s[at]
            self._peak_s[at] = np.where(took_s > known, took_s, known * weight + took_s * (1.0 - weight))
            self._seen_s[at] = finish_s
            rows, ended = rows[~now], ended[~now]
