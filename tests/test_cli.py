"""The command line: what a newcomer types, right and wrong. No traceback, and nothing written by mistake."""

import errno
import json
import os
import signal
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
from edge_agents.algorithms import ALGORITHMS

from edge_gym import __version__
from edge_gym.cli.data import CONVERSIONS
from edge_gym.cli.main import MAX_LINES, _Terminated, main
from edge_gym.scenario.io import loads
from edge_gym.scenario.presets import preset

BENCH = ["bench", "--scenario", "toy2", "--policies", "jsq,random", "--episodes", "3", "--workers", "1", "--quiet"]


def run(capsys, *arguments):
    """Exit code, stdout and stderr of a command."""
    code = main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


def spawn(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "edge_gym", *map(str, arguments)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


def test_bench(capsys, tmp_path):
    code, out, err = run(capsys, *BENCH, "--out", tmp_path / "run")
    assert (code, err) == (0, "")
    for words in ("mean latency s", "P99 s", "in time", "jsq", "random", "us/decision", "Only 3 episode(s)"):
        assert words in out
    assert len((tmp_path / "run" / "episodes.jsonl").read_text().splitlines()) == 6
    rows = [json.loads(line) for line in (tmp_path / "run" / "episodes.jsonl").read_text().splitlines()]
    assert {row["seed"] for row in rows} == {1000, 1001, 1002}


def test_bench_without_out_writes_nothing(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, _ = run(capsys, *BENCH)
    assert code == 0 and "Results are in" not in out and os.listdir(tmp_path) == []


def test_bench_marks_the_oracle_and_sorts(capsys):
    code, out, _ = run(capsys, *BENCH, "--policies", "random,oracle")
    assert code == 0 and out.index("oracle*") < out.index("random") and "x oracle" in out


@pytest.mark.parametrize("flag", ["--resume", "--overwrite"])
@pytest.mark.parametrize("what", [[], ["--suite", "quick"]])
def test_an_older_run_needs_its_folder(flag, what, capsys):
    assert run(capsys, "bench", *what, flag) == (
        2, "", f"edge-gym: --out: must be given with {flag}: the folder of the older run\n"
    )  # fmt: skip


def test_a_model_that_nobody_asks_is_noted(capsys):
    code, _, err = run(capsys, *BENCH, "--llm", "live")
    assert (code, err) == (
        0, "edge-gym: --llm live changed nothing: none of the policies asks a language model\n"
    )  # fmt: skip
    assert run(capsys, *BENCH, "--llm", "off")[2] == ""
    assert run(capsys, *BENCH, "--scenario", "semantic", "--set", "n_requests=5", "--policies", "e3_llm")[2] == ""


def test_several_scenarios(capsys):
    code, out, _ = run(capsys, *BENCH, "--scenario", "toy2,stationary", "--set", "n_requests=20")
    assert code == 0 and "routing / toy2" in out and "routing / stationary" in out


def test_resume_and_overwrite(capsys, tmp_path):
    job = [*BENCH, "--out", tmp_path / "run"]
    assert run(capsys, *job)[0] == 0
    before = (tmp_path / "run" / "episodes.jsonl").read_bytes()
    code, _, err = run(capsys, *job)
    assert code == 2 and "new or empty folder" in err and "--resume" in err
    assert run(capsys, *job, "--resume")[0] == 0
    assert (tmp_path / "run" / "episodes.jsonl").read_bytes() == before
    assert run(capsys, *job, "--overwrite")[0] == 0
    assert (tmp_path / "run" / "episodes.jsonl").read_bytes() == before


def test_trace(capsys, tmp_path):
    """The trace sets arrivals and lengths, its load can be set, and only language models take part."""
    job = [*BENCH, "--scenario", "stationary", "--trace", "edge_gym:sample_azure_trace.csv"]
    job += ["--set", "n_requests=30", "--out", tmp_path / "run"]
    assert run(capsys, *job, "--set", "load=0.3")[0] == 0
    (scenario,) = json.loads((tmp_path / "run" / "manifest.json").read_text())["scenarios"]
    assert scenario["arrivals"]["kind"] == "trace" and scenario["arrivals"]["load"] == 0.3
    assert [workload["model"] for workload in scenario["workloads"]] == ["llama3.1-8b"]
    assert scenario["name"] == "stationary-sample_azure_trace"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param(["bnech"], "did you mean 'bench'", id="BAD-58-command"),
        pytest.param(["--frob"], "known", id="BAD-58-flag-alone"),
        pytest.param(["bench", "--polices", "jsq"], "did you mean '--policies'", id="BAD-58-flag"),
        pytest.param(["bench", "--pol", "jsq"], "--policies", id="BAD-58-abbreviated"),
        pytest.param(["bench", "extra"], "extra", id="BAD-58-extra"),
        pytest.param(["bench", "--episodes"], "expected one argument", id="BAD-58-no-value"),
        pytest.param(["show"], "SCENARIO", id="BAD-58-missing"),
        pytest.param(["bench", "--policies", "orcale"], "did you mean 'oracle'", id="policy"),
        pytest.param(["bench", "--policies", "jsq,,oracle"], "single commas", id="policy-empty"),
        pytest.param(["bench", "--policies", "jsq,jsq"], "once only", id="policy-twice"),
        pytest.param(["bench", "--policies", "jsq:3"], "jsq", id="policy-argument"),
        pytest.param(["bench", "--scenario", "statonary"], "did you mean 'stationary'", id="scenario"),
        pytest.param(["bench", "--scenario", "none.yaml"], "none.yaml", id="scenario-file"),
        pytest.param(["bench", "--task", "rooting"], "did you mean 'routing'", id="task"),
        pytest.param(["bench", "--set", "lod=0.9"], "lod", id="BAD-10"),
        pytest.param(["bench", "--set", "load"], "FIELD=VALUE", id="set-no-value"),
        pytest.param(["bench", "--set", "load=much"], "load", id="set-word"),
        pytest.param(["bench", "--set", "load=1", "--set", "load=2"], "once", id="set-twice"),
        pytest.param(["bench", "--set", "device_types=[l4"], "set", id="set-yaml"),
        pytest.param(["bench", "--episodes", "0"], "1 ... 1000000", id="BAD-57-zero"),
        pytest.param(["bench", "--episodes", "\u0663"], "whole number", id="BAD-57-digits"),
        pytest.param(["bench", "--episodes", "1e3"], "whole number", id="BAD-57-float"),
        pytest.param(["bench", "--workers", "0"], "1 ... 1024", id="BAD-57-workers-0"),
        pytest.param(["bench", "--workers", "-1"], "1 ... 1024", id="BAD-57-workers-minus"),
        pytest.param(["bench", "--workers", "10000"], "1 ... 1024", id="BAD-57-workers-many"),
        pytest.param(["bench", "--seed", "-1"], "--seed", id="BAD-57-seed"),
        pytest.param(["bench", "--seed", str(2**63 - 1)], "--seed", id="BAD-57-seed-large"),
        pytest.param(["bench", "--trace", "none.csv"], "none.csv", id="trace"),
        pytest.param(["bench", "--scenario", "toy2", "--trace", "x.csv"], "language model", id="trace-no-llm"),
        pytest.param(
            ["bench", "--task", "placement", "--trace", "x.csv"],
            "placement/metro-16: --trace = 'x.csv': must be left out with AI agents",
            id="trace-agents",
        ),
        pytest.param(
            ["bench", "--resume", "--overwrite"], "--resume or --overwrite: must be given alone", id="resume-overwrite"
        ),
        pytest.param(["list", "devcies"], "did you mean 'devices'", id="list"),
        pytest.param(["show", "toy3"], "did you mean 'toy2'", id="show"),
        pytest.param(["show", "toy2", "--format", "toml"], "json, yaml", id="show-format"),
    ],
)
def test_wrong_input(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if arguments[0] == "bench":
        arguments = [*arguments, "--out", "run"]
    code, out, err = run(capsys, *arguments)
    assert code == 2 and out == ""
    assert words in err and err.startswith("edge-gym")
    assert len(err.splitlines()) <= MAX_LINES and "Traceback" not in err
    assert os.listdir(tmp_path) == []


def test_many_errors_in_a_file_are_cut(capsys, tmp_path):
    (tmp_path / "bad.yaml").write_text("version: 1\n" + "".join(f"wrong{i}: 1\n" for i in range(30)))
    code, _, err = run(capsys, "show", tmp_path / "bad.yaml")
    assert code == 2 and len(err.splitlines()) == MAX_LINES and "more" in err.splitlines()[-1]


def test_terminal_codes_in_a_name_are_shown_not_sent(capsys):
    code, _, err = run(capsys, "bench", "--policies", "\x1b[31mred\u202e")
    assert code == 2 and "\x1b" not in err and "\u202e" not in err


def test_debug_shows_the_traceback():
    with pytest.raises(ValueError, match="orcale"):
        main(["bench", "--policies", "orcale", "--debug"])


def test_help_and_version(capsys):
    for arguments, words in ((["--version"], __version__), (["--help"], "doctor"), (["bench", "--help"], "--policies")):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 0 and words in capsys.readouterr().out


def test_help_says_what_there_is(capsys):
    def said(command):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        return " ".join(capsys.readouterr().out.split())

    assert "SCENARIO a preset or a file, or the name of a suite" in said("show")
    for kind, words in CONVERSIONS.items():
        assert f"edge-gym data convert {kind} {' '.join(words)} --out FILE" in said("data")
    assert f"--algo NAME {', '.join(ALGORITHMS).replace('ppo,', 'ppo (default),', 1)};" in said("train")


@pytest.mark.parametrize(
    ("arguments", "kept"),
    [
        (["report", "x", "--out", "y"], False), (["bench"], False), (["stub-llm"], False), (["testbed"], False),
        (["bench", "--out", "x"], True), (["bench", "--out=x"], True), (["train", "--out", "x"], True), ([], False),
    ],
)  # fmt: skip
@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt, 130), (_Terminated, 143)])
def test_what_is_said_of_a_signal(arguments, kept, error, code, capsys, monkeypatch):
    def stop(*_):
        raise error

    monkeypatch.setattr("edge_gym.cli.main._run", stop)
    more = "; what was finished is kept, go on with --resume" if kept else ""
    assert run(capsys, *arguments) == (code, "", f"edge-gym: stopped{more}\n")


