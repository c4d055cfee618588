"""Stable-Baselines3 in 20 lines: MaskablePPO with a network that scores rows: python sb3_in_20_lines.py [timesteps]"""

import sys

from edge_agents import SB3VecEnv
from edge_agents.sb3_policy import RowPolicy, save_checkpoint
from sb3_contrib import MaskablePPO
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

import edge_gym

timesteps = int(sys.argv[1]) if len(sys.argv) > 1 else 400_000
world = {"scenario": "stationary", "n_requests": 100}

env = VecNormalize(VecMonitor(SB3VecEnv(32, **world)), norm_obs=False)  # rewards are scaled, observations are already
settings = {"n_steps": 100, "batch_size": 640, "n_epochs": 4, "gamma": 0.95, "learning_rate": 2e-3}
model = MaskablePPO(RowPolicy, env, **settings, seed=0, device="cpu", verbose=1).learn(timesteps)

save_checkpoint("ppo.safetensors", model)  # runs without torch from here on
print(edge_gym.evaluate(["random", "sect_static", "learned:ppo.safetensors", "oracle"], **world))
