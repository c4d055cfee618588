"""An application to be placed or moved as both sides see it: ants get arrays, the model gets short names and costs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from edge_baselines.antllm.figures import fill_prices, lower_bound
from edge_baselines.placement import Ants, Limits, Solution
from edge_baselines.placement.ants import solve_by_ants
from edge_gym.agency import Agency, Assignment
from edge_gym.kernel.assignment import Problem, all_fit, crowd, empty_use, fits, take, talk, total
from edge_gym.kernel.tables import NONE

BETTER = 1e-9  # share of the cost by which something must be better: less is rounding
PARTS = ("transfer", "start", "processing", "compute", "storage", "communication", "peers", "crowding", "refused")
NAME = re.compile(r"([an])(0|[1-9][0-9]{0,8})")


class Costs(NamedTuple):
    """What an assignment costs and why; all of it weighted, so that it adds up."""

    total: float
    agents: np.ndarray  # (G, 6), own terms; a refused agent has none
    links: np.ndarray  # (G,), what it says to its parent
    nodes: np.ndarray  # (N,), crowding
    refused: np.ndarray  # (G,)

    def parts(self) -> dict[str, float]:
        """Sums by the names of `PARTS`."""
        rest = (self.links.sum(), self.nodes.sum(), self.refused.sum())
        return dict(zip(PARTS, [*self.agents.sum(axis=0).tolist(), *map(float, rest)], strict=True))


@dataclass(frozen=True, eq=False)
class Case:
    """A placement problem in which only some agents are free, with names for a model.

    Agents are called a0, a1, ... and nodes n0, n1, ...: what others called a node or a role is text from outside and
    names nothing. Use `make`.

    Attributes:
        found: The problem as the world gives it.
        problem: The same, with every agent that is not free tied to where it is.
        free: (G,) bool, agents about which something is to be decided now.
        node_names: What the nodes are called.
        role_names: What the role of each agent is called.
        model_names: What the models are called.
        delay_s: (N,) one way between the user's site and each node, seconds.
        weights: Of a request-second and of a US dollar.
        stay_s: How long the agents are expected to stay.
    """

    found: Assignment
    problem: Problem
    free: np.ndarray
    node_names: tuple[str, ...]
    role_names: tuple[str, ...]
    model_names: tuple[str, ...]
    delay_s: np.ndarray
    weights: tuple[float, float]
    stay_s: float

    @classmethod
    def make(cls, found: Assignment, agency: Agency, asked: int, may_move: bool) -> Case:
        """The case of an assignment.

        Args:
            found: The subject's application now.
            agency: What is public about agents.
            asked: Agents of the application that are asked about at this instant, the subject included. If not
                exactly so many may go anywhere, it is not known which; then only the subject is free.
            may_move: Whether agents that live somewhere are asked about too.
        """
        free = np.isfinite(found.problem.own).sum(axis=1) > 1 if may_move else found.home == NONE
        if int(free.sum()) != asked or not free[found.subject]:
            free = np.arange(len(found.home)) == found.subject
        own = found.problem.own.copy()
        for g in np.flatnonzero(~free):
            elsewhere = np.arange(own.shape[1]) != found.home[g]
            own[g, elsewhere] = np.inf
        return cls(
            found=found,
            problem=found.problem._replace(own=own),
            free=free,
            node_names=tuple(agency.nodes),
            role_names=tuple(agency.roles[k] for k in found.kind),
            model_names=tuple(agency.models[m] for m in found.problem.model),
            delay_s=agency.link[found.site]["delay_ns"] * 1e-9,
            weights=agency.weights,
            stay_s=agency.stay_s,
        )

    @cached_property
    def bound(self) -> float:
        """No assignment costs less (`lower_bound`)."""
        return float(lower_bound(self.problem))

    def waiting_cost(self, home: np.ndarray, seconds: float) -> float:
        """By how much the cost rate of an assignment grows if its agents start so much later.

        The law of the term `start`: who asks during the time `t` until the start waits half of it, `r t^2 / (2 T)`.
        """
        g = np.flatnonzero(self.free & (home != NONE))
        rate = self.problem.talk_delay[g]  # weighted
        term = self.weights[0] * self.found.terms[g, home[g], 1]
        start_s = np.sqrt(2.0 * self.stay_s * term / np.maximum(rate, 1e-300))
        return float((rate * (start_s * seconds + 0.5 * seconds**2)).sum() / self.stay_s)

    def cost(self, home: np.ndarray) -> float:
        """Cost rate of an assignment."""
        return float(total(self.problem, home))

    def costs(self, home: np.ndarray) -> Costs:
        """The same, and what it consists of."""
        problem, g_all = self.problem, np.arange(len(home))
        placed = home != NONE
        scale = np.array([self.weights[0]] * 3 + [self.weights[1]] * 3)
        agents = np.where(placed[:, None], self.found.terms[g_all, home] * scale, 0.0)
        parent = problem.parent
        linked = placed & (parent != NONE) & (home[parent] != NONE)
        links = np.array([talk(problem, g, home[g], home[parent[g]]) if linked[g] else 0.0 for g in g_all])
        load = problem.load_before.copy()
        np.add.at(load, home[placed], problem.load[g_all[placed], home[placed]])
        nodes = np.array([crowd(x) - crowd(y) for x, y in zip(load, problem.load_before, strict=True)])
        refused = np.where(placed, 0.0, problem.refuse)
        return Costs(self.cost(home), agents, links, problem.crowd_weight * nodes, refused)

    def fits(self, home: np.ndarray) -> bool:
        """Whether every agent that is placed may be where it is, all together."""
        return bool(all_fit(self.problem, empty_use(self.problem), home))

    def wrong_with(self, home: np.ndarray) -> str | None:
        """Why an assignment does not fit, in words, or None."""
        use = empty_use(self.problem)
        for g in np.flatnonzero(home != NONE).tolist():
            if not fits(self.problem, use, g, home[g]):
                return f"a{g} does not fit on n{home[g]} beside the others: {self._full(use, g, home[g])}"
            take(self.problem, use, g, home[g])
        return None

    def _full(self, use, g: int, n: int) -> str:
        problem = self.problem
        if not problem.own[g, n] < np.inf:
            return "it cannot live there"
        if problem.load_before[n] + use.load[n] + problem.load[g, n] > problem.load_limit[n]:
            return "its load is too much"
        if use.storage[n] + problem.storage[g] > problem.storage_free[n]:
            return "no storage"
        return "no bandwidth" if use.traffic[n] + problem.traffic[g] > problem.traffic_free[n] else "no memory"

    def prices(self, home: np.ndarray, g: int) -> np.ndarray:
        """(N,) by how much the cost grows when agent `g` goes to each node, all others where they are; inf: no room."""
        others = home.copy()
        others[g] = NONE
        use = empty_use(self.problem)
        all_fit(self.problem, use, others)
        prices = np.full(self.problem.own.shape[1], np.inf)
        fill_prices(self.problem, use, others, g, prices)
        return prices

    def search(
        self, evaluations: int, seed: int, settings: Ants | None = None, start: Solution | None = None
    ) -> Solution:
        """The ant colony.

        Args:
            evaluations: Of the search.
            seed: Of its draws.
            settings: Of the ants; by default the tuned ones.
            start: Where to go on: its assignment leads, and its trail is that of the first ants, strongest there.
        """
        trail = None
        if start is not None and start.trail is not None:
            trail, placed = start.trail.copy(), np.flatnonzero(start.home != NONE)
            trail[placed, start.home[placed]] = 1.0
        limits, kinds = Limits(evaluations=evaluations), np.arange(len(self.free))  # each agent keeps its own trail
        return solve_by_ants(self.problem, limits, seed, settings, kinds, trail, None if start is None else start.home)

    def agent(self, name: str) -> int | None:
        """Number of an agent by its name, or None."""
        return self._number(name, "a", len(self.free))

    def node(self, name: str) -> int | None:
        """Number of a node by its name, or None."""
        return self._number(name, "n", len(self.node_names))

    @staticmethod
    def _number(name: str, letter: str, end: int) -> int | None:
        found = NAME.fullmatch(name)
        number = int(found[2]) if found is not None and found[1] == letter else end
        return number if number < end else None
