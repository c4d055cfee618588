"""`e3_informed`: what the tools are worth to a controller that knows every node's true speed."""

import numpy as np
from edge_baselines.e3.informed import SLOW, Informed

import edge_gym
from edge_gym.envs.batch import Batch
from edge_gym.evaluation import rollout
from edge_gym.evaluation.rollout import roll_out
from edge_gym.kernel import observe_control as seen
from edge_gym.kernel.build import World
from edge_gym.scenario.presets import resolve


class Watched(Informed):
    """Notes what the gates are where it ends its turn."""

    def reset(self, n_envs, seed):
        super().reset(n_envs, seed)
        self.turns, self.probes = [], 0

    def act(self, obs, action_mask, context):
        choice = super().act(obs, action_mask, context)
        self.probes += int((choice % 9 >= 3)[choice < context.surface.finish].sum())
        for b in np.flatnonzero(context.active & (choice == context.surface.finish)):
            closed = obs[b, :-1, seen.GATE] == 1.0
            slow = (context.privileged.speeds()[b] < SLOW) & (obs[b, :-1, seen.ALIVE] > 0)
            self.turns.append((closed, slow))
        return choice


def test_it_closes_what_is_really_slow_and_opens_it_again():
    policy = Watched()
    roll_out(World(resolve("drift", "routing", n_requests=600)), policy, "e3_informed", range(500, 504))
    closed, slow = (np.array(column) for column in zip(*policy.turns, strict=True))
    assert closed.any() and slow.any() and policy.probes > 0
    assert not (closed & ~slow).any()  # opening is always legal
    assert (closed & slow).sum() > 0.8 * slow.sum()  # the guards keep some open


def test_it_is_marked_and_gets_the_speeds_of_the_worlds(monkeypatch):
    rows = edge_gym.evaluate("e3_informed", "routing", "toy2", range(500, 502), n_requests=50).rows
    assert all(row["privileged"] for row in rows)
    batch = Batch(World(resolve("drift", "routing")), 2, "metacontrol")
    speeds = rollout._privileged_view(Informed(), batch).speeds()
    assert speeds.shape == (2, 16) and not np.shares_memory(speeds, batch.state.node["speed"])
