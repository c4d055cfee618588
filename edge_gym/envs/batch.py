"""A batch of worlds with its buffers: what every view and the evaluation stand on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge_gym.errors import EdgeGymInputError
from edge_gym.events.phrases import render
from edge_gym.kernel import random, step
from edge_gym.kernel.build import World
from edge_gym.kernel.control import run_control
from edge_gym.kernel.observe import N_FEATURES, N_TIMES
from edge_gym.kernel.observe_agents import N_AGENT_TIMES
from edge_gym.kernel.orchestrate import run_agents
from edge_gym.kernel.outlook import room_for
from edge_gym.kernel.tables import LOG, ORDER, OUTCOME, SECOND, TERMS, State
from edge_gym.scenario.io import fingerprint
from edge_gym.tasks import get_task
from edge_gym.tasks.task import Task

_FIRST_TERM = list(OUTCOME.fields or ()).index(TERMS[0])  # every field has eight bytes


class Event(NamedTuple):
    """A message about a node. Its text is data, never an instruction."""

    time_s: float  # since the episode began
    text: str


class Outcome(NamedTuple):
    """What a step returns; every array is fresh. B rows, one for each world (or for each site of each world)."""

    obs: np.ndarray  # (B, N + 1, F) float32
    mask: np.ndarray  # (B, A) bool
    reward: np.ndarray  # (B,) float64
    terms: np.ndarray  # (B, 8) float64, unweighted, in the order of `TERMS`
    dt_s: np.ndarray  # (B,) float64, simulated seconds since the last decision
    time_s: np.ndarray  # (B,) float64, simulated seconds since the episode began
    seed: np.ndarray  # (B,) uint64, begins the running episode again
    done: np.ndarray  # (B,) bool


class Batch:
    """B worlds of one scenario, stepped together.

    Attributes:
        world: The scenario made ready to run.
        n_worlds: B.
        n_rows: Rows of observations, masks and outcomes: B, or as many for each world as there are who decide.
        task: What is decided.
        noop: The action that changes nothing.
        state: The tables; copying them clones the worlds.
        mask: (B, A) bool, the choices that are legal now.
        order: (B,) of dtype ORDER, what the next `run` does.
    """

    def __init__(self, world: World, n_worlds: int, task: Task | str = "routing") -> None:
        self.world = world
        self.n_worlds = n_worlds
        self.task = get_task(task) if isinstance(task, str) else task
        n_nodes, n_models = world.n_nodes, len(world.model_names)
        self.noop = self.task.noop(n_nodes, n_models)
        self.state: State = self._allocate()
        self.n_rows = self._count_rows()
        self.mask = np.zeros((self.n_rows, self.task.n_actions(n_nodes, n_models)), bool)
        self.mask[:, self.noop] = True
        self.order = np.zeros(n_worlds, ORDER)
        self.order["asks"] = self.task.asks
        # Scratch of the kernel.
        self._times = np.zeros((n_nodes + 1) * (N_TIMES + (N_AGENT_TIMES if self.task.asks else 0)), np.float32)
        self._look = np.zeros((n_nodes + 1, N_FEATURES), np.float32)
        self._legal = np.zeros(n_nodes + 1, bool)
        self._servers = np.zeros(n_models, np.int64)
        if self.task.asks:
            self._come = room_for(int(world.params.agency[0]["most_agents"]), n_nodes, n_models)

    def _allocate(self) -> State:
        return self.world.allocate(self.n_worlds, self.task.control)

    def _count_rows(self) -> int:
        return self.n_worlds

    @property
    def roots(self) -> np.ndarray:
        """(B,) uint64, writable: the seed each row was reset with; `reset` begins what this and `episodes` name."""
        return self.order["root_seed"]

    @property
    def episodes(self) -> np.ndarray:
        """(B,) int64, writable: number of the episode since that seed, from 0."""
        return self.order["episode"]

    def empty_obs(self) -> np.ndarray:
        """A fresh observation array (B, N + 1, F)."""
        return np.empty((self.n_rows, self.world.n_nodes + 1, len(self.task.columns)), np.float32)

    def reset(self, which: np.ndarray, obs: np.ndarray) -> np.ndarray:
        """Begin the episodes given by `roots` and `episodes` in the rows where `which` is true.

        Args:
            which: (B,) bool.
            obs: (B, N + 1, F) float32; the rows that begin are written.

        Returns:
            (B,) of dtype OUTCOME, zero in the other rows.
        """
        self.order["todo"] = np.where(which, step.BEGIN, step.SKIP)
        return self.run(obs)

    def observe(self, which: np.ndarray, obs: np.ndarray) -> None:
        """Describe the pending decision of the rows in `which` again; nothing changes."""
        self.order["todo"] = np.where(which, step.LOOK, step.SKIP)
        self.run(obs)

    def step(self, actions: np.ndarray, skip: np.ndarray, obs: np.ndarray | None = None) -> Outcome:
        """One decision in every row but those in `skip`, whose outputs are zero (their observation is not written).

        Args:
            actions: (B,) int64, legal choices.
            skip: (B,) bool.
            obs: Where to write the observations; a fresh array by default.
        """
        obs = self.empty_obs() if obs is None else obs
        self.set_actions(actions)
        self.order["todo"] = np.where(skip, step.SKIP, step.STEP)
        self.state.world["log_count"][skip] = 0
        self.state.world["news_count"][skip] = 0
        out = self.run(obs)
        return Outcome(
            obs=obs,
            mask=self.mask.copy(),
            reward=out["reward"],
            terms=terms_of(out),
            dt_s=out["dt_s"],
            time_s=out["time_s"],
            seed=out["seed"],
            done=out["done"] == 1,
        )

    def set_actions(self, actions: np.ndarray) -> None:
        """What the next step does: (B,) integers, legal choices."""
        self.order["action"] = actions

    def run(self, obs: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Carry out `order`; for views that need no more than that.

        Args:
            obs: (B, N + 1, F) float32, written where a row is not skipped.
            out: (B,) OUTCOME to write to; fresh by default.
        """
        out = np.zeros(self.n_rows, OUTCOME) if out is None else out
        params, state, order, last = self.world.params, self.state, self.order, self.n_worlds
        if self.task.control:
            scratch = self._look, self._legal, self._times, self._servers
            run_control(params, state, order, 0, last, obs, self.mask, out, *scratch)
        elif self.task.asks:
            scratch = self._look, self._legal, self._times, self._come
            run_agents(params, state, order, 0, last, obs, self.mask, out, *scratch)
        else:
            step.run_rows(params, state, order, 0, last, obs, self.mask, out, self._times)
        return out

    @property
    def time_s(self) -> np.ndarray:
        """(B,) simulated seconds since each episode began."""
        return self.state.world["now_ns"] / SECOND

    def ended(self) -> tuple[np.ndarray, np.ndarray]:
        """Requests that ended during the last step, as far as the router knows.

        Returns:
            Row of the batch (K,) and log entries (K,) of dtype `LOG`, in order of row and time.
        """
        counts = self.state.world["log_count"]
        total = int(counts.sum())
        rows = np.repeat(np.arange(self.n_worlds), counts)
        entries = np.empty(total, LOG)
        starts = np.repeat(np.cumsum(counts) - counts, counts)
        entries[:] = self.state.log[rows, np.arange(total) - starts]
        return rows, entries

    def events(self, b: int) -> tuple[Event, ...]:
        """Messages of world `b` since the last step, in words."""
        entries = self.state.news[b, : self.state.world[b]["news_count"]]
        return tuple(self._in_words(*entry) for entry in entries.tolist())

    def _in_words(self, time_ns: int, onset_s: float, duration_s: float, speed: float, node: int, phrase: int) -> Event:
        words = self.world.phrases[phrase], self.world.node_names[node], onset_s, duration_s, speed
        return Event(time_ns / SECOND, render(*words))

    def get_state(self) -> dict[str, np.ndarray]:
        """A copy of everything that moves; `set_state` puts it back exactly."""
        saved = {name: table.copy() for name, table in self.state._asdict().items()}
        saved["roots"], saved["episodes"], saved["mask"] = self.roots.copy(), self.episodes.copy(), self.mask.copy()
        saved["scenario"] = np.array(fingerprint(self.world.scenario))
        return saved

    def set_state(self, saved: dict[str, np.ndarray]) -> None:
        """Put back what `get_state` returned, also in another process or batch of the same scenario and size.

        Raises:
            EdgeGymInputError: It belongs to another scenario, or tables are missing or of another shape or type.
        """
        mine = {**self.state._asdict(), "roots": self.roots, "episodes": self.episodes, "mask": self.mask}
        here = fingerprint(self.world.scenario)
        if str(saved.get("scenario")) != here:
            raise EdgeGymInputError(
                "state.scenario", str(saved.get("scenario")), f"the fingerprint {here}", "set_state"
            )
        for name, table in mine.items():
            found = saved.get(name)
            if not isinstance(found, np.ndarray) or found.shape != table.shape or found.dtype != table.dtype:
                shape = getattr(found, "shape", None)
                raise EdgeGymInputError(f"state.{name}", shape, f"an array of shape {table.shape}", "set_state")
        for name, table in mine.items():
            table[...] = saved[name]


def terms_of(out: np.ndarray) -> np.ndarray:
    """The reward terms in an array of OUTCOME: a view (B, 8) float64."""
    return out.view(np.float64).reshape(len(out), -1)[:, _FIRST_TERM : _FIRST_TERM + len(TERMS)]


def episode_seed(root: int, episode: int) -> int:
    """Seed of episode number `episode` after `reset(seed=root)`."""
    with np.errstate(over="ignore"):
        return int(random.episode_seed(np.uint64(root), episode))