def test_list(capsys):
    code, out, _ = run(capsys, "list")
    assert code == 0
    for words in ("routing/stationary", "edge_gym/Routing-v0", "oracle", "(privileged)", "sect_static"):
        assert words in out
    for what in ("tasks", "scenarios", "policies", "devices", "models", "services"):
        assert run(capsys, "list", what)[0] == 0


@pytest.mark.parametrize("name", ["commute-16", "migration/commute-16"])
def test_show_finds_a_scenario_of_any_task(name, capsys):
    code, out, _ = run(capsys, "show", name)
    assert code == 0 and loads(out, "yaml") == preset("migration/commute-16")
    code, _, err = run(capsys, "show", "migration/commute-16", "--task", "routing")
    assert code == 2 and "must be 'routing' (these worlds are for --task migration" in err


@pytest.mark.parametrize("changes", [[], ["--set", "n_requests=5"]])
def test_worlds_that_share_a_name_with_a_preset_only_are_told_apart(changes, capsys):
    code, out, _ = run(capsys, *BENCH, *changes)
    assert code == 0 and ("routing/toy2 is not the preset of that name" in out) == bool(changes)


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_show_can_be_edited_and_used(form, capsys, tmp_path):
    code, out, _ = run(capsys, "show", "toy2", "--format", form, "--set", "n_requests=5")
    assert code == 0 and loads(out, form).n_requests == 5
    (tmp_path / f"mine.{form}").write_text(out)
    code, out, _ = run(capsys, *BENCH, "--scenario", tmp_path / f"mine.{form}")
    assert code == 0 and "jsq" in out


