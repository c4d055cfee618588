"""sb3-contrib's `MaskablePPO` as a learner: its algorithm as it is, our worlds, networks and sense of time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.buffers import MaskableRolloutBuffer
from stable_baselines3.common.logger import Logger
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvIndices, VecEnvStepReturn
from torch import Tensor

from edge_agents import returns, torch_state
from edge_agents.configs import MaskablePPOConfig
from edge_agents.networks import RowNetwork
from edge_agents.sb3_policy import RowPolicy
from edge_agents.worlds import Worlds
from edge_gym.errors import EdgeGymInputError

# What Stable-Baselines3 calls the figures of its log, by our names.
FIGURES = {
    "loss/policy": "train/policy_gradient_loss",
    "loss/value": "train/value_loss",
    "policy/kl": "train/approx_kl",
    "policy/clipped": "train/clip_fraction",
    "value/explained": "train/explained_variance",
    "learning/rate": "train/learning_rate",
}


class MaskablePPOLearner:
    """`MaskablePPO` behind the interface of our learners (`edge_agents.learner.Learner`).

    What is not its own: the discount is that of simulated time (`TimedBuffer`); an episode's end is terminal, as the
    world is empty then; features and rewards are scaled once, by a first rollout that nothing is learned from.

    The algorithm draws from the global generators of torch and NumPy. Each call puts the learner's own states there
    and afterwards the caller's back, so both go on as if the other were not. A restored learner goes on bit for bit
    on the CPU, with the same number of torch threads and the same versions; Stable-Baselines3 promises no more.

    Args:
        config: The settings.
        network: What is trained, on the CPU; of a kind that `RowPolicy` takes.
        worlds: Where it learns, without groups; they are begun anew.
        seed: Of the learner's draws.

    Attributes:
        network: What is trained.
        env_steps: Decisions seen so far.
        reward_scale: What rewards are divided by.
        model: The `MaskablePPO`.

    Raises:
        EdgeGymInputError: The network's kind, or worlds in groups.
    """

    def __init__(self, config: MaskablePPOConfig, network: RowNetwork, worlds: Worlds, seed: int) -> None:
        if worlds.group > 1:
            raise EdgeGymInputError("group", worlds.group, "1: MaskablePPO has no baseline for groups")
        self.config, self.network, self.worlds = config, network, worlds
        self.env_steps, self.reward_scale = 0, config.reward_scale or 1.0
        self._settled = False
        self._torch = torch.Generator().manual_seed(seed).get_state()
        self._numpy: Any = np.random.MT19937(seed).state
        self._env = WorldsVecEnv(worlds)
        with self._draws():
            self.model = self._make()
        worlds.begin()

    def update(self) -> dict[str, float]:
        """Play one rollout and learn from it; the first is only looked at."""
        with self._draws():
            if not self._settled:
                self._settle()
                return self._env.take_figures()
            self._env.reward_scale = self.reward_scale
            self.model.learn(1, log_interval=None, reset_num_timesteps=False)  # at least 1: that is one rollout
        self.env_steps = self.model.num_timesteps
        log = self.model.logger.name_to_value
        figures = {ours: float(log[theirs]) for ours, theirs in FIGURES.items()}
        return {**self._env.take_figures(), **figures, "policy/entropy": -float(log["train/entropy_loss"])}

    def get_state(self) -> dict[str, Any]:
        """Everything needed to go on exactly."""
        return {
            "network": torch_state.network_state(self.network),
            "optimiser": torch_state.optimiser_state(self.model.policy.optimizer),
            "worlds": self.worlds.get_state(),
            "torch": self._torch.clone(),
            "numpy": [self._numpy["state"]["key"].copy(), int(self._numpy["state"]["pos"])],
            "counts": [self.env_steps, int(self._settled)],
            "reward_scale": self.reward_scale,
            "returns": self._env.running.copy(),
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Go back to what `get_state` returned."""
        self.network.load_state_dict(state["network"])
        torch_state.set_optimiser_state(self.model.policy.optimizer, state["optimiser"])
        self.worlds.set_state(state["worlds"])
        self._torch = state["torch"].clone()
        key, place = state["numpy"]
        self._numpy = {"bit_generator": "MT19937", "state": {"key": key.copy(), "pos": int(place)}}
        self.env_steps, self._settled = int(state["counts"][0]), bool(state["counts"][1])
        self.model.num_timesteps = self.env_steps
        self.reward_scale = float(state["reward_scale"])
        self._env.running = state["returns"].copy()
        self.model.set_env(self._env, force_reset=True)  # it asks for the observations again; nothing begins anew

    def _make(self) -> MaskablePPO:
        config, worlds = self.config, self.worlds
        model = MaskablePPO(
            RowPolicy,
            self._env,
            learning_rate=self._rate,
            n_steps=config.rollout_steps,
            batch_size=min(config.minibatch, config.rollout_steps * worlds.n_worlds),
            n_epochs=config.epochs,
            gae_lambda=config.gae_lambda,
            clip_range=config.clip,
            ent_coef=config.entropy_weight,
            vf_coef=config.value_weight,
            max_grad_norm=config.max_gradient_norm,
            target_kl=config.target_kl or None,
            rollout_buffer_class=TimedBuffer,
            rollout_buffer_kwargs={"env": self._env, "horizon_s": config.horizon_s},
            policy_kwargs={"task": worlds.task.name, "spec": self.network.spec},
            device="cpu",
        )
        model.set_logger(Logger(None, []))  # its own would make a folder
        model.policy.adopt(self.network)
        return model

    def _rate(self, _: float) -> float:
        """The learning rate now: linear in the decisions seen."""
        share = min(1.0, self.env_steps / self.config.total_steps)
        return self.config.learning_rate * (1.0 - (1.0 - self.config.final_rate) * share)

    @torch.no_grad()
    def _settle(self) -> None:
        """Play one rollout and take the scales of features and rewards from it; what is given stays."""
        steps, worlds = self.config.rollout_steps, self.worlds
        scale, seen = returns.ReturnScale(worlds.n_worlds), []
        obs = self._env.reset()
        self._env.reward_scale = 1.0
        for _ in range(steps):
            mask = self._env.action_masks()
            seen.append(obs[mask.reshape(*obs.shape[:2], -1).any(2)])
            actions, _ = self.model.predict(obs, action_masks=mask)
            obs, reward, done, _ = self._env.step(actions)
            discount = returns.discounts(self._env.dt_s, self.config.horizon_s)
            scale.add(reward[None], discount[None], done[None])
        if bool((self.network.mean == 0).all() and (self.network.scale == 1).all()):
            self.network.standardise(torch.from_numpy(np.concatenate(seen)))
        if not self.config.reward_scale:
            self.reward_scale = scale.scale
        self._settled = True
        self.env_steps = self.model.num_timesteps = steps * worlds.n_worlds

    @contextmanager
    def _draws(self) -> Iterator[None]:
        """Put the learner's own generators in the place of the global ones for a while."""
        theirs, their_numpy = torch.get_rng_state(), np.random.get_state()  # noqa: NPY002 (SB3 draws from it)
        torch.set_rng_state(self._torch)
        np.random.set_state(self._numpy)  # noqa: NPY002
        try:
            yield
        finally:
            self._torch, self._numpy = torch.get_rng_state(), np.random.get_state(legacy=False)  # noqa: NPY002
            torch.set_rng_state(theirs)
            np.random.set_state(their_numpy)  # noqa: NPY002


