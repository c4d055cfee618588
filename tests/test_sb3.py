"""Stable-Baselines3: its checker, its algorithms on the adapter, and the adapter against the single environment."""

import subprocess
import sys
import warnings

import gymnasium as gym
import numpy as np
import pytest

pytest.importorskip("sb3_contrib")
from edge_agents import SB3VecEnv
from gymnasium.wrappers import FlattenObservation
from sb3_contrib import MaskablePPO
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from stable_baselines3 import PPO
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.vec_env import VecMonitor

from edge_gym.kernel.tables import SECOND

SMALL = {"toy2": {}, "stationary": {"n_requests": 30}}


def single(scenario="stationary", **arguments):
    return gym.make("edge_gym:edge_gym/Routing-v0", scenario=scenario, **arguments)


def random_legal(rng, masks):
    return np.where(masks, rng.random(masks.shape), -1.0).argmax(axis=1)


@pytest.mark.parametrize("scenario", SMALL)
def test_check_env(scenario):
    env = FlattenObservation(single(scenario, illegal="decline", **SMALL[scenario]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        check_env(env)


def test_importing_the_package_loads_no_torch():
    code = "import edge_agents, sys; assert not {'torch', 'stable_baselines3'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("scenario", SMALL)
def test_maskable_ppo_trains(scenario):
    env = VecMonitor(SB3VecEnv(4, scenario=scenario, **SMALL[scenario]))
    assert is_masking_supported(env)
    model = MaskablePPO("MlpPolicy", env, n_steps=32, batch_size=64, n_epochs=2, seed=1, device="cpu")
    before = [p.detach().clone() for p in model.policy.parameters()]
    model.learn(2 * 4 * 32)  # an illegal choice would raise
    assert model.num_timesteps == 256 and len(model.ep_info_buffer) >= 4
    assert any(not a.equal(b) for a, b in zip(before, model.policy.parameters(), strict=True))
    assert all(p.isfinite().all() for p in model.policy.parameters())


@pytest.mark.parametrize("flatten", [False, True])
def test_ppo_trains_where_illegal_means_decline(flatten):
    env = SB3VecEnv(3, scenario="stationary", n_requests=20, queue_capacity=0, illegal="decline", flatten=flatten)
    model = PPO("MlpPolicy", env, n_steps=32, batch_size=48, n_epochs=1, seed=1, device="cpu")
    model.learn(2 * 3 * 32)
    action, _ = model.predict(env.reset())
    assert action.shape == (3,)


@pytest.mark.parametrize("flatten", [False, True])
def test_a_row_is_the_single_environment_bit_for_bit(flatten):
    adapter = SB3VecEnv(3, scenario="stationary", n_requests=25, load=1.5, flatten=flatten)
    adapter.seed(7)
    obs = adapter.reset()
    one = single(n_requests=25, load=1.5)
    first, _ = one.reset(seed=adapter.reset_infos[1]["seed"])
    assert obs.dtype == np.float32 and np.array_equal(obs[1].reshape(first.shape), first)
    rng, ends = np.random.default_rng(0), 0
    for _ in range(60):  # across two episode ends
        actions = random_legal(rng, adapter.action_masks())
        obs, rewards, dones, infos = adapter.step(actions)
        expected, reward, terminated, truncated, info = one.step(int(actions[1]))
        assert rewards.dtype == np.float32 and rewards[1] == np.float32(reward)
        assert bool(dones[1]) == (terminated or truncated)
        if truncated:
            ends += 1
            assert set(infos[1]) == {"terminal_observation", "TimeLimit.truncated", "seed"}
            assert np.array_equal(infos[1]["terminal_observation"].reshape(expected.shape), expected)
            assert infos[1]["terminal_observation"].shape == adapter.observation_space.shape
            assert infos[1]["TimeLimit.truncated"] is True and infos[1]["seed"] == info["seed"]
            expected, info = one.reset()
        else:
            assert infos[1] == {}
        assert np.array_equal(obs[1].reshape(expected.shape), expected)
        assert np.array_equal(adapter.action_masks()[1], info["action_mask"])
    assert ends == 2


def test_seed_repeats_and_no_seed_goes_on():
    def trajectory(seed):
        env = SB3VecEnv(2, scenario="toy2")
        env.seed(seed)
        rows = [env.reset()]
        for _ in range(12):
            obs, rewards, _, _ = env.step(np.zeros(2, np.int64))
            rows += [obs, rewards]
        return rows, env.reset()

    (a, next_a), (b, next_b), (c, _) = trajectory(3), trajectory(3), trajectory(4)
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True)) and np.array_equal(next_a, next_b)
    assert not all(np.array_equal(x, y) for x, y in zip(a, c, strict=True))
    assert not np.array_equal(a[0][0], a[0][1]) or not np.array_equal(a[1][0], a[1][1])  # rows differ