def test_doctor(capsys):
    code, out, _ = run(capsys, "doctor")
    assert code == 0 and "decisions/s" in out and "All is well" in out


def test_a_full_disk_that_names_no_file(capsys, monkeypatch):
    def full(options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("edge_gym.cli.bench.run", full)
    code, _, err = run(capsys, "bench")
    assert code == 1 and "No space left on device: where results go, or where compiled code is kept" in err


def test_every_policy_is_described(capsys):
    from edge_gym.cli.list import _policies

    texts = dict(_policies())
    assert len(texts) > 60 and {name for name, text in texts.items() if len(text) < 25} == set()


@pytest.mark.parametrize(
    ("requirement", "words"),
    [
        ("numpy>=99.0", ("numpy", "is not >=99.0", "pip install --upgrade 'numpy>=99.0'")),
        ("numpy<2,>=1.2", ("is not <2",)),
        ("no-such-package>=1.0", ("no-such-package is not installed",)),
        ("pyyaml>=6.0", ("pyyaml cannot be imported: ImportError: planted",)),
    ],
)
def test_doctor_says_what_is_broken_and_what_to_do(requirement, words, capsys, monkeypatch):
    def planted(name):
        raise ImportError("planted")

    monkeypatch.setattr("edge_gym.cli.doctor.requires", lambda name: [requirement])
    monkeypatch.setattr("edge_gym.cli.doctor.importlib.import_module", planted)
    code, out, _ = run(capsys, "doctor")
    assert code == 1 and "Something is broken" in out and all(word in out for word in words)
    assert "decisions/s" not in out  # what needs the missing package is not tried


def test_doctor_of_extras_that_are_not_complete(capsys, monkeypatch):
    wanted = ["numpy>=2.0", 'numpy>=99.0; extra == "plot"', 'rich>=1; extra == "llm"', 'no-such; extra == "llm"']
    monkeypatch.setattr("edge_gym.cli.doctor.requires", lambda name: wanted)
    code, out, _ = run(capsys, "doctor")
    assert code == 0 and "'plot' is not complete: numpy" in out and "'llm' is not complete: no-such is missing" in out
    assert "extra 'rl' is not installed" in out


def test_doctor_of_a_project_that_is_not_installed(capsys, monkeypatch):
    def absent(name):
        raise PackageNotFoundError(name)

    monkeypatch.setattr("edge_gym.cli.doctor.requires", absent)
    code, out, _ = run(capsys, "doctor")
    assert code == 1 and "edge-gym itself is not installed" in out


def test_doctor_finds_a_full_disk(capsys, monkeypatch):
    monkeypatch.setattr("edge_gym.cli.doctor.LEAST_FREE_BYTES", 1e18)
    code, out, _ = run(capsys, "doctor")
    assert code == 1 and "MB free where the compiled kernel is kept" in out


def test_narrow_terminal(capsys, monkeypatch):
    """BAD-61: 40 columns."""
    monkeypatch.setenv("COLUMNS", "40")
    code, out, _ = run(capsys, *BENCH)
    assert code == 0 and max(map(len, out.splitlines())) <= 40 and "P99 s:" in out


@pytest.mark.parametrize("variable", [{"LANG": "C", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}, {"TZ": "odd"}])
def test_odd_surroundings(variable):
    """BAD-61: no terminal, a poor encoding, no HOME."""
    surroundings = {name: value for name, value in os.environ.items() if name != "HOME"}
    child = spawn(*BENCH, env={**surroundings, **variable})
    out, err = child.communicate(timeout=200)
    assert (child.returncode, err) == (0, "") and "jsq" in out


def test_a_letter_the_output_lacks():
    child = spawn("show", "azure", "--set", "trace_path=\u00e9.csv", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    out, err = child.communicate(timeout=100)
    assert (child.returncode, err) == (0, "") and "?.csv" in out


@pytest.mark.parametrize("command", [["list"], ["show", "toy2"]])
def test_reader_that_goes_away(command):
    """BAD-61: `edge-gym list | head -1`."""
    child = spawn(*command)
    child.stdout.close()
    err = child.stderr.read()
    child.stderr.close()
    assert child.wait(timeout=100) in (0, 1) and err == ""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("workers", [1, 2])
def test_signals(number, code, workers, tmp_path):
    """RUN-17: a signal ends the run soon and cleanly, and what was finished can be resumed."""
    job = ["bench", "--scenario", "toy2", "--policies", "jsq,random", "--episodes", "100000", "--seed", "1"]
    # A test run in the background of a shell ignores Ctrl-C, and its children would too.
    heed = {"start_new_session": True, "preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    child = spawn(*job, "--workers", workers, "--out", tmp_path / "run", "--quiet", **heed)
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("run/shards/*.jsonl"))) < 2 and time.monotonic() < deadline:
        assert child.poll() is None
        time.sleep(0.02)
    began = time.monotonic()
    child.send_signal(number)
    _, err = child.communicate(timeout=60)
    assert child.returncode == code and time.monotonic() - began < 10
    assert "--resume" in err and "Traceback" not in err
    assert json.loads((tmp_path / "run" / "manifest.json").read_text())["finished"] is False


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="finds processes under /proc")
@pytest.mark.parametrize("pause_s", [0.2, 0.4, 0.8])
def test_ctrl_c_while_workers_start(pause_s, tmp_path):
    """A terminal sends it to all processes; those that are still importing must not complain."""
    job = [
        "bench",
        "--scenario",
        "toy2",
        "--policies",
        "jsq,random",
        "--episodes",
        "100000",
        "--workers",
        "2",
        "--quiet",
    ]
    heed = {"start_new_session": True, "preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    child = spawn(*job, "--out", tmp_path / "run", **heed)
    children = Path(f"/proc/{child.pid}/task/{child.pid}/children")
    while len(children.read_text().split()) < 2:  # the first one keeps track of resources
        assert child.poll() is None
        time.sleep(0.005)
    time.sleep(pause_s)
    os.killpg(child.pid, signal.SIGINT)
    _, err = child.communicate(timeout=100)
    assert child.returncode == 130 and "Traceback" not in err and "--resume" in err
