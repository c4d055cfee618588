"""RLlib's PPO on the native vector environment; half a minute: python rllib_ppo.py [iterations]

RLlib pins an older Gymnasium, so it wants an environment of its own: `pip install -c constraints.txt -e . "ray[rllib]" torch`.
It knows no masks by itself, so while it learns an illegal choice counts as declining; in the comparison it is masked.
"""

import sys

import numpy as np
import torch
from gymnasium.envs.registration import VectorizeMode
from ray.rllib.algorithms.ppo import PPOConfig

import edge_gym

iterations = int(sys.argv[1]) if len(sys.argv) > 1 else 10
world = {"scenario": "stationary", "n_requests": 100}


class Trained:
    """The learned network as a policy of `edge_gym.evaluate`: the legal choice with the best score."""

    name = "rllib_ppo"

    def __init__(self, module):
        self.module = module

    def reset(self, n_envs, seed):
        """Nothing to forget."""

    @torch.no_grad()
    def act(self, obs, action_mask, context):
        """From (B, A, F) observations and (B, A) masks to (B,) choices."""
        scores = self.module.forward_inference({"obs": torch.from_numpy(obs).flatten(1)})["action_dist_inputs"]
        return np.where(action_mask, scores.numpy(), -np.inf).argmax(axis=1)


config = (
    PPOConfig()
    .environment("edge_gym:edge_gym/Routing-v0", env_config={**world, "illegal": "decline"})
    .env_runners(
        num_env_runners=0,
        num_envs_per_env_runner=16,
        gym_env_vectorize_mode=VectorizeMode.VECTOR_ENTRY_POINT,
    )
    .training(train_batch_size_per_learner=1600, minibatch_size=400, num_epochs=4, lr=1e-3, gamma=0.95)
    .debugging(seed=0)
)
algorithm = config.build_algo()
for iteration in range(iterations):
    latency_s = -algorithm.train()["env_runners"]["episode_return_mean"] / world["n_requests"]
    print(f"iteration {iteration + 1}: mean latency {latency_s:.2f} s")
print(edge_gym.evaluate(["random", Trained(algorithm.get_module()), "jsq", "oracle"], **world))
algorithm.stop()
