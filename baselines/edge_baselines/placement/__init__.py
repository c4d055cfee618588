"""Placement of an application's agents: solvers by name, all with one cost function, one repair and one budget.

`SOLVERS[name](problem, limits, seed)` gives a `Solution`. "aco" is the ant colony with the settings that did best,
"acs" and "mmas" its two classical forms, where each ant constructs everything; "grasp" (greedy
with restarts) is what it must beat.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from .anneal import solve_by_annealing
from .ants import solve_by_ants
from .descent import solve_by_descent
from .genetic import solve_by_genes
from .grasp import solve_by_grasp
from .greedy import RULES, solve_by_rule
from .repair import repair
from .settings import ACS, MMAS, Anneal, Ants, Descent, Genetic, Grasp
from .solution import Limits, Solution

# Those whose names end in "_by_need" take the agents by decreasing need, the others as they come.
SOLVERS: dict[str, Callable[..., Solution]] = {
    **{rule: partial(solve_by_rule, rule, False) for rule in RULES},
    **{f"{rule}_by_need": partial(solve_by_rule, rule, True) for rule in RULES},
    "regret": partial(solve_by_rule, "regret", False),
    "greedy": partial(solve_by_rule, "cheapest", True),
    "local_search": solve_by_descent,
    "grasp": solve_by_grasp,
    "annealing": solve_by_annealing,
    "genetic": solve_by_genes,
    "acs": partial(solve_by_ants, settings=ACS),
    "mmas": partial(solve_by_ants, settings=MMAS),
    "aco": solve_by_ants,
}

__all__ = [
    "ACS",
    "MMAS",
    "SOLVERS",
    "Anneal",
    "Ants",
    "Descent",
    "Genetic",
    "Grasp",
    "Limits",
    "Solution",
    "repair",
]
