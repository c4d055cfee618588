"""Learning from hindsight: what another choice would have led to in the episode that was played.

Every few decisions the worlds are remembered. When all that followed has been played, some choices are tried in copies
of the remembered worlds while every later decision stays as it was made, and what they cost teaches the network. The
network sees only what a router sees, so it learns the choice of least expected cost. To first order the later decisions
may stay: where they are good, changing them a little changes nothing (envelope theorem).
"""

from __future__ import annotations

import numpy as np
import torch

from edge_agents.configs import HindsightConfig
from edge_agents.imitation import Imitation
from edge_agents.networks import RowNetwork
from edge_agents.worlds import Worlds
from edge_gym.envs.batch import Batch
from edge_gym.kernel.observe import N_FEATURES, N_TIMES
from edge_gym.kernel.replay import DECIDED, RETURNS, replay_rows
from edge_gym.kernel.tables import NO_SUBJECT, OUTCOME, State

ROOM = 128  # requests that are decided on again though they are older than the trial


class Memory:
    """Remembered moments of one batch of routing worlds, and what was decided in it.

    Args:
        batch: The worlds.
        taught: Share of the training in which the teacher is learned from, as by `Imitation`.
        ahead: Further requests that arrive in a trial before the world empties.
    """

    def __init__(self, batch: Batch, ahead: int) -> None:
        self.batch, self.ahead = batch, ahead
        n = batch.world.n_nodes
        self._trial = batch.world.allocate(1)
        self._scratch = (
            np.zeros(1, OUTCOME),
            np.zeros((n + 1, N_FEATURES), np.float32),
            np.zeros(n + 1, bool),
            np.zeros((n + 1) * N_TIMES, np.float32),
        )
        self._made: list[tuple[np.ndarray, ...]] = []

    def forget(self) -> None:
        """Forget what was decided."""
        self._made.clear()

    def moment(self) -> State:
        """A copy of the worlds as they are: all that a replay reads."""
        state = self.batch.state
        copies = {name: table.copy() for name, table in state._asdict().items() if name not in ("job", "log", "news")}
        return state._replace(job=state.job[:, : state.world["fresh"].max()].copy(), **copies)

    def note(self, actions: np.ndarray) -> None:
        """Note what is about to be decided."""
        world, rows = self.batch.state.world, np.arange(self.batch.n_worlds)
        job = self.batch.state.job[rows, np.maximum(world["subject"], 0)]
        number = np.where(world["subject_kind"] != NO_SUBJECT, job["id"], -1)
        self._made.append((world["seed"].copy(), number, job["retries"], actions.copy()))

    def costs(self, moment: State, since: int, tried: np.ndarray, follow: bool = True) -> np.ndarray:
        """What the choices would have cost.

        Args:
            moment: The worlds as they were.
            since: How many decisions had been noted then.
            tried: (B, K) choices; negative ones are left out.
            follow: Later decisions stay as they were made; else the world's own router makes them anew.

        Returns:
            (B, K) float64, minus the return; 0 for what was left out.
        """
        cost, made = np.zeros(tried.shape), self._table(moment, since if follow else len(self._made))
        until = moment.world["arrived"] + self.ahead
        replay_rows(self.batch.world.params, moment, made, tried, until, cost, self._trial, *self._scratch)
        return cost

    def _table(self, moment: State, since: int) -> np.ndarray:
        """(B, P) DECIDED: what was decided in the episodes of this moment."""
        made = np.zeros((len(moment.world), RETURNS * (self.ahead + ROOM)), DECIDED)
        made["id"] = -1
        last = moment.world["arrived"] + self.ahead  # what came later would take the places of what is needed
        for seed, number, retries, action in self._made[since:]:
            same = np.flatnonzero((seed == moment.world["seed"]) & (number >= 0) & (number < last))
            place = (number[same] * RETURNS + retries[same] % RETURNS) % made.shape[1]
            made["id"][same, place], made["retries"][same, place] = number[same], retries[same]
            made["choice"][same, place] = action[same]
        return made


class Hindsight(Imitation):
    """A learner, see `edge_agents.learner`: routing, from what other choices would have led to."""

    def __init__(self, config: HindsightConfig, network: RowNetwork, worlds: Worlds, seed: int) -> None:
        super().__init__(config, network, worlds, seed)
        self.how = config
        self._memories = [Memory(batch, config.ahead) for batch in worlds.batches]

    def _collect(self) -> float:
        """Learn from the teacher first; then play, try and keep.

        Returns:
            Mean regret of the network's best choices; later how much worse its second-best choices are.
        """
        config, worlds, kept = self.how, self.worlds, []
        if self._is_taught():
            return super()._collect()
        for memory in self._memories:
            memory.forget()
        for t in range(config.apart * config.moments + config.ahead):
            with torch.inference_mode():
                logits = self.network(torch.from_numpy(worlds.obs), torch.from_numpy(worlds.mask)).logits.numpy()
            best = logits.argmax(1)
            actions = self._choose(logits, best, np.zeros(0))
            if t % config.apart == 0 and t < config.apart * config.moments:
                moments = [memory.moment() for memory in self._memories]
                kept.append((t, moments, worlds.obs.copy(), worlds.mask.copy(), self._proposed(logits, actions)))
            for memory, part in zip(self._memories, worlds.parts, strict=True):
                memory.note(actions[part])
            worlds.step(actions)
            self.env_steps += worlds.n_worlds
        return float(np.mean([self._try(*moment) for moment in kept]))

    def _is_taught(self) -> bool:
        """Whether this is the first part of the training."""
        return self.env_steps < self.how.taught * self.how.total_steps

    def _descents(self) -> int:
        return super()._descents() if self._is_taught() else self.how.trials

    def _try(self, since: int, moments: list, obs: np.ndarray, mask: np.ndarray, tried: np.ndarray) -> float:
        parts = zip(self._memories, moments, self.worlds.parts, strict=True)
        follow = bool(self.rng.random() < self.how.follow)
        cost = np.concatenate([m.costs(moment, since, tried[part], follow) for m, moment, part in parts])
        limit = self.how.most_regret
        gain = np.clip(cost - cost[:, :1], -limit, limit)
        full = np.full(mask.shape, np.nan)
        rows, columns = np.nonzero(tried >= 0)
        full[rows, tried[rows, columns]] = gain[rows, columns]
        self._keep(obs, mask, full, np.flatnonzero((tried >= 0).sum(1) > 1))
        second = gain[tried[:, 1] >= 0, 1]
        return float(second.sum() / max(len(second), 1))

    def _proposed(self, logits: np.ndarray, made: np.ndarray) -> np.ndarray:
        """(B, K) choices to try: what was done, the best others, and some drawn; -1 where there are no more."""
        config, mask = self.how, self.worlds.mask
        rows = np.arange(len(made))[:, None]
        score = np.where(mask, logits, -np.inf)
        score[rows[:, 0], made] = np.inf
        best = np.argsort(-score, 1)[:, : 1 + config.best]
        score = np.where(mask, self.rng.random(mask.shape), -np.inf)
        score[rows, best] = -np.inf
        drawn = np.argsort(-score, 1)[:, : config.random]
        drawn = np.where(np.isfinite(score[rows, drawn]), drawn, -1)
        best = np.where(mask[rows, best], best, -1)
        return np.concatenate([best, drawn], 1)
