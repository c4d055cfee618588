"""The parsers that are fuzzed, with valid files for each."""

from __future__ import annotations

import gzip
import io
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from edge_agents import checkpoint
from edge_agents.spec import NetworkSpec, shapes
from edge_baselines.antllm import tools as ant_tools
from edge_baselines.antllm.settings import AntSettings
from edge_baselines.e3 import tools as e3_tools
from edge_baselines.e3.llm_settings import AskSettings
from edge_baselines.llm.asking import from_env
from edge_baselines.llm.client import Outcome
from edge_baselines.llm.completions import Answer, WireFault, read_body
from edge_baselines.llm.tools import RefusedCalls, read_calls
from edge_baselines.llm.transcript import Transcript
from edge_baselines.testbed.frames import Connection, FrameError
from fuzz import Parser, at

import edge_gym
from edge_gym.cli.main import main
from edge_gym.cli.replay import _asking
from edge_gym.errors import EdgeGymInputError
from edge_gym.evaluation.evaluate import evaluate
from edge_gym.evaluation.finished_run import FinishedRun
from edge_gym.evaluation.results import Results
from edge_gym.evaluation.run_folder import RunFolder
from edge_gym.evaluation.shards import plan
from edge_gym.evaluation.suites import FOLDER as SUITES
from edge_gym.evaluation.suites import load_suite
from edge_gym.events.parser import read as read_announcement
from edge_gym.network.topology import build_topology
from edge_gym.report.content import make_report
from edge_gym.report.page import html_page
from edge_gym.report.plain import csv_table, markdown
from edge_gym.report.run_data import read_run
from edge_gym.scenario import Topology
from edge_gym.scenario.io import dumps, load_scenario, to_plain
from edge_gym.scenario.presets import preset
from edge_gym.traces.describe import describe
from edge_gym.traces.eua import read_sites, read_users
from edge_gym.traces.mobility import read_mobility
from edge_gym.traces.pings import read_pings, read_servers
from edge_gym.traces.pods import read_pods
from edge_gym.traces.requests import read_trace

DATA = Path(__file__).parent / "data"
EDGE_GYM = Path(edge_gym.__file__).parent
AZURE = b"".join((EDGE_GYM / "data" / "sample_azure_trace.csv").read_bytes().splitlines(keepends=True)[:30])
MATRIX = b"site,edge_a,edge_b\nbonn,0.001,0.0021\nkoeln,0.0180,0.002\n"
PLT = b"".join(next(DATA.glob("geolife/*/Trajectory/*.plt")).read_bytes().splitlines(keepends=True)[:30])
FCD = (DATA / "fcd.xml").read_bytes()
FCD = FCD[: FCD.index(b"</timestep>", 1200)] + b"</timestep></fcd-export>"


def parsers() -> list[Parser]:
    """All of them, each with its valid files."""
    return [*_scenarios(), *_tables(), *_runs(), *_models(), *_words()]


def _scenarios() -> list[Parser]:
    worlds = [preset("toy2"), preset("semantic"), preset("placement/campus-8")]
    texts = tuple(dumps(world).encode() for world in worlds)
    plain = tuple(dumps(world, "json").encode() for world in worlds)
    suites = tuple(path.read_bytes() for path in sorted(SUITES.glob("*.yaml")))
    as_json = tuple(json.dumps(to_plain(load_suite(path))).encode() for path in sorted(SUITES.glob("*.yaml")))
    return [
        Parser("scenario.yaml", (*texts, *plain), lambda data, to: load_scenario(at(to, "in.yaml", data)), weight=0.5),
        Parser("scenario.json", plain, lambda data, to: load_scenario(at(to, "in.json", data)), weight=2),
        Parser("suite.yaml", (*suites, *as_json), lambda data, to: load_suite(at(to, "in.yaml", data))),
    ]


def _topology(kind: str, name: str) -> Any:
    def read(data: bytes, to: Path) -> None:
        build_topology(Topology(kind=kind, path=str(at(to, name, data))), 2)

    return read


