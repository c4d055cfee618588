"""What a model may answer, and what becomes of it: rows LF-13 to LF-33 of the fault matrix, without sockets."""

import dataclasses
import gzip
import json
import tracemalloc
import zlib

import pydantic
import pytest
from edge_baselines.llm import strict_json
from edge_baselines.llm.arguments import Arguments
from edge_baselines.llm.completions import WireFault, read_body
from edge_baselines.llm.strict_json import RefusedJson, parse_object
from edge_baselines.llm.stub.faults import FAULTS, GATE, GOOD, fault
from edge_baselines.llm.stub.in_process import InProcess
from edge_baselines.llm.stub.plays import rules, scripted
from edge_baselines.llm.stub.replies import chunks, completion, message, stream_reply
from edge_baselines.llm.tools import RefusedCalls, Tool, nearest_names, openai_schema, read_calls
from edge_baselines.llm.transport import MAX_BODY, BodyTooLarge, UnreadableBody, decompress
from llm_toys import NODES, TOOLS, ask, check, counted, make_advisor, plan_of, situation

from edge_gym.errors import EdgeGymInputError

CLOSED = [("set_risk_gate", {"node": "rtx_4090-7", "level": "closed"}), ("finish", {"reason": "done"})]


def always(name, **changes):
    """An advisor whose model always makes this mistake, and its decision."""
    client = InProcess(fault(name))
    advisor = make_advisor(client, **changes)
    return advisor, ask(advisor), client


def once(name, **changes):
    """The same, but the mistake is made once."""
    client = InProcess(fault(name, rules(), 1))
    advisor = make_advisor(client, **changes)
    return advisor, ask(advisor), client


def test_a_good_answer_is_the_plan():
    client = InProcess(rules())
    advisor = make_advisor(client)
    decision = ask(advisor)
    assert plan_of(decision) == CLOSED and (decision.fault, decision.turns) == (None, 1)
    assert decision.thinking_s == 0.5
    assert counted(advisor).keys() == {"decisions", "plans", "calls", "tokens_in", "tokens_out"}


@pytest.mark.parametrize("name", ["html", "empty_body", "wrong_type", "not_utf8", "no_choices", "broken_gzip"])
def test_LF_13_a_body_that_is_no_completion(name):
    advisor, decision, client = always(name)
    assert decision.plan is None and decision.fault == "not_json" and len(client.requests) == 3
    assert counted(advisor)["not_json"] == 3
    _, decision, _ = once(name)
    assert plan_of(decision) == CLOSED


@pytest.mark.parametrize("name", ["huge", "gzip_bomb"])
def test_LF_14_a_body_without_end(name):
    advisor, decision, client = always(name)
    assert decision.fault == "too_large" and len(client.requests) == 1 and counted(advisor)["too_large"] == 1


def test_LF_14_a_bomb_is_never_unpacked():
    packed = gzip.compress(b" " * (32 * 2**20))
    tracemalloc.start()
    with pytest.raises(BodyTooLarge):
        decompress(packed, "gzip")
    assert tracemalloc.get_traced_memory()[1] < 4 * MAX_BODY
    tracemalloc.stop()
    with pytest.raises(UnreadableBody, match="cut"):
        decompress(gzip.compress(b"abc" * 100)[:-9], "gzip")
    assert decompress(gzip.compress(b"abc"), "gzip") == decompress(zlib.compress(b"abc"), "deflate") == b"abc"


@pytest.mark.parametrize("name", ["stream_cut", "stream_no_done", "stream_doubled", "stream_reordered"])
def test_LF_16_LF_19_a_stream_that_was_cut_doubled_or_reordered(name):
    advisor, decision, _ = always(name, stream=True)
    assert decision.plan is None and decision.fault == "stream" and counted(advisor)["stream"] == 3
    _, decision, client = once(name, stream=True)
    assert plan_of(decision) == CLOSED
    assert client.requests[0]["messages"] == client.requests[1]["messages"], "sent again as it was"


@pytest.mark.parametrize(
    "change",
    [
        lambda parts: [*parts, parts[-2]],  # a piece after the end
        lambda parts: [parts[0], {**parts[1], "id": "another"}, *parts[2:]],
        lambda parts: parts[:-2],  # no finish reason
        lambda parts: [parts[0], {**parts[1], "choices": parts[1]["choices"] * 2}, *parts[2:]],
        lambda parts: [{**parts[0], "choices": [{"delta": None}]}, *parts[1:]],
        lambda parts: [{**parts[0], "choices": [{"delta": {"tool_calls": [{"index": 0}]}}]}, *parts[1:]],
    ],
)
def test_LF_19_pieces_that_cannot_be(change):
    parts = chunks(completion(message(calls=[GATE]), usage={"prompt_tokens": 5, "completion_tokens": 5}))
    assert read_body(b"".join(stream_reply(parts).pieces), True).tokens_in == 5
    with pytest.raises(WireFault) as caught:
        read_body(b"".join(stream_reply(change(parts)).pieces), True)
    assert caught.value.fault == "stream"


