"""What only an oracle may see. Policies that use it declare `privileged = True`, and their results are marked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_gym.envs.batch import Batch
from edge_gym.kernel.build import World
from edge_gym.kernel.course import ASKED, STRETCH, follow
from edge_gym.kernel.course_agents import ASKED_AGENT, CREW, WAY, follow_agents
from edge_gym.kernel.foresight import foresee_rows
from edge_gym.kernel.rollout_ahead import PLANNED, Scratch, Search, look_ahead_rows
from edge_gym.kernel.tables import SECOND


class Privileged:
    """Full information about B worlds: `foresee` knows the present only, `look_ahead` the future too."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._spare = batch.world.allocate(1)
        self._plans: np.ndarray | None = None

    def foresee(self) -> tuple[np.ndarray, np.ndarray]:
        """What each choice would cost, were nothing else to arrive or change.

        Returns:
            The subject's own latency from now on, and the delay it inflicts on the requests that are there, seconds,
            each (B, N + 1). The last column is declining: its charge, and no delay. Illegal choices cost inf.
        """
        batch = self._batch
        shape = (batch.n_worlds, batch.world.n_nodes)
        own_s, added_s = np.empty(shape), np.empty(shape)
        foresee_rows(batch.world.params, batch.state, own_s, added_s, self._spare)
        inflicted_s = np.subtract(added_s, own_s, out=added_s, where=np.isfinite(own_s))
        charge = self._charge_s()[:, None]
        return np.hstack([own_s, charge]), np.hstack([inflicted_s, np.zeros_like(charge)])

    def look_ahead(self, active: np.ndarray, begun: np.ndarray, search: Search) -> np.ndarray:
        """The choice with the least summed latency, found by trying choices in copies of the worlds, future included.

        A plan for the requests to come is kept between calls: a trial follows it, and the best trial becomes it. Where
        it says nothing, a rule takes the least own latency plus `search.weight` times the delay inflicted on others.

        Args:
            active: (B,) bool, worlds with a pending decision.
            begun: (B,) bool, worlds whose episode begins with it.
            search: How much is tried.

        Returns:
            (B,) legal choices; declining where no decision is pending.
        """
        batch, world = self._batch, self._batch.world
        if self._plans is None:
            # One for each world, and two of scratch. They are found by the number of the request modulo their length.
            self._plans = np.zeros((batch.n_worlds + 2, search.n_ahead + world.n_jobs), PLANNED)
            self._trial = world.allocate(1)
        choice = np.full(batch.n_worlds, world.n_nodes)
        scratch = Scratch(self._plans[-2], self._plans[-1], self._spare, self._trial, np.empty((2, world.n_nodes)))
        look_ahead_rows(world.params, batch.state, active, begun, search, choice, self._plans[:-2], scratch)
        return choice

    def speeds(self) -> np.ndarray:
        """(B, N) how fast each node really is now, over its nominal speed; a copy."""
        return self._batch.state.node["speed"].copy()

    def _charge_s(self) -> np.ndarray:
        """(B,) what declining the subject adds to its latency, seconds."""
        params, state = self._batch.world.params, self._batch.state
        subject = state.job[np.arange(self._batch.n_worlds), np.maximum(state.world["subject"], 0)]
        whole = params.rules[0]["drop_charge"] * params.model["deadline_ns"][subject["model"]]
        return np.maximum(whole - (state.world["now_ns"] - subject["arrive_ns"]), 0) / SECOND


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Foreknowledge:
    """Everything exogenous in an episode.

    Attributes:
        asked: (J,) `edge_gym.kernel.course.ASKED`, the requests in the order in which they arrive.
        stretch: (K,) `edge_gym.kernel.course.STRETCH`, what nodes are like from when on, in order of time.
        bias: (K, M) software factors of the node of each stretch.
        end_s: The stretches are complete until then: the last arrival and the longest time that is charged, seconds.
    """

    asked: np.ndarray
    stretch: np.ndarray
    bias: np.ndarray
    end_s: float


def foreknow(world: World, seed: int) -> Foreknowledge:
    """What will happen in the episode of this seed, whatever a controller does.

    Args:
        world: The scenario made ready to run.
        seed: Of the episode.
    """
    params, state = world.params, world.allocate(1)
    beyond_ns = int(params.rules[0]["drop_charge"] * params.model["deadline_ns"].max()) + 1
    room = 4 * world.n_nodes + 4096
    while True:
        asked, stretch = np.zeros(room, ASKED), np.zeros(room, STRETCH)
        bias = np.zeros((room, len(params.model)))
        n_asked, n_stretch = follow(params, state, np.uint64(seed), beyond_ns, asked, stretch, bias)
        if max(n_asked, n_stretch) < room:
            break
        room *= 4
    last_ns = int(asked["arrive_ns"][n_asked - 1]) if n_asked else 0
    end_s = (last_ns + beyond_ns) / SECOND
    return Foreknowledge(asked=asked[:n_asked], stretch=stretch[:n_stretch], bias=bias[:n_stretch], end_s=end_s)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class AgentForeknowledge:
    """Everything exogenous in an episode with AI agents.

    Attributes:
        asked: (J,) `edge_gym.kernel.course_agents.ASKED_AGENT`, the requests in the order in which they arrive.
        crew: (G,) `edge_gym.kernel.course_agents.CREW`, the agents in the order in which they arrive.
        way: (W,) `edge_gym.kernel.course_agents.WAY`, where the users are, in order of time.
        stretch: (K,) `edge_gym.kernel.course.STRETCH`, what nodes are like from when on, in order of time.
        bias: (K, M) software factors of the node of each stretch.
    """

    asked: np.ndarray
    crew: np.ndarray
    way: np.ndarray
    stretch: np.ndarray
    bias: np.ndarray


def foreknow_agents(world: World, seed: int) -> AgentForeknowledge:
    """What will happen in the episode of this seed, whatever a controller does with the agents.

    Args:
        world: A scenario with agents made ready to run.
        seed: Of the episode.
    """
    params, state = world.params, world.allocate(1)
    beyond_ns = int(params.rules[0]["drop_charge"] * params.model["deadline_ns"].max()) + 1
    room = 4 * world.n_nodes + 2 * world.n_agents + 4096
    while True:
        tables = [np.zeros(room, kind) for kind in (ASKED_AGENT, CREW, WAY, STRETCH)]
        bias = np.zeros((room, len(params.model)))
        counts = follow_agents(params, state, np.uint64(seed), beyond_ns, *tables, bias)
        if max(counts) + world.scenario.applications.most_agents < room:
            break
        room *= 4
    asked, crew, way, stretch = (table[:count] for table, count in zip(tables, counts, strict=True))
    return AgentForeknowledge(asked=asked, crew=crew, way=way, stretch=stretch, bias=bias[: len(stretch)])
