"""What learners learn: worlds solved by hand, known optima, floors; that they go on exactly, and touch nothing else."""

import copy
import pickle
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from edge_agents import gradients
from edge_agents.configs import DQNConfig, PPOConfig
from edge_agents.dqn import DQN
from edge_agents.ppo import PPO
from edge_agents.replay import Replay
from edge_agents.worlds import Worlds
from edge_baselines.simple import JoinShortestQueue, Random
from learner_toys import N_ROWS, Marked, network, share_right
from toy2_optimum import N_REQUESTS, Optimum

from edge_gym.errors import EdgeGymInputError
from edge_gym.kernel.observe import COLUMNS
from edge_gym.scenario.presets import resolve

PPO_TOY = PPOConfig(
    rollout_steps=20,
    sequence=5,
    minibatch=320,
    epochs=4,
    learning_rate=5e-3,
    total_steps=40_000,
    horizon_s=1.0,
)
DQN_TOY = DQNConfig(
    rollout_steps=2,
    descents=2,
    minibatch=128,
    capacity=10_000,
    learning_starts=640,
    learning_rate=5e-3,
    total_steps=20_000,
    horizon_s=1.0,
    target_every=50,
)
PPO_SMALL = PPOConfig(
    rollout_steps=16, sequence=8, minibatch=64, epochs=2, anchor_kl=0.1, warmup_updates=1, target_kl=0.0
)
DQN_SMALL = DQNConfig(rollout_steps=4, descents=2, minibatch=32, capacity=256, learning_starts=40, target_every=3)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def run(learner, updates):
    return [learner.update() for _ in range(updates)]


def weights(learner):
    return torch.cat([tensor.detach().flatten().double() for tensor in learner.network.state_dict().values()])


def small(kind, threads=1):
    """A learner in the package's own worlds: churn, pairs with the same requests, two parts."""
    scenario = resolve("churn", n_requests=20, n_nodes=4)
    worlds = Worlds("routing", [scenario, scenario], 4, 5, group=2)
    name = "deepsets" if kind == "dqn" else kind
    net = network(name, n_features=len(COLUMNS), n_rows=5)
    if kind == "dqn":
        return DQN(replace(DQN_SMALL, threads=threads), net, worlds, 3)
    return PPO(replace(PPO_SMALL, threads=threads), net, worlds, 3)


# What they learn -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["deepsets", "attention", "mlp", "recurrent"])
def test_learners_ppo_chooses_what_is_marked(kind):
    learner = PPO(PPO_TOY, network(kind, seed=1), Marked(), 0)
    assert share_right(learner.network, Marked(seed=1)) < 0.5
    run(learner, 30)
    assert share_right(learner.network, Marked(seed=1)) > 0.98


@pytest.mark.parametrize("kind", ["deepsets", "mlp"])
def test_learners_dqn_chooses_what_is_marked(kind):
    learner = DQN(DQN_TOY, network(kind, seed=1), Marked(), 0)
    run(learner, 150)
    assert share_right(learner.network, Marked(seed=1)) > 0.98


def test_learners_memory():
    """The mark is gone when it counts, and what is seen is independent of it: without memory, chance is the best."""
    solved = PPO(PPO_TOY, network("recurrent"), Marked(late=1), 0)
    run(solved, 40)
    assert share_right(solved.network, Marked(seed=1, late=1)) > 0.95
    blind = PPO(PPO_TOY, network("deepsets"), Marked(late=1), 0)
    run(blind, 20)
    assert abs(share_right(blind.network, Marked(seed=1, late=1)) - 1 / (N_ROWS - 1)) < 0.03


def test_learners_value_of_what_never_ends():
    """A reward of 1 each second for ever is worth 1 / (1 - gamma) = 10, however short the rollouts are."""
    config = replace(
        PPO_TOY, rollout_steps=5, horizon_s=-1.0 / np.log(0.9), reward_scale=1.0, value_weight=5.0, learning_rate=0.02
    )
    learner = PPO(config, network("deepsets"), Marked(length=0, constant=True), 0)
    run(learner, 120)
    worlds = learner.worlds
    value = learner.network(torch.from_numpy(worlds.obs), torch.from_numpy(worlds.mask)).value
    assert value.mean().item() == pytest.approx(10.0, rel=0.05)


