"""Genetic algorithm: tournament, crossover by agent or by subtree, mutation, and the one repair operator."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge_gym.kernel.assignment import Problem
from edge_gym.kernel.tables import NONE

from ._compiled import compiled, inlined
from .candidates import nearest_nodes
from .greedy import begin
from .repair import mend
from .settings import Genetic
from .solution import Course, Limits, Solution
from .state import copy_into, cost_of, draw, keep_if_better, pick


class Tribe(NamedTuple):
    """A generation and the one that follows it. Changed in place."""

    homes: np.ndarray  # (P, G) i8
    costs: np.ndarray  # (P,) f8
    next_homes: np.ndarray  # (P, G) i8
    next_costs: np.ndarray  # (P,) f8
    size: np.ndarray  # (2,) i8, members so far of the first generation and of the next one
    child: np.ndarray  # (G,) i8, scratch
    below: np.ndarray  # (G,) i8, scratch, 1: in the subtree
    best_home: np.ndarray  # (G,) i8
    best_cost: np.ndarray  # (1,) f8


@inlined
def _parent(state, tribe, tournament):
    best = pick(state, tribe.costs.shape[0])
    for _ in range(tournament - 1):
        other = pick(state, tribe.costs.shape[0])
        if tribe.costs[other] < tribe.costs[best]:
            best = other
    return best


@inlined
def _cross(problem, state, tribe, other, subtree):
    """Take over some agents' nodes from another member: those of a random subtree, or each by lot."""
    n_agents = tribe.child.shape[0]
    if draw(state) < subtree:
        root = pick(state, n_agents)
        for g in range(n_agents):
            parent = problem.parent[g]
            tribe.below[g] = 1 if g == root or (parent != NONE and tribe.below[parent] == 1) else 0
    else:
        for g in range(n_agents):
            tribe.below[g] = pick(state, 2)
    for g in range(n_agents):
        if tribe.below[g] == 1:
            tribe.child[g] = tribe.homes[other, g]


@inlined
def _mutate(state, near, tribe, mutation):
    for g in range(tribe.child.shape[0]):
        if draw(state) < mutation:
            tribe.child[g] = near[g, pick(state, near.shape[1])]


@inlined
def _admit(problem, state, tribe, homes, costs, at, limit):
    """Repair the child and make it member `at`. Returns whether the budget sufficed."""
    n_agents = tribe.child.shape[0]
    if not mend(problem, state, tribe.child, limit) or state.prices[0] + 2 * n_agents > limit:
        return False
    state.prices[0] += n_agents
    costs[at] = cost_of(problem, state)
    copy_into(homes[at], state.home)
    keep_if_better(problem, state, tribe.best_home, tribe.best_cost, costs[at])
    return True


@compiled
def breed(problem, state, near, tribe, crossover, mutation, subtree, tournament, until, limit):
    """Fill the first generation with mutants of the best; then breed generation after generation.

    The best of a generation lives on. It comes back when so many prices were computed.
    """
    n_members = tribe.costs.shape[0]
    while state.prices[0] < until:
        if tribe.size[0] < n_members:
            at = tribe.size[0]
            copy_into(tribe.child, tribe.best_home)
            if at > 0:
                _mutate(state, near, tribe, 0.5)
            if not _admit(problem, state, tribe, tribe.homes, tribe.costs, at, limit):
                return
            tribe.size[0] += 1
            continue
        if tribe.size[1] == 0:
            copy_into(tribe.child, tribe.homes[np.argmin(tribe.costs)])
        else:
            copy_into(tribe.child, tribe.homes[_parent(state, tribe, tournament)])
            if draw(state) < crossover:
                _cross(problem, state, tribe, _parent(state, tribe, tournament), subtree)
            _mutate(state, near, tribe, mutation)
        if not _admit(problem, state, tribe, tribe.next_homes, tribe.next_costs, tribe.size[1], limit):
            return
        tribe.size[1] += 1
        if tribe.size[1] == n_members:
            tribe.size[1] = 0
            tribe.homes[:, :] = tribe.next_homes
            tribe.costs[:] = tribe.next_costs


def solve_by_genes(problem: Problem, limits: Limits, seed: int, settings: Genetic | None = None) -> Solution:
    """Genetic algorithm.

    Args:
        problem: The problem.
        limits: When to stop.
        seed: Of the random numbers.
        settings: By default the tuned ones.
    """
    s = settings or Genetic()
    course = Course(problem, limits, seed)
    begin(course)
    near = nearest_nodes(course, s.n_near)
    n_agents, n_members = problem.own.shape[0], s.population
    tribe = Tribe(
        homes=np.zeros((n_members, n_agents), np.int64),
        costs=np.full(n_members, np.inf),
        next_homes=np.zeros((n_members, n_agents), np.int64),
        next_costs=np.full(n_members, np.inf),
        size=np.zeros(2, np.int64),
        child=np.zeros(n_agents, np.int64),
        below=np.zeros(n_agents, np.int64),
        best_home=course.best_home,
        best_cost=course.best_cost,
    )

    def work(until: int) -> bool:
        breed(
            problem,
            course.state,
            near,
            tribe,
            s.crossover,
            s.mutation,
            s.subtree,
            s.tournament,
            until,
            course.limit,
        )
        return True

    course.run(work)
    return course.solution()
