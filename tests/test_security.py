"""SEC rows: nothing in a stranger's file runs, reads or writes elsewhere, or gets out of the place it is shown in."""

import ast
import csv
import html
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from edge_baselines.llm.transcript import Transcript
from refusals import BENCH, finished_run, refused, snapshot

from edge_gym.cli.main import main
from edge_gym.errors import EdgeGymInputError, printable
from edge_gym.evaluation.evaluate import evaluate
from edge_gym.evaluation.recording import record
from edge_gym.evaluation.replay_data import replay_data
from edge_gym.evaluation.replay_html import replay_page
from edge_gym.fields import NAME_PATTERN
from edge_gym.report.write import report_text
from edge_gym.scenario.io import fingerprint
from edge_gym.scenario.presets import preset

ROOT = Path(__file__).parent.parent
SOURCES = [path for folder in ("edge_gym", "baselines", "agents", "examples") for path in (ROOT / folder).rglob("*.py")]
SCRIPTS = [path for path in (ROOT / "scripts").rglob("*.py")]

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


@pytest.mark.parametrize("path", [*SOURCES, *SCRIPTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_SEC_03_nobody_unpickles_what_others_wrote(path):
    assert unpicklers(path.read_text(encoding="utf-8"), str(path.relative_to(ROOT))) == []


@pytest.mark.parametrize(
    "planted",
    ["pickle.load(f)", "np.load(p)", "np.load(p, allow_pickle=True)", "torch.load(p)", "torch.load(p, weights_only=False)",
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


def test_SEC_03_exceptions_from_the_lint_are_few_and_known():
    """A waiver is a line that somebody has to defend."""
    waived = {}
    for path in SOURCES:
        for line in path.read_text(encoding="utf-8").splitlines():
            if match := re.search(r"# noqa: ([A-Z0-9, ]*S\d{3}[A-Z0-9, ]*)", line):
                waived.setdefault(str(path.relative_to(ROOT)), []).append(match[1].strip())
    assert waived == {"edge_gym/checks.py": ["S403", "S301"], "edge_gym/evaluation/shards.py": ["S403"]}


# ---- SEC-10: data that were changed are not taken for what they were


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


@pytest.fixture(scope="module")
def run_before(tmp_path_factory):
    return finished_run(tmp_path_factory.mktemp("before") / "earlier")


@pytest.fixture
def place(run_before, tmp_path):
    shutil.copytree(run_before, tmp_path / "earlier")
    return tmp_path


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
    shutil.rmtree(run / "shards")
    (run / "shards").symlink_to(outside)
    job = ["bench", "--scenario", "toy2", "--set", "n_requests=4", "--policies", "jsq,random", "--episodes", "1"]
    main([*job, "--workers", "1", "--quiet", "--out", str(run), "--overwrite"])
    assert (outside / "canary").read_text() == "sings" and "canary" in os.listdir(outside)
    capsys.readouterr()


def test_SEC_11_a_transcript_is_not_written_through_a_link(tmp_path):
    (tmp_path / "canary").write_text("")
    (tmp_path / "t.jsonl").symlink_to(tmp_path / "canary")
    with pytest.raises(EdgeGymInputError):
        Transcript(tmp_path / "t.jsonl", "record", "m")
    assert (tmp_path / "canary").read_text() == ""


# ---- SEC-12: markup in pages

PAYLOADS = [
    "<script>alert(1)</script>", "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>",
    "\"><svg onload=alert(1)>", "'><iframe src=javascript:alert(1)>", "<svg/onload=alert(1)//", "</title><b>x</b>",
    "</style><style>*{display:none}</style>", "<!--", "--><b>x</b>", "<![CDATA[<b>]]>", "<a href=javascript:alert(1)>x</a>",
    "{{7*7}}", "{% for x in y %}", "${7*7}", "<%= 7*7 %>", "&lt;script&gt;", "&#60;script&#62;", "\\u003cscript\\u003e",
    "<base href=//evil>", "<meta http-equiv=refresh content=0>", "<object data=x>", "<form action=//evil><input>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>", "<noscript><p title=\"</noscript><img>\">",
    "javascript:alert(1)", "\" autofocus onfocus=alert(1) x=\"", "<details open ontoggle=alert(1)>", "</textarea><b>",
    "<template><script>alert(1)</script></template>", "<x\x00y>", "\u2028<script>\u2029",
]  # fmt: skip
CALM = "a calm name"


class Elements(HTMLParser):
    """Every element with the names of its attributes, and all text that is no script or style."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.found, self.text, self.links = [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        names = sorted(name for name, _ in attrs)
        self.found.append((tag, *names))
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action", "data")]

    def handle_data(self, data):
        self.text.append(data)

    @property
    def tags(self):
        return sorted(entry[0] for entry in self.found)

    @property
    def attributes(self):
        """Classes apart: a wide cell has one."""
        return {(entry[0], name) for entry in self.found for name in entry[1:] if name != "class"}


def with_names(folder, target, text):
    """A copy of a run in which the policy, the scenario, a failure and what made it are called `text`."""
    shutil.copytree(folder, target)
    rows = [json.loads(line) for line in (folder / "episodes.jsonl").read_text().splitlines()]
    for row in rows:
        row["scenario"] = text
        row["policy"] = text if row["policy"] == "random" else row["policy"]
    (target / "episodes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = json.loads((folder / "manifest.json").read_text())
    failure = {
        "task": text,
        "scenario": text,
        "policy": text,
        "first_seed": 1,
        "episodes": 1,
        "attempts": 1,
        "reason": text,
    }
    found |= {"command": text, "platform": text, "git": text, "versions": {text: text}, "failures": [failure]}
    (target / "manifest.json").write_text(json.dumps(found))
    (target / "timing.json").unlink()
    return target


@pytest.fixture(scope="module")
def calm(run_before, tmp_path_factory):
    folder = with_names(run_before, tmp_path_factory.mktemp("calm") / "run", CALM)
    return Elements(report_text(folder, "html"))


def words(text):
    """Letters and digits alone: what is left of a payload however it is escaped or cut."""
    return re.sub(r"[^a-z0-9]", "", html.unescape(text).lower())


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_SEC_12_markup_makes_no_element_in_a_report(payload, run_before, calm, tmp_path):
    folder = with_names(run_before, tmp_path / "run", payload)
    page = Elements(report_text(folder, "html"))
    assert page.tags == calm.tags, "an element more or less"
    assert page.attributes <= calm.attributes, "an attribute that no element had"
    assert not any(link.strip().lower().startswith(("javascript:", "data:text", "//")) for link in page.links)
    assert words(payload)[:10] in words("".join(page.text)), "it is shown, as text"


@pytest.fixture(scope="module")
def recording():
    return record("semantic", "jsq", 3, n_requests=40)


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_SEC_12_markup_makes_no_element_in_a_replay(payload, recording):
    def page(text):
        messages = tuple(message._replace(text=text) if hasattr(message, "_replace") else replace(message, text=text)
                         for message in recording.messages)  # fmt: skip
        named = replace(recording, policy=text, messages=messages)
        return Elements(replay_page(replay_data(named, {"run": text, text: text})))

    evil, calm = page(payload), page(CALM)
    assert recording.messages and evil.found == calm.found
    told = json.loads("".join(text for text in evil.text if text.startswith('{"tick_s"')))
    assert told["about"]["notes"]["run"] == printable(payload, 300), "it is there, as data"


# ---- SEC-13: spreadsheets, terminals and Markdown

INJECTIONS = [
    "=cmd|'/C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "\t=1", "\r=1", "=HYPERLINK(\"http://127.0.0.1\")", "\x1b]0;title\x07",
    "\x1b[2J\x1b[31m", "\u202eevil\u202c", "a\nb,c", "\x9b31m",
]  # fmt: skip


@pytest.mark.parametrize("payload", INJECTIONS, ids=range(len(INJECTIONS)))
def test_SEC_13_names_are_data_in_tables_terminals_and_markdown(payload, run_before, tmp_path, capsys):
    folder = with_names(run_before, tmp_path / "run", payload)
    rows = list(csv.reader(io.StringIO(report_text(folder, "csv"))))
    assert len({len(row) for row in rows}) == 1 and rows
    for row in rows:
        assert not any(re.match(r"[=+@\t\r]", cell) for cell in row)
        assert not any(cell.startswith("-") and not re.fullmatch(r"-[\d.e+-]+", cell) for cell in row)
        assert all(cell.isprintable() for cell in row)
    text = report_text(folder, "md")
    assert all(line.isprintable() for line in text.split("\n"))

    class Named:
        """A policy with such a name."""

        name = payload

        def reset(self, n_envs, seed):
            pass

        def act(self, obs, action_mask, context):
            return action_mask.argmax(axis=1)

    from edge_gym.cli.bench import wide_console
    from edge_gym.evaluation.report import print_leaderboard

    results = evaluate(Named(), scenario="toy2", seeds=range(2), n_requests=3)
    print_leaderboard(wide_console(), results.table_rows())
    out = capsys.readouterr().out
    assert all(line.isprintable() for line in out.split("\n"))
    assert main(["replay", str(folder), "--policy", payload + "?"]) == 2
    assert all(line.isprintable() for line in capsys.readouterr().err.split("\n"))


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
    f"{BENCH_TOY} --workers 1 --out a", f"{BENCH_TOY} --workers 2 --out b", "report a --recordings 1", "replay a", "doctor",
])  # fmt: skip


def test_SEC_16_everything_but_a_language_model_runs_without_a_network(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", OFFLINE, COMMANDS], cwd=tmp_path, capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0 and done.stdout.rstrip().endswith("offline"), done.stderr[-2000:]


def test_SEC_16_tests_may_talk_to_this_machine_alone():
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]["addopts"]
    (allowed,) = [option for option in options if option.startswith("--allow-hosts=")]
    assert set(allowed.partition("=")[2].split(",")) == {"127.0.0.1", "::1", "localhost"}
