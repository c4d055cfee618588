"""A batch of worlds with its buffers: what every view and the evaluation stand on."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge_gym.errors import EdgeGymInputError
from edge_gym.kernel import random, step
from edge_gym.kernel.build import World
from edge_gym.kernel.observe import N_FEATURES, N_TIMES
from edge_gym.kernel.tables import LOG, N_TERMS, SECOND, State
from edge_gym.scenario_io import fingerprint


class Outcome(NamedTuple):
    """What a step returns; every array is fresh, B rows."""

    obs: np.ndarray  # (B, N + 1, F) float32
    mask: np.ndarray  # (B, N + 1) bool
    reward: np.ndarray  # (B,) float64
    terms: np.ndarray  # (B, 8) float64
    dt_s: np.ndarray  # (B,) float64
    done: np.ndarray  # (B,) bool


class Batch:
    """B worlds of one scenario, stepped together.

    Attributes:
        world: The scenario made ready to run.
        n_worlds: B.
        state: The tables; copying them clones the worlds.
        mask: (B, N + 1) bool, the choices that are legal now.
    """

    def __init__(self, world: World, n_worlds: int) -> None:
        self.world = world
        self.n_worlds = n_worlds
        self.state: State = world.allocate(n_worlds)
        self.roots = np.zeros(n_worlds, np.uint64)
        self.episodes = np.zeros(n_worlds, np.int64)
        self.mask = np.zeros((n_worlds, world.n_nodes + 1), bool)
        self.mask[:, -1] = True
        self._none = np.zeros(n_worlds, np.int64)
        self._times = np.zeros((world.n_nodes + 1) * N_TIMES, np.float32)  # scratch of the kernel

    def empty_obs(self) -> np.ndarray:
        """A fresh observation array (B, N + 1, F)."""
        return np.empty((self.n_worlds, self.world.n_nodes + 1, N_FEATURES), np.float32)

    def reset(self, which: np.ndarray, obs: np.ndarray) -> None:
        """Begin the episodes given by `roots` and `episodes` in the rows where `which` is true.

        Args:
            which: (B,) bool.
            obs: (B, N + 1, F) float32; the rows that begin are written.
        """
        self._run(np.where(which, step.BEGIN, step.SKIP), self._none, obs)

    def observe(self, which: np.ndarray, obs: np.ndarray) -> None:
        """Describe the pending decision of the rows in `which` again; nothing changes."""
        self._run(np.where(which, step.LOOK, step.SKIP), self._none, obs)

    def step(self, actions: np.ndarray, skip: np.ndarray, obs: np.ndarray | None = None) -> Outcome:
        """One decision in every row but those in `skip`, whose outputs are zero (their observation is not written).

        Args:
            actions: (B,) int64, legal choices.
            skip: (B,) bool.
            obs: Where to write the observations; a fresh array by default.
        """
        return self._run(np.where(skip, step.SKIP, step.STEP), actions, self.empty_obs() if obs is None else obs)

    def _run(self, todo: np.ndarray, actions: np.ndarray, obs: np.ndarray) -> Outcome:
        b = self.n_worlds
        reward, terms, dt_s, done = np.zeros(b), np.zeros((b, N_TERMS)), np.zeros(b), np.zeros(b, bool)
        step.run_rows(
            self.world.params, self.state, 0, b, todo.astype(np.int8), actions, self.roots, self.episodes,
            obs, self.mask, reward, terms, dt_s, done, self._times,
        )  # fmt: skip
        return Outcome(obs, self.mask.copy(), reward, terms, dt_s, done)

    @property
    def time_s(self) -> np.ndarray:
        """(B,) simulated seconds since each episode began."""
        return self.state.world["now_ns"] / SECOND

    @property
    def seeds(self) -> np.ndarray:
        """(B,) uint64, the seed that begins each running episode again."""
        return self.state.world["seed"].copy()

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


def episode_seed(root: int, episode: int) -> int:
    """Seed of episode number `episode` after `reset(seed=root)`."""
    with np.errstate(over="ignore"):
        return int(random.episode_seed(np.uint64(root), episode))
