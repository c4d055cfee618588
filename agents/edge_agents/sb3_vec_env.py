"""The native vector environment as a Stable-Baselines3 `VecEnv`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.spaces import Box
from stable_baselines3.common.vec_env.base_vec_env import VecEnv, VecEnvIndices, VecEnvStepReturn

from edge_gym.envs.sites import SitesVectorEnv
from edge_gym.envs.sites_batch import SETTINGS
from edge_gym.envs.vector import EdgeVectorEnv
from edge_gym.errors import EdgeGymInputError
from edge_gym.kernel.step import STEP
from edge_gym.kernel.tables import OUTCOME


class SB3VecEnv(VecEnv):
    """B worlds for Stable-Baselines3, stepped by one compiled call. Every episode ends by truncation.

    An `info` is empty but at the end of an episode, when it holds `terminal_observation`, `TimeLimit.truncated` and
    `seed` (of the episode that ended); the empty ones are the same objects again in the next step. `MaskablePPO` finds
    `action_masks`. Algorithms without masks need `illegal="decline"`: PPO, DQN, and `RecurrentPPO`.

    It steps the worlds as the native environment does, but does not make the `info` of the latter (which few worlds
    and many messages make as dear as half a step: `scripts/benchmark_sb3.py`).

    Args:
        num_envs: B, at least 1.
        flatten: Observations of shape (A * F,) instead of (A, F).
        by_site: Every site decides for itself (`edge_gym.envs.sites.SitesVectorEnv`): a row for each site of each
            world, for one network that all sites share.
        **arguments: As for `EdgeVectorEnv` (or `SitesVectorEnv`): task, scenario, illegal, render_mode, fields of the
            scenario.

    Attributes:
        env: The native vector environment.

    Raises:
        EdgeGymInputError: An argument is not valid.
    """

    def __init__(self, num_envs: int, *, flatten: bool = False, by_site: bool = False, **arguments: Any) -> None:
        for name in () if by_site else SETTINGS:
            if name in arguments:
                raise EdgeGymInputError(name, arguments[name], "left out, or by_site=True given with it", "SB3VecEnv")
        make = SitesVectorEnv if by_site else EdgeVectorEnv
        self.env: EdgeVectorEnv = make(num_envs, autoreset_mode="same_step", **arguments)
        space = self.env.task.observation_space(self.env.world.n_nodes)
        if flatten:
            space = Box(space.low.ravel(), space.high.ravel(), dtype=np.float32)
        self._shape = (self.env.num_envs, *space.low.shape)
        self._actions = np.zeros(self.env.num_envs, np.int64)
        self._seed: int | None = None
        self._out = np.zeros(self.env.num_envs, OUTCOME)
        self._empty: list[dict[str, Any]] = [{} for _ in range(self.env.num_envs)]
        super().__init__(self.env.num_envs, space, self.env.single_action_space)

    def seed(self, seed: int | None = None) -> Sequence[int | None]:
        """Seed the next `reset`; each row gets a stream of its own, and `reset_infos` then says which.

        Returns:
            A None for each row: its seed is not known before the reset.
        """
        self._seed = None if seed is None else int(seed)
        return [None] * self.num_envs

    def reset(self) -> np.ndarray:
        """Begin an episode in every row; returns the observations."""
        obs, info = self.env.reset(seed=self._seed)
        self._seed = None
        self.reset_infos = [{"seed": seed} for seed in info["seed"].tolist()]
        return obs.reshape(self._shape)

    def step_async(self, actions: np.ndarray) -> None:
        """Note the actions; `step_wait` takes them."""
        self._actions = actions

    def step_wait(self) -> VecEnvStepReturn:
        """One decision in every world; rows that end begin their next episode at once."""
        batch = self.env.batch
        batch.set_actions(self.env.check_actions(self._actions)[0])
        batch.order["todo"] = STEP
        obs = self.env.next_obs()
        out = batch.run(obs, self._out)
        done = out["done"] == 1
        if any(self._empty):  # somebody wrote into one: what was written belongs to the step before
            self._empty = [{} for _ in range(self.num_envs)]
        infos = self._empty.copy()
        if done.any():
            ended = np.flatnonzero(done).tolist()
            last = obs[done].reshape(len(ended), *self._shape[1:])
            for b, terminal, seed in zip(ended, last, out["seed"][done].tolist(), strict=True):
                infos[b] = {"terminal_observation": terminal, "TimeLimit.truncated": True, "seed": seed}
            worlds = done[:: batch.n_rows // batch.n_worlds]
            batch.episodes[worlds] += 1
            batch.reset(worlds, obs)
        return obs.reshape(self._shape), out["reward"].astype(np.float32), done, infos

    def action_masks(self) -> np.ndarray:
        """(B, A) bool, the choices that are legal now."""
        return self.env.action_masks()

    def close(self) -> None:
        """Refuse further use."""
        self.env.close()

    def get_attr(self, attr_name: str, indices: VecEnvIndices = None) -> list[Any]:
        """An attribute once for each row; the rows share everything but their state.

        Raises:
            AttributeError: There is no such attribute.
        """
        # the spaces of one row are the adapter's; everything else is asked of the native environment
        owner = self if attr_name in ("observation_space", "action_space") else self.env
        return [getattr(owner, attr_name)] * len(self._rows(indices))

    def set_attr(self, attr_name: str, value: Any, indices: VecEnvIndices = None) -> None:
        """Refused: what the rows share is set when the environment is made."""
        raise AttributeError(f"{attr_name} cannot be set: give it to SB3VecEnv(...)")

    def env_method(
        self, method_name: str, *method_args: Any, indices: VecEnvIndices = None, **method_kwargs: Any
    ) -> Any:
        """`action_masks` as one (rows, A) array, or `render` as a list.

        Raises:
            AttributeError: Another method; a row is not an object of its own.
        """
        if method_name not in ("action_masks", "render"):
            raise AttributeError(f"a row has no method {method_name!r}; use `.env` for the whole batch")
        result = getattr(self.env, method_name)(*method_args, **method_kwargs)
        if indices is None or result is None:
            return result
        return (
            result[self._rows(indices)] if method_name == "action_masks" else [result[b] for b in self._rows(indices)]
        )

    def env_is_wrapped(self, wrapper_class: type, indices: VecEnvIndices = None) -> list[bool]:
        """Rows are never wrapped."""
        return [False] * len(self._rows(indices))

    def get_images(self) -> Sequence[np.ndarray | None]:
        """One image for each row, with `render_mode="rgb_array"`."""
        return self.env.render() or [None] * self.num_envs

    def _rows(self, indices: VecEnvIndices) -> list[int]:
        return [int(b) for b in self._get_indices(indices)]
