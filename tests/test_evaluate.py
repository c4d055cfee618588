"""Evaluation: the same worlds for all, the same rows however they are run, and results that survive a kill."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import edge_gym
from edge_gym import policy
from edge_gym.cli.main import main
from edge_gym.envs.common import resolve_task
from edge_gym.errors import EdgeGymError, EdgeGymInputError
from edge_gym.evaluation import shards
from edge_gym.evaluation.claimed_folder import lock
from edge_gym.evaluation.evaluate import evaluate
from edge_gym.evaluation.metrics import METRICS
from edge_gym.evaluation.results import KEYS, Results
from edge_gym.evaluation.rollout import policy_seed, roll_out
from edge_gym.evaluation.run_folder import RunFolder

SMALL = {"scenario": "stationary", "n_nodes": 4, "n_requests": 50}
EXOGENOUS = ["id", "arrive_ns", "site", "model", "prompt", "units"]
TESTS = Path(__file__).parent


class FirstLegal:
    """The first legal choice."""

    def reset(self, n_envs, seed):
        self.seed = seed

    def act(self, obs, action_mask, context):
        return action_mask.argmax(axis=1)


class Uniform(FirstLegal):
    """One draw for each choice from one generator for all rows, as the shipped random policies do it."""

    def reset(self, n_envs, seed):
        self.rng = np.random.default_rng(seed)

    def act(self, obs, action_mask, context):
        return np.where(action_mask, self.rng.random(action_mask.shape), -1.0).argmax(axis=1)


class Slow(Uniform):
    """Gives a test the time to kill it."""

    def act(self, obs, action_mask, context):
        time.sleep(0.02)
        return super().act(obs, action_mask, context)


class Breaks(FirstLegal):
    def act(self, obs, action_mask, context):
        raise ZeroDivisionError("no luck")


class Dies(FirstLegal):
    def act(self, obs, action_mask, context):
        os._exit(9)


@pytest.fixture(autouse=True)
def policies(monkeypatch):
    mine = {"t_first": FirstLegal, "t_uniform": Uniform, "t_slow": Slow, "t_breaks": Breaks, "t_dies": Dies}
    monkeypatch.setattr(policy, "POLICIES", {**policy.POLICIES, **mine})
    monkeypatch.setattr(shards, "POLICIES", policy.POLICIES)


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(shards, "SHARD", 4)


def small_world(**overrides):
    return resolve_task("routing", "stationary", {"n_nodes": 4, "n_requests": 50, **overrides})[1]


def test_rows():
    found = evaluate(["t_first", "t_uniform"], seeds=range(5, 8), **SMALL)
    assert [(row["policy"], row["seed"]) for row in found.rows] == [
        (name, seed) for name in ("t_first", "t_uniform") for seed in (5, 6, 7)
    ]
    assert {tuple(row) for row in found.rows} == {(*KEYS, *METRICS)}
    assert all(row["requests"] == 50 and row["privileged"] is False for row in found.rows)
    assert all(row["return"] == pytest.approx(-50 * row["latency_mean_s"], rel=1e-9) for row in found.rows)
    assert edge_gym.evaluate is evaluate


def test_common_random_numbers():
    """Field protocol D1: whatever the policies do, the same requests arrive at the same times."""
    world, seeds = small_world(), range(3)
    one = roll_out(world, FirstLegal(), "t_first", seeds).episodes
    two = roll_out(world, Uniform(), "t_uniform", seeds).episodes
    for a, b in zip(one, two, strict=True):
        a, b = np.sort(a.log, order="id"), np.sort(b.log, order="id")
        assert (a[EXOGENOUS] == b[EXOGENOUS]).all()
        assert (a["node"] != b["node"]).any()
    assert (one[0].log["arrive_ns"] != one[1].log["arrive_ns"]).any()


@pytest.mark.parametrize("batch_size", [1, 2, 3, 64])
@pytest.mark.parametrize("name", ["t_first", "t_uniform", "oracle"])
def test_rows_do_not_depend_on_batch_size(name, batch_size):
    whole = evaluate(name, seeds=range(4), **SMALL)
    assert evaluate(name, seeds=range(4), batch_size=batch_size, **SMALL).rows == whole.rows


def test_rows_do_not_depend_on_order(small_shards):
    whole = evaluate(["t_first", "t_uniform"], seeds=range(10), **SMALL)
    other = evaluate(["t_uniform", "t_first"], seeds=[3, 1, 2, 0, 9, 8, 7, 6, 5, 4], **SMALL)
    assert sorted(map(str, whole.rows)) == sorted(map(str, other.rows))
    assert evaluate("t_uniform", seeds=range(10), **SMALL).rows == other.rows[:10]


def test_rows_do_not_depend_on_workers(small_shards, tmp_path):
    names = ["t_first", "t_uniform"]
    evaluate(names, seeds=range(9), out=tmp_path / "one", **SMALL)
    evaluate(names, seeds=range(9), out=tmp_path / "two", n_workers=2, **SMALL)
    one, two = ((tmp_path / name / "episodes.jsonl").read_bytes() for name in ("one", "two"))
    assert one == two and one.count(b"\n") == 18


def test_episodes_of_different_length():
    """A row that is over is left alone while the others go on; nothing is counted twice."""
    world = small_world(n_requests=None, horizon_s=5.0)
    found = roll_out(world, Uniform(), "t_uniform", range(20)).episodes
    assert len({episode.arrived for episode in found}) > 3
    alone = [roll_out(world, FirstLegal(), "t_first", [seed]).episodes[0] for seed in range(20)]
    together = roll_out(world, FirstLegal(), "t_first", range(20)).episodes
    for a, b in zip(alone, together, strict=True):
        assert a.arrived == len(a.log) == len(b.log)
        assert (a.log["latency_ns"] == b.log["latency_ns"]).all() and a.reward == b.reward


def test_what_a_policy_sees():
    """BEN-03: no world, seed or scenario; and what it is given it may scribble on."""

    class Nosy(FirstLegal):
        def reset(self, n_envs, seed):
            assert n_envs == 3 and seed not in (70, 71, 72)

        def act(self, obs, action_mask, context):
            names = {name for name in dir(context) if not name.startswith("_")}
            public = {"time_s", "dt_s", "begun", "active", "ended_row", "ended", "n_models", "events"}
            assert names == {*public, "surface", "agency", "links", "privileged"}
            assert (
                context.privileged is None
                and context.surface is None
                and context.agency is None
                and context.links is None
            )
            assert np.isfinite(obs).all() and action_mask[:, -1].all()
            assert not action_mask[~context.active, :-1].any()
            choice = action_mask.argmax(axis=1)
            for array in (obs, action_mask, context.active, context.ended, context.time_s):
                array[...] = np.zeros((), array.dtype)
            return choice

    polite = evaluate(FirstLegal(), seeds=[70, 71, 72], **SMALL)
    nosy = evaluate(Nosy(), seeds=[70, 71, 72], **SMALL)
    assert [row["return"] for row in nosy.rows] == [row["return"] for row in polite.rows]


def test_what_has_ended_is_told_once():
    class Counts(FirstLegal):
        ids: list = []

        def act(self, obs, action_mask, context):
            self.ids += list(zip(context.ended_row.tolist(), context.ended["id"].tolist(), strict=True))
            return action_mask.argmax(axis=1)

    counts = Counts()
    roll_out(small_world(n_requests=None, horizon_s=20.0), counts, "counts", range(6))
    assert len(counts.ids) == len(set(counts.ids)) > 20


def test_policy_seeds():
    seeds = {policy_seed(name, [first]) for name in ("a", "b", "ab") for first in range(20)}
    assert len(seeds) == 60 and not seeds & set(range(20))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda mask: np.zeros(len(mask)), "dtype float64"),
        (lambda mask: np.zeros(len(mask), bool), "dtype bool"),
        (lambda mask: np.zeros(len(mask) + 1, int), "shape (4,)"),
        (lambda mask: None, "NoneType"),
        (lambda mask: [[1], [1, 2], 3], "list"),
        (lambda mask: np.full(len(mask), mask.shape[1]), "chose 5 in row 0"),
        (lambda mask: np.full(len(mask), -1), "chose -1 in row 0"),
        (lambda mask: np.full(len(mask), 2**64 - 1, np.uint64), "chose 18446744073709551615"),
        (lambda mask: mask.argmin(axis=1), "legal now are"),
    ],
)
def test_bad_choices_name_the_policy(answer, words):
    class Wrong(FirstLegal):
        name = "wrong"

        def act(self, obs, action_mask, context):
            return answer(action_mask)

    with pytest.raises(EdgeGymError, match=r"'wrong' on routing/stationary, seeds 0\.\.2: policy 'wrong' ") as caught:
        evaluate(Wrong(), seeds=range(3), queue_capacity=0, slots=1, load=5.0, **SMALL)
    assert words in str(caught.value)


@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_failing_policy_is_named(n_workers, small_shards):
    words = r"'t_breaks' .*seeds (0\.\.3|4\.\.4): .*failed in act: ZeroDivisionError: no luck"
    with pytest.raises(EdgeGymError, match=words):
        evaluate("t_breaks", seeds=range(5), n_workers=n_workers, **SMALL)


def test_a_worker_that_dies_is_reported(small_shards):
    with pytest.raises(EdgeGymError, match="'t_dies' .* a worker process died"):
        evaluate("t_dies", seeds=range(8), n_workers=2, **SMALL)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"policies": "orcale"}, "did you mean 'oracle'"),
        ({"policies": []}, "at least one policy"),
        ({"policies": ["t_first", "t_first"]}, "given once only"),
        ({"policies": 3}, "names or objects"),
        ({"policies": FirstLegal}, "names or objects"),
        ({"policies": FirstLegal(), "n_workers": 2}, "other processes can import"),
        ({"scenario": "statoinary"}, "did you mean 'stationary'"),
        ({"scenario": []}, "at least one scenario"),
        ({"scenario": ["toy2", "toy2"]}, "given once only"),
        ({"task": "rooting"}, "did you mean 'routing'"),
        ({"seeds": []}, "at least one seed"),
        ({"seeds": [1, 1]}, "given once only"),
        ({"seeds": [-1]}, "seed = -1"),
        ({"seeds": [0.5]}, "seed = 0.5"),
        ({"seeds": range(10**9)}, "at most 1000000"),
        ({"n_workers": 0}, "n_workers = 0"),
        ({"n_workers": 10_000}, "1 ... 1024"),
        ({"batch_size": True}, "batch_size = True"),
        ({"n_node": 3}, "did you mean 'n_nodes'"),
        ({"resume": True, "out": None}, "a folder when resume"),
        ({"resume": True, "overwrite": True}, "false when overwrite"),
    ],
)
def test_arguments_are_checked_before_anything_is_written(arguments, words, tmp_path):
    call = {"policies": "t_first", "scenario": "toy2", "seeds": range(3), "out": tmp_path / "run", **arguments}
    with pytest.raises(EdgeGymInputError) as caught:
        evaluate(call.pop("policies"), **call)
    assert words in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_rep_15_the_files_hold_the_results_and_what_made_them(tmp_path):
    found = evaluate(["t_first", "oracle"], seeds=range(6), out=tmp_path / "a" / "run", **SMALL)
    folder = tmp_path / "a" / "run"
    lines = (folder / "episodes.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == found.rows
    assert "decision_us" not in lines[0]
    summary = json.loads((folder / "summary.json").read_text())
    assert summary == found.summary()
    assert list(summary) == ["rows", "comparisons", "aggregates", "failures"] and summary["failures"] == []
    assert "decision_us" not in (folder / "summary.json").read_text()  # no second run has the same wall clock
    times = json.loads((folder / "timing.json").read_text())["decision_us"]
    assert [(one["policy"], one["decision_us"] > 0) for one in times] == [("t_first", True), ("oracle", True)]
    for row in summary["rows"]:
        assert list(row) == ["task", "scenario", "policy", "privileged", "bound", "metrics"]
        assert set(row["metrics"]) == {*METRICS, "latency_ratio_oracle"}
        assert all(list(entry) == ["mean", "lo", "hi"] for entry in row["metrics"].values())
        entry = row["metrics"]["latency_mean_s"]
        assert entry["lo"] < entry["mean"] < entry["hi"]
    assert [row["privileged"] for row in summary["rows"]] == [False, True]
    ratio = summary["rows"][1]["metrics"]["latency_ratio_oracle"]
    assert ratio == pytest.approx({"mean": 1.0, "lo": 1.0, "hi": 1.0}, rel=1e-12)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["finished"] and manifest["identity"]["seeds"] == list(range(6))
    assert manifest["scenarios"][0]["n_requests"] == 50 and "numba" in manifest["versions"]
    assert manifest["scenarios"][0]["fingerprint"] == found.rows[0]["scenario_fingerprint"]
    assert manifest["platform"] and manifest["cpu_count"] >= 1 and manifest["command"]
    assert manifest["processor"]["name"] and manifest["processor"]["features"]
    assert len(manifest["installed"]) == 16 and set(manifest["threads"]) <= {*os.environ}
    assert manifest["git"] is None or set(manifest["git"]) == {"commit", "dirty"}
    assert {"timing.json", "report.html", "report.md", "leaderboard.csv"} <= set(os.listdir(folder))


def test_several_scenarios_and_missing_values(tmp_path):
    found = evaluate("t_first", scenario=["toy2", "stationary"], seeds=[1], n_requests=20, out=tmp_path / "run")
    toy, other = found.summary()["rows"]
    assert (toy["scenario"], other["scenario"]) == ("toy2", "stationary")
    assert toy["metrics"]["ttft_mean_s"] == {"mean": None, "lo": None, "hi": None}  # no language model there
    assert toy["metrics"]["latency_mean_s"]["lo"] is None  # BAD-60: no interval from one episode
    found.table()


def test_worlds_without_a_request_have_a_table_and_a_report(tmp_path, capsys):
    """Nobody is first where nobody had anything to do."""
    out = tmp_path / "run"
    words = ["--set", "horizon_s=0.001", "--policies", "jsq,oracle", "--episodes", "2"]
    assert main(["bench", *words, "--out", str(out), "--quiet"]) == 0
    assert main(["report", str(out)]) == 0
    assert "jsq" in capsys.readouterr().out
    assert "no request arrives" in (out / "report.html").read_text()


@pytest.mark.parametrize("seeds", [3, "7", None, 1.5])
def test_seeds_are_several(seeds):
    with pytest.raises(EdgeGymInputError, match=r"seeds = .*several integers"):
        evaluate("t_first", seeds=seeds, **SMALL)


def test_an_episode_without_a_value_does_not_count():
    rows = evaluate("t_first", seeds=range(5), **SMALL).rows
    rows[2] = {**rows[2], "ttft_mean_s": None}
    entry = Results(rows, []).summary()["rows"][0]["metrics"]["ttft_mean_s"]
    assert entry["mean"] == pytest.approx(np.mean([row["ttft_mean_s"] for row in rows if row["seed"] != 2]))


def test_kill_and_resume(small_shards, tmp_path):
    """RUN-16, RUN-19: after `kill -9` the run goes on; what was finished is not run again; the files are the same."""
    script = (
        "import sys; from edge_gym import policy; from edge_gym.evaluation import shards\n"
        "from test_evaluate import Slow; shards.SHARD = 4\n"
        "policy.register_policy('t_slow', Slow)\n"
        "from edge_gym.evaluation.evaluate import evaluate\n"
        "evaluate('t_slow', scenario='toy2', seeds=range(48), out=sys.argv[1])\n"
    )
    folder = tmp_path / "killed"
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    child = subprocess.Popen([sys.executable, "-c", script, str(folder)], env={**os.environ, "PYTHONPATH": path})
    deadline = time.monotonic() + 120
    while len(list(folder.glob("shards/*.jsonl"))) < 2 and time.monotonic() < deadline:
        assert child.poll() is None
        time.sleep(0.01)
    child.kill()
    child.wait()
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("shards/*.jsonl")}
    assert 2 <= len(before) < 12 and not (folder / "episodes.jsonl").exists()
    assert json.loads((folder / "manifest.json").read_text())["finished"] is False
    job = {"scenario": "toy2", "seeds": range(48)}
    with pytest.raises(EdgeGymInputError, match="new or empty folder"):
        evaluate("t_slow", out=folder, **job)
    found = evaluate("t_slow", out=folder, resume=True, **job)
    after = {path.name: path.stat().st_mtime_ns for path in folder.glob("shards/*.jsonl")}
    assert len(after) == 12 and before.items() <= after.items()
    evaluate("t_slow", out=tmp_path / "whole", **job)
    whole = (tmp_path / "whole" / "episodes.jsonl").read_bytes()
    assert (folder / "episodes.jsonl").read_bytes() == whole
    assert evaluate("t_slow", out=folder, resume=True, **job).rows == found.rows  # again: nothing is left to do
    assert (folder / "episodes.jsonl").read_bytes() == whole


def test_a_damaged_shard_is_run_again(small_shards, tmp_path):
    job = {"seeds": range(8), "out": tmp_path / "run", **SMALL}
    rows = evaluate("t_first", **job).rows
    for damage in ("", "{", "[1]\n" * 4, "\n".join(json.dumps(row) for row in rows[4:])):
        first = sorted((tmp_path / "run" / "shards").glob("*.jsonl"))[0]
        first.write_text(damage)
        found = evaluate("t_first", resume=True, **job).rows
        assert found == rows


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"policies": "t_uniform"}, "policies"),
        ({"seeds": range(4)}, "seeds"),
        ({"load": 0.9}, "scenarios"),
        ({"scenario": "bursty"}, "scenarios"),
    ],
)
def test_resume_of_another_run_is_refused(change, field, tmp_path):
    call = {"policies": "t_first", "seeds": range(3), "out": tmp_path / "run", **SMALL}
    evaluate(**call)
    before = (tmp_path / "run" / "manifest.json").read_bytes()
    with pytest.raises(EdgeGymInputError, match=f"'{field}' differs") as refusal:
        evaluate(**{**call, **change}, resume=True)
    assert ("3 and not 4 of them" in str(refusal.value)) == (field == "seeds")
    assert (tmp_path / "run" / "manifest.json").read_bytes() == before


def test_overwrite_replaces_our_own_results_only(tmp_path):
    job = {"scenario": "toy2", "out": tmp_path / "run"}
    evaluate("t_first", seeds=range(3), **job)
    (tmp_path / "run" / "notes.txt").write_text("mine")
    evaluate("t_uniform", seeds=range(2), overwrite=True, **job)
    assert len((tmp_path / "run" / "episodes.jsonl").read_text().splitlines()) == 2
    assert len(list((tmp_path / "run" / "shards").glob("*.jsonl"))) == 1
    assert (tmp_path / "run" / "notes.txt").read_text() == "mine"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "summary.json").write_text("precious")
    for option in ({"overwrite": True}, {"resume": True}, {}):
        with pytest.raises(EdgeGymInputError):
            evaluate("t_first", scenario="toy2", seeds=[0], out=tmp_path / "other", **option)
    assert os.listdir(tmp_path / "other") == ["summary.json"]


def test_two_runs_in_one_folder(tmp_path):
    """RUN-20."""
    (tmp_path / "run").mkdir()
    held = lock(tmp_path / "run" / ".lock")
    with pytest.raises(EdgeGymInputError, match=f"no other run is using.*process {os.getpid()} on "):
        evaluate("t_first", scenario="toy2", seeds=[0], out=tmp_path / "run")
    held.close()
    evaluate("t_first", scenario="toy2", seeds=[0], out=tmp_path / "run")


def test_rests_of_a_killed_write_are_removed(tmp_path):
    (tmp_path / "run" / "shards").mkdir(parents=True)
    with RunFolder(tmp_path / "run", {}, False, False) as folder:
        folder.write_manifest({}, finished=False)
        rest = folder.shards / ".abc.jsonl.x.tmp"
        rest.write_text("half")
    with RunFolder(tmp_path / "run", {}, True, False):
        assert not rest.exists()


@pytest.mark.parametrize(
    "name",
    ["..", ".", "", "CON", "nul.txt", "x\0y", "x" * 300, "-rf", "a\nb", "a\x1b[2Jb", "\u202eabc", "a<b"],
    ids=lambda name: f"BAD-53-{name.encode('unicode_escape').decode()[:8]}",
)
def test_folder_names(name, tmp_path):
    out = os.path.join(tmp_path, name) if name.strip(".") else name
    with pytest.raises(EdgeGymInputError, match="out"):
        evaluate("t_first", scenario="toy2", seeds=[0], out=out)
    assert list(tmp_path.iterdir()) == []


def test_folder_that_cannot_be_made(tmp_path):
    """BAD-55."""
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(EdgeGymInputError, match="out"):
            evaluate("t_first", scenario="toy2", seeds=[0], out=out)
    assert (tmp_path / "file").read_text() == ""
