"""A random legal agent plays one episode: python random_agent.py [n_requests]"""

import sys

import gymnasium as gym

n_requests = int(sys.argv[1]) if len(sys.argv) > 1 else 500
env = gym.make("edge_gym:edge_gym/Routing-v0", scenario="stationary", n_requests=n_requests)
env.action_space.seed(0)
obs, info = env.reset(seed=0)
episode_return, truncated = 0.0, False
while not truncated:
    action = env.action_space.sample(info["action_mask"].astype("int8"))
    obs, reward, terminated, truncated, info = env.step(action)
    episode_return += reward
print(f"mean latency of {n_requests} requests: {-episode_return / n_requests:.2f} s")
