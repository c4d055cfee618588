"""Proximal policy optimisation (Schulman et al. 2017) with masks, in continuous time, for any of the networks.

A rollout is T steps of B worlds; the environment, the network and every draw handle many worlds at once. A recurrent
network is trained through sequences of steps, which begin with the memory it had when it played them; for every other
network a sequence is one step.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from time import perf_counter
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edge_agents import returns, torch_state
from edge_agents.configs import PPOConfig
from edge_agents.gradients import Descent
from edge_agents.networks import Recurrent, RowNetwork, Scores
from edge_agents.rollout import Collector
from edge_agents.worlds import Worlds
from edge_gym.errors import EdgeGymInputError


class PPO:
    """The learner.

    Args:
        config: The settings.
        network: What is trained, on the CPU. If its features are not standardised yet, they are while settling.
        worlds: Where it learns; they are begun anew. If they come in groups, advantages are relative to the group's.
        seed: Of the learner's own draws.

    Attributes:
        network: What is trained.
        env_steps: Decisions seen so far.
        reward_scale: What rewards are divided by.
        seconds: Wall time so far on "env", "policy" (the network in rollouts) and "update".

    Raises:
        EdgeGymInputError: `sequence` does not divide `rollout_steps`, for a recurrent network.
    """

    def __init__(self, config: PPOConfig, network: RowNetwork, worlds: Worlds, seed: int) -> None:
        self.config, self.network, self.worlds = config, network, worlds
        self.env_steps, self.reward_scale, self.updates = 0, config.reward_scale or 1.0, 0
        self._length = config.sequence if isinstance(network, Recurrent) else 1
        if config.rollout_steps % self._length:
            raise EdgeGymInputError("sequence", config.sequence, "a divisor of rollout_steps", "PPOConfig")
        self._anchor = copy.deepcopy(network).requires_grad_(False) if config.anchor_kl else None
        self._collector = Collector(
            network, worlds, config.rollout_steps, self._length, seed, config.threads, self._anchor
        )
        self.seconds = self._collector.seconds
        self.seconds["update"] = 0.0
        self._advantage, self._target = (torch.zeros_like(self._collector.rollout.log_prob) for _ in range(2))
        self._generator = torch.Generator().manual_seed(seed)
        self._descent = Descent(
            list(network.parameters()),
            config.learning_rate,
            config.final_rate,
            config.max_gradient_norm,
            config.threads,
        )
        self._heads = [parameter for name, parameter in network.named_parameters() if name.startswith("value.")]
        self._standardise = bool((network.mean == 0).all() and (network.scale == 1).all())
        self._scale = returns.ReturnScale(worlds.n_worlds)

    def update(self) -> dict[str, float]:
        """Play one rollout and learn from it; the first `settle_rollouts` are only looked at."""
        ended = self._collector.play()
        began = perf_counter()
        self.env_steps += self._advantage.numel()
        self.updates += 1
        figures = {"return/episodes": float(len(ended)), "return/mean": float(ended.mean()) if len(ended) else np.nan}
        if self.updates <= self.config.settle_rollouts:
            self._settle()
        else:
            self._judge()
            figures |= self._learn()
        self.seconds["update"] += perf_counter() - began
        return figures

    def get_state(self) -> dict[str, Any]:
        """Everything needed to go on exactly."""
        return {
            "network": torch_state.network_state(self.network),
            "anchor": torch_state.network_state(self._anchor) if self._anchor else {},
            "optimiser": self._descent.get_state(),
            "generator": self._generator.get_state(),
            "collector": self._collector.get_state(),
            "counts": [self.env_steps, self.updates],
            "reward_scale": self.reward_scale,
            "returns": [self._scale.running.copy(), self._scale.sums.copy()],
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go back to what `get_state` returned."""
        self.network.load_state_dict(state["network"])
        if self._anchor:
            self._anchor.load_state_dict(state["anchor"])
        self._descent.set_state(state["optimiser"])
        self._generator.set_state(state["generator"])
        self._collector.set_state(state["collector"])
        self.env_steps, self.updates = state["counts"]
        self.reward_scale = float(state["reward_scale"])
        self._scale.running, self._scale.sums = (part.copy() for part in state["returns"])

    def _settle(self) -> None:
        """Find the scales of features and rewards; what is given or was found before stays."""
        kept, config = self._collector.rollout, self.config
        if self._standardise and self.updates == 1:
            seen = kept.obs[kept.mask.view(*kept.obs.shape[:3], -1).any(3)]
            for network in (self.network, self._anchor):
                if network is not None:
                    network.standardise(seen)
        if not config.reward_scale:
            discount = returns.discounts(kept.dt_s.numpy(), config.horizon_s)
            self._scale.add(kept.reward.numpy(), discount, kept.done.numpy())
            self.reward_scale = self._scale.scale

    def _judge(self) -> None:
        """Advantages and targets of the rollout."""
        kept, config = self._collector.rollout, self.config
        reward, value = kept.reward.numpy() / self.reward_scale, kept.value.numpy().astype(np.float64)
        discount = returns.discounts(kept.dt_s.numpy(), config.horizon_s)
        gain = returns.advantages(reward, discount, kept.done.numpy(), value, config.gae_lambda)
        self._target.numpy()[:] = gain + value[:-1]
        if self.worlds.group > 1:
            gain -= returns.group_baseline(gain, kept.episode.numpy(), kept.age_s.numpy(), self.worlds.group)
        self._advantage.numpy()[:] = (gain - gain.mean()) / (gain.std() + 1e-8)

    def _learn(self) -> dict[str, float]:
        config, kept = self.config, self._collector.rollout
        rate = self._descent.set_rate(self.env_steps / config.total_steps)
        warm = self.updates <= config.settle_rollouts + config.warmup_updates
        logs: list[Tensor] = []
        for _ in range(config.epochs):
            logs += [self._descend(index, warm) for index in self._minibatches()]
            if config.target_kl and not warm and logs[-1][3] > config.target_kl:
                break
        names = ("loss/policy", "loss/value", "policy/entropy", "policy/kl", "policy/clipped", "policy/anchor_kl")
        figures = dict(zip(names, torch.stack(logs).mean(0).tolist(), strict=True))
        explained = 1.0 - ((self._target - kept.value[:-1]).var() / self._target.var().clamp(min=1e-12)).item()
        return {**figures, "value/explained": explained, "learning/rate": rate, "learning/steps": float(len(logs))}

    def _minibatches(self) -> Iterator[Tensor]:
        """Places (L, M) in the flattened rollout of M sequences of L steps each, in random order."""
        steps, n_worlds = self._advantage.shape
        order = torch.randperm(steps // self._length * n_worlds, generator=self._generator)
        first = order // n_worlds * self._length * n_worlds + order % n_worlds
        for part in first.split(max(1, self.config.minibatch // self._length)):
            yield part + torch.arange(self._length)[:, None] * n_worlds

    def _descend(self, index: Tensor, warm: bool) -> Tensor:
        """One step of the optimiser; with `warm` of the value's head alone. Returns figures for the log (6,)."""
        moved = self._heads if warm else None
        return self._descent.step(index, self.worlds.n_rows, lambda chunk: self._loss(chunk, warm), moved)

    def _loss(self, index: Tensor, warm: bool) -> tuple[Tensor, Tensor]:
        """The mean loss over places (L, M) of the rollout, and figures for the log (6,)."""
        kept, config, places = self._collector.rollout, self.config, index.flatten()
        scores = self._scores(index)
        logs = scores.logits.log_softmax(1)
        probability = logs.exp()
        change = logs.gather(1, kept.action.flatten()[places, None]).squeeze(1) - kept.log_prob.flatten()[places]
        ratio, gain = change.exp(), self._advantage.flatten()[places]
        policy = -torch.minimum(ratio * gain, ratio.clamp(1.0 - config.clip, 1.0 + config.clip) * gain).mean()
        entropy = -(probability * logs).sum(1).mean()
        value = nn.functional.smooth_l1_loss(scores.value, self._target.flatten()[places])
        anchor = torch.zeros(())
        if self._anchor is not None:
            anchor = (probability * (logs - kept.anchor.flatten(0, 1)[places].log_softmax(1))).sum(1).mean()
        loss = policy - config.entropy_weight * entropy + config.anchor_kl * anchor + config.value_weight * value
        with torch.no_grad():
            kl = (ratio - 1.0 - change).mean()
            clipped = ((ratio - 1.0).abs() > config.clip).float().mean()
            return value if warm else loss, torch.stack([policy, value, entropy, kl, clipped, anchor])

    def _scores(self, index: Tensor) -> Scores:
        """What the network says now at places (L, M), flattened."""
        kept, n_worlds, links = self._collector.rollout, self._advantage.shape[1], self._collector.links
        obs, mask = kept.obs.flatten(0, 1), kept.mask.flatten(0, 1)
        links = None if links is None else links[index[0] % n_worlds]
        if not self._collector.recurrent:
            return self.network(obs[index[0]], mask[index[0]], links)
        memory = kept.memory.flatten(0, 1)[index[0] // (n_worlds * self._length) * n_worlds + index[0] % n_worlds]
        begun, found = kept.begun.flatten(), []
        for place in index:
            memory = memory * ~begun[place][:, None, None]
            found.append(self.network(obs[place], mask[place], links, memory))
            memory = found[-1].memory
        return Scores(torch.cat([scores.logits for scores in found]), torch.cat([scores.value for scores in found]))
