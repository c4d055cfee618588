"""Chat completions on the wire: the body of a request, and what is read from the body of an answer."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from edge_baselines.llm.settings import LlmSettings
from edge_baselines.llm.strict_json import RefusedJson, parse_object

COMPLETE = ("stop", "tool_calls")
Message = dict[str, Any]


class WireFault(Exception):
    """The body is not a proper answer; `fault` is its name."""

    def __init__(self, fault: str, detail: str):
        super().__init__(detail)
        self.fault = fault


@dataclass(frozen=True)
class Answer:
    """What was taken from an answer; everything else the endpoint sent is dropped.

    Attributes:
        content: Prose, or "".
        calls: Name and arguments (text, unparsed) of each call.
        finish: The finish reason as sent, or "".
        refusal: Whether the endpoint marked the message as a refusal.
        model: Name of the model that answered, or "".
        tokens_in: Reported tokens of the prompt; None if missing or no integer.
        tokens_out: Reported tokens of the answer; None if missing or no integer.
    """

    content: str
    calls: tuple[tuple[str, str], ...]
    finish: str
    refusal: bool
    model: str
    tokens_in: int | None
    tokens_out: int | None

    def to_record(self) -> dict[str, Any]:
        """Plain data for a transcript."""
        return {**asdict(self), "calls": [list(call) for call in self.calls]}

    @classmethod
    def from_record(cls, record: dict[str, Any]) -> Answer:
        """The answer of `to_record`.

        Raises:
            TypeError, ValueError: If the record does not hold exactly these fields.
        """
        calls = tuple((name, text) for name, text in record["calls"])
        fields: dict[str, Any] = {**record, "calls": calls}
        answer = cls(**fields)
        texts = (answer.content, answer.finish, answer.model, *(part for call in calls for part in call))
        counts = (answer.tokens_in, answer.tokens_out)
        if not all(isinstance(text, str) for text in texts) or not isinstance(answer.refusal, bool):
            raise TypeError("an answer is made of text")
        if not all(count is None or type(count) is int for count in counts):
            raise TypeError("tokens are counted")
        return answer

    def size(self) -> int:
        """Bytes of what the model wrote: an upper bound of its tokens, since a token has at least one byte."""
        texts = [self.content, *(part for call in self.calls for part in call)]
        return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)


def request_body(messages: Sequence[Message], schema: list[dict[str, Any]], settings: LlmSettings) -> dict[str, Any]:
    """Returns the body of a request."""
    body: dict[str, Any] = {
        "model": settings.model,
        "messages": list(messages),
        settings.token_limit: settings.max_tokens,
    }
    if schema:
        body["tools"] = schema
    if settings.temperature is not None:
        body["temperature"] = settings.temperature
    if settings.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return body


def digest(value: Any) -> str:
    """SHA-256 of plain data, independent of the order of keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def prompt_hash(body: dict[str, Any]) -> str:
    """Hash of all that the answer depends on but the model's name; streaming changes nothing."""
    return digest({key: value for key, value in body.items() if key not in ("model", "stream", "stream_options")})


