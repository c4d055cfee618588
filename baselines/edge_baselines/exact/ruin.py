"""Cheap good assignments, as upper bounds: pull out some agents and put them back where they cost least, many times.

Ruin and recreate (Schrimpf et al., J. Comput. Phys. 159, 2000), accepting what is not worse.
"""

import numpy as np

from edge_gym.kernel.assignment import empty_use, fits, give, price_of, take, total
from edge_gym.kernel.tables import NONE

from ._compiled import compiled

MAX_PULLED = 10


def improved(problem, home, n_rounds: int, seed: int) -> tuple[np.ndarray, float]:
    """A feasible assignment near `home`.

    Args:
        problem: The problem.
        home: (G,) int64, nodes wished for; who does not fit goes elsewhere.
        n_rounds: Times that agents are pulled out.
        seed: Of which ones.

    Returns:
        (G,) int64 nodes, NONE for those refused, and the cost rate.
    """
    found = np.full(len(home), NONE)
    wished, rng = np.asarray(home, np.int64), np.random.default_rng(seed)
    _ruin_and_recreate(problem, empty_use(problem), wished, found, n_rounds, rng)
    return found, float(total(problem, found))


@compiled
def _ruin_and_recreate(problem, use, wished, home, n_rounds, rng):
    """Fill `home`, which must be NONE everywhere."""
    n_agents = home.shape[0]
    for g in range(n_agents):
        if wished[g] != NONE and fits(problem, use, g, wished[g]):
            take(problem, use, g, wished[g])
            home[g] = wished[g]
    for g in range(n_agents):
        if home[g] == NONE:
            _put(problem, use, home, g, 0.0, rng)
    best = home.copy()
    least = total(problem, home)
    pulled = np.empty(MAX_PULLED, np.int64)
    for _ in range(n_rounds):
        n_pulled = _choose(problem, home, pulled, rng)
        for k in range(n_pulled):
            g = pulled[k]
            if home[g] != NONE:
                give(problem, use, g, home[g])
                home[g] = NONE
        for k in range(n_pulled):
            _put(problem, use, home, pulled[k], 0.1, rng)
        cost = total(problem, home)
        if cost <= least:
            least = cost
            best[:] = home
        else:
            for k in range(n_pulled):
                g = pulled[k]
                if home[g] != NONE:
                    give(problem, use, g, home[g])
                home[g] = NONE
            for k in range(n_pulled):
                g = pulled[k]
                if best[g] != NONE:
                    take(problem, use, g, best[g])
                home[g] = best[g]


@compiled
def _choose(problem, home, pulled, rng):
    """Some agents of two nodes and some of anywhere, in random order; those refused are always likely."""
    n_agents, n_nodes = problem.own.shape
    n = rng.integers(2, min(MAX_PULLED, n_agents) + 1) if n_agents > 1 else 1
    nodes = (rng.integers(0, n_nodes), rng.integers(0, n_nodes))
    anchor = home[rng.integers(0, n_agents)]
    k = 0
    order = np.arange(n_agents)
    rng.shuffle(order)
    if rng.random() < 0.7:
        for g in order:
            if k < n and (home[g] == NONE or home[g] == nodes[0] or home[g] == anchor):
                pulled[k] = g
                k += 1
    if k < 2:
        k = 0
        for g in order[:n]:
            pulled[k] = g
            k += 1
    return k


@compiled
def _put(problem, use, home, g, noise, rng):
    """Put an agent where it costs least now, prices blurred by `noise`."""
    best, least = NONE, problem.refuse[g]
    for n in range(problem.own.shape[1]):
        if problem.own[g, n] < np.inf and fits(problem, use, g, n):
            cost = price_of(problem, use, home, g, n) * (1.0 + noise * rng.random())
            if cost < least:
                best, least = n, cost
    if best != NONE:
        take(problem, use, g, best)
        home[g] = best
