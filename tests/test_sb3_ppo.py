"""MaskablePPO as a learner: its discount, that it goes on exactly, that it touches nothing global, that it learns."""

import copy
import random

import numpy as np
import pytest
import torch

pytest.importorskip("sb3_contrib")
from edge_agents import returns
from edge_agents.configs import MaskablePPOConfig
from edge_agents.networks import NetworkSpec, build
from edge_agents.sb3_ppo import MaskablePPOLearner, TimedBuffer, WorldsVecEnv
from edge_agents.worlds import Worlds
from gymnasium.spaces import Box, Discrete
from learner_toys import N_ROWS, Marked
from sb3_contrib.common.maskable.buffers import MaskableRolloutBuffer

from edge_gym.errors import EdgeGymInputError
from edge_gym.kernel.observe import COLUMNS
from edge_gym.scenario.presets import resolve

SMALL = MaskablePPOConfig(rollout_steps=16, minibatch=64, epochs=2, learning_rate=1e-3)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small(config=SMALL, seed=3, group=1, kind="deepsets"):
    """Two sizes of churning worlds."""
    scenarios = [resolve("churn", n_requests=20, n_nodes=n) for n in (4, 6)]
    worlds = Worlds("routing", scenarios, 4, 5, group=group)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build(NetworkSpec(kind=kind, n_features=len(COLUMNS), hidden=16, rows=7 if kind == "mlp" else 0))
    return MaskablePPOLearner(config, network, worlds, seed)


def run(learner, updates):
    return [learner.update() for _ in range(updates)]


def weights(learner):
    return torch.cat([tensor.detach().flatten().double() for tensor in learner.network.state_dict().values()])


def test_figures_and_counts():
    learner = small()
    first, *later = run(learner, 4)
    assert set(first) == {"return/mean", "return/episodes"} and learner.env_steps == 4 * 16 * 8
    assert sum(f["return/episodes"] for f in (first, *later)) >= 16
    for figures in later:
        assert {"loss/policy", "loss/value", "policy/kl", "policy/entropy", "learning/rate"} < set(figures)
        assert all(np.isfinite(value) for name, value in figures.items() if name != "return/mean")
        assert 0.0 < figures["policy/entropy"] < np.log(7)
    rates = [figures["learning/rate"] for figures in later]
    assert rates == sorted(rates, reverse=True) and len(set(rates)) == 3 and rates[0] < 1e-3
    assert learner.network is learner.model.policy.network and learner.reward_scale > 1.0


def test_run15_it_goes_on_exactly():
    whole = small()
    expected = run(whole, 6)
    first = small()
    run(first, 3)
    saved = copy.deepcopy(first.get_state())
    run(first, 1)  # what was saved does not move with it
    assert not torch.equal(weights(first), weights(whole))
    for again in (small(seed=8), first):  # a fresh one, and one that is somewhere else
        again.set_state(copy.deepcopy(saved))
        figures = run(again, 3)
        assert torch.equal(weights(again), weights(whole)) and again.env_steps == whole.env_steps
        np.testing.assert_equal(figures, expected[3:])


def test_run15_also_before_the_first_update():
    whole, again = small(), small(seed=8)
    again.set_state(copy.deepcopy(whole.get_state()))
    np.testing.assert_equal(run(again, 3), run(whole, 3))
    assert torch.equal(weights(again), weights(whole))


def test_rep09_nothing_global_is_touched_and_nothing_global_matters():
    def state():
        return torch.get_rng_state().tolist(), repr(np.random.get_state()), random.getstate()  # noqa: NPY002

    torch.manual_seed(1)
    before = state()
    learner = small()
    run(learner, 3)
    assert state() == before
    torch.manual_seed(2)
    np.random.seed(7)  # noqa: NPY002
    other = small()
    run(other, 3)
    assert torch.equal(weights(learner), weights(other))


def test_another_seed_is_another_run():
    a, b = small(), small()
    b._torch = torch.Generator().manual_seed(99).get_state()
    run(a, 3), run(b, 3)
    assert not torch.equal(weights(a), weights(b))


def test_it_leaves_no_folders_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("SB3_LOGDIR", str(tmp_path / "logs"))
    run(small(), 2)
    assert not (tmp_path / "logs").exists()


@pytest.mark.parametrize(("more", "says"), [({"group": 2}, "group"), ({"kind": "recurrent"}, "spec.kind")])
def test_what_it_cannot_do_is_refused(more, says):
    with pytest.raises(EdgeGymInputError, match=says):
        small(**more)


class Clock:
    """Says how long the step took."""

    dt_s = np.zeros(2)


