"""Train MaskablePPO and compare it with two heuristics: python sb3_maskable_ppo.py [timesteps] [n_requests]"""

import sys

from edge_agents import SB3VecEnv
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.evaluation import evaluate_policy
from stable_baselines3.common.vec_env import VecMonitor

import edge_gym

timesteps = int(sys.argv[1]) if len(sys.argv) > 1 else 400_000
n_requests = int(sys.argv[2]) if len(sys.argv) > 2 else 500

env = VecMonitor(SB3VecEnv(64, scenario="stationary", n_requests=n_requests))
model = MaskablePPO("MlpPolicy", env, n_steps=64, batch_size=1024, seed=0, device="cpu", verbose=1)
model.learn(timesteps)

episodes = SB3VecEnv(10, scenario="stationary", n_requests=n_requests)
episodes.seed(1000)
mean_return, _ = evaluate_policy(model, VecMonitor(episodes), n_eval_episodes=10)
print(f"MaskablePPO: mean latency {-mean_return / n_requests:.2f} s")
results = edge_gym.evaluate(["random", "sect_static"], "routing", "stationary", range(1000, 1010), n_requests=n_requests)
for row in results.summary()["rows"]:
    print(f"{row['policy']}: mean latency {row['metrics']['latency_mean_s']['mean']:.2f} s")
