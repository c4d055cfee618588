"""SEC rows: nothing in a stranger's file runs, reads or writes elsewhere, or gets out of the place it is shown in."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from edge_baselines.llm.transcript import Transcript
from refusals import BENCH, refused, snapshot

from edge_gym.cli.main import main
from edge_gym.errors import EdgeGymInputError
from edge_gym.fields import NAME_PATTERN
from edge_gym.scenario.io import fingerprint
from edge_gym.scenario.presets import preset

ROOT = Path(__file__).parent.parent
SOURCES = [path for folder in ("edge_gym", "baselines", "agents", "examples") for path in (ROOT / folder).rglob("*.py")]
SCRIPTS = list((ROOT / "scripts").rglob("*.py"))

# ---- SEC-03: nothing that is read can run

# What loads code with data; `allow` are keyword arguments that make it harmless.
UNPICKLERS = {
    "pickle.load": {}, "pickle.loads": {}, "pickle.Unpickler": {}, "cPickle.loads": {}, "marshal.load": {},
    "marshal.loads": {}, "shelve.open": {}, "dill.load": {}, "dill.loads": {}, "cloudpickle.load": {},
    "cloudpickle.loads": {}, "joblib.load": {}, "pd.read_pickle": {}, "pandas.read_pickle": {},
    "np.load": {"allow_pickle": False}, "numpy.load": {"allow_pickle": False}, "torch.load": {"weights_only": True},
    "yaml.load": {}, "yaml.full_load": {}, "yaml.unsafe_load": {}, "eval": {}, "exec": {}, "os.system": {},
    "VecNormalize.load": {}, "PPO.load": {}, "MaskablePPO.load": {}, "DQN.load": {},
}  # fmt: skip
# Reads back what it has just written itself.
OWN_BYTES = {("edge_gym/checks.py", "pickle.loads")}


def unpicklers(source, where=""):
    """Calls that could run what they read, as (line, name)."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func)
            safe = UNPICKLERS.get(name)
            given = {word.arg: getattr(word.value, "value", None) for word in node.keywords}
            harmless = safe and all(given.get(key) is value for key, value in safe.items())
            if safe is not None and not harmless and (where, name) not in OWN_BYTES:
                found.append((node.lineno, name))
    return found


@pytest.mark.sources
def test_SEC_03_nobody_unpickles_what_others_wrote():
    found = {}
    for path in [*SOURCES, *SCRIPTS]:
        name = str(path.relative_to(ROOT))
        found |= {(name, line): call for line, call in unpicklers(path.read_text(encoding="utf-8"), name)}
    assert len(SOURCES) > 200 and found == {}


@pytest.mark.parametrize(
    "planted",
    ["pickle.load(f)", "np.load(p)", "np.load(p, allow_pickle=True)", "torch.load(p)",
     "torch.load(p, weights_only=False)",
     "yaml.load(t, Loader=yaml.Loader)", "joblib.load(p)", "pd.read_pickle(p)", "eval(t)", "MaskablePPO.load(p)"],
)  # fmt: skip
def test_SEC_03_a_planted_one_is_seen(planted):
    assert unpicklers(f"def f():\n    return {planted}\n") == [(2, planted.partition("(")[0])]


