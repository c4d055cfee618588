"""Descent: move one agent, exchange two, move those of one node together, until nothing helps.

An agent is looked at again only when something changed beside it or among its peers (don't-look bits; Bentley,
ORSA Journal on Computing 4(4), 1992).
"""

import numpy as np

from edge_gym.kernel.assignment import fits, talk
from edge_gym.kernel.tables import NONE

from ._compiled import compiled, inlined
from .state import (
    best_place,
    crowding,
    degree,
    lift,
    most_prices,
    move_in,
    move_out,
    peer,
    price,
    price_or_refuse,
    put,
    talk_at,
)

TINY = 1e-9  # of the cost; smaller gains are rounding


@inlined
def wake(problem, state, g, ends):
    """Agent `g`, its peers and those on its node are looked at (again). `ends`: head and length of the queue."""
    size = state.queue.shape[0]
    for k in range(-1, degree(problem, g)):
        other = g if k < 0 else peer(problem, g, k)
        if state.waiting[other] == 0:
            state.waiting[other] = 1
            state.queue[(ends[0] + ends[1]) % size] = other
            ends[1] += 1
    if state.home[g] != NONE:
        wake_node(state, state.home[g], ends)


@inlined
def wake_node(state, n, ends):
    """Those on a node are looked at (again)."""
    size = state.queue.shape[0]
    other = state.first[n]
    while other != NONE:
        if state.waiting[other] == 0:
            state.waiting[other] = 1
            state.queue[(ends[0] + ends[1]) % size] = other
            ends[1] += 1
        other = state.after[other]


@inlined
def shift(problem, state, near, g, ends, tiny):
    """Move one agent to its best place, or refuse it. Returns the change of the cost rate, 0 if it stays."""
    home = state.home[g]
    if home != NONE:
        move_out(problem, state, g)
    here = price_or_refuse(problem, state, g, home)
    best, least = best_place(problem, state, near, g)
    if least >= here - tiny:
        if home != NONE:
            move_in(problem, state, g, home)
        return 0.0
    if home != NONE:
        wake_node(state, home, ends)
    if best != NONE:
        move_in(problem, state, g, best)
    wake(problem, state, g, ends)
    return least - here


@inlined
def exchange_change(problem, state, g, other):
    """By how much the cost rate grows when two agents exchange their nodes; that they fit is not checked."""
    state.prices[0] += 3
    a, b = state.home[g], state.home[other]
    load_a = problem.load_before[a] + state.use.load[a] - problem.load[g, a] + problem.load[other, a]
    load_b = problem.load_before[b] + state.use.load[b] - problem.load[other, b] + problem.load[g, b]
    change = problem.own[g, b] - problem.own[g, a] + problem.own[other, a] - problem.own[other, b]
    crowded = crowding(load_a) - state.crowd[a] + crowding(load_b) - state.crowd[b]
    change += problem.crowd_weight * crowded
    change += talk_at(problem, state, g, b) - talk_at(problem, state, g, a)
    change += talk_at(problem, state, other, a) - talk_at(problem, state, other, b)
    # Between two that talk to each other the sums above put both on one node, which they never are.
    if problem.parent[g] == other:
        change += talk(problem, g, b, a) + talk(problem, g, a, b) - talk(problem, g, a, a) - talk(problem, g, b, b)
    elif problem.parent[other] == g:
        change += talk(problem, other, a, b) + talk(problem, other, b, a)
        change -= talk(problem, other, a, a) + talk(problem, other, b, b)
    return change


@inlined
def exchange_fits(problem, state, g, other):
    """Whether two agents can exchange their nodes."""
    a, b = state.home[g], state.home[other]
    lift(problem, state, g)
    lift(problem, state, other)
    good = fits(problem, state.use, g, b)
    if good:
        put(problem, state, g, b)
        good = fits(problem, state.use, other, a)
        lift(problem, state, g)
    put(problem, state, g, a)
    put(problem, state, other, b)
    return good


@inlined
def swap(problem, state, g, other):
    """Two agents exchange their nodes."""
    a, b = state.home[g], state.home[other]
    move_out(problem, state, g)
    move_out(problem, state, other)
    move_in(problem, state, g, b)
    move_in(problem, state, other, a)


@inlined
def exchange(problem, state, near, n_exchange, g, ends, tiny, limit):
    """Exchange the node of one agent with the best other one. Returns the change of the cost rate, 0 if none helps."""
    home = state.home[g]
    best, least = NONE, -tiny
    for k in range(min(n_exchange, near.shape[1])):
        n = near[g, k]
        if n == home or not problem.own[g, n] < np.inf:
            continue
        other = state.first[n]
        while other != NONE and state.prices[0] + 3 <= limit:
            change = exchange_change(problem, state, g, other)
            if change < least and exchange_fits(problem, state, g, other):
                best, least = other, change
            other = state.after[other]
    if best == NONE:
        return 0.0
    swap(problem, state, g, best)
    wake(problem, state, g, ends)
    wake(problem, state, best, ends)
    return least


