"""Everything an endpoint can do wrong, by name: each turns the request and a good answer into a bad reply."""

from __future__ import annotations

import functools
import gzip
import json
import random
from collections.abc import Callable, Sequence
from typing import Any

from edge_baselines.llm.stub.plays import Play
from edge_baselines.llm.stub.replies import Calls, Reply, chunks, completion, counted, message, reply_with, stream_reply

Fault = Callable[[dict[str, Any]], Reply]
GOOD: Calls = (("finish", {"reason": "nothing to do"}),)
GATE = ("set_risk_gate", {"node": "rtx_4090-7", "level": "closed"})
HUGE = 200 * 2**20  # bytes; nobody may read so many


def _error(status: int, code: str = "", text: str = "", **headers: str) -> Fault:
    body = {"error": {"message": text or f"status {status}", "type": "error", "code": code or None}}
    return lambda request: Reply(status, headers, pieces=(json.dumps(body).encode(),))


def _body(raw: bytes, content_type: str = "application/json", **changes: Any) -> Fault:
    return lambda request: Reply(content_type=content_type, pieces=(raw,), **changes)


def _says(content: str | None = None, calls: Calls = (), finish: str | None = None, **changes: Any) -> Fault:
    return lambda request: reply_with(completion(message(content, calls), finish, **changes), request)


def _arguments(text: str) -> Fault:
    return _says(calls=[("set_risk_gate", text)])


def _gate(**arguments: Any) -> Fault:
    return _says(calls=[("set_risk_gate", {**GATE[1], **arguments})])


def _refused(request: dict[str, Any]) -> Reply:
    return reply_with(completion({**message(), "refusal": "I cannot help with that."}), request)


def _usage(usage: dict[str, Any] | None) -> Fault:
    return _says(calls=GOOD, usage=usage)


def _parts(request: dict[str, Any]) -> list[dict[str, Any]]:
    return chunks(counted(completion(message(calls=[GATE])), request))


def _cut(request: dict[str, Any]) -> Reply:
    return stream_reply(_parts(request)[:2], done=False)


def _doubled(request: dict[str, Any]) -> Reply:
    parts = _parts(request)
    return stream_reply([*parts[:2], parts[1], *parts[2:]])


def _reordered(request: dict[str, Any]) -> Reply:
    parts = _parts(request)
    return stream_reply([parts[0], parts[2], parts[1], *parts[3:]])


def _trickle(request: dict[str, Any]) -> Reply:
    return Reply(pieces=(b" ",) * 10_000, pause_s=0.02)


@functools.cache
def _bomb() -> bytes:
    return gzip.compress(b" " * (64 * 2**20), 9)


def _gzip_bomb(request: dict[str, Any]) -> Reply:
    return Reply(headers={"Content-Encoding": "gzip"}, pieces=(_bomb(),))


