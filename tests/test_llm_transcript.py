"""Transcripts: rows LF-37 to LF-40, LF-46 and LF-47 of the fault matrix."""

import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
import time

import pytest
from edge_baselines.llm import transcript as transcript_module
from edge_baselines.llm.completions import prompt_hash
from edge_baselines.llm.faults import TranscriptError
from edge_baselines.llm.stub.faults import FAULTS, GOOD, chaos, fault
from edge_baselines.llm.stub.in_process import InProcess
from edge_baselines.llm.stub.plays import rules, scripted
from edge_baselines.llm.stub.server import StubServer
from edge_baselines.llm.transcript import Transcript
from llm_toys import ask, counted, make_advisor, plan_of, situation

from edge_gym.errors import EdgeGymInputError


def decide_often(advisor, n=30):
    """A few different prompts, each several times."""
    return [ask(advisor, text=situation(f"{i % 7} s | jetson-1 | starts"), now=i) for i in range(n)]


def record(path, play, n=30, **changes):
    advisor = make_advisor(InProcess(play), path=path, mode="record", **changes)
    decisions = decide_often(advisor, n)
    advisor.transcript.close()
    return decisions, counted(advisor)


def replay(path, n=30, **changes):
    advisor = make_advisor(None, path=path, mode="replay", allow_unpriced=False, **changes)
    return decide_often(advisor, n), counted(advisor)


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_LF_37_a_replay_is_equal_to_the_last_bit(tmp_path, probability):
    decisions, counters = record(tmp_path / "t", chaos(probability, 1, rules()))
    assert replay(tmp_path / "t") == (decisions, counters)


def test_LF_37_different_answers_to_the_same_prompt(tmp_path):
    plans = [[("set_risk_gate", {"node": "jetson-1", "level": level})] for level in ("open", "caution", "closed")]
    advisor = make_advisor(InProcess(scripted(plans)), path=tmp_path / "t", mode="record")
    first = [plan_of(ask(advisor)) for _ in range(3)]
    assert first == plans
    advisor.transcript.close()
    again = make_advisor(None, path=tmp_path / "t", mode="replay")
    assert [plan_of(ask(again)) for _ in range(3)] == plans


def test_LF_37_waits_and_declared_thinking_are_repeated(tmp_path):
    for declared in ({}, {"thinking_s": 2.0, "thinking_s_per_token": 0.01}):
        path = tmp_path / f"t{len(declared)}"
        decisions, _ = record(path, chaos(0.5, 3, rules()), **declared)
        again, _ = replay(path, **declared)
        assert [d.thinking_s for d in decisions] == [d.thinking_s for d in again]
        assert len({d.thinking_s for d in decisions}) > 3


def test_declared_thinking():
    advisor = make_advisor(InProcess(scripted([GOOD])), thinking_s=2.0, thinking_s_per_token=0.5)
    decision = ask(advisor)
    assert decision.thinking_s == 2.0 + 0.5 * advisor.counters["llm.tokens_out"]
    assert ask(make_advisor(InProcess(fault("silence")), thinking_s=2.0)).thinking_s == 30.0
    late = ask(make_advisor(InProcess(scripted([GOOD])), thinking_s=31.0))
    assert (late.fault, late.thinking_s) == ("deadline", 30.0)


def test_LF_38_another_model_answers(tmp_path):
    advisor = make_advisor(InProcess(fault("other_model")), path=tmp_path / "t", mode="record")
    assert ask(advisor).fault is None and counted(advisor)["model_changed"] == 1
    line = json.loads((tmp_path / "t").read_text())
    assert (line["model_asked"], line["model_answered"], line["model_changed"]) == ("stub-1", "another-2", True)


def test_LF_38_a_model_changes_in_the_middle(tmp_path):
    transcript = Transcript(None, "live", "gpt")
    names = ["gpt-2026-01-01", "gpt-2026-01-01", "", "gpt-2026-02-02", "gpt-2026-01-01"]
    assert [transcript.is_change(name) for name in names] == [False, False, False, True, False]


