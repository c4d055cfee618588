"""The placement problems that a world really poses, for tuning and comparing solvers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from edge_baselines.agents.rules import Greedy
from edge_gym.evaluation.rollout import roll_out
from edge_gym.kernel.assignment import Problem
from edge_gym.kernel.build import World


class _Listener(Greedy):
    """Greedy, noting the problem of each application when its first agent is asked about."""

    def reset(self, n_envs: int, seed: int) -> None:
        self.found: list[list[Problem]] = [[] for _ in range(n_envs)]
        self._last = [-1] * n_envs

    def act(self, obs: np.ndarray, action_mask: np.ndarray, context: Any) -> np.ndarray:
        for b in np.flatnonzero(context.active).tolist():
            number, _ = context.agency.member(b)
            if number != self._last[b]:
                self._last[b] = number
                self.found[b].append(context.agency.assignment(b).problem)
        return super().act(obs, action_mask, context)


def problems_of(world: World, seeds: Sequence[int]) -> list[list[Problem]]:
    """For each seed, the problems of its applications in the order in which they arrive, if greedy places them.

    Args:
        world: Of a scenario of the task placement.
        seeds: Of the episodes.
    """
    listener = _Listener()
    roll_out(world, listener, "greedy", seeds)
    return listener.found
