"""The lowest layer of HTTP: no kept connections, and no body beyond a limit, however well it was compressed."""

from __future__ import annotations

import zlib
from typing import Any

import httpx2

MAX_BODY = 2**20  # bytes, decompressed
CODINGS = {"gzip": 31, "x-gzip": 31, "deflate": 15}  # zlib's window bits


class BodyTooLarge(Exception):
    """The body exceeds the limit; the rest was not read."""


class UnreadableBody(Exception):
    """The body is compressed in a way that was not asked for, or is broken."""


class CappedTransport(httpx2.AsyncBaseTransport):
    """Reads each body itself, at most `MAX_BODY` bytes of it, so that nothing above it can read more.

    A connection serves one request. Whatever comes late, or twice, comes on a connection that nobody reads any more,
    and can never be taken for the answer to the next request.
    """

    def __init__(self) -> None:
        self.inner = httpx2.AsyncHTTPTransport(limits=httpx2.Limits(max_keepalive_connections=0))

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and return its response with the body already read.

        Raises:
            BodyTooLarge, UnreadableBody: About the body.
        """
        request.headers["accept-encoding"] = "identity"
        response = await self.inner.handle_async_request(request)
        try:
            raw = await _read(response.stream)
        finally:
            await response.aclose()
        coding = response.headers.get("content-encoding", "identity").strip().lower()
        dropped = ("content-encoding", "content-length", "transfer-encoding")
        headers = [(key, value) for key, value in response.headers.multi_items() if key.lower() not in dropped]
        return httpx2.Response(response.status_code, headers=headers, content=decompress(raw, coding))

    async def aclose(self) -> None:
        """Close what is open."""
        await self.inner.aclose()


async def _read(stream: Any) -> bytes:
    pieces, size = [], 0
    async for piece in stream:
        size += len(piece)
        if size > MAX_BODY:
            raise BodyTooLarge(f"more than {MAX_BODY} bytes")
        pieces.append(piece)
    return b"".join(pieces)


def decompress(raw: bytes, coding: str) -> bytes:
    """Returns the plain body, without ever holding more than the limit.

    Raises:
        BodyTooLarge, UnreadableBody: If it is too large, broken, or in a coding that is not known.
    """
    if coding in ("identity", ""):
        return raw
    if coding not in CODINGS:
        raise UnreadableBody("a content coding that was not asked for")
    machine = zlib.decompressobj(CODINGS[coding])
    try:
        plain = machine.decompress(raw, MAX_BODY + 1)
    except zlib.error:
        raise UnreadableBody("a broken compressed body") from None
    if len(plain) > MAX_BODY:
        raise BodyTooLarge(f"more than {MAX_BODY} bytes when decompressed")
    if not machine.eof:
        raise UnreadableBody("a compressed body that was cut")
    return plain
