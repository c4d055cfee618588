"""A process that hosts agents: `python -m edge_baselines.testbed.host`, started by `process.HostProcess`.

It reads its settings from the first line of its input, prints its port, and then serves frames on loopback, one request
on a connection. When its input ends, it ends: so it never outlives whoever started it, however that one died.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import os
import socket
import sys
import threading
import time
from typing import Any

from edge_baselines.llm.client import Client
from edge_baselines.llm.faults import LlmUnavailable
from edge_baselines.llm.settings import LlmSettings
from edge_baselines.testbed.agent import HostedAgent
from edge_baselines.testbed.commands import REQUEST_S, Host
from edge_baselines.testbed.frames import LOOPBACK, Connection, FrameError, Refused

HEADER_S = 5.0  # for a stranger to show the token
MAX_REQUESTS = 16  # at the same time; more wait to be accepted


def serve(host: Host, listener: socket.socket, token: str) -> None:
    """Answer whoever knows the token, for ever."""
    free = threading.Semaphore(MAX_REQUESTS)

    def attend(sock: socket.socket) -> None:
        try:
            with Connection(sock, HEADER_S) as connection:
                _answer_one(host, connection, token)
        except FrameError:
            pass  # whoever asked has gone, or is no host of ours
        finally:
            free.release()

    while True:
        free.acquire()
        sock, _ = listener.accept()
        threading.Thread(target=attend, args=(sock,), daemon=True).start()


def _answer_one(host: Host, connection: Connection, token: str) -> None:
    try:
        request, size = connection.receive_header()
        if not hmac.compare_digest(str(request.get("token")).encode(), token.encode()):
            raise Refused("the token is not known here")
        if size and request.get("command") != "receive":
            raise Refused("only `receive` takes a payload")
        connection.ends = time.monotonic() + REQUEST_S
        header, payload = host.answer(request, connection.receive_payload(size))
    except Refused as error:
        connection.send({"ok": False, "error": str(error)[:500]})
        return
    connection.send({"ok": True, **header}, payload)


def main() -> None:
    """Run a host until the input ends."""
    line = sys.stdin.readline()
    threading.Thread(target=_end_with_input, daemon=True).start()
    if line:
        _run(json.loads(line))


def _run(options: dict[str, str]) -> None:
    settings = LlmSettings(base_url=options["base_url"], model=options["model"], deadline_s=30.0, retries=0)
    client = Client(settings)
    try:
        client.preflight()  # also imports what asking needs, which belongs to no step of a migration
    except LlmUnavailable as error:
        _say({"error": str(error)})
        return
    host = Host(client, settings)
    HostedAgent.prepared(client, settings, "", 0, 0)  # so does importing the library
    with socket.create_server((LOOPBACK, 0)) as listener:
        _say({"port": listener.getsockname()[1]})
        serve(host, listener, options["token"])


def _say(what: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # whoever started this has gone, and `_end_with_input` sees to it
        print(json.dumps(what), flush=True)


def _end_with_input() -> None:
    sys.stdin.read()
    os._exit(0)  # not waiting for anything that is still being done: whoever asked is gone


if __name__ == "__main__":
    main()
