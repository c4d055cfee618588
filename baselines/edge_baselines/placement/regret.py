"""Greedy by regret: next is whoever loses most if it does not get its best node.

Prices of an agent are computed again only when its best or second node has changed or a peer has found a home.
"""

import numpy as np

from edge_gym.kernel.assignment import fits
from edge_gym.kernel.tables import NONE

from ._compiled import compiled, inlined
from .state import degree, move_in, peer, price


@inlined
def _two_best(problem, state, g, best, second, least, regret):
    """Find the two cheapest nodes of an agent; with fewer, the regret is infinite."""
    best[g], second[g], least[g] = NONE, NONE, np.inf
    next_least = np.inf
    for n in range(problem.own.shape[1]):
        if not fits(problem, state.use, g, n):
            continue
        cost = price(problem, state, g, n)
        if cost < least[g]:
            second[g], next_least = best[g], least[g]
            best[g], least[g] = n, cost
        elif cost < next_least:
            second[g], next_least = n, cost
    regret[g] = np.inf if second[g] == NONE else next_least - least[g]


@compiled
def fill_by_regret(problem, state, limit):
    """Give a home to every agent without one that fits somewhere, in the order of regret.

    Among equals whoever comes first in the problem goes first.

    Args:
        problem: The problem.
        state: Changed in place.
        limit: Prices, never exceeded.

    Returns:
        Whether it was finished.
    """
    n_agents = problem.own.shape[0]
    best, second = np.full(n_agents, NONE), np.full(n_agents, NONE)
    least, regret = np.full(n_agents, np.inf), np.zeros(n_agents)
    for g in range(n_agents):
        if state.home[g] == NONE:
            if state.prices[0] + problem.own.shape[1] > limit:
                return False
            _two_best(problem, state, g, best, second, least, regret)
    while True:
        chosen = NONE
        for g in range(n_agents):
            if best[g] != NONE and (chosen == NONE or regret[g] > regret[chosen]):
                chosen = g
        if chosen == NONE:
            return True
        n = best[chosen]
        move_in(problem, state, chosen, n)
        best[chosen], second[chosen] = NONE, NONE
        for k in range(degree(problem, chosen)):
            other = peer(problem, chosen, k)
            if best[other] != NONE:
                second[other] = n  # whatever it was, look again
        for g in range(n_agents):
            if best[g] != NONE and (best[g] == n or second[g] == n):
                if state.prices[0] + problem.own.shape[1] > limit:
                    return False
                _two_best(problem, state, g, best, second, least, regret)
