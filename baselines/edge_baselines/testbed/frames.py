"""The wire between hosts: one frame there and one back on a connection, on loopback, within caps and one deadline.

A frame is two lengths (big-endian, 4 bytes each), a header of JSON and a payload of bytes. The state of an agent
travels as payload, since JSON within JSON would be quoted, that is longer, and parsed twice.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from typing import Any

LOOPBACK = "127.0.0.1"
LENGTHS = struct.Struct(">II")
MAX_HEADER = 64 * 2**10  # bytes
MAX_PAYLOAD = 2**30 + 64 * 2**20  # bytes; an image of a GiB and a state
PIECE = 2**20  # bytes

Header = dict[str, Any]


class FrameError(Exception):
    """The other side is gone, too slow, or sent what is no acceptable frame."""


class Refused(Exception):
    """The other side understood and says no; the message is its reason."""


class Connection:
    """A connected socket with a deadline for all that happens on it. Use it in a `with` statement.

    Args:
        sock: The socket; it is closed at the end.
        seconds: From now until everything must be over.

    Attributes:
        sent: Bytes written, lengths and headers included.
        received: Bytes read.
    """

    def __init__(self, sock: socket.socket, seconds: float):
        self.sock, self.ends = sock, time.monotonic() + seconds
        self.sent = self.received = 0
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, header: Header, *payload: bytes | memoryview) -> None:
        """Write one frame; the parts of the payload follow each other.

        Raises:
            FrameError: If it cannot be written in time, or is too large.
        """
        head = json.dumps(header).encode()
        size = sum(map(len, payload))
        if len(head) > MAX_HEADER or size > MAX_PAYLOAD:
            raise FrameError("a frame beyond the limits")
        for part in (LENGTHS.pack(len(head), size), head, *payload):
            self._in_time()
            try:
                self.sock.sendall(part)
            except OSError as error:
                raise FrameError(f"could not send: {type(error).__name__}") from None
            self.sent += len(part)

    def receive_header(self) -> tuple[Header, int]:
        """Read the header of a frame.

        Returns:
            The header, and how many bytes of payload are announced; none of these has been read.

        Raises:
            FrameError: If nothing proper comes in time. What is too long is not read.
        """
        head_size, size = LENGTHS.unpack(self._read(LENGTHS.size))
        if head_size > MAX_HEADER or size > MAX_PAYLOAD:
            raise FrameError("a frame beyond the limits")
        try:
            header = json.loads(self._read(head_size))
        except (ValueError, RecursionError):
            raise FrameError("the header is no JSON") from None
        if not isinstance(header, dict):
            raise FrameError("the header is no JSON object")
        return header, size

    def receive_payload(self, size: int) -> bytearray:
        """Read the payload that was announced.

        Raises:
            FrameError: If it does not come in time.
        """
        return self._read(size)

    def _read(self, size: int) -> bytearray:
        found = bytearray()  # grows with what comes: an announced length alone takes no memory
        while len(found) < size:
            self._in_time()
            try:
                piece = self.sock.recv(min(PIECE, size - len(found)))
            except OSError as error:
                raise FrameError(f"could not receive: {type(error).__name__}") from None
            if not piece:
                raise FrameError("the other side has gone")
            found += piece
        self.received += size
        return found

    def _in_time(self) -> None:
        left = self.ends - time.monotonic()
        if left <= 0:
            raise FrameError("the deadline has passed")
        self.sock.settimeout(left)


def connect(port: int, seconds: float) -> Connection:
    """Returns a connection to a port of this machine.

    Raises:
        FrameError: If nobody listens there.
    """
    try:
        return Connection(socket.create_connection((LOOPBACK, port), seconds), seconds)
    except OSError as error:
        raise FrameError(f"could not connect: {type(error).__name__}") from None


def answer_of(connection: Connection, request: Header, *payload: memoryview) -> tuple[Header, bytearray]:
    """Sends a request and returns the header and the payload of the answer.

    Raises:
        FrameError: If no answer comes.
        Refused: If the answer is no.
    """
    connection.send(request, *payload)
    header, size = connection.receive_header()
    if header.get("ok") is not True:
        raise Refused(str(header.get("error", "no reason given")))
    return header, connection.receive_payload(size)
