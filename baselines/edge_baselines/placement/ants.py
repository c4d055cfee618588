"""Ant colony: ACS (Dorigo, Gambardella, IEEE TEC 1(1), 1997) and MMAS (Stuetzle, Hoos, FGCS 16, 2000).

The trail is kept between 0 and 1: what is laid is 1 whatever the cost, as only ratios matter (Blum, Dorigo, IEEE TSMC-B
34(2), 2004). An ant need not construct everything: with `focus` it re-places a few agents in a copy of the leading
assignment (Skinderowicz, Applied Soft Computing 2022), and descends from what it changed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge_gym.errors import EdgeGymInputError
from edge_gym.kernel.assignment import Problem
from edge_gym.kernel.tables import NONE

from ._compiled import compiled, inlined
from .candidates import nearest_nodes
from .construct import construct
from .grasp import everybody, mean_price, shuffle
from .greedy import begin
from .local_search import TINY, descend, wake_changed
from .repair import keep, mend
from .settings import Ants
from .solution import UNLIMITED, Course, Limits, Solution
from .state import copy_into, degree, go_to, keep_if_better, move_out, peer, pick, price


class Colony(NamedTuple):
    """What an ant colony remembers. Changed in place."""

    trail: np.ndarray  # (G, N) f8, pheromone
    best_home: np.ndarray  # (G,) i8, the best ever
    best_cost: np.ndarray  # (1,) f8
    lead_home: np.ndarray  # (G,) i8, the best since the trail was wiped
    lead_cost: np.ndarray  # (1,) f8
    turn_home: np.ndarray  # (G,) i8, the best of this iteration
    order: np.ndarray  # (G,) i8, scratch
    nobody: np.ndarray  # (G,) i8, NONE everywhere
    ends: np.ndarray  # (2,) i8, scratch of the descent
    turns: np.ndarray  # (2,) i8, iterations since the trail was wiped, and since the lead improved


class Rates(NamedTuple):
    """The settings, in the form that compiled code takes."""

    use_trail: bool
    n_ants: int
    focus: int
    n_exchange: int
    groups: bool
    spread: float  # cost rate
    q0: float
    rho: float
    fade: float  # xi; 0: MMAS
    low: float  # least pheromone
    start: float  # pheromone after it was wiped
    elite_every: int
    patience: int


@inlined
def _choose_group(problem, state, near, order, focus):
    """Take out agents at random near a random one: on its candidate nodes and among its peers. Returns how many."""
    n_agents = order.shape[0]
    size = 0
    g = pick(state, n_agents)
    for _ in range(4 * focus):
        kind = pick(state, 3)
        other = NONE
        if kind == 0:
            other = state.first[near[g, pick(state, near.shape[1])]]
        elif kind == 1 and degree(problem, g) > 0:
            other = peer(problem, g, pick(state, degree(problem, g)))
        else:
            other = pick(state, n_agents)
        if other == NONE:
            continue
        known = False
        for i in range(size):
            known |= order[i] == other
        if not known:
            order[size] = other
            size += 1
            if size == focus:
                break
    return size


@inlined
def _walk(problem, state, near, colony, rates, limit):
    """One ant: copy the lead, re-place some agents, descend. Returns the cost, infinite if the limit was reached."""
    n_agents = colony.order.shape[0]
    if rates.focus == 0 or rates.focus >= n_agents or not colony.lead_cost[0] < np.inf:
        go_to(problem, state, colony.nobody)
        cost, size, source = 0.0, n_agents, colony.nobody
        everybody(colony.order)
    else:
        go_to(problem, state, colony.lead_home)
        cost, source = colony.lead_cost[0], colony.lead_home
        size = _choose_group(problem, state, near, colony.order, rates.focus)
        for i in range(size):
            g = colony.order[i]
            n = state.home[g]
            if n == NONE:
                cost -= problem.refuse[g]
            else:
                move_out(problem, state, g)
                cost -= price(problem, state, g, n)
    shuffle(state, colony.order, size)
    cost += construct(
        problem,
        state,
        near,
        colony.trail,
        colony.order,
        size,
        rates.use_trail,
        rates.spread,
        rates.q0,
        rates.fade,
        rates.start,
        limit,
    )
    if cost < np.inf:
        wake_changed(problem, state, source, colony.ends)
        cost += descend(problem, state, near, rates.n_exchange, rates.groups, colony.ends, TINY * cost, limit)
    return cost


@inlined
def _lay(colony, rates, home):
    """Update the trail by an assignment: everywhere (MMAS), or only where it leads (ACS)."""
    trail = colony.trail
    if rates.fade == 0.0:
        for g in range(trail.shape[0]):
            for n in range(trail.shape[1]):
                trail[g, n] = max(rates.low, trail[g, n] * (1.0 - rates.rho))
    for g in range(trail.shape[0]):
        n = home[g]
        if n != NONE:
            before = trail[g, n] if rates.fade == 0.0 else trail[g, n] * (1.0 - rates.rho)
            trail[g, n] = min(1.0, before + rates.rho)


@compiled
def iterate(problem, state, near, colony, rates, until, limit):
    """Send out ants, iteration after iteration, until so many prices were computed."""
    while state.prices[0] < until:
        least = np.inf
        for _ in range(rates.n_ants):
            cost = _walk(problem, state, near, colony, rates, limit)
            if cost < least:
                least = cost
                copy_into(colony.turn_home, state.home)
            if not cost < np.inf:
                break
        if not least < np.inf:
            return
        colony.turns[0] += 1
        colony.turns[1] += 1
        if least < colony.lead_cost[0] * (1.0 - TINY):
            colony.turns[1] = 0
            colony.lead_cost[0] = least
            copy_into(colony.lead_home, colony.turn_home)
            go_to(problem, state, colony.lead_home)
            keep_if_better(problem, state, colony.best_home, colony.best_cost, least)
        if rates.use_trail:
            elite = rates.fade > 0.0 or colony.turns[0] % rates.elite_every == 0
            _lay(colony, rates, colony.lead_home if elite else colony.turn_home)
        if colony.turns[1] >= rates.patience:
            colony.turns[:] = 0
            colony.trail[:, :] = rates.start
            colony.lead_cost[0] = np.inf


def _rates(settings: Ants, n_agents: int, n_near: int, unit: float) -> Rates:
    """The settings for a problem of that size; `unit` is the mean price."""
    acs = settings.rule == "acs"
    # MMAS: with the best choice at 1 and the others at the bound, the best is constructed again with p_best.
    right = settings.p_best ** (1.0 / max(1, n_agents))
    low = (1.0 - right) / (max(1.0, n_near / 2.0 - 1.0) * right)
    start = 1.0 / max(1, n_agents) if acs else 1.0
    return Rates(
        use_trail=settings.pheromone,
        n_ants=settings.n_ants,
        focus=settings.focus,
        n_exchange=settings.n_exchange,
        groups=settings.groups,
        spread=settings.spread * unit,
        q0=settings.q0,
        rho=settings.rho,
        fade=settings.xi if acs else 0.0,
        low=0.0 if acs else min(1.0, low),
        start=start,
        elite_every=settings.elite_every,
        patience=settings.patience,
    )


def solve_by_ants(
    problem: Problem,
    limits: Limits,
    seed: int,
    settings: Ants | None = None,
    kinds: np.ndarray | None = None,
    trail: np.ndarray | None = None,
    start: np.ndarray | None = None,
) -> Solution:
    """Ant colony with descent.

    Args:
        problem: The problem.
        limits: When to stop.
        seed: Of the random numbers.
        settings: By default the tuned ones.
        kinds: (G,) integers >= 0, what an agent has in common with those of other applications; by default its model.
        trail: (kinds, N), `Solution.trail` of the last application; rows of kinds that it did not have are NaN.
        start: (G,) integers, an assignment to begin with where it is better than the greedy one; repaired first.

    Returns:
        The best found, with the mean trail of each kind.

    Raises:
        EdgeGymInputError: `kinds` or `trail` do not belong to the problem.
    """
    s = settings or Ants()
    course = Course(problem, limits, seed)
    begin(course)
    if start is not None:
        mend(problem, course.state, np.asarray(start, np.int64), UNLIMITED)
        keep(problem, course.state, course.best_home, course.best_cost, -np.inf)
        course.note()
    n_agents, n_nodes = problem.own.shape
    near = nearest_nodes(course, s.n_near)
    rates = _rates(s, n_agents, near.shape[1], mean_price(course))
    of = problem.model if kinds is None else _checked_kinds(kinds, n_agents)
    colony = Colony(
        trail=_first_trail(trail, of, rates, n_nodes),
        best_home=course.best_home,
        best_cost=course.best_cost,
        lead_home=course.best_home.copy(),
        lead_cost=course.best_cost.copy(),
        turn_home=course.best_home.copy(),
        order=np.arange(n_agents),
        nobody=np.full(n_agents, NONE),
        ends=np.zeros(2, np.int64),
        turns=np.zeros(2, np.int64),
    )

    def work(until: int) -> bool:
        iterate(problem, course.state, near, colony, rates, until, course.limit)
        return True

    course.run(work)
    return course.solution(trail_by_kind(colony.trail, of))


def _checked_kinds(kinds: np.ndarray, n_agents: int) -> np.ndarray:
    kinds = np.asarray(kinds)
    if kinds.shape != (n_agents,) or not np.issubdtype(kinds.dtype, np.integer) or (kinds < 0).any():
        raise EdgeGymInputError("kinds", kinds, f"{n_agents} integers >= 0", where="solve_by_ants")
    return kinds


def _first_trail(trail: np.ndarray | None, kinds: np.ndarray, rates: Rates, n_nodes: int) -> np.ndarray:
    """(G, N): what the last application left, or a fresh trail."""
    fresh = np.full((len(kinds), n_nodes), rates.start)
    if trail is None:
        return fresh
    trail = np.asarray(trail, float)
    if trail.ndim != 2 or trail.shape[1] != n_nodes:
        raise EdgeGymInputError("trail", trail.shape, f"of shape (kinds, {n_nodes})", where="solve_by_ants")
    known = kinds < len(trail)
    fresh[known] = trail[kinds[known]]
    return np.clip(np.where(np.isfinite(fresh), fresh, rates.start), rates.low, 1.0)


def trail_by_kind(trail: np.ndarray, kinds: np.ndarray) -> np.ndarray:
    """(kinds, N): the mean trail of the agents of each kind; NaN where there are none."""
    out = np.full((int(kinds.max(initial=-1)) + 1, trail.shape[1]), np.nan)
    for kind in np.unique(kinds):
        out[kind] = trail[kinds == kind].mean(axis=0)
    return out
