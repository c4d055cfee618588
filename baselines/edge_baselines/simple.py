"""Policies that look at no performance figures, or at one."""

from __future__ import annotations

import numpy as np

from edge_baselines.common import Heuristic, cheapest, observe
from edge_gym.kernel.observe_agents import CURRENT
from edge_gym.policy import Context


class Random:
    """A legal node, uniformly at random; declines only where no node is legal."""

    tasks = ("routing", "placement", "migration", "joint")

    def reset(self, n_envs: int, seed: int) -> None:
        """`seed` seeds the draws."""
        self._rng = np.random.default_rng(seed)

    def act(self, obs: np.ndarray, action_mask: np.ndarray, context: Context) -> np.ndarray:
        """One draw for each node; the smallest among the legal wins."""
        n_envs, n_choices = action_mask.shape
        return cheapest(self._rng.random((n_envs, n_choices - 1), dtype=np.float32), action_mask)


class RoundRobin:
    """The nodes in turn, passing over those that are not legal."""

    def reset(self, n_envs: int, seed: int) -> None:
        """Begin with node 0 everywhere."""
        self._next = np.zeros(n_envs, np.int64)

    def act(self, obs: np.ndarray, action_mask: np.ndarray, context: Context) -> np.ndarray:
        """The first legal node at or after the turn."""
        n_nodes = action_mask.shape[1] - 1
        self._next[context.begun] = 0
        distance = (np.arange(n_nodes) - self._next[:, None]) % n_nodes
        choice = cheapest(distance, action_mask)
        self._next = np.where(choice < n_nodes, (choice + 1) % n_nodes, self._next)
        return choice


class JoinShortestQueue(Heuristic):
    """The node with the fewest outstanding requests; ties go to the first."""

    def cost(self, obs: np.ndarray) -> np.ndarray:
        """Outstanding requests, scaled: the order is the same."""
        return obs[:, :-1, observe.OUTSTANDING]


class PowerOfTwoChoices:
    """Of two legal nodes drawn at random, the one with the shorter queue (Mitzenmacher 2001)."""

    def reset(self, n_envs: int, seed: int) -> None:
        """`seed` seeds the draws."""
        self._rng = np.random.default_rng(seed)

    def act(self, obs: np.ndarray, action_mask: np.ndarray, context: Context) -> np.ndarray:
        """Draw two without replacement, compare."""
        legal = action_mask[:, :-1]
        draw = np.where(legal, self._rng.random(legal.shape, dtype=np.float32), 2.0)
        rows = np.arange(len(legal))
        first = draw.argmin(axis=1)
        draw[rows, first] = 2.0
        second = draw.argmin(axis=1)
        second = np.where(draw[rows, second] < 2.0, second, first)
        load = obs[:, :-1, observe.OUTSTANDING]
        choice = np.where(load[rows, second] < load[rows, first], second, first)
        return np.where(legal.any(axis=1), choice, legal.shape[1])


class LeastWorkLeft(Heuristic):
    """The node with the least outstanding work, in seconds of the prior."""

    def cost(self, obs: np.ndarray) -> np.ndarray:
        """Backlog, log-scaled: the order is the same."""
        return obs[:, :-1, observe.BACKLOG]


class Nearest(Heuristic):
    """The node with the shortest way there and back on the network; an agent that lives on it already stays."""

    tasks = ("routing", "placement", "migration", "joint")

    def act(self, obs: np.ndarray, action_mask: np.ndarray, context: object) -> np.ndarray:
        """The nearest legal node, or staying on a host that is no farther."""
        choice = super().act(obs, action_mask, context)
        if obs.shape[2] <= CURRENT:
            return choice
        n_nodes, rows = action_mask.shape[1] - 1, np.arange(len(obs))
        here = obs[:, :-1, CURRENT] == 1.0
        way = self.cost(obs)
        host_way = np.where(here, way, np.inf).min(axis=1)
        return np.where(host_way <= way[rows, np.minimum(choice, n_nodes - 1)], n_nodes, choice)

    def cost(self, obs: np.ndarray) -> np.ndarray:
        """Network time, log-scaled: the order is the same."""
        return obs[:, :-1, observe.NETWORK]
