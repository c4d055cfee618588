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
from sb3_contrib import MaskablePPO, RecurrentPPO
from sb3_contrib.common.maskable.buffers import MaskableRolloutBuffer
from sb3_contrib.common.maskable.utils import get_action_masks, is_masking_supported
from sb3_contrib.common.wrappers import ActionMasker
from stable_baselines3 import DQN, PPO
from stable_baselines3.common.env_checker import check_env
from stable_baselines3.common.monitor import Monitor
from stable_baselines3.common.vec_env import VecEnvWrapper, VecMonitor, VecNormalize

from edge_gym.envs.vector import EdgeVectorEnv
from edge_gym.errors import InvalidAction
from edge_gym.kernel.observe import LEGAL
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


# The views agree ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("copy", [True, False])
@pytest.mark.parametrize(
    "arguments",
    [
        {"scenario": "churn", "n_requests": 25, "illegal": "decline"},  # ends at different steps: requests come back
        {"task": "metacontrol", "scenario": "semantic", "n_nodes": 3, "n_requests": 20, "illegal": "decline"},
    ],
    ids=["routing", "metacontrol"],
)
def test_api05_the_adapter_and_the_native_environment_agree_bit_for_bit(arguments, copy):
    adapter = SB3VecEnv(4, copy=copy, **arguments)
    native = EdgeVectorEnv(4, autoreset_mode="same_step", **arguments)
    adapter.seed(5)
    assert np.array_equal(adapter.reset(), native.reset(seed=5)[0])
    rng, ends = np.random.default_rng(1), 0
    for _ in range(120):
        actions = rng.integers(0, adapter.action_space.n, 4)  # legal or not
        obs, rewards, dones, infos = adapter.step(actions)
        expected, reward, _, truncated, info = native.step(actions)
        assert np.array_equal(obs, expected) and np.array_equal(rewards, reward.astype(np.float32))
        assert np.array_equal(dones, truncated) and np.array_equal(adapter.action_masks(), info["action_mask"])
        for b in range(4):
            if not dones[b]:
                assert infos[b] == {}
                continue
            ends += 1
            last, seed = info["final_obs"][b], info["final_info"]["seed"][b]
            assert np.array_equal(infos[b]["terminal_observation"], last) and infos[b]["seed"] == seed
    assert ends >= 4
    state = native.get_state()
    assert all(np.array_equal(table, state[name]) for name, table in adapter.env.get_state().items())


def test_fm06_fm07_nothing_that_was_returned_changes_and_nothing_written_into_it_stays():
    env = SB3VecEnv(2, scenario="toy2", n_requests=5)
    first = env.reset()
    before = first.copy()
    second, rewards, dones, infos = env.step(np.zeros(2, np.int64))
    kept = second.copy(), rewards.copy(), dones.copy()
    infos[1]["note"] = "mine"
    quiet = env.step(np.zeros(2, np.int64))[3]
    for _ in range(8):
        obs, _, ended, later = env.step(np.zeros(2, np.int64))
        assert "note" not in later[1]
        if ended[0]:
            last = later[0]["terminal_observation"]
            last[:] = -1.0
            assert (obs >= 0.0).all() and (later[1]["terminal_observation"] >= 0.0).all()
    assert infos[1] == {"note": "mine"} and quiet == [{}, {}] and np.array_equal(first, before)
    assert all(np.array_equal(a, b) for a, b in zip((second, rewards, dones), kept, strict=True))


def test_an_illegal_choice_is_refused_before_anything_changes():
    env = SB3VecEnv(2, scenario="toy2")
    env.seed(0)
    env.reset()
    before = env.env.get_state()
    for actions in (np.array([0, 7]), np.array([0.0, 1.0]), np.array([0])):
        with pytest.raises(InvalidAction):
            env.step(actions)
    assert all(np.array_equal(table, before[name]) for name, table in env.env.get_state().items())


# What the algorithms make of it ---------------------------------------------------------------------------------------


def test_fm01_fm09_what_a_rollout_holds_is_what_happened():
    """Each observation stands beside its own mask and what came of it; after an end the next episode's first."""
    env = SB3VecEnv(2, scenario="churn", n_requests=12, load=1.5)
    env.seed(3)
    settings = {"n_steps": 40, "batch_size": 80, "n_epochs": 1, "gamma": 0.9, "learning_rate": 0.0, "device": "cpu"}
    model = MaskablePPO("MlpPolicy", env, seed=0, **settings).learn(80)
    kept = model.rollout_buffer  # (steps * worlds, ...) after learning, one world after the other
    obs, masks = kept.observations.reshape(2, 40, *env.observation_space.shape), kept.action_masks.reshape(2, 40, -1)
    choices, rewards = kept.actions.reshape(2, 40), kept.rewards
    assert np.array_equal(obs[:, :, :, LEGAL], masks) and masks.any(axis=2).all()
    ends = 0
    for b in range(2):
        one = single("churn", n_requests=12, load=1.5)
        expected, _ = one.reset(seed=env.reset_infos[b]["seed"])
        for t in range(40):
            assert np.array_equal(obs[b, t], expected), "not what the choice was made on"
            expected, reward, _, truncated, _ = one.step(int(choices[b, t]))
            if truncated:
                ends += 1
                assert t == 39 or kept.episode_starts[t + 1, b]
                reward += 0.9 * model.policy.predict_values(model.policy.obs_to_tensor(expected)[0]).item()
                expected, _ = one.reset()
            assert rewards[t, b] == pytest.approx(reward, rel=1e-6)
    assert ends >= 4


