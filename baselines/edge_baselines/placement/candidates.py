"""Candidate lists: the few nodes that are worth a look for each agent."""

from __future__ import annotations

import numpy as np

from ._compiled import compiled
from .solution import Course
from .state import move_in, move_out, price


@compiled
def prices_now(problem, state, limit):
    """(G, N) f8, the price of each agent on each node with all others where they are; None of them beyond a limit."""
    out = np.empty(problem.own.shape)
    for g in range(out.shape[0]):
        home = state.home[g]
        if home != -1:
            move_out(problem, state, g)
        for n in range(out.shape[1]):
            out[g, n] = price(problem, state, g, n) if state.prices[0] < limit else problem.own[g, n]
        if home != -1:
            move_in(problem, state, g, home)
    return out


def nearest_nodes(course: Course, n_near: int) -> np.ndarray:
    """(G, K) int64, for each agent its cheapest nodes at the prices of the present assignment, the cheapest first.

    Cheapest by itself would not do: where all agents like the same nodes, the lists would hold no others.

    Args:
        course: The search; its state holds a complete assignment.
        n_near: K, at most; with fewer nodes every list has all of them, in order of their numbers.
    """
    n_agents, n_nodes = course.problem.own.shape
    if n_near >= n_nodes:
        return np.tile(np.arange(n_nodes), (n_agents, 1))
    prices = prices_now(course.problem, course.state, course.limit)
    some = np.argpartition(prices, n_near, axis=1)[:, :n_near]
    by_price = np.argsort(np.take_along_axis(prices, some, axis=1), axis=1, kind="stable")
    return np.ascontiguousarray(np.take_along_axis(some, by_price, axis=1)).astype(np.int64)