@inlined
def push_in(problem, state, near, g, ends, tiny, limit):
    """A refused agent takes the place of another, which goes elsewhere or is refused. Returns the change, or 0."""
    best, least, goal = NONE, -tiny, NONE
    for k in range(near.shape[1]):
        n = near[g, k]
        other = state.first[n]
        while other != NONE and state.prices[0] + most_prices(problem, other) + 1 <= limit:
            lift(problem, state, other)
            if fits(problem, state.use, g, n):
                change = price(problem, state, g, n) - problem.refuse[g] - price(problem, state, other, n)
                put(problem, state, g, n)
                there, cost = best_place(problem, state, near, other)
                lift(problem, state, g)
                if change + cost < least:
                    best, least, goal = other, change + cost, there
            put(problem, state, other, n)
            other = state.after[other]
    if best == NONE:
        return 0.0
    n = state.home[best]
    move_out(problem, state, best)
    move_in(problem, state, g, n)
    if goal != NONE:
        move_in(problem, state, best, goal)
    wake(problem, state, g, ends)
    wake(problem, state, best, ends)
    return least


@inlined
def gather(problem, state, g, kind):
    """Who moves with `g`: those on its node with its model (kind 0), or those it talks to there, directly or not (1).

    Returns their number; they are in `state.group`, parents before children.
    """
    n = state.home[g]
    size = 0
    if kind == 0:
        other = state.first[n]
        while other != NONE:
            if problem.model[other] == problem.model[g]:
                state.group[size] = other
                size += 1
            other = state.after[other]
        return size
    state.group[0] = g
    size = 1
    done = 0
    while done < size:
        member = state.group[done]
        done += 1
        for k in range(degree(problem, member)):
            other = peer(problem, member, k)
            if state.home[other] == n:
                known = False
                for i in range(size):
                    known |= state.group[i] == other
                if not known:
                    state.group[size] = other
                    size += 1
    return size


@inlined
def enter(problem, state, size, n):
    """The group goes to node `n` one by one. Returns the price; infinite, and some have no home, if not all fit."""
    cost = 0.0
    for i in range(size):
        g = state.group[i]
        if not fits(problem, state.use, g, n):
            return np.inf
        cost += price(problem, state, g, n)
        put(problem, state, g, n)
    return cost


@inlined
def move_group(problem, state, near, g, kind, ends, tiny, limit):
    """Move those who belong to `g` on its node to another node together. Returns the change, 0 if none helps."""
    home = state.home[g]
    if home == NONE:
        return 0.0
    size = gather(problem, state, g, kind)
    if size < 2 or state.prices[0] + size * (near.shape[1] + 1) > limit:
        return 0.0
    for i in range(size):
        move_out(problem, state, state.group[i])
    here = 0.0
    for i in range(size):  # not by `enter`: they do fit, even if the last digit of a sum says otherwise
        here += price(problem, state, state.group[i], home)
        put(problem, state, state.group[i], home)
    best, least = home, here - tiny
    for k in range(near.shape[1]):
        n = near[g, k]
        for i in range(size):
            if state.home[state.group[i]] != NONE:
                lift(problem, state, state.group[i])
        if n != home:
            cost = enter(problem, state, size, n)
            if cost < least:
                best, least = n, cost
    for i in range(size):
        if state.home[state.group[i]] != NONE:
            lift(problem, state, state.group[i])
    for i in range(size):
        move_in(problem, state, state.group[i], best)
    if best == home:
        return 0.0
    wake_node(state, home, ends)
    for i in range(size):
        wake(problem, state, state.group[i], ends)
    return least - here


@inlined
def wake_changed(problem, state, old, ends):
    """Wake all who live elsewhere than in `old`, their peers, and those on the nodes they left and entered."""
    ends[0], ends[1] = 0, 0
    state.waiting[:] = 0
    for g in range(old.shape[0]):
        if state.home[g] != old[g]:
            wake(problem, state, g, ends)
            if old[g] != NONE:
                wake_node(state, old[g], ends)


@compiled
def descend(problem, state, near, n_exchange, groups, ends, tiny, limit):
    """Descend from the agents in the queue, until it is empty or so many prices were computed.

    Args:
        problem: The problem.
        state: Changed in place.
        near: (G, K) int64, candidate nodes of each agent.
        n_exchange: Exchanges are tried with agents on so many of the candidates; 0: none.
        groups: Whether groups are moved, too.
        ends: (2,) int64, head and length of the queue in `state.queue`.
        tiny: Smaller gains do not count, cost rate.
        limit: Prices after which to stop; never exceeded.

    Returns:
        The change of the cost rate.
    """
    size = state.queue.shape[0]
    change = 0.0
    while ends[1] > 0:
        g = state.queue[ends[0]]
        if state.prices[0] + most_prices(problem, g) > limit:
            break
        ends[0] = (ends[0] + 1) % size
        ends[1] -= 1
        state.waiting[g] = 0
        gain = shift(problem, state, near, g, ends, tiny)
        if gain == 0.0 and n_exchange > 0:
            if state.home[g] == NONE:
                gain = push_in(problem, state, near, g, ends, tiny, limit)
            else:
                gain = exchange(problem, state, near, n_exchange, g, ends, tiny, limit)
        if gain == 0.0 and groups:
            gain = move_group(problem, state, near, g, 0, ends, tiny, limit)
            if gain == 0.0:
                gain = move_group(problem, state, near, g, 1, ends, tiny, limit)
        change += gain
    return change


@compiled
def descend_from_all(problem, state, near, n_exchange, groups, ends, tiny, until, limit, begin):
    """Descend with all agents in the queue if `begin`, otherwise with those that still wait, up to `until` prices."""
    if begin:
        ends[0], ends[1] = 0, 0
        for g in range(state.home.shape[0]):
            state.queue[g] = g
            state.waiting[g] = 1
        ends[1] = state.home.shape[0]
    return descend(problem, state, near, n_exchange, groups, ends, tiny, min(until, limit))
