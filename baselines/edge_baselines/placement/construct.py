"""Randomised construction: agents go to nodes by lot, and cheap nodes (and those of a strong trail) win often.

One function for greedy with restarts and for the ants, so that ants without pheromone are greedy with restarts.
"""

import numpy as np

from edge_gym.kernel.assignment import fits
from edge_gym.kernel.tables import NONE

from ._compiled import inlined
from .state import best_place, degree, draw, most_prices, move_in, peer, price


@inlined
def _ballot(problem, state, near, g):
    """Fill in the candidates of `g` and the homes of its peers where it fits, and their prices. Returns how many."""
    size = 0
    n_near = near.shape[1]
    for k in range(n_near + degree(problem, g)):
        if k < n_near:
            n = near[g, k]
        elif n_near == problem.own.shape[1]:
            break
        else:
            n = state.home[peer(problem, g, k - n_near)]
            if n == NONE:
                continue
            for i in range(size):
                if state.nodes[i] == n:
                    n = NONE
                    break
            if n == NONE:
                continue
        if fits(problem, state.use, g, n):
            state.nodes[size] = n
            state.costs[size] = price(problem, state, g, n)
            size += 1
    return size


@inlined
def choose(problem, state, near, trail, g, use_trail, spread, q0):
    """A node for agent `g` by lot (NONE if it is refused), and the price.

    The odds of a node are `trail * eta`, eta = 1 / (1 + above / spread)**4, `above`: its price over the cheapest.

    Args:
        problem: The problem.
        state: The assignment so far.
        near: (G, K) int64, candidates.
        trail: (G, N) f8, pheromone.
        g: The agent, without a home.
        use_trail: Whether the pheromone counts.
        spread: Cost rate above the cheapest at which eta falls to a sixteenth.
        q0: Probability to take the best odds (Dorigo, Gambardella, IEEE TEC 1(1), 1997).
    """
    size = _ballot(problem, state, near, g)
    if size == 0:
        return best_place(problem, state, near, g)
    least = np.inf
    for i in range(size):
        least = min(least, state.costs[i])
    if least >= problem.refuse[g]:
        return NONE, problem.refuse[g]
    total, best = 0.0, 0
    for i in range(size):
        closeness = 1.0 / (1.0 + (state.costs[i] - least) / spread)
        odds = closeness * closeness * closeness * closeness
        if use_trail:
            odds *= trail[g, state.nodes[i]]
        state.odds[i] = odds
        total += odds
        if odds > state.odds[best]:
            best = i
    if draw(state) >= q0:
        mark = draw(state) * total
        best = -1
        while mark >= 0.0 and best < size - 1:
            best += 1
            mark -= state.odds[best]
    return state.nodes[best], state.costs[best]


@inlined
def construct(problem, state, near, trail, group, size, use_trail, spread, q0, fade, floor, limit):
    """Give homes to the first `size` agents of `group`, in that order.

    Args:
        problem: The problem.
        state: Changed in place; the agents of the group have no home.
        near: (G, K) int64, candidates.
        trail: (G, N) f8, pheromone; changed only if `fade` is positive.
        group: (G,) int64, agents.
        size: How many of them.
        use_trail: Whether the pheromone counts.
        spread: As in `choose`.
        q0: As in `choose`.
        fade: Share of the trail that the ant wears off (xi of ACS).
        floor: What the trail is worn down to (tau0 of ACS).
        limit: Prices after which to stop.

    Returns:
        The cost rate that was added; infinite if it was not finished within the limit.
    """
    cost = 0.0
    for i in range(size):
        g = group[i]
        if state.prices[0] + 2 * most_prices(problem, g) > limit:
            return np.inf
        n, more = choose(problem, state, near, trail, g, use_trail, spread, q0)
        cost += more
        if n != NONE:
            move_in(problem, state, g, n)
            if fade > 0.0:
                trail[g, n] += fade * (floor - trail[g, n])
    return cost