@pytest.mark.parametrize(
    ("planted", "rule"),
    [
        ("import pickle\n", "S403"),
        ("import pickle  # noqa: S403\n\npickle.loads(b'')\n", "S301"),
        ("import marshal\n\nmarshal.loads(b'')\n", "S302"),
        ("import yaml\n\nyaml.load('', Loader=yaml.Loader)\n", "S506"),
        ("eval('1')\n", "S307"),
        ("exec('1')\n", "S102"),
        ("import subprocess\n\nsubprocess.run('ls', shell=True)\n", "S602"),
        ("import os\n\nos.system('ls')\n", "S605"),
    ],
)
def test_SEC_03_the_linter_refuses_a_planted_one(planted, rule):
    ruff = shutil.which("ruff", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]))
    if ruff is None:
        pytest.skip("ruff is not installed")
    command = [ruff, "check", "--no-cache", "--output-format", "json", "--stdin-filename", "edge_gym/planted.py", "-"]
    done = subprocess.run(command, input=f'"""Planted."""\n\n{planted}', cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and rule in {entry["code"] for entry in json.loads(done.stdout)}


@pytest.mark.sources
def test_SEC_03_exceptions_from_the_lint_are_few_and_known():
    """A waiver is a line that somebody has to defend."""
    waived = {}
    for path in SOURCES:
        for line in path.read_text(encoding="utf-8").splitlines():
            if match := re.search(r"# noqa: ([A-Z0-9, ]*S\d{3}[A-Z0-9, ]*)", line):
                waived.setdefault(str(path.relative_to(ROOT)), []).append(match[1].strip())
    assert waived == {"edge_gym/checks.py": ["S403", "S301"], "edge_gym/evaluation/shards.py": ["S403"]}


# ---- SEC-10: data that were changed are not taken for what they were


@pytest.mark.sources
def test_SEC_10_a_flipped_bit_of_a_trace_is_another_world(tmp_path):
    """The fingerprint of a scenario holds the hash of every file it names, and results are bound to it."""
    path = tmp_path / "t.csv"
    good = (ROOT / "edge_gym" / "data" / "sample_azure_trace.csv").read_bytes()[:2000]
    path.write_bytes(good)
    scenario = preset("azure").with_overrides(trace_path=str(path))
    before = fingerprint(scenario)
    for place in range(0, len(good), 20):
        path.write_bytes(good[:place] + bytes([good[place] ^ 1 << place % 8]) + good[place + 1 :])
        assert fingerprint(scenario) != before
    path.write_bytes(good)
    assert fingerprint(scenario) == before


# ---- SEC-11: paths


PATHS = [
    "../../outside", "/etc/outside", "..", "../", "a/../../outside", "..\\outside", "C:\\outside", "CON", "nul",
    "a\0b", "\u2025/outside", "%2e%2e/outside", "~/outside", "-rf", "a\nb",
]  # fmt: skip


@pytest.mark.parametrize("name", PATHS, ids=[name.encode("unicode_escape").decode() for name in PATHS])
def test_SEC_11_names_in_files_lead_nowhere(name, place, capsys):
    """Names of scenarios, policies and shipped files that come from a file never become part of a path as they are."""
    if not re.fullmatch(NAME_PATTERN, name, re.ASCII):  # no separator passes; what passes is never a path by itself
        with pytest.raises(EdgeGymInputError):
            preset("toy2").with_overrides(name=name)
    with pytest.raises(EdgeGymInputError):
        fingerprint(preset("azure").with_overrides(trace_path=f"edge_gym:{name}"))
    assert "must be" in refused(capsys, place, *BENCH, "--scenario", f"edge_gym:{name}")
    lines = (place / "earlier" / "episodes.jsonl").read_text().splitlines()
    rows = [{**json.loads(line), "policy": name} for line in lines[:3]]
    (place / "earlier" / "episodes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    before = snapshot(place)
    code = main(["replay", str(place / "earlier"), "--out", str(place / "r.html")])
    assert code == 2 and snapshot(place) == before, "a policy of that name would have been looked for"
    assert "must be" in capsys.readouterr().err


def test_SEC_11_links_are_not_followed_out_of_the_folder(place, capsys):
    """What is written replaces a link instead of what it leads to, and a folder behind a link is not emptied."""
    outside = place / "outside"
    outside.mkdir()
    (outside / "canary").write_text("sings")
    run = place / "earlier"
    for name in ("report.html", "report.md"):
        (run / name).unlink()
        (run / name).symlink_to(outside / "canary")
    for format in ("html", "md"):
        assert main(["report", str(run), "--format", format, "--recordings", "0"]) == 0
    capsys.readouterr()
    job = ["bench", "--scenario", "toy2", "--set", "n_requests=4", "--policies", "jsq,random", "--episodes", "3"]
    for name in ("shards", ".lock", "manifest.json", "tensorboard"):
        shutil.rmtree(place / "run", ignore_errors=True)
        shutil.copytree(run, place / "run", symlinks=False)
        old = place / "run" / name
        shutil.rmtree(old) if old.is_dir() else old.unlink(missing_ok=True)
        old.symlink_to(outside if name in ("shards", "tensorboard") else outside / "canary")
        for more in ("--resume", "--overwrite"):
            err = refused(capsys, place, *job, "--workers", "1", "--quiet", "--out", "run", more)
            assert f"{name}': must be no link" in err
    assert (outside / "canary").read_text() == "sings" and os.listdir(outside) == ["canary"]


def test_SEC_11_a_transcript_is_not_written_through_a_link(tmp_path):
    (tmp_path / "canary").write_text("")
    (tmp_path / "t.jsonl").symlink_to(tmp_path / "canary")
    with pytest.raises(EdgeGymInputError):
        Transcript(tmp_path / "t.jsonl", "record", "m")
    assert (tmp_path / "canary").read_text() == ""


# ---- SEC-16: the core needs no network

OFFLINE = """
import socket, sys

class Closed(socket.socket):
    def __init__(self, family=-1, *rest, **more):
        if family != socket.AF_UNIX:
            raise PermissionError("a socket was asked for")
        super().__init__(family, *rest, **more)

def closed(*_, **__):
    raise PermissionError("the network was asked for")

socket.socket = Closed
socket.create_connection = socket.getaddrinfo = socket.gethostbyname = closed
sys.addaudithook(lambda event, args: closed() if event in ("socket.connect", "socket.bind", "socket.getaddrinfo")
                 and not isinstance(args[-1], str | bytes) else None)
from edge_gym.cli.main import main
for words in sys.argv[1].split(";"):
    code = main(words.split())
    if code:
        sys.exit(f"{words}: {code}")
try:
    socket.socket()
except PermissionError:
    print("offline")
"""
BENCH_TOY = "bench --scenario toy2 --set n_requests=20 --policies jsq,oracle --episodes 2 --quiet"
COMMANDS = ";".join([
    "list", "show toy2", "show quick", "data inspect edge_gym:sample_azure_trace.csv",
    f"{BENCH_TOY} --workers 1 --out a", f"{BENCH_TOY} --workers 2 --out b", "report a --recordings 1", "replay a",
    "doctor",
])  # fmt: skip


@pytest.mark.slow
def test_SEC_16_everything_but_a_language_model_runs_without_a_network(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, COMMANDS], cwd=tmp_path, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0 and done.stdout.rstrip().endswith("offline"), done.stderr[-2000:]


def test_SEC_16_tests_may_talk_to_this_machine_alone():
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["addopts"]
    (allowed,) = [option for option in options if option.startswith("--allow-hosts=")]
    assert set(allowed.partition("=")[2].split(",")) == {"127.0.0.1", "::1", "localhost"}
