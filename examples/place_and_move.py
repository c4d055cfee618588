"""AI agents: a policy of one's own that places and moves them, beside the shipped ones.

python examples/place_and_move.py [EPISODES]
"""

import sys

import numpy as np

import edge_gym
from edge_gym.kernel.observe_agents import AGENT_COST, CURRENT


class Patient:
    """Goes where the agent costs least, but moves only if that saves a tenth. The last row is staying or refusing."""

    tasks = ("placement", "migration")

    def reset(self, n_envs, seed):
        """Nothing to forget."""

    def act(self, obs, action_mask, context):
        """The column is log-scaled: a difference in it is a ratio of costs."""
        cost = np.where(action_mask, obs[:, :, AGENT_COST], 9.0)
        best = cost.argmin(axis=1)
        lives_somewhere = obs[:, :, CURRENT].any(axis=1)
        saves = cost[:, -1] - cost[np.arange(len(cost)), best] > np.log2(1.1) / 28.0
        return np.where(saves | ~lives_somewhere, best, cost.shape[1] - 1)


episodes = int(sys.argv[1]) if len(sys.argv) > 1 else 10
edge_gym.register_policy("patient", Patient)
for task, scenario, others in (
    ("placement", "campus-8", ["nearest", "greedy", "aco:evaluations=2000"]),
    ("migration", "commute-16", ["never", "always_follow", "myopic"]),
):
    print(edge_gym.evaluate(["patient", *others], task=task, scenario=scenario, seeds=range(1000, 1000 + episodes)))
