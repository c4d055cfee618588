"""A real agent moves between real processes: nothing of it is lost, it runs at one place, and nobody is left behind."""

import contextlib
import csv
import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from edge_baselines.llm.extra import require_extra
from edge_baselines.llm.settings import API_KEY
from edge_baselines.testbed.frames import LENGTHS, MAX_HEADER, MAX_PAYLOAD, FrameError, Refused, connect
from edge_baselines.testbed.law import fit

from edge_gym.cli.main import main
from edge_gym.errors import EdgeGymInputError

try:
    require_extra()
    require_extra(("agentscope",), "agentscope")
except EdgeGymInputError as error:
    pytest.skip(str(error), allow_module_level=True)

from edge_baselines.llm.stub.faults import FAULTS
from edge_baselines.llm.stub.plays import chat
from edge_baselines.llm.stub.server import StubServer
from edge_baselines.testbed.migrate import MigrationFailed, migrate
from edge_baselines.testbed.process import HostProcess
from edge_baselines.testbed.report import check_folder

TOKEN = "0123456789abcdef"
ASK = "What was the first thing that I said?"
# What AgentScope 2.0.10 writes: 375 bytes around the text of a message, 471 around all of them (docs/migration.md).
STATE_BYTES = {10: 8_221, 100: 77_971, 1000: 775_471}


@pytest.fixture(scope="module")
def stub():
    with StubServer(chat()) as server:
        yield server


@pytest.fixture(scope="module")
def pair(stub):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(API_KEY, "sk-canary-0123456789abcdef")
        with HostProcess("a", stub.base_url, TOKEN) as source, HostProcess("b", stub.base_url, TOKEN) as target:
            source.ask("prepare_image", bytes=2**20)
            yield source, target


def agent_at(host, name, messages=12, characters=400):
    host.ask("create", name, messages=messages, characters=characters, opening=f"The word is {name}-7.")
    return host.conversation(name)


@pytest.mark.parametrize("mode", ["lightweight", "full"])
def test_the_state_survives_and_the_conversation_goes_on(mode, pair):
    source, target = pair
    before = agent_at(source, mode, messages=31)
    assert [role for role, _, _ in before] == ["user", "assistant"] * 15 + ["user"]
    moved = migrate(mode, source, target, mode, ASK)
    assert target.conversation(mode) == [*before, ["user", "user", ASK], ["assistant", "assistant", moved.answer]]
    assert f"sent 33 messages. You began: The word is {mode}-7." in moved.answer  # with the system prompt
    assert target.has(mode) and not source.has(mode)
    assert "sent 35 messages" in target.ask("chat", mode, text="And then?")["answer"]
    back = migrate(mode, target, source, "lightweight", ASK)
    assert "sent 37 messages" in back.answer and len(source.conversation(mode)) == 31 + 6
    assert source.has(mode) and not target.has(mode)


def test_what_is_measured_adds_up(pair, stub):
    source, target = pair
    source.ask("prepare_image", bytes=2**20)
    agent_at(source, "sum")
    stub.forget()
    moved = migrate("sum", source, target, "full", ASK)
    assert set(moved.seconds) == {"export", "transfer", "load", "prefill", "release", "resume"}
    assert min(moved.seconds.values()) > 0
    steps = sum(seconds for step, seconds in moved.seconds.items() if step != "resume")
    assert steps <= moved.downtime_s < steps + 5.0
    framing = moved.wire_bytes - moved.state_bytes - 2**20
    assert 0 < framing < 500
    assert "canary" not in str(stub.headers), "hosts hold no key"
    prefill, resume = stub.requests
    assert (prefill["max_tokens"], len(prefill["messages"]), len(resume["messages"])) == (1, 13, 14)
    assert moved.prefill_tokens == len(json.dumps(prefill)) // 4 < moved.prompt_tokens


@pytest.mark.parametrize("messages", STATE_BYTES)
def test_sizes_of_the_law(messages, pair):
    source, _ = pair
    agent_at(source, f"size-{messages}", messages=messages)
    state_bytes = source.ask("export", f"size-{messages}", ticket=1)["state_bytes"]
    assert state_bytes == pytest.approx(STATE_BYTES[messages], rel=0.02)


