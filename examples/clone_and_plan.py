"""Look ahead with copies of the world: python clone_and_plan.py [n_requests]

Each promising node is tried in a copy, which then goes on for a while with a simple rule; the best one is chosen.
A copy knows the requests to come, so this is planning with foresight: a yardstick, not a fair competitor.
"""

import sys

import gymnasium as gym
import numpy as np

from edge_gym.kernel.observe import LOAD, NETWORK, SERVICE, WAIT, decode_time

n_requests = int(sys.argv[1]) if len(sys.argv) > 1 else 100
CANDIDATES, DEPTH = 4, 12


def by_expected_time(obs, mask):
    """Legal nodes, the smallest expected time first; if there are none, the choice to decline."""
    expected_s = sum(decode_time(obs[:-1, column]) for column in (WAIT, LOAD, NETWORK, SERVICE))
    order = np.argsort(np.where(mask[:-1], expected_s, np.inf), kind="stable")
    return [int(n) for n in order if mask[n]] or [len(mask) - 1]


def value(env, action):
    """What a copy of the world earns after `action`."""
    copy = env.unwrapped.clone()
    obs, total, _, truncated, info = copy.step(action)
    for _ in range(DEPTH):
        if truncated:
            break
        obs, reward, _, truncated, info = copy.step(by_expected_time(obs, info["action_mask"])[0])
        total += reward
    return total


def play(plan):
    """Mean latency of an episode, with or without look-ahead."""
    env = gym.make("edge_gym:edge_gym/Routing-v0", scenario="stationary", n_requests=n_requests, load=1.0)
    obs, info = env.reset(seed=0)
    episode_return, truncated = 0.0, False
    while not truncated:
        options = by_expected_time(obs, info["action_mask"])[: CANDIDATES if plan else 1]
        action = max(options, key=lambda option: value(env, option)) if plan else options[0]
        obs, reward, _, truncated, info = env.step(action)
        episode_return += reward
    return -episode_return / n_requests


print(f"mean latency: greedy {play(False):.3f} s, with look-ahead {play(True):.3f} s")
