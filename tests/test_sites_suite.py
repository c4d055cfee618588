"""Decided by sites as a cell of a suite: the same rows however they are run, and honest errors before anything runs."""

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from script_loader import load_script

from edge_gym import policy
from edge_gym.cli.main import main
from edge_gym.errors import EdgeGymError, EdgeGymInputError
from edge_gym.evaluation import shards
from edge_gym.evaluation.deciders import Deciders
from edge_gym.evaluation.evaluate import evaluate
from edge_gym.evaluation.metrics import METRICS
from edge_gym.evaluation.recording import record
from edge_gym.evaluation.suites import load_suite, suite_cells

SMALL = """
version: 1
name: small
revision: 1
description: For tests.
cells:
  - task: routing
    worlds:
      - {scenario: stationary, name: short-central, set: {n_nodes: 4, n_requests: 40}, by_site: {view: central}}
      - scenario: stationary
        name: short-own
        set: {n_nodes: 4, n_requests: 40, queue_capacity: 0, load: 1.2}
        by_site: {slot_s: 0.5, heartbeat_s: 2.0}
      - {scenario: stationary, name: short-alone, set: {n_nodes: 4, n_requests: 40}}
    policies: [jsq, random]
    episodes: 6
    least_episodes: 2
"""
FIELDS = {"n_nodes": 4, "n_requests": 40, "name": "short"}
ONE = {"scenario": "churn", "n_sites": 1, "n_nodes": 5, "n_requests": 60, "up_mean_s": 5.0, "seeds": range(1000, 1004)}


class FirstLegal:
    def reset(self, n_envs, seed):
        pass

    def act(self, obs, action_mask, context):
        return action_mask.argmax(axis=1)


class DiesOnce(FirstLegal):
    def act(self, obs, action_mask, context):
        mark = Path(os.environ["T_MARK"])
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().act(obs, action_mask, context)


class Counts(FirstLegal):
    """Each seat counts what it was asked."""

    def reset(self, n_envs, seed):
        self.asked = np.zeros(n_envs, int)

    def act(self, obs, action_mask, context):
        self.asked += context.active
        return super().act(obs, action_mask, context)

    def episode_counters(self, b):
        return {"t.asked": float(self.asked[b])}


class Nonsense(FirstLegal):
    def act(self, obs, action_mask, context):
        return "node 1"


@pytest.fixture(autouse=True)
def policies(monkeypatch):
    mine = {"t_first": FirstLegal, "t_dies_once": DiesOnce, "t_nonsense": Nonsense, "t_counts": Counts}
    monkeypatch.setattr(policy, "POLICIES", {**policy.POLICIES, **mine})
    monkeypatch.setattr(shards, "POLICIES", policy.POLICIES)


def written(folder, text=SMALL):
    path = folder / "small.yaml"
    path.write_text(text)
    return path


def bench(capsys, path, *arguments):
    code = main(["bench", "--suite", str(path), "--workers", "1", "--quiet", *map(str, arguments)])
    return code, *capsys.readouterr()


@pytest.mark.parametrize("name", ["jsq", "p2c", "sect_watchdog", "linucb", "e3_fast"])
def test_one_site_that_decides_at_once_is_the_ordinary_bench(name):
    usual = evaluate([name], **ONE).rows
    by_site = evaluate([name], **ONE, by_site={"slot_s": 0.0}).rows
    for one, other in zip(usual, by_site, strict=True):
        assert json.dumps({key: one[key] for key in METRICS}) == json.dumps({key: other[key] for key in METRICS})
        assert set(other) - set(one) == {"sites.refused", "sites.refused_share"}


def test_a_suite_mixes_worlds_of_one_router_and_of_sites(capsys, tmp_path):
    code, out, err = bench(capsys, written(tmp_path), "--out", tmp_path / "run")
    assert (code, err) == (0, "") and "refused" in out
    rows = [json.loads(line) for line in (tmp_path / "run" / "episodes.jsonl").read_text().splitlines()]
    same = {"scenario": "stationary", "seeds": range(1000, 1006), **FIELDS}
    alone = evaluate(["jsq", "random"], **{**same, "name": "short-alone"}).rows
    assert [row for row in rows if row["scenario"] == "short-alone"] == alone
    central = evaluate(["jsq", "random"], by_site=Deciders(view="central"), **{**same, "name": "short-central"}).rows
    assert [row for row in rows if row["scenario"] == "short-central"] == central
    own = [row for row in rows if row["scenario"] == "short-own"]
    assert sum(row["sites.refused"] for row in own) > 0 and all(row["requests"] == 40 for row in own)
    assert all(row["sites.refused_share"] == row["sites.refused"] / (40 + row["sites.refused"]) for row in own)
    assert all(row["sites.refused"] == 0 for row in central)
    identity = json.loads((tmp_path / "run" / "manifest.json").read_text())["identity"]
    assert identity["cells"][0]["by_site"] == {
        "short-central": {"slot_s": 0.1, "heartbeat_s": None, "view": "central"},
        "short-own": {"slot_s": 0.5, "heartbeat_s": 2.0, "view": "own"},
    }


def test_workers_and_interruptions_change_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("T_MARK", str(tmp_path / "mark"))
    monkeypatch.setattr(shards, "SHARD", 3)
    path = written(tmp_path, SMALL.replace("[jsq, random]", "[jsq, t_dies_once]"))
    run = tmp_path / "run"
    assert bench(capsys, path, "--out", run, "--workers", "2")[0] == 0 and (tmp_path / "mark").exists()
    finished = {name: (run / name).read_bytes() for name in ("episodes.jsonl", "summary.json")}
    for k, part in enumerate(sorted((run / "shards").glob("*.jsonl"))):  # as if killed while some parts were written
        if k % 2:
            part.unlink()
    (run / "episodes.jsonl").unlink()
    assert bench(capsys, path, "--out", run, "--resume")[0] == 0
    assert {name: (run / name).read_bytes() for name in finished} == finished


