"""One policy out of three, for the task joint: who routes, who places, who moves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from edge_gym.errors import EdgeGymInputError
from edge_gym.kernel import observe_agents as seen
from edge_gym.kernel.observe import IS_REQUEST, N_FEATURES
from edge_gym.policy import Context, Policy, is_privileged, make_policy, task_of

DEFAULT = "e3_fast+greedy+myopic"
PARTS = ("routing", "placement", "migration")


class Together:
    """Gives each subject to the policy of its kind: `together:ROUTER+PLACER+MOVER`.

    Args:
        names: Three names of policies, with plus signs between them.

    Raises:
        EdgeGymInputError: Not three, not known, privileged, or one that decides something else.
    """

    tasks = ("joint",)

    def __init__(self, names: str = DEFAULT) -> None:
        parts = names.split("+")
        if len(parts) != len(PARTS):
            raise EdgeGymInputError("policy", names, "three names, as in e3_fast+greedy+myopic", "together")
        self._policies: list[Policy] = [make_policy(name) for name in parts]
        for policy, name, task in zip(self._policies, parts, PARTS, strict=True):
            if is_privileged(policy) or task_of(policy, task, name, "policy") != task:
                allowed = f"a policy that is not privileged and decides {task}"
                raise EdgeGymInputError("policy", name, allowed, "together")

    def reset(self, n_envs: int, seed: int) -> None:
        """`seed` goes to all three."""
        for policy in self._policies:
            policy.reset(n_envs, seed)
        self._begun = np.zeros((len(PARTS), n_envs), bool)

    def act(self, obs: np.ndarray, action_mask: np.ndarray, context: Context) -> np.ndarray:
        """The choice of whoever is asked about each subject. The router sees the columns of routing alone."""
        kinds = obs[:, 0, IS_REQUEST] == 1, obs[:, 0, seen.IS_PLACEMENT] == 1, obs[:, 0, seen.IS_MIGRATION] == 1
        choice = np.full(len(obs), action_mask.shape[1] - 1)
        self._begun |= context.begun
        for k, policy in enumerate(self._policies):
            mine = kinds[k] & context.active
            mask = action_mask & mine[:, None]
            mask[:, -1] = True
            view = obs[:, :, :N_FEATURES].copy() if k == 0 else obs
            answer = policy.act(view, mask, replace(context, active=mine, begun=self._begun[k] & mine))
            self._begun[k] &= ~mine
            choice = np.where(mine, answer, choice)
        return choice
