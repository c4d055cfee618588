"""`e3_random_tools`: calls legal tools at random. What the tools are worth without judgement."""

from __future__ import annotations

import numpy as np

from edge_gym.policy import Context


class RandomTools:
    """At every turn a legal tool call with probability `rate`, drawn uniformly, and again; else the turn ends."""

    task = "metacontrol"

    def __init__(self, rate: float = 0.5) -> None:
        self.rate = rate

    def reset(self, n_envs: int, seed: int) -> None:
        """Begin the draws anew."""
        self._rng = np.random.default_rng(seed)

    def act(self, obs: np.ndarray, action_mask: np.ndarray, context: Context) -> np.ndarray:
        """(B,) tool calls."""
        keys = self._rng.random(action_mask.shape)
        chance = self._rng.random(len(obs))
        call = np.where(action_mask, keys, -1.0).argmax(axis=1)
        return np.where(chance < self.rate, call, context.surface.finish)
