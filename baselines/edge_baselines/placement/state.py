"""A partial assignment that can be changed one agent at a time, and the price of each change.

The sums follow the agents, so a trial costs a few additions whatever the size of the problem. Prices are those of
`edge_gym.kernel.assignment.price_of`; here the crowding before the change is remembered instead of computed again.
"""

from typing import NamedTuple

import numpy as np

from edge_gym.kernel.assignment import Problem, Use, crowd, empty_use, fits, give, take, talk
from edge_gym.kernel.random import stream_key, uniform
from edge_gym.kernel.tables import NONE

from ._compiled import compiled, inlined

# `crowd` is linear between multiples of a hundredth, so this table is the same function and faster to evaluate.
_GRID = 100
_VALUE = np.array([crowd(i / _GRID) for i in range(_GRID)])
_SLOPE = np.array([(crowd((i + 1) / _GRID) - crowd(i / _GRID)) * _GRID for i in range(_GRID)])

_STREAM = 64  # beside the streams of the worlds: no solver shares their numbers


class State(NamedTuple):
    """Where the agents are, what that takes of the nodes, and the draws so far. Changed in place."""

    home: np.ndarray  # (G,) i8, node, NONE: without a home
    use: Use
    crowd: np.ndarray  # (N,) f8, crowding at the present load, others included
    first: np.ndarray  # (N,) i8, the first agent of a node, NONE: empty
    after: np.ndarray  # (G,) i8, the next agent on the same node
    before: np.ndarray  # (G,) i8, the one before
    prices: np.ndarray  # (1,) i8, prices computed so far: what evaluations are counted in
    random: np.ndarray  # (2,) u8, key of the stream and draws so far
    queue: np.ndarray  # (G,) i8, scratch of the local search
    waiting: np.ndarray  # (G,) i8, 1: in the queue
    group: np.ndarray  # (G,) i8, scratch for sets of agents
    nodes: np.ndarray  # (N,) i8, scratch of the construction
    costs: np.ndarray  # (N,) f8, the same
    odds: np.ndarray  # (N,) f8, the same


def new_state(problem: Problem, seed: int) -> State:
    """A state in which nobody has a home.

    Args:
        problem: The problem.
        seed: Of the random numbers, any integer.
    """
    n_agents, n_nodes = problem.own.shape
    key = stream_key(np.uint64(seed % 2**64), _STREAM, 0)
    state = State(
        home=np.full(n_agents, NONE),
        use=empty_use(problem),
        crowd=np.zeros(n_nodes),
        first=np.full(n_nodes, NONE),
        after=np.full(n_agents, NONE),
        before=np.full(n_agents, NONE),
        prices=np.zeros(1, np.int64),
        random=np.array([key, 0], np.uint64),
        queue=np.zeros(n_agents, np.int64),
        waiting=np.zeros(n_agents, np.int64),
        group=np.zeros(n_agents, np.int64),
        nodes=np.zeros(n_nodes, np.int64),
        costs=np.zeros(n_nodes),
        odds=np.zeros(n_nodes),
    )
    settle(problem, state, state.home.copy())
    return state


@inlined
def crowding(load):
    """The same as `crowd`."""
    k = max(0, min(int(load * _GRID), _GRID - 1))
    return _VALUE[k] + (load - k / _GRID) * _SLOPE[k]


@inlined
def draw(state):
    """The next random number in (0, 1)."""
    state.random[1] += np.uint64(1)
    return uniform(state.random[0], state.random[1])


@inlined
def pick(state, n):
    """A random integer from 0 to n - 1."""
    return min(int(draw(state) * n), n - 1)


@inlined
def copy_into(target, source):
    """Copy an array; a slice assignment would allocate in case they overlap."""
    for i in range(source.shape[0]):
        target[i] = source[i]


@inlined
def put(problem, state, g, n):
    """Agent `g`, without a home, goes to node `n`; the caller links it if it stays."""
    take(problem, state.use, g, n)
    state.crowd[n] = crowding(problem.load_before[n] + state.use.load[n])
    state.home[g] = n


@inlined
def lift(problem, state, g):
    """Agent `g` leaves its node for a trial; its place in the list of members is kept."""
    n = state.home[g]
    give(problem, state.use, g, n)
    state.crowd[n] = crowding(problem.load_before[n] + state.use.load[n])
    state.home[g] = NONE


@inlined
def link(state, g, n):
    """Agent `g` becomes the first member of node `n`."""
    other = state.first[n]
    state.before[g], state.after[g] = NONE, other
    if other != NONE:
        state.before[other] = g
    state.first[n] = g


@inlined
def unlink(state, g, n):
    """Agent `g` is no member of node `n` any more."""
    if state.before[g] == NONE:
        state.first[n] = state.after[g]
    else:
        state.after[state.before[g]] = state.after[g]
    if state.after[g] != NONE:
        state.before[state.after[g]] = state.before[g]


@inlined
def move_in(problem, state, g, n):
    """Agent `g`, without a home, goes to node `n` to stay."""
    put(problem, state, g, n)
    link(state, g, n)


