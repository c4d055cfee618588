"""Shortest expected completion time (SECT), with less or more correction by what is measured.

All send a request where `wait + service + network + load` is expected to be least. They differ in what they believe:

| policy | queue | speed |
|---|---|---|
| `sect_blind` | its own books, never corrected | prior |
| `sect_static` | measured outstanding work | prior |
| `sect_ewma` | measured outstanding work | prior x measured slowdown |
| `sect_watchdog` | measured outstanding work | the same, and what the age of the oldest request says |
| `sect_events` | measured outstanding work | the same, what running responses show, and what is said of the node |
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_baselines.common import Heuristic, cheapest, observe, ratio, seconds
from edge_baselines.completion import completion_s, forecast_units, with_overdue
from edge_gym.fields import check, number
from edge_gym.policy import Context


class SectStatic(Heuristic):
    """Priors times measured outstanding work."""

    def cost(self, obs: np.ndarray) -> np.ndarray:
        """Expected completion time, seconds."""
        return seconds(obs, observe.WAIT, observe.SERVICE, observe.NETWORK, observe.LOAD)


@dataclass(kw_only=True)
class SectEwma(Heuristic):
    """Priors corrected by the measured slowdown of each (node, model).

    Raises:
        EdgeGymInputError: A setting is out of its range.
    """

    trust: float = number(1.0, 0, 2, "power", "the measured slowdown counts to this power; 0: the prior alone")
    inflicted_weight: float = number(0.0, 0, 10, "ratio", "worth of a second inflicted on others, in own seconds")

    def __post_init__(self) -> None:
        check(self)

    def cost(self, obs: np.ndarray) -> np.ndarray:
        """Expected completion time, seconds."""
        return completion_s(obs, ratio(obs, observe.SLOWDOWN) ** np.float32(self.trust), self.inflicted_weight)


@dataclass(kw_only=True)
class SectWatchdog(Heuristic):
    """`sect_ewma` that does not wait for completions: an overdue request is evidence too.

    Raises:
        EdgeGymInputError: A setting is out of its range.
    """

    overdue_power: float = number(1.0, 0, 4, "power", "an overdue ratio r counts as r to this power")
    inflicted_weight: float = number(0.0, 0, 10, "ratio", "worth of a second inflicted on others, in own seconds")

    def __post_init__(self) -> None:
        check(self)

    def cost(self, obs: np.ndarray) -> np.ndarray:
        """Expected completion time, seconds."""
        slowdown = with_overdue(obs, ratio(obs, observe.SLOWDOWN), self.overdue_power)
        return completion_s(obs, slowdown, self.inflicted_weight)


@dataclass(kw_only=True)
class SectEvents(SectWatchdog):
    """`sect_watchdog` that also believes what running responses show and what is said, as the shipped parser reads it.

    The slowest of the three counts: as measured, as the streaming responses show (they may be another model's), as it
    is said to be. What is only coming counts if the request would meet it.

    Raises:
        EdgeGymInputError: A setting is out of its range.
    """

    stream_power: float = number(1.0, 0, 4, "power", "a streamed slowdown r > 1 counts as r to this power; 0: not")

    def cost(self, obs: np.ndarray) -> np.ndarray:
        """Expected completion time, seconds."""
        slowdown = with_overdue(obs, ratio(obs, observe.SLOWDOWN), self.overdue_power)
        stream = np.maximum(ratio(obs, observe.STREAM), np.float32(1.0)) ** np.float32(self.stream_power)
        slowdown = np.where(stream > 1.0, np.maximum(slowdown, stream), slowdown)
        event, expected = obs[:, :-1, observe.EVENT], completion_s(obs, slowdown)
        meets = (event == 1.0) | ((event > 0.0) & (seconds(obs, observe.EVENT_IN) < expected))
        said = np.where(meets, ratio(obs, observe.EVENT_SLOWDOWN), np.float32(0.0))
        return completion_s(obs, np.maximum(slowdown, said), self.inflicted_weight)


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
        first = seconds(obs, observe.FIRST) + forecast_units(obs) * seconds(obs, observe.PER_UNIT)
        wait = np.maximum(self._free_s - now, 0.0)
        choice = cheapest(wait + first + seconds(obs, observe.NETWORK, observe.LOAD), action_mask)
        rows = np.flatnonzero((choice < n_nodes) & context.active)
        node = choice[rows]
        # A node that serves k requests as fast as one is busy for a k-th of the time.
        share = first[rows, node] / np.maximum(ratio(obs, observe.PARALLELISM)[rows, node], 1e-6)
        self._free_s[rows, node] = np.maximum(self._free_s[rows, node], context.time_s[rows]) + share
        return choice
