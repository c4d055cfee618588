"""Learned controllers as policies: any number of nodes, every kind of network, and no torch where there is none."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from edge_agents import checkpoint as cp
from edge_agents import learned
from edge_agents.learned import Learned
from edge_agents.networks import build
from edge_agents.spec import KIND_NAMES, NetworkSpec
from edge_agents.worlds import Worlds
from helpers import queue_scenario

from edge_gym import evaluate
from edge_gym.cli.main import main
from edge_gym.envs.common import resolve_task
from edge_gym.envs.links import log_links
from edge_gym.errors import EdgeGymError, EdgeGymInputError
from edge_gym.evaluation.rollout import roll_out
from edge_gym.kernel.build import World
from edge_gym.policy import POLICIES, Context, Policy, make_policy
from edge_gym.scenario import Topology
from edge_gym.tasks import get_task


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """The work is small, and threads that wait for each other make it slow where the machine is busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def columns_of(task):
    return [column.name for column in get_task(task).columns]


def saved(folder, kind="deepsets", task="routing", n_nodes=0, columns=1, name=None, seed=0):
    """A checkpoint of a network whose every number is drawn."""
    rows = n_nodes + 1 if kind == "mlp" else 0
    network = build(NetworkSpec(kind=kind, n_features=len(columns_of(task)), hidden=8, columns=columns, rows=rows))
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in network.parameters():
            tensor.copy_(torch.randn(tensor.shape, generator=draw))
    path = folder / f"{name or kind}.safetensors"
    cp.save(path, network, {"task": task})
    return str(path), network


def context(n_worlds, begun=False, links=None):
    zero = np.zeros(n_worlds)
    return Context(
        time_s=zero, dt_s=zero, begun=np.full(n_worlds, begun), active=np.ones(n_worlds, bool),
        ended_row=zero[:0], ended=zero[:0], links=links,
    )  # fmt: skip


def rows_of(policy, scenario="stationary", seeds=range(1000, 1003), **more):
    return evaluate(policy, "routing", scenario, seeds, n_requests=60, **more).rows


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_decides_as_torch_does(tmp_path, kind):
    """A whole rollout, decision by decision: the memory of the recurrent one lives as long as the episode."""
    path, network = saved(tmp_path, kind, n_nodes=16)

    class Beside(Learned):
        same, memory = 0, None

        @torch.no_grad()
        def act(self, obs, action_mask, context):
            links = None if context.links is None else torch.from_numpy(context.links.copy()).expand(len(obs), -1, -1)
            if context.begun.any():
                self.memory = None  # all of this batch begin at once
            scores = network(torch.from_numpy(obs), torch.from_numpy(action_mask), links, self.memory)
            self.memory = scores.memory
            mine = super().act(obs, action_mask, context)
            self.same += int((mine == scores.logits.argmax(1).numpy()).all())
            self.decisions = getattr(self, "decisions", 0) + 1
            return mine

    policy = Beside(path)
    assert isinstance(policy, Policy) and policy.wants_links == (kind == "graph")
    world = resolve_task("routing", "stationary", {"n_requests": 60})[1]
    roll_out(world, policy, "beside", [1, 2, 3])
    assert policy.same == policy.decisions > 50


@pytest.mark.parametrize("kind", [kind for kind in KIND_NAMES if kind != "mlp"])
@pytest.mark.parametrize("scenario", ["toy2", "stationary"])
def test_any_number_of_nodes(tmp_path, kind, scenario):
    path, _ = saved(tmp_path, kind)
    rows = rows_of(f"learned:{path}", scenario)
    assert len(rows) == 3 and {row["policy"] for row in rows} == {f"learned:{path}"}
    assert rows_of(f"learned:{path}", scenario, batch_size=1) == rows


def test_an_mlp_knows_one_number_of_nodes(tmp_path):
    path, _ = saved(tmp_path, "mlp", n_nodes=16)
    rows_of(f"learned:{path}")
    with pytest.raises(EdgeGymInputError, match="n_nodes = 2: must be 16 nodes"):
        rows_of(f"learned:{path}", "toy2")


