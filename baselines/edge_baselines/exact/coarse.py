"""Prices per node, of its load alone: where the fine prices begin.

Of all capacities only the load is priced, and each node answers for itself what load it would sell at that price: its
cost is convex and piecewise linear, so the answer is at a knot. Few prices, so they settle in seconds.
"""

from collections.abc import Callable

import numpy as np

from edge_gym.kernel.assignment import KNOTS, Problem
from edge_gym.kernel.tables import NONE

from .ascent import Ascent
from .crowding import crowd_alone, crowded
from .relaxed_tree import down, up


def node_prices(problem: Problem, may: np.ndarray, pace: float, damping: Callable[[int], float]) -> np.ndarray:
    """Cost rates, (G, N), of living on a node because of the others there.

    Args:
        problem: The problem.
        may: (G, N) bool, the pairs considered.
        pace: See `Ascent`; a cost rate.
        damping: Of each step; the ascent ends when it is 0.
    """
    n_agents, n_nodes = may.shape
    alone, before = crowd_alone(problem), problem.load_before
    load_here, alone_here = np.where(may, problem.load, 0.0), np.where(may, alone, 0.0)
    knots = np.broadcast_to(KNOTS, (n_nodes, len(KNOTS)))
    loads = np.concatenate([before[:, None], knots, problem.load_limit[:, None]], axis=1)
    loads = np.clip(loads, before[:, None], np.maximum(before, problem.load_limit)[:, None])
    sold = loads - before[:, None]
    crowding = crowded(loads) - crowded(before)[:, None]
    weight = problem.crowd_weight
    # Of the crowding a part is paid by each agent as if it were alone, the rest is in the price of the load.
    of_load, part = Ascent(np.zeros(n_nodes), pace), Ascent(np.full(n_nodes, weight), pace)
    below, to_parent = np.zeros((2, n_agents, n_nodes + 1))
    wished, nodes = np.zeros(n_agents, np.int64), np.arange(n_nodes)
    highest, best = -np.inf, part.values * alone
    step = 0
    while (damp := damping(step)) > 0.0:
        prices = of_load.values * problem.load + part.values * alone
        cost = up(problem, prices, may, below, to_parent)
        down(problem, below, wished)
        earned = of_load.values[:, None] * sold - (weight - part.values)[:, None] * crowding
        offer = earned.argmax(axis=1)
        bound = cost - earned.max(axis=1).sum()
        if bound > highest:
            highest, best = bound, prices
        placed = np.flatnonzero(wished != NONE)
        there = wished[placed]
        of_load.step(np.bincount(there, load_here[placed, there], n_nodes) - sold[nodes, offer], damp)
        part.step(np.bincount(there, alone_here[placed, there], n_nodes) - crowding[nodes, offer], damp)
        np.maximum(of_load.values, 0.0, out=of_load.values)
        np.clip(part.values, 0.0, weight, out=part.values)
        step += 1
    return best
