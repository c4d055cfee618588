"""Own rules at the controls of the world's router: python meta_controller.py [n_requests] [episodes]

No request is routed here, the world does that. Decided is which nodes it should beware of, by one tool call a step. Ten
seconds.
"""

import sys

import numpy as np

import edge_gym
from edge_gym.kernel.observe import decode_ratio
from edge_gym.kernel.observe_control import ALIVE, EVENT_FOREGROUND, GATE, SLOWDOWN

n_requests = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
episodes = int(sys.argv[2]) if len(sys.argv) > 2 else 10


class Careful:
    """Caution for nodes measured at a third of their speed, or whose user is said to sit in front of them."""

    task = "metacontrol"

    def reset(self, n_envs, seed):
        """Nothing to forget: all it needs is in the observation."""

    def act(self, obs, action_mask, context):
        """From (B, N + 1, F) observations and (B, A) masks to (B,) tool calls: a gate to change, else finish."""
        nodes, surface = obs[:, :-1], context.surface
        trouble = (decode_ratio(nodes[:, :, SLOWDOWN]) > 3.0) | (nodes[:, :, EVENT_FOREGROUND] > 0.0)
        wrong = (trouble != (nodes[:, :, GATE] > 0.0)) & (nodes[:, :, ALIVE] > 0.0)
        calls = np.full(len(obs), surface.finish)
        for b, n in zip(*np.nonzero(wrong), strict=True):
            call = surface.set_risk_gate(int(n), int(trouble[b, n]))  # 0: open, 1: caution, 2: closed
            if calls[b] == surface.finish and action_mask[b, call]:  # the guards of the world may forbid it
                calls[b] = call
        return calls


edge_gym.register_policy("careful", Careful)
policies = ["e3_fast", "careful", "e3_rules", "oracle"]
seeds = range(1000, 1000 + episodes)
print(edge_gym.evaluate(policies, "routing", "semantic", seeds, n_requests=n_requests))