def test_masks_come_as_one_array():
    env = SB3VecEnv(5, scenario="stationary")
    env.reset()
    masks = env.env_method("action_masks")
    assert isinstance(masks, np.ndarray) and masks.shape == (5, 17) and masks.dtype == bool
    assert np.array_equal(get_action_masks(env), masks)
    assert np.array_equal(get_action_masks(VecMonitor(env)), masks)
    assert env.env_method("action_masks", indices=[3]).shape == (1, 17)
    masks[:] = False  # a copy: nothing inside changes
    assert env.action_masks().any(axis=1).all()


def test_monitor_returns_are_minus_the_summed_latency():
    env = VecMonitor(SB3VecEnv(4, scenario="stationary", n_requests=40, load=2.0))
    env.seed(11)
    env.reset()
    native, rng = env.venv.env, np.random.default_rng(5)
    seeds = [info["seed"] for info in env.venv.reset_infos]
    actions, found = [], {}
    while len(found) < 4:
        actions.append(random_legal(rng, native.action_masks()))
        _, _, dones, infos = env.step(actions[-1])
        for b in np.flatnonzero(dones):
            found.setdefault(int(b), infos[b]["episode"])
    for b, episode in found.items():
        one = single(n_requests=40, load=2.0).unwrapped
        one.reset(seed=seeds[b])
        latency_ns, decisions, truncated = 0, 0, False
        while not truncated:
            truncated = one.step(int(actions[decisions][b]))[3]
            latency_ns += int(one.batch.ended()[1]["latency_ns"].sum())
            decisions += 1
        assert episode["l"] == decisions
        assert episode["r"] == pytest.approx(-latency_ns / SECOND, rel=1e-5)  # the monitor sums float32


def test_a_controller_of_the_fast_path_trains_and_its_rows_are_the_single_environment():
    arguments = {"task": "metacontrol", "scenario": "semantic", "n_nodes": 3, "n_requests": 20, "max_calls_a_turn": 2}
    env = SB3VecEnv(3, **arguments)
    assert is_masking_supported(env)
    model = MaskablePPO("MlpPolicy", VecMonitor(env), n_steps=32, batch_size=48, n_epochs=1, seed=1, device="cpu")
    model.learn(2 * 3 * 32)  # an illegal call would raise
    env.seed(3)
    obs = env.reset()
    one = gym.make("edge_gym:edge_gym/MetaControl-v0", **arguments)
    first, _ = one.reset(seed=env.reset_infos[2]["seed"])
    assert np.array_equal(obs[2], first) and env.action_masks().shape == (3, one.action_space.n)
    rng, ends = np.random.default_rng(0), 0
    while ends < 2:
        actions = random_legal(rng, env.action_masks())
        obs, rewards, dones, infos = env.step(actions)
        expected, reward, _, truncated, info = one.step(int(actions[2]))
        assert rewards[2] == np.float32(reward) and bool(dones[2]) == truncated
        if truncated:
            ends += 1
            assert np.array_equal(infos[2]["terminal_observation"], expected)
            expected, info = one.reset()
        assert np.array_equal(obs[2], expected) and np.array_equal(env.action_masks()[2], info["action_mask"])


def test_the_rest_of_the_interface():
    env = SB3VecEnv(2, scenario="toy2", render_mode="ansi", flatten=True)
    env.reset()
    assert env.render_mode == "ansi" and len(env.env_method("render")) == 2
    assert env.has_attr("action_masks") and not env.has_attr("nonsense")
    assert env.get_attr("observation_space", indices=0) == [env.observation_space]
    assert env.env_is_wrapped(gym.Wrapper) == [False, False]
    with pytest.raises(AttributeError, match="cannot be set"):
        env.set_attr("illegal", "decline")
    with pytest.raises(AttributeError, match="no method 'clone'"):
        env.env_method("clone")
    env.close()
    with pytest.raises(RuntimeError, match="closed"):
        env.reset()