def test_the_first_of_equals_and_never_what_is_illegal(tmp_path):
    path, network = saved(tmp_path)
    with torch.no_grad():
        for tensor in network.parameters():
            tensor.zero_()
    cp.save(path, network, {"task": "routing"})
    policy, mask = Learned(path), np.array([[0, 0, 1, 1, 1], [0, 1, 0, 0, 1], [1, 1, 1, 1, 1]], bool)
    policy.reset(3, 0)
    obs = np.random.default_rng(0).random((3, 5, len(columns_of("routing"))), dtype=np.float32)
    assert policy.act(obs, mask, context(3)).tolist() == [2, 1, 0]


def test_memory_begins_anew_with_an_episode_and_with_a_reset(tmp_path):
    policy, rng = Learned(saved(tmp_path, "recurrent")[0]), np.random.default_rng(0)
    obs = rng.random((5, 200, 5, len(columns_of("routing"))), dtype=np.float32)
    mask = np.ones((200, 5), bool)

    def play(begun):
        policy.reset(200, 0)
        return [policy.act(obs[k], mask, context(200, begun=k in begun)).tolist() for k in range(5)]

    always, once = play({0, 3}), play({0})
    assert always[:3] == once[:3] and always[3:] != once[3:]
    assert play({0}) == once
    policy.reset(200, 0)
    assert always[3:] == [policy.act(obs[k], mask, context(200)).tolist() for k in (3, 4)]


def test_features_are_found_by_name(tmp_path):
    """A network that knows three columns, named in another order, decides by just these."""
    names = ["router_cost", "is_decline", "busy"]
    network = build(NetworkSpec(n_features=3, hidden=4, anchor=(0, 1)))
    path = tmp_path / "few.safetensors"
    cp.save(path, network, {"task": "routing", "features": names})
    obs = np.random.default_rng(0).random((50, 9, len(columns_of("routing"))), dtype=np.float32)
    cost = obs[:, :, columns_of("routing").index("router_cost")] + obs[:, :, columns_of("routing").index("is_decline")]
    policy = Learned(path)
    found = policy.act(obs, np.ones((50, 9), bool), context(50))
    assert np.mean(found == cost.argmin(1)) > 0.9  # the rest of the network is small at first, but not nothing


def test_control_of_the_fast_path(tmp_path):
    """Several choices a row; a world with more models has more of them, which the network does not know."""
    world = resolve_task("metacontrol", "toy2", {})[1]
    width = get_task("metacontrol").n_actions(world.n_nodes, len(world.model_names)) // (world.n_nodes + 1)
    path, _ = saved(tmp_path, task="metacontrol", columns=width)
    rows = rows_of(f"learned:{path}", "toy2")
    assert len(rows) == 3 and sum(row["tool_calls"] for row in rows) > 0
    other, _ = saved(tmp_path, task="metacontrol", columns=width + 1, name="wide")
    with pytest.raises(EdgeGymInputError, match=f"{width + 1} choices a row"):
        rows_of(f"learned:{other}", "toy2")


def test_only_the_task_it_was_trained_for(tmp_path):
    path, _ = saved(tmp_path)
    with pytest.raises(EdgeGymInputError, match="decides placement"):
        evaluate(f"learned:{path}", "placement", None, [1])


def test_RUN_23_another_file_is_another_policy(tmp_path):
    path, _ = saved(tmp_path)
    before = Learned(path).identity
    out = tmp_path / "run"
    rows_of(f"learned:{path}", out=out)
    assert json.loads((out / "manifest.json").read_text()) and before == Learned(path).identity
    rows_of(f"learned:{path}", out=out, resume=True)
    saved(tmp_path, seed=1)
    assert Learned(path).identity != before
    with pytest.raises(EdgeGymError):
        rows_of(f"learned:{path}", out=out, resume=True)


