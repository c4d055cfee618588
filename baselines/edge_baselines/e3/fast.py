"""The fast path alone: what the world's own router would do, with nobody at its controls."""

from __future__ import annotations

import numpy as np

from edge_baselines.common import observe


class FastPath:
    """The choice of `edge_gym.kernel.router`, which the observation shows; the code of the router is there only."""

    def reset(self, n_envs: int, seed: int) -> None:
        """Nothing to forget: what the router learns is part of the world."""

    def act(self, obs: np.ndarray, action_mask: np.ndarray, context: object) -> np.ndarray:
        """(B,) int64, the router's choice."""
        return obs[:, :, observe.ROUTER].argmax(axis=1)