def test_learners_values_of_choices():
    """The right choice is worth 1 now and 1 each second after; a wrong one misses the first: 2 and 1 for gamma 1/2."""
    config = replace(DQN_TOY, horizon_s=1.0 / np.log(2.0), reward_scale=1.0, n_step=1)
    learner = DQN(config, network("deepsets"), Marked(length=0), 0)
    run(learner, 200)
    worlds = learner.worlds
    scores = learner.network(torch.from_numpy(worlds.obs), torch.from_numpy(worlds.mask)).logits.detach().numpy()
    right = worlds.obs[:, :, 0] == 1.0
    assert scores[right].mean() == pytest.approx(2.0, abs=0.1)
    assert scores[~right & worlds.mask].mean() == pytest.approx(1.0, abs=0.1)


# Known optimum and floor ---------------------------------------------------------------------------------------------


def greedy(net):
    def choose(obs, mask):
        with torch.inference_mode():
            return net(torch.from_numpy(obs), torch.from_numpy(mask)).logits.argmax(1).numpy()

    return choose


def baseline(policy, n_worlds):
    policy.reset(n_worlds, 0)
    return lambda obs, mask: policy.act(obs, mask, None)


def mean_return(scenario, choose, n_worlds, note=None):
    """Of the first episode of worlds that nobody has learned in."""
    worlds = Worlds("routing", [scenario], n_worlds, 12345)
    worlds.begin()
    total, going_on = np.zeros(n_worlds), np.ones(n_worlds, bool)
    while going_on.any():
        actions = np.asarray(choose(worlds.obs, worlds.mask)).astype(np.int64)
        out = worlds.step(actions)
        total += np.where(going_on, out.reward, 0.0)
        going_on &= ~out.done
        if note is not None:
            note(actions, out.dt_s, out.done)
    return total.mean()


def test_ben_13_learners_known_optimum():
    """`toy2`: at least 95 % of what dynamic programming proves to be the best."""
    scenario, n_worlds = resolve("toy2"), 2000
    optimum = Optimum(n_worlds)
    best = mean_return(scenario, lambda obs, mask: optimum.choose(), n_worlds, optimum.step)
    assert best == pytest.approx(-optimum.mean, rel=0.015), "the model of the optimum is not the world"
    config = PPOConfig(
        rollout_steps=2 * N_REQUESTS,
        minibatch=320,
        epochs=4,
        learning_rate=2e-3,
        total_steps=50_000,
        horizon_s=10.0,
    )
    worlds = Worlds("routing", [scenario], 64, 0)
    learner = PPO(config, network("deepsets", hidden=32, n_features=len(COLUMNS)), worlds, 0)
    run(learner, 40)
    assert best / mean_return(scenario, greedy(learner.network), n_worlds) > 0.95
    assert best / mean_return(scenario, baseline(Random(), n_worlds), n_worlds) < 0.75


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ben_15_learners_floor(seed):
    """From nothing, in seconds: half the latency of `jsq`, a quarter of that of `random`."""
    scenario, n_worlds = resolve("stationary", n_requests=200), 64
    config = PPOConfig(
        rollout_steps=50, minibatch=800, learning_rate=2e-3, horizon_s=10.0, total_steps=150_000, entropy_weight=0.002
    )
    net = network("deepsets", seed=seed, hidden=32, n_features=len(COLUMNS))
    learner = PPO(config, net, Worlds("routing", [scenario], 64, seed), seed)
    while learner.env_steps < config.total_steps:
        learner.update()
    mine = mean_return(scenario, greedy(learner.network), n_worlds)
    assert mine > 0.65 * mean_return(scenario, baseline(JoinShortestQueue(), n_worlds), n_worlds)
    assert mine > 0.3 * mean_return(scenario, baseline(Random(), n_worlds), n_worlds)


