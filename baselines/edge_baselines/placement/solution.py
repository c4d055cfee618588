"""What every placement solver gets and gives, and the loop that holds it to its limits.

What is counted: *prices*, each the cost of one agent on one node (`price` in `state.py`). One *evaluation* is G of
them, as many as the cost of a whole assignment has terms; computing that cost counts as one, too. So a construction
that looks at K nodes for each agent counts K, and a trial move of one agent 1 / G. All solvers count in this way.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from edge_gym.errors import MISSING, EdgeGymInputError
from edge_gym.fields import check, number
from edge_gym.kernel.assignment import Problem

from .state import State, new_state

SLICE = 30_000  # prices between two looks at the clock, about a millisecond
UNLIMITED = 2**62


@dataclass(frozen=True)
class Limits:
    """When a solver must stop; the first limit that is reached counts. At least one is needed.

    The construction of a first assignment (cheapest by need, N + 1 evaluations) is always finished.

    Attributes:
        evaluations: Never exceeded afterwards.
        seconds: Wall-clock time, looked at about every millisecond.
    """

    evaluations: int | None = number(None, 1, 1e15, "evaluations", "never exceeded")
    seconds: float | None = number(None, 0.0, 1e9, "seconds", "wall-clock time", low_open=True)

    def __post_init__(self) -> None:
        check(self)
        if self.evaluations is None and self.seconds is None:
            raise EdgeGymInputError("", MISSING, "limited by evaluations, by seconds or by both", where="Limits")


@dataclass(frozen=True, eq=False)
class Solution:
    """An assignment that fits, and how it was found.

    Attributes:
        home: (G,) int64, the node of each agent, -1: refused.
        cost: Its cost rate, `edge_gym.kernel.assignment.total`.
        evaluations: How many were spent (see the module).
        elapsed_s: Wall-clock seconds.
        history: (evaluations, cost) at each improvement, up to the resolution of a slice.
        trail: (kinds, N) float64, what ants learned, for the next application; None for other solvers.
    """

    home: np.ndarray
    cost: float
    evaluations: float
    elapsed_s: float
    history: tuple[tuple[float, float], ...]
    trail: np.ndarray | None = None


class Course:
    """A search under way: its state, the best so far and its limits.

    Attributes:
        problem: The problem.
        state: The assignment being worked on.
        best_home: (G,) int64.
        best_cost: (1,) float64, infinite until something was recorded.
        limit: Prices after which nothing new is begun.
    """

    def __init__(self, problem: Problem, limits: Limits, seed: int) -> None:
        self._begun = time.perf_counter()
        self._limits = limits
        self.problem = problem
        self.state: State = new_state(problem, seed)
        self.best_home = self.state.home.copy()
        self.best_cost = np.array([np.inf])
        self.history: list[tuple[float, float]] = []
        self.per_evaluation = max(1, problem.own.shape[0])
        evaluations = limits.evaluations
        # Two evaluations are held back: for the cost of the last assignment, and for agents that were just taken out.
        self.limit = UNLIMITED if evaluations is None else max(0, int(evaluations) - 2) * self.per_evaluation

    @property
    def evaluations(self) -> float:
        """Evaluations spent so far."""
        return float(self.state.prices[0]) / self.per_evaluation

    @property
    def progress(self) -> float:
        """Share of the budget that is spent, from 0 to 1."""
        share = self.state.prices[0] / max(1, self.limit)
        if self._limits.seconds is not None:
            share = max(share, (time.perf_counter() - self._begun) / self._limits.seconds)
        return min(1.0, share)

    def note(self) -> None:
        """Write an improvement into the history."""
        cost = float(self.best_cost[0])
        if not self.history or cost < self.history[-1][1]:
            self.history.append((self.evaluations, cost))

    def run(self, work: Callable[[int], bool]) -> None:
        """Call `work` slice after slice, until the budget is spent or it says that it is finished.

        Args:
            work: Gets the number of prices after which to come back; returns whether there is more to do.
        """
        spent = -1
        while self.progress < 1.0 and self.state.prices[0] != spent:
            spent = int(self.state.prices[0])
            more = work(min(self.limit, spent + SLICE))
            self.note()
            if not more:
                break

    def solution(self, trail: np.ndarray | None = None) -> Solution:
        """What was found."""
        return Solution(
            home=self.best_home.copy(),
            cost=float(self.best_cost[0]),
            evaluations=self.evaluations,
            elapsed_s=time.perf_counter() - self._begun,
            history=tuple(self.history),
            trail=trail,
        )