def upper_bound_tokens(body: dict[str, Any]) -> int:
    """No tokeniser makes more tokens than bytes; templates add a few for each message."""
    return len(json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")) + 16 * len(body["messages"])


def read_body(raw: bytes, stream: bool) -> Answer:
    """Returns the answer in the body of a response.

    Args:
        raw: The whole body.
        stream: Whether server-sent events are expected.

    Raises:
        WireFault: `not_json` or `stream`.
    """
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        raise WireFault("not_json", "the body is not UTF-8") from None
    if stream:
        return _read_stream(text)
    try:
        data = parse_object(text)
    except RefusedJson as error:
        raise WireFault("not_json", str(error)) from None
    choice = _first_choice(data, "not_json")
    message = choice.get("message")
    if not isinstance(message, dict):
        raise WireFault("not_json", "the answer has no message")
    calls = tuple(_call(item) for item in _items(message.get("tool_calls")))
    return _answer(message, calls, choice.get("finish_reason"), data.get("model"), data.get("usage"))


def _answer(message: dict[str, Any], calls: tuple[tuple[str, str], ...], finish: Any, model: Any, usage: Any) -> Answer:
    counts = usage if isinstance(usage, dict) else {}
    whole = {key: value for key, value in counts.items() if isinstance(value, int) and not isinstance(value, bool)}
    return Answer(
        content=_text(message.get("content")),
        calls=calls,
        finish=_text(finish)[:64],
        refusal=bool(message.get("refusal")),
        model=_text(model)[:200],
        tokens_in=whole.get("prompt_tokens"),
        tokens_out=whole.get("completion_tokens"),
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _items(value: Any) -> list[dict[str, Any]]:
    """The objects of an optional list."""
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise WireFault("not_json", "tool_calls is not a list of objects")
    return value


def _call(item: dict[str, Any]) -> tuple[str, str]:
    function = item.get("function")
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise WireFault("not_json", "a tool call has no name")
    arguments = function.get("arguments")
    # An object instead of JSON text: some endpoints do so; as text it goes through the same strict reader.
    return function["name"], arguments if isinstance(arguments, str) else json.dumps(arguments)


def _first_choice(data: dict[str, Any], fault: str) -> dict[str, Any]:
    choices = data.get("choices")
    if not isinstance(choices, list) or len(choices) != 1 or not isinstance(choices[0], dict):
        raise WireFault(fault, "the answer does not have exactly one choice")
    return choices[0]


class _StreamState:
    """Puts the pieces of a stream together and refuses any piece that cannot come next."""

    def __init__(self) -> None:
        self.id: Any = None
        self.model = ""
        self.usage: Any = None
        self.finish: str | None = None
        self.content = ""
        self.refusal = ""
        self.calls: list[list[str]] = []

    def take(self, chunk: dict[str, Any]) -> None:
        if self.id is not None and chunk.get("id") != self.id:
            raise WireFault("stream", "pieces of two answers")
        self.id = chunk.get("id")
        self.model = _text(chunk.get("model")) or self.model
        self.usage = chunk.get("usage") or self.usage
        if not chunk.get("choices"):
            return
        choice = _first_choice(chunk, "stream")
        delta = choice.get("delta")
        if self.finish is not None or not isinstance(delta, dict):
            raise WireFault("stream", "a piece after the end, or without content")
        self.content += _text(delta.get("content"))
        self.refusal += _text(delta.get("refusal"))
        for item in _items(delta.get("tool_calls")):
            self.take_call(item)
        self.finish = choice.get("finish_reason")

    def take_call(self, item: dict[str, Any]) -> None:
        index, function = item.get("index"), item.get("function")
        if not isinstance(function, dict):
            raise WireFault("stream", "a tool call without a function")
        name, arguments = function.get("name"), _text(function.get("arguments"))
        if name and index == len(self.calls):
            self.calls.append([_text(name), arguments])
        elif not name and self.calls and index == len(self.calls) - 1:
            self.calls[-1][1] += arguments
        else:
            raise WireFault("stream", "pieces of tool calls doubled or out of order")


def _read_stream(text: str) -> Answer:
    events = [line[5:].strip() for line in text.split("\n") if line.startswith("data:")]
    if not events:
        raise WireFault("not_json", "the body is no stream of events")
    if events[-1] != "[DONE]" or "[DONE]" in events[:-1]:
        raise WireFault("stream", "the stream does not end with one [DONE]")
    state = _StreamState()
    for event in events[:-1]:
        try:
            state.take(parse_object(event))
        except RefusedJson as error:
            raise WireFault("stream", str(error)) from None
    if state.finish is None:
        raise WireFault("stream", "the stream has no finish reason")
    message = {"content": state.content, "refusal": state.refusal}
    return _answer(message, tuple((n, a) for n, a in state.calls), state.finish, state.model, state.usage)
