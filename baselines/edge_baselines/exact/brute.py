"""The optimum of a small placement problem by trying everything; what the faster solvers are tested against."""

from itertools import product

import numpy as np

from edge_gym.errors import EdgeGymInputError
from edge_gym.kernel.assignment import Problem, all_fit, empty_use, total
from edge_gym.kernel.tables import NONE

MAX_ASSIGNMENTS = 2_000_000


def solve_by_trying(problem: Problem) -> tuple[np.ndarray, float]:
    """The cheapest assignment that fits.

    Args:
        problem: G agents and N nodes with (N + 1)**G at most `MAX_ASSIGNMENTS`.

    Returns:
        (G,) int64 nodes, NONE for those refused, and the cost rate.

    Raises:
        EdgeGymInputError: There are too many assignments.
    """
    n_agents, n_nodes = problem.own.shape
    n_assignments = (n_nodes + 1) ** n_agents
    if n_assignments > MAX_ASSIGNMENTS:
        allowed = f"<= {MAX_ASSIGNMENTS}"
        raise EdgeGymInputError("(N + 1)**G", n_assignments, allowed, "problem", "solve_exact takes larger problems")
    choices = [[NONE, *np.flatnonzero(np.isfinite(row))] for row in problem.own]
    best, least = np.full(n_agents, NONE), np.inf
    for homes in product(*choices):
        home = np.array(homes, np.int64)
        cost = total(problem, home)
        if cost < least and all_fit(problem, empty_use(problem), home):
            best, least = home, cost
    return best, float(least)
