"""The parts of a training run: saved states, the table of progress, variants of scenarios, plans for each task."""

import dataclasses
import random
import re
import sys
import types
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from edge_agents import progress
from edge_agents import train as training
from edge_agents.algorithms import ALGORITHMS
from edge_agents.learned import Learned
from edge_agents.progress import Curves, ProgressTable
from edge_agents.randomise import LOAD, randomised
from edge_agents.saved_state import from_bytes, to_bytes
from edge_agents.spec import KIND_NAMES
from edge_agents.training_folder import TrainingFolder
from edge_agents.training_plan import ANCHORS, REFERENCES, TrainingPlan
from edge_agents.worlds import Worlds

from edge_gym.cli.arguments import parsers
from edge_gym.envs.common import resolve_task
from edge_gym.errors import EdgeGymInputError
from edge_gym.evaluation.evaluate import evaluate
from edge_gym.scenario.io import fingerprint
from edge_gym.scenario.presets import PRESETS, preset
from edge_gym.tasks import TASKS, get_task

BIG = ("metro1000", "metro-1000", "global-120")


def alike(one, other):
    """Same types, same bits."""
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert list(one) == list(other)
        assert all(alike(one[key], other[key]) for key in one)
    elif isinstance(one, list | tuple):
        assert len(one) == len(other) and all(alike(a, b) for a, b in zip(one, other, strict=True))
    elif isinstance(one, torch.Tensor):
        assert one.dtype == other.dtype and one.shape == other.shape and torch.equal(one, other)
    elif isinstance(one, np.ndarray | np.generic):
        assert one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()
    else:
        assert repr(one) == repr(other)
    return True