class WorldsVecEnv(VecEnv):
    """`Worlds` as Stable-Baselines3 wants them. No `info` says anything, so an episode's end counts as terminal.

    `reset` shows the pending decisions and begins nothing: `Worlds.begin` does.

    Args:
        worlds: The worlds.

    Attributes:
        dt_s: (B,) simulated seconds of the last step.
        reward_scale: What rewards are divided by.
        running: (B,) return so far of each running episode, not scaled.
    """

    def __init__(self, worlds: Worlds) -> None:
        shape, n_choices = worlds.obs.shape[1:], worlds.mask.shape[1]
        self.render_mode = None  # the base class asks for it
        super().__init__(worlds.n_worlds, Box(0.0, 1.0, shape, np.float32), Discrete(n_choices))
        self.worlds, self.reward_scale = worlds, 1.0
        self.dt_s, self.running = np.zeros(worlds.n_worlds), np.zeros(worlds.n_worlds)
        self._actions = np.zeros(worlds.n_worlds, np.int64)
        self._infos: list[dict[str, Any]] = [{} for _ in range(worlds.n_worlds)]
        self._ended: list[np.ndarray] = []

    def reset(self) -> np.ndarray:
        """The observations of the pending decisions."""
        return self.worlds.obs.copy()

    def step_async(self, actions: np.ndarray) -> None:
        """Note the actions."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """One decision in every world."""
        out = self.worlds.step(self._actions)
        self.dt_s = out.dt_s.copy()
        self.running += out.reward
        self._ended.append(self.running[out.done])
        self.running[out.done] = 0.0
        return self.reset(), (out.reward / self.reward_scale).astype(np.float32), out.done.copy(), self._infos

    def take_figures(self) -> dict[str, float]:
        """Mean return and number of the episodes that ended since the last call."""
        ended = np.concatenate([np.zeros(0), *self._ended])
        self._ended = []
        mean = float(ended.mean()) if len(ended) else float("nan")
        return {"return/mean": mean, "return/episodes": float(len(ended))}

    def action_masks(self) -> np.ndarray:
        """(B, A * C) bool."""
        return self.worlds.mask.copy()

    def close(self) -> None:
        """Nothing is held open."""

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute once for each world."""
        return [getattr(self, attr_name)] * len(list(self._get_indices(indices)))

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Refused: worlds have no attributes of their own."""
        raise AttributeError(f"{attr_name} cannot be set")

    def env_method(self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **_: Any) -> Any:
        """`action_masks` of all worlds."""
        return getattr(self, method_name)(*method_args)

    def env_is_wrapped(self, wrapper_class: type, indices: VecEnvIndices = None) -> Sequence[bool]:
        """They are not."""
        return [False] * len(list(self._get_indices(indices)))


class TimedBuffer(MaskableRolloutBuffer):
    """A rollout whose advantages are those of simulated time: what comes `dt` later counts exp(-dt / horizon).

    Args:
        *arguments: As for `MaskableRolloutBuffer`.
        env: Whose steps are kept; says how long each took.
        horizon_s: See above.
        **others: As for `MaskableRolloutBuffer`; `gamma` has no effect.
    """

    def __init__(self, *arguments: Any, env: WorldsVecEnv, horizon_s: float, **others: Any) -> None:
        self._env, self._horizon_s = env, horizon_s
        super().__init__(*arguments, **others)

    def reset(self) -> None:
        """Forget all steps."""
        super().reset()
        self._dt_s = np.zeros((self.buffer_size, self.n_envs))

    def add(self, *arguments: Any, **others: Any) -> None:
        """Keep the step that the environment has just made."""
        self._dt_s[self.pos] = self._env.dt_s
        super().add(*arguments, **others)

    def compute_returns_and_advantage(self, last_values: Tensor, dones: np.ndarray) -> None:
        """Fill `advantages` and `returns`; as in the base class but for the discount."""
        values = np.concatenate([self.values, last_values.cpu().numpy().reshape(1, -1)]).astype(np.float64)
        ends = np.concatenate([self.episode_starts[1:], dones[None]]).astype(bool)
        discount = returns.discounts(self._dt_s, self._horizon_s)
        self.advantages[:] = returns.advantages(self.rewards, discount, ends, values, self.gae_lambda)
        self.returns = self.advantages + self.values
