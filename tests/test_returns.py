"""Advantages, baselines and scales in continuous time, by hand and against slow code that is plainly right."""

import math

import numpy as np
import pytest
from edge_agents import returns


def test_returns_advantages_by_hand():
    """Three steps of 1 s, 2 s and 4 s with horizon 2 s; world 0 goes on, in world 1 the second step ends an episode."""
    dt = np.array([[1.0, 1.0], [2.0, 2.0], [4.0, 4.0]])
    d1, d2, d4 = (math.exp(-s / 2.0) for s in (1.0, 2.0, 4.0))
    discount = returns.discounts(dt, 2.0)
    assert discount[:, 0].tolist() == pytest.approx([d1, d2, d4])
    reward = np.array([[-1.0, -1.0], [-2.0, -2.0], [-3.0, -3.0]])
    value = np.array([[5.0, 5.0], [6.0, 6.0], [7.0, 7.0], [8.0, 8.0]])
    done = np.array([[False, False], [False, True], [False, False]])
    found = returns.advantages(reward, discount, done, value, 0.5)
    last = -3 + d4 * 8 - 7
    middle = -2 + d2 * 7 - 6
    going_on = [(-1 + d1 * 6 - 5) + d1 * 0.5 * (middle + d2 * 0.5 * last), middle + d2 * 0.5 * last, last]
    ended = [(-1 + d1 * 6 - 5) + d1 * 0.5 * (-2 - 6), -2 - 6, last]  # neither the value nor the errors of the next one
    assert found[:, 0].tolist() == pytest.approx(going_on, abs=1e-12)
    assert found[:, 1].tolist() == pytest.approx(ended, abs=1e-12)


def test_returns_with_lambda_one_are_discounted_sums():
    draws = np.random.default_rng(0)
    reward, value, discount = draws.normal(size=(6, 3)), draws.normal(size=(7, 3)), draws.uniform(0.5, 1, (6, 3))
    found = returns.advantages(reward, discount, np.zeros((6, 3), bool), value, 1.0) + value[:-1]
    total = value[6]
    for t in range(5, -1, -1):
        total = reward[t] + discount[t] * total
        assert found[t] == pytest.approx(total)


def test_returns_group_baseline_by_hand():
    """Worlds 0 and 1 are a group, 2 and 3 another; the first decides at other times, the second is elsewhere."""
    age = np.array([[0.0, 0.0, 0.0, 0.0], [2.0, 1.0, 1.0, 1.0], [4.0, 3.0, 2.0, 2.0]])
    episode = np.array([[0, 0, 5, 6], [0, 0, 5, 6], [0, 0, 5, 6]])
    quantity = np.array([[1.0, 10.0, 7.0, 8.0], [3.0, 20.0, 7.0, 8.0], [5.0, 40.0, 7.0, 8.0]])
    found = returns.group_baseline(quantity, episode, age, 2)
    assert found[:, 0].tolist() == pytest.approx([10.0, 30.0, 40.0])  # at 2 s between 20 and 40; at 4 s the last
    assert found[:, 1].tolist() == pytest.approx([1.0, 2.0, 4.0])
    assert (found[:, 2:] == 0.0).all()


def test_returns_group_baseline_takes_equal_worlds_out_exactly():
    draws = np.random.default_rng(1)
    age = np.repeat(np.cumsum(draws.uniform(0, 1, (20, 2)), 0), 3, axis=1)
    quantity = np.repeat(draws.normal(size=(20, 2)), 3, axis=1)
    found = returns.group_baseline(quantity, np.zeros((20, 6), int), age, 3)
    assert found == pytest.approx(quantity, abs=1e-12)


def test_returns_group_baseline_against_plain_interpolation():
    """Worlds whose episodes have other lengths, so that some are a whole episode ahead."""
    draws = np.random.default_rng(2)
    n_steps, n_worlds, group = 60, 8, 4
    episode, age = np.zeros((n_steps, n_worlds), int), np.zeros((n_steps, n_worlds))
    for b in range(n_worlds):
        number, now, left = draws.integers(3), 0.0, draws.integers(5, 30)
        for t in range(n_steps):
            episode[t, b], age[t, b] = number, now
            now, left = now + draws.exponential() + 1e-6, left - 1
            if left == 0:
                number, now, left = number + 1, 0.0, draws.integers(5, 30)
    quantity = draws.normal(size=(n_steps, n_worlds))
    found = returns.group_baseline(quantity, episode, age, group)
    alone = 0
    for b in range(n_worlds):
        for t in range(n_steps):
            others = []
            for c in range(b // group * group, b // group * group + group):
                same = episode[:, c] == episode[t, b]
                if c != b and same.any():
                    others.append(np.interp(age[t, b], age[same, c], quantity[same, c]))
            alone += not others
            assert found[t, b] == pytest.approx(np.mean(others) if others else 0.0, abs=1e-9)
    assert 0 < alone < n_steps * n_worlds / 2


def test_returns_scale_is_the_spread_of_discounted_sums():
    draws = np.random.default_rng(3)
    reward, discount, done = draws.normal(size=(50, 4)), draws.uniform(0.5, 1, (50, 4)), draws.random((50, 4)) < 0.2
    sums, running = [], np.zeros(4)
    for t in range(50):
        running = running + reward[t]
        sums.append(running.copy())
        running = np.where(done[t], 0.0, discount[t] * running)
    scale = returns.ReturnScale(4)
    scale.add(reward[:20], discount[:20], done[:20])
    scale.add(reward[20:], discount[20:], done[20:])
    assert scale.scale == pytest.approx(np.std(sums))
    still = returns.ReturnScale(2)
    still.add(np.ones((3, 2)), np.zeros((3, 2)), np.zeros((3, 2), bool))
    assert still.scale == 1.0
