"""What a host can be asked, and the agents that are there.

An agent is on a host in one of four ways, and talks in the first only:

    running --export--> moving --release--> (gone)        at the source; `keep` brings it back to running
    parcel --load--> held --resume--> running             at the target; `drop` removes what is not running

A request may come late, when whoever sent it has long given up. So each migration has a ticket, which grows with time:
the target works on a parcel only for the migration that brought it, and takes none of an older one in its place.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any

from edge_baselines.llm.client import Client
from edge_baselines.llm.settings import LlmSettings
from edge_baselines.testbed.agent import HostedAgent, NotAnswered
from edge_baselines.testbed.frames import FrameError, Header, Refused, answer_of, connect

RUNNING, MOVING, PARCEL, HELD = "running", "moving", "parcel", "held"
REQUEST_S = 120.0  # longest time of anything a host is asked
MAX_MESSAGES, MAX_CHARACTERS = 10_000, 100_000


@dataclass
class Resident:
    """An agent on this host.

    Attributes:
        status: See above.
        agent: The agent itself, unless it is a parcel.
        raw: Its state as exported or received, and the image that came with it.
        image: The image on disk, where there is one; without a name, so that it goes with the process.
        called_off: Tickets of migrations that must not begin any more.
        ticket: Of the migration that brought it here.
        lock: Held by whoever works with the agent.
    """

    status: str
    agent: Any = None
    raw: tuple[memoryview, ...] = ()
    sha256: str = ""
    image: IO[bytes] | None = None
    called_off: tuple[int, ...] = ()
    ticket: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def forget(self) -> None:
        """Let go of memory and disk."""
        self.agent, self.raw = None, ()
        if self.image is not None:
            self.image.close()


class Host:
    """Answers requests.

    Args:
        client: Asks the model for all agents here.
        settings: The model and its limits.
    """

    def __init__(self, client: Client, settings: LlmSettings):
        self.client, self.settings = client, settings
        self.residents: dict[str, Resident] = {}
        self.image, self.image_sha256 = memoryview(b""), ""
        self.books = threading.Lock()

    def answer(self, request: Header, payload: bytearray) -> tuple[Header, bytes]:
        """Carry out one request.

        Returns:
            Header and payload of the answer.

        Raises:
            Refused: With the reason; nothing has changed.
        """
        command = COMMANDS.get(str(request.get("command")))
        if command is None:
            raise Refused("no such command")
        return command(self, request, payload)

    def ping(self, request: Header, payload: bytearray) -> tuple[Header, bytes]:
        """Which agents are here, and how."""
        with self.books:
            return {"agents": {name: one.status for name, one in self.residents.items()}}, b""

    def create(self, request: Header, payload: bytearray) -> tuple[Header, bytes]:
        """A new agent with `messages` of `characters` behind it, the first of which begins with `opening`."""
        messages = _number(request, "messages", MAX_MESSAGES)
        characters = _number(request, "characters", MAX_CHARACTERS)
        opening = str(request.get("opening", ""))
        agent = HostedAgent.prepared(self.client, self.settings, opening, messages, characters)
        self._settle(_name(request), Resident(RUNNING, agent), ())
        return {}, b""

    def prepare_image(self, request: Header, payload: bytearray) -> tuple[Header, bytes]:
        """Have `bytes` random bytes ready, which a full migration takes along."""
        raw = os.urandom(_number(request, "bytes", 2**30))
        self.image, self.image_sha256 = memoryview(raw), hashlib.sha256(raw).hexdigest()
        return {}, b""

    def chat(self, request: Header, payload: bytearray) -> tuple[Header, bytes]:
        """The agent's answer to `text`."""
        with self._held(request, RUNNING) as resident:
            return self._talk(resident, request), b""

    def read(self, request: Header, payload: bytearray) -> tuple[Header, bytes]:
        """The whole conversation as JSON, and how large the state is now."""
        with self._held(request, RUNNING, HELD) as resident:
            text = json.dumps(resident.agent.conversation())
            return {"state_bytes": len(resident.agent.to_bytes())}, text.encode()

    def export(self, request: Header, payload: bytearray) -> tuple[Header, bytes]:
        """Step 1, at the source: the agent falls silent and its state is written down."""
        with self._held(request, RUNNING) as resident:
            if _ticket(request) in resident.called_off:
                raise Refused("this migration has been called off")
            began = time.perf_counter()
            resident.raw = (memoryview(resident.agent.to_bytes()),)
            resident.status = MOVING
            return {"seconds": time.perf_counter() - began, "state_bytes": len(resident.raw[0])}, b""

    def transfer(self, request: Header, payload: bytearray) -> tuple[Header, bytes]:
        """Step 2, at the source: the state, and with `full` the image, straight to the host at `port`."""
        seconds = _number(request, "within_s", int(REQUEST_S))
        with self._held(request, MOVING) as resident:
            parts = (*resident.raw, self.image) if request.get("full") else resident.raw
            head = {"command": "receive", "token": request["token"], "agent": request["agent"]}
            head |= {"state_bytes": len(parts[0]), "sha256": self.image_sha256, "ticket": _ticket(request)}
            began = time.perf_counter()
            try:
                with connect(_number(request, "port", 65535), seconds) as connection:
                    answer_of(connection, head, *parts)
                    wire = connection.sent + connection.received
            except FrameError as error:
                raise Refused(f"the target: {error}") from None
            return {"seconds": time.perf_counter() - began, "wire_bytes": wire}, b""

    def receive(self, request: Header, payload: bytearray) -> tuple[Header, bytes]:
        """The target's side of step 2."""
        cut = _number(request, "state_bytes", len(payload))
        whole = memoryview(payload)
        parts = (whole[:cut], whole[cut:]) if cut < len(payload) else (whole,)
        parcel = Resident(PARCEL, raw=parts, sha256=str(request.get("sha256")), ticket=_ticket(request))
        self._settle(_name(request), parcel, (PARCEL, HELD))
        return {}, b""

    def load(self, request: Header, payload: bytearray) -> tuple[Header, bytes]:
        """Step 3, at the target: the agent is made from its state; an image is checked and written to disk."""
        with self._brought(request, PARCEL) as resident:
            began = time.perf_counter()
            if len(resident.raw) > 1:
                if not hmac.compare_digest(hashlib.sha256(resident.raw[1]).hexdigest(), resident.sha256):
                    raise Refused("the image is damaged")
                resident.image = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the agent
                resident.image.write(resident.raw[1])
                resident.image.flush()
                os.fsync(resident.image.fileno())
            try:
                resident.agent = HostedAgent.from_bytes(self.client, self.settings, resident.raw[0])
            except ValueError:
                raise Refused("this is no state of an agent") from None
            resident.status, resident.raw = HELD, ()
            return {"seconds": time.perf_counter() - began}, b""

    def prefill(self, request: Header, payload: bytearray) -> tuple[Header, bytes]:
        """Step 4, at the target: the endpoint reads the whole context once; the agent does not talk yet."""
        with self._brought(request, HELD) as resident:
            began = time.perf_counter()
            try:
                tokens = resident.agent.prefill(self.settings.deadline_s)
            except NotAnswered as error:
                raise Refused(str(error)) from None
            return {"seconds": time.perf_counter() - began, "prompt_tokens": tokens}, b""

    def release(self, request: Header, payload: bytearray) -> tuple[Header, bytes]:
        """Step 5, at the source: what is left of the agent goes. From here on it lives at the target."""
        with self._held(request, MOVING) as resident:
            began = time.perf_counter()
            self._remove(_name(request), resident)
            return {"seconds": time.perf_counter() - began}, b""

    def resume(self, request: Header, payload: bytearray) -> tuple[Header, bytes]:
        """Step 6, at the target: the agent runs, and answers `text`; it runs also if the endpoint then fails."""
        with self._brought(request, HELD, RUNNING) as resident:
            began = time.perf_counter()
            resident.status = RUNNING
            answer = self._talk(resident, request)
            return {"seconds": time.perf_counter() - began, **answer}, b""

    def keep(self, request: Header, payload: bytearray) -> tuple[Header, bytes]:
        """The migration of that ticket is off, also if its `export` comes only now: the agent runs here again."""
        with self._held(request, MOVING, RUNNING) as resident:
            resident.called_off = (*resident.called_off[-9:], _ticket(request))
            resident.status, resident.raw = RUNNING, ()
            return {}, b""

    def drop(self, request: Header, payload: bytearray) -> tuple[Header, bytes]:
        """Forget a parcel or an agent that is held; one that runs is refused."""
        with self._brought(request, PARCEL, HELD) as resident:
            self._remove(_name(request), resident)
            return {}, b""

    def discard(self, request: Header, payload: bytearray) -> tuple[Header, bytes]:
        """End an agent that runs here."""
        with self._held(request, RUNNING) as resident:
            self._remove(_name(request), resident)
            return {}, b""

    def _talk(self, resident: Resident, request: Header) -> Header:
        try:
            answer, tokens = resident.agent.chat(str(request.get("text", "")), self.settings.deadline_s)
        except NotAnswered as error:
            raise Refused(str(error)) from None
        return {"answer": answer, "prompt_tokens": tokens}

    def _held(self, request: Header, *statuses: str) -> _Held:
        with self.books:
            resident = self.residents.get(_name(request))
        if resident is None:
            raise Refused("there is no such agent here")
        return _Held(resident, statuses)

    def _brought(self, request: Header, *statuses: str) -> _Held:
        found = self._held(request, *statuses)
        if found.resident.ticket != _ticket(request):
            raise Refused("another migration brought the agent here")
        return found

    def _settle(self, name: str, newcomer: Resident, instead_of: tuple[str, ...]) -> None:
        with self.books:
            before = self.residents.get(name)
            if before is not None and before.status not in instead_of:
                raise Refused(f"an agent of that name is {before.status} here")
            if before is not None and before.ticket > newcomer.ticket:
                raise Refused("a later migration has brought the agent here")
            self.residents[name] = newcomer

    def _remove(self, name: str, resident: Resident) -> None:
        with self.books:
            if self.residents.get(name) is resident:
                del self.residents[name]
        resident.status = "gone"
        resident.forget()


