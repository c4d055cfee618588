"""A loopback server that speaks enough of the chat-completions API to be asked, and to misbehave."""

from __future__ import annotations

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from edge_baselines.llm.stub.faults import FAULTS, fault
from edge_baselines.llm.stub.plays import Play, chat, obedient, rules
from edge_baselines.llm.stub.polish import polish
from edge_baselines.llm.stub.replies import Reply
from edge_gym.errors import EdgeGymInputError, nearest

MAX_REQUEST = 8 * 2**20  # bytes
PLAYS = {"rules": rules, "obedient": obedient, "chat": chat, "polish": polish}


class StubServer:
    """Serves a play on 127.0.0.1 until it is closed; use it in a `with` statement.

    Args:
        play: What to answer.
        port: 0 takes a free one.

    Attributes:
        base_url: For `LlmSettings`.
        requests: Body of each request, in the order they came.
        headers: Their headers, with lower-case names.
    """

    def __init__(self, play: Play, port: int = 0):
        self.play = play
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.stopping = threading.Event()
        self._one_at_a_time = threading.Lock()
        owner = self

        class Handler(_Handler):
            stub = owner

        self._server = _Server(("127.0.0.1", port), Handler)
        self.base_url = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def __enter__(self) -> StubServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop serving; replies that are still being sent are broken off."""
        self.stopping.set()
        self._server.shutdown()
        self._thread.join(5.0)
        self._server.server_close()

    def forget(self) -> None:
        """Forget the requests that came so far."""
        with self._one_at_a_time:
            self.requests.clear()
            self.headers.clear()

    def wait(self) -> None:
        """Serve until a signal comes."""
        self._thread.join()

    def answer(self, request: dict[str, Any], headers: dict[str, str]) -> Reply:
        """Note a request and play."""
        with self._one_at_a_time:
            self.requests.append(request)
            self.headers.append(headers)
            return self.play(request)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing where whoever asked has gone, at whatever point of the conversation."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    stub: StubServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Answer a request, whatever its path."""
        self.close_connection = True
        try:
            size = min(int(self.headers.get("content-length", "0")), MAX_REQUEST)
            request = json.loads(self.rfile.read(size))
            if not isinstance(request, dict):
                raise ValueError("a request is an object")
        except (ValueError, RecursionError):
            self.send_error(400)
            return
        headers = {key.lower(): value for key, value in self.headers.items()}
        self._send(self.stub.answer(request, headers))

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        self.send_header("Content-Type", reply.content_type)
        self.send_header("Connection", "close")
        for name, value in reply.headers.items():
            self.send_header(name, value)
        length = sum(map(len, reply.pieces)) if reply.length is None else reply.length
        if length >= 0:
            self.send_header("Content-Length", str(length))
        self.end_headers()
        for i, piece in enumerate(reply.pieces):
            if i and reply.pause_s and self.stub.stopping.wait(reply.pause_s):
                return
            self.wfile.write(piece)
            self.wfile.flush()
        self.stub.stopping.wait(reply.silent_s)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is logged: headers hold keys."""


def play_named(name: str) -> Play:
    """Returns a play by name: one of `PLAYS`, or a fault of `stub.faults`.

    Raises:
        EdgeGymInputError: If there is no such play.
    """
    if name in PLAYS:
        return PLAYS[name]()
    if name in FAULTS:
        return fault(name)
    some = f"faults: {', '.join(list(FAULTS)[:10])}, ... {len(FAULTS)} in edge_baselines.llm.stub.faults.FAULTS"
    hint = "; ".join(filter(None, (nearest(name, [*PLAYS, *FAULTS]), some)))
    raise EdgeGymInputError("play", name, f"one of {', '.join(PLAYS)}, or a fault", hint=hint)


def serve(name: str, port: int) -> None:
    """Serve a play by name, print the address, and go on until a signal comes."""
    with StubServer(play_named(name), port) as server:
        print(server.base_url, flush=True)
        server.wait()
