"""The online oracle: full information about the present, none about the future; myopic, so it can be beaten."""

from __future__ import annotations

import numpy as np

from edge_gym.policy import Context


class Oracle:
    """Choose what adds least to the latency of the whole system, were nothing else to arrive or change.

    It knows true work, output lengths, software factors and speeds now; not later arrivals, changes or failures.
    """

    privileged = True

    def reset(self, n_envs: int, seed: int) -> None:
        """Nothing to forget."""

    def act(self, obs: np.ndarray, action_mask: np.ndarray, context: Context) -> np.ndarray:
        """Smallest added latency, declining included; ties go to the first."""
        _, added_s = context.privileged.foresee()
        return added_s.argmin(axis=1)