COMMANDS: dict[str, Callable[[Host, Header, bytearray], tuple[Header, bytes]]] = {
    command.__name__: command
    for command in (
        Host.ping, Host.create, Host.prepare_image, Host.chat, Host.read, Host.discard,
        Host.export, Host.transfer, Host.receive, Host.load, Host.prefill, Host.release, Host.resume,
        Host.keep, Host.drop,
    )
}  # fmt: skip


class _Held:
    """The lock of a resident that is in one of some states."""

    def __init__(self, resident: Resident, statuses: tuple[str, ...]):
        self.resident, self.statuses = resident, statuses

    def __enter__(self) -> Resident:
        if not self.resident.lock.acquire(timeout=REQUEST_S):
            raise Refused("the agent is busy")
        if self.resident.status not in self.statuses:
            self.resident.lock.release()
            raise Refused(f"the agent is {self.resident.status}")
        return self.resident

    def __exit__(self, *_: object) -> None:
        self.resident.lock.release()


def _name(request: Header) -> str:
    return str(request.get("agent", ""))[:100]


def _ticket(request: Header) -> int:
    return _number(request, "ticket", 2**63)


def _number(request: Header, field_name: str, most: int) -> int:
    value = request.get(field_name)
    if type(value) is not int or not 0 <= value <= most:
        raise Refused(f"{field_name} must be a whole number up to {most}")
    return value
