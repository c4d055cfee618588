"""The networks as policies of MaskablePPO: masks, shapes, files, and the same choices without torch."""

import numpy as np
import pytest
import torch

pytest.importorskip("sb3_contrib")
from edge_agents import SB3VecEnv
from edge_agents.networks import NetworkSpec, build
from edge_agents.sb3_policy import RowPolicy, save_checkpoint
from sb3_contrib import MaskablePPO
from stable_baselines3.common.vec_env import VecNormalize

import edge_gym
from edge_gym.errors import EdgeGymInputError
from edge_gym.kernel.observe import COLUMNS, LEGAL
from edge_gym.policy import Context, make_policy

F = len(COLUMNS)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def model_of(env, kind="deepsets", **arguments):
    spec = NetworkSpec(kind=kind, n_features=F, hidden=16, rows=env.observation_space.shape[0] if kind == "mlp" else 0)
    settings = {"n_steps": 20, "batch_size": 40, "n_epochs": 2, "seed": 0, "device": "cpu", **arguments}
    return MaskablePPO(RowPolicy, env, policy_kwargs={"spec": spec}, **settings)


def crowded(n=4, **arguments):
    """Worlds in which nodes are often full."""
    return SB3VecEnv(n, scenario="stationary", n_requests=30, queue_capacity=0, load=3.0, **arguments)


def weights(model):
    return torch.cat([p.detach().flatten() for p in model.policy.network.parameters()])


@pytest.mark.parametrize("kind", ["deepsets", "attention", "mlp"])
def test_it_learns_and_its_parts_agree(kind):
    env = crowded()
    model = model_of(env, kind)
    before = weights(model)
    model.learn(160)
    assert not before.equal(weights(model)) and weights(model).isfinite().all()
    obs, masks = torch.from_numpy(env.reset()), env.action_masks()
    with torch.no_grad():
        actions, values, logs = model.policy(obs, action_masks=masks)
        again = model.policy.evaluate_actions(obs, actions, torch.from_numpy(masks).float())
        plain = model.policy.network(obs, torch.from_numpy(masks))
        chances = model.policy.get_distribution(obs, masks).distribution.probs
    assert torch.equal(values, again[0]) and torch.equal(logs, again[1]) and values.shape == (4, 1)
    assert torch.equal(values[:, 0], plain.value) and torch.allclose(chances, plain.logits.softmax(1))
    assert (chances[~torch.from_numpy(masks)] == 0.0).all()
    by_hand = -(chances * chances.clamp(min=1e-30).log()).sum(1)
    assert torch.allclose(again[2], by_hand, atol=1e-6)


@pytest.mark.parametrize("flatten", [False, True])
def test_fm09_without_masks_the_observation_says_what_is_legal(flatten):
    env = crowded(8, flatten=flatten)
    env.seed(1)
    obs, closed = env.reset(), 0
    policy = MaskablePPO(RowPolicy, env, seed=0, device="cpu").policy
    for _ in range(60):
        masks = env.action_masks()
        closed += int((~masks).sum())
        told = policy.predict_values(torch.from_numpy(obs)), policy._scores(torch.from_numpy(obs), masks).value
        assert torch.equal(told[0][:, 0], told[1])
        actions, _ = policy.predict(obs)
        obs, *_ = env.step(actions)  # an illegal one would raise
    assert closed > 100


def test_fm09_a_thousand_choices_are_no_trouble():
    env = SB3VecEnv(2, scenario="stationary", n_nodes=1200, n_requests=5)
    policy = MaskablePPO(RowPolicy, env, seed=0, device="cpu").policy
    obs, masks = torch.from_numpy(env.reset()), env.action_masks()
    torch.distributions.Distribution.set_default_validate_args(True)
    with torch.no_grad():
        for row in policy.network.parameters():
            row.mul_(20.0)
        actions, _, logs = policy(obs, action_masks=masks)
        entropy = policy.evaluate_actions(obs, actions, torch.from_numpy(masks))[2]
    assert masks[np.arange(2), actions].all() and logs.isfinite().all() and (entropy >= 0.0).all()


