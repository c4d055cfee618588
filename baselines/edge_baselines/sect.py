"""Shortest expected completion time (SECT), with less or more correction by what is measured.

All send a request where `wait + service + network + load` is expected to be least. They differ in what they believe:

| policy | queue | speed |
|---|---|---|
| `sect_blind` | its own books, never corrected | prior |
| `sect_static` | measured outstanding work | prior |
| `sect_ewma` | measured outstanding work | prior x measured slowdown |
| `sect_watchdog` | measured outstanding work | the same, and what the age of the oldest request says |
| `sect_events` | measured outstanding work | the same, and what is said of the node |
"""

from __future__ import annotations

import numpy as np

from edge_baselines.common import Heuristic, cheapest, observe, ratio, seconds
from edge_gym.policy import Context


class SectStatic(Heuristic):
    """Priors times measured outstanding work."""

    def cost(self, obs: np.ndarray) -> np.ndarray:
        """Expected completion time, seconds."""
        return seconds(obs, observe.WAIT, observe.SERVICE, observe.NETWORK, observe.LOAD)


class SectEwma(Heuristic):
    """Priors corrected by the measured slowdown of each (node, model)."""

    def cost(self, obs: np.ndarray) -> np.ndarray:
        """Expected completion time, seconds."""
        return self.completion(obs, ratio(obs, observe.SLOWDOWN))

    def completion(self, obs: np.ndarray, slowdown: np.ndarray) -> np.ndarray:
        """Wait and service stretched by `slowdown` (B, N), network and load as they are."""
        served = seconds(obs, observe.WAIT, observe.SERVICE)
        return served * slowdown + seconds(obs, observe.NETWORK, observe.LOAD)


class SectWatchdog(SectEwma):
    """`sect_ewma` that does not wait for completions: an overdue request is evidence too.

    A node that has slowed is silent until it answers. If its oldest outstanding request has taken `r` times as long as
    expected (r > 1), the node is at least `r` times slower than believed.
    """

    def cost(self, obs: np.ndarray) -> np.ndarray:
        """Expected completion time, seconds."""
        overdue = np.maximum(ratio(obs, observe.OVERDUE), np.float32(1.0))
        return self.completion(obs, ratio(obs, observe.SLOWDOWN) * overdue)


class SectEvents(SectWatchdog):
    """`sect_watchdog` that also believes what is said, as the shipped parser reads it.

    A node on which something is said to be going on is as slow as it is said to be, or as slow as measured, whichever
    is more. What is only coming counts if the request would still be there.
    """

    def cost(self, obs: np.ndarray) -> np.ndarray:
        """Expected completion time, seconds."""
        overdue = np.maximum(ratio(obs, observe.OVERDUE), np.float32(1.0))
        slowdown = ratio(obs, observe.SLOWDOWN) * overdue
        expected = self.completion(obs, slowdown)
        meets = (obs[:, :-1, observe.EVENT] == 1.0) | (seconds(obs, observe.EVENT_IN) < expected)
        said = np.where(meets & (obs[:, :-1, observe.EVENT] > 0.0), ratio(obs, observe.EVENT_SLOWDOWN), 0.0)
        return self.completion(obs, np.maximum(slowdown, said))


class SectBlind:
    """Priors and its own books: each node is busy until the sum of what was sent there should be done.

    Nothing corrects the books, so they drift away from the truth: the static router as a paper would draw it.
    """

    def reset(self, n_envs: int, seed: int) -> None:
        """Empty books."""
        self._free_s: np.ndarray | None = None

    def act(self, obs: np.ndarray, action_mask: np.ndarray, context: Context) -> np.ndarray:
        """Book the request at the node that should finish it first."""
        n_envs, n_nodes = len(obs), obs.shape[1] - 1
        if self._free_s is None:
            self._free_s = np.zeros((n_envs, n_nodes))
        self._free_s[context.begun] = 0.0
        now = context.time_s[:, None]
        first = decode_units(obs)
        wait = np.maximum(self._free_s - now, 0.0)
        choice = cheapest(wait + first + seconds(obs, observe.NETWORK, observe.LOAD), action_mask)
        rows = np.flatnonzero((choice < n_nodes) & context.active)
        node = choice[rows]
        # A node that serves k requests as fast as one is busy for a k-th of the time.
        share = first[rows, node] / np.maximum(ratio(obs, observe.PARALLELISM)[rows, node], 1e-6)
        self._free_s[rows, node] = np.maximum(self._free_s[rows, node], context.time_s[rows]) + share
        return choice


def decode_units(obs: np.ndarray) -> np.ndarray:
    """(B, N) seconds a request takes on the idle node: first unit, then the forecast number of units."""
    units = np.exp2(obs[:, :-1, observe.FORECAST] * np.float32(20.0)) - np.float32(1.0)
    return seconds(obs, observe.FIRST) + units * seconds(obs, observe.PER_UNIT)
