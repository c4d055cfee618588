"""sb3-contrib's MaskablePPO as its manual has it, on single environments: python maskable_ppo.py [steps] [episodes]

It finds the masks by the method `action_masks`. Half a minute, in which it learns little: `sb3_in_20_lines.py` has
the network and the vector environment to learn much.
"""

import sys

import gymnasium as gym
from sb3_contrib import MaskablePPO
from stable_baselines3.common.env_util import make_vec_env

import edge_gym

timesteps = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000
episodes = int(sys.argv[2]) if len(sys.argv) > 2 else 20
world = {"scenario": "stationary", "n_requests": 100}


class Trained:
    """The learned network as a policy of `edge_gym.evaluate`."""

    name = "maskable_ppo"

    def __init__(self, model):
        self.model = model

    def reset(self, n_envs, seed):
        """Nothing to forget."""

    def act(self, obs, action_mask, context):
        """From (B, A, F) observations and (B, A) masks to (B,) choices."""
        return self.model.predict(obs, action_masks=action_mask, deterministic=True)[0]


env = make_vec_env("edge_gym:edge_gym/Routing-v0", n_envs=4, seed=0, env_kwargs=world)
model = MaskablePPO("MlpPolicy", env, n_steps=min(500, timesteps // 4), batch_size=100, gamma=0.95, seed=0, verbose=1)
model.learn(timesteps)

one = gym.make("edge_gym/Routing-v0", **world)
obs, info = one.reset(seed=7)
print("first choice:", model.predict(obs, action_masks=one.unwrapped.action_masks(), deterministic=True)[0])
policies = ["random", Trained(model), "sect_static", "oracle"]
print(edge_gym.evaluate(policies, seeds=range(1000, 1000 + episodes), **world))
