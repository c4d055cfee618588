"""`e3_llm` in a whole run: over the network, recorded, replayed, killed, resumed; and `edge-gym prompt`."""

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from e3_llm_play import make, play
from edge_baselines.e3.llm_settings import from_env
from edge_baselines.e3.rules import Rules
from edge_baselines.e3.stand_in import stand_in
from edge_baselines.llm import client as client_module
from edge_baselines.llm import transcript as transcript_module
from edge_baselines.llm.stub.plays import rules, scripted
from edge_baselines.llm.stub.server import StubServer

from edge_gym.cli.main import main
from edge_gym.errors import EdgeGymInputError
from edge_gym.scenario.presets import resolve

CANARY = "sk-canary-0123456789abcdef"
BENCH = ["bench", "--scenario", "semantic", "--policies", "e3_rules,e3_llm", "--episodes", "2", "--workers", "1",
         "--set", "n_requests=500", "--quiet"]  # fmt: skip
ASK = ["--llm-thinking", "0.5,0.001", "--allow-unpriced"]


def run(capsys, *arguments):
    code = main([str(argument) for argument in arguments])
    return code, *capsys.readouterr()


@pytest.fixture
def server(monkeypatch):
    with StubServer(stand_in()) as stub:
        monkeypatch.setenv("EDGE_GYM_LLM_BASE_URL", stub.base_url)
        monkeypatch.setenv("EDGE_GYM_LLM_MODEL", "stub-1")
        yield stub


def test_off_is_the_default_and_says_so(capsys):
    code, out, err = run(capsys, *BENCH)
    assert (code, err) == (0, "") and "No model was asked" in out
    assert "e3_llm on semantic: the rules decided 100% of" in out and "EDGE_GYM_LLM_MODE" not in os.environ


def test_record_then_replay_without_a_model_is_the_same_to_the_byte(capsys, tmp_path, server, monkeypatch):
    files = ["--transcript", tmp_path / "asked"]
    code, out, err = run(capsys, *BENCH, *ASK, *files, "--llm", "record", "--out", tmp_path / "a")
    assert (code, err) == (0, "") and "the rules decided 0% of" in out
    assert "EDGE_GYM_LLM_MODE" not in os.environ, "the flags outlive the command"
    asked = [path.name for path in (tmp_path / "asked").iterdir()]
    lines = (tmp_path / "asked" / asked[0]).read_text().splitlines()
    assert asked == ["e3_llm.semantic.1000.jsonl"] and len(lines) == len(server.requests) - 1 > 4
    server.close()
    monkeypatch.delenv("EDGE_GYM_LLM_BASE_URL")
    monkeypatch.delenv("EDGE_GYM_LLM_MODEL")
    code, out, err = run(capsys, *BENCH, *ASK, *files, "--llm", "replay", "--out", tmp_path / "b")
    assert (code, err) == (0, "")
    assert (tmp_path / "a" / "episodes.jsonl").read_bytes() == (tmp_path / "b" / "episodes.jsonl").read_bytes()
    row = json.loads((tmp_path / "b" / "episodes.jsonl").read_text().splitlines()[-1])
    assert row["policy"] == "e3_llm" and row["llm.calls"] > 0 and row["llm.thinking_s"] > 0
    assert "llm.calls" in (tmp_path / "b" / "summary.json").read_text()


def test_measured_times_are_replayed_too(capsys, tmp_path, server):
    files = ["--transcript", tmp_path / "asked", "--allow-unpriced"]
    assert run(capsys, *BENCH, *files, "--llm", "record", "--out", tmp_path / "a")[0] == 0
    server.play = scripted([[("finish", {"reason": "another model"})]])
    assert run(capsys, *BENCH, *files, "--llm", "replay", "--out", tmp_path / "b")[0] == 0
    assert (tmp_path / "a" / "episodes.jsonl").read_bytes() == (tmp_path / "b" / "episodes.jsonl").read_bytes()


def test_worker_processes_find_the_settings(capsys, tmp_path, server):
    """Two shards in two processes, one transcript each, equal to one process."""
    job = ["bench", "--scenario", "semantic,drift", "--policies", "e3_llm", "--episodes", "2", "--set", "n_requests=60",
           "--quiet", "--llm", "record", *ASK]  # fmt: skip
    for workers, name in ((2, "a"), (1, "b")):
        where = ["--workers", workers, "--out", tmp_path / name, "--transcript", tmp_path / f"asked-{name}"]
        assert run(capsys, *job, *where)[0] == 0
    asked = {path.name for path in (tmp_path / "asked-a").iterdir()}
    assert asked == {"e3_llm.semantic.1000.jsonl", "e3_llm.drift.1000.jsonl"}
    assert (tmp_path / "a" / "episodes.jsonl").read_bytes() == (tmp_path / "b" / "episodes.jsonl").read_bytes()


