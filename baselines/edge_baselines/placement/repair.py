"""The one repair operator."""

from __future__ import annotations

import numpy as np

from edge_gym.errors import EdgeGymInputError
from edge_gym.kernel.assignment import Problem

from ._compiled import compiled
from .regret import fill_by_regret
from .solution import UNLIMITED
from .state import copy_into, keep_if_better, new_state, settle

_ROUNDS = 3  # sums in another order may differ in the last digit; then someone is placed again


@compiled
def mend(problem, state, home, limit):
    """Make the state that of the repaired assignment: keep what fits, in order, and re-home the rest by regret.

    Returns whether it was finished within `limit` prices.
    """
    settle(problem, state, home)
    for _ in range(_ROUNDS):
        if not fill_by_regret(problem, state, limit):
            return False
        copy_into(state.group, state.home)
        if settle(problem, state, state.group):
            break
    return True


@compiled
def keep(problem, state, best_home, best_cost, cost):
    """Remember the present assignment, of about that cost, if it is the best so far. Returns whether it is."""
    return keep_if_better(problem, state, best_home, best_cost, cost)


def repair(problem: Problem, home: np.ndarray) -> np.ndarray:
    """Turns any assignment into one that fits.

    Agents keep their nodes in the order of the problem as far as they fit; the others go to their cheapest nodes,
    first whoever would lose most otherwise. Refused is only who fits nowhere beside the others.

    Args:
        problem: The problem.
        home: (G,) integers; numbers of no node mean that there is none yet.

    Returns:
        (G,) int64, -1 for the refused.

    Raises:
        EdgeGymInputError: `home` has another shape or no integers.
    """
    home = np.asarray(home)
    if home.shape != problem.refuse.shape or not np.issubdtype(home.dtype, np.integer):
        raise EdgeGymInputError("home", home, f"{problem.refuse.shape[0]} integers", where="repair")
    state = new_state(problem, 0)
    mend(problem, state, home.astype(np.int64), UNLIMITED)
    return state.home
