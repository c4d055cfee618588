"""Figures that a policy keeps of every agent from decision to decision."""

from __future__ import annotations

import numpy as np

from edge_gym.policy import Context


class Ledger:
    """A row of figures for each agent of each world, zeroed when an episode begins or another agent has the row.

    Args:
        n_envs: B.
        width: Figures of an agent.
    """

    def __init__(self, n_envs: int, width: int) -> None:
        self._owner = np.full((n_envs, 0), -1, np.int64)
        self._host = np.full((n_envs, 0), -1, np.int64)
        self._time_s = np.zeros((n_envs, 0))
        self._table = np.zeros((n_envs, 0, width))

    def open(self, context: Context) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Open the pages of the subjects.

        Returns:
            (B, width) their figures, to be changed by `store`; (B,) seconds since they were last opened, 0 the first
            time; (B,) bool, whether the agent has come to where it lives since then.
        """
        subjects = context.agency.subjects()
        self._grow(int(subjects.agent.max(initial=0)) + 1)
        self._owner[context.begun] = -1
        at = np.arange(len(subjects.agent)), np.maximum(subjects.agent, 0)
        fresh = self._owner[at] != subjects.application
        came = fresh | (self._host[at] != subjects.node)
        page = np.where(fresh[:, None], 0.0, self._table[at])
        elapsed_s = np.where(fresh, 0.0, context.time_s - self._time_s[at])
        self._owner[at], self._host[at], self._time_s[at] = subjects.application, subjects.node, context.time_s
        self._at = at
        return page, elapsed_s, came

    def store(self, page: np.ndarray) -> None:
        """Keep the (B, width) figures of the subjects opened last."""
        self._table[self._at] = page

    def _grow(self, n_agents: int) -> None:
        more = n_agents - self._owner.shape[1]
        if more > 0:
            self._owner = np.pad(self._owner, ((0, 0), (0, more)), constant_values=-1)
            self._host = np.pad(self._host, ((0, 0), (0, more)), constant_values=-1)
            self._time_s = np.pad(self._time_s, ((0, 0), (0, more)))
            self._table = np.pad(self._table, ((0, 0), (0, more), (0, 0)))
