"""RLlib's PPO with a masked network on the native vector environment: python rllib_ppo.py [iterations]

A few minutes. RLlib pins an older Gymnasium, so give it a virtual environment of its own, with the extra `rllib`.
"""

import sys

import ray
import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.rl_module.apis import ValueFunctionAPI
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.core.rl_module.torch import TorchRLModule
from torch.nn import Linear, ReLU, Sequential

import edge_gym
from edge_gym.kernel.observe import LEGAL

iterations = int(sys.argv[1]) if len(sys.argv) > 1 else 15
world = {"scenario": "stationary", "n_requests": 100}


class ScoresRows(TorchRLModule, ValueFunctionAPI):
    """A score for each row of the observation, by shared weights; a column of it says which choices are legal."""

    name = "rllib_ppo"  # in the table

    def setup(self):
        """Two networks, as the errors of large returns would drown the rest in one."""
        features = self.observation_space.shape[1]
        self.score = Sequential(Linear(features, 64), ReLU(), Linear(64, 64), ReLU(), Linear(64, 1))
        self.value = Sequential(Linear(features, 64), ReLU(), Linear(64, 64), ReLU(), Linear(64, 1))

    def _forward(self, batch, **others):
        scores = self.score(batch["obs"]).squeeze(-1)
        return {"action_dist_inputs": scores.masked_fill(batch["obs"][..., LEGAL] == 0, -1e9)}

    def compute_values(self, batch, embeddings=None):
        """The mean over the rows."""
        return self.value(batch["obs"]).mean(dim=(-1, -2))

    @torch.no_grad()
    def act(self, obs, action_mask, context):
        """As a policy of `edge_gym.evaluate`: the choice with the best score."""
        return self.forward_inference({"obs": torch.from_numpy(obs)})["action_dist_inputs"].argmax(1).numpy()

    def reset(self, n_envs, seed):
        """Nothing to forget."""


ray.init(include_dashboard=False, log_to_driver=False, _node_ip_address="127.0.0.1")
native = {"num_envs_per_env_runner": 32, "gym_env_vectorize_mode": "vector_entry_point"}
config = PPOConfig().environment("edge_gym:edge_gym/Routing-v0", env_config=world).debugging(seed=0)
config.env_runners(num_env_runners=0, **native).rl_module(rl_module_spec=RLModuleSpec(module_class=ScoresRows))
config.training(train_batch_size_per_learner=3200, minibatch_size=640, num_epochs=4, lr=2e-3, vf_clip_param=1e9)
algorithm = config.training(gamma=0.95, lambda_=0.95).build_algo()
for iteration in range(iterations):
    latency_s = -algorithm.train()["env_runners"]["episode_return_mean"] / world["n_requests"]
    print(f"iteration {iteration + 1}: mean latency {latency_s:.2f} s")
print(edge_gym.evaluate(["random", algorithm.get_module(), "sect_static", "oracle"], **world))