# How they learn ------------------------------------------------------------------------------------------------------


def test_learners_settle_first():
    """Nothing is learned before features and rewards have their scale; a scale that is given stays."""
    learner = small("deepsets")
    before = copy.deepcopy(list(learner.network.parameters()))
    figures = learner.update()
    assert set(figures) == {"return/mean", "return/episodes"}
    assert learner.network.mean.abs().sum() > 0 and (learner.network.scale != 1.0).any()
    after = list(learner.network.parameters())
    assert all(torch.equal(old, new) for old, new in zip(before, after, strict=True))
    scale = learner.reward_scale
    assert scale > 1.0
    run(learner, 2)
    assert learner.reward_scale == scale


@pytest.mark.parametrize("kind", ["deepsets", "recurrent", "graph"])
def test_learners_see_again_what_was_played(kind):
    """Before anything is learned the network says of every decision what it said when it was made."""
    worlds = Marked(late=1, n_parts=2)
    worlds.links = np.random.default_rng(0).random((32, N_ROWS, N_ROWS), np.float32) if kind == "graph" else None
    learner = PPO(PPO_TOY, network(kind), worlds, 0)
    if kind == "graph":
        learner.network.taste.data += torch.arange(4.0)
    run(learner, 2)
    learner._collector.play()
    kept, places = learner._collector.rollout, []
    for index in learner._minibatches():
        scores = learner._scores(index)
        taken = kept.action.flatten()[index.flatten(), None]
        again = scores.logits.log_softmax(1).gather(1, taken).squeeze(1)
        assert torch.allclose(again, kept.log_prob.flatten()[index.flatten()], atol=1e-5)
        assert torch.allclose(scores.value, kept.value[:-1].flatten()[index.flatten()], atol=1e-5)
        places += index.flatten().tolist()
    assert sorted(places) == list(range(kept.action.numel()))
    if kind == "recurrent":  # an episode is ten decisions, two sequences: it begins with every other
        assert kept.begun[::10].all() and (kept.memory[::2] == 0).all() and (kept.memory[1::2] != 0).any()


def test_learners_take_gradients_in_chunks(monkeypatch):
    """The chunks together move the network as the whole would."""
    found, data = [], torch.linspace(-1.0, 2.0, 20)
    for rows in (1000, 12):
        monkeypatch.setattr(gradients, "CHUNK_ROWS", rows)
        weight = torch.nn.Parameter(torch.tensor([0.3, -0.2]))
        descent = gradients.Descent([weight], 0.1, 1.0, 100.0, 1)

        def loss(places, weight=weight):
            error = (weight[0] + weight[1] * data[places.flatten()] - data[places.flatten()].exp()) ** 2
            return error.mean(), error.detach().mean()[None]

        logs = [descent.step(torch.arange(20)[None], 4, loss) for _ in range(3)]
        found.append((weight.detach(), torch.cat(logs)))
    assert torch.allclose(found[0][0], found[1][0]) and torch.allclose(found[0][1], found[1][1])


def test_learners_worlds_of_two_sizes():
    """Each part shows what its own batch describes; the rows beyond are zero and closed."""
    scenarios = [resolve("stationary", n_requests=5, n_nodes=n) for n in (4, 6)]
    worlds = Worlds("routing", scenarios, 3, 0)
    worlds.begin()
    for _ in range(7):  # past the end of the episode
        worlds.step(np.array([b.noop for b in worlds.batches for _ in range(3)]))
        for batch, part, rows in zip(worlds.batches, worlds.parts, (5, 7), strict=True):
            expected = batch.empty_obs()
            batch.observe(np.ones(3, bool), expected)
            assert (worlds.obs[part, :rows] == expected).all() and (worlds.mask[part, :rows] == batch.mask).all()
            assert not worlds.obs[part, rows:].any() and not worlds.mask[part, rows:].any()


