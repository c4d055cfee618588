"""BAD-52, BAD-59 and BAD-60: results and checkpoints that were edited by hand, or are not there."""

import json
import shutil

import pytest
from edge_agents import checkpoint
from edge_agents.spec import NetworkSpec, shapes
from refusals import BENCH, refused, snapshot

from edge_gym.cli.main import main

TOY = ("--scenario", "toy2")


def lines(change):
    def edit(folder):
        path = folder / "episodes.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        change(rows)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))

    return edit


def manifest(change):
    def edit(folder):
        path = folder / "manifest.json"
        found = json.loads(path.read_text())
        change(found)
        path.write_text(json.dumps(found))

    return edit


def text(name, old, new):
    def edit(folder):
        path = folder / name
        found = path.read_text()
        assert old in found
        path.write_text(found.replace(old, new, 1))

    return edit


EDITS = [
    pytest.param(text("episodes.jsonl", '"latency_mean_s": ', '"latency_mean_s": NaN, "x": '), "episodes.jsonl:1",
                 "NaN is no JSON", id="nan"),
    pytest.param(text("episodes.jsonl", '"latency_mean_s": ', '"latency_mean_s": 1e999, "x": '), "episodes.jsonl:1",
                 "1e999 is no JSON", id="infinite"),
    pytest.param(lines(lambda rows: rows[2].pop("seed")), "episodes.jsonl:3", "seed: must be a whole number",
                 id="missing-seed"),
    pytest.param(lines(lambda rows: rows[1].update(seed="1001")), "episodes.jsonl:2", "seed = '1001'", id="text-seed"),
    pytest.param(lines(lambda rows: rows[1].update(seed=-1)), "seed = -1", "must be an int in 0", id="negative-seed"),
    pytest.param(lines(lambda rows: rows[0].update(latency_mean_s="fast")), "episodes.jsonl:1",
                 "latency_mean_s = 'fast': must be a number or null", id="text"),
    pytest.param(lines(lambda rows: rows[0].update(latency_mean_s=1e300)), "latency_mean_s = 1e+300", "at most 1e+15",
                 id="huge"),
    pytest.param(lambda folder: (folder / "episodes.jsonl").write_text("[1, 2]\n"), "episodes.jsonl:1",
                 "must be a JSON object", id="other-shape"),
    pytest.param(lambda folder: (folder / "episodes.jsonl").write_bytes(
        (folder / "episodes.jsonl").read_bytes()[:-30]), "episodes.jsonl:6", "must be JSON", id="cut-off"),
    pytest.param(lambda folder: (folder / "episodes.jsonl").write_text(""), "episodes.jsonl",
                 "an evaluation with episodes", id="BAD-60-no-rows"),
    pytest.param(lambda folder: (folder / "episodes.jsonl").unlink(), "episodes.jsonl", "a readable file",
                 id="no-rows"),
    pytest.param(lambda folder: (folder / "manifest.json").write_text("{}"), "manifest.json",
                 "kind: must be 'edge_gym evaluation'", id="other-kind"),
    pytest.param(lambda folder: (folder / "manifest.json").write_text("version: 1"), "manifest.json", "must be JSON",
                 id="yaml"),
    pytest.param(lambda folder: (folder / "manifest.json").unlink(), "manifest.json", "the folder of an evaluation",
                 id="no-manifest"),
    pytest.param(shutil.rmtree, "run = 'edited'", "the folder of an evaluation", id="BAD-60-nothing"),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "where", "words"), EDITS)
@pytest.mark.parametrize("command", [["report", "--recordings", "0"], ["replay"]], ids=lambda command: command[0])
def test_BAD_59_results_that_were_edited(command, edit, where, words, place, capsys):
    """File, line and field are named, and no report is written, half or whole."""
    shutil.copytree(place / "earlier", place / "edited")
    edit(place / "edited")
    err = refused(capsys, place, command[0], "edited", *command[1:])
    assert where in err and words in err, err


@pytest.mark.parametrize("command", ["report", "replay"])
def test_a_run_that_is_not_finished_says_how_to_go_on(command, place, capsys):
    manifest(lambda found: found.update(finished=False))(place / "earlier")
    (place / "earlier" / "episodes.jsonl").unlink()
    err = refused(capsys, place, command, "earlier")
    assert "run = 'earlier': must be finished; it is running or was interrupted" in err
    assert "edge-gym bench ... --out earlier --resume" in err


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        pytest.param(lines(lambda rows: rows[1].pop("latency_mean_s")), "latency_mean_s", id="missing-column"),
        pytest.param(
            lines(lambda rows: rows[3].update(seed=7)), "seed: must be those of the other policies", id="seeds"
        ),
        pytest.param(lines(lambda rows: rows.append(rows[-1])), "seed", id="row-twice"),
        pytest.param(lines(lambda rows: rows[0].update(extra=1.0)), "extra: must be a metric", id="column-more"),
        pytest.param(
            text("timing.json", '"decide_s": ', '"decide_s": -'), "timing.json: rows[0]: decide_s = -", id="time"
        ),
    ],
)
def test_BAD_59_results_that_do_not_fit_together(edit, words, place, capsys):
    edit(place / "earlier")
    assert words in refused(capsys, place, "report", "earlier", "--recordings", "0")


