"""A client that asks a play directly, without sockets or waiting: for tests of thousands of decisions."""

from __future__ import annotations

import json
from typing import Any

from edge_baselines.llm.client import Outcome, fault_of_status, retry_after
from edge_baselines.llm.completions import WireFault, read_body
from edge_baselines.llm.stub.plays import Play
from edge_baselines.llm.transport import MAX_BODY, BodyTooLarge, UnreadableBody, decompress


class InProcess:
    """Stands in for `client.Client`; whatever takes time is only said to have taken it.

    Args:
        play: What to answer.
        latency_s: Of every reply.

    Attributes:
        requests: Body of each request, in the order they came.
    """

    def __init__(self, play: Play, latency_s: float = 0.5):
        self.play, self.latency_s = play, latency_s
        self.requests: list[dict[str, Any]] = []

    def attempt(self, body: dict[str, Any], seconds: float, tag: str = "") -> Outcome:
        """See `client.Client.attempt`."""
        request = json.loads(json.dumps(body))
        self.requests.append(request)
        reply = self.play(request)
        takes = self.latency_s + reply.pause_s * max(0, len(reply.pieces) - 1) + reply.silent_s
        if takes > seconds:
            return Outcome(None, "deadline", "TimeoutError", round(seconds, 2))
        fault, detail = None, ""
        try:
            raw = _received(reply.pieces, reply.length)
            raw = decompress(raw, reply.headers.get("Content-Encoding", "identity"))
            if reply.status < 300:
                return Outcome(read_body(raw, bool(body.get("stream"))), None, "", takes)
            text = raw.decode("utf-8", "replace")
            fault, detail = fault_of_status(reply.status, text), f"{reply.status}: {text[:200]}"
        except BodyTooLarge:
            fault = "too_large"
        except UnreadableBody:
            fault = "not_json"
        except ConnectionError:
            fault = "connection"
        except WireFault as error:
            fault, detail = error.fault, str(error)[:300]
        headers = {name.lower(): value for name, value in reply.headers.items()}
        return Outcome(None, fault, detail, takes, retry_after(headers))


def _received(pieces: tuple[bytes, ...], length: int | None) -> bytes:
    size = sum(map(len, pieces))
    if size > MAX_BODY:
        raise BodyTooLarge
    if length is not None and length > size:
        raise ConnectionError
    return b"".join(pieces)
