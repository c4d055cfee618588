"""Constructive rules: one agent after the other goes to the node with the least score among those where it fits.

`best_fit` and `fgd` pack, `least_loaded` spreads, `cheapest` follows the cost function, `regret` also chooses the
order: first whoever would lose most by not getting its best node. A rule refuses an agent only if it fits nowhere.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge_gym.kernel.assignment import Problem, crowd, fits
from edge_gym.kernel.tables import NONE

from ._compiled import compiled, inlined
from .repair import keep, mend
from .solution import UNLIMITED, Course, Limits, Solution
from .state import draw, move_in, price

RANDOM, FIRST, BEST, LOADED, NEAREST, CHEAPEST, FRAGMENTS = range(7)
RULES = {
    "random_fit": RANDOM,
    "first_fit": FIRST,
    "best_fit": BEST,
    "least_loaded": LOADED,
    "nearest": NEAREST,
    "cheapest": CHEAPEST,
    "fgd": FRAGMENTS,
}


class Typical(NamedTuple):
    """The mean agent of each model in a problem; T models that occur."""

    share: np.ndarray  # (T,) f8, of all agents
    load: np.ndarray  # (T, N) f8
    memory: np.ndarray  # (T,) f8, bytes
    storage: np.ndarray  # (T,) f8, bytes
    traffic: np.ndarray  # (T,) f8, bytes/s


def typical_agents(problem: Problem) -> Typical:
    """The kinds of agents that FGD keeps room for."""
    models, kind = np.unique(problem.model, return_inverse=True)
    member = (kind == np.arange(len(models))[:, None]).astype(float)
    mean = member / member.sum(axis=1, keepdims=True)
    return Typical(
        share=member.mean(axis=1),
        load=mean @ problem.load,
        memory=mean @ problem.memory,
        storage=mean @ problem.storage,
        traffic=mean @ problem.traffic,
    )


def by_need(problem: Problem) -> np.ndarray:
    """(G,) int64, the agents by decreasing need: the largest share of all nodes' room in any of the resources."""
    room = [problem.load_limit - problem.load_before, problem.memory_free, problem.storage_free, problem.traffic_free]
    use = [problem.load.mean(axis=1), problem.memory, problem.storage, problem.traffic]
    shares = [u / max(float(np.maximum(r, 0.0).sum()), 1e-300) for u, r in zip(use, room, strict=True)]
    return np.argsort(-np.max(shares, axis=0), kind="stable").astype(np.int64)


@inlined
def _fragments(problem, typical, use, n, load, memory, storage, traffic):
    """Free throughput of a node that a typical agent cannot use once this much more is taken (FGD's expectation)."""
    free = problem.load_limit[n] - problem.load_before[n] - use.load[n] - load
    lost = 0.0
    for t in range(typical.share.shape[0]):
        if (
            typical.load[t, n] > free
            or use.memory[n] + memory + typical.memory[t] > problem.memory_free[n]
            or use.storage[n] + storage + typical.storage[t] > problem.storage_free[n]
            or use.traffic[n] + traffic + typical.traffic[t] > problem.traffic_free[n]
        ):
            lost += typical.share[t] * free
    return lost


@inlined
def _score(problem, typical, state, g, n, rule):
    use = state.use
    load = problem.load_before[n] + use.load[n]
    if rule == FIRST:
        return float(n)
    if rule == RANDOM:
        return draw(state)
    if rule == BEST:
        return problem.load_limit[n] - load - problem.load[g, n]
    if rule == LOADED:
        return load
    cost = price(problem, state, g, n)
    if rule == NEAREST:
        return cost - problem.crowd_weight * (crowd(load + problem.load[g, n]) - state.crowd[n])
    if rule == CHEAPEST:
        return cost
    m = problem.model[g]
    weights = problem.weights[m] if problem.held[n, m] == 0 and use.agents[n, m] == 0 else 0.0
    after = _fragments(
        problem,
        typical,
        use,
        n,
        problem.load[g, n],
        problem.memory[g] + weights,
        problem.storage[g],
        problem.traffic[g],
    )
    return after - _fragments(problem, typical, use, n, 0.0, 0.0, 0.0, 0.0)


@compiled
def fill_by_rule(problem, typical, state, order, rule):
    """Give homes to the agents without one, in the given order, by the score of a rule and then by the price."""
    for g in order:
        best, least, cheapest = NONE, np.inf, np.inf
        for n in range(problem.own.shape[1]):
            if not fits(problem, state.use, g, n):
                continue
            score = _score(problem, typical, state, g, n, rule)
            cost = price(problem, state, g, n) if rule != CHEAPEST and score <= least else np.inf
            if score < least or cost < cheapest:
                best, least, cheapest = n, score, cost
        if best != NONE:
            move_in(problem, state, g, best)


def begin(course: Course, rule: str = "cheapest", ordered: bool = True) -> None:
    """Make and record the first assignment of a search, by a rule.

    Args:
        course: The search.
        rule: One of `RULES`, or "regret".
        ordered: Take the agents by decreasing need; otherwise as they come.
    """
    problem, state = course.problem, course.state
    order = by_need(problem) if ordered else np.arange(problem.own.shape[0])
    if rule != "regret":
        fill_by_rule(problem, typical_agents(problem), state, order, RULES[rule])
    mend(problem, state, state.home.copy(), UNLIMITED)
    keep(problem, state, course.best_home, course.best_cost, -np.inf)
    course.note()


def solve_by_rule(rule: str, ordered: bool, problem: Problem, limits: Limits, seed: int) -> Solution:
    """Places all agents once.

    Args:
        rule: One of `RULES`, or "regret", which has an order of its own.
        ordered: Take the agents by decreasing need; otherwise as they come.
        problem: The problem.
        limits: Not needed: one construction is always finished.
        seed: Of `random_fit`.
    """
    course = Course(problem, limits, seed)
    begin(course, rule, ordered)
    return course.solution()
