"""A memory of the nodes that have left, around any policy that moves agents by the column `agent_cost`.

No observation shows whether a node has left before. One that has, belongs to those that do: if it leaves every T
seconds and an agent that is asked r times a second is down for d seconds then, living there costs r d^2 / (2 T)
request-seconds a second more. So much is added to `agent_cost` of such nodes, and of staying on one.
"""

from __future__ import annotations

import numpy as np

from edge_baselines.common import encode_time
from edge_gym.errors import EdgeGymInputError
from edge_gym.kernel.observe import ALIVE, IS_REQUEST, decode_ratio, decode_time
from edge_gym.kernel.observe_agents import AGENT_COST, CURRENT, RATE
from edge_gym.policy import Context, Policy, is_privileged, make_policy, task_of

RISK_S = 0.4  # d^2 / (2 T); chosen on tune seeds among 0.1, 0.2, 0.4 and 0.8


class Wary:
    """Another policy for migration, which sees nodes that have left before in the episode as dearer: `wary:NAME`.

    Args:
        inner: Name of the policy.
        risk_s: Added cost per request and second on such nodes, request-seconds, at least 0.

    Raises:
        EdgeGymInputError: The inner policy is not known, privileged, or decides something else.
    """

    tasks = ("migration",)

    def __init__(self, inner: str = "myopic", risk_s: float = RISK_S) -> None:
        self.inner: Policy = make_policy(inner)
        if is_privileged(self.inner):
            raise EdgeGymInputError("policy", inner, "a policy that is not privileged", "wary")
        task_of(self.inner, "migration", inner, "policy")
        self.risk_s = risk_s
        self.wants_links = bool(getattr(self.inner, "wants_links", False))
        # What is known of the inner policy holds of this one: seeds it must not be played on, and that it was trained.
        self.identity, self.trained_on = (getattr(self.inner, name, None) for name in ("identity", "trained_on"))
        training = getattr(self.inner, "training", None)
        self.training = training and {**training, "recipe": f"wary:{training['recipe']}"}
        self._left: np.ndarray | None = None

    def reset(self, n_envs: int, seed: int) -> None:
        """Forget everything."""
        self.inner.reset(n_envs, seed)
        self._left = None

    def act(self, obs: np.ndarray, action_mask: np.ndarray, context: Context) -> np.ndarray:
        """The choice of the other policy."""
        if self._left is None:
            self._left = np.zeros((len(obs), obs.shape[1] - 1), bool)
        self._left[context.begun] = False
        self._left |= (obs[:, :-1, ALIVE] == 0.0) & context.active[:, None]
        if self._left.any():
            obs = self._dearer(obs, self._left)
        return self.inner.act(obs, action_mask, context)

    def _dearer(self, obs: np.ndarray, left: np.ndarray) -> np.ndarray:
        """The observation with the risk in `agent_cost`; `left` (B, N) are the nodes that have left before."""
        stays = (left & (obs[:, :-1, CURRENT] == 1.0)).any(1)
        agents = obs[:, 0, IS_REQUEST] == 0.0
        risky = np.hstack([left, stays[:, None]]) & agents[:, None]
        risk = self.risk_s * decode_ratio(obs[:, :1, RATE]) * risky
        obs = obs.copy()
        obs[:, :, AGENT_COST] = encode_time(decode_time(obs[:, :, AGENT_COST]) + risk)
        return obs
