"""Suites: comparisons as data, read strictly, run to the end whatever happens to a part, and resumed to the byte."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from edge_agents.randomise import _EDGE

from edge_gym import policy
from edge_gym.cli.main import main
from edge_gym.errors import EdgeGymInputError
from edge_gym.evaluation import execution, pilot, shards
from edge_gym.evaluation.execution import Execution
from edge_gym.evaluation.splits import TEST
from edge_gym.evaluation.suites import Suite, load_suite, suite_cells, suite_names
from edge_gym.kernel.build import World as Built
from edge_gym.scenario.presets import PRESETS, resolve

TESTS = Path(__file__).parent
SMALL = """
version: 1
name: small
revision: 3
description: For tests.
cells:
  - task: routing
    worlds:
      - {scenario: toy2}
      - {scenario: stationary, name: short, set: {n_nodes: 4, n_requests: 40}}
    policies: [jsq, random]
    episodes: 6
    least_episodes: 4
  - task: migration
    worlds:
      - {scenario: commute-16, name: brief, set: {horizon_s: 8}}
    policies: [never]
    episodes: 3
    least_episodes: 1
"""


class FirstLegal:
    def reset(self, n_envs, seed):
        pass

    def act(self, obs, action_mask, context):
        return action_mask.argmax(axis=1)


class Dies(FirstLegal):
    """As after a kill or out of memory."""

    def act(self, obs, action_mask, context):
        os.kill(os.getpid(), signal.SIGKILL)


class DiesOnce(FirstLegal):
    def act(self, obs, action_mask, context):
        mark = Path(os.environ["T_MARK"])
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().act(obs, action_mask, context)


class Hangs(FirstLegal):
    def act(self, obs, action_mask, context):
        time.sleep(1000)


class Breaks(FirstLegal):
    def act(self, obs, action_mask, context):
        raise ZeroDivisionError("no luck")


@pytest.fixture(autouse=True)
def policies(monkeypatch):
    mine = {"t_dies": Dies, "t_dies_once": DiesOnce, "t_hangs": Hangs, "t_breaks": Breaks}
    monkeypatch.setattr(policy, "POLICIES", {**policy.POLICIES, **mine})
    monkeypatch.setattr(shards, "POLICIES", policy.POLICIES)


@pytest.fixture
def small(tmp_path):
    return written(tmp_path, SMALL)


def written(folder, text):
    path = folder / "small.yaml"
    path.write_text(text)
    return path


def bench(capsys, path, *arguments):
    code = main(["bench", "--suite", str(path), "--workers", "1", *map(str, arguments)])
    return code, *capsys.readouterr()


@pytest.mark.parametrize("name", suite_names())
def test_shipped_suites_are_sound(name):
    """Every scenario, override and policy is real, seeds are test seeds, and the names say the file."""
    suite = load_suite(name)
    assert suite.name == name and suite.revision >= 1
    for cell, planned in zip(suite.cells, suite_cells(suite), strict=True):
        seeds = {seed for shard in planned for seed in shard.seeds}
        assert len(seeds) == cell.episodes >= cell.least_episodes
        assert min(seeds) >= TEST.first and max(seeds) <= TEST.last


def test_the_suites_that_are_promised():
    assert {"quick", "standard", "paper-e3", "paper-antllm", "generalisation"} <= set(suite_names())


def test_unseen_devices_are_unseen():
    """No preset has them, and no variant for training is drawn from them."""
    (world,) = [w for w in load_suite("generalisation").cells[0].worlds if w.name == "unseen-devices"]
    unseen = set(world.set["device_types"])
    assert not unseen & set(_EDGE)
    for preset in PRESETS:
        assert not unseen & set(resolve(preset, preset.partition("/")[0]).pool.device_types), preset
    Built(world.resolve("routing"))


def test_suite_is_the_same_machinery_as_scenarios_one_by_one(small, capsys, tmp_path):
    code, out, err = bench(capsys, small, "--out", tmp_path / "run", "--quiet")
    assert (code, err) == (0, "")
    rows = [json.loads(line) for line in (tmp_path / "run" / "episodes.jsonl").read_text().splitlines()]
    assert [(row["task"], row["scenario"], row["policy"]) for row in rows[::3]] == [
        *[("routing", world, name) for world in ("toy2", "short") for name in ("jsq", "jsq", "random", "random")],
        ("migration", "brief", "never"),
    ]
    from edge_gym.evaluation.evaluate import evaluate

    alone = evaluate(["jsq", "random"], scenario="stationary", name="short", n_nodes=4, n_requests=40,
                     seeds=range(1000, 1006)).rows  # fmt: skip
    assert rows[12:24] == alone
    for words in ("routing / toy2", "routing / short", "migration / brief", "no verdict from 6 episodes"):
        assert words in out
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert manifest["identity"]["suite"] == load_suite(small).identity and manifest["finished"]
    assert [cell["task"] for cell in manifest["identity"]["cells"]] == ["routing", "migration"]


def test_identity_changes_with_anything_in_the_suite(small, capsys, tmp_path):
    before = load_suite(small).identity
    assert bench(capsys, small, "--out", tmp_path / "run", "--quiet")[0] == 0
    for old, new in (("revision: 3", "revision: 4"), ("n_requests: 40", "n_requests: 41"), ("For tests", "For fun")):
        changed = written(tmp_path, SMALL.replace(old, new))
        assert load_suite(changed).identity != before
        code, _, err = bench(capsys, changed, "--out", tmp_path / "run", "--quiet", "--resume")
        assert code == 2 and "'suite' differs" in err


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("version: 1", "version: 2", "small.yaml:2: version = 2: must be 1"),
        ("revision: 3", "revision: 0", "small.yaml:4: revision = 0"),
        ("name: small", "nam: small", "did you mean 'name'"),
        ("task: routing", "task: rooting", "did you mean 'routing'"),
        ("scenario: toy2", "scenario: toy3", "did you mean 'toy2'"),
        ("policies: [jsq, random]", "policies: [jsk, random]", "did you mean 'jsq'"),
        ("policies: [jsq, random]", "policies: []", "cells[0].policies"),
        ("policies: [never]", "policies: [jsq]", "decides migration"),
        ("n_nodes: 4", "n_node: 4", "did you mean 'n_nodes'"),
        ("name: short", "name: toy2", "given once only"),
        ("episodes: 6", "episodes: 3", "least_episodes"),
        ("episodes: 6", "first_seed: 500", "first_seed = 500: must be >= 1000"),
        ("horizon_s: 8", "horizon_s: many", "horizon_s"),
        ("cells:", "extra: 1\ncells:", "extra"),
        ("least_episodes: 1",
         "least_episodes: 1\n  - task: routing\n    worlds: [{scenario: toy2}]\n    policies: [p2c]",
         "the only world"),
    ],
)  # fmt: skip
def test_errors_say_field_value_and_what_is_allowed(old, new, words, capsys, tmp_path):
    assert old in SMALL
    code, out, err = bench(capsys, written(tmp_path, SMALL.replace(old, new, 1)), "--out", tmp_path / "run")
    assert code == 2 and words in err and out == "" and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--suite", "quik"], "did you mean 'quick'"),
        (["--suite", "none.yaml"], "none.yaml"),
        (["--suite", "quick", "--task", "routing"], "--task"),
        (["--suite", "quick", "--seed", "2000"], "--seed"),
        (["--suite", "quick", "--set", "load=1"], "--set"),
        (["--suite", "quick", "--also", "orcale"], "did you mean 'oracle'"),
        (["--also", "jsq"], "--policies"),
        (["--engine", "slurm"], "one of processes, ray"),
        (["--address", "auto"], "engine is ray"),
        (["--shard-timeout", "0"], "--shard-timeout"),
    ],
)
def test_wrong_arguments(arguments, words, capsys):
    assert main(["bench", *arguments]) == 2
    assert words in capsys.readouterr().err


def test_also_compares_where_it_fits(small):
    planned = suite_cells(load_suite(small), episodes=1, also=["p2c", "myopic"])
    assert [sorted({shard.policy for shard in cell}) for cell in planned] == [
        ["jsq", "p2c", "random"],
        ["myopic", "never"],
    ]
    with pytest.raises(EdgeGymInputError, match="also = 'greedy'"):
        suite_cells(load_suite(small), also=["greedy"])


def test_fewer_episodes_are_no_result(small, capsys):
    code, out, _ = bench(capsys, small, "--episodes", "2", "--quiet")
    assert code == 0 and "no result of small" in out
    assert "no result of" not in bench(capsys, small, "--quiet")[1]


def test_time_before_and_after_is_said(small, capsys):
    code, out, _ = bench(capsys, small)
    assert code == 0 and "27 episodes to run in 5 parts" in out and "About " in out and ", took " in out


def test_pilot_counts_what_is_left_and_skips_what_fails(small):
    (routing, _) = suite_cells(load_suite(small))
    how = Execution(keep_going=True)
    assert pilot.estimate_s(routing, {shard.key for shard in routing}, how) == 0.0
    assert 0.0 < pilot.estimate_s(routing, set(), how) < 60.0


def test_list_and_show(capsys):
    assert main(["list", "suites"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in suite_names())
    assert main(["show", "quick"]) == 0
    shown = yaml.safe_load(capsys.readouterr().out)
    assert shown["name"] == "quick" and isinstance(load_suite("quick"), Suite)


def failing(tmp_path, name):
    return written(tmp_path, SMALL.replace("[jsq, random]", f"[jsq, {name}]"))


@pytest.mark.parametrize(
    ("name", "attempts", "words"),
    [("t_dies", 3, "a worker process died"), ("t_hangs", 1, "longer than 30 s"), ("t_breaks", 1, "no luck")],
)
def test_failures_are_listed_never_scored_and_the_others_go_on(name, attempts, words, capsys, tmp_path, monkeypatch):
    """RUN-21, BEN-10."""
    timeout = []
    if name == "t_hangs":  # the time-out must be long enough for a process to start on a busy machine, so one is enough
        timeout = ["--shard-timeout", "30"]
        monkeypatch.setattr(execution, "RETRIES", 0)
    text = SMALL.replace("[jsq, random]", f"[jsq, {name}]").replace("      - {scenario: toy2}\n", "")
    if name == "t_hangs":
        text = text[: text.index("  - task: migration")]
    job = [written(tmp_path, text), "--out", tmp_path / "run", "--quiet", "--workers", "2"]
    code, out, err = bench(capsys, *job, *timeout)
    assert code == 1 and f"failed after {attempts} attempt(s)" in err and words in err and "Traceback" not in err
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    (failure,) = manifest["failures"]
    assert (failure["policy"], failure["scenario"], failure["attempts"]) == (name, "short", attempts)
    assert not manifest["finished"]
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["failures"] == manifest["failures"]
    assert name not in {row["policy"] for row in summary["rows"]} and name not in out
    assert "jsq" in {row["policy"] for row in summary["rows"]}


def test_a_worker_that_dies_once_leaves_no_trace(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("T_MARK", str(tmp_path / "mark"))
    monkeypatch.setattr(shards, "SHARD", 3)
    path = failing(tmp_path, "t_dies_once")
    assert bench(capsys, path, "--out", tmp_path / "dies", "--quiet")[0] == 0 and (tmp_path / "mark").exists()
    assert bench(capsys, path, "--out", tmp_path / "lives", "--quiet")[0] == 0
    for name in ("episodes.jsonl", "summary.json"):
        assert (tmp_path / "dies" / name).read_bytes() == (tmp_path / "lives" / name).read_bytes()


@pytest.mark.slow
def test_kills_of_the_orchestrator_leave_the_same_table(tmp_path):
    """RUN-19, in small; `python scripts/chaos_bench.py` does it twenty times."""
    script = TESTS.parent / "scripts" / "chaos_bench.py"
    done = subprocess.run(
        [sys.executable, str(script), "--kills", "1", "--episodes", "10", "--folder", str(tmp_path)],
        capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    assert "identical" in done.stdout
