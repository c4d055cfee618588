"""Where the agents would live if living on a node cost a price and nothing were ever full.

They then depend on each other only along their trees, so dynamic programming finds the optimum: from the leaves to the
roots what a subtree costs, given where its root lives (Bellman 1957). Back again it gives what each single pair of an
agent and a node would cost at best. Choice N is to be refused.
"""

import numpy as np

from edge_gym.kernel.assignment import talk
from edge_gym.kernel.tables import NONE

from ._compiled import compiled


@compiled
def up(problem, price, may, below, to_parent):
    """What each subtree costs.

    Args:
        problem: The problem.
        price: (G, N) f8, cost rate of living there on top of `own`.
        may: (G, N) bool, the pairs considered.
        below: (G, N + 1) f8, filled: cost of the subtree of an agent, given where it lives.
        to_parent: (G, N + 1) f8, filled: the same at best, with the talk, given where its parent lives.

    Returns:
        The least cost of all.
    """
    n_agents, n_nodes = price.shape
    for g in range(n_agents):
        for n in range(n_nodes):
            below[g, n] = problem.own[g, n] + price[g, n] if may[g, n] else np.inf
        below[g, n_nodes] = problem.refuse[g]
    least_of_all = 0.0
    for g in range(n_agents - 1, -1, -1):
        least = below[g, n_nodes]
        for n in range(n_nodes):
            least = min(least, below[g, n])
        parent = problem.parent[g]
        if parent == NONE:
            least_of_all += least
            continue
        row = to_parent[g]
        row[:n_nodes] = below[g, n_nodes]
        row[n_nodes] = least
        _cheapest_talk(problem, g, below[g], row)
        for n in range(n_nodes + 1):
            below[parent, n] += row[n]
    return least_of_all


@compiled
def _cheapest_talk(problem, g, cost, row):
    """Lower row[k] to the least cost[n] + talk(n, k) of agent `g` and its parent."""
    delay, traffic = problem.talk_delay[g], problem.talk_bytes[g]
    n_nodes = problem.rtt_s.shape[0]
    for n in range(n_nodes):
        here = cost[n]
        if here < np.inf:
            rtt, per_byte = problem.rtt_s[n], problem.per_byte[n]
            for k in range(n_nodes):
                row[k] = min(row[k], here + (delay * rtt[k] + traffic * per_byte[k]))


@compiled
def down(problem, below, home):
    """Follow the optimum from the roots to the leaves; fills `home` with nodes, NONE for those refused."""
    n_agents, n_nodes = problem.own.shape
    for g in range(n_agents):
        parent = problem.parent[g]
        peer = home[parent] if parent != NONE else NONE
        best, least = NONE, below[g, n_nodes]
        for n in range(n_nodes):
            cost = below[g, n]
            if peer != NONE:
                cost += talk(problem, g, n, peer)
            if cost < least:
                best, least = n, cost
        home[g] = best


@compiled
def at_best(problem, below, to_parent, least):
    """Fill `least`, (G, N + 1) f8: the least cost of all, given where this one agent lives."""
    n_agents, n_nodes = problem.own.shape
    roots = 0.0
    for g in range(n_agents):
        if problem.parent[g] == NONE:
            roots += below[g].min()
    rest = np.empty(n_nodes + 1)
    for g in range(n_agents):
        parent = problem.parent[g]
        if parent == NONE:
            others = roots - below[g].min()
            for n in range(n_nodes + 1):
                least[g, n] = below[g, n] + others
            continue
        for k in range(n_nodes + 1):
            rest[k] = least[parent, k] - to_parent[g, k]
        lowest = rest.min()
        delay, traffic = problem.talk_delay[g], problem.talk_bytes[g]
        for n in range(n_nodes):
            with_peer = rest[n_nodes]
            for k in range(n_nodes):
                with_peer = min(with_peer, rest[k] + (delay * problem.rtt_s[n, k] + traffic * problem.per_byte[n, k]))
            least[g, n] = below[g, n] + with_peer
        least[g, n_nodes] = below[g, n_nodes] + lowest
