"""A lower bound of a placement problem by Lagrangian decomposition.

Let each agent live twice: once in its tree, where nothing is ever full, and once on the nodes, where nobody talks. That
both are the same home is not demanded but priced: a price for each pair of an agent and a node, paid by the tree and
earned by the node. For any prices the tree's cost less the nodes' earnings is a lower bound (Guignard and Kim, Math.
Program. 39, 1987), at its best never worse than that of the linear relaxation. The prices go up where the halves
disagree.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from edge_gym.kernel.assignment import Problem
from edge_gym.kernel.tables import NONE

from ._compiled import compiled
from .ascent import Ascent
from .coarse import node_prices
from .crowding import crowd_alone
from .relaxed_node import fill
from .relaxed_tree import down, up
from .ruin import improved

MAX_VISITS = 20_000  # of `fill`


class Relaxed(NamedTuple):
    """What was found."""

    bound: float  # no assignment that fits costs less
    home: np.ndarray  # (G,) i8, the best assignment found, NONE for those refused
    cost: float  # its cost
    prices: np.ndarray  # (G, N) f8, of the bound
    elapsed_s: float


@compiled
def evaluate(problem, prices, may, max_visits, below, to_parent, wished, difference):
    """The bound for some prices.

    Args:
        problem: The problem.
        prices: (G, N) f8, cost rates >= 0.
        may: (G, N) bool, the pairs considered.
        max_visits: See `fill`.
        below: (G, N + 1) f8, filled; see `up`.
        to_parent: (G, N + 1) f8, filled; see `up`.
        wished: (G,) i8, filled: homes in the trees.
        difference: (G, N) f8, filled: lives there in the tree, less lives there on the nodes.

    Returns:
        The bound, with room for rounding.
    """
    n_agents, n_nodes = prices.shape
    cost = up(problem, prices, may, below, to_parent)
    down(problem, below, wished)
    difference[:] = 0.0
    for g in range(n_agents):
        if wished[g] != NONE:
            difference[g, wished[g]] = 1.0
    taken = np.empty(n_agents, np.int64)
    size, earned = abs(cost), 0.0
    for n in range(n_nodes):
        value, n_taken = fill(problem, n, prices, may, -1, max_visits, taken)
        earned += value
        size += abs(value)
        for k in range(n_taken):
            difference[taken[k], n] -= 1.0
    return cost - earned - 1e-10 * size


def may_live(problem: Problem) -> np.ndarray:
    """(G, N) bool: the agent fits on the node if nobody else comes."""
    held = problem.held[:, problem.model].T > 0
    memory = problem.memory[:, None] + np.where(held, 0.0, problem.weights[problem.model][:, None])
    return (
        np.isfinite(problem.own)
        & (problem.load_before + problem.load <= problem.load_limit)
        & (memory <= problem.memory_free)
        & (problem.storage[:, None] <= problem.storage_free)
        & (problem.traffic[:, None] <= problem.traffic_free)
    )


class Halves:
    """The bound as a function of the prices, with the arrays it needs."""

    def __init__(self, problem: Problem, may: np.ndarray) -> None:
        """Allocate."""
        n_agents, n_nodes = may.shape
        self.problem, self.may = problem, may
        self.below, self.to_parent = np.zeros((2, n_agents, n_nodes + 1))
        self.wished = np.zeros(n_agents, np.int64)
        self.difference = np.zeros((n_agents, n_nodes))

    def bound(self, prices: np.ndarray, max_visits: int) -> float:
        """See `evaluate`."""
        arrays = (self.below, self.to_parent, self.wished, self.difference)
        return evaluate(self.problem, prices, self.may, max_visits, *arrays)


def relax(
    problem: Problem, seconds: float, max_steps: int | None = None, start: np.ndarray | None = None, gap: float = 1e-9
) -> Relaxed:
    """A lower bound and a good assignment.

    Args:
        problem: The problem.
        seconds: About the time it takes at most; after the first compilation.
        max_steps: Steps of the prices, 100 per agent unless said. If they are done before the time is up the result is
            the same every time.
        start: (G,) int64, nodes of an assignment to begin with, NONE for those refused; who does not fit is moved.
        gap: Stop when (cost - bound) / cost is no more.

    Returns:
        What was found. The bound holds for every assignment that `all_fit` accepts.
    """
    begun = time.perf_counter()
    may = may_live(problem)
    n_agents, n_nodes = may.shape
    home, cost = _good(problem, start, begun + 0.1 * seconds)
    pace = max(cost, 1e-12) / max(n_nodes, 1)
    max_steps = max_steps or 100 * n_agents
    prices = node_prices(problem, may, pace, _schedule(max_steps // 2, begun, 0.85 * seconds))
    floor = problem.crowd_weight * crowd_alone(problem)
    halves = Halves(problem, may)
    best = np.maximum(prices, floor)
    bound = halves.bound(best, MAX_VISITS)
    free = Ascent(best.copy(), 0.1 * pace)
    shares = _shares(problem, may)
    per_node = [Ascent(np.zeros(n_nodes), 0.1 * pace) for _ in shares]
    damping = _schedule(max_steps, time.perf_counter(), begun + 0.95 * seconds - time.perf_counter())
    few_visits = int(np.clip(5_000_000 // max(best.size, 1), 200, 5000))  # a step in a large problem must not last long
    step = 0
    while (damp := damping(step)) > 0.0 and cost - bound > gap * abs(cost):
        prices = free.values.copy()
        for ascent, share in zip(per_node, shares, strict=True):
            prices += ascent.values * share
        np.maximum(prices, floor, out=prices)
        value = halves.bound(prices, few_visits)
        if value > bound:
            bound, best = value, prices
        free.step(halves.difference, damp)
        for ascent, share in zip(per_node, shares, strict=True):
            ascent.step((share * halves.difference).sum(axis=0), damp)
        if step % 50 == 0:
            tried, its_cost = improved(problem, halves.wished, 20 * n_agents, step)
            if its_cost < cost:
                home, cost = tried, its_cost
        step += 1
    bound = max(bound, halves.bound(best, MAX_VISITS))
    return Relaxed(bound, home, cost, best, time.perf_counter() - begun)


def _schedule(max_steps: int, begun: float, seconds: float) -> Callable[[int], float]:
    """Damping by the steps or the time that have gone, whichever is further."""

    def damping(step: int) -> float:
        gone = max(step / max_steps, (time.perf_counter() - begun) / max(seconds, 1e-9))
        return 0.001**gone if gone < 1.0 else 0.0

    return damping


def _good(problem: Problem, start: np.ndarray | None, until: float) -> tuple[np.ndarray, float]:
    """The best of three searches one after the other, as far as there is time."""
    nobody = np.full(len(problem.parent), NONE)
    chain = nobody if start is None else start
    home, cost = improved(problem, chain, 1000, 0)
    for seed in range(1, 25):
        if time.perf_counter() > until:
            break
        chain, its_cost = improved(problem, nobody if seed % 8 == 0 else chain, 50 * len(nobody), seed)
        if its_cost < cost:
            home, cost = chain, its_cost
    return home, cost


def _shares(problem: Problem, may: np.ndarray) -> list[np.ndarray]:
    """What of a node each agent takes, by load, crowding and memory, (G, N) each; they move together."""
    memory = problem.memory + 0.5 * problem.weights[problem.model]
    parts = (problem.load, crowd_alone(problem), memory[:, None] / np.maximum(problem.memory_free, 1e-300))
    return [np.where(may, np.clip(part, 0.0, 2.0), 0.0) for part in parts]