def test_learners_warm_up_trains_the_value_alone():
    learner = small("attention")
    learner.update()
    before = copy.deepcopy(dict(learner.network.named_parameters()))
    learner.update()
    changed = {name for name, now in learner.network.named_parameters() if not torch.equal(now, before[name])}
    assert changed == {"value.weight", "value.bias"}
    learner.update()
    changed = {name for name, now in learner.network.named_parameters() if not torch.equal(now, before[name])}
    assert {"score.weight", "embed.weight", "query.weight"} <= changed


def test_learners_stay_near_the_anchor():
    free = PPO(PPO_TOY, network("deepsets", seed=1), Marked(), 0)
    held = PPO(replace(PPO_TOY, anchor_kl=10.0), network("deepsets", seed=1), Marked(), 0)
    assert run(free, 15)[-1]["policy/entropy"] < 0.5
    last = run(held, 15)[-1]
    assert 0.0 < last["policy/anchor_kl"] < 0.01 and last["policy/entropy"] > 1.0


def test_learners_stop_when_the_policy_has_moved_enough():
    batches = 20 * 32 // 320
    assert [f["learning/steps"] for f in run(PPO(PPO_TOY, network("mlp"), Marked(), 0), 2)[1:]] == [4 * batches]
    wary = replace(PPO_TOY, target_kl=1e-9)
    assert [f["learning/steps"] for f in run(PPO(wary, network("mlp"), Marked(), 0), 2)[1:]] == [batches]


def test_learners_rate_falls_in_a_line():
    config = replace(PPO_TOY, total_steps=20 * 32 * 4, final_rate=0.1, learning_rate=0.01)
    rates = [f["learning/rate"] for f in run(PPO(config, network("mlp"), Marked(), 0), 6)[1:]]
    assert rates == pytest.approx([0.0055, 0.00325, 0.001, 0.001, 0.001])


def test_learners_epsilon():
    config = replace(DQN_TOY, total_steps=6400, epsilon_share=0.5, epsilon_first=0.9, epsilon_last=0.1)
    learner = DQN(config, network("mlp"), Marked(), 0)
    seen = [f["policy/epsilon"] for f in run(learner, 60)]
    assert seen[24] == pytest.approx(0.5) and seen[49:] == pytest.approx([0.1] * 11)


def test_learners_replay_by_hand():
    """Rewards 1, 2, 3, ... and discount 1/2; two worlds, the second ends with its third step."""
    worlds = Marked(n_worlds=2)
    replay = Replay(6, worlds, 2, half_precision=False)
    for t in range(8):
        worlds.obs[:] = t
        replay.show(worlds, np.array([t % 3, 1]))
        replay.close(np.full(2, t + 1.0), np.full(2, 0.5), np.array([False, t == 3]))
    found = replay.read(torch.tensor([[2, 2, 3, 5], [0, 1, 1, 0]]))
    assert found.reward.tolist() == [3 + 2.0, 3 + 2.0, 4.0, 6 + 3.5]  # the last wraps around: slot 0 holds step 6
    assert found.discount.tolist() == [0.25, 0.0, 0.0, 0.25]
    assert found.obs[:, 0, 0].tolist() == [2, 2, 3, 5] and found.next_obs[:, 0, 0].tolist() == [4, 4, 5, 7]
    assert found.action.tolist() == [2, 1, 1, 2]
    slots = replay.draw(1000, torch.Generator().manual_seed(0))[0]
    assert set(slots.tolist()) == {2, 3, 4, 5}  # steps 2 to 5: what follows 6 and 7 is not there yet


# Exactness -----------------------------------------------------------------------------------------------------------

KINDS = ["deepsets", "recurrent", "dqn"]


@pytest.mark.parametrize("kind", KINDS)
def test_learners_go_on_exactly(kind):
    """2 N updates are N, saved, and N by fresh objects; bit for bit, figures included."""
    straight = small(kind)
    run(straight, 4)
    saved = copy.deepcopy(straight.get_state())
    expected = run(straight, 4)
    fresh = small(kind)
    fresh.set_state(saved)
    np.testing.assert_equal(run(fresh, 4), expected)
    assert torch.equal(weights(fresh), weights(straight))
    assert fresh.env_steps == straight.env_steps and fresh.reward_scale == straight.reward_scale
    again = small(kind)
    again.set_state(saved)
    run(again, 4)
    assert torch.equal(weights(again), weights(straight)), "going on changed what was saved"


