"""Which choices a bound leaves open: what would cost more than an assignment already found is closed for good."""

from typing import NamedTuple

import numpy as np

from edge_gym.kernel.assignment import Problem
from edge_gym.kernel.tables import NONE

from .lagrange import MAX_VISITS, Halves, Relaxed, may_live
from .relaxed_node import fill
from .relaxed_tree import at_best

FEW_VISITS = 1000  # one search for each pair: less exact, but there are many


class Open(NamedTuple):
    """What an assignment no dearer than the one found may have."""

    pairs: np.ndarray  # (G, N) bool, an agent on a node
    refused: np.ndarray  # (G,) bool, an agent nowhere
    together: list[np.ndarray]  # of each agent (N, N) bool: it here and its parent there
    earns: np.ndarray  # (N,) f8, what no set of agents on a node earns more than, at the prices of the bound


def open_choices(problem: Problem, relaxed: Relaxed) -> Open:
    """Test each choice: the bound with that choice forced, by both halves, against the cost found.

    Every assignment that fits and costs no more than `relaxed.cost` stays possible.
    """
    may = may_live(problem)
    n_agents, n_nodes = may.shape
    halves = Halves(problem, may)
    bound = halves.bound(relaxed.prices, MAX_VISITS)
    least = np.empty((n_agents, n_nodes + 1))
    at_best(problem, halves.below, halves.to_parent, least)
    lost_by_tree = least - least.min(axis=1, keepdims=True)
    room = relaxed.cost - bound + 1e-9 * (abs(relaxed.cost) + abs(least).min())
    taken = np.empty(n_agents, np.int64)
    earns, lost_by_node = np.empty(n_nodes), np.zeros((n_agents, n_nodes))
    for n in range(n_nodes):
        earns[n] = fill(problem, n, relaxed.prices, may, -1, MAX_VISITS, taken)[0]
        for g in np.flatnonzero(may[:, n] & (lost_by_tree[:, n] <= room)):
            forced = fill(problem, n, relaxed.prices, may, g, FEW_VISITS, taken)[0]
            lost_by_node[g, n] = max(0.0, earns[n] - forced)
    pairs = may & (lost_by_tree[:, :n_nodes] + lost_by_node <= room)
    refused = lost_by_tree[:, n_nodes] <= room
    together = []
    for g, parent in enumerate(problem.parent):
        if parent == NONE:
            together.append(np.zeros((0, 0), bool))
            continue
        rest = least[parent, :n_nodes] - halves.to_parent[g, :n_nodes]
        cost = problem.talk_delay[g] * problem.rtt_s + problem.talk_bytes[g] * problem.per_byte
        lost = halves.below[g, :n_nodes, None] + cost + rest - least[g].min()
        together.append((lost <= room) & pairs[g][:, None] & pairs[parent])
    return Open(pairs, refused, together, earns)