@pytest.mark.parametrize("step", ["transfer", "load", "prefill"])
def test_the_death_of_the_target_leaves_the_source_running(step, pair, stub):
    source, _ = pair
    before = agent_at(source, f"kill-{step}")
    with HostProcess("victim", stub.base_url, TOKEN) as victim:

        def kill(now):
            if now == step:
                victim.kill()

        with pytest.raises(MigrationFailed, match="the agent runs at a") as failed:
            migrate(f"kill-{step}", source, victim, "full", ASK, before_step=kill)
    assert (failed.value.step, failed.value.runs_at) == (step, "a")
    assert source.conversation(f"kill-{step}") == before
    assert f"kill-{step}-7" in source.ask("chat", f"kill-{step}", text=ASK)["answer"]


def test_the_death_of_the_source_at_release_leaves_the_target_running(pair, stub):
    _, target = pair
    with HostProcess("dying", stub.base_url, TOKEN) as source:
        agent_at(source, "heir")

        def kill(now):
            if now == "release":
                source.kill()

        moved = migrate("heir", source, target, "lightweight", ASK, before_step=kill)
    assert "heir-7" in moved.answer and target.has("heir") and np.isnan(moved.seconds["release"])


def test_a_target_that_hangs_in_the_middle_of_the_transfer(pair):
    source, target = pair
    source.ask("prepare_image", bytes=32 * 2**20)  # more than the sockets hold
    before = agent_at(source, "hang")
    os.kill(target.process.pid, signal.SIGSTOP)
    try:
        with pytest.raises(MigrationFailed) as failed:
            migrate("hang", source, target, "full", ASK, within_s=5)
    finally:
        os.kill(target.process.pid, signal.SIGCONT)
    assert (failed.value.step, failed.value.runs_at) == ("transfer", "a")
    assert source.has("hang") and source.conversation("hang") == before and not target.has("hang")
    assert "hang-7" in migrate("hang", source, target, "full", ASK).answer, "and it can be tried again"


def test_an_endpoint_that_fails_leaves_the_agent_where_it_is(pair, stub):
    source, target = pair
    before = agent_at(source, "quiet")
    stub.play = _fails_after(0)
    try:
        with pytest.raises(MigrationFailed) as failed:
            migrate("quiet", source, target, "lightweight", ASK)
        assert (failed.value.step, failed.value.runs_at) == ("prefill", "a")
        with pytest.raises(Refused):
            source.ask("chat", "quiet", text=ASK)
        assert source.conversation("quiet") == before, "a question without an answer leaves no trace"
        stub.play = _fails_after(1)
        with pytest.raises(MigrationFailed) as failed:
            migrate("quiet", source, target, "lightweight", ASK)
        assert (failed.value.step, failed.value.runs_at) == ("resume", "b")
        assert target.has("quiet") and not source.has("quiet") and target.conversation("quiet") == before
    finally:
        stub.play = chat()


def test_an_export_that_comes_after_its_migration_was_called_off_is_refused(pair):
    source, _ = pair
    agent_at(source, "late")
    source.ask("keep", "late", ticket=1)
    with pytest.raises(Refused, match="called off"):
        source.ask("export", "late", ticket=1)
    source.ask("export", "late", ticket=2)
    assert not source.has("late")


def test_an_agent_talks_at_one_place_only(pair):
    source, target = pair
    agent_at(source, "one")
    source.ask("export", "one", ticket=1)
    source.ask("transfer", "one", port=target.port, within_s=50, ticket=1)
    target.ask("load", "one", ticket=1)
    for host in (source, target):
        with pytest.raises(Refused, match="the agent is"):
            host.ask("chat", "one", text=ASK)
    with pytest.raises(Refused, match="the agent is held"):
        target.ask("export", "one", ticket=1)
    target.ask("drop", "one", ticket=1)
    source.ask("keep", "one", ticket=1)
    with pytest.raises(Refused, match="the agent is running"):
        source.ask("drop", "one", ticket=0)