def test_LF_16_a_good_stream():
    advisor = make_advisor(InProcess(rules()), stream=True)
    assert plan_of(ask(advisor)) == CLOSED and "usage_estimated" not in counted(advisor)


@pytest.mark.parametrize("name", ["length", "no_finish"])
@pytest.mark.parametrize("stream", [False, True])
def test_LF_17_an_answer_cut_at_the_limit(name, stream):
    _, decision, client = always(name, stream=stream)
    assert decision.plan is None and decision.fault == "truncated" and len(client.requests) == 3
    assert "answer shorter" in client.requests[1]["messages"][-1]["content"]


def test_LF_18_cut_arguments_that_call_themselves_complete():
    _, decision, _ = always("cut_arguments")
    assert decision.fault == "bad_arguments"


@pytest.mark.parametrize("name", ["refusal", "content_filter", "empty_message"])
@pytest.mark.parametrize("stream", [False, True])
def test_LF_20_refusals(name, stream):
    advisor, decision, client = always(name, stream=stream)
    assert decision.fault == "refusal" and len(client.requests) == 1 and counted(advisor)["refusal"] == 1


@pytest.mark.parametrize("name", ["prose", "fenced"])
def test_LF_21_json_in_prose_is_not_scraped(name):
    advisor, decision, _ = always(name)
    assert decision.fault == "no_call" and counted(advisor)["fallbacks"] == 1
    _, decision, _ = once(name)
    assert plan_of(decision) == CLOSED and decision.turns == 2


@pytest.mark.parametrize("name", ["single_quotes", "trailing_comma", "comment"])
def test_LF_22_broken_json_is_corrected_by_the_model_and_never_repeated_to_it(name):
    _, decision, client = once(name)
    assert plan_of(decision) == CLOSED and decision.turns == 2
    second = client.requests[1]["messages"]
    assert [message["role"] for message in second] == ["system", "user", "assistant", "user"]
    assert not any("tool_calls" in message for message in second)
    refused = json.loads(json.dumps(FAULTS[name]({"messages": []}).pieces[0].decode()))
    arguments = json.loads(refused)["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"]
    assert arguments not in json.dumps(second) and len(second[-1]["content"]) < 620
    _, decision, _ = always(name)
    assert (decision.fault, decision.turns) == ("bad_arguments", 3)


@pytest.mark.parametrize("name", ["null", "list", "number", "string", "true"])
def test_LF_23_something_else_than_an_object(name):
    _, decision, _ = always(f"json_{name}")
    assert decision.fault == "bad_arguments" and "must be a JSON object" in decision.reason


@pytest.mark.parametrize(
    "name", ["duplicate", "nan", "infinity", "overflow", "long_integer", "deep", "empty", "surrogate"]
)
def test_LF_24_json_that_python_would_take(name):
    _, decision, _ = always(f"json_{name}")
    assert decision.fault == "bad_arguments" and len(decision.reason) <= 500


@pytest.mark.parametrize(
    "text", ['{"a": 1} {}', "\ufeff{}", "{} x", "[" * 100_000, '{"a": -Infinity}', "{" * 999, "\x00"]
)
def test_LF_24_the_reader_repairs_nothing(text):
    with pytest.raises(RefusedJson) as caught:
        parse_object(text)
    assert len(str(caught.value)) <= strict_json.MAX_REASON and str(caught.value).isprintable()


def test_LF_24_the_reader_echoes_little():
    with pytest.raises(RefusedJson) as caught:
        parse_object('{"' + "k" * 900_000 + '": 1, "' + "k" * 900_000 + '": 1}')
    assert len(str(caught.value)) <= 500
    with pytest.raises(RefusedJson, match="characters"):
        parse_object(" " * (2**20 + 1))
    assert parse_object('{"a": [1, 2.5, null, true, "\\u00e9"]}') == {"a": [1, 2.5, None, True, "é"]}


