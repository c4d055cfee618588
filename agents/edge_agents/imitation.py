"""Learning from a teacher in the states that the learner itself visits (DAgger: Ross et al. 2011).

A teacher that tells costs is learned from by the expected cost of the learner's own random choice (AggreVaTe: Ross &
Bagnell 2014), one that tells choices only by cross-entropy.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from edge_agents.configs import ImitationConfig
from edge_agents.networks import NEVER_CHOSEN, RowNetwork
from edge_agents.teachers import Teacher, make_teacher
from edge_agents.worlds import Worlds


class Imitation:
    """A learner, see `edge_agents.learner`.

    Args:
        config: Settings.
        network: What is trained.
        worlds: Where; begun by the learner.
        seed: Of all draws.
        teacher: Instead of the one that `config` names.
    """

    reward_scale = 1.0

    def __init__(
        self, config: ImitationConfig, network: RowNetwork, worlds: Worlds, seed: int, teacher: Teacher | None = None
    ) -> None:
        self.config, self.network, self.worlds = config, network, worlds
        self.teacher = teacher or make_teacher(config.teacher, worlds, config.weight, seed)
        self.rng = np.random.default_rng([seed, 1])
        self.optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate)
        self.env_steps, self._held, self._at = 0, 0, 0
        self._obs = torch.zeros(config.keep, *worlds.obs.shape[1:])
        self._cost = torch.full((config.keep, worlds.mask.shape[1]), torch.nan)
        self._mask = torch.zeros(config.keep, worlds.mask.shape[1], dtype=torch.bool)
        worlds.begin()
        self._begun = np.ones(worlds.n_worlds, bool)
        self._standardised = bool((network.mean != 0).any() or (network.scale != 1).any())  # a start from a clone

    def update(self) -> dict[str, float]:
        """Let the learner decide for a while, ask the teacher what was best, and learn from what is kept."""
        regret = self._collect()
        if not self._standardised:
            seen = self._obs[: self._held]
            self.network.standardise(seen[seen.any(2)])
            self._standardised = True
        share = min(self.env_steps / self.config.total_steps, 1.0)
        last = self.config.final_rate
        rate = self.config.learning_rate * (last + (1.0 - last) * 0.5 * (1.0 + math.cos(math.pi * share)))
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        losses = [self._learn() for _ in range(self._descents())]
        return {"regret/mean": regret, "loss/imitation": float(np.mean(losses)), "learning_rate": rate}

    def _descents(self) -> int:
        """Steps of the optimiser in this update."""
        return self.config.minibatches

    def _collect(self) -> float:
        """Fill the buffer; returns the mean regret of the learner's best choices."""
        worlds, config, regrets = self.worlds, self.config, []
        for _ in range(config.steps):
            for _ in range(config.every - 1):
                self._play_on()
            costs = np.full(worlds.mask.shape, np.nan)
            for k, (batch, part) in enumerate(zip(worlds.batches, worlds.parts, strict=True)):
                rows = batch.world.n_nodes + 1
                found = self.teacher.costs(k, batch, worlds.obs[part, :rows], self._begun[part])
                costs[part, : found.shape[1]] = found
            with torch.inference_mode():
                logits = self.network(torch.from_numpy(worlds.obs), torch.from_numpy(worlds.mask)).logits.numpy()
            best = logits.argmax(1)
            regrets.append(self._store(costs, best))
            step = worlds.step(self._choose(logits, best, costs))
            self._begun = step.done.copy()
            self.env_steps += worlds.n_worlds
        return float(np.mean(regrets))

    def _play_on(self) -> None:
        """One decision of every world that nobody learns from."""
        worlds = self.worlds
        with torch.inference_mode():
            logits = self.network(torch.from_numpy(worlds.obs), torch.from_numpy(worlds.mask)).logits.numpy()
        step = worlds.step(self._choose(logits, logits.argmax(1), np.full(worlds.mask.shape, np.nan)))
        self._begun |= step.done
        self.env_steps += worlds.n_worlds

    def _choose(self, logits: np.ndarray, best: np.ndarray, costs: np.ndarray) -> np.ndarray:
        """(B,) what is done: the teacher's best, a draw from the scores, or the learner's best."""
        config, rng = self.config, self.rng
        drawn = (config.sharpness * logits + rng.gumbel(size=logits.shape)).argmax(1)
        choice = np.where(rng.random(len(best)) < config.explore, drawn, best)
        guided = config.guided * max(0.0, 1.0 - self.env_steps / config.total_steps / config.guided_until)
        if not guided:
            return choice
        taught = np.where(np.isnan(costs), np.inf, costs).argmin(1)
        told = ~np.isnan(costs).all(1)
        return np.where(told & (rng.random(len(best)) < guided), taught, choice)

    def _store(self, costs: np.ndarray, best: np.ndarray) -> float:
        """Keep the samples in which there was something to choose."""
        worlds = self.worlds
        least = np.where(np.isnan(costs), np.inf, costs).min(1, keepdims=True)
        costs = np.minimum(costs - least, self.config.most_regret)
        self._keep(worlds.obs, worlds.mask, costs, np.flatnonzero(worlds.mask.sum(1) > 1))
        return float(np.nanmean(costs[np.arange(len(best)), best]))

    def _keep(self, obs: np.ndarray, mask: np.ndarray, costs: np.ndarray, rows: np.ndarray) -> None:
        """Put rows into the buffer, over the oldest."""
        keep = self.config.keep
        where = (self._at + np.arange(len(rows))) % keep
        self._obs[where], self._mask[where] = torch.from_numpy(obs[rows]), torch.from_numpy(mask[rows])
        self._cost[where] = torch.from_numpy(costs[rows].astype(np.float32))
        self._at, self._held = int((self._at + len(rows)) % keep), min(self._held + len(rows), keep)

    def _learn(self) -> float:
        rows = torch.from_numpy(self.rng.integers(0, self._held, self.config.minibatch))
        logits = self.network(self._obs[rows], self._mask[rows]).logits
        loss = loss_of(self.config.sharpness * logits, self._cost[rows], self.config.loss)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self.config.max_gradient_norm)
        self.optimizer.step()
        return float(loss.detach())

    def get_state(self) -> dict[str, Any]:
        """Everything needed to go on exactly."""
        return {
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "worlds": self.worlds.get_state(),
            "rng": self.rng.bit_generator.state,
            "buffer": {"obs": self._obs, "mask": self._mask, "cost": self._cost},
            "begun": self._begun,
            "counts": [self.env_steps, self._held, self._at, int(self._standardised)],
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go back to what `get_state` returned."""
        self.network.load_state_dict(state["network"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.worlds.set_state(state["worlds"])
        self.rng.bit_generator.state = state["rng"]
        self._obs, self._mask, self._cost = (state["buffer"][name].clone() for name in ("obs", "mask", "cost"))
        self._begun = state["begun"].copy()
        self.env_steps, self._held, self._at, standardised = state["counts"]
        self._standardised = bool(standardised)


def loss_of(logits: Tensor, cost: Tensor, kind: str) -> Tensor:
    """Of scores (K, A) against costs (K, A), nan where unknown: those choices are left out of the comparison."""
    known = ~cost.isnan()
    shown = logits.masked_fill(~known, NEVER_CHOSEN)
    if kind == "choice":
        return torch.nn.functional.cross_entropy(shown, cost.masked_fill(~known, torch.inf).argmin(1))
    return (shown.softmax(1) * cost.masked_fill(~known, 0.0)).sum(1).mean()