def test_another_way_of_asking_is_another_run(capsys, tmp_path, server):
    job = [*BENCH, *ASK, "--out", tmp_path / "run", "--resume"]
    files = ["--llm", "record", "--transcript", tmp_path / "asked"]
    assert run(capsys, *job, *files)[0] == 0
    asked = len(server.requests)
    assert run(capsys, *job, *files)[0] == 0 and len(server.requests) == asked + 1, "only the preflight"
    for other in (["--llm", "off"], ["--llm", "record", "--transcript", tmp_path / "b"], [*files, "--llm-calls", "3"]):
        code, _, err = run(capsys, *job, *other)
        assert code == 2 and "same configuration only" in err


def test_the_preflight_ends_the_command_before_anything_is_written(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGE_GYM_LLM_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("EDGE_GYM_LLM_MODEL", "m")
    code, out, err = run(capsys, *BENCH, "--llm", "live", *ASK, "--out", tmp_path / "run")
    assert (code, out) == (3, "") and "connection" in err and not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--llm", "recrd"], "did you mean 'record'"),
        (["--llm", "record"], "--transcript FOLDER"),
        (["--llm", "replay", "--transcript", "nowhere"], "a folder with transcripts"),
        (["--llm", "live"], "EDGE_GYM_LLM_BASE_URL"),
        (["--llm-thinking", "1,2,3"], "one or two numbers"),
        (["--llm-thinking", "soon"], "--llm-thinking = 'soon'"),
        (["--llm-calls", "-1"], "calls"),
    ],
)
def test_wrong_flags(given, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *BENCH, "--allow-unpriced", *given, "--out", "run")
    assert (code, out) == (2, "") and words in err and os.listdir(tmp_path) == []


def test_prices_have_to_be_known(capsys, tmp_path, server, monkeypatch):
    code, _, err = run(capsys, *BENCH, "--llm", "live")
    assert code == 2 and "price" in err
    monkeypatch.setenv("EDGE_GYM_LLM_PRICE_IN", "1e-6")
    monkeypatch.setenv("EDGE_GYM_LLM_PRICE_OUT", "2e-6")
    assert run(capsys, *BENCH, "--llm", "live", "--out", tmp_path / "run")[0] == 0
    row = json.loads((tmp_path / "run" / "episodes.jsonl").read_text().splitlines()[-1])
    assert row["llm.dollars"] == pytest.approx(1e-6 * row["llm.tokens_in"] + 2e-6 * row["llm.tokens_out"])


def test_settings_are_variables_with_known_names():
    ask, llm = from_env({"EDGE_GYM_LLM_MODE": "live", "EDGE_GYM_LLM_GAP_S": "5", "EDGE_GYM_LLM_STREAM": "true",
                         "EDGE_GYM_LLM_MODEL": "3", "EDGE_GYM_LLM_API_KEY": CANARY, "OTHER": "x"})  # fmt: skip
    assert (ask.mode, ask.gap_s, llm.stream, llm.model) == ("live", 5.0, True, "3")
    with pytest.raises(EdgeGymInputError, match="did you mean 'EDGE_GYM_LLM_TRANSCRIPT'"):
        from_env({"EDGE_GYM_LLM_TRANSCRIP": "x"})


def test_LF_39_a_damaged_transcript_names_file_and_line(capsys, tmp_path, server):
    files = ["--transcript", tmp_path / "asked"]
    assert run(capsys, *BENCH, *ASK, *files, "--llm", "record")[0] == 0
    path, asked = tmp_path / "asked" / "e3_llm.semantic.1000.jsonl", len(server.requests)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], "broken", *lines[3:]]) + "\n")
    code, _, err = run(capsys, *BENCH, *ASK, *files, "--llm", "replay")
    assert code == 2 and f"{path}:3" in err and len(server.requests) == asked
    path.write_text("\n".join(lines[:2]) + "\n")
    code, _, err = run(capsys, *BENCH, *ASK, *files, "--llm", "replay")
    assert code == 2 and "prompt hash" in err and "--refresh" in err


