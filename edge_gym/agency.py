"""What is public about AI agents, beside the observation: who is there, and the placement problem of an application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from edge_gym.behind import batch_of, keep
from edge_gym.envs.batch import Batch
from edge_gym.kernel.agent_tables import COST_TERMS, LIVING
from edge_gym.kernel.assignment import Problem, link_children
from edge_gym.kernel.problem import fill_between, fill_problem
from edge_gym.kernel.tables import MIGRATION, NONE, PLACEMENT, SECOND, State

ROSTER = np.dtype(  # an agent that is there
    [
        ("agent", "i4"),  # its row; the subject is one of them
        ("application", "i8"),  # number of its application in the episode
        ("role", "i4"),
        ("model", "i4"),
        ("node", "i4"),  # where it lives; -1: nowhere
        ("target", "i4"),  # where it is on its way to; -1: it is not
        ("site", "i4"),  # of its user
        ("parent", "i4"),  # row of the agent it talks to; -1: none
        ("rate_per_s", "f8"),
        ("context", "i8"),  # tokens
        ("state_bytes", "f8"),
        ("lived_s", "f8"),  # since it came to where it lives
    ]
)


# Tables of a problem with a row for each agent.
OF_AGENTS = {"own", "refuse", "load", "memory", "storage", "traffic", "model", "parent", "talk_delay", "talk_bytes"}


class Asked(NamedTuple):
    """What each row of a batch is asked about."""

    world: np.ndarray  # (R,) its world
    agent: np.ndarray  # (R,) row of the agent, 0 where there is none
    is_agent: np.ndarray  # (R,) bool


class Subjects(NamedTuple):
    """The agents that are asked about, one for each world; -1 where there is none."""

    agent: np.ndarray  # (B,) row, as in the roster
    application: np.ndarray  # (B,) number in the episode
    user: np.ndarray  # (B,) row of the application in `Agency.users`
    role: np.ndarray  # (B,)
    node: np.ndarray  # (B,) where it lives; -1: nowhere
    site: np.ndarray  # (B,) of its user
    sent_bytes: np.ndarray  # (B,) f8, what travels if it moves; 0 where there is none


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assignment:
    """The placement problem of the application of a subject, as it is now.

    Attributes:
        problem: G agents, N nodes (`edge_gym.kernel.assignment.Problem`).
        terms: (G, N, 6) float64, the unweighted terms of `problem.own` in the order of
            `edge_gym.kernel.agent_tables.COST_TERMS`: request-seconds a second, then US dollars a second.
        subject: Which of the agents is asked about now; 0 if the application was asked for by its row.
        home: (G,) where each lives or is going, -1: nowhere.
        kind: (G,) role of each, to carry experience from one application to the next.
        number: Of the application in its episode.
        site: Of its user.
        moving: True if the subject lives somewhere, or did.
    """

    problem: Problem
    terms: np.ndarray
    subject: int
    home: np.ndarray
    kind: np.ndarray
    number: int
    site: int
    moving: bool


class Agency:
    """The agents of the worlds of a batch, as anybody may know them.

    Attributes:
        nodes: What the nodes are called.
        models: What the models are called.
        roles: What the roles are called.
        terms: Names of the cost terms.
        weights: Weights of a request-second and of a US dollar.
        migration: How agents move (`scenario.migration`).
        link: (S, N), kernel table of delay and seconds a byte between sites and nodes.
        cable: (N, N), kernel table of round trip and seconds a byte between nodes.
        hop: (S, S) next site on the way to another.
        home: (N,) site of each node.
        request_bytes: (R,) of a typical request of each role and its response.
        stay_s: How long an agent is expected to stay where it is put: over so long `agent_cost` spreads a start.
    """

    def __init__(self, batch: Batch) -> None:
        world, params = batch.world, batch.world.params
        keep(self, batch)
        self.nodes, self.models = world.node_names, world.model_names
        self.roles = tuple(role.name for role in world.scenario.roles)
        self.terms = COST_TERMS
        self.weights = float(params.rules[0]["weight_latency"]), float(params.rules[0]["weight_cost"])
        self.migration = world.scenario.migration
        self.link, self.cable, self.hop = params.link.copy(), params.cable.copy(), params.hop.copy()
        self.home = params.node["home"].astype(np.int64)
        self.request_bytes = params.role["request_bytes"].copy()
        self.stay_s = float(params.agency[0]["stay_s"])
        self._most = int(params.agency[0]["most_agents"])
        self._problem = self._empty()
        fill_between(params, self._problem.rtt_s, self._problem.per_byte)
        self._terms = np.zeros((self._most, world.n_nodes, len(COST_TERMS)))

    def _empty(self) -> Problem:
        params, n, g = batch_of(self).world.params, batch_of(self).world.n_nodes, self._most
        return Problem(
            own=np.zeros((g, n)),
            refuse=np.zeros(g),
            load=np.zeros((g, n)),
            memory=np.zeros(g),
            storage=np.zeros(g),
            traffic=np.zeros(g),
            model=np.zeros(g, np.int64),
            parent=np.zeros(g, np.int64),
            child_at=np.zeros(g + 1, np.int64),
            child=np.zeros(g, np.int64),
            talk_delay=np.zeros(g),
            talk_bytes=np.zeros(g),
            rtt_s=np.zeros((n, n)),
            per_byte=np.zeros((n, n)),
            load_before=np.zeros(n),
            load_limit=np.zeros(n),
            memory_free=np.zeros(n),
            storage_free=np.zeros(n),
            traffic_free=np.zeros(n),
            held=np.zeros((n, len(params.model)), np.int64),
            weights=params.model["weights_bytes"].astype(float),
            crowd_weight=self.weights[0],
        )

    def is_agent(self, b: int) -> bool:
        """Whether the subject of world `b` is an agent, and not a request."""
        return int(batch_of(self).state.world[b]["subject_kind"]) in (PLACEMENT, MIGRATION)

    def assignment(self, b: int, user: int | None = None) -> Assignment:
        """The placement problem of one application of world `b`.

        Args:
            b: World.
            user: Row of the application in `users`; by default that of the subject, which must be an agent.
        """
        whole, (state, w) = self._problem, self._tables(b)
        subject = self.subject(b) if user is None else user * self._most
        p = int(state.agent[w, subject]["app"]) if user is None else user
        app = state.app[w, p]
        count = fill_problem(batch_of(self).world.params, state, w, p, self._terms, whole)
        shared = {"rtt_s", "per_byte", "weights", "crowd_weight"}
        parts = {
            name: table if name in shared else table[:count].copy() if name in OF_AGENTS else table.copy()
            for name, table in whole._asdict().items()
        }
        parts["child_at"], parts["child"] = np.zeros(count + 1, np.int64), np.zeros(count, np.int64)
        link_children(parts["parent"], parts["child_at"], parts["child"])
        first = p * self._most
        rows = state.agent[w, first : first + count]
        return Assignment(
            problem=Problem(**parts),
            terms=self._terms[:count].copy(),
            subject=subject - first,
            home=np.where(rows["target"] != NONE, rows["target"], rows["node"]).astype(np.int64),
            kind=rows["role"].astype(np.int64),
            number=int(app["id"]),
            site=int(app["site"]),
            moving=bool(rows["before"][subject - first] != NONE or rows["node"][subject - first] != NONE),
        )

    def roster(self, b: int) -> np.ndarray:
        """The agents that are there in world `b`, an array of dtype `ROSTER`."""
        state, w = self._tables(b)
        found = np.flatnonzero((state.agent[w]["serial"] != NONE) & self._knows(b)[state.agent[w]["app"]])
        agents = state.agent[w, found]
        apps = state.app[w, agents["app"]]
        table = np.zeros(len(found), ROSTER)
        table["agent"] = found
        table["application"], table["site"] = apps["id"], apps["site"]
        for name in ("role", "model", "node", "target", "parent", "context"):
            table[name] = agents[name]
        table["rate_per_s"] = agents["need"] * batch_of(self).world.params.role["rate_per_s"][agents["role"]]
        table["state_bytes"] = self._state_bytes(agents)
        lived_s = (state.world[w]["now_ns"] - agents["settled_ns"]) / SECOND
        table["lived_s"] = np.where(agents["state"] == LIVING, lived_s, 0.0)
        return table

    def member(self, b: int) -> tuple[int, int]:
        """Number of the subject's application in the episode, and which of its agents the subject is."""
        state, w = self._tables(b)
        agent = state.agent[w, self.subject(b)]
        return int(state.app[w, agent["app"]]["id"]), self.subject(b) - int(agent["app"]) * self._most

    def subjects(self) -> Subjects:
        """The subjects of all worlds; -1 where it is no agent."""
        state, (worlds, row, is_agent) = batch_of(self).state, self._asked()
        agent = state.agent[worlds, row]
        app = state.app[worlds, agent["app"]]
        names = Subjects._fields[:-1]
        found = (row, app["id"], agent["app"], agent["role"], agent["node"], app["site"])
        sent = np.where(is_agent, self._state_bytes(agent), 0.0)
        if self.migration.mode == "full":
            sent += np.where(is_agent, batch_of(self).world.params.role["image_bytes"][agent["role"]], 0.0)
        of_agents = (np.where(is_agent, column, NONE).astype(np.int64) for column in found)
        return Subjects(**dict(zip(names, of_agents, strict=True)), sent_bytes=sent)

    def _state_bytes(self, agents: np.ndarray) -> np.ndarray:
        rules = batch_of(self).world.params.agency[0]
        size = rules["state_bytes"] + rules["bytes_per_message"] * agents["messages"]
        return size + rules["bytes_per_token"] * agents["context"]

    def users(self) -> tuple[np.ndarray, np.ndarray]:
        """Which application has each row, -1: none, and at which site its user is; each (B, P)."""
        return batch_of(self).state.app["id"].copy(), batch_of(self).state.app["site"].astype(np.int64)

    def subject(self, b: int) -> int:
        """Row of the agent that is asked about in world `b` (the column `agent` of the roster)."""
        return int(batch_of(self).state.world[b]["subject"])

    def _asked(self) -> Asked:
        """Who is asked about in each row."""
        world = batch_of(self).state.world
        is_agent = np.isin(world["subject_kind"], (PLACEMENT, MIGRATION))
        return Asked(np.arange(len(world)), np.where(is_agent, world["subject"], 0), is_agent)

    def _tables(self, b: int) -> tuple[State, int]:
        """The worlds as row `b` may know them, and which of them is its own."""
        return batch_of(self).state, b

    def _knows(self, b: int) -> np.ndarray:
        """(P,) bool, the applications of whose agents row `b` may know."""
        return np.ones(batch_of(self).state.app.shape[1], bool)
