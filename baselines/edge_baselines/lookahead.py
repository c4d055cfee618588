"""An achievable policy that knows all that is to come: what a plan made with hindsight would reach, or nearly."""

from __future__ import annotations

import numpy as np

from edge_gym.kernel.rollout_ahead import Search
from edge_gym.policy import Context

# More sweeps change little; more swaps help, and cost as much more.
SEARCH = Search(n_tried=8, n_ahead=300, n_sweeps=2, n_swaps=4, weight=4.0)


class Lookahead:
    """Try the likely nodes in copies of the world, future included, and follow the plan with the least summed latency.

    It knows the requests, lengths, drifts and failures to come. The plan begins as what a rule by the true present
    would do and is improved one request at a time, so it is a local optimum: better ones may exist.
    """

    privileged = True

    def __init__(self, search: Search = SEARCH) -> None:
        self.search = search

    def reset(self, n_envs: int, seed: int) -> None:
        """Nothing to forget: a plan is forgotten when its episode ends."""

    def act(self, obs: np.ndarray, action_mask: np.ndarray, context: Context) -> np.ndarray:
        """The best choice found; unlike the oracle it declines where that lowers the sum."""
        return context.privileged.look_ahead(context.active, context.begun, self.search)