class Chain(VecEnvWrapper):
    """Every step earns 1 and looks the same, and the time limit is the only end: worth 1 / (1 - gamma)."""

    def reset(self):
        return np.zeros_like(self.venv.reset())

    def step_wait(self):
        obs, rewards, dones, infos = self.venv.step_wait()
        for b in np.flatnonzero(dones):
            infos[b]["terminal_observation"] = np.zeros_like(obs[b])
        return np.zeros_like(obs), np.ones_like(rewards), dones, infos


def test_fm03_a_time_limit_is_no_end_of_what_is_to_come():
    env = Chain(SB3VecEnv(16, scenario="toy2", n_requests=4))
    settings = {"n_steps": 32, "batch_size": 512, "n_epochs": 8, "learning_rate": 1e-2, "gamma": 0.8, "device": "cpu"}
    model = MaskablePPO("MlpPolicy", env, seed=0, **settings).learn(16 * 32 * 15)
    value = model.policy.predict_values(model.policy.obs_to_tensor(env.reset())[0])[0].item()
    assert value == pytest.approx(5.0, rel=0.1)  # taken as an end, a limit of 4 steps could be worth 2.95 at most


def test_fm09_masks_reach_the_policy_when_it_predicts():
    env = SB3VecEnv(8, scenario="stationary", queue_capacity=0, load=3.0)
    env.seed(0)
    obs = env.reset()
    model = MaskablePPO("MlpPolicy", env, seed=0, device="cpu")
    closed = 0
    for _ in range(150):
        masks = get_action_masks(env)
        closed += int((~masks).sum())
        actions, _ = model.predict(obs, action_masks=masks)
        obs, *_ = env.step(actions)  # an illegal one would raise
    assert closed > 1000


@pytest.mark.parametrize("flatten", [False, True])
def test_wrappers_and_files_of_stable_baselines3(flatten, tmp_path):
    def make(**more):
        return VecNormalize(VecMonitor(SB3VecEnv(3, scenario="stationary", n_requests=10, flatten=flatten, **more)))

    env = make()
    model = MaskablePPO("MlpPolicy", env, n_steps=16, batch_size=48, n_epochs=1, seed=1, device="cpu").learn(96)
    model.save(tmp_path / "model.zip")
    env.save(str(tmp_path / "scales.pkl"))
    again = VecNormalize.load(str(tmp_path / "scales.pkl"), make().venv)
    env.seed(4), again.seed(4)
    obs = env.reset()
    assert isinstance(model.rollout_buffer, MaskableRolloutBuffer) and np.array_equal(obs, again.reset())
    loaded = MaskablePPO.load(tmp_path / "model.zip", env=again)
    masks = get_action_masks(env)
    chosen = [m.predict(obs, deterministic=True, action_masks=masks)[0] for m in (model, loaded)]
    assert np.array_equal(*chosen)
    loaded.learn(48)
    with pytest.raises(ValueError, match="spaces do not match"):
        MaskablePPO.load(tmp_path / "model.zip", env=make(n_nodes=5))


def test_the_single_environment_under_monitor_and_action_masker():
    env = ActionMasker(Monitor(single("toy2", n_requests=8)), lambda env: env.unwrapped.action_masks())
    model = MaskablePPO("MlpPolicy", env, n_steps=32, batch_size=32, n_epochs=1, seed=0, device="cpu").learn(64)
    assert [episode["l"] for episode in model.ep_info_buffer] == [8] * 8


def test_dqn_learns_where_illegal_means_decline():
    env = SB3VecEnv(4, scenario="stationary", n_requests=10, queue_capacity=0, load=2.0, illegal="decline")
    model = DQN("MlpPolicy", env, learning_starts=40, buffer_size=500, train_freq=4, seed=0, device="cpu").learn(400)
    kept = model.replay_buffer
    assert kept.timeouts.sum() == kept.dones.sum() >= 8  # no end of an episode is an end of what is to come
    rows = kept.observations[: kept.pos, :, :, LEGAL], kept.actions[: kept.pos]
    assert not np.take_along_axis(rows[0], rows[1], axis=2).all(), "nothing illegal was tried"


def test_recurrent_ppo_has_no_masks_and_plays_where_illegal_means_decline():
    env = SB3VecEnv(2, scenario="churn", n_requests=15, queue_capacity=0, load=2.0, illegal="decline", flatten=True)
    model = RecurrentPPO("MlpLstmPolicy", env, n_steps=25, batch_size=50, n_epochs=1, seed=0, device="cpu").learn(100)
    obs, memory, begun = env.reset(), None, np.ones(2, bool)
    for _ in range(100):
        actions, memory = model.predict(obs, memory, begun)
        obs, _, begun, _ = env.step(actions)
    assert model.num_timesteps == 100
