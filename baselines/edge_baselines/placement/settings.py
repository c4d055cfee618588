"""The settings of the metaheuristics.

Those of annealing and genes are the best of seven trials of `scripts/tune_placement.py`, one problem of each size; so
are those of ants and restarts, whose first trial was found by comparing single settings on the same tune seeds. Three
cycles of annealing instead of one: as good there, and one missed the optimum of some tiny problems.
"""

from __future__ import annotations

from dataclasses import dataclass

from edge_gym.fields import check, choice, flag, number


@dataclass(frozen=True, kw_only=True)
class _Settings:
    n_near: int = number(100, 1, 1e6, "nodes", "length of the candidate lists")
    n_exchange: int = number(100, 0, 1e6, "nodes", "candidates with whose agents exchanges are tried")
    groups: bool = flag(False, "whether agents of one node are moved together, too")

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class Descent(_Settings):
    """Greedy by regret and one descent."""


@dataclass(frozen=True, kw_only=True)
class Grasp(_Settings):
    """Greedy with restarts."""

    spread: float = number(0.1, 1e-6, 1e6, "", "price above the cheapest that cuts the odds to 1/16, in mean prices")
    q0: float = number(0.5, 0.0, 1.0, "", "probability to take the cheapest at once")


@dataclass(frozen=True, kw_only=True)
class Ants(_Settings):
    """Ant colony."""

    rule: str = choice("acs", ("acs", "mmas"), "how the trail is laid")
    pheromone: bool = flag(True, "whether the trail counts")
    n_ants: int = number(3, 1, 1e6, "ants", "per iteration")
    focus: int = number(8, 0, 1e6, "agents", "re-placed by each ant in a copy of the leading assignment; 0: all")
    spread: float = number(0.1, 1e-6, 1e6, "", "price above the cheapest that cuts the odds to 1/16, in mean prices")
    q0: float = number(0.9, 0.0, 1.0, "", "probability to take the best odds at once")
    rho: float = number(0.1, 0.0, 1.0, "", "share of the trail replaced at an update")
    xi: float = number(0.1, 0.0, 1.0, "", "share of the trail that an ant wears off (ACS)")
    p_best: float = number(0.05, 1e-9, 1.0, "", "chance to construct the best again from a settled trail (MMAS)")
    elite_every: int = number(5, 1, 1e9, "iterations", "the best lays the trail instead of the iteration's best (MMAS)")
    patience: int = number(200, 1, 1e9, "iterations", "without improvement until the trail is wiped and all restarts")


@dataclass(frozen=True, kw_only=True)
class Anneal(_Settings):
    """Simulated annealing."""

    n_near: int = number(128, 1, 1e6, "nodes", "length of the candidate lists")
    accept: float = number(0.1, 1e-9, 1.0, "", "of the mean uphill move, at first", high_open=True)
    cycles: int = number(3, 1, 1e6, "", "times that it is cooled")
    cooling: float = number(1e-4, 1e-12, 1.0, "", "last temperature over the first")
    exchange: float = number(0.2, 0.0, 1.0, "", "share of the trials that exchange two agents")


@dataclass(frozen=True, kw_only=True)
class Genetic(_Settings):
    """Genetic algorithm."""

    n_near: int = number(8, 1, 1e6, "nodes", "length of the candidate lists")
    population: int = number(30, 2, 1e5, "assignments", "in a generation")
    crossover: float = number(0.5, 0.0, 1.0, "", "probability of two parents")
    mutation: float = number(0.05, 0.0, 1.0, "", "probability of each agent to go to a random candidate")
    subtree: float = number(0.5, 0.0, 1.0, "", "share of crossovers by subtree; the others by agent")
    tournament: int = number(5, 1, 1e5, "assignments", "the best of which becomes a parent")


# The classical forms: every ant constructs everything.
ACS = Ants(rule="acs", focus=0, n_ants=10, q0=0.9, rho=0.1, xi=0.1)
MMAS = Ants(rule="mmas", focus=0, n_ants=10, q0=0.0, rho=0.02, p_best=0.05)