def test_what_comes_late_from_an_older_migration_changes_nothing(pair):
    """Its messages to the target were under way when it was called off, and the next one has begun."""
    source, target = pair
    agent_at(source, "again")
    source.ask("export", "again", ticket=2)
    source.ask("transfer", "again", port=target.port, within_s=50, ticket=2)
    for command in ("load", "drop"):
        with pytest.raises(Refused, match="another migration"):
            target.ask(command, "again", ticket=1)
    target.ask("load", "again", ticket=2)
    with pytest.raises(Refused, match="a later migration"):
        source.ask("transfer", "again", port=target.port, within_s=50, ticket=1)
    for command in ("prefill", "resume", "drop"):
        with pytest.raises(Refused, match="another migration"):
            target.ask(command, "again", text=ASK, ticket=1)
    source.ask("release", "again", ticket=2)
    assert "again-7" in target.ask("resume", "again", text=ASK, ticket=2)["answer"]


def test_a_damaged_state_or_image_is_refused(pair):
    _, target = pair
    state = b'{"context": "no list"}'
    for name, payload, cut in (("state", state, len(state)), ("image", b"{}" + b"pixels", 2)):
        with connect(target.port, 5.0) as connection:
            head = {
                "token": TOKEN,
                "command": "receive",
                "agent": name,
                "state_bytes": cut,
                "sha256": "0" * 64,
                "ticket": 1,
            }
            connection.send(head, payload)
            assert connection.receive_header()[0]["ok"]
        with pytest.raises(Refused, match="no state|damaged"):
            target.ask("load", name, ticket=1)
        target.ask("drop", name, ticket=1)


def test_a_bad_token_is_refused(pair):
    source, _ = pair
    for token in ("", "0123456789abcdeF", None, 7, "\N{SNOWMAN}"):
        with connect(source.port, 5.0) as connection:
            connection.send({"token": token, "command": "ping"})
            assert connection.receive_header()[0] == {"ok": False, "error": "the token is not known here"}


@pytest.mark.parametrize(
    "raw",
    [
        LENGTHS.pack(MAX_HEADER + 1, 0),
        LENGTHS.pack(2, MAX_PAYLOAD + 1) + b"{}",
        LENGTHS.pack(2, 0) + b"[]",
        LENGTHS.pack(40_000, 0) + b"[" * 40_000,
        LENGTHS.pack(2, 0) + b"\xff\xff",
    ],
)
def test_a_frame_that_is_none_is_refused_and_does_no_harm(raw, pair):
    source, _ = pair
    with connect(source.port, 5.0) as connection:
        connection.sock.sendall(raw)
        with pytest.raises(FrameError):
            connection.receive_header()
    assert source.ask("ping")["ok"]


def test_what_a_stranger_announces_takes_no_memory(pair):
    """A payload counts only with the token, and only `receive` takes one."""
    source, _ = pair
    for head, reason in (({"token": "no"}, "token"), ({"token": TOKEN, "command": "ping"}, "takes a payload")):
        raw = json.dumps(head).encode()
        with connect(source.port, 5.0) as connection:
            connection.sock.sendall(LENGTHS.pack(len(raw), MAX_PAYLOAD) + raw)
            assert reason in connection.receive_header()[0]["error"]


def test_a_connection_keeps_its_deadline_against_a_trickle():
    with socket.create_server(("127.0.0.1", 0)) as listener, connect(listener.getsockname()[1], 0.3) as connection:
        other, _ = listener.accept()
        stop = threading.Event()

        def trickle():
            while not stop.wait(0.05):
                other.sendall(LENGTHS.pack(100, 0)[:1])

        thread = threading.Thread(target=trickle)
        thread.start()
        began = time.monotonic()
        try:
            with pytest.raises(FrameError, match="deadline|Timeout"):
                connection.receive_payload(1000)
        finally:
            stop.set()
            thread.join()
            other.close()
        assert time.monotonic() - began < 20.0  # 50 s without a deadline