@pytest.mark.slow
def test_learners_go_on_exactly_in_a_new_process(tmp_path):
    straight = {kind: small(kind) for kind in KINDS}
    for learner in straight.values():
        run(learner, 4)
    states = {kind: learner.get_state() for kind, learner in straight.items()}
    (tmp_path / "states").write_bytes(pickle.dumps(states))
    code = (
        "import pickle, sys, torch; from pathlib import Path; from test_learners import run, small, weights\n"
        "torch.set_num_threads(1); here, found = Path(sys.argv[1]), {}\n"
        "for kind, state in pickle.loads((here / 'states').read_bytes()).items():\n"
        "    learner = small(kind); learner.set_state(state); run(learner, 4); found[kind] = weights(learner)\n"
        "(here / 'weights').write_bytes(pickle.dumps(found))\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=Path(__file__).parent)
    assert done.returncode == 0, done.stderr[-2000:]
    for kind, found in pickle.loads((tmp_path / "weights").read_bytes()).items():
        run(straight[kind], 4)
        assert torch.equal(found, weights(straight[kind])), kind


@pytest.mark.parametrize("kind", KINDS)
def test_learners_state_is_plain(kind):
    """Tensors, arrays and plain values in dicts with words as keys, and lists: what any format can hold."""

    def look(value, path):
        if isinstance(value, dict):
            for name, part in value.items():
                assert isinstance(name, str), path
                look(part, f"{path}.{name}")
        elif isinstance(value, list):
            for k, part in enumerate(value):
                look(part, f"{path}.{k}")
        else:
            assert isinstance(value, torch.Tensor | np.ndarray | int | float | str), (path, type(value))

    learner = small(kind)
    run(learner, 3)
    look(learner.get_state(), "state")


@pytest.mark.parametrize("kind", KINDS)
def test_learners_leave_other_draws_alone(kind):
    """Nobody's numbers move, and nobody's numbers matter."""
    found = []
    for seed in (1, 2):
        random.seed(seed), np.random.seed(seed), torch.manual_seed(seed)  # noqa: NPY002 - they are what must not matter
        before = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
        learner = small(kind)
        run(learner, 3)
        after = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()  # noqa: NPY002
        assert before == after
        found.append(weights(learner))
    assert torch.equal(*found)


@pytest.mark.parametrize("kind", KINDS)
def test_learners_do_not_depend_on_threads(kind):
    one, two = small(kind), small(kind, threads=2)
    run(one, 4), run(two, 4)
    assert torch.equal(weights(one), weights(two))


# Bad input -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "field", "value"),
    [
        (PPOConfig, "rollout_steps", 0),
        (PPOConfig, "horizon_s", 0.0),
        (PPOConfig, "gae_lambda", 1.5),
        (PPOConfig, "learning_rate", "fast"),
        (DQNConfig, "n_step", 0),
        (DQNConfig, "epsilon_share", 0.0),
        (DQNConfig, "half_precision", 3),
    ],
)
def test_learners_refuse_settings(config, field, value):
    with pytest.raises(EdgeGymInputError, match=field):
        config(**{field: value})


def test_learners_refuse_what_does_not_fit():
    with pytest.raises(EdgeGymInputError, match="sequence"):
        PPO(replace(PPO_TOY, sequence=7), network("recurrent"), Marked(), 0)
    with pytest.raises(EdgeGymInputError, match="recurrent"):
        DQN(DQN_TOY, network("recurrent"), Marked(), 0)
    with pytest.raises(EdgeGymInputError, match="capacity"):
        DQN(replace(DQN_TOY, capacity=600), network("mlp"), Marked(), 0)
