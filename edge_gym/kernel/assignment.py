"""What it costs to let the agents of an application live where: the world's own cost function, and what fits.

Everything is a rate: request-seconds per second (by Little's law, requests in the system) and US dollars per second,
weighted as the scenario weighs latency and cost. The observation (`agent_cost`), the default rule, ant colony and the
exact solver all stand on these functions.
"""

from typing import NamedTuple

import numpy as np

from ._jit import jit
from .tables import NONE

# A processor-sharing server with load r holds r / (1 - r) requests (M/M/1; Kleinrock, Queueing Systems II, 1976, 4.4):
# r that would be there anyway, and r**2 / (1 - r) by crowding. Straight lines between these knots, so that an integer
# program can have the same function; beyond the last one the line goes on.
KNOTS = (0.0, 0.2, 0.4, 0.55, 0.67, 0.76, 0.83, 0.88, 0.92, 0.95)
_VALUES = tuple(r * r / (1.0 - r) for r in KNOTS)
_SLOPES = tuple((_VALUES[k + 1] - _VALUES[k]) / (KNOTS[k + 1] - KNOTS[k]) for k in range(len(KNOTS) - 1))


class Problem(NamedTuple):
    """Where shall the agents of an application live? G agents, N nodes, M models; arrays, so it compiles."""

    own: np.ndarray  # (G, N) f8, cost rate of an agent on a node without crowding and peers; inf: it cannot live there
    refuse: np.ndarray  # (G,) f8, cost rate of not placing it
    load: np.ndarray  # (G, N) f8, share of the node's throughput it takes
    memory: np.ndarray  # (G,) f8, bytes, the weights of its model excluded
    storage: np.ndarray  # (G,) f8, bytes
    traffic: np.ndarray  # (G,) f8, bytes/s
    model: np.ndarray  # (G,) i8
    parent: np.ndarray  # (G,) i8, the agent it talks to, which comes before it; -1: none
    child_at: np.ndarray  # (G + 1,) i8, where its children begin in `child`
    child: np.ndarray  # (G,) i8
    talk_delay: np.ndarray  # (G,) f8, cost rate of each second of `rtt_s` between it and its parent
    talk_bytes: np.ndarray  # (G,) f8, bytes/s exchanged with its parent
    rtt_s: np.ndarray  # (N, N) f8, there and back between nodes, seconds
    per_byte: np.ndarray  # (N, N) f8, cost of a byte between nodes
    load_before: np.ndarray  # (N,) f8, what others take already
    load_limit: np.ndarray  # (N,) f8
    memory_free: np.ndarray  # (N,) f8, bytes
    storage_free: np.ndarray  # (N,) f8, bytes
    traffic_free: np.ndarray  # (N,) f8, bytes/s
    held: np.ndarray  # (N, M) i8, 1: the weights are there already, for others
    weights: np.ndarray  # (M,) f8, bytes
    crowd_weight: float  # cost rate of one waiting request


class Use(NamedTuple):
    """What the agents placed so far take of the nodes."""

    load: np.ndarray  # (N,) f8
    memory: np.ndarray  # (N,) f8
    storage: np.ndarray  # (N,) f8
    traffic: np.ndarray  # (N,) f8
    agents: np.ndarray  # (N, M) i8, agents of this problem by model


def empty_use(problem: Problem) -> Use:
    """Nobody is placed yet."""
    n_nodes, n_models = problem.held.shape
    zeros = [np.zeros(n_nodes) for _ in range(4)]
    return Use(*zeros, agents=np.zeros((n_nodes, n_models), np.int64))


@jit
def crowd(load):
    """Requests that a node of this load holds beyond those that run alone anyway; convex, piecewise linear."""
    k = 0
    while k < len(_SLOPES) - 1 and load > KNOTS[k + 1]:
        k += 1
    return _VALUES[k] + (load - KNOTS[k]) * _SLOPES[k]