def _tables() -> list[Parser]:
    def of(name: str, seeds: tuple[bytes, ...], reader: Any, file: str = "in.csv", weight: float = 1.0) -> Parser:
        return Parser(name, seeds, lambda data, to: reader(at(to, file, data)), weight=weight)

    files = {name: (DATA / name).read_bytes() for name in (
        "burstgpt.csv", "mooncake.jsonl", "pods.csv", "sites.csv", "users.csv", "servers.csv", "pings.csv",
        "zoo.graphml",
    )}  # fmt: skip
    requests = (AZURE, files["burstgpt.csv"], files["mooncake.jsonl"])
    every = (*files.values(), AZURE, MATRIX, PLT, FCD)
    zipped = tuple(gzip.compress(data, mtime=0) for data in (*requests, FCD))
    return [
        Parser("graphml", (files["zoo.graphml"],), _topology("graphml", "in.graphml"), weight=2),
        Parser("matrix", (MATRIX,), _topology("matrix", "in.csv")),
        of("requests", requests, read_trace, weight=2),
        of("pods", (files["pods.csv"],), read_pods),
        of("sites", (files["sites.csv"],), read_sites),
        of("users", (files["users.csv"],), read_users),
        of("pings", (files["pings.csv"],), read_pings, weight=0.5),
        of("servers", (files["servers.csv"],), read_servers),
        of("sumo", (FCD,), read_mobility, "in.xml"),
        of("geolife", (PLT,), read_mobility, "in.plt"),
        of("inspect", every, describe, "in.data"),
        of("inspect .gz", zipped, describe, "in.gz", weight=0.2),
    ]


PLAYED: dict[str, Any] = {
    "policies": ["jsq", "random", "oracle"],
    "task": "routing",
    "scenario": preset("toy2").with_overrides(n_requests=4),
    "seeds": range(1000, 1003),
    "overrides": {},
}


def _finished(folder: Path) -> dict[str, bytes]:
    """The files of a small evaluation."""
    evaluate(PLAYED["policies"], PLAYED["task"], PLAYED["scenario"], PLAYED["seeds"], out=folder)
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def _runs() -> list[Parser]:
    with tempfile.TemporaryDirectory() as temporary:
        files = _finished(Path(temporary) / "run")
    identity = json.loads(files["manifest.json"])["identity"]
    part = plan(**PLAYED, batch_size=64)[0]
    shard = f"shards/{part.key}.jsonl"

    manifest = json.loads(files["manifest.json"])
    manifest["identity"]["policies"] = [{"name": "jsq", "mode": "live", "calls": 5, "model": "m", "stream": False}]
    asked = json.dumps(manifest).encode()

    def folder(to: Path, name: str, data: bytes) -> Path:
        run = to / "in"
        for other in ("episodes.jsonl", "manifest.json", "timing.json", shard, shard.replace("jsonl", "time.json")):
            (run / other).parent.mkdir(exist_ok=True, parents=True)
            (run / other).write_bytes(data if other == name else files[other])
        return run

    def read_only(name: str) -> Any:
        return lambda data, to: read_run(folder(to, name, data))

    def report(name: str) -> Any:
        def read(data: bytes, to: Path) -> None:
            found = make_report(read_run(folder(to, name, data)), 0)
            for form in (html_page, markdown, csv_table):
                form(found)

        return read

    def replayed(name: str) -> Any:
        def read(data: bytes, to: Path) -> None:
            run = FinishedRun(folder(to, name, data))
            row = run.pick(0, "jsq")
            run.scenario(row), run.seeds(row), run.differences()
            with _asking(run.asked("jsq"), "t"):
                pass

        return read

    def resumed(name: str) -> Any:
        def read(data: bytes, to: Path) -> None:
            run = RunFolder(folder(to, name, data), identity, True, False)
            found = run.load(part)
            if found is None:
                raise EdgeGymInputError("shard", part.key, "whole")  # it is run again
            results = Results(found[0], [found[1]])  # what is taken for finished can be written
            json.dumps(
                [found, results.summary(), results.decision_us(part.task, part.scenario.name, part.policy)],
                allow_nan=False,
            )

        return read

    def of(name: str, file: str, read: Any, weight: float) -> Parser:
        seeds = (files[file], asked) if name == "replay manifest.json" else (files[file],)
        return Parser(name, seeds, read(file), weight=weight)

    return [
        *(of(f"run {name}", name, read_only, 0.5) for name in ("episodes.jsonl", "manifest.json", "timing.json")),
        *(of(f"report {name}", name, report, 0.01) for name in ("episodes.jsonl", "manifest.json", "timing.json")),
        of("replay episodes.jsonl", "episodes.jsonl", replayed, 0.5),
        of("replay manifest.json", "manifest.json", replayed, 0.5),
        of("resume manifest.json", "manifest.json", resumed, 0.5),
        of("resume shard", shard, resumed, 1),
        of("resume timing", shard.replace("jsonl", "time.json"), resumed, 0.5),
    ]


