"""Everything that can go wrong when a language model is asked: a closed list, whose names are also the counters."""

from __future__ import annotations

from typing import NamedTuple

from edge_gym.errors import EdgeGymError, Unavailable


class Rule(NamedTuple):
    """What follows from a fault.

    Attributes:
        meaning: One line for the documentation.
        retry: The same request may be sent again.
        final: Asking again in this run is pointless; every later decision falls back at once.
        free: The provider did no work for it, so its reservation is given back.
        illness: Counts against the endpoint in the circuit breaker.
    """

    meaning: str
    retry: bool = False
    final: bool = False
    free: bool = False
    illness: bool = True


TRANSPORT = {
    "dns": Rule("the host has no address", retry=True, free=True),
    "connection": Rule("refused, reset or broken connection", retry=True),
    "connect_timeout": Rule("no connection within the connect timeout", retry=True, free=True),
    "deadline": Rule("the whole answer was not there in time"),
    "tls": Rule("certificate or handshake not acceptable", free=True),
    "redirect": Rule("the endpoint points to another address; not followed", free=True),
    "rate_limit": Rule("429: too many requests", retry=True, free=True),
    "quota": Rule("429: the account's quota is used up", final=True, free=True),
    "auth": Rule("401 or 403: the key is not accepted", final=True, free=True),
    "model_gone": Rule("404 or 410: no such model or address", final=True, free=True),
    "context_too_long": Rule("400: the prompt is longer than the model's context", free=True, illness=False),
    "bad_request": Rule("another 4xx: the endpoint does not accept the request", free=True),
    "server": Rule("5xx", retry=True),
    "too_large": Rule("the answer exceeds 1 MiB"),
    "not_json": Rule("the body is not a chat completion", retry=True),
    "stream": Rule("a stream that was cut, doubled or out of order", retry=True),
}
ANSWER = {
    "truncated": Rule("the answer was cut at the token limit or has no proper end"),
    "refusal": Rule("a refusal, a content filter or an empty message"),
    "no_call": Rule("prose instead of tool calls"),
    "bad_arguments": Rule("arguments that are not strict JSON or do not fit the tool"),
    "unknown_tool": Rule("a tool that does not exist"),
    "too_many_calls": Rule("more than 16 calls in one answer"),
    "loop": Rule("the same call three times"),
    "not_allowed": Rule("calls that the caller's check refuses"),
    "turns": Rule("no plan within the turns of a decision"),
}
NOT_ASKED = {
    "budget": Rule("a budget does not allow another call", illness=False),
    "breaker": Rule("the circuit breaker is open", illness=False),
    "shut": Rule("a final fault happened before", illness=False),
    "off": Rule("the mode is off", illness=False),
}
FAULTS: dict[str, Rule] = {**TRANSPORT, **ANSWER, **NOT_ASKED}
FLAGS = {
    "usage_estimated": "answers whose token counts were missing or implausible, and were bounded from above",
    "model_changed": "answers from another model than the one asked",
}


class LlmUnavailable(Unavailable):
    """The endpoint cannot be used at all: found before the run, so that no environment step was taken."""


class TranscriptError(EdgeGymError):
    """A transcript could not be written; what was written before is whole."""
