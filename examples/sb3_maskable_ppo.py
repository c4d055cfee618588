"""Train MaskablePPO on two nodes, one fast and one slow; see what it learnt: python sb3_maskable_ppo.py [timesteps]"""

import sys

from edge_agents import SB3VecEnv
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

import edge_gym

timesteps = int(sys.argv[1]) if len(sys.argv) > 1 else 30_000
world = {"scenario": "toy2", "n_requests": 20}

env = VecNormalize(VecMonitor(SB3VecEnv(32, **world)), norm_obs=False)  # observations are scaled, rewards are seconds
model = MaskablePPO("MlpPolicy", env, n_steps=64, batch_size=512, learning_rate=1e-3, seed=0, device="cpu", verbose=1)
model.learn(timesteps)

episodes = VecMonitor(SB3VecEnv(10, **world))
episodes.seed(1000)
mean_return, _ = evaluate_policy(model, episodes, n_eval_episodes=100)
print(f"MaskablePPO: mean latency {-mean_return / world['n_requests']:.2f} s")
for row in edge_gym.evaluate(["random", "sect_static"], seeds=range(1000, 1100), **world).summary()["rows"]:
    print(f"{row['policy']}: mean latency {row['metrics']['latency_mean_s']['mean']:.2f} s")
