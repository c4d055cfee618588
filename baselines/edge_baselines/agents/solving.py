"""Placement policies that look at the whole application when its first agent is asked about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from edge_baselines.common import cheapest
from edge_baselines.exact.milp import solve_exact
from edge_baselines.placement import SOLVERS, Limits, Solution
from edge_gym.agency import Assignment
from edge_gym.errors import EdgeGymInputError
from edge_gym.fields import check, number
from edge_gym.kernel import observe_agents as seen
from edge_gym.kernel.assignment import Problem
from edge_gym.kernel.tables import NONE
from edge_gym.policy import Context

EXACT_S = 5.0  # for an application
Solver = Callable[..., Solution]


@dataclass(frozen=True)
class Effort:
    """How much a solver may search for each application.

    Attributes:
        evaluations: What `edge_baselines.placement.solution` counts; results are then the same on every machine.
        seconds: Wall-clock time instead; results depend on the machine.
    """

    evaluations: int | None = number(20_000, 1, 1e12, "evaluations", "for each application")
    seconds: float | None = number(None, 0.0, 1e6, "seconds", "for each application", low_open=True)

    def __post_init__(self) -> None:
        check(self)

    def limits(self) -> Limits:
        """The same for a solver."""
        if self.seconds is not None:
            return Limits(evaluations=None, seconds=self.seconds)
        return Limits(evaluations=self.evaluations, seconds=None)

    @classmethod
    def read(cls, text: str) -> Effort:
        """From what stands behind the colon of a policy's name: "seconds=0.1" or "evaluations=5000".

        Raises:
            EdgeGymInputError: Anything else.
        """
        name, _, value = text.partition("=")
        try:
            if name == "seconds":
                return cls(None, float(value))
            if name == "evaluations":
                return cls(int(value), None)
        except ValueError:
            pass
        raise EdgeGymInputError("policy", text, "seconds=NUMBER or evaluations=NUMBER behind the colon")


@dataclass(slots=True)
class Plan:
    """What is meant for the agents of an application."""

    number: int = -1
    home: np.ndarray | None = None
    asked: int = -1  # which of its agents was asked about last


class Solving:
    """Solves the problem of each application once, when its first agent is asked about, and then follows the plan.

    An agent that is asked about again, because its node has left or because it does not fit any more, goes where it
    costs least.

    Args:
        name: Of the solver: a key of `edge_baselines.placement.SOLVERS`, or "exact".
        effort: How much it may search, or the text behind the colon of the policy's name.
        warm: Whether the solver takes what it learnt from one application to the next.
    """

    tasks = ("placement",)

    def __init__(self, name: str, effort: Effort | str | None = None, warm: bool = False) -> None:
        self.solver: Solver = solve_exactly if name == "exact" else SOLVERS[name]
        self.effort = Effort.read(effort) if isinstance(effort, str) else effort or Effort()
        self.warm = warm

    def reset(self, n_envs: int, seed: int) -> None:
        """`seed` seeds the solvers."""
        self._seed = seed
        self._plans = [Plan() for _ in range(n_envs)]
        self._trails: list[np.ndarray | None] = [None] * n_envs

    def act(self, obs: np.ndarray, action_mask: np.ndarray, context: Context) -> np.ndarray:
        """The planned node of each agent."""
        choice = cheapest(obs[:, :-1, seen.AGENT_COST], action_mask)
        n_nodes = action_mask.shape[1] - 1
        for b in np.flatnonzero(context.active).tolist():
            plan = self._plans[b]
            if context.begun[b]:
                plan.number, self._trails[b] = -1, None
            if not context.agency.is_agent(b):
                continue
            number, which = context.agency.member(b)
            if number != plan.number:
                plan.number, plan.asked = number, -1
                plan.home = self.solve(b, context.agency.assignment(b))
            if which > plan.asked and plan.home is not None:  # each is asked about once, in their order
                plan.asked = which
                planned = int(plan.home[which])
                if planned == NONE:
                    choice[b] = n_nodes
                elif action_mask[b, planned]:
                    choice[b] = planned
        return choice

    def solve(self, b: int, assignment: Assignment) -> np.ndarray:
        """A node for each agent of an application in row `b`, NONE for those that are to be refused."""
        seed = (self._seed + 0x9E3779B97F4A7C15 * (b + 1) + assignment.number) % 2**63
        warm = {"trail": self._trails[b], "kinds": assignment.kind} if self.warm else {}
        found = self.solver(assignment.problem, self.effort.limits(), seed, **warm)
        if self.warm:
            self._trails[b] = found.trail
        return found.home


def solve_exactly(problem: Problem, limits: Limits, seed: int) -> Solution:
    """The integer program, from what the ant colony finds in a tenth of the time; the best known when time is up.

    Args:
        problem: The problem.
        limits: Its seconds; evaluations mean nothing here, so without seconds it is given `EXACT_S`.
        seed: Of the ant colony.
    """
    seconds = limits.seconds or EXACT_S
    start = SOLVERS["aco"](problem, Limits(evaluations=None, seconds=0.1 * seconds), seed)
    best = solve_exact(problem, seconds, start=start.home)
    return replace(start, home=best.home, cost=best.cost, elapsed_s=start.elapsed_s + best.elapsed_s)


def _named(name: str, summary: str, warm: bool = False) -> Callable[..., Solving]:
    """A policy that uses one solver; what stands behind the colon of its name is its effort."""

    def make(effort: str | None = None) -> Solving:
        return Solving(name, effort, warm)

    make.__name__, make.__doc__ = name, summary
    return make


fgd = _named(
    "fgd", "Where the least room becomes useless to others: fragmentation gradient descent (Weng et al., ATC 2023)."
)
regret = _named("regret", "Insertion by regret: first the agent that would lose most if its best node were taken.")
local_search = _named("local_search", "A greedy plan, improved by moves and exchanges until none helps.")
grasp = _named("grasp", "Randomised greedy plans, each improved by local search: what the ants must beat.")
annealing = _named("annealing", "Simulated annealing over plans of the whole application.")
genetic = _named("genetic", "A genetic algorithm over plans of the whole application.")
acs = _named("acs", "Ant Colony System (Dorigo and Gambardella 1997); trails are kept between applications.", warm=True)
mmas = _named("mmas", "Max-Min Ant System (Stuetzle and Hoos 2000); trails are kept between applications.", warm=True)
aco = _named("aco", "The ant colony with the settings that did best; trails are kept between applications.", warm=True)
exact = _named("exact", "The integer program, started with what the ants find; the best known when time is up.")
