"""What was seen, in a ring that is allocated once; the next observation of a step is the one a slot further."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from edge_agents.worlds import Worlds


class Experience(NamedTuple):
    """M steps of n decisions each."""

    obs: Tensor  # (M, A, F) float32
    mask: Tensor  # (M, A * C) bool
    action: Tensor  # (M,) int64
    reward: Tensor  # (M,) of n decisions, discounted
    discount: Tensor  # (M,) what follows counts; 0 if the episode ended
    next_obs: Tensor  # (M, A, F), n decisions later
    next_mask: Tensor  # (M, A * C)


class Replay:
    """The ring: slots of one decision in each of B worlds.

    Args:
        slots: S, at least `n_step` + 1.
        worlds: Whose shapes are taken.
        n_step: Decisions whose rewards are summed before a value is trusted.
        half_precision: Observations are kept as float16.
    """

    def __init__(self, slots: int, worlds: Worlds, n_step: int, half_precision: bool) -> None:
        self._n_step, self._slots, self._count = n_step, slots, 0
        shape = (slots, worlds.n_worlds)
        kind = torch.float16 if half_precision else torch.float32
        self._tables = {
            "obs": torch.zeros(*shape, *worlds.obs.shape[1:], dtype=kind),
            "mask": torch.zeros(*shape, worlds.mask.shape[1], dtype=torch.bool),
            "action": torch.zeros(shape, dtype=torch.int64),
            "reward": torch.zeros(shape),
            "discount": torch.zeros(shape),  # 0 where the episode ended: then nothing is left to come
        }

    def show(self, worlds: Worlds, actions: np.ndarray) -> None:
        """Note the pending decisions and what was chosen; `close` says what came of it."""
        slot = self._count % self._slots
        self._tables["obs"][slot] = torch.from_numpy(worlds.obs)
        self._tables["mask"][slot] = torch.from_numpy(worlds.mask)
        self._tables["action"][slot] = torch.from_numpy(actions)

    def close(self, reward: np.ndarray, discount: np.ndarray, done: np.ndarray) -> None:
        """Note what came of it, (B,) each, and go on to the next slot."""
        slot = self._count % self._slots
        self._tables["reward"][slot] = torch.from_numpy(reward)
        self._tables["discount"][slot] = torch.from_numpy(np.where(done, 0.0, discount))
        self._count += 1

    def open_rows(self) -> Tensor:
        """(K, F) the rows seen so far that had a legal choice."""
        obs, mask = self._tables["obs"][: self._count], self._tables["mask"][: self._count]
        return obs[mask.view(*obs.shape[:3], -1).any(3)].float()

    def draw(self, size: int, generator: torch.Generator) -> Tensor:
        """Places (2, size): slots whose n decisions are all there, and worlds; equally likely, with replacement."""
        newest = self._count - self._n_step  # the observation after the last of them must be there too
        oldest = max(0, self._count - self._slots)
        slot = torch.randint(oldest, newest, (size,), generator=generator) % self._slots
        world = torch.randint(self._tables["action"].shape[1], (size,), generator=generator)
        return torch.stack([slot, world])

    def read(self, places: Tensor) -> Experience:
        """What stands at places (2, M)."""
        slot, world = places
        tables = self._tables
        reward, discount = torch.zeros(len(slot)), torch.ones(len(slot))
        for k in range(self._n_step):
            at = (slot + k) % self._slots
            reward = reward + discount * tables["reward"][at, world]
            discount = discount * tables["discount"][at, world]
        later = (slot + self._n_step) % self._slots
        return Experience(
            obs=tables["obs"][slot, world].float(),
            mask=tables["mask"][slot, world],
            action=tables["action"][slot, world],
            reward=reward,
            discount=discount,
            next_obs=tables["obs"][later, world].float(),
            next_mask=tables["mask"][later, world],
        )

    def get_state(self) -> dict[str, Any]:
        """A copy of everything."""
        return {"count": self._count, **{name: table.clone() for name, table in self._tables.items()}}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go back to what `get_state` returned."""
        self._count = int(state["count"])
        for name, table in self._tables.items():
            table.copy_(state[name])
