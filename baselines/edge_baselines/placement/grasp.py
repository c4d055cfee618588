"""Greedy with restarts (GRASP; Feo, Resende, J. Global Optimization 6, 1995): construct by lot, descend, again.

Candidates are drawn in proportion to their odds (Bresina, AAAI 1996) and not from a list of the best few.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge_gym.kernel.assignment import Problem
from edge_gym.kernel.tables import NONE

from ._compiled import compiled, inlined
from .candidates import nearest_nodes
from .construct import construct
from .greedy import begin
from .local_search import TINY, descend, wake_changed
from .settings import Grasp
from .solution import Course, Limits, Solution
from .state import go_to, keep_if_better, pick


@inlined
def shuffle(state, group, size):
    """Put the first `size` entries of `group` into random order."""
    for i in range(size - 1, 0, -1):
        j = pick(state, i + 1)
        group[i], group[j] = group[j], group[i]


@inlined
def everybody(group):
    """All agents, as they come."""
    for g in range(group.shape[0]):
        group[g] = g


class Draws(NamedTuple):
    """What greedy with restarts needs, in the form that compiled code takes."""

    near: np.ndarray  # (G, K) i8, candidates
    order: np.ndarray  # (G,) i8, scratch
    nobody: np.ndarray  # (G,) i8, NONE everywhere
    ends: np.ndarray  # (2,) i8, scratch of the descent
    spread: float  # cost rate
    q0: float
    n_exchange: int
    groups: bool


@compiled
def restarts(problem, state, draws, best_home, best_cost, until, limit):
    """Construct and descend until so many prices were computed."""
    near, order, nobody, ends = draws.near, draws.order, draws.nobody, draws.ends
    trail = problem.own  # not looked at
    while state.prices[0] < until:
        go_to(problem, state, nobody)
        everybody(order)
        shuffle(state, order, order.shape[0])
        size, spread, q0 = order.shape[0], draws.spread, draws.q0
        cost = construct(problem, state, near, trail, order, size, False, spread, q0, 0.0, 0.0, limit)
        if not cost < np.inf:
            return
        wake_changed(problem, state, nobody, ends)
        cost += descend(problem, state, near, draws.n_exchange, draws.groups, ends, TINY * cost, limit)
        if cost < best_cost[0] * (1.0 - TINY):
            keep_if_better(problem, state, best_home, best_cost, cost)


def mean_price(course: Course) -> float:
    """The cost of the best assignment by agent: the unit of the spread."""
    return max(float(course.best_cost[0]) / max(1, course.problem.own.shape[0]), 1e-300)


def solve_by_grasp(problem: Problem, limits: Limits, seed: int, settings: Grasp | None = None) -> Solution:
    """Greedy with restarts.

    Args:
        problem: The problem.
        limits: When to stop.
        seed: Of the random numbers.
        settings: By default the tuned ones.
    """
    s = settings or Grasp()
    course = Course(problem, limits, seed)
    begin(course)
    draws = Draws(
        near=nearest_nodes(course, s.n_near),
        order=np.arange(problem.own.shape[0]),
        nobody=np.full(problem.own.shape[0], NONE),
        ends=np.zeros(2, np.int64),
        spread=s.spread * mean_price(course),
        q0=s.q0,
        n_exchange=s.n_exchange,
        groups=s.groups,
    )

    def work(until: int) -> bool:
        restarts(problem, course.state, draws, course.best_home, course.best_cost, until, course.limit)
        return True

    course.run(work)
    return course.solution()
