"""Evolution strategies: perturbed copies of the network play the same episodes, and the better ones show the way.

Natural evolution strategies with mirrored perturbations and ranks (Wierstra et al. 2014; Salimans et al. 2017). Only
the sum of an episode's rewards counts, so neither a value nor a discount is needed, and any number of decisions may lie
between a choice and what comes of it. The copies that are compared meet the same requests, lengths and failures.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call

from edge_agents import torch_state
from edge_agents.configs import EvolutionConfig
from edge_agents.networks import RowNetwork
from edge_agents.worlds import Worlds
from edge_gym.errors import EdgeGymInputError

SETTLE = 64  # decisions from which the scales of the features are found


class Evolution:
    """A learner, see `edge_agents.learner`.

    Args:
        config: Settings.
        network: What is trained; not a recurrent one.
        worlds: Where. Those of a group (`Worlds.group`) meet the same requests, and each is played by another copy.
        seed: Of the perturbations.

    Raises:
        EdgeGymInputError: A group is not an even number of worlds.
    """

    reward_scale = 1.0

    def __init__(self, config: EvolutionConfig, network: RowNetwork, worlds: Worlds, seed: int) -> None:
        if worlds.group % 2:
            hint = "as many copies of the network as there are worlds in a group are compared, in pairs"
            raise EdgeGymInputError("group", worlds.group, "an even number", "evolution", hint)
        self.config, self.network, self.worlds = config, network, worlds
        self.env_steps, self.updates = 0, 0
        self._trained = {name: p for name, p in network.named_parameters() if not name.startswith("value.")}
        self._optimiser = torch.optim.Adam(self._trained.values(), lr=config.learning_rate)
        self._rng = np.random.default_rng([seed, 2])
        self._settled = not bool((network.mean == 0).all() and (network.scale == 1).all())
        self._logits = torch.vmap(lambda weights, *seen: functional_call(network, weights, seen).logits)

    def update(self) -> dict[str, float]:
        """Let one generation play an episode of every world, and take one step."""
        if not self._settled:
            self._settle()
        config, half = self.config, self.worlds.group // 2
        share = min(self.env_steps / config.total_steps, 1.0)
        falling = 0.5 * (1.0 + math.cos(math.pi * share))
        rate = config.learning_rate * (config.final_rate + (1.0 - config.final_rate) * falling)
        noise = {name: self._draw(half, p) for name, p in self._trained.items()}
        mirrored = {name: torch.cat([drawn, -drawn]) * config.sigma for name, drawn in noise.items()}
        with torch.inference_mode():
            found = self._play({name: p + mirrored[name] for name, p in self._trained.items()})
        self.updates += 1
        worth = torch.from_numpy(shape(found).mean(0).astype(np.float32))
        better = (worth[:half] - worth[half:]) / (2.0 * half * config.sigma)
        for name, p in self._trained.items():
            p.grad = -torch.tensordot(better, noise[name], 1)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self._optimiser.step()
        spread = float(found.std(1).mean())
        return {"return/mean": float(found.mean()), "return/spread": spread, "learning_rate": rate}

    def _draw(self, n: int, like: Tensor) -> Tensor:
        return torch.from_numpy(self._rng.standard_normal((n, *like.shape), np.float32))

    def _play(self, weights: dict[str, Tensor]) -> np.ndarray:
        """(groups, P) returns of the P copies whose weights these are."""
        worlds = self.worlds
        worlds.begin(self.updates)
        total, over = np.zeros(worlds.n_worlds), np.zeros(worlds.n_worlds, bool)
        for _ in range(self.config.most_steps):
            step = worlds.step(self._choose(weights), over)
            self.env_steps += int((~over).sum())
            total += step.reward
            over |= step.done
            if over.all():
                break
        return total.reshape(-1, worlds.group)

    def _choose(self, weights: dict[str, Tensor]) -> np.ndarray:
        """(B,) the best choice of each world's copy."""
        worlds = self.worlds
        seen = [torch.from_numpy(table) for table in (worlds.obs, worlds.mask)]
        by_copy = [t.view(-1, worlds.group, *t.shape[1:]).transpose(0, 1) for t in seen]
        return self._logits(weights, *by_copy).argmax(2).T.flatten().numpy()

    def _settle(self) -> None:
        """Find the scales of the features from what the untrained network sees."""
        worlds, seen = self.worlds, []
        worlds.begin()
        for _ in range(SETTLE):
            obs, mask = torch.from_numpy(worlds.obs), torch.from_numpy(worlds.mask)
            seen.append(obs[obs.any(2)])
            with torch.inference_mode():
                best = self.network(obs, mask).logits.argmax(1).numpy()
            worlds.step(best)
        self.network.standardise(torch.cat(seen))
        self._settled = True

    def get_state(self) -> dict[str, Any]:
        """Everything needed to go on exactly; not the worlds, whose episodes every update begins anew."""
        return {
            "network": torch_state.network_state(self.network),
            "optimiser": torch_state.optimiser_state(self._optimiser),
            "rng": self._rng.bit_generator.state,
            "counts": [self.env_steps, self.updates, int(self._settled)],
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go back to what `get_state` returned."""
        self.network.load_state_dict(state["network"])
        torch_state.set_optimiser_state(self._optimiser, state["optimiser"])
        self._rng.bit_generator.state = state["rng"]
        self.env_steps, self.updates, settled = state["counts"]
        self._settled = bool(settled)


def shape(returns: np.ndarray) -> np.ndarray:
    """Ranks of the returns (groups, P) within each group, from -0.5 (worst) to 0.5; equals share the mean of theirs.

    Worlds differ far more from each other than the copies do in the same world; ranks leave only the latter.
    """
    mine, others = returns[:, :, None], returns[:, None, :]
    above = (mine > others).sum(2) + 0.5 * ((mine == others).sum(2) - 1)
    return above / (returns.shape[1] - 1) - 0.5