@pytest.mark.parametrize(
    ("policy", "words"),
    [("learned", "followed by a colon"), ("learned:none.safetensors", "readable file"), ("learned:.", "found a folder"),
     ("learned:/dev/zero", "found a device"), ("learned:bad.safetensors", "header length")],
)  # fmt: skip
def test_BAD_52_on_the_command_line(policy, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bad.safetensors").write_bytes(b"PK\x03\x04" + bytes(100))
    assert main(["bench", "--policies", policy, "--episodes", "1", "--workers", "1", "--quiet", "--out", "run"]) == 2
    out, err = capsys.readouterr()
    assert words in err and "Traceback" not in err and out == "" and not (tmp_path / "run").exists()


def test_shipped_controllers(tmp_path, monkeypatch, capsys):
    """A name in the registry, a line in the list, a file in the folder."""
    saved(tmp_path, name="tiny")
    monkeypatch.setattr(learned, "SHIPPED", tmp_path)
    monkeypatch.setattr(learned, "tiny", learned.shipped("tiny", "A tiny one."), raising=False)
    monkeypatch.setitem(POLICIES, "tiny", "edge_agents.learned:tiny")
    policy = make_policy("tiny")
    assert isinstance(policy, Learned) and policy.name == "tiny" and policy.about["task"] == "routing"
    assert main(["list", "policies"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any("tiny" in line and "A tiny one." in line for line in lines)
    assert any(" learned " in line and "checkpoint" in line for line in lines)


def test_every_shipped_controller_can_be_loaded():
    files = {path.stem for path in learned.SHIPPED.glob("*.safetensors")}
    names = {name for name, target in POLICIES.items() if str(target).startswith("edge_agents.")}
    assert names - {"learned"} == files
    for name in files:
        assert make_policy(name).about["task"]


BLOCKED = """
import sys
class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "safetensors", "stable_baselines3", "onnx"):
            raise ImportError(name + " is not installed here")
sys.meta_path.insert(0, NoTorch())
import edge_gym
results = edge_gym.evaluate("learned:" + sys.argv[1], "routing", "toy2", [1, 2], n_requests=20)
assert len(results.rows) == 2 and "torch" not in sys.modules
try:
    import torch
except ImportError:
    print("fine")
"""


@pytest.mark.parametrize("kind", ["deepsets", "graph"])
def test_a_light_install_runs_learned_controllers(tmp_path, kind):
    path, _ = saved(tmp_path, kind)
    done = subprocess.run([sys.executable, "-c", BLOCKED, path], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0 and done.stdout.strip() == "fine", done.stderr[-2000:]


def star(n_nodes, delay_s):
    return queue_scenario(1.0, n_nodes=n_nodes, topology=Topology(kind="star", link_delay_s=delay_s, n_sites=n_nodes))


def test_links_are_scaled_as_times_are():
    """Way of 2 ms between any two nodes: log2(1 + 20) / 28; nothing on the node itself, nor to declining."""
    world = World(star(3, 0.001))
    delay_s = world.network.node_delay_s()
    links = log_links(world)
    assert links.shape == (4, 4) and links.dtype == np.float32 and not links.flags.writeable
    assert np.allclose(links[:3, :3], np.log2(1 + delay_s / 1e-4) / 28, atol=1e-6)
    assert links[0, 1] == pytest.approx(np.log2(21) / 28, abs=1e-6) and links[1, 1] == 0
    assert (links[3] == 0).all() and (links[:, 3] == 0).all()
    world.network.node_delay_s()[0, 1] = np.inf
    assert log_links(world)[0, 1] == 1


def test_only_who_wants_links_gets_them():
    found = {}

    class Sees:
        def __init__(self, wants):
            self.wants_links = wants

        def reset(self, n_envs, seed):
            pass

        def act(self, obs, action_mask, context):
            found[self.wants_links] = context.links
            return np.full(len(obs), action_mask.shape[1] - 1)

    world = World(star(3, 0.001))
    for wants in (True, False):
        roll_out(world, Sees(wants), "sees", [1, 2])
    assert np.array_equal(found[True], log_links(world)) and found[False] is None


def test_links_of_worlds_of_several_sizes():
    worlds = Worlds("routing", [star(3, 0.001), star(2, 0.004)], 2, seed=0)
    links = worlds.links
    assert links.shape == (4, 4, 4) and links is worlds.links
    assert np.array_equal(links[1], log_links(worlds.batches[0].world))
    assert np.array_equal(links[2, :3, :3], log_links(worlds.batches[1].world))
    assert (links[2:, 3] == 0).all() and (links[2:, :, 3] == 0).all()
