"""`edge-gym replay`: what it writes, and what it says of folders that are not what they should be."""

import json
import math
import os
import re
import shutil
import sys

import pytest
from edge_baselines.e3.stand_in import stand_in
from edge_baselines.llm.stub.server import StubServer

from edge_gym.cli.main import main
from edge_gym.errors import EdgeGymError
from edge_gym.evaluation import video
from edge_gym.evaluation.recording import Recording

BENCH = [
    "bench",
    "--policies",
    "jsq,e3_rules",
    "--episodes",
    "3",
    "--workers",
    "1",
    "--quiet",
    "--set",
    "n_requests=60",
]
SCRIPT = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "first"
    assert main([*BENCH, "--scenario", "semantic,churn", "--out", str(folder)]) == 0
    return folder


@pytest.fixture
def folder(made, tmp_path, monkeypatch):
    """A copy that a test may spoil; it is run in another, empty folder."""
    shutil.copytree(made, tmp_path / "run")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "run"


def spoil(folder, name, change):
    path = folder / name
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def data_of(path):
    return json.loads(SCRIPT.search(path.read_text()).group(1))


def test_replay_writes_one_page_that_says_what_it_is(capsys, folder):
    code, out, err = run(capsys, "replay", folder, "--episode", "4")
    assert (code, err) == (0, "") and "to the last bit: e3_rules on semantic, seed 1001" in out
    assert os.listdir() == ["replay-semantic-e3_rules-1001.html"]
    page = (folder.parent / "here" / "replay-semantic-e3_rules-1001.html").read_text()
    assert "default-src 'none'" in page and "unsafe" not in page and "http" not in page.replace("http-equiv", "")
    data = data_of(folder.parent / "here" / "replay-semantic-e3_rules-1001.html")
    row = json.loads((folder / "episodes.jsonl").read_text().splitlines()[4])
    assert data["metrics"]["latency_mean_s"] == row["latency_mean_s"] and data["about"]["seed"] == "1001"
    assert len(data["requests"]["id"]) == 60 and data["about"]["notes"]["run"] == "run"


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (["--policy", "jsq", "--scenario", "churn", "--episode", "2"], "replay-churn-jsq-1002.html"),
        (["--seed", "1001", "--scenario", "churn", "--policy", "e3_rules"], "replay-churn-e3_rules-1001.html"),
    ],
)
def test_replay_chooses_an_episode(capsys, folder, arguments, name):
    assert run(capsys, "replay", folder, *arguments)[0] == 0 and os.listdir() == [name]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--episode", "12"], "episode = 12: must be in 0 ... 11 (the nearest is 11)"),
        (["--policy", "e3_rule"], "did you mean 'e3_rules'?"),
        (["--scenario", "semantik"], "did you mean 'semantic'?"),
        (["--seed", "1007"], "the nearest is 1002"),
        (["--episode", "-1"], "--episode = '-1': must be a whole number"),
        (["--out", "x.txt"], "must be a file that ends with .html"),
        (["--out", "nowhere/x.html"], "must be in a folder that exists"),
        (["--video", "x.avi"], "must be a file that ends with .mp4 or .gif"),
        (["--epsode", "1"], "did you mean '--episode'?"),
    ],
)
def test_replay_wrong_arguments_name_the_nearest_and_write_nothing(capsys, folder, arguments, words):
    code, _, err = run(capsys, "replay", folder, *arguments)
    assert code == 2 and words in err and os.listdir() == []


def test_replay_never_replaces_a_file_unasked(capsys, folder):
    mine = folder.parent / "here" / "mine.html"
    mine.write_text("mine")
    code, _, err = run(capsys, "replay", folder, "--out", "mine.html")
    assert code == 2 and "--overwrite" in err and mine.read_text() == "mine"
    assert run(capsys, "replay", folder, "--out", "mine.html", "--overwrite")[0] == 0
    assert len(mine.read_text()) > 10_000


def test_rep_15_replay_finds_a_changed_result(capsys, folder):
    lines = (folder / "episodes.jsonl").read_text().splitlines()
    row = json.loads(lines[0])
    row["latency_mean_s"] = math.nextafter(row["latency_mean_s"], math.inf)
    (folder / "episodes.jsonl").write_text("\n".join([json.dumps(row), *lines[1:]]) + "\n")
    code, _, err = run(capsys, "replay", folder)
    assert code == 1 and "not the episode that was evaluated: 1 metrics differ" in err and os.listdir() == []


def test_replay_a_run_of_another_version_says_so_where_it_differs(capsys, folder, monkeypatch):
    spoil(folder, "manifest.json", lambda m: m["identity"].update(kernel="0" * 16, edge_gym="0.0.1"))
    assert run(capsys, "replay", folder)[0] == 0
    assert (
        "kernel"
        in data_of(folder.parent / "here" / "replay-semantic-jsq-1000.html")["about"]["notes"][
            "made by another version"
        ]
    )

    def differs(self, row, why=""):
        raise EdgeGymError(why)

    monkeypatch.setattr(Recording, "compare", differs)
    code, _, err = run(capsys, "replay", folder, "--overwrite")
    assert code == 1 and "kernel" in err and "0000000000000000 there" in err and "0.0.1 there" in err


def _deep(folder):
    (folder / "manifest.json").write_text("[" * 100_000)


def _line(text):
    return lambda folder: (folder / "episodes.jsonl").write_text(text + "\n")


