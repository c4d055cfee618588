"""The optimum of a placement problem with its proof, by mixed integer programming (HiGHS)."""

import time
from typing import NamedTuple

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from edge_gym.errors import EdgeGymInputError
from edge_gym.kernel.assignment import Problem, all_fit, empty_use, total
from edge_gym.kernel.tables import NONE

from .lagrange import Relaxed, may_live, relax
from .milp_model import Model, build_model
from .open_pairs import open_choices

MAX_COLUMNS = 150_000  # beyond, HiGHS would spend minutes on the first relaxation
_TIME_UP, _INFEASIBLE = 1, 2  # of scipy's milp


class Exact(NamedTuple):
    """An assignment and how good it is proven to be."""

    home: np.ndarray  # (G,) i8, NONE for those refused
    cost: float  # cost rate
    bound: float  # no assignment costs less
    gap: float  # (cost - bound) / cost
    status: (
        str  # optimal: the gap asked for is proven; time: it is not, the time was up; size: not tried beyond `relax`
    )
    elapsed_s: float


def solve_exact(problem: Problem, seconds: float, start: np.ndarray | None = None, gap: float = 1e-6) -> Exact:
    """The cheapest assignment, as far as the time allows to prove it.

    A Lagrangian bound comes first; what it rules out, the integer program does not contain.

    Args:
        problem: G agents, N nodes.
        seconds: > 0. Time to stop after, about.
        start: (G,) int64, an assignment to begin with, NONE for those refused.
        gap: >= 0. Stop when (cost - bound) / cost is no more.

    Raises:
        EdgeGymInputError: A time or a gap that cannot be, or a start of the wrong shape.
    """
    _check(problem, seconds, start, gap)
    begun = time.perf_counter()
    small = _small(problem)
    relaxed = relax(problem, (0.35 if small else 0.9) * seconds, start=start, gap=gap)
    exact = Exact(relaxed.home, relaxed.cost, relaxed.bound, 0.0, "size", 0.0)
    if small and relaxed.cost - relaxed.bound > gap * abs(relaxed.cost):
        exact = _prove(problem, relaxed, begun + seconds, gap)
    bound = min(exact.bound, exact.cost)
    distance = (exact.cost - bound) / abs(exact.cost) if exact.cost != bound else 0.0
    status = "optimal" if distance <= max(gap, 1e-6) else exact.status
    return exact._replace(bound=bound, gap=distance, status=status, elapsed_s=time.perf_counter() - begun)


def bound(problem: Problem, seconds: float) -> tuple[float, bool]:
    """A cost rate below which no assignment that fits can be, and whether one with that cost is known.

    Args:
        problem: The problem.
        seconds: > 0. Time to stop after, about.
    """
    exact = solve_exact(problem, seconds)
    return exact.bound, exact.status == "optimal"


def _small(problem: Problem) -> bool:
    """Whether there is hope that the integer program will be small enough once the bound has closed pairs."""
    choices = may_live(problem).sum(axis=1)
    talks = problem.parent != NONE
    return int((choices[talks] * choices[problem.parent[talks]]).sum()) <= 4 * MAX_COLUMNS


def _prove(problem: Problem, relaxed: Relaxed, until: float, gap: float) -> Exact:
    """Solve the integer program of what the bound left open; again when a set only fits by HiGHS's tolerance."""
    # HiGHS's tolerances are absolute: the cost found is 100 to it, whatever it is to the world.
    unit = max(abs(relaxed.cost), 1e-300) / 100.0
    scaled = _scaled(problem, unit)
    in_units = relaxed._replace(bound=relaxed.bound / unit, cost=relaxed.cost / unit, prices=relaxed.prices / unit)
    choices = open_choices(scaled, in_units)
    home, cost, bound = relaxed.home, relaxed.cost, relaxed.bound
    forbidden: list[tuple[int, np.ndarray]] = []
    while True:
        model = build_model(scaled, choices, in_units.prices, forbidden)
        left = until - time.perf_counter()
        if len(model.cost) > MAX_COLUMNS or left <= 0.0:
            return Exact(home, cost, bound, 0.0, "time" if left <= 0.0 else "size", 0.0)
        found, dual, status = _solve(model, left, gap)
        # What the model does not contain costs more than the first assignment; rounding in HiGHS is within 1e-7.
        bound = max(bound, min(dual * unit - 1e-7 * abs(cost), relaxed.cost))
        misfit = _misfit(problem, found)
        if misfit is None:
            if found is not None and total(problem, found) < cost:
                home, cost = found, float(total(problem, found))
            return Exact(home, cost, bound, 0.0, status, 0.0)
        forbidden.append(misfit)


def _scaled(problem: Problem, unit: float) -> Problem:
    """The same problem with cost rates in another unit."""
    return problem._replace(
        own=problem.own / unit,
        refuse=problem.refuse / unit,
        talk_delay=problem.talk_delay / unit,
        talk_bytes=problem.talk_bytes / unit,
        crowd_weight=problem.crowd_weight / unit,
    )


def _solve(model: Model, seconds: float, gap: float) -> tuple[np.ndarray | None, float, str]:
    """An assignment, if one was found, a bound and a status; a model without any solution has bound infinity."""
    result = milp(
        model.cost,
        integrality=model.integer,
        bounds=Bounds(0.0, model.upper),
        constraints=LinearConstraint(model.rows, model.low, model.high),
        options={"time_limit": seconds, "mip_rel_gap": gap},
    )
    if result.status == _INFEASIBLE:
        return None, np.inf, "optimal"
    dual = result.mip_dual_bound if model.integer.any() else result.fun  # without integers HiGHS gives no such bound
    dual = -np.inf if dual is None else float(dual)
    if result.x is None:
        return None, dual, "time"
    status = "time" if result.status == _TIME_UP else "optimal"
    live = model.columns.live
    value = np.where(live >= 0, result.x[live], 0.0)
    return np.where(value.max(axis=1) > 0.5, value.argmax(axis=1), NONE), dual, status


def _misfit(problem: Problem, home: np.ndarray | None) -> tuple[int, np.ndarray] | None:
    """A node and the agents put there, if they do not fit."""
    if home is None:
        return None
    for n in np.unique(home[home != NONE]):
        if not all_fit(problem, empty_use(problem), np.where(home == n, home, NONE)):
            return int(n), np.flatnonzero(home == n)
    return None


def _check(problem: Problem, seconds: float, start: np.ndarray | None, gap: float) -> None:
    if not seconds > 0.0:
        raise EdgeGymInputError("seconds", seconds, "> 0", "solve_exact", "")
    if not gap >= 0.0:
        raise EdgeGymInputError("gap", gap, ">= 0", "solve_exact", "")
    if start is not None and np.shape(start) != problem.refuse.shape:
        allowed = f"shape {problem.refuse.shape}"
        raise EdgeGymInputError(
            "start", np.shape(start), allowed, "solve_exact", "one node per agent, NONE for refused"
        )