def _huge(request: dict[str, Any]) -> Reply:
    return Reply(pieces=(b"[" + b" " * 65_535,) * (HUGE // 65_536))


def _deep(depth: int) -> str:
    return '{"node": ' + "[" * depth + "]" * depth + "}"


QUOTED = json.dumps(dict(GATE[1]))

FAULTS: dict[str, Fault] = {
    "silence": lambda request: Reply(length=100, silent_s=60.0),
    "trickle": _trickle,
    "rate_limit": _error(429),
    "retry_after_2": _error(429, **{"Retry-After": "2"}),
    "retry_after_day": _error(429, **{"Retry-After": "86400"}),
    "retry_after_words": _error(429, **{"Retry-After": "soon"}),
    "retry_after_negative": _error(429, **{"Retry-After": "-5"}),
    "retry_after_date": _error(429, **{"Retry-After": "Fri, 31 Dec 2100 23:59:59 GMT"}),
    "retry_after_past": _error(429, **{"Retry-After": "Fri, 31 Dec 1999 23:59:59 GMT"}),
    "quota": _error(429, "insufficient_quota"),
    **{f"status_{status}": _error(status) for status in (400, 401, 403, 404, 410, 418, 500, 502, 503, 504, 529)},
    "context_too_long": _error(400, "context_length_exceeded"),
    "html": _body(b"<html><body>Bad gateway</body></html>", "text/html"),
    "empty_body": _body(b""),
    "wrong_type": _body(b"all is well", "text/plain"),
    "not_utf8": _body(b'{"choices": "\xff\xfe"}'),
    "no_choices": _body(b'{"choices": []}'),
    "huge": _huge,
    "gzip_bomb": _gzip_bomb,
    "broken_gzip": _body(b"no gzip", headers={"Content-Encoding": "gzip"}),
    "odd_coding": _body(b"{}", headers={"Content-Encoding": "br"}),
    "redirect": _error(307, Location="http://127.0.0.1:9/v1/chat/completions"),
    "cut_body": lambda request: Reply(pieces=(b'{"choices"',), length=5000),
    "stream_cut": _cut,
    "stream_doubled": _doubled,
    "stream_reordered": _reordered,
    "stream_no_done": lambda request: stream_reply(_parts(request), done=False),
    "length": _says(calls=[GATE], finish="length"),
    "no_finish": lambda request: reply_with(completion(message(calls=[GATE]), finish="unknown"), request),
    "cut_arguments": _says(calls=[("set_risk_gate", QUOTED[: len(QUOTED) // 2])], finish="tool_calls"),
    "refusal": _refused,
    "content_filter": _says("", finish="content_filter"),
    "empty_message": _says(""),
    "prose": _says(f"I would call set_risk_gate with {QUOTED}."),
    "fenced": _says(f"```json\n{QUOTED}\n```"),
    "single_quotes": _arguments("{'node': 'rtx_4090-7', 'level': 'closed'}"),
    "trailing_comma": _arguments(QUOTED[:-1] + ",}"),
    "comment": _arguments(QUOTED[:-1] + "/* x */}"),
    **{f"json_{name}": _arguments(text) for name, text in {
        "null": "null", "list": "[]", "number": "3", "string": '"x"', "true": "true", "empty": "",
        "duplicate": '{"node": "rtx_4090-7", "level": "open", "level": "closed"}',
        "nan": '{"node": NaN}', "infinity": '{"node": Infinity}', "overflow": '{"node": 1e999}',
        "long_integer": '{"node": ' + "9" * 5000 + "}", "deep": _deep(10_000), "surrogate": '{"node": "\\ud800"}',
    }.items()},
    "unknown_tool": _says(calls=[("run_shell", {"command": "ls"})]),
    "tool_case": _says(calls=[("Set_Risk_Gate", GATE[1])]),
    "tool_space": _says(calls=[(" set_risk_gate", GATE[1])]),
    "tool_lookalike": _says(calls=[("set_r\u0456sk_gate", GATE[1])]),
    "missing_argument": _says(calls=[("set_risk_gate", {"node": "rtx_4090-7"})]),
    "extra_argument": _gate(force=True),
    "string_for_integer": _says(calls=[("calibrate", {"node": "rtx_4090-7", "model": "sd", "probes": "3"})]),
    "true_for_integer": _says(calls=[("calibrate", {"node": "rtx_4090-7", "model": "sd", "probes": True})]),
    "unknown_node": _gate(node="rtx_4090-8"),
    "lookalike_node": _gate(node="rtx_409\u041e-7"),
    "out_of_range": _says(calls=[("calibrate", {"node": "rtx_4090-7", "model": "sd", "probes": 10**9})]),
    "contradiction": _says(calls=[GATE, ("set_risk_gate", {**GATE[1], "level": "open"})]),
    "many_calls": _says(calls=[("set_risk_gate", {"node": f"rtx_4090-{i}", "level": "closed"}) for i in range(500)]),
    "same_call": _says(calls=[GATE] * 3),
    "endless_reads": lambda request: reply_with(
        completion(message(calls=[("get_status", {"node": f"rtx_4090-{len(request['messages']) % 8}"})])), request
    ),
    "usage_missing": _usage(None),
    "usage_zero": _usage({"prompt_tokens": 0, "completion_tokens": 0}),
    "usage_negative": _usage({"prompt_tokens": -7, "completion_tokens": -7}),
    "usage_absurd": _usage({"prompt_tokens": 10**15, "completion_tokens": 10**15}),
    "usage_words": _usage({"prompt_tokens": "many", "completion_tokens": True}),
    "other_model": _says(calls=GOOD, model="another-2"),
}  # fmt: skip


def fault(name: str, then: Play | None = None, times: int | None = None) -> Play:
    """Plays one fault for the first `times` requests (None: for ever), and `then` afterwards."""
    played = 0

    def play(request: dict[str, Any]) -> Reply:
        nonlocal played
        if then is not None and times is not None and played >= times:
            return then(request)
        played += 1
        return FAULTS[name](request)

    return play


def chaos(probability: float, seed: int, then: Play, names: Sequence[str] = tuple(FAULTS)) -> Play:
    """Plays a random fault with this probability, else `then`; the sequence depends on the seed alone."""
    numbers = random.Random(seed)

    def play(request: dict[str, Any]) -> Reply:
        name = numbers.choice(names) if numbers.random() < probability else None
        return then(request) if name is None else FAULTS[name](request)

    return play