@pytest.mark.parametrize(
    "edit",
    [
        manifest(lambda found: found["scenarios"][0]["pool"].update(n_nodes=3)),
        manifest(lambda found: found["scenarios"][0].update(n_requests=5)),
        manifest(lambda found: found.update(scenarios=[])),
        manifest(lambda found: found.update(scenarios="toy2")),
        manifest(lambda found: found["scenarios"][0].update(unknown=1)),
    ],
)
def test_BAD_59_a_replay_needs_the_scenario_that_was_evaluated(edit, place, capsys):
    edit(place / "earlier")
    err = refused(capsys, place, "replay", "earlier")
    assert "manifest.json" in err and "must be" in err


def test_BAD_59_a_replay_whose_numbers_were_edited(place, capsys):
    """It is played, found to be another, and no page is made."""
    lines(lambda rows: rows[0].update(latency_mean_s=rows[0]["latency_mean_s"] * 1.5))(place / "earlier")
    before = snapshot(place)
    assert main(["replay", str(place / "earlier"), "--out", str(place / "r.html")]) == 1
    assert "not the episode that was evaluated" in capsys.readouterr().err and snapshot(place) == before


def test_BAD_59_a_damaged_part_is_run_again(place, capsys):
    """What --resume finds damaged does not get into the results, whatever was done to it."""
    job = ["bench", *TOY, "--set", "n_requests=4", "--policies", "jsq,random", "--episodes", "3", "--workers", "1"]
    job += ["--quiet", "--out", str(place / "run")]
    assert main(job) == 0
    whole = (place / "run" / "episodes.jsonl").read_bytes()
    parts = sorted((place / "run" / "shards").glob("*.jsonl"))
    times = sorted((place / "run" / "shards").glob("*.time.json"))
    row = json.loads(parts[0].read_text().splitlines()[0])
    for path, content in (
        (parts[0], "NaN\n"),
        (parts[0], parts[0].read_text()[:-20]),
        (parts[0], parts[0].read_text().replace('"latency_mean_s": ', '"latency_mean_s": NaN, "was": ')),
        (parts[0], parts[0].read_text().replace('"latency_mean_s"', '"latency"')),
        (parts[0], parts[0].read_text().replace(row["policy"], "somebody")),
        (parts[0], parts[1].read_text()),
        (parts[0], "[" * 100_000),
        (times[0], times[0].read_text().replace('"decide_s": ', '"decide_s": 1e999, "was": ')),
        (times[0], "{}"),
        (times[0], times[0].read_text().replace('"decisions": ', '"decisions": "x", "was": ')),
    ):
        good = path.read_bytes()
        path.write_text(content)
        assert main([*job, "--resume"]) == 0
        assert (place / "run" / "episodes.jsonl").read_bytes() == whole
        assert path.read_bytes() == good or path in times
    capsys.readouterr()


def test_BAD_60_a_run_in_which_everything_failed(place, capsys):
    rows = [json.loads(line) for line in (place / "earlier" / "episodes.jsonl").read_text().splitlines()]
    cells = {(row["task"], row["scenario"], row["policy"]) for row in rows}
    failures = [{"task": t, "scenario": s, "policy": p, "first_seed": 1000, "episodes": 3, "attempts": 1, "reason": "x"}
                for t, s, p in cells]  # fmt: skip
    manifest(lambda found: found.update(failures=failures))(place / "earlier")
    err = refused(capsys, place, "report", "earlier", "--recordings", "0")
    assert "a run in which something did not fail" in err


def test_BAD_52_checkpoints_on_the_command_line(place, capsys):
    """Cut off, flipped, of another task: said before anything runs. More in tests/test_checkpoint.py."""
    features = len(checkpoint.get_task("routing").columns)
    spec = NetworkSpec(n_features=features, hidden=4)
    tensors = {name: checkpoint.np.zeros(shape, "f4") for name, shape in shapes(spec).items()}
    good = checkpoint.encode(checkpoint.Checkpoint(spec=spec, tensors=tensors, about={"task": "routing"}))
    for data, words in (
        (good[:-1], "the file is damaged"),
        (good[:-1] + bytes([good[-1] ^ 1]), "the file is damaged"),
        (good[:100], "cut off"),
        (b"PK\x03\x04" + good, "found a zip file"),
        (b"\x80\x04" + good, "found a pickle"),
        (b"\x1f\x8b" + good, "found gzip"),
        (b"", "header length"),
    ):
        (place / "c.safetensors").write_bytes(data)
        assert words in refused(capsys, place, *BENCH, *TOY, "--policies", "learned:c.safetensors")
    (place / "c.safetensors").write_bytes(good)
    placing = ["--task", "placement", "--policies", "learned:c.safetensors"]
    assert "decides routing" in refused(capsys, place, *BENCH, *placing)