def _row(**change):
    def spoiled(folder):
        row = json.loads((folder / "episodes.jsonl").read_text().splitlines()[0])
        (folder / "episodes.jsonl").write_text(json.dumps({**row, **change}) + "\n")

    return spoiled


def _scenario(**change):
    return lambda folder: spoil(folder, "manifest.json", lambda m: m["scenarios"][0].update(**change))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda f: (f / "manifest.json").unlink(), "manifest.json"),
        (lambda f: (f / "manifest.json").write_text("{}"), "kind"),
        (_deep, "must be JSON"),
        (lambda f: (f / "manifest.json").write_bytes(b"\xff\xfe{}"), "must be JSON"),
        (lambda f: (f / "episodes.jsonl").unlink(), "episodes.jsonl"),
        (lambda f: ((f / "episodes.jsonl").unlink(), os.mkfifo(f / "episodes.jsonl")), "found a FIFO"),
        (_line(""), "must be JSON"),
        (lambda f: (f / "episodes.jsonl").write_text(""), "must be an evaluation with episodes"),
        (_line('{"a": NaN}'), "NaN is no JSON"),
        (_line("[1]"), "episodes.jsonl:1: must be a JSON object"),
        (_line('{"task": "' + "x" * 70_000 + '"}'), "at most"),
        (_row(seed=True), "seed = True: must be a whole number"),
        (_row(seed=-1), "seed = -1"),
        (_row(policy=["jsq"]), "policy = ['jsq']: must be a text"),
        (_row(latency_mean_s="0"), "latency_mean_s"),
        (_row(policy="../../x"), "policy = '../../x'"),
        (_row(policy="clairvoyant", bound=True), "a bound decides nothing"),
        (_row(task="nothing"), "nothing"),
        (_row(scenario_fingerprint="0" * 16), "scenarios"),
        (_row(requests=10**9), "requests = 1000000000"),
        (lambda f: spoil(f, "manifest.json", lambda m: m["scenarios"][0].update(name="<b>")), "must be"),
        (
            lambda f: spoil(f, "manifest.json", lambda m: m["scenarios"][0].update(n_requests=61)),
            "the one that was evaluated",
        ),
        (lambda f: spoil(f, "manifest.json", lambda m: m["scenarios"][0].update(evil="os.system")), "a known key"),
        (lambda f: spoil(f, "manifest.json", lambda m: m.update(scenarios="x")), "scenarios"),
    ],
)
def test_replay_of_a_strangers_folder_is_refused_in_one_line(capsys, folder, change, words):
    change(folder)
    code, _, err = run(capsys, "replay", folder)
    assert code == 2 and words in err and "Traceback" not in err and os.listdir() == []


def test_replay_not_a_folder(capsys, tmp_path):
    code, _, err = run(capsys, "replay", tmp_path / "nothing")
    assert code == 2 and "edge-gym bench --out" in err


def test_replay_a_language_model_from_its_transcript_alone(capsys, tmp_path, monkeypatch):
    pytest.importorskip("openai")
    monkeypatch.chdir(tmp_path)
    bench = ["bench", "--scenario", "semantic", "--policies", "e3_llm", "--episodes", "2", "--workers", "1", "--quiet",
             "--set", "n_requests=800", "--llm-thinking", "0.5,0.001", "--allow-unpriced",
             "--transcript", "asked", "--llm", "record", "--out", "run"]  # fmt: skip
    with StubServer(stand_in()) as stub:
        monkeypatch.setenv("EDGE_GYM_LLM_BASE_URL", stub.base_url)
        monkeypatch.setenv("EDGE_GYM_LLM_MODEL", "stub-1")
        assert run(capsys, *bench)[0] == 0
        asked = len(stub.requests)
        monkeypatch.setenv("EDGE_GYM_LLM_MODE", "live")
        code, _, err = run(capsys, "replay", "run", "--seed", "1001")
        assert code == 2 and "--transcript" in err
        code, out, err = run(capsys, "replay", "run", "--seed", "1001", "--transcript", "asked")
        assert (code, err) == (0, "") and "e3_llm on semantic, seed 1001" in out
        assert len(stub.requests) == asked, "a replay asked somebody"
    assert os.environ["EDGE_GYM_LLM_MODE"] == "live"
    calls = data_of(tmp_path / "replay-semantic-e3_llm-1001.html")["calls"]
    assert any(reason.startswith("the model says: ") for *_, reason in calls), calls


def test_replay_video_as_gif(capsys, folder, monkeypatch):
    from PIL import Image

    monkeypatch.setattr(video, "FRAMES", 4)
    code, out, _ = run(capsys, "replay", folder, "--video", "x.gif")
    assert code == 0 and "The video is x.gif" in out
    with Image.open("x.gif") as found:
        assert found.n_frames >= 4 and found.size == video.GIF_SIZE
    assert sorted(os.listdir()) == ["replay-semantic-jsq-1000.html", "x.gif"]


def test_replay_video_as_mp4(capsys, folder, monkeypatch):
    pytest.importorskip("imageio_ffmpeg", reason="imageio-ffmpeg is not installed (extra 'video')")
    monkeypatch.setattr(video, "FRAMES", 4)
    assert run(capsys, "replay", folder, "--video", "x.mp4")[0] == 0
    with open("x.mp4", "rb") as file:
        assert file.read(12)[4:8] == b"ftyp"


def test_replay_video_says_what_is_missing(capsys, folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    code, _, err = run(capsys, "replay", folder, "--video", "x.mp4")
    assert code == 3 and "'.[video]'" in err and os.listdir() == []
