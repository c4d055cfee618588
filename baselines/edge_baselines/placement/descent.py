"""The greedy assignment improved by descent until nothing helps."""

from __future__ import annotations

import numpy as np

from edge_gym.kernel.assignment import Problem

from .candidates import nearest_nodes
from .greedy import begin
from .local_search import TINY, descend_from_all
from .repair import keep
from .settings import Descent
from .solution import Course, Limits, Solution


def solve_by_descent(problem: Problem, limits: Limits, seed: int, settings: Descent | None = None) -> Solution:
    """Greedy and one descent; nothing is random.

    Args:
        problem: The problem.
        limits: When to stop.
        seed: Not needed.
        settings: By default the tuned ones.
    """
    s = settings or Descent()
    course = Course(problem, limits, seed)
    begin(course)
    near = nearest_nodes(course, s.n_near)
    ends = np.zeros(2, np.int64)
    first = True

    def work(until: int) -> bool:
        nonlocal first
        tiny = TINY * float(course.best_cost[0])
        args = (problem, course.state, near, s.n_exchange, s.groups, ends, tiny)
        descend_from_all(*args, until, course.limit, first)
        first = False
        return bool(ends[1])

    course.run(work)
    keep(problem, course.state, course.best_home, course.best_cost, -np.inf)
    course.note()
    return course.solution()
