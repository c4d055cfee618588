"""What the stub sends: a reply as plain data, and how proper chat completions are made."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

MODEL = "stub-1"


@dataclass(frozen=True)
class Reply:
    """A response, and how it is sent.

    Attributes:
        status: HTTP status.
        headers: Beside the content type and the length.
        content_type: Of the body.
        pieces: The body, sent piece by piece.
        pause_s: Before each piece but the first.
        length: Announced length; None announces the true one, -1 announces none and ends by closing.
        silent_s: After the last piece the connection stays open and silent for so long.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    pieces: tuple[bytes, ...] = ()
    pause_s: float = 0.0
    length: int | None = None
    silent_s: float = 0.0


Calls = Sequence[tuple[str, Any]]  # name, and arguments as a dictionary or as raw text


def message(content: str | None = None, calls: Calls = ()) -> dict[str, Any]:
    """Returns an assistant's message."""
    made: dict[str, Any] = {"role": "assistant", "content": content}
    if calls:
        made["tool_calls"] = [
            {
                "id": f"call_{i}",
                "type": "function",
                "function": {"name": name, "arguments": args if isinstance(args, str) else json.dumps(args)},
            }
            for i, (name, args) in enumerate(calls)
        ]
    return made


def completion(said: dict[str, Any], finish: str | None = None, **changes: Any) -> dict[str, Any]:
    """Returns a chat completion around a message; `changes` replace its fields."""
    tokens_out = max(1, len(json.dumps(said)) // 4)
    reason = finish or ("tool_calls" if said.get("tool_calls") else "stop")
    made = {
        "id": "chatcmpl-stub",
        "object": "chat.completion",
        "created": 0,
        "model": MODEL,
        "choices": [{"index": 0, "message": said, "finish_reason": reason}],
        "usage": {"prompt_tokens": None, "completion_tokens": tokens_out},
    }
    return {**made, **changes}


def counted(made: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
    """Fills in the tokens of the prompt, four bytes each."""
    usage = made.get("usage")
    if usage is None or usage["prompt_tokens"] is not None:
        return made
    return {**made, "usage": {**usage, "prompt_tokens": max(1, len(json.dumps(request)) // 4)}}


def chunks(made: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns a completion cut into the pieces of a stream: the texts of arguments in halves."""
    choice = made["choices"][0]
    said = choice["message"]
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": said.get("content") or ""}]
    for i, call in enumerate(said.get("tool_calls", ())):
        function = call["function"]
        text = function["arguments"]
        half = len(text) // 2
        deltas.append({"tool_calls": [{**call, "index": i, "function": {**function, "arguments": text[:half]}}]})
        deltas.append({"tool_calls": [{"index": i, "function": {"arguments": text[half:]}}]})
    head = {"id": made["id"], "object": "chat.completion.chunk", "created": 0, "model": made["model"]}
    parts = [{**head, "choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    parts.append({**head, "choices": [{"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]}]})
    if made.get("usage") is not None:
        parts.append({**head, "choices": [], "usage": made["usage"]})
    return parts


def stream_reply(parts: Sequence[dict[str, Any]], done: bool = True, **changes: Any) -> Reply:
    """Returns the reply that streams these pieces."""
    pieces = [b"data: " + json.dumps(part).encode() + b"\n\n" for part in parts]
    if done:
        pieces.append(b"data: [DONE]\n\n")
    options: dict[str, Any] = {"content_type": "text/event-stream", "length": -1, **changes}
    return Reply(pieces=tuple(pieces), **options)


def reply_with(made: dict[str, Any], request: dict[str, Any]) -> Reply:
    """Returns the reply that holds a completion, as a stream if the request asks for one."""
    made = counted(made, request)
    if request.get("stream"):
        return stream_reply(chunks(made))
    return Reply(pieces=(json.dumps(made).encode(),))
