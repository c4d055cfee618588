"""A Markov model of the users' way, estimated in each world from the handovers seen in it so far."""

from __future__ import annotations

import numpy as np

from edge_gym.agency import Agency
from edge_gym.policy import Context


class Handovers:
    """Counts who went where and how long users stayed, by world.

    Before anything is seen a user is taken to stay `dwell_s` at a site and then to go to any neighbour alike; that
    counts as much as `prior` handovers from each site that have been seen.

    Args:
        n_envs: B.
        dwell_s: Mean stay that is believed at first, seconds.
        prior: How firmly.
    """

    def __init__(self, n_envs: int, dwell_s: float = 30.0, prior: float = 3.0) -> None:
        self._n_envs, self._dwell_s, self._prior = n_envs, dwell_s, prior
        self._counts = np.zeros((n_envs, 0, 0))  # (B, S, S) handovers

    def see(self, context: Context) -> None:
        """Take note of where the users are now."""
        ids, sites = context.agency.users()
        if not self._counts.size:
            self._begin(context.agency, ids.shape)
        self._counts[context.begun] = self._neighbours
        self._stay_s[context.begun] = self._prior * self._dwell_s
        self._ids[context.begun] = -1
        worlds = context.active[:, None] & (ids >= 0) & (ids == self._ids)
        row, user = np.nonzero(worlds)
        before, now = self._sites[row, user], sites[row, user]
        np.add.at(self._stay_s, (row, before), context.dt_s[row])
        moved = before != now
        np.add.at(self._counts, (row[moved], before[moved], now[moved]), 1.0)
        self._ids, self._sites = ids, sites

    def ahead(self, seconds: float) -> np.ndarray:
        """(B, S, S) probability that a user at one site is at another after `seconds`."""
        n_sites = self._counts.shape[1]
        rates = self._counts / self._stay_s[:, :, None]
        rates[:, np.arange(n_sites), np.arange(n_sites)] -= rates.sum(axis=2)
        halvings = 12  # fixed: no world may hang on another
        step = np.eye(n_sites) + rates * (seconds / 2**halvings)
        for _ in range(halvings):
            step = step @ step
        return step

    def _begin(self, agency: Agency, shape: tuple[int, int]) -> None:
        hop = agency.hop
        linked = np.zeros(hop.shape, bool)
        linked[np.arange(len(hop))[:, None], hop] = True
        np.fill_diagonal(linked, False)
        self._neighbours = self._prior * linked / np.maximum(linked.sum(axis=1, keepdims=True), 1)
        self._counts = np.tile(self._neighbours, (self._n_envs, 1, 1))
        self._stay_s = np.full((self._n_envs, len(hop)), self._prior * self._dwell_s)
        self._ids, self._sites = np.full(shape, -1), np.zeros(shape, np.int64)


def hops(hop: np.ndarray) -> np.ndarray:
    """(S, S) sites on the way from one site to another, by the table of next sites."""
    n_sites = len(hop)
    goal = np.arange(n_sites)
    at = np.repeat(goal[:, None], n_sites, axis=1)
    count = np.zeros((n_sites, n_sites), np.int64)
    for _ in range(n_sites):
        there = at == goal
        if there.all():
            break
        count += ~there
        at = np.where(there, at, hop[at, goal])
    return count
