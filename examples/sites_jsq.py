"""Four sites that each join the shortest queue they know of: python sites_jsq.py [n_requests] [heartbeat_s]"""

import sys

import numpy as np

from edge_gym import routing_v0
from edge_gym.kernel.observe import OUTSTANDING

n_requests = int(sys.argv[1]) if len(sys.argv) > 1 else 500
heartbeat_s = float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
env = routing_v0.parallel_env(scenario="churn", n_requests=n_requests, slot_s=0.1, heartbeat_s=heartbeat_s)
observations, infos = env.reset(seed=0)
total = dict.fromkeys(env.agents, 0.0)
while env.agents:
    actions = {}
    for site, seen in observations.items():
        queue = np.where(seen["action_mask"][:-1], seen["observation"][:-1, OUTSTANDING], np.inf)
        actions[site] = int(queue.argmin()) if np.isfinite(queue).any() else len(queue)  # the last choice declines
    observations, rewards, terminated, truncated, infos = env.step(actions)
    for site, reward in rewards.items():
        total[site] += reward
print(f"mean latency of {n_requests} requests: {-sum(total.values()) / n_requests:.2f} s")
print("summed latency by site: " + ", ".join(f"{site} {-value:.0f} s" for site, value in total.items()))
