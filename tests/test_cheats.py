"""BEN-04: whoever tries to look good without doing the work scores below a plain static baseline, by the reward."""

import numpy as np
import pytest

import edge_gym
from edge_gym.kernel.observe import FORECAST, WAIT
from edge_gym.policy import make_policy

SEEDS = range(8)
ROUTING = {"task": "routing", "scenario": "stationary", "n_requests": 300}
PLACEMENT = {"task": "placement", "scenario": "metro-16"}
MIGRATION = {"task": "migration", "scenario": "commute-16"}


class Cheat:
    """A policy that is one function of the observation (B, N + 1, F), the mask (B, N + 1) and the step's number."""

    def __init__(self, choose, task, honest=None):
        self.choose, self.tasks, self.honest = choose, (task,), honest and make_policy(honest)

    def reset(self, n_envs, seed):
        self.step = 0
        if self.honest:
            self.honest.reset(n_envs, seed)

    def act(self, obs, action_mask, context):
        self.step += 1
        chosen = self.choose(obs, action_mask, self.step)
        if self.honest:  # what is negative is left to the honest policy
            chosen = np.where(chosen < 0, self.honest.act(obs, action_mask, context), chosen)
        return np.where(np.take_along_axis(action_mask, chosen[:, None], 1)[:, 0], chosen, first(obs, action_mask, 0))


def first(obs, mask, step):
    return mask.argmax(1)


def last(obs, mask, step):
    """The last node that is legal; declining only if none is."""
    nodes = mask[:, :-1]
    return np.where(nodes.any(1), nodes.shape[1] - 1 - nodes[:, ::-1].argmax(1), nodes.shape[1])


def decline(obs, mask, step):
    return np.full(len(mask), mask.shape[1] - 1)


def longest_wait(obs, mask, step):
    return np.where(mask[:, :-1], obs[:, :-1, WAIT], -1.0).argmax(1)


def ping_pong(obs, mask, step):
    return first(obs, mask, step) if step % 2 else last(obs, mask, step)


def flood(obs, mask, step):
    """The same node until it is full."""
    return np.full(len(mask), 1)


def only_short(obs, mask, step):
    return np.where(obs[:, 0, FORECAST] > 0.3, mask.shape[1] - 1, -1)  # 64 units


def every_second(obs, mask, step):
    return np.full(len(mask), mask.shape[1] - 1 if step % 2 else -1)


def walk_away(obs, mask, step):
    """Honest at first; what comes later is refused, and the work left is not waited for."""
    return np.full(len(mask), -1 if step < 200 else mask.shape[1] - 1)


CHEATS = {
    "refuse all": (ROUTING, decline, None, "sect_static"),
    "the first node always": (ROUTING, first, None, "sect_static"),
    "the longest wait": (ROUTING, longest_wait, None, "sect_static"),
    "ping-pong": (ROUTING, ping_pong, None, "sect_static"),
    "flood one node": (ROUTING, flood, None, "sect_static"),
    "serve only short requests": (ROUTING, only_short, "sect_static", "sect_static"),
    "serve every second request": (ROUTING, every_second, "sect_static", "sect_static"),
    "walk away near the end": (ROUTING, walk_away, "sect_static", "sect_static"),
    "place nothing": (PLACEMENT, decline, None, "greedy"),
    "all in one place": (PLACEMENT, last, None, "greedy"),
    "move at every question": (MIGRATION, ping_pong, None, "myopic"),
    "stay whatever happens": (MIGRATION, decline, None, "myopic"),
}


def returns(policy, world):
    rows = edge_gym.evaluate(policy, seeds=SEEDS, **world).rows
    return np.array([row["return"] for row in rows])


@pytest.mark.parametrize("name", CHEATS)
def test_ben_04_cheats_score_below_the_static_baseline(name):
    world, choose, honest, baseline = CHEATS[name]
    cheated = returns(Cheat(choose, world["task"], honest), world)
    assert cheated.mean() < returns(baseline, world).mean()