@pytest.mark.parametrize(
    "damage",
    [b"{", b"[]", b'{"version": 1}', b"\xff\xfe", b"", b'{"version": NaN}', b"[" * 20_000],
)
def test_LF_39_a_corrupt_line(tmp_path, damage):
    record(tmp_path / "t", rules())
    lines = (tmp_path / "t").read_bytes().split(b"\n")
    lines[2] = damage
    (tmp_path / "t").write_bytes(b"\n".join(lines))
    for mode, client in (("replay", None), ("record", InProcess(rules()))):
        with pytest.raises(EdgeGymInputError) as caught:
            make_advisor(client, path=tmp_path / "t", mode=mode)
        assert f"{tmp_path / 't'}:3" in str(caught.value) and len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("field", "value"),
    [("version", 2), ("fault", "nonsense"), ("latency_s", -1.0), ("latency_s", "1"), ("prompt_hash", []),
     ("answer", {}), ("answer", None), ("retry_after_s", True), ("extra", 1)],
)  # fmt: skip
def test_LF_39_a_line_with_a_wrong_field(tmp_path, field, value):
    record(tmp_path / "t", rules(), 1)
    line = json.loads((tmp_path / "t").read_text())
    (tmp_path / "t").write_text(json.dumps({**line, field: value}) + "\n")
    with pytest.raises(EdgeGymInputError, match=":1"):
        make_advisor(None, path=tmp_path / "t", mode="replay")


def test_LF_39_no_transcript(tmp_path):
    with pytest.raises(EdgeGymInputError, match="missing"):
        make_advisor(None, path=tmp_path / "missing", mode="replay")
    with pytest.raises(EdgeGymInputError, match="path"):
        make_advisor(None, mode="replay")
    os.mkfifo(tmp_path / "fifo")
    for mode, client in (("replay", None), ("record", InProcess(rules()))):
        with pytest.raises(EdgeGymInputError, match="FIFO"):
            make_advisor(client, path=tmp_path / "fifo", mode=mode)
    with pytest.raises(EdgeGymInputError, match="record, replay, live, off"):
        make_advisor(None, mode="replya")


def test_LF_39_replay_asks_nobody(tmp_path):
    record(tmp_path / "t", rules(), 3)
    client = InProcess(rules())
    advisor = make_advisor(client, path=tmp_path / "t", mode="replay")
    decide_often(advisor, 3)
    with pytest.raises(EdgeGymInputError):
        decide_often(advisor, 1)
    assert client.requests == []


def test_LF_40_a_prompt_that_was_not_recorded(tmp_path):
    record(tmp_path / "t", rules(), 3)
    expected = json.loads((tmp_path / "t").read_text().splitlines()[0])["prompt_hash"]
    advisor = make_advisor(None, path=tmp_path / "t", mode="replay")
    with pytest.raises(EdgeGymInputError) as caught:
        ask(advisor, text="another prompt")
    assert expected in str(caught.value) and str(caught.value.value) in str(caught.value)
    assert caught.value.value != expected and "--refresh" in str(caught.value)
    decide_often(advisor, 3)
    with pytest.raises(EdgeGymInputError, match="all have been taken"):
        decide_often(advisor, 1)


def test_LF_40_refresh_records_anew_and_keeps_the_old_file(tmp_path):
    record(tmp_path / "t", rules(), 3)
    old = (tmp_path / "t").read_bytes()
    client = InProcess(rules())
    decide_often(make_advisor(client, path=tmp_path / "t", mode="record", refresh=True), 2)
    assert len(client.requests) == 2 and (tmp_path / "t.old").read_bytes() == old
    assert len((tmp_path / "t").read_text().splitlines()) == 2


def test_the_hash_holds_what_the_answer_depends_on():
    base = {"model": "a", "messages": [{"role": "user", "content": "x"}], "max_tokens": 5, "temperature": 0.0}
    same = [{**base, "model": "b"}, {**base, "stream": True}, dict(reversed(base.items()))]
    assert {prompt_hash(body) for body in same} == {prompt_hash(base)}
    others = [{**base, "max_tokens": 6}, {**base, "temperature": 1.0}, {**base, "tools": []}, {**base, "messages": []}]
    assert len({prompt_hash(body) for body in [base, *others]}) == 5


def test_recording_with_another_model_is_refused(tmp_path):
    record(tmp_path / "t", rules(), 1)
    with pytest.raises(EdgeGymInputError, match="stub-1"):
        Transcript(tmp_path / "t", "record", "other")


def test_the_file_is_private_and_holds_only_what_is_listed(tmp_path):
    (tmp_path / "t").touch(0o644)
    secret = {"secret": "do not keep"}
    play = lambda request: FAULTS["other_model"](request)  # noqa: E731
    assert secret["secret"] not in repr(record(tmp_path / "t", play, 2))
    assert stat.S_IMODE(os.stat(tmp_path / "t").st_mode) == 0o600
    for text in (tmp_path / "t").read_text().splitlines():
        line = json.loads(text)
        assert sorted(line) == sorted(transcript_module.Line.__dataclass_fields__)
        assert sorted(line["answer"]) == ["calls", "content", "finish", "model", "refusal", "tokens_in", "tokens_out"]
        assert line["verdict"] == "plan"