def fill(buffer, steps, clock, seconds):
    draws = np.random.default_rng(0)
    ends = draws.random((steps, 2)) < 0.3
    begun, last = np.ones(2), torch.tensor([0.5, -0.25])
    for t in range(steps):
        clock.dt_s = np.full(2, seconds[t])
        obs, choice = np.zeros((2, 3), np.float32), np.zeros((2, 1))
        value, log = torch.from_numpy(draws.normal(size=(2, 1))).float(), torch.zeros(2)
        buffer.add(
            obs, choice, draws.normal(size=2).astype(np.float32), begun, value, log, action_masks=np.ones((2, 4))
        )
        begun = ends[t]
    buffer.compute_returns_and_advantage(last, begun)
    return ends


def test_with_even_steps_the_discount_is_the_one_of_the_base_class():
    spaces, clock = (Box(0.0, 1.0, (3,)), Discrete(4)), Clock()
    mine = TimedBuffer(6, *spaces, "cpu", gae_lambda=0.9, n_envs=2, env=clock, horizon_s=2.0)
    theirs = MaskableRolloutBuffer(6, *spaces, "cpu", gae_lambda=0.9, n_envs=2, gamma=np.exp(-0.5 / 2.0))
    for buffer in (mine, theirs):
        buffer.reset()
        ends = fill(buffer, 6, clock, [0.5] * 6)
    assert 0 < ends.sum() < 12
    np.testing.assert_allclose(mine.advantages, theirs.advantages, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(mine.returns, theirs.returns, rtol=1e-5, atol=1e-6)


def test_uneven_steps_by_hand():
    clock = Clock()
    buffer = TimedBuffer(2, Box(0.0, 1.0, (3,)), Discrete(4), "cpu", gae_lambda=1.0, n_envs=2, env=clock, horizon_s=1.0)
    buffer.reset()
    zero = torch.zeros(2, 1)
    for dt_s, reward in ((0.5, 1.0), (2.0, 3.0)):
        clock.dt_s = np.full(2, dt_s)
        buffer.add(np.zeros((2, 3)), np.zeros((2, 1)), np.full(2, reward), np.zeros(2), zero, torch.zeros(2))
    buffer.compute_returns_and_advantage(torch.tensor([10.0, 10.0]), np.array([False, True]))
    now = np.exp(-0.5) * 3.0 + 1.0
    assert buffer.advantages[0].tolist() == pytest.approx([now + np.exp(-2.5) * 10.0, now])


def test_worlds_as_a_vector_environment():
    worlds = Marked(n_worlds=6, length=4)
    env = WorldsVecEnv(worlds)
    worlds.begin()
    obs = env.reset()
    env.reward_scale = 4.0
    total = np.zeros(6)
    for _ in range(12):
        worlds.mask[:] = True
        right = obs[:, :, 0].argmax(axis=1)
        obs, reward, _, infos = env.step(right)
        assert reward.dtype == np.float32 and (reward == 0.25).all() and not any(infos)
        total += reward * 4.0
    assert env.take_figures() == {"return/mean": 4.0, "return/episodes": 18.0}
    assert np.isnan(env.take_figures()["return/mean"]) and env.action_masks().shape == (6, N_ROWS)


def test_ben15_it_learns_to_route():
    """A floor: after 20,000 decisions far better than at random, which is where it begins."""
    settings = {"rollout_steps": 50, "minibatch": 320, "epochs": 4, "learning_rate": 3e-3, "horizon_s": 5.0}
    scenario = resolve("stationary", n_requests=50)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = build(NetworkSpec(n_features=len(COLUMNS), hidden=16))
    config = MaskablePPOConfig(**settings, total_steps=20_000)
    figures = run(MaskablePPOLearner(config, network, Worlds("routing", [scenario], 16, 0), 0), 25)
    assert figures[-1]["return/mean"] > 0.45 * figures[0]["return/mean"] and figures[-1]["return/episodes"] == 16.0


def test_rewards_of_a_horizon_are_of_the_size_of_one():
    learner = small()
    learner.update()
    seen, discount = [], []
    for _ in range(64):
        actions, _ = learner.model.predict(learner._env.reset(), action_masks=learner._env.action_masks())
        _, reward, done, _ = learner._env.step(actions)
        seen.append((reward.astype(float), done))
        discount.append(returns.discounts(learner._env.dt_s, SMALL.horizon_s))
    scale = returns.ReturnScale(8)
    scale.add(np.stack([r for r, _ in seen]), np.stack(discount), np.stack([d for _, d in seen]))
    assert 0.3 < scale.scale / learner.reward_scale < 3.0
