"""Many worlds of several scenarios as one batch to learn in: shorter observations are filled up with illegal rows."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from edge_gym.envs.batch import Batch
from edge_gym.envs.common import resolve_task
from edge_gym.envs.links import log_links
from edge_gym.evaluation.splits import TRAIN
from edge_gym.kernel.tables import SECOND
from edge_gym.scenario import Scenario

WAKE_S = 2.0  # a learned controller of the fast path is asked at least this often: it cannot say when it should be
FIRST_SEED = TRAIN.first


class Step(NamedTuple):
    """What a step of all worlds gives; arrays are reused by the next step."""

    reward: np.ndarray  # (B,) float64
    dt_s: np.ndarray  # (B,) float64, simulated seconds the step took
    done: np.ndarray  # (B,) bool: the episode ended with the step; `obs` shows the next one


class Worlds:
    """B worlds that begin again by themselves (same step).

    Args:
        task: Name of the task.
        scenarios: One part of the batch for each.
        n_each: Worlds of each scenario.
        seed: Of the training run; the worlds' own seeds are drawn from it.
        group: So many neighbouring worlds get the same seeds, hence the same requests, lengths and failures: their
            mean return is a baseline that takes the luck out of them (Mao et al. 2019). Divides `n_each`.
        threads: Parts that are stepped at the same time.

    Attributes:
        obs: (B, A, F) float32, A that of the largest scenario.
        mask: (B, A * C) bool, C choices a row.
        batches: One for each scenario, in order.
        parts: The rows of each batch.
    """

    def __init__(
        self, task: str, scenarios: Sequence[Scenario], n_each: int, seed: int, group: int = 1, threads: int = 1
    ) -> None:
        found = [resolve_task(task, scenario, {}) for scenario in scenarios]
        self.task = found[0][0]
        self.batches = [Batch(world, n_each, self.task) for _, world in found]
        self.parts = [slice(k * n_each, (k + 1) * n_each) for k in range(len(found))]
        self.n_worlds, self.group = n_each * len(found), group
        self.n_rows = max(world.n_nodes for _, world in found) + 1
        self.columns = max(b.mask.shape[1] // (b.world.n_nodes + 1) for b in self.batches)
        self.obs = np.zeros((self.n_worlds, self.n_rows, len(self.task.columns)), np.float32)
        self.mask = np.zeros((self.n_worlds, self.n_rows * self.columns), bool)
        # The largest write where they are shown, the others beside it.
        self._rooms = [
            self.obs[part] if batch.world.n_nodes + 1 == self.n_rows else batch.empty_obs()
            for batch, part in zip(self.batches, self.parts, strict=True)
        ]
        self._step = Step(np.zeros(self.n_worlds), np.zeros(self.n_worlds), np.zeros(self.n_worlds, bool))
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        roots = np.random.default_rng([FIRST_SEED, seed]).integers(FIRST_SEED, 2**62, self.n_worlds // group)
        for batch, part in zip(self.batches, self.parts, strict=True):
            batch.roots[:] = np.repeat(roots, group)[part]
            batch.order["wake_ns"] = int(WAKE_S * SECOND) if self.task.control else 0

    @cached_property
    def links(self) -> np.ndarray:
        """(B, A, A) float32, `edge_gym.envs.links.log_links` of each world, 0 in rows that fill up."""
        found = np.zeros((self.n_worlds, self.n_rows, self.n_rows), np.float32)
        for batch, part in zip(self.batches, self.parts, strict=True):
            own = batch.world.n_nodes + 1
            found[part, :own, :own] = log_links(batch.world)
        return found

    def begin(self, episode: int = 0) -> None:
        """Begin that episode of every world, the first by default."""
        for k, batch in enumerate(self.batches):
            batch.episodes[:] = episode
            batch.reset(np.ones(batch.n_worlds, bool), self._rooms[k])
            self._show(k)

    def step(self, actions: np.ndarray, skip: np.ndarray | None = None) -> Step:
        """One decision in every world.

        Args:
            actions: (B,) int64, legal choices.
            skip: (B,) bool, worlds that stand still instead, without a reward; None: no world does.
        """
        skip = np.zeros(self.n_worlds, bool) if skip is None else skip
        numbers = range(len(self.batches))
        if self._pool is None:
            for k in numbers:
                self.step_part(k, actions[self.parts[k]], skip[self.parts[k]])
        else:
            parts = self.parts
            list(self._pool.map(lambda k: self.step_part(k, actions[parts[k]], skip[parts[k]]), numbers))
        return self._step

    def step_part(self, k: int, actions: np.ndarray, skip: np.ndarray | None = None) -> Step:
        """One decision in every world of part `k`; parts may be stepped at the same time.

        Args:
            k: Number of the part.
            actions: (B / parts,) int64, legal choices of its worlds.
            skip: (B / parts,) bool, as in `step`.

        Returns:
            Of its worlds alone.
        """
        batch, part, room = self.batches[k], self.parts[k], self._rooms[k]
        out = batch.step(actions, np.zeros(batch.n_worlds, bool) if skip is None else skip, room)
        if out.done.any():
            batch.episodes[out.done] += 1
            batch.reset(out.done, room)
        self._step.reward[part], self._step.dt_s[part], self._step.done[part] = out.reward, out.dt_s, out.done
        self._show(k)
        return Step(*(column[part] for column in self._step))

    def get_state(self) -> dict[str, np.ndarray]:
        """Everything that moves, as named arrays."""
        return {f"{k}.{name}": table for k, batch in enumerate(self.batches) for name, table in _saved(batch).items()}

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        """Go back to what `get_state` returned."""
        for k, batch in enumerate(self.batches):
            batch.set_state({name: state[f"{k}.{name}"] for name in _saved(batch)})
            batch.observe(np.ones(batch.n_worlds, bool), self._rooms[k])
            self._show(k)

    def _show(self, k: int) -> None:
        batch, part, room = self.batches[k], self.parts[k], self._rooms[k]
        if room.base is not self.obs:
            self.obs[part, : room.shape[1]] = room
        self.mask[part, : batch.mask.shape[1]] = batch.mask


def _saved(batch: Batch) -> dict[str, Any]:
    return batch.get_state()
