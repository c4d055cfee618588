"""Playing a network in many worlds, and keeping what it saw and did.

The parts of the batch are played side by side, each by one thread and with draws of its own: so what happens does not
depend on how many threads there are.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from edge_agents.networks import Recurrent, RowNetwork
from edge_agents.torch_state import sample
from edge_agents.worlds import Worlds

TICK_S = 1e-6  # decisions at the same instant count as so far apart, so that a group's are matched in their order


class Rollout(NamedTuple):
    """T steps of B worlds; allocated once, and shared between torch and numpy."""

    obs: Tensor  # (T, B, A, F)
    mask: Tensor  # (T, B, A * C)
    action: Tensor  # (T, B)
    log_prob: Tensor  # (T, B)
    value: Tensor  # (T + 1, B)
    reward: Tensor  # (T, B) float64, as is
    dt_s: Tensor  # (T, B) float64
    done: Tensor  # (T, B) bool
    begun: Tensor  # (T, B) bool: the episode begins with this decision
    episode: Tensor  # (T, B) int64, counted for each world
    age_s: Tensor  # (T, B) float64
    memory: Tensor  # (T / sequence, B, A, H) where the sequences begin; empty without a recurrent network
    anchor: Tensor  # (T, B, A * C) logits of the second network; empty if there is none


class Collector:
    """Plays.

    Args:
        network: Who decides, by chance with the probabilities it gives.
        worlds: Where; they are begun.
        steps: T.
        sequence: The memory of a recurrent network is kept every so many steps.
        seed: Of the draws.
        threads: Parts played at the same time.
        anchor: Another network of the same kind that is only asked what it would do.

    Attributes:
        rollout: What was played last.
        seconds: Wall time so far on "env" and "policy".
    """

    def __init__(
        self,
        network: RowNetwork,
        worlds: Worlds,
        steps: int,
        sequence: int,
        seed: int,
        threads: int,
        anchor: RowNetwork | None = None,
    ) -> None:
        self.network, self.worlds, self.anchor = network, worlds, anchor
        self.seconds = {"env": 0.0, "policy": 0.0}
        self.recurrent, self._sequence = isinstance(network, Recurrent), sequence
        self._threads = min(threads, len(worlds.parts))
        self._pool = ThreadPoolExecutor(self._threads) if self._threads > 1 else None
        seeds = np.random.SeedSequence(seed).generate_state(len(worlds.parts), np.uint64)
        self._generators = [torch.Generator().manual_seed(int(drawn >> 1)) for drawn in seeds]
        links = getattr(worlds, "links", None)
        self.links = None if links is None else torch.from_numpy(links)
        n_worlds = worlds.n_worlds
        self._begun, self._episode = np.ones(n_worlds, bool), np.zeros(n_worlds, np.int64)
        self._age_s, self._return = np.zeros(n_worlds), np.zeros(n_worlds)
        memory = (n_worlds, worlds.n_rows, network.spec.hidden) if self.recurrent else (0,)
        self._memory, self._anchor_memory = torch.zeros(memory), torch.zeros(memory)
        self.rollout = self._allocate(steps)
        self._arrays: Any = Rollout(*(tensor.numpy() for tensor in self.rollout))  # type: ignore[arg-type]
        worlds.begin()

    def play(self) -> np.ndarray:
        """Fill the rollout.

        Returns:
            (K,) undiscounted returns of the episodes that ended, in no order of time.
        """
        numbers = range(len(self.worlds.parts))
        played = self._pool.map(self._play, numbers) if self._pool else map(self._play, numbers)
        ended, env, policy = zip(*played, strict=True)
        self.seconds["env"] += sum(env) / self._threads
        self.seconds["policy"] += sum(policy) / self._threads
        return np.concatenate(ended)

    def get_state(self) -> dict[str, Any]:
        """Everything that moves, the worlds included, the rollout not."""
        return {
            "worlds": self.worlds.get_state(),
            "generators": [generator.get_state() for generator in self._generators],
            "clock": [self._begun.copy(), self._episode.copy(), self._age_s.copy(), self._return.copy()],
            "memory": [self._memory.clone(), self._anchor_memory.clone()],
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go back to what `get_state` returned."""
        self.worlds.set_state(state["worlds"])
        for generator, saved in zip(self._generators, state["generators"], strict=True):
            generator.set_state(saved)
        self._begun, self._episode, self._age_s, self._return = (part.copy() for part in state["clock"])
        self._memory, self._anchor_memory = (part.clone() for part in state["memory"])

    def _allocate(self, steps: int) -> Rollout:
        n_worlds, choices = self.worlds.n_worlds, self.worlds.mask.shape[1]
        shape = (steps, n_worlds)
        exact = torch.float64
        return Rollout(
            obs=torch.zeros(*shape, *self.worlds.obs.shape[1:]),
            mask=torch.zeros(*shape, choices, dtype=torch.bool),
            action=torch.zeros(shape, dtype=torch.int64),
            log_prob=torch.zeros(shape),
            value=torch.zeros(steps + 1, n_worlds),
            reward=torch.zeros(shape, dtype=exact),
            dt_s=torch.zeros(shape, dtype=exact),
            done=torch.zeros(shape, dtype=torch.bool),
            begun=torch.zeros(shape, dtype=torch.bool),
            episode=torch.zeros(shape, dtype=torch.int64),
            age_s=torch.zeros(shape, dtype=exact),
            memory=torch.zeros(steps // self._sequence if self.recurrent else 0, *self._memory.shape),
            anchor=torch.zeros(*shape, choices) if self.anchor else torch.zeros(0),
        )

    @torch.inference_mode()
    def _play(self, k: int) -> tuple[np.ndarray, float, float]:
        """Play part `k`; returns the returns of episodes that ended, and seconds spent on worlds and on the network."""
        part, worlds, kept = self.worlds.parts[k], self.worlds, self._arrays
        ended: list[np.ndarray] = []
        env, began = 0.0, perf_counter()
        for t in range(len(kept.action)):
            kept.obs[t, part], kept.mask[t, part] = worlds.obs[part], worlds.mask[part]
            kept.begun[t, part], kept.episode[t, part] = self._begun[part], self._episode[part]
            kept.age_s[t, part] = self._age_s[part]
            self._decide(t, part, self._generators[k])
            decided = perf_counter()
            out = worlds.step_part(k, kept.action[t, part])
            env += perf_counter() - decided
            kept.reward[t, part], kept.dt_s[t, part], kept.done[t, part] = out
            self._return[part] += out.reward
            if out.done.any():
                ended.append(self._return[part][out.done])
                self._return[part][out.done] = 0.0
            self._begun[part] = out.done
            self._episode[part] += out.done
            self._age_s[part] = np.where(out.done, 0.0, self._age_s[part] + np.maximum(out.dt_s, TICK_S))
        kept.value[-1, part] = self._look(part).numpy()
        return np.concatenate(ended) if ended else np.zeros(0), env, perf_counter() - began - env

    def _decide(self, t: int, part: slice, generator: torch.Generator) -> None:
        kept = self.rollout
        obs, mask = kept.obs[t, part], kept.mask[t, part]
        links = None if self.links is None else self.links[part]
        memory = self._remembered(self._memory, part)
        scores = self.network(obs, mask, links, memory)
        action = sample(scores.logits, generator)
        kept.action[t, part] = action
        kept.log_prob[t, part] = scores.logits.log_softmax(1).gather(1, action[:, None]).squeeze(1)
        kept.value[t, part] = scores.value
        if memory is not None:
            if t % self._sequence == 0:
                kept.memory[t // self._sequence, part] = memory
            self._memory[part] = scores.memory
        if self.anchor is not None:
            asked = self.anchor(obs, mask, links, self._remembered(self._anchor_memory, part))
            kept.anchor[t, part] = asked.logits
            if memory is not None:
                self._anchor_memory[part] = asked.memory

    def _look(self, part: slice) -> Tensor:
        """The value of what is pending now."""
        obs, mask = torch.from_numpy(self.worlds.obs[part]), torch.from_numpy(self.worlds.mask[part])
        links = None if self.links is None else self.links[part]
        return self.network(obs, mask, links, self._remembered(self._memory, part)).value

    def _remembered(self, memory: Tensor, part: slice) -> Tensor | None:
        """The memory with which a decision is made: nothing where an episode begins."""
        if not self.recurrent:
            return None
        return memory[part] * ~torch.from_numpy(self._begun[part])[:, None, None]