def test_fit_finds_a_law():
    n, c = np.array([10, 100, 1000, 10, 100, 1000]), np.array([400, 400, 400, 1600, 1600, 1600])
    ones = np.ones(6)
    law = fit(("a", "b", "c"), (ones, n, n * c), 471.0 + 375.0 * n + n * c)
    assert [law[name] for name in "abc"] == pytest.approx([471, 375, 1]) and law["worst_relative_error"] < 1e-9
    off = fit(("a", "b"), (ones, n), (2.0 + 3.0 * n) * np.array([1.1, 1, 1, 0.9, 1, 1]))
    assert off["b"] == pytest.approx(3.0, rel=0.05) and 0.08 < off["worst_relative_error"] < 0.12
    assert fit(("a", "b", "c"), (ones, n, 400 * n), 471.0 + 775.0 * n) is None, "one length of message only"
    assert fit(("a", "b"), (ones[:2], n[:2]), [1.0, 2.0]) is None, "no more points than terms"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--messages", "10,0"], "1 ... 10000"),
        (["--messages", "10,10"], "differ"),
        (["--messages", "ten"], "whole number"),
        (["--characters", "39"], "40 ... 10000"),
        (["--messages", "10000", "--characters", "10000"], "<= 4000000"),
        (["--mode", "ful"], "did you mean 'full'"),
        (["--repeats", "0"], "1 ... 1000"),
        (["--image-mib", "2000"], "1 ... 1024"),
        (["--out", "taken"], "a new or empty folder"),
        (["--out", "taken", "--overwrite"], "something else"),
    ],
)
def test_the_command_with_wrong_input(arguments, words, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").write_text("mine")
    assert main(["testbed", *arguments]) == 2
    assert words in capsys.readouterr().err and os.listdir(tmp_path) == ["taken"]


def test_the_command(capsys, tmp_path):
    out = tmp_path / "run"
    options = ["--messages", "2,10,40", "--characters", "100,400", "--repeats", "2", "--image-mib", "1"]
    assert main(["testbed", *options, "--out", str(out), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == json.loads((out / "law.json").read_text())
    assert printed["laws"]["state_bytes"] == pytest.approx(
        {"fixed": 471, "per_message": 375, "per_character": 1, "worst_relative_error": 0}, rel=0.02, abs=1e-3
    )
    assert {"command", "versions", "platform", "cpu"} <= set(printed["provenance"])
    assert len(printed["cells"]) == 12
    with open(out / "migrations.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    cell = printed["cells"][-1]
    same = [row for row in rows if [row[k] for k in ("messages", "characters", "mode")] == ["40", "400", "full"]]
    times = [float(row["load_s"]) for row in same]
    assert len(rows) == 24 and len(same) == 2
    assert cell["load_s"]["median"] == pytest.approx(sum(times) / 2) and min(times) <= cell["load_s"]["low"]
    assert main(["testbed", "--out", str(out)]) == 2 and "--overwrite" in capsys.readouterr().err
    assert (out / "law.md").read_text().count("\n| 10 | ") == 4
    assert check_folder(str(out), overwrite=True) == out


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="finds processes under /proc")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_no_process_is_left_behind(number, code, tmp_path):
    command = [sys.executable, "-m", "edge_gym", "testbed", "--repeats", "1000", "--out", str(tmp_path / "run")]
    # A test run in the background of a shell ignores Ctrl-C, and its children would too.
    heed = {"start_new_session": True, "preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)}
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **heed)
    try:
        hosts = _wait(lambda: _serving(child.pid))
    finally:
        child.send_signal(number)
        _, err = child.communicate(timeout=60)
    assert child.returncode == code and "Traceback" not in err
    assert _wait(lambda: not any(map(_lives, hosts)))
    assert not (tmp_path / "run").exists()


def _fails_after(answers):
    """Talks so many times and then sends pages of HTML."""
    good, count = chat(), itertools.count()
    return lambda request: (good if next(count) < answers else FAULTS["html"])(request)


def _wait(condition, seconds=120.0):
    ends = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < ends, "it never came"
        time.sleep(0.05)
    return found


def _children(pid):
    with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]
    return []


def _serving(pid):
    """The two hosts that a process has started, once both have got so far that they serve and have threads."""
    found = _children(pid)
    return found if len(found) == 2 and all(len(os.listdir(f"/proc/{host}/task")) > 3 for host in found) else None


def _lives(pid):
    """Whether a process runs; one that has ended and that nobody has asked about does not."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] not in "ZX"
    return False