def moving_parts():
    """What a learner may hand over."""
    worlds = Worlds("routing", [preset("mixed").with_overrides(n_requests=20), preset("toy2")], 2, 0)
    worlds.begin()
    network = torch.nn.Linear(3, 2)
    optimiser = torch.optim.Adam(network.parameters())
    network(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    return {
        "worlds": worlds.get_state(),
        "network": dict(network.state_dict()),
        "optimiser": optimiser.state_dict(),
        "generators": [torch.Generator().get_state(), np.random.default_rng(1).bit_generator.state],
        "values": {
            "a": None,
            "b": True,
            "c": 2**80,
            4: -0.0,
            "e": float("inf"),
            "f": "é\n",
            "g": (1, [2, ()]),
            "h": {},
        },
        "tensors": [torch.tensor(1.5), torch.zeros(0, 3), torch.ones(2, 2, dtype=torch.bool), torch.eye(3).T],
        "arrays": [np.float32(0.1), np.arange(6).reshape(2, 3).T, np.zeros((), np.int8), np.array("text")],
    }


def test_saved_state_comes_back():
    """RUN-15: bit by bit, with structured tables, optimisers and generators."""
    state = moving_parts()
    found = from_bytes(to_bytes(state))
    assert alike(state, found)
    worlds = Worlds("routing", [preset("mixed").with_overrides(n_requests=20), preset("toy2")], 2, 1)
    worlds.begin()
    worlds.set_state(found["worlds"])
    assert alike(worlds.get_state(), state["worlds"])


@pytest.mark.parametrize("value", [object(), {1, 2}, np.array([object()]), {(1, 2): 3}, b"bytes", {True: 1}])
def test_saved_state_refuses_what_it_cannot_keep(value):
    with pytest.raises(TypeError, match=r"state\['a'\]\[0\]"):
        to_bytes({"a": [value]})


def test_saved_state_that_is_damaged():
    """RUN-16: a flipped byte or a cut is an input error, or does not matter; nothing is unpickled."""
    state = {"a": torch.arange(50.0), "b": [1, {"c": np.zeros(3, [("x", "i8"), ("y", "f4")])}]}
    data, rng, refused = to_bytes(state), random.Random(0), 0
    for _ in range(1500):
        broken = bytearray(data)
        broken[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        broken = bytes(broken[: rng.randrange(len(data))]) if rng.random() < 0.2 else bytes(broken)
        try:
            assert alike(state, from_bytes(broken, "file"))
        except EdgeGymInputError as error:
            refused += 1
            assert error.where == "file"
    assert refused > 1000
    for other in (b"", b"PK", b"\x80\x04K\x01.", b"\0" * 1000):
        with pytest.raises(EdgeGymInputError, match="a whole saved state"):
            from_bytes(other)


def test_saved_state_of_another_version(tmp_path):
    """RUN-23: the error names both versions."""
    (tmp_path / "a.npz").write_bytes(to_bytes(1))
    with zipfile.ZipFile(tmp_path / "a.npz") as archive, zipfile.ZipFile(tmp_path / "b.npz", "w") as other:
        other.writestr("tree.npy", archive.read("tree.npy").replace(b'"version":1', b'"version":7'))
    with pytest.raises(EdgeGymInputError, match="version = 7: must be 1,"):
        from_bytes((tmp_path / "b.npz").read_bytes())


def test_table_gets_columns_as_figures_come(tmp_path):
    path = tmp_path / "progress.csv"
    table = ProgressTable(path)
    table.add({"update": 1, "a": 0.1})
    table.add({"update": 2, "b": float("nan"), "a": 1e-300})
    table.add({"update": 3, "b": 2.0})
    expected = "update,a,b\n1,0.1,\n2,1e-300,nan\n3,,2.0\n"
    assert path.read_text() == table.text() == expected
    with open(path, "a") as file:
        file.write("4,0.")  # killed while it wrote
    ProgressTable(path, expected).add({"update": 4, "a": 5})
    assert path.read_text() == expected + "4,5,\n"


def test_curves(monkeypatch, tmp_path):
    """For TensorBoard where it is installed; elsewhere nothing happens."""
    said = []

    class SummaryWriter:
        def __init__(self, folder, purge_step):
            said.append((folder, purge_step))

        def add_scalar(self, *scalar):
            said.append(scalar)

        def close(self):
            said.append("closed")

    module = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", module)
    for there in (None, object()):
        monkeypatch.setattr(progress, "find_spec", lambda name, found=there: found)
        curves = Curves(tmp_path / "tensorboard", 7)
        curves.add({"env_steps": 9, "loss/policy": 0.5, "return/mean": float("nan")})
        curves.close()
        assert bool(said) is (there is not None)
    assert said[0] == (str(tmp_path / "tensorboard"), 7) and said[-1] == "closed"
    assert ("loss/policy", 0.5, 9) in said and len(said) == 4, "no curve of what is not a number"


@pytest.mark.parametrize("name", [name for name in PRESETS if not name.endswith(BIG)])
def test_variants_of_every_preset_are_worlds(name):
    scenario = PRESETS[name]()
    variants = randomised([scenario], 3, 4)
    assert len({one.name for one in variants}) == 4 and len({fingerprint(one) for one in variants}) == 4
    for one in variants:
        assert one.task == scenario.task and one.horizon_s == scenario.horizon_s and one.models == scenario.models
        assert one.pool.n_nodes in {max(1, round(scenario.pool.n_nodes * by)) for by in (0.25, 0.5, 1)}
        if scenario.arrivals.load is not None:
            assert LOAD[0] <= one.arrivals.load / scenario.arrivals.load <= LOAD[1]
        for regime in ("drift", "churn", "semantic"):
            assert (getattr(one, regime).share > 0) is (getattr(scenario, regime).share > 0)
        resolve_task(one.task, one, {})


def test_variants_are_those_of_their_seed():
    scenarios = [preset("mixed"), preset("churn")]
    assert randomised(scenarios, 1, 3) == randomised(scenarios, 1, 3) != randomised(scenarios, 2, 3)


def test_variants_that_cannot_be(monkeypatch):
    """If no draw makes a world, the error names the scenario and the last reason."""

    def refuse(*arguments):
        raise EdgeGymInputError("pool", 1, "larger")

    monkeypatch.setattr("edge_agents.randomise.resolve_task", refuse)
    with pytest.raises(EdgeGymInputError, match=r"toy2.*valid variants.*pool = 1: must be larger"):
        randomised([preset("toy2")], 0, 1)


def smallest(task):
    """A short world of the task."""
    worlds = get_task(task).worlds
    short = {"n_requests": 30} if worlds == "routing" else {"horizon_s": 5.0, "at_start": 4, "n_nodes": 4}
    return preset(get_task(task).scenario, worlds).with_overrides(**short)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_is_trained_and_validated(task, tmp_path):
    """Its checkpoint plays the task's worlds, and is compared with a policy that plays them too."""
    plan = TrainingPlan(
        task=task, scenarios=(smallest(task),), steps=64, worlds=4, hidden=8, validation=2, threads=1,
        settings={"rollout_steps": 8},
    )  # fmt: skip
    found = training.train(plan, tmp_path / "run")
    assert found.validation["validation/ratio"] > 0 and Learned(found.path).tasks == (task,)
    assert set(REFERENCES) == set(TASKS) >= set(ANCHORS)


@pytest.mark.parametrize("task", ANCHORS)
def test_an_untrained_network_decides_by_the_cost_that_is_shown(task, tmp_path):
    """So it never declines a request that could be routed, and agents live where they cost least."""
    plan = TrainingPlan(task=task, scenarios=(smallest(task),), worlds=1, hidden=8, threads=1)
    worlds = training._learner(plan).worlds
    training.checkpoint.save(tmp_path / "a.safetensors", training._network(plan, worlds), {"task": task})
    teacher = {"routing": "e3_fast", "placement": "rollout", "migration": "myopic"}[task]
    rows = evaluate([Learned(tmp_path / "a.safetensors"), teacher], plan.arena, plan.scenarios, [500, 501]).rows
    mine, others = (np.mean([row["return"] for row in part]) for part in (rows[:2], rows[2:]))
    assert mine > 1.1 * others, "returns are negative: at most a tenth worse"


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_every_kind_of_network_is_trained_in_variants(kind, tmp_path):
    variants = 0 if kind == "mlp" else 1
    plan = TrainingPlan(
        task="routing", scenarios=(smallest("routing"),), network=kind, randomise=variants, steps=64, worlds=4,
        group=2, hidden=8, validation=0, threads=1, settings={"rollout_steps": 16},
    )  # fmt: skip
    found = training.train(plan, tmp_path / "run")
    assert found.env_steps == 64 and Learned(found.path).tasks == ("routing",)


def test_threads_have_worlds_of_their_own():
    """And as many worlds as were asked for, as far as they can be shared out; torch's own threads stay out of it."""
    for threads, group, parts, worlds in ((1, 1, 1, 10), (2, 1, 2, 10), (2, 5, 2, 10), (3, 1, 3, 9), (3, 5, 2, 10)):
        plan = TrainingPlan(
            task="routing", scenarios=(smallest("routing"),), worlds=10, group=group, hidden=8, threads=threads
        )
        learner = training._learner(plan)
        assert (len(learner.worlds.parts), learner.worlds.n_worlds) == (parts, worlds)
        assert learner.config.threads == threads and plan.torch_threads == 1


@pytest.mark.parametrize("name", ALGORITHMS)
def test_algorithms_are_there(name):
    algorithm = ALGORITHMS[name]
    assert algorithm.summary and set(algorithm.networks) <= set(KIND_NAMES)
    assert callable(algorithm.load_learner()) and dataclasses.is_dataclass(algorithm.load_config())


def test_the_page_names_every_flag_and_file():
    """docs/training.md."""
    page = (Path(__file__).parent.parent / "docs" / "training.md").read_text()
    _, commands = parsers()
    flags = {flag for action in commands["train"]._actions for flag in action.option_strings if flag.startswith("--")}
    said = set(re.findall(r"`(--[a-z-]+)", page))
    assert flags - {"--help", "--debug"} <= said and said <= flags
    names = {value for name, value in vars(TrainingFolder).items() if name.isupper() and isinstance(value, str)}
    assert all(f"`{name}`" in page for name in names - {TrainingFolder.KIND})
    assert all(f"`{name}`" in page for name in ALGORITHMS)
