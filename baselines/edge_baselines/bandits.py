"""Non-stationary bandits whose arms are (node, model) and whose feedback is the service-time residual.

Sources: discounted UCB and sliding-window UCB, Garivier and Moulines, "On Upper-Confidence Bound Policies for Switching
Bandit Problems" (ALT 2011); Gaussian Thompson sampling with discounting, Raj and Kalyani (arXiv 1707.09727). Costs are
minimised, so the upper confidence bounds are lower ones. What differs from the papers: time discounts, not the number
of decisions, so that a memory means the same at every load; and an arm with few samples leans on the other models of
its node, and these on the prior (log slowdown 0).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_baselines.residuals import ResidualPolicy, turns
from edge_gym.fields import number

WINDOW_SAMPLES = 16  # the newest of each arm that a window can hold; presets bring an arm one in some seconds


@dataclass(kw_only=True)
class _Arms(ResidualPolicy):
    """Beliefs from the weight and the weighted sum of the residuals of each arm."""

    prior_weight: float = number(0.5, 1e-3, 100, "samples", "weight of node over arm, and of prior over node")

    def tally(self) -> tuple[np.ndarray, np.ndarray]:
        """Weights and weighted sums, (B, N, M) each."""
        raise NotImplementedError  # abstract: every kind of bandit overrides it

    def allowance(self, weight: np.ndarray, total: np.ndarray) -> np.ndarray:
        """(B, N) what is taken off the mean, given weights (B, N) and (B, 1) their sum over the nodes."""
        raise NotImplementedError  # abstract: every kind of bandit overrides it

    def believe(self, obs: np.ndarray, model: np.ndarray) -> np.ndarray:
        """Mean residual of the arm, leaning on its node, less the allowance."""
        weights, sums = self.tally()
        rows = np.arange(len(model))
        weight, total = weights[rows, :, model], sums[rows, :, model]
        lean = self.prior_weight
        node = sums.sum(axis=2) / (weights.sum(axis=2) + lean)
        mean = (total + lean * node) / (weight + lean)
        return mean - self.allowance(weight + lean, weight.sum(axis=1, keepdims=True))


@dataclass(kw_only=True)
class _Discounted(_Arms):
    """Weights that decay with time."""

    memory_s: float = number(20.0, 1e-3, 1e6, "s", "a sample of this age counts 1/e")

    def allocate(self, n_envs: int, n_nodes: int, n_models: int) -> None:
        """Empty sums."""
        self._weights, self._sums = np.zeros((2, n_envs, n_nodes, n_models))

    def forget(self, fresh: np.ndarray) -> None:
        """Empty sums for these nodes."""
        self._weights[fresh], self._sums[fresh] = 0.0, 0.0

    def fade(self, dt_s: np.ndarray, time_s: np.ndarray) -> None:
        """Older samples count less."""
        keep = np.exp(-dt_s / self.memory_s)[:, None, None]
        self._weights *= keep
        self._sums *= keep

    def learn(self, rows: np.ndarray, ended: np.ndarray, residual: np.ndarray) -> None:
        """Add the samples; their order does not matter."""
        arm = rows, ended["node"], ended["model"]
        np.add.at(self._weights, arm, 1.0)
        np.add.at(self._sums, arm, residual)

    def tally(self) -> tuple[np.ndarray, np.ndarray]:
        """The running sums."""
        return self._weights, self._sums


@dataclass(kw_only=True)
class DUcb(_Discounted):
    """Discounted UCB on log service-time residuals of (node, model), feeding expected completion.

    Raises:
        EdgeGymInputError: A setting is out of its range.
    """

    optimism: float = number(0.1, 0, 10, "log ratio", "taken off: this times sqrt(log(1 + all weight) / own weight)")

    def allowance(self, weight: np.ndarray, total: np.ndarray) -> np.ndarray:
        """The padding of D-UCB."""
        return self.optimism * np.sqrt(np.log1p(total) / weight)


@dataclass(kw_only=True)
class Thompson(_Discounted):
    """Discounted Gaussian Thompson sampling on log residuals of (node, model), feeding expected completion.

    Raises:
        EdgeGymInputError: A setting is out of its range.
    """

    noise: float = number(0.1, 0, 10, "log ratio", "standard deviation of the draw for an arm of weight 1")

    def allowance(self, weight: np.ndarray, total: np.ndarray) -> np.ndarray:
        """A draw for each arm, wider for arms of little weight."""
        return self.noise * self._rng.standard_normal(weight.shape, dtype=np.float32) / np.sqrt(weight)


@dataclass(kw_only=True)
class SwUcb(_Arms):
    """Sliding-window UCB on log service-time residuals of (node, model), feeding expected completion.

    Raises:
        EdgeGymInputError: A setting is out of its range.
    """

    window_s: float = number(20.0, 1e-3, 1e6, "s", "older samples do not count")
    optimism: float = number(0.1, 0, 10, "log ratio", "taken off: this times sqrt(log(1 + all weight) / own weight)")

    def allocate(self, n_envs: int, n_nodes: int, n_models: int) -> None:
        """Empty windows."""
        shape = (n_envs, n_nodes, n_models)
        # The samples are the first axis: sums over it are several times faster.
        self._residual = np.zeros((WINDOW_SAMPLES, *shape), np.float32)
        self._time_s = np.full((WINDOW_SAMPLES, *shape), -np.inf)
        self._next = np.zeros(shape, np.int64)
        self._now_s = np.zeros(n_envs)

    def forget(self, fresh: np.ndarray) -> None:
        """Empty windows for these nodes."""
        self._time_s[:, fresh] = -np.inf

    def fade(self, dt_s: np.ndarray, time_s: np.ndarray) -> None:
        """The windows end now."""
        self._now_s = time_s

    def learn(self, rows: np.ndarray, ended: np.ndarray, residual: np.ndarray) -> None:
        """Each sample takes the place of the oldest of its arm."""
        arm = rows, ended["node"], ended["model"]
        slot = (self._next[arm] + turns(*arm)) % WINDOW_SAMPLES
        self._residual[(slot, *arm)] = residual
        self._time_s[(slot, *arm)] = self._now_s[rows]
        np.add.at(self._next, arm, 1)

    def tally(self) -> tuple[np.ndarray, np.ndarray]:
        """Number and sum of the samples in each window."""
        inside = self._time_s >= (self._now_s - self.window_s)[:, None, None]
        return inside.sum(axis=0, dtype=np.float32), (self._residual * inside).sum(axis=0)

    def allowance(self, weight: np.ndarray, total: np.ndarray) -> np.ndarray:
        """The padding of SW-UCB."""
        return self.optimism * np.sqrt(np.log1p(total) / weight)
