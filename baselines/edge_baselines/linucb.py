"""LinUCB on log residuals: one linear model a node, kept by a Kalman filter that forgets towards its prior.

Sources: disjoint LinUCB, Li et al., "A Contextual-Bandit Approach to Personalized News Article Recommendation" (WWW
2010); forgetting as in D-LinUCB, Russac, Vernade and Cappe (NeurIPS 2019). Their exponential weights lose the prior
where nothing is sampled; here every coefficient reverts to its prior as a stationary Ornstein-Uhlenbeck process does,
so the spread of a node that is not used grows to what it was and no further.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_baselines.common import observe
from edge_baselines.residuals import ResidualPolicy, turns
from edge_gym.fields import number
from edge_gym.kernel.observe import COUNT_SPAN


@dataclass(kw_only=True)
class LinUcb(ResidualPolicy):
    """LinUCB: log residual = state of the node + offset of its model + slopes in prompt and output length.

    The state of the node is forgotten fast (it drifts), the rest slowly (it is how the software is).

    Raises:
        EdgeGymInputError: A setting is out of its range.
    """

    optimism: float = number(0.3, 0, 10, "deviations", "standard deviations taken off the mean")
    state_sd: float = number(0.5, 0, 10, "log ratio", "spread of the state of a node before anything is known")
    offset_sd: float = number(0.3, 0, 10, "log ratio", "spread of the offsets of its models")
    slope_sd: float = number(0.1, 0, 10, "log ratio", "spread of the slopes, over the scale of the columns")
    noise_sd: float = number(0.1, 1e-3, 10, "log ratio", "spread of a sample")
    state_memory_s: float = number(20.0, 1e-3, 1e6, "s", "the state of a node is forgotten to 1/e in this time")
    offset_memory_s: float = number(1000.0, 1e-3, 1e6, "s", "offsets and slopes are forgotten to 1/e in this time")

    def allocate(self, n_envs: int, n_nodes: int, n_models: int) -> None:
        """Prior means and covariances; coefficients: state, an offset for each model, slopes in prompt and length."""
        sd = np.array([self.state_sd] + [self.offset_sd] * n_models + [self.slope_sd] * 2)
        memory_s = np.full(len(sd), self.offset_memory_s)
        memory_s[0] = self.state_memory_s
        self._prior, self._rate_per_s = np.diag(sd**2), 1.0 / memory_s
        self._mean = np.zeros((n_envs, n_nodes, len(sd)))
        # Kept as its difference to the prior, which then only has to shrink as time goes.
        self._more_cov = np.zeros((n_envs, n_nodes, *self._prior.shape))

    def forget(self, fresh: np.ndarray) -> None:
        """Back to the prior for these nodes."""
        self._mean[fresh], self._more_cov[fresh] = 0.0, 0.0

    def fade(self, dt_s: np.ndarray, time_s: np.ndarray) -> None:
        """Every coefficient reverts to its prior at its own rate."""
        keep = np.exp(-dt_s[:, None] * self._rate_per_s)
        self._mean *= keep[:, None, :]
        self._more_cov *= keep[:, None, :, None] * keep[:, None, None, :]

    def learn(self, rows: np.ndarray, ended: np.ndarray, residual: np.ndarray) -> None:
        """Condition on the samples; each round takes at most one of every node."""
        features = self._features(ended["model"], _scaled(ended["prompt"]), _scaled(ended["units"]))
        turn = turns(rows, ended["node"])
        for k in range(turn.max() + 1):
            now = turn == k
            at, x = (rows[now], ended["node"][now]), features[now]
            mean, cov = self._mean[at], self._prior + self._more_cov[at]
            along = np.einsum("kij,kj->ki", cov, x)
            gain = along / (np.einsum("ki,ki->k", along, x) + self.noise_sd**2)[:, None]
            miss = residual[now] - np.einsum("ki,ki->k", mean, x)
            self._mean[at] = mean + gain * miss[:, None]
            self._more_cov[at] = cov - gain[:, :, None] * along[:, None, :] - self._prior

    def believe(self, obs: np.ndarray, model: np.ndarray) -> np.ndarray:
        """Mean of the residual less standard deviations of it."""
        x = self._features(model, obs[:, 0, observe.PROMPT], obs[:, 0, observe.FORECAST])
        column = x[:, :, None]
        mean = np.matmul(self._mean, column)[..., 0]
        rows = self._more_cov.reshape(len(x), -1, x.shape[1])  # one product a world, not one a node
        along = np.matmul(rows, column).reshape(self._mean.shape)
        variance = np.matmul(along, column)[..., 0] + (x * x @ np.diag(self._prior))[:, None]
        return mean - self.optimism * np.sqrt(np.maximum(variance, 0.0))

    def _features(self, model: np.ndarray, prompt: np.ndarray, units: np.ndarray) -> np.ndarray:
        """(K, D): one, which model, scaled lengths."""
        x = np.zeros((len(model), len(self._prior)))
        x[:, 0] = 1.0
        x[np.arange(len(model)), 1 + model] = 1.0
        x[:, -2], x[:, -1] = prompt, units
        return x


def _scaled(count: np.ndarray) -> np.ndarray:
    """As the columns `prompt` and `forecast` are scaled."""
    return np.log2(1.0 + count) / COUNT_SPAN
