"""The logit of NVIDIA Dynamo's KV router: weighted prefill that a request brings plus decode work already there.

Source: NVIDIA Dynamo, "KV cache routing": logit = weight x prefill blocks + decode blocks, weight 1, softmax of the
negated logits, temperature 0 (the least). Dynamo counts blocks of tokens on equal workers; nodes here differ and half
of the models have no tokens, so both terms are seconds of the prior. There is no prefix cache, hence no overlap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_baselines.common import cheapest, observe, seconds
from edge_gym.fields import check, number
from edge_gym.policy import Context


@dataclass(kw_only=True)
class Dynamo:
    """Least weighted prefill plus outstanding work, or a softmax draw.

    Raises:
        EdgeGymInputError: A setting is out of its range.
    """

    prefill_weight: float = number(1.0, 0, 1e6, "ratio", "weight of the time to the first unit")
    temperature: float = number(0.0, 0, 100, "s", "of the softmax over the negated logits; 0: the least")

    def __post_init__(self) -> None:
        check(self)

    def reset(self, n_envs: int, seed: int) -> None:
        """`seed` seeds the draws."""
        self._rng = np.random.default_rng(seed)

    def act(self, obs: np.ndarray, action_mask: np.ndarray, context: Context) -> np.ndarray:
        """The least logit after Gumbel noise, which is a softmax draw."""
        logit = np.float32(self.prefill_weight) * seconds(obs, observe.FIRST) + seconds(obs, observe.BACKLOG)
        if self.temperature > 0.0:
            logit = logit - self.temperature * self._rng.gumbel(size=logit.shape)
        return cheapest(logit, action_mask)