def _network() -> tuple[bytes, ...]:
    """A small network for routing as a file."""
    rng = np.random.default_rng(0)
    spec = NetworkSpec(n_features=len(checkpoint.get_task("routing").columns), hidden=4)
    tensors = {name: rng.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes(spec).items()}
    return (checkpoint.encode(checkpoint.Checkpoint(spec=spec, tensors=tensors, about={"task": "routing"})),)


def _signed(data: bytes, _: Path) -> None:
    """As a stranger would: the text changed, and the hash made anew."""
    header, body = checkpoint._split(_network()[0], "file")
    text = data.decode("utf-8", "replace")
    header["__metadata__"] = {checkpoint.KEY: text, "sha256": checkpoint._digest(text, body)}
    raw = json.dumps(header).encode()
    checkpoint.decode(len(raw).to_bytes(8, "little") + raw + body, "file")


def _models() -> list[Parser]:
    network = _network()
    text = checkpoint._split(network[0], "file")[0]["__metadata__"][checkpoint.KEY].encode()
    found = [
        Parser("checkpoint", network, lambda data, to: checkpoint.load(at(to, "in.safetensors", data))),
        Parser("checkpoint text", (text,), _signed, weight=0.5),
    ]
    try:
        from edge_agents.saved_state import from_bytes, to_bytes
    except ImportError:  # torch is an extra
        return found
    state = to_bytes({"step": 3, "weights": [np.arange(6.0).reshape(2, 3), np.float32(1)], "rng": (1, "x", None)})
    return [*found, Parser("saved state", (state,), lambda data, to: from_bytes(data))]


def _transcript() -> bytes:
    answer = Answer("fine", (("finish", '{"reason": "all is well"}'),), "tool_calls", False, "stub-1", 10, 3)
    outcomes = [Outcome(answer, None, "", 0.5), Outcome(None, "rate_limit", "429", 0.1, 2.0)]
    transcript = Transcript(None, "live", "stub-1")
    lines = [transcript.line("a" * 64, "b" * 64, outcome, "plan") for outcome in outcomes]
    return "".join(json.dumps(asdict(line)) + "\n" for line in lines).encode()