@jit
def fits(problem, use, g, n):
    """Whether agent `g` may live on node `n` beside those placed so far."""
    m = problem.model[g]
    weights = 0.0
    if problem.held[n, m] == 0 and use.agents[n, m] == 0:
        weights = problem.weights[m]
    if not problem.own[g, n] < np.inf:
        return False
    if problem.load_before[n] + use.load[n] + problem.load[g, n] > problem.load_limit[n]:
        return False
    if use.memory[n] + problem.memory[g] + weights > problem.memory_free[n]:
        return False
    if use.storage[n] + problem.storage[g] > problem.storage_free[n]:
        return False
    return use.traffic[n] + problem.traffic[g] <= problem.traffic_free[n]


@jit
def take(problem, use, g, n):
    """Agent `g` takes its share of node `n`."""
    m = problem.model[g]
    use.load[n] += problem.load[g, n]
    use.memory[n] += problem.memory[g]
    use.storage[n] += problem.storage[g]
    use.traffic[n] += problem.traffic[g]
    if problem.held[n, m] == 0 and use.agents[n, m] == 0:
        use.memory[n] += problem.weights[m]
    use.agents[n, m] += 1


@jit
def give(problem, use, g, n):
    """Agent `g` gives back what it took of node `n`."""
    m = problem.model[g]
    use.load[n] -= problem.load[g, n]
    use.memory[n] -= problem.memory[g]
    use.storage[n] -= problem.storage[g]
    use.traffic[n] -= problem.traffic[g]
    use.agents[n, m] -= 1
    if problem.held[n, m] == 0 and use.agents[n, m] == 0:
        use.memory[n] -= problem.weights[m]


@jit
def talk(problem, g, n, peer_n):
    """Cost rate of what agent `g` on node `n` and its parent on node `peer_n` say to each other."""
    return problem.talk_delay[g] * problem.rtt_s[n, peer_n] + problem.talk_bytes[g] * problem.per_byte[n, peer_n]


@jit
def price_of(problem, use, home, g, n):
    """By how much the cost rate grows when agent `g` goes to node `n`; peers that have no home yet do not count."""
    before = problem.load_before[n] + use.load[n]
    cost = problem.own[g, n] + problem.crowd_weight * (crowd(before + problem.load[g, n]) - crowd(before))
    parent = problem.parent[g]
    if parent != NONE and home[parent] != NONE:
        cost += talk(problem, g, n, home[parent])
    for k in range(problem.child_at[g], problem.child_at[g + 1]):
        child = problem.child[k]
        if home[child] != NONE:
            cost += talk(problem, child, home[child], n)
    return cost


@jit
def total(problem, home):
    """Cost rate of a whole assignment.

    Args:
        problem: The problem.
        home: (G,) int64, node of each agent, NONE for those refused. That it fits is not checked.
    """
    cost = 0.0
    for g in range(home.shape[0]):
        if home[g] == NONE:
            cost += problem.refuse[g]
            continue
        cost += problem.own[g, home[g]]
        parent = problem.parent[g]
        if parent != NONE and home[parent] != NONE:
            cost += talk(problem, g, home[g], home[parent])
    for n in range(problem.load_before.shape[0]):
        load = problem.load_before[n]
        for g in range(home.shape[0]):
            if home[g] == n:
                load += problem.load[g, n]
        cost += problem.crowd_weight * (crowd(load) - crowd(problem.load_before[n]))
    return cost


@jit
def all_fit(problem, use, home):
    """Whether a whole assignment respects every capacity. `use` must be empty; afterwards it is what is taken."""
    for g in range(home.shape[0]):
        if home[g] != NONE:
            if not fits(problem, use, g, home[g]):
                return False
            take(problem, use, g, home[g])
    return True


@jit
def link_children(parent, child_at, child):
    """Fill the lists of children from the parents."""
    n = parent.shape[0]
    child_at[:] = 0
    for g in range(n):
        if parent[g] != NONE:
            child_at[parent[g] + 1] += 1
    for g in range(n):
        child_at[g + 1] += child_at[g]
    for g in range(n - 1, -1, -1):  # filled from the back; then entry p + 1 is where the children of p begin
        if parent[g] != NONE:
            child_at[parent[g] + 1] -= 1
            child[child_at[parent[g] + 1]] = g
    total_children = 0
    for g in range(n):
        total_children += 1 if parent[g] != NONE else 0
        child_at[g] = child_at[g + 1]
    child_at[n] = total_children
