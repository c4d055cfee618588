"""The only place of the project that talks HTTP: one request to a chat-completions endpoint, within one deadline."""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from edge_baselines.llm.completions import Answer, WireFault, read_body, request_body
from edge_baselines.llm.extra import require_extra
from edge_baselines.llm.faults import FAULTS, LlmUnavailable
from edge_baselines.llm.settings import API_KEY, LlmSettings
from edge_gym.errors import printable

MAX_DETAIL = 300  # characters
SECRET = 8  # characters; shorter keys ("none", "EMPTY") are no secrets, and answers may well contain them
GRACE_S = 0.5  # for the other thread to report that the deadline has passed
CONTEXT = re.compile(r"context.{0,20}(length|window|size)|too many tokens|prompt is too long", re.IGNORECASE)
LOGGERS = (
    "openai._base_client", "httpx2", "httpcore2.connection", "httpcore2.http11", "httpcore2.http2",
    "httpcore2.proxy", "httpcore2.socks", "asyncio",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What became of one attempt: an answer or a fault.

    Attributes:
        answer: What the model answered, or None.
        fault: A name from `faults.FAULTS`, or None.
        detail: One line about the fault, without secrets, at most 300 characters.
        latency_s: Time it took, in whole microseconds.
        retry_after_s: How long the endpoint asked to wait, or None.
    """

    answer: Answer | None
    fault: str | None
    detail: str
    latency_s: float
    retry_after_s: float | None = None


class Client:
    """Asks the endpoint of the settings. Close it, or use it in a `with` statement.

    The key is read from EDGE_GYM_LLM_API_KEY at the first request and stays inside. Certificates are always verified,
    redirects never followed. Requests run in an event loop in a thread of their own: there a deadline can end anything,
    also a name that does not resolve or a body that comes byte by byte.

    Args:
        settings: Where and how.

    Raises:
        EdgeGymInputError: If openai is not installed, or the settings name no endpoint.
    """

    def __init__(self, settings: LlmSettings):
        settings.require_endpoint()
        require_extra()
        self.settings = settings
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._api: Any = None
        self._key = ""
        self._owner = 0  # process that started the thread: a fork has none

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.settings,)

    def attempt(self, body: dict[str, Any], seconds: float, tag: str = "") -> Outcome:
        """Send one request once.

        Args:
            body: See `completions.request_body`.
            seconds: Deadline of everything: name, connection, answer to its last byte.
            tag: Sent as X-Client-Request-Id, to find the request in the endpoint's logs.

        Returns:
            The outcome; never raises for anything that the endpoint or the network does.
        """
        if seconds <= 0:
            return Outcome(None, "deadline", "no time left", 0.0)
        if self._loop is None or self._owner != os.getpid():
            self._start()  # importing openai takes a second, which is no latency of the endpoint
        began = time.monotonic()
        answer, fault, detail, retry_after = None, None, "", None
        try:
            raw = self._run(self._post(body, tag), seconds)
            if len(self._key) >= SECRET:
                raw = raw.replace(self._key.encode(), b"[key]")
            answer = read_body(raw, bool(body.get("stream")))
        except Exception as error:
            fault, detail, retry_after = self._explain(error)
        return Outcome(answer, fault, detail, round(time.monotonic() - began, 6), retry_after)

    def preflight(self) -> None:
        """Ask for one token, so that a run which cannot work ends before its first step.

        A passing trouble (too many requests, 5xx) is no reason to give up.

        Raises:
            LlmUnavailable: With the fault and what to look at.
        """
        small = {**request_body([{"role": "user", "content": "ping"}], [], self.settings), self.settings.token_limit: 1}
        outcome = self.attempt(small, self.settings.deadline_s)
        fault = outcome.fault
        fine = ("rate_limit", "server", "context_too_long")
        if fault is not None and fault not in fine:
            meaning = FAULTS[fault].meaning
            raise LlmUnavailable(f"the language model cannot be used: {fault} ({meaning}): {outcome.detail}")

    def close(self) -> None:
        """End the thread and what is open. The client can be used again afterwards."""
        loop, thread = self._loop, self._thread
        if loop is None or thread is None or self._owner != os.getpid():
            return
        try:
            self._run(self._api.close(), 5.0)
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(5.0)
            self._loop = self._thread = self._api = None

    def _run(self, work: Coroutine[Any, Any, Any], seconds: float) -> Any:
        """The result of `work` in the loop's thread, or TimeoutError; whatever happens, it is no longer running."""
        assert self._loop is not None
        future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, seconds), self._loop)
        try:
            return future.result(seconds + GRACE_S)
        finally:
            future.cancel()

    def _start(self) -> None:
        import httpx2
        import openai

        from edge_baselines.llm.transport import CappedTransport

        self._key = os.environ.get(API_KEY, "")
        _hide(self._key)
        timeout = httpx2.Timeout(None, connect=self.settings.connect_timeout_s)
        http = httpx2.AsyncClient(transport=CappedTransport(), timeout=timeout, follow_redirects=False, trust_env=False)
        self._api = openai.AsyncOpenAI(
            api_key=self._key or "none",
            base_url=self.settings.base_url,
            timeout=timeout,
            organization="",  # not what the environment may hold for another endpoint
            project="",
            max_retries=0,
            http_client=http,
        )
        self._loop = asyncio.new_event_loop()
        self._owner = os.getpid()
        self._thread = threading.Thread(target=self._serve, args=(self._loop,), name="llm-client", daemon=True)
        self._thread.start()

    @staticmethod
    def _serve(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            loop.close()

    async def _post(self, body: dict[str, Any], tag: str) -> bytes:
        import httpx2

        options = {"headers": {"X-Client-Request-Id": tag}} if tag else {}
        response = await self._api.post("/chat/completions", cast_to=httpx2.Response, body=body, options=options)
        return response.content

    def _explain(self, error: Exception) -> tuple[str, str, float | None]:
        """Name of the fault, one safe line, and how long the endpoint wants us to wait."""
        if isinstance(error, WireFault):
            return error.fault, self._safe(str(error)), None
        status = getattr(error, "status_code", None)
        if isinstance(status, int):
            response: Any = getattr(error, "response", None)
            text = response.text if response is not None else ""
            return fault_of_status(status, text), self._safe(f"{status}: {text}"), retry_after(response.headers)
        causes = list(_causes(error))
        return fault_of_causes(causes), self._safe(" from ".join(type(cause).__name__ for cause in causes)), None

    def _safe(self, text: str) -> str:
        """An endpoint may repeat the key it was sent."""
        return printable(_without(text, self._key), MAX_DETAIL)


def _causes(error: BaseException | None) -> Any:
    for _ in range(8):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def fault_of_causes(causes: list[BaseException]) -> str:
    """The name of a fault without a status, from an exception and its causes."""
    names = {name for cause in causes for name in (kind.__name__ for kind in type(cause).__mro__)}
    if "BodyTooLarge" in names:
        return "too_large"
    if "UnreadableBody" in names:
        return "not_json"
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return "tls"
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return "dns"
    if "ConnectTimeout" in names:
        return "connect_timeout"
    if any(isinstance(cause, TimeoutError) for cause in causes):
        return "deadline"
    return "connection"


def fault_of_status(status: int, text: str) -> str:
    """The name of a fault from the status and the body of the response."""
    if 300 <= status < 400:
        return "redirect"
    if status == 429:
        return "quota" if "insufficient_quota" in text else "rate_limit"
    if status in (401, 403):
        return "auth"
    if status in (404, 410):
        return "model_gone"
    if status in (400, 413) and ("context_length_exceeded" in text or CONTEXT.search(text)):
        return "context_too_long"
    return "server" if status >= 500 else "bad_request"


def retry_after(headers: Any) -> float | None:
    """Seconds of a Retry-After header, a number or an HTTP date; None if it is missing, negative or neither."""
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", value, re.ASCII):
        return float(value)
    try:
        date = parsedate_to_datetime(value)
        # The only use of the wall clock: a date is a wall-clock time. The wait it yields is recorded with the outcome.
        seconds = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - datetime.now(UTC).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
    return round(seconds, 3) if seconds >= 0 else None


def _without(text: str, key: str) -> str:
    return text.replace(key, "[key]") if key else text


class _Redact(logging.Filter):
    """Takes a key out of records: the libraries below log headers and addresses, which an endpoint can fill at will."""

    def __init__(self, key: str):
        super().__init__()
        self.key = key

    def filter(self, record: logging.LogRecord) -> bool:
        """Let everything through, without the key."""
        text = record.getMessage()
        if self.key in text:
            record.msg, record.args = _without(text, self.key), ()
        return True


def _hide(key: str) -> None:
    for name in LOGGERS if key else ():
        logger = logging.getLogger(name)
        if not any(isinstance(f, _Redact) and f.key == key for f in logger.filters):
            logger.addFilter(_Redact(key))
