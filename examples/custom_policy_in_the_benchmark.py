"""A policy of one's own in the benchmark: python custom_policy_in_the_benchmark.py [n_requests] [episodes] [folder]

The same worlds for everybody, intervals over paired differences, and in the folder all rows and a page to look at. Ten
seconds. A policy for good, known to the command line too, comes from a package: `examples/plugin`.
"""

import sys

import numpy as np

import edge_gym
from edge_gym.kernel.observe import LOAD, NETWORK, SERVICE, WAIT, decode_time
from edge_gym.policy import Context

n_requests = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
episodes = int(sys.argv[2]) if len(sys.argv) > 2 else 20
folder = sys.argv[3] if len(sys.argv) > 3 else None


class Cautious:
    """The node with the smallest expected time; counts the wait double, because what is expected is never certain."""

    def reset(self, n_envs: int, seed: int) -> None:
        """Nothing to forget."""

    def act(self, obs: np.ndarray, action_mask: np.ndarray, context: Context) -> np.ndarray:
        """From (B, A, F) observations and (B, A) masks to (B,) choices."""
        expected_s = sum(decode_time(obs[:, :-1, column]) for column in (WAIT, WAIT, LOAD, NETWORK, SERVICE))
        legal = action_mask[:, :-1]
        choice = np.where(legal, expected_s, np.inf).argmin(axis=1)
        return np.where(legal.any(axis=1), choice, legal.shape[1])  # decline where no node is legal


edge_gym.register_policy("cautious", Cautious)
policies, scenarios = ["random", "sect_static", "cautious", "oracle"], ["stationary", "churn"]
seeds = range(1000, 1000 + episodes)
print(edge_gym.evaluate(policies, "routing", scenarios, seeds, out=folder, n_requests=n_requests))