@pytest.mark.parametrize("name", ["unknown_tool", "tool_case", "tool_space", "tool_lookalike"])
def test_LF_25_tools_by_their_exact_names(name):
    _, decision, client = always(name)
    assert decision.fault == "unknown_tool"
    shown = client.requests[1]["messages"][-1]["content"]
    assert all(tool.name in shown for tool in TOOLS)


@pytest.mark.parametrize(
    ("name", "field"),
    [("missing_argument", "level"), ("extra_argument", "force"), ("string_for_integer", "probes"),
     ("true_for_integer", "probes")],
)  # fmt: skip
def test_LF_26_arguments_that_do_not_fit(name, field):
    _, decision, _ = always(name)
    assert decision.fault == "bad_arguments" and field in decision.reason


@pytest.mark.parametrize("value", [0.5, 1, 2.0, 0])
def test_LF_26_a_choice_of_numbers(value):
    (call,) = read_calls([("configure_router", json.dumps({"exploration": value}))], TOOLS)
    assert call.arguments.exploration == value and json.loads(call.canonical()) == {"exploration": value}


@pytest.mark.parametrize("value", [0.7, "0.5", True, -1])
def test_LF_26_no_other_number(value):
    with pytest.raises(RefusedCalls, match="exploration"):
        read_calls([("configure_router", json.dumps({"exploration": value}))], TOOLS)


@pytest.mark.parametrize("name", ["unknown_node", "lookalike_node"])
def test_LF_27_names_that_do_not_exist(name):
    _, decision, _ = always(name)
    assert decision.fault == "not_allowed" and "rtx_4090-7" in decision.reason
    assert len(nearest_names("rtx_4090-99", NODES)) == 5 and nearest_names("rtx_4090-77", NODES)[0] == "rtx_4090-7"


def test_LF_28_what_was_valid_when_asked_is_checked_when_answered():
    alive = {"rtx_4090-7"}

    def goes_away(request):
        alive.clear()
        return [GATE]

    advisor = make_advisor(InProcess(scripted(goes_away)))
    wrong = lambda calls: None if all(c.arguments.node in alive for c in calls) else "rtx_4090-7 is offline"  # noqa: E731
    decision = ask(advisor, check=wrong)
    assert decision.plan is None and decision.fault == "not_allowed" and "offline" in decision.reason


def test_LF_29_a_value_out_of_range_is_refused_and_not_clipped():
    _, decision, _ = always("out_of_range")
    assert decision.fault == "bad_arguments" and "probes" in decision.reason and "4" in decision.reason


def test_LF_30_a_contradiction_refuses_the_whole_plan():
    _, decision, _ = always("contradiction")
    assert decision.fault == "not_allowed" and "two levels" in decision.reason


def test_LF_31_too_many_calls():
    _, decision, _ = always("many_calls")
    assert decision.fault == "too_many_calls"
    calls = [("get_status", json.dumps({"node": str(i)})) for i in range(17)]
    assert len(read_calls(calls[:16], TOOLS)) == 16
    with pytest.raises(RefusedCalls) as caught:
        read_calls(calls, TOOLS)
    assert caught.value.fault == "too_many_calls"


def test_LF_31_the_same_call_three_times():
    _, decision, _ = always("same_call")
    assert decision.fault == "loop"
    twice = [("get_status", '{"node": "a"}'), ("get_status", '{ "node":"a"}')]
    calls = read_calls(twice, TOOLS)
    with pytest.raises(RefusedCalls, match="same call"):
        read_calls(twice[:1], TOOLS, calls)
    _, decision, _ = always("unknown_node")
    assert decision.fault == "not_allowed", "a call that was refused, and comes again, is no loop"


def test_LF_31_the_same_question_three_times():
    decision = ask(make_advisor(InProcess(scripted([[("get_status", {})]]))))
    assert (decision.fault, decision.turns) == ("loop", 5), "two reads, and three times refused"


def test_LF_32_calls_stay_in_their_order():
    calls = [("set_risk_gate", {"node": node, "level": "caution"}) for node in NODES[:4]]
    wanted = [*calls[::-1], ("configure_router", {"exploration": 0.5}), ("finish", {"reason": "x"})]
    decision = ask(make_advisor(InProcess(scripted([wanted]))))
    assert [(name, json.loads(json.dumps(args))) for name, args in plan_of(decision)] == wanted
    wrong = [("finish", {"reason": "x"}), *calls]
    assert ask(make_advisor(InProcess(scripted([wrong])))).fault == "bad_arguments"


def test_LF_33_endless_reading_ends():
    advisor, decision, client = always("endless_reads")
    assert (decision.fault, decision.turns) == ("turns", 6) and len(client.requests) == 6
    assert counted(advisor)["turns"] == 1