def test_LF_44_SEC_15_no_key_in_anything_that_is_written(capsys, tmp_path, server, monkeypatch):
    """The endpoint repeats the key in its answers; everything is logged; everything is searched."""
    monkeypatch.setenv("EDGE_GYM_LLM_API_KEY", CANARY)
    server.play = scripted(lambda request: [("finish", {"reason": f"the key is {CANARY}"})])
    log = tmp_path / "log.txt"
    handler = logging.FileHandler(log)
    levels = {name: logging.getLogger(name).level for name in ("", *client_module.LOGGERS)}
    logging.getLogger().addHandler(handler)
    try:
        for name in levels:
            logging.getLogger(name).setLevel(logging.DEBUG)
        files = ["--llm", "record", "--transcript", tmp_path / "asked", "--out", tmp_path / "run"]
        code, *printed = run(capsys, *BENCH, *ASK, *files)
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
    assert code == 0 and all(h["authorization"] == f"Bearer {CANARY}" for h in server.headers)
    written = {path: path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file()}
    assert {"report.html", "manifest.json", "episodes.jsonl", "log.txt"} <= {path.name for path in written}
    assert "[key]" in written[tmp_path / "asked" / "e3_llm.semantic.1000.jsonl"] and len(written[log]) > 1000
    assert [str(path) for path, text in written.items() if CANARY in text] == []
    assert not any(CANARY in text for text in printed)


def test_LF_46_killed_and_resumed_pays_nothing_twice(tmp_path, server, capsys):
    killed_now, play_now = threading.Event(), stand_in()

    def play(request):
        if len(server.requests) > 6:
            killed_now.wait(200.0)
        return play_now(request)

    server.play = play
    job = [*BENCH, *ASK, "--llm", "record", "--transcript", str(tmp_path / "asked"), "--out", str(tmp_path / "run")]
    killed = subprocess.Popen([sys.executable, "-m", "edge_gym", *job], stderr=subprocess.PIPE, stdout=subprocess.PIPE)
    deadline = time.monotonic() + 200.0
    while len(server.requests) < 7 and time.monotonic() < deadline:
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.communicate(timeout=60)
    path = tmp_path / "asked" / "e3_llm.semantic.1000.jsonl"
    before = path.read_text().splitlines()
    assert len(before) == 5, "one preflight, five answers, and one that never came"
    killed_now.set()
    server.play = play_now
    server.requests.clear()
    assert run(capsys, *job, "--resume")[0] == 0
    after = path.read_text().splitlines()
    assert after[:5] == before and len(server.requests) - 1 == len(after) - 5
    whole = [*BENCH, *ASK, "--llm", "record", "--transcript", tmp_path / "again", "--out", tmp_path / "whole"]
    assert run(capsys, *whole)[0] == 0
    assert (tmp_path / "run" / "episodes.jsonl").read_bytes() == (tmp_path / "whole" / "episodes.jsonl").read_bytes()


def test_LF_47_a_full_disk_names_the_question(capsys, tmp_path, server, monkeypatch):
    real, left = os.write, [4]

    def write(file, data):
        if b"prompt_hash" in bytes(data):
            left[0] -= 1
            if left[0] < 0:
                raise OSError(28, "No space left on device")
        return real(file, data)

    monkeypatch.setattr(transcript_module.os, "write", write)
    job = [*BENCH, *ASK, "--llm", "record", "--transcript", tmp_path / "asked", "--out", tmp_path / "run"]
    code, _, err = run(capsys, *job)
    assert code == 1 and "question 5, at " in err and "No space left" in err and "Traceback" not in err
    monkeypatch.undo()
    assert len((tmp_path / "asked" / "e3_llm.semantic.1000.jsonl").read_text().splitlines()) == 4


def test_prompt_prints_what_is_sent(capsys):
    """The rules lead until the third question in both, since the model has not given a plan yet."""
    found = []
    for turn in ("1", "3"):
        code, out, err = run(capsys, "prompt", "--seed", "1000", "--turn", turn, "--set", "n_requests=600")
        assert (code, err) == (0, "")
        found.append(out)
    policy = make(scripted([[("no_such_tool", {})]]), corrective_turns=0)
    policy.rules = Rules()  # those of the command
    play(policy, resolve("semantic", "routing", n_requests=600), [1000])
    for turn, out in ((1, found[0]), (3, found[1])):
        body = policy._given.requests[turn - 1]
        for text in (*(message["content"] for message in body["messages"]), json.dumps(body["tools"], indent=1)):
            assert text in out
    code, _, err = run(capsys, "prompt", "--turn", "1000", "--set", "n_requests=100")
    assert code == 2 and "questions" in err


def test_the_stub_of_the_command_line_can_be_asked(capsys, tmp_path, server):
    server.play = rules()
    code, out, err = run(capsys, *BENCH, "--llm", "live", *ASK)
    assert (code, err) == (0, "") and "calls" in out and len(server.requests) > 10


def test_agentscope_says_what_is_missing(capsys, server):
    try:
        import agentscope  # noqa: F401
    except ImportError:
        code, _, err = run(capsys, *BENCH, "--policies", "e3_agentscope", "--llm", "live", *ASK)
        assert code == 2 and ".[agentscope]" in err
    else:
        code, out, err = run(capsys, *BENCH, "--policies", "e3_llm,e3_agentscope", "--llm", "live", *ASK)
        assert code == 0 and "e3_agentscope on semantic: the rules decided 0% of" in out
