"""Latency-based routing from a short list of recent latencies, as LiteLLM's router does it.

Settings as published by LiteLLM: the last 10 samples, which count for an hour, a buffer of 0, a cooldown of 5 s. Here
they are indeed the last; its source (`lowest_latency.py`, read at 015b945) keeps the first 9 and replaces the tenth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_baselines.common import cheapest, observe
from edge_baselines.residuals import turns
from edge_gym.fields import check, number
from edge_gym.kernel.tables import COMPLETED, SECOND
from edge_gym.policy import Context

SAMPLES = 10


@dataclass(kw_only=True)
class LatencyList:
    """Send to the node whose last responses for this model took least time a unit; unmeasured nodes come first.

    Among the nodes within the buffer of the least, one is drawn at random. A node that was away cools down first. It
    looks at no queue: a buffer of 0 sends everything to one node until its latencies have risen.

    Raises:
        EdgeGymInputError: A setting is out of its range.
    """

    buffer: float = number(0.0, 0, 100, "ratio", "draw among the nodes within (1 + this) times the least latency")
    ttl_s: float = number(3600.0, 1e-3, 1e6, "s", "older samples do not count")
    cooldown_s: float = number(5.0, 0, 1e6, "s", "time without requests after an absence")

    def __post_init__(self) -> None:
        check(self)

    def reset(self, n_envs: int, seed: int) -> None:
        """Forget every latency; `seed` seeds the draws."""
        self._rng = np.random.default_rng(seed)
        self._alive = np.zeros((0, 0), bool)

    def act(self, obs: np.ndarray, action_mask: np.ndarray, context: Context) -> np.ndarray:
        """Take in the responses, then draw among the fastest."""
        self._notice(obs[:, :-1, observe.ALIVE] > 0.5, context)
        self._take_in(context)
        model = np.maximum(np.rint(obs[:, 0, observe.MODEL] * context.n_models).astype(np.int64) - 1, 0)
        rows = np.arange(len(model))
        latency, finish = self._latency_s[rows, :, model], self._finish_s[rows, :, model]
        fresh = finish >= (context.time_s - self.ttl_s)[:, None, None]
        count = fresh.sum(axis=2)
        mean = np.where(fresh, latency, 0.0).sum(axis=2) / np.maximum(count, 1)
        legal = action_mask[:, :-1]
        warm = legal & (context.time_s[:, None] >= self._cool_s)
        legal = np.where(warm.any(axis=1, keepdims=True), warm, legal)
        least = np.where(legal, mean, np.inf).min(axis=1, keepdims=True)
        within = legal & (mean <= least * (1.0 + self.buffer))
        draw = self._rng.random(within.shape, dtype=np.float32)
        return cheapest(np.where(within, draw, 2.0), action_mask)

    def _notice(self, alive: np.ndarray, context: Context) -> None:
        """Empty lists for episodes that begin; a cooldown for nodes that came back."""
        if self._alive.shape != alive.shape:
            shape = (*alive.shape, context.n_models)
            self._alive, self._cool_s = alive.copy(), np.zeros(alive.shape)
            self._latency_s = np.zeros((*shape, SAMPLES), np.float32)
            self._finish_s = np.full((*shape, SAMPLES), -np.inf)
            self._next = np.zeros(shape, np.int64)
        begun = context.begun
        self._finish_s[begun], self._cool_s[begun] = -np.inf, 0.0
        back = alive & ~self._alive & ~begun[:, None]
        self._cool_s = np.where(back, context.time_s[:, None] + self.cooldown_s, self._cool_s)
        self._alive = alive.copy()

    def _take_in(self, context: Context) -> None:
        """Each response takes the place of the oldest in its list."""
        served = context.ended["outcome"] == COMPLETED
        rows, ended = context.ended_row[served], context.ended[served]
        arm = rows, ended["node"], ended["model"]
        slot = (self._next[arm] + turns(*arm)) % SAMPLES
        took_s = (ended["finish_ns"] - ended["dispatch_ns"]) / SECOND
        self._latency_s[(*arm, slot)] = took_s / np.maximum(ended["units"], 1)
        self._finish_s[(*arm, slot)] = ended["finish_ns"] / SECOND
        np.add.at(self._next, arm, 1)