@pytest.mark.parametrize("task", ["placement", "metacontrol"])
def test_other_tasks(task):
    scenario = {"placement": "campus-8", "metacontrol": "semantic"}[task]
    env = SB3VecEnv(2, task=task, scenario=scenario)
    settings = {"n_steps": 20, "batch_size": 20, "n_epochs": 1, "device": "cpu"}
    model = MaskablePPO(RowPolicy, env, policy_kwargs={"task": task}, **settings)
    model.learn(80)  # an illegal choice would raise
    assert model.policy.spec.columns == env.action_space.n // env.observation_space.shape[0]
    obs, masks = env.reset(), env.action_masks()
    if task == "placement":
        names = [column.name for column in env.env.task.columns]
        assert np.array_equal(obs[:, :, names.index("legal")] > 0.5, masks)
    actions, _ = model.predict(obs, action_masks=masks)
    assert masks[np.arange(2), actions].all()


def test_files(tmp_path):
    env = crowded()
    model = model_of(env).learn(80)
    model.save(tmp_path / "model.zip")
    loaded = MaskablePPO.load(tmp_path / "model.zip", env=env)
    model.policy.save(str(tmp_path / "policy.pt"))
    policy = RowPolicy.load(str(tmp_path / "policy.pt"))
    obs, masks = env.reset(), env.action_masks()
    expected, _ = model.predict(obs, deterministic=True, action_masks=masks)
    for other in (loaded, policy):
        assert np.array_equal(other.predict(obs, deterministic=True, action_masks=masks)[0], expected)
    loaded.learn(80)


def test_a_checkpoint_decides_the_same_without_torch(tmp_path):
    env = crowded(16)
    model = model_of(env).learn(640)
    save_checkpoint(tmp_path / "mine.safetensors", model, note="a test")
    learned = make_policy(f"learned:{tmp_path / 'mine.safetensors'}")
    assert learned.about["algo"] == "maskable_ppo" and learned.about["note"] == "a test"
    assert learned.about["env_steps"] == 640 and list(learned.about["scenarios"]) == ["stationary"]
    learned.reset(16, 0)
    nothing, nobody = np.zeros(16), np.zeros(0, np.int64)
    context = Context(
        time_s=nothing, dt_s=nothing, begun=nothing > 0, active=nothing == 0, ended_row=nobody, ended=nobody
    )
    obs, same = env.reset(), 0
    for _ in range(40):
        masks = env.action_masks()
        actions, _ = model.predict(obs, deterministic=True, action_masks=masks)
        same += int((learned.act(obs, masks, context) == actions).sum())
        obs, *_ = env.step(actions)
    assert same >= 0.99 * 16 * 40  # two choices may be so close that rounding decides
    name = f"learned:{tmp_path / 'mine.safetensors'}"
    assert edge_gym.evaluate([name], scenario="stationary", seeds=range(1000, 1002), n_requests=10).summary()["rows"]


def test_fm11_a_checkpoint_of_a_network_that_saw_other_observations_is_refused(tmp_path):
    model = model_of(VecNormalize(crowded(2)))
    with pytest.raises(EdgeGymInputError, match="norm_obs"):
        save_checkpoint(tmp_path / "x.safetensors", model)
    with pytest.raises(EdgeGymInputError, match="RowPolicy"):
        save_checkpoint(tmp_path / "x.safetensors", MaskablePPO("MlpPolicy", crowded(2), device="cpu"))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (NetworkSpec(n_features=F - 1), "spec.n_features = 36"),
        (NetworkSpec(n_features=F, columns=2), "spec.columns = 2"),
        (NetworkSpec(n_features=F, kind="recurrent"), "spec.kind = 'recurrent'"),
        (NetworkSpec(n_features=F, kind="graph"), "spec.kind = 'graph'"),
    ],
)
def test_a_spec_that_does_not_fit_is_refused(spec, says):
    with pytest.raises(EdgeGymInputError, match=says):
        MaskablePPO(RowPolicy, crowded(2), device="cpu", policy_kwargs={"spec": spec})


def test_a_network_of_another_spec_is_not_adopted():
    model = model_of(crowded(2))
    other = build(NetworkSpec(n_features=F, hidden=16))
    model.policy.adopt(other)
    assert model.policy.network is other
    moved = [p for group in model.policy.optimizer.param_groups for p in group["params"]]
    assert {id(p) for p in moved} == {id(p) for p in other.parameters()}
    with pytest.raises(EdgeGymInputError, match="network.spec"):
        model.policy.adopt(build(NetworkSpec(n_features=F, hidden=32)))


def test_the_column_that_is_read_is_the_mask():
    assert COLUMNS[LEGAL].name == "legal"