def _body(calls: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    listed = [{"id": "1", "type": "function", "function": {"name": n, "arguments": json.dumps(a)}} for n, a in calls]
    message = {"role": "assistant", "content": "I gate it.", "tool_calls": listed}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
    return {"id": "x", "model": "stub-1", "choices": [choice], "usage": {"prompt_tokens": 9, "completion_tokens": 2}}


def _stream(text: str) -> bytes:
    call = {"index": 0, "id": "1", "function": {"name": "finish", "arguments": text[:9]}}
    rest = {"index": 0, "function": {"arguments": text[9:]}}
    chunks = [
        {"id": "x", "model": "m", "choices": [{"index": 0, "delta": {"content": "so", "tool_calls": [call]}}]},
        {"id": "x", "choices": [{"index": 0, "delta": {"tool_calls": [rest]}}]},
        {"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
        {"id": "x", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 2}},
    ]
    return "".join(f"data: {json.dumps(chunk)}\n\n" for chunk in chunks).encode() + b"data: [DONE]\n\n"


CALLS = (
    _body([("set_risk_gate", {"node": "phone-3", "level": "closed"}), ("finish", {"reason": "done"})]),
    _body([("configure_router", {"exploration": 0.0}), ("calibrate", {"node": "a", "model": "b", "probes": 1})]),
    _body([("propose_moves", {"moves": [{"agent": "a1", "node": "n2"}]}), ("set_search", {"ants": 10})]),
)


def _answer(data: bytes, _: Path) -> None:
    answer = read_body(data, False)
    Answer.from_record(json.loads(json.dumps(answer.to_record())))
    tools = {tool.name: tool for tool in (*ant_tools.tools(), *e3_tools.tools())}
    for call in read_calls(answer.calls, list(tools.values())):
        call.canonical()


class _Pipe:
    """A socket from which some bytes come, then its end."""

    def __init__(self, data: bytes) -> None:
        self._left = io.BytesIO(data)
        self.recv = self._left.read

    def setsockopt(self, *_: int) -> None:
        """Nothing to set."""

    def settimeout(self, seconds: float) -> None:
        """Nothing to wait for."""


def _frame(data: bytes, _: Path) -> None:
    connection = Connection(_Pipe(data), 5.0)  # type: ignore[arg-type]
    _, size = connection.receive_header()
    connection.receive_payload(size)


def _lines(data: bytes) -> list[str]:
    return data.decode("utf-8", "surrogateescape").split("\n")


def _settings(data: bytes, to: Path) -> None:
    pairs = [line.partition("=") for line in _lines(data)]
    environment = {f"EDGE_GYM_LLM_{name}": value for name, _, value in pairs}
    for cls in (AskSettings, AntSettings):
        from_env(cls, environment)


def _arguments(data: bytes, _: Path) -> None:
    """A comparison cannot begin, as it is told both to resume and to overwrite; whatever else is wrong comes first."""
    words = _lines(data)
    words += ["--resume", "--overwrite", "--out", "out"] if "bench" in words else []
    words = ["show" if word in ("stub-llm", "testbed", "doctor", "train", "prompt") else word for word in words]
    try:
        code = main(words)
    except SystemExit as end:  # --help, --version
        code = end.code
    if code == 2:
        raise EdgeGymInputError("arguments", words, "right")  # `main` has printed the error itself
    if code != 0:
        raise AssertionError(f"exit code {code} of {words}")


BENCH = ("bench", "--scenario", "toy2", "--policies", "jsq,breaker:jsq", "--episodes", "3", "--workers", "1", "--quiet")
COMMANDS = (
    ("show", "toy2", "--set", "n_requests=5", "--set", "load=0.5", "--format", "json"),
    ("show", "stationary", "--set", "device_types=[l4, jetson_orin_nx]", "--set", "arrivals.kind=mmpp"),
    ("list", "policies"),
    ("data", "inspect", "edge_gym:sample_azure_trace.csv", "--json"),
    (*BENCH, "--seed", "1000", "--batch-size", "8", "--set", "n_requests=4"),
    ("bench", "--suite", "quick", "--also", "p2c", "--episodes", "30", "--quiet"),
    (
        *BENCH,
        "--policies",
        "e3_llm",
        "--llm",
        "replay",
        "--transcript",
        "t",
        "--llm-thinking",
        "1,0.1",
        "--llm-calls",
        "3",
    ),
    ("report", "run", "--format", "md", "--recordings", "0"),
)
ANNOUNCEMENTS = (
    "phone-3: a game has started and will last about 2 minutes.",
    "event node=phone-3 stage=now activity=game onset_s=0 duration_s=90 speed=0.2 foreground=1",
    "In 10 s a severe backup begins on jetson_orin_nx-2 for one and a half hours.",
)
ENVIRONMENT = (
    "MODE=live\nBASE_URL=http://127.0.0.1:8000/v1\nMODEL=m\nDEADLINE_S=3.5\nRETRIES=2\nTEMPERATURE=null\nSTREAM=true",
    "MODE=record\nTRANSCRIPT=t\nPRICE_IN=1e-6\nTHINKING_S=2\nCALLS=5\nGAP_S=1\nEVALUATIONS=100",
)


def _words() -> list[Parser]:
    def announcement(data: bytes, _: Path) -> None:
        read_announcement(data.decode("utf-8", "surrogateescape"), {"phone-3", "jetson_orin_nx-2", "game"})

    def transcript(data: bytes, to: Path) -> None:
        read = Transcript(at(to, "in.jsonl", data), "replay")
        read.recorded("a" * 64)
        read.close()

    def encoded(*texts: Any) -> tuple[bytes, ...]:
        return tuple((text if isinstance(text, str) else json.dumps(text)).encode() for text in texts)

    frame = json.dumps({"ask": "read", "agent": "a1"}).encode()
    frame = len(frame).to_bytes(4, "big") + (5).to_bytes(4, "big") + frame + b"state"
    arguments = '{"reason": "all is well"}'
    return [
        Parser("transcript", (_transcript(),), transcript),
        Parser("answer", encoded(*CALLS), _answer, (WireFault, RefusedCalls), weight=2),
        Parser("answer stream", (_stream(arguments),), lambda data, _: read_body(data, True), (WireFault,)),
        Parser("frame", (frame,), _frame, (FrameError,)),
        Parser("announcement", encoded(*ANNOUNCEMENTS), announcement, ()),
        Parser("environment", encoded(*ENVIRONMENT), _settings),
        Parser("command line", encoded(*("\n".join(words) for words in COMMANDS)), _arguments, weight=0.3),
    ]
