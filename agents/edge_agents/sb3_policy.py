"""The networks that score rows as a policy of sb3-contrib's `MaskablePPO`."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.distributions import MaskableDistribution
from sb3_contrib.common.maskable.policies import MaskableActorCriticPolicy
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor

from edge_agents import checkpoint
from edge_agents.networks import NetworkSpec, RowNetwork, Scores, build
from edge_gym.errors import EdgeGymInputError
from edge_gym.tasks import get_task

ALONE = ("deepsets", "attention", "mlp")  # kinds that need no more than the observation


class RowPolicy(MaskableActorCriticPolicy):
    """Policy and value by one network of `edge_agents.networks`; give it to `MaskablePPO` as a class.

        MaskablePPO(RowPolicy, SB3VecEnv(64, scenario="churn"), policy_kwargs={"task": "routing"})

    Where no masks are passed (Stable-Baselines3 passes none when it asks for a value), what is legal is read from the
    column `legal` of the observation, which says the same. MetaControl has no such column: there every choice counts
    as legal for the value alone, and `predict` needs the masks, as `MaskablePPO` passes them.

    Observations must come as the environment gives them (in `VecNormalize`, `norm_obs=False`).

    Args:
        observation_space: (A, F), or the same flattened.
        action_space: A * C choices.
        lr_schedule: Learning rate.
        task: Name of the task; it names the columns.
        spec: What the network is made of; default: `NetworkSpec` with F and C of the task.
        **others: As for `MaskableActorCriticPolicy`; those that shape its own networks have no effect.

    Attributes:
        network: The network; shapes in and out as in `RowNetwork.forward`.

    Raises:
        EdgeGymInputError: The spec does not fit the task and the spaces, or is of a kind that needs more than the
            observation ("graph", "recurrent").
    """

    network: RowNetwork

    def __init__(
        self,
        observation_space: Box,
        action_space: Discrete,
        lr_schedule: Schedule,
        task: str = "routing",
        spec: NetworkSpec | None = None,
        **others: Any,
    ) -> None:
        names = [column.name for column in get_task(task).columns]
        n_rows = int(np.prod(observation_space.shape)) // len(names)
        fits = NetworkSpec(n_features=len(names), columns=int(action_space.n) // n_rows)
        self.task, self.spec = task, fits if spec is None else spec
        self._legal = names.index("legal") if "legal" in names else None
        if self.spec.kind not in ALONE:
            raise EdgeGymInputError("spec.kind", self.spec.kind, f"one of {', '.join(ALONE)}", "RowPolicy")
        for field in ("n_features", "columns"):
            wanted = getattr(fits, field)
            if getattr(self.spec, field) != wanted:
                raise EdgeGymInputError(f"spec.{field}", getattr(self.spec, field), f"{wanted} here", "RowPolicy")
        super().__init__(observation_space, action_space, lr_schedule, **others)

    def forward(
        self, obs: Tensor, deterministic: bool = False, action_masks: np.ndarray | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Choose.

        Args:
            obs: (B, A, F) or (B, A * F).
            deterministic: The best choice rather than a drawn one.
            action_masks: (B, A * C) bool.

        Returns:
            Choices (B,), values (B, 1), logarithms of the choices' probabilities (B,).
        """
        scores = self._scores(obs, action_masks)
        chances = self.action_dist.proba_distribution(scores.logits)
        actions = chances.get_actions(deterministic=deterministic)
        return actions, scores.value.unsqueeze(1), chances.log_prob(actions)

    def evaluate_actions(
        self, obs: Tensor, actions: Tensor, action_masks: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor | None]:
        """Values (B, 1), logarithms of the probabilities (B,) and entropies (B,) for choices (B,) made before."""
        scores = self._scores(obs, action_masks)
        chances = self.action_dist.proba_distribution(scores.logits)
        return scores.value.unsqueeze(1), chances.log_prob(actions), chances.entropy()

    def get_distribution(self, obs: Tensor, action_masks: np.ndarray | None = None) -> MaskableDistribution:
        """The chances of all choices."""
        return self.action_dist.proba_distribution(self._scores(obs, action_masks).logits)

    def predict_values(self, obs: Tensor) -> Tensor:
        """Values (B, 1)."""
        return self._scores(obs, None).value.unsqueeze(1)

    def adopt(self, network: RowNetwork) -> None:
        """Use this network from now on, with a fresh optimiser.

        Args:
            network: Of the same spec.
        """
        if network.spec != self.spec:
            raise EdgeGymInputError("network.spec", network.spec, f"{self.spec}", "RowPolicy.adopt")
        self.network = network.to(self.device)
        rate = self.optimizer.param_groups[0]["lr"]
        self.optimizer = self.optimizer_class(self.parameters(), lr=rate, **self.optimizer_kwargs)

    def _build(self, lr_schedule: Schedule) -> None:
        """Called by the base class to make networks and optimiser."""
        self.network = build(self.spec)
        self.optimizer = self.optimizer_class(self.parameters(), lr=lr_schedule(1), **self.optimizer_kwargs)

    def _scores(self, obs: Tensor, masks: np.ndarray | Tensor | None) -> Scores:
        rows = obs.float().view(len(obs), -1, self.spec.n_features)
        if masks is not None:
            legal = torch.as_tensor(masks, device=rows.device).bool().view(len(rows), -1)
        elif self._legal is not None:
            legal = rows[:, :, self._legal] > 0.5
        else:
            legal = torch.ones(len(rows), rows.shape[1] * self.spec.columns, dtype=torch.bool, device=rows.device)
        return self.network(rows, legal)

    def _get_constructor_parameters(self) -> dict[str, Any]:
        return {**super()._get_constructor_parameters(), "task": self.task, "spec": self.spec}


def save_checkpoint(path: str | os.PathLike, model: MaskablePPO, **about: Any) -> None:
    """Write the network of a trained model as a checkpoint, which runs without torch ("learned:PATH").

    Args:
        path: Where to; its folder must exist.
        model: Its policy is a `RowPolicy`.
        **about: Plain values to keep beside the task, the scenario, the seed, and how many decisions were seen.

    Raises:
        EdgeGymInputError: The policy is another, or it was trained on observations that `VecNormalize` had changed.
    """
    policy, normalised = model.policy, model.get_vec_normalize_env()
    if not isinstance(policy, RowPolicy):
        raise EdgeGymInputError("model.policy", type(policy).__name__, "a RowPolicy", "save_checkpoint")
    if normalised is not None and normalised.norm_obs:
        hint = "the network scales features itself: VecNormalize(env, norm_obs=False)"
        raise EdgeGymInputError("norm_obs", True, "False: a checkpoint sees raw observations", hint=hint)
    env = model.get_env()
    scenarios = [env.get_attr("world")[0].scenario] if env is not None and env.has_attr("world") else []
    known: dict[str, Any] = {"algo": "maskable_ppo", "seed": model.seed, "env_steps": model.num_timesteps, **about}
    checkpoint.save(path, policy.network, checkpoint.describe(policy.task, scenarios, **known))