def test_a_run_is_only_resumed_with_the_same_deciders(tmp_path):
    run = {"scenario": "stationary", "seeds": [1000], "out": tmp_path / "run", **FIELDS}
    evaluate(["jsq"], by_site={"slot_s": 0.1}, **run)
    before = (tmp_path / "run" / "episodes.jsonl").read_bytes()
    for other in (None, {"slot_s": 0.2}, {"slot_s": 0.1, "heartbeat_s": 2.0}):
        with pytest.raises(EdgeGymInputError, match="'by_site' differs"):
            evaluate(["jsq"], by_site=other, resume=True, **run)
    evaluate(["jsq"], by_site=Deciders(slot_s=0.1), resume=True, **run)
    assert (tmp_path / "run" / "episodes.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("slot_s: 0.5", "slot_s: -1", "cells[0].worlds[1].by_site.slot_s = -1: must be >= 0 and <= 3600"),
        ("slot_s: 0.5", "slot_s: 1.0e-9", "slot_s = 1e-09: must be a number of seconds in 1e-06 ... 3600, or 0"),
        ("heartbeat_s: 2.0", "heartbeat_s: 0", "heartbeat_s = 0: must be >= 1e-06"),
        ("heartbeat_s: 2.0", "heartbeat_s: often", "heartbeat_s = 'often'"),
        ("heartbeat_s: 2.0", "heart_s: 2.0", "did you mean 'heartbeat_s'"),
        ("view: central", "view: centre", "did you mean 'central'"),
        ("by_site: {view: central}", "by_site: true", "cells[0].worlds[0].by_site = True: must be a mapping"),
        ("policies: [jsq", "policies: [oracle", "a policy without privileges where the sites"),
        ("policies: [jsq", "policies: [clairvoyant", "there are no bounds"),
        ("policies: [jsq", "policies: [e3_rules", "a policy that decides routing itself where the sites"),
    ],
)
def test_errors_say_field_value_and_what_is_allowed(old, new, words, capsys, tmp_path):
    assert old in SMALL
    code, out, err = bench(capsys, written(tmp_path, SMALL.replace(old, new, 1)), "--out", tmp_path / "run")
    assert code == 2 and words in err and out == "" and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("slot_s=fast", "--by-site.slot_s = 'fast'"),
        ("slots=1", "did you mean 'slot_s'"),
        ("slot_s", "FIELD=VALUE"),
        ("slot_s=1,,view=own", "single commas"),
    ],
)
def test_wrong_arguments_of_the_command(text, words, capsys, tmp_path):
    assert main(["bench", "--by-site", text, "--out", str(tmp_path / "run")]) == 2
    assert words in capsys.readouterr().err and not (tmp_path / "run").exists()


def test_what_sites_do_not_decide(capsys):
    assert main(["bench", "--suite", "quick", "--by-site", "slot_s=1"]) == 2
    assert "--by-site" in capsys.readouterr().err
    with pytest.raises(EdgeGymInputError, match="task = 'metacontrol'"):
        evaluate(["e3_rules"], task="metacontrol", seeds=[1000], by_site={})
    with pytest.raises(EdgeGymInputError, match="by_site = 3"):
        evaluate(["jsq"], seeds=[1000], by_site=3)
    with pytest.raises(EdgeGymError, match="'t_nonsense' returned str of shape"):
        evaluate(["t_nonsense"], seeds=[1000], by_site={}, **FIELDS)


def test_the_command_compares_what_sites_can_have(capsys, tmp_path):
    small = ["--set", "n_requests=30", "--episodes", "2", "--workers", "1", "--quiet", "--out", str(tmp_path / "run")]
    assert main(["bench", "--by-site", "slot_s=0.2,view=own", *small]) == 0
    out = capsys.readouterr().out
    assert "jsq" in out and "oracle" not in out.partition("Mean latency is")[0]
    assert main(["replay", str(tmp_path / "run"), "--out", str(tmp_path / "page.html")]) == 2
    assert "episodes that the sites decided are not recorded" in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()
    with pytest.raises(EdgeGymInputError, match="what sites decide is not recorded"):
        record("stationary", "jsq", 1000, by_site={})
    page = tmp_path / "page.html"
    assert main(["report", str(tmp_path / "run"), "--recordings", "1", "--out", str(page)]) == 0
    assert "such episodes are not recorded" in page.read_text() and "decided by its sites" in page.read_text()


@pytest.mark.parametrize("view", ["own", "central"])
def test_what_a_policy_counts_is_summed_over_the_sites(view):
    rows = evaluate(["t_counts"], seeds=[1000, 1001], by_site={"view": view}, **FIELDS).rows
    assert all(row["t.asked"] == row["requests"] + row["sites.refused"] == 40 for row in rows)


def test_also_takes_no_oracle_where_sites_decide(tmp_path):
    with pytest.raises(EdgeGymInputError, match="also = 'oracle'"):
        suite_cells(load_suite(written(tmp_path)), also=["oracle"])


def test_the_script_makes_its_table(capsys, tmp_path):
    script = load_script("price_of_decentralisation")
    assert bench(capsys, written(tmp_path), "--out", tmp_path / "run", "--episodes", "3")[0] == 0
    assert script.main([str(tmp_path / "run")]) == 0
    text = capsys.readouterr().out
    assert "own / central" in text and "| `jsq` |" in text and "3 episodes" in text
