"""Rules that give each new agent a node by one column of the observation, as it comes."""

from __future__ import annotations

import numpy as np

from edge_baselines.common import Heuristic
from edge_gym.kernel import observe_agents as seen


class FirstFit(Heuristic):
    """The first node where it fits."""

    tasks = ("placement",)

    def cost(self, obs: np.ndarray) -> np.ndarray:
        """The number of the node."""
        return np.broadcast_to(np.arange(obs.shape[1] - 1, dtype=np.float32), obs[:, :-1, 0].shape)


class BestFit(Heuristic):
    """The node whose throughput is then fullest: it fills one node before it takes the next."""

    tasks = ("placement",)

    def cost(self, obs: np.ndarray) -> np.ndarray:
        """What is left of the throughput."""
        return 1.0 - obs[:, :-1, seen.RESERVED]


class LeastLoaded(Heuristic):
    """The node whose throughput is then emptiest."""

    tasks = ("placement",)

    def cost(self, obs: np.ndarray) -> np.ndarray:
        """Reserved throughput."""
        return obs[:, :-1, seen.RESERVED]


class Cheapest(Heuristic):
    """The node where the agent costs the least money."""

    tasks = ("placement",)

    def cost(self, obs: np.ndarray) -> np.ndarray:
        """Price an hour, scaled: the order is the same."""
        return obs[:, :-1, seen.AGENT_PRICE]


class Greedy(Heuristic):
    """The node of least cost by the world's own cost function, agent by agent: what the world does by itself."""

    tasks = ("placement",)

    def cost(self, obs: np.ndarray) -> np.ndarray:
        """The column `agent_cost`."""
        return obs[:, :-1, seen.AGENT_COST]


class Rollout(Heuristic):
    """The node of least cost for the whole application, if those to come go where each then costs least."""

    tasks = ("placement",)

    def cost(self, obs: np.ndarray) -> np.ndarray:
        """The column `outlook`."""
        return obs[:, :-1, seen.OUTLOOK]
