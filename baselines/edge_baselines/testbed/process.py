"""Starts hosts and asks them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from typing import Any

from edge_baselines.llm.settings import API_KEY
from edge_baselines.testbed.frames import FrameError, Header, Refused, answer_of, connect
from edge_gym.errors import Unavailable

START_S = 60.0
STOP_S = 5.0
REQUEST_S = 130.0  # a little longer than a host gives itself


class HostProcess:
    """A host in a process and a session of its own; it ends with this object, or with this process.

    Args:
        name: For messages.
        base_url: Of the endpoint that its agents ask.
        token: What whoever asks it must show.

    Raises:
        Unavailable: If it does not start.
    """

    def __init__(self, name: str, base_url: str, token: str, model: str = "stub-1"):
        self.name, self.token = name, token
        environment = {key: value for key, value in os.environ.items() if key != API_KEY}  # the stub needs none
        self.process = subprocess.Popen(
            [sys.executable, "-m", "edge_baselines.testbed.host"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # Ctrl-C is for the controller, which then ends its hosts
            text=True,
        )
        try:
            self._tell({"base_url": base_url, "token": token, "model": model})
            self.port = self._port()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> HostProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def ask(self, command: str, agent: str = "", seconds: float = REQUEST_S, **fields: Any) -> Header:
        """Returns what the host answers to a command; see `commands.Host` for the commands and their fields.

        Raises:
            FrameError: If it does not answer.
            Refused: If it says no.
        """
        return self._ask(command, agent, seconds, fields)[0]

    def conversation(self, agent: str) -> list[list[str]]:
        """Role, name and text of each message of an agent that is there.

        Raises:
            FrameError, Refused: As `ask`.
        """
        return json.loads(self._ask("read", agent, REQUEST_S, {})[1])

    def has(self, agent: str) -> bool:
        """Whether the host answers, and an agent of that name runs there."""
        try:
            return self.ask("ping", seconds=STOP_S)["agents"].get(agent) == "running"
        except (FrameError, Refused):
            return False

    def kill(self) -> None:
        """End the process at once, as a crash would."""
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """End the process."""
        for pipe in (self.process.stdin, self.process.stdout):
            try:
                if pipe is not None:
                    pipe.close()  # the end of its input ends it
            except OSError:
                pass  # it has gone before it read everything
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def _ask(self, command: str, agent: str, seconds: float, fields: dict[str, Any]) -> tuple[Header, bytearray]:
        with connect(self.port, seconds) as connection:
            return answer_of(connection, {"token": self.token, "command": command, "agent": agent, **fields})

    def _tell(self, settings: dict[str, str]) -> None:
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(settings) + "\n")
            self.process.stdin.flush()
        except OSError:
            raise Unavailable(f"{self.name} did not start") from None

    def _port(self) -> int:
        assert self.process.stdout is not None
        alarm = threading.Timer(START_S, self.process.kill)
        alarm.start()
        try:
            line = self.process.stdout.readline()
        finally:
            alarm.cancel()
        try:
            said = json.loads(line)
            return int(said["port"])
        except (ValueError, KeyError):
            raise Unavailable(f"{self.name} did not start: {line.strip()[:300] or 'it said nothing'}") from None