def test_LF_33_reads_are_answered_and_go_on():
    client = InProcess(scripted([[("get_status", {}), ("get_status", {"node": "jetson-1"})], CLOSED]))
    decision = ask(make_advisor(client))
    assert plan_of(decision) == CLOSED and decision.turns == 2
    asked, *answers = client.requests[1]["messages"][2:]
    assert [call["function"]["arguments"] for call in asked["tool_calls"]] == ["{}", '{"node": "jetson-1"}']
    assert [(a["role"], a["content"]) for a in answers] == [("tool", "all is well")] * 2
    assert [a["tool_call_id"] for a in answers] == [call["id"] for call in asked["tool_calls"]]


def test_reads_beside_writes_are_dropped_but_checked():
    mixed = [("get_status", {"node": "jetson-1"}), GATE]
    assert plan_of(ask(make_advisor(InProcess(scripted([mixed]))))) == [GATE]
    wrong = [("get_status", {"node": "mars-1"}), GATE]
    assert ask(make_advisor(InProcess(scripted([wrong])))).fault == "not_allowed"


def test_at_most_two_corrections():
    mistakes = [[("x", {})], [("y", {})], [("z", {})], GOOD]
    decision = ask(make_advisor(InProcess(scripted(mistakes))))
    assert (decision.fault, decision.turns) == ("unknown_tool", 3)
    assert ask(make_advisor(InProcess(scripted(mistakes[1:])))).fault is None
    assert ask(make_advisor(InProcess(scripted(mistakes)), corrective_turns=0)).turns == 1


def test_only_the_last_mistake_is_named():
    client = InProcess(scripted([[("xyz", {})], [("abc", {})], GOOD]))
    assert ask(make_advisor(client)).fault is None
    third = json.dumps(client.requests[2]["messages"])
    assert "abc" in third and "xyz" not in third and len(client.requests[2]["messages"]) == 4


def test_a_correction_is_forgotten_once_it_has_helped():
    client = InProcess(scripted([[("abc", {})], [("get_status", {})], GOOD]))
    assert ask(make_advisor(client)).fault is None
    assert [message["role"] for message in client.requests[2]["messages"]] == ["system", "user", "assistant", "tool"]


def test_the_answer_to_a_read_is_bounded():
    client = InProcess(scripted([[("get_status", {})], GOOD]))
    make_advisor(client).decide("s", "u", check, lambda call: "x" * 100_000, 0.0)
    assert len(client.requests[1]["messages"][-1]["content"]) == 8000


def test_no_question_without_time():
    client = InProcess(fault("prose"))
    decision = ask(make_advisor(client, thinking_s=15.0))
    assert (decision.fault, decision.thinking_s, len(client.requests)) == ("deadline", 30.0, 2)


@pytest.mark.parametrize(("thinking_s", "takes_s"), [(4.0, 4.0), (8.0, 5.0)])
def test_a_decision_takes_no_longer_than_its_deadline(thinking_s, takes_s):
    """A good answer after 8 s of at most 5 s is none; the caller falls back after 5 s."""
    advisor = make_advisor(InProcess(scripted([GOOD])), thinking_s=thinking_s, deadline_s=5.0)
    decision = ask(advisor)
    assert decision.thinking_s == takes_s and (decision.plan is None) == (thinking_s > 5.0)


def test_tools_must_be_strict():
    class Loose(pydantic.BaseModel):
        x: int

    with pytest.raises(EdgeGymInputError, match="strict"):
        Tool("t", "", Loose, writes=True)

    class Fine(Arguments):
        x: int

    (schema,) = openai_schema([Tool("t", "says", Fine, writes=True)])
    assert schema["function"]["parameters"]["additionalProperties"] is False
    assert dataclasses.replace(TOOLS[0], writes=False).writes is False


@pytest.mark.parametrize("name", FAULTS)
@pytest.mark.parametrize("stream", [False, True])
def test_every_fault_ends_in_a_valid_plan_or_none(name, stream):
    advisor, decision, _ = always(name, stream=stream)
    assert decision.plan is None or check(decision.plan) is None
    assert (decision.plan is None) == (decision.fault is not None)
    assert decision.thinking_s <= advisor.settings.deadline_s
    if decision.fault:
        assert counted(advisor)[decision.fault] >= 1 and counted(advisor)["fallbacks"] == 1
        assert decision.reason.isprintable() and len(decision.reason) <= 500
    assert situation() not in decision.reason