def test_verdicts(tmp_path):
    play = scripted([[("get_status", {})], [("nonsense", {})], GOOD])
    advisor = make_advisor(InProcess(play), path=tmp_path / "t", mode="record")
    ask(advisor)
    verdicts = [json.loads(line)["verdict"] for line in (tmp_path / "t").read_text().splitlines()]
    assert verdicts == ["reads", "unknown_tool", "plan"]


def test_one_process_at_a_time(tmp_path):
    advisor = make_advisor(InProcess(rules()), path=tmp_path / "t", mode="record")
    with pytest.raises(EdgeGymInputError, match="one process"):
        make_advisor(InProcess(rules()), path=tmp_path / "t", mode="record")
    advisor.transcript.close()
    make_advisor(InProcess(rules()), path=tmp_path / "t", mode="record").transcript.close()


def test_LF_46_an_answer_is_not_paid_twice(tmp_path):
    """Stopped after 10 of 30 decisions; also with a line that the crash has cut."""
    whole, counters = record(tmp_path / "whole", chaos(0.3, 5, rules()))
    lines = (tmp_path / "whole").read_bytes().splitlines(keepends=True)
    for kept, torn in ((10, b""), (10, lines[10][:40]), (len(lines), b""), (0, lines[0][:-1])):
        path = tmp_path / f"{kept}{len(torn)}"
        path.write_bytes(b"".join(lines[:kept]) + torn)
        play = chaos(0.3, 5, rules())
        for _ in range(kept):  # the endpoint is where it was when the run stopped
            play({"messages": []})
        client = InProcess(play)
        advisor = make_advisor(client, path=path, mode="record")
        assert (decide_often(advisor), counted(advisor)) == (whole, counters)
        assert len(client.requests) == len(lines) - kept
        advisor.transcript.close()
        assert path.read_bytes() == b"".join(lines)


def test_LF_46_live_asks_again_and_keeps_a_record(tmp_path):
    record(tmp_path / "t", rules(), 3)
    client = InProcess(rules())
    decide_often(make_advisor(client, path=tmp_path / "t", mode="live"), 3)
    assert len(client.requests) == 3 and len((tmp_path / "t").read_text().splitlines()) == 6


def test_LF_46_killed_during_a_call(tmp_path):
    """A process is killed while it waits for its second answer; the first is on the disk, and is not asked again."""
    job = textwrap.dedent("""
        import sys
        from llm_toys import ask, make_advisor
        from edge_baselines.llm.client import Client
        from edge_baselines.llm.settings import LlmSettings
        url, path = sys.argv[1:]
        client = Client(LlmSettings(base_url=url, model="stub-1"))
        advisor = make_advisor(client, path=path, mode="record")
        print(*[ask(advisor, text=text).fault for text in ("one", "two")], flush=True)
        client.close()
    """)
    slow = {"on": True}

    def play(request):
        while slow["on"] and "two" in request["messages"][1]["content"]:
            time.sleep(0.01)
        return scripted([GOOD])(request)

    with StubServer(play) as server:
        command = [sys.executable, "-c", job, server.base_url, str(tmp_path / "t")]
        surroundings = {**os.environ, "PYTHONPATH": os.pathsep.join(["tests", *sys.path])}
        child = subprocess.Popen(command, env=surroundings, stdout=subprocess.PIPE, text=True)
        until = time.monotonic() + 200
        while len(server.requests) < 2 and time.monotonic() < until:
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        slow["on"] = False
        done = subprocess.run(command, env=surroundings, capture_output=True, text=True, timeout=60)
        texts = [request["messages"][1]["content"] for request in server.requests]
    assert done.stdout.split() == ["None", "None"] and texts == ["one", "two", "two"]


def test_LF_47_a_full_disk(tmp_path, monkeypatch):
    advisor = make_advisor(InProcess(rules()), path=tmp_path / "t", mode="record")
    decide_often(advisor, 3)
    before = (tmp_path / "t").read_bytes()
    real, room = os.write, [100]

    def write(file, data):
        if not room[0]:
            raise OSError(28, "No space left on device")
        taken, room[0] = min(room[0], len(data)), 0
        return real(file, data[:taken])

    monkeypatch.setattr(transcript_module.os, "write", write)
    with pytest.raises(TranscriptError) as caught:
        ask(advisor)
    assert "line 4" in str(caught.value) and "No space left" in str(caught.value) and str(tmp_path) in str(caught.value)
    assert (tmp_path / "t").read_bytes() == before


def test_off_asks_nobody():
    client = InProcess(rules())
    advisor = make_advisor(client, mode="off")
    decisions = decide_often(advisor, 10)
    assert all(d.plan is None and d.fault == "off" and d.thinking_s == 0 for d in decisions)
    assert counted(advisor) == {"decisions": 10, "fallbacks": 10, "off": 10} and client.requests == []
    advisor.preflight()