@inlined
def move_out(problem, state, g):
    """Agent `g` leaves its node."""
    unlink(state, g, state.home[g])
    lift(problem, state, g)


@inlined
def talk_at(problem, state, g, n):
    """Cost rate of what an agent on node `n` says to its peers that have homes, and they to it."""
    cost = 0.0
    parent = problem.parent[g]
    if parent != NONE and state.home[parent] != NONE:
        cost += talk(problem, g, n, state.home[parent])
    for k in range(problem.child_at[g], problem.child_at[g + 1]):
        child = problem.child[k]
        if state.home[child] != NONE:
            cost += talk(problem, child, state.home[child], n)
    return cost


@inlined
def price(problem, state, g, n):
    """By how much the cost rate grows when agent `g`, without a home, goes to node `n` (`price_of`); counted."""
    state.prices[0] += 1
    load = problem.load_before[n] + state.use.load[n] + problem.load[g, n]
    cost = problem.own[g, n] + problem.crowd_weight * (crowding(load) - state.crowd[n])
    return cost + talk_at(problem, state, g, n)


@inlined
def price_or_refuse(problem, state, g, n):
    """The same, where NONE stands for refusing the agent."""
    return problem.refuse[g] if n == NONE else price(problem, state, g, n)


@inlined
def degree(problem, g):
    """Peers of an agent."""
    return problem.child_at[g + 1] - problem.child_at[g] + (1 if problem.parent[g] != NONE else 0)


@inlined
def peer(problem, g, k):
    """Peer number `k` of an agent: its children, then its parent."""
    at = problem.child_at[g] + k
    return problem.child[at] if at < problem.child_at[g + 1] else problem.parent[g]


@inlined
def best_place(problem, state, near, g):
    """The cheapest node of the candidates of `g` and the homes of its peers; all nodes if it fits on none of them.

    Returns:
        The node (NONE if the agent is better refused) and the price.
    """
    best, least = NONE, problem.refuse[g]
    found = False
    for k in range(near.shape[1]):
        n = near[g, k]
        cost = price(problem, state, g, n)
        if cost < least and fits(problem, state.use, g, n):
            best, least, found = n, cost, True
    if near.shape[1] == problem.own.shape[1]:
        return best, least
    for k in range(degree(problem, g)):
        n = state.home[peer(problem, g, k)]
        if n != NONE:
            cost = price(problem, state, g, n)
            if cost < least and fits(problem, state.use, g, n):
                best, least, found = n, cost, True
    if not found:
        for n in range(problem.own.shape[1]):
            cost = price(problem, state, g, n)
            if cost < least and fits(problem, state.use, g, n):
                best, least = n, cost
    return best, least


@inlined
def most_prices(problem, g):
    """At most so many prices does one `best_place` compute, and one at home."""
    return 2 * problem.own.shape[1] + degree(problem, g) + 1


@compiled
def settle(problem, state, home):
    """Make the state that of another assignment, and clear what rounding left in the sums.

    Agents that do not fit beside those before them get no home. Returns whether all did (`all_fit`).
    """
    use = state.use
    use.load[:], use.memory[:], use.storage[:], use.traffic[:] = 0.0, 0.0, 0.0, 0.0
    use.agents[:, :] = 0
    state.first[:] = NONE
    good = True
    for g in range(home.shape[0]):
        n = home[g]
        state.home[g] = NONE
        if n == NONE:
            continue
        if 0 <= n < problem.own.shape[1] and fits(problem, use, g, n):
            take(problem, use, g, n)
            state.home[g] = n
            link(state, g, n)
        else:
            good = False
    for n in range(use.load.shape[0]):
        state.crowd[n] = crowding(problem.load_before[n] + use.load[n])
    return good


@compiled
def go_to(problem, state, home):
    """Make the state that of a similar assignment, by moving only who lives elsewhere there."""
    for g in range(home.shape[0]):
        if state.home[g] != home[g] and state.home[g] != NONE:
            move_out(problem, state, g)
    for g in range(home.shape[0]):
        if state.home[g] != home[g]:
            move_in(problem, state, g, home[g])


@inlined
def cost_of(problem, state):
    """The cost rate of the present assignment, as `total` has it, from the sums."""
    cost = 0.0
    for g in range(state.home.shape[0]):
        n = state.home[g]
        if n == NONE:
            cost += problem.refuse[g]
            continue
        cost += problem.own[g, n]
        parent = problem.parent[g]
        if parent != NONE and state.home[parent] != NONE:
            cost += talk(problem, g, n, state.home[parent])
    for n in range(state.crowd.shape[0]):
        cost += problem.crowd_weight * (state.crowd[n] - crowding(problem.load_before[n]))
    return cost


@inlined
def keep_if_better(problem, state, best_home, best_cost, cost):
    """Remember the present assignment, of about that cost, if it is the best so far and fits to the last digit."""
    if cost >= best_cost[0]:
        return False
    copy_into(state.group, state.home)
    if not settle(problem, state, state.group):
        return False
    state.prices[0] += state.home.shape[0]
    cost = cost_of(problem, state)
    if cost >= best_cost[0]:
        return False
    best_cost[0] = cost
    copy_into(best_home, state.home)
    return True
