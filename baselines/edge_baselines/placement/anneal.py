"""Simulated annealing: random moves and exchanges; the worse, the rarer, and ever more so.

Kirkpatrick, Gelatt, Vecchi, Science 220, 1983.
"""

from __future__ import annotations

import math

import numpy as np

from edge_gym.kernel.assignment import Problem, fits
from edge_gym.kernel.tables import NONE

from ._compiled import compiled, inlined
from .candidates import nearest_nodes
from .greedy import begin
from .local_search import TINY, descend_from_all, exchange_change, exchange_fits, swap
from .repair import keep
from .settings import Anneal
from .solution import SLICE, UNLIMITED, Course, Limits, Solution
from .state import (
    degree,
    draw,
    keep_if_better,
    move_in,
    move_out,
    peer,
    pick,
    price,
    price_or_refuse,
)

LAST = 0.02  # share of the budget that is left to the last descent


@inlined
def _random_node(problem, state, near, g):
    """A candidate of agent `g`, or in one case of eight where one of its peers lives."""
    if pick(state, 8) == 0 and degree(problem, g) > 0:
        n = state.home[peer(problem, g, pick(state, degree(problem, g)))]
        if n != NONE:
            return n
    return near[g, pick(state, near.shape[1])]


@inlined
def _accepts(state, change, temperature):
    return change <= 0.0 or (temperature > 0.0 and draw(state) < math.exp(-change / temperature))


@inlined
def _try_move(problem, state, near, g, temperature):
    """Move one agent to a random node, now and then nowhere. Returns the change of the cost rate."""
    home = state.home[g]
    n = NONE if pick(state, 64) == 0 else _random_node(problem, state, near, g)
    if n == home:
        return 0.0
    if home != NONE:
        move_out(problem, state, g)
    change = np.inf
    if n == NONE or fits(problem, state.use, g, n):
        change = price_or_refuse(problem, state, g, n) - price_or_refuse(problem, state, g, home)
    if change < np.inf and _accepts(state, change, temperature):
        if n != NONE:
            move_in(problem, state, g, n)
        return change
    if home != NONE:
        move_in(problem, state, g, home)
    return 0.0


@inlined
def _try_push_out(problem, state, g, other, temperature):
    """A refused agent takes the place of another, which is refused. Returns the change of the cost rate."""
    n = state.home[other]
    move_out(problem, state, other)
    if fits(problem, state.use, g, n):
        change = price(problem, state, g, n) - price(problem, state, other, n)
        change += problem.refuse[other] - problem.refuse[g]
        if _accepts(state, change, temperature):
            move_in(problem, state, g, n)
            return change
    move_in(problem, state, other, n)
    return 0.0


@inlined
def _try_exchange(problem, state, near, g, temperature):
    """Exchange one agent with a random one of a random node. Returns the change of the cost rate."""
    n = _random_node(problem, state, near, g)
    size = 0
    other, chosen = state.first[n], NONE
    while other != NONE:
        size += 1
        if pick(state, size) == 0:
            chosen = other
        other = state.after[other]
    if chosen == NONE or n == state.home[g]:
        return 0.0
    if state.home[g] == NONE:
        return _try_push_out(problem, state, g, chosen, temperature)
    change = exchange_change(problem, state, g, chosen)
    if change < np.inf and _accepts(state, change, temperature) and exchange_fits(problem, state, g, chosen):
        swap(problem, state, g, chosen)
        return change
    return 0.0


@compiled
def cool(problem, state, near, best_home, best_cost, cost, temperature, exchange, until, limit):
    """Random trials at one temperature, until so many prices were computed.

    Args:
        problem: The problem.
        state: Changed in place.
        near: (G, K) int64, candidates.
        best_home: (G,) int64, the best so far.
        best_cost: (1,) float64.
        cost: (1,) float64, cost rate of the present assignment.
        temperature: Cost rate.
        exchange: Share of the trials that exchange two agents.
        until: Prices.
        limit: Prices, never exceeded.
    """
    n_agents = state.home.shape[0]
    idle = 0
    while state.prices[0] < until and state.prices[0] + n_agents + 3 <= limit and idle < 1000:
        spent = state.prices[0]
        g = pick(state, n_agents)
        if draw(state) < exchange:
            cost[0] += _try_exchange(problem, state, near, g, temperature)
        else:
            cost[0] += _try_move(problem, state, near, g, temperature)
        idle = idle + 1 if state.prices[0] == spent else 0
        if cost[0] < best_cost[0] * (1.0 - TINY):
            keep_if_better(problem, state, best_home, best_cost, cost[0])


@compiled
def uphill(problem, state, near, trials, limit):
    """Mean change of random moves that make it worse, cost rate."""
    total, count = 0.0, 0
    for _ in range(trials):
        g = pick(state, state.home.shape[0])
        home, n = state.home[g], _random_node(problem, state, near, g)
        if home == NONE or n == home or state.prices[0] + 2 > limit:
            continue
        move_out(problem, state, g)
        change = price(problem, state, g, n) - price(problem, state, g, home)
        if 0.0 < change < np.inf and fits(problem, state.use, g, n):
            total += change
            count += 1
        move_in(problem, state, g, home)
    return total / max(1, count)


def solve_by_annealing(problem: Problem, limits: Limits, seed: int, settings: Anneal | None = None) -> Solution:
    """Simulated annealing, cooled several times over the budget, with a descent whenever it is cold.

    Args:
        problem: The problem.
        limits: When to stop.
        seed: Of the random numbers.
        settings: By default the tuned ones.
    """
    s = settings or Anneal()
    course = Course(problem, limits, seed)
    begin(course)
    state, limit = course.state, course.limit
    best = course.best_home, course.best_cost
    near = nearest_nodes(course, s.n_near)
    first = uphill(problem, state, near, 500, limit) / -math.log(s.accept)
    cost = course.best_cost.copy()

    ends, cycle = np.zeros(2, np.int64), 0

    def work(until: int) -> bool:
        nonlocal cycle
        at = min(course.progress / (1.0 - LAST), 1.0) * s.cycles
        if int(at) > cycle:  # it is cold: descend, then begin again, or be done
            cycle = int(at)
            tiny = TINY * float(cost[0])
            cost[0] += descend_from_all(
                problem, state, near, s.n_exchange, s.groups, ends, tiny, UNLIMITED, limit, True
            )
            keep(problem, state, *best, float(cost[0]))
            return cycle < s.cycles
        temperature = first * s.cooling ** (at % 1.0)
        spent = int(state.prices[0])
        end = min(until, spent + max(100, min(SLICE, limit // (100 * s.cycles))))
        cool(problem, state, near, *best, cost, temperature, s.exchange, end, limit)
        return True

    course.run(work)
    return course.solution()
