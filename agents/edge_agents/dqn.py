"""Double deep Q-learning (van Hasselt et al. 2016) with masks, n steps at a time, in continuous time.

The scores of the network are the values of the choices, so the best choice is the one with the highest score, as for
every other policy. Maxima are taken over legal choices only: an illegal one has the score `NEVER_CHOSEN`.
"""

from __future__ import annotations

import copy
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edge_agents import returns, torch_state
from edge_agents.configs import DQNConfig
from edge_agents.gradients import Descent
from edge_agents.networks import NEVER_CHOSEN, Recurrent, RowNetwork
from edge_agents.replay import Replay
from edge_agents.worlds import Worlds
from edge_gym.errors import EdgeGymInputError


class DQN:
    """The learner.

    Args:
        config: The settings.
        network: What is trained, on the CPU, of any kind but "recurrent". If its features are not standardised yet,
            they are when learning starts.
        worlds: Where it learns; they are begun anew.
        seed: Of the learner's own draws.

    Attributes:
        network: What is trained.
        env_steps: Decisions seen so far.
        reward_scale: What rewards are divided by.
        seconds: Wall time so far on "env", "policy" and "update".

    Raises:
        EdgeGymInputError: A recurrent network, or a replay that holds too little to learn from.
    """

    def __init__(self, config: DQNConfig, network: RowNetwork, worlds: Worlds, seed: int) -> None:
        if isinstance(network, Recurrent):
            raise EdgeGymInputError("network", "recurrent", "any other kind", "DQN", "its memories are not replayed")
        slots = config.capacity // worlds.n_worlds
        self._starts = max(config.learning_starts, (config.n_step + 1) * worlds.n_worlds)
        if slots * worlds.n_worlds < self._starts:
            allowed = f">= {self._starts} for {worlds.n_worlds} worlds"
            raise EdgeGymInputError("capacity", config.capacity, allowed, "DQNConfig")
        self.config, self.network, self.worlds = config, network, worlds
        self.env_steps, self.reward_scale = 0, config.reward_scale or 1.0
        self.seconds = {"env": 0.0, "policy": 0.0, "update": 0.0}
        self._target = copy.deepcopy(network).requires_grad_(False)
        self._generator = torch.Generator().manual_seed(seed)
        self._descent = Descent(
            list(network.parameters()),
            config.learning_rate,
            config.final_rate,
            config.max_gradient_norm,
            config.threads,
        )
        self._descents = 0
        self._scale = returns.ReturnScale(worlds.n_worlds)
        self._return = np.zeros(worlds.n_worlds)
        self._standardise = bool((network.mean == 0).all() and (network.scale == 1).all())
        self._replay = Replay(slots, worlds, config.n_step, config.half_precision)
        links = getattr(worlds, "links", None)
        self._links = None if links is None else torch.from_numpy(links)
        worlds.begin()

    @property
    def epsilon(self) -> float:
        """Share of decisions that are drawn from the legal choices at random."""
        config = self.config
        done = min(1.0, self.env_steps / (config.epsilon_share * config.total_steps))
        return config.epsilon_first + (config.epsilon_last - config.epsilon_first) * done

    def update(self) -> dict[str, float]:
        """Play `rollout_steps` steps, then learn `descents` times from what was ever seen."""
        before, ended = self.env_steps, self._play()
        figures = {"return/episodes": float(len(ended)), "return/mean": float(ended.mean()) if len(ended) else np.nan}
        figures["policy/epsilon"] = self.epsilon
        if self.env_steps < self._starts:
            return figures
        began = perf_counter()
        if before < self._starts:
            self._settle()
        figures["learning/rate"] = self._descent.set_rate(self.env_steps / self.config.total_steps)
        logs = [self._learn() for _ in range(self.config.descents)]
        names = ("loss/value", "value/mean", "value/target")
        figures |= dict(zip(names, torch.stack(logs).mean(0).tolist(), strict=True))
        self.seconds["update"] += perf_counter() - began
        return figures

    def get_state(self) -> dict[str, Any]:
        """Everything needed to go on exactly, what is replayed included."""
        return {
            "network": torch_state.network_state(self.network),
            "target": torch_state.network_state(self._target),
            "optimiser": self._descent.get_state(),
            "generator": self._generator.get_state(),
            "worlds": self.worlds.get_state(),
            "replay": self._replay.get_state(),
            "counts": [self.env_steps, self._descents],
            "reward_scale": self.reward_scale,
            "returns": [self._scale.running.copy(), self._scale.sums.copy(), self._return.copy()],
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go back to what `get_state` returned."""
        self.network.load_state_dict(state["network"])
        self._target.load_state_dict(state["target"])
        self._descent.set_state(state["optimiser"])
        self._generator.set_state(state["generator"])
        self.worlds.set_state(state["worlds"])
        self._replay.set_state(state["replay"])
        self.env_steps, self._descents = state["counts"]
        self.reward_scale = float(state["reward_scale"])
        self._scale.running, self._scale.sums, self._return = (part.copy() for part in state["returns"])

    @torch.inference_mode()
    def _play(self) -> np.ndarray:
        """Returns the undiscounted returns of the episodes that ended."""
        worlds, ended = self.worlds, []
        for _ in range(self.config.rollout_steps):
            began = perf_counter()
            actions = self._choose(torch.from_numpy(worlds.obs), torch.from_numpy(worlds.mask)).numpy()
            self._replay.show(worlds, actions)
            decided = perf_counter()
            out = worlds.step(actions)
            self.seconds["policy"] += decided - began
            self.seconds["env"] += perf_counter() - decided
            discount = returns.discounts(out.dt_s, self.config.horizon_s)
            if self.env_steps < self._starts:
                self._scale.add(out.reward[None], discount[None], out.done[None])
            self._replay.close(out.reward, discount, out.done)
            self._return += out.reward
            ended.append(self._return[out.done])
            self._return[out.done] = 0.0
            self.env_steps += worlds.n_worlds
        return np.concatenate(ended)

    def _choose(self, obs: Tensor, mask: Tensor) -> Tensor:
        at_random = torch.zeros(mask.shape).masked_fill_(~mask, NEVER_CHOSEN)
        chance = torch_state.sample(at_random, self._generator)
        if self.env_steps < self._starts:
            return chance
        best = self.network(obs, mask, self._links).logits.argmax(1)
        return torch.where(torch.rand(len(best), generator=self._generator) < self.epsilon, chance, best)

    def _settle(self) -> None:
        """Find the scales of features and rewards from what was seen at random."""
        if self._standardise:
            seen = self._replay.open_rows()
            self.network.standardise(seen)
            self._target.standardise(seen)
        if not self.config.reward_scale:
            self.reward_scale = self._scale.scale

    def _learn(self) -> Tensor:
        places = self._replay.draw(self.config.minibatch, self._generator)
        log = self._descent.step(places, self.worlds.n_rows, self._loss)
        self._descents += 1
        if self._descents % self.config.target_every == 0:
            self._target.load_state_dict(self.network.state_dict())
        return log

    def _loss(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """The mean Huber loss over places (2, M) of the replay, and figures for the log (3,)."""
        found = self._replay.read(places)
        links = None if self._links is None else self._links[places[1]]
        with torch.no_grad():
            best = self.network(found.next_obs, found.next_mask, links).logits.argmax(1, keepdim=True)
            later = self._target(found.next_obs, found.next_mask, links).logits.gather(1, best).squeeze(1)
            target = found.reward / self.reward_scale + found.discount * later
        value = self.network(found.obs, found.mask, links).logits.gather(1, found.action[:, None]).squeeze(1)
        loss = nn.functional.smooth_l1_loss(value, target)
        return loss, torch.stack([loss.detach(), value.detach().mean(), target.mean()])
