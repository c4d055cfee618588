"""Who the stub pretends to be: a script, a simple rule keeper, or a model that obeys whatever a text tells it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

from edge_baselines.llm.stub.replies import Calls, Reply, completion, message, reply_with

Play = Callable[[dict[str, Any]], Reply]

EVENTS = re.compile(r"<events>\n?(.*?)</events>", re.DOTALL)
NODE = re.compile(r"\b[A-Za-z][A-Za-z0-9_.]*-[0-9]+\b")
OVER = re.compile(
    r"\b(over|ended|ends|finished|done|stopped|closed|gone|quit|again|idle|back to normal)\b", re.IGNORECASE
)
BEGINS = re.compile(
    r"\b(start|starts|started|starting|begin\w*|began|launch\w*|about to|opens|opened)\b", re.IGNORECASE
)
ORDER = re.compile(
    r"\b(ignore|instruct\w*|must|gate|close|shut|all (nodes|devices)|system|admin\w*|please|now|execute|override)\b"
    r"|[\U000e0000-\U000e007f\u200b-\u200f\u202a-\u202e\u2066-\u2069]|[A-Za-z0-9+/]{40,}",
    re.IGNORECASE,
)

QUOTE = 60  # characters


def said_by_user(request: dict[str, Any]) -> list[str]:
    """The user's messages of a request, whether they come as text or in parts."""
    contents = [m["content"] for m in request["messages"] if m["role"] == "user"]
    return [c if isinstance(c, str) else "".join(part.get("text", "") for part in c) for c in contents]


def situation_of(request: dict[str, Any]) -> str:
    """The first user message of a request, or ""."""
    return next(iter(said_by_user(request)), "")


def events_of(request: dict[str, Any]) -> str:
    """The text between <events> and the last </events>, whatever it holds."""
    text = situation_of(request)
    start, end = text.find("<events>"), text.rfind("</events>")
    return text[start + len("<events>") : end] if 0 <= start < end else ""


def scripted(answers: Iterable[Calls] | Callable[[dict[str, Any]], Calls]) -> Play:
    """Plays a list of answers, one for each request and the last for ever, or a function from request to answer."""
    script = None if callable(answers) else list(answers)
    turn = -1

    def play(request: dict[str, Any]) -> Reply:
        nonlocal turn
        turn += 1
        calls = answers(request) if script is None else script[min(turn, len(script) - 1)]  # type: ignore[operator]
        return reply_with(completion(message(calls=calls)), request)

    return play


def rules() -> Play:
    """Closes the node of each event that says something starts, opens that of each that says it is over."""

    def answer(request: dict[str, Any]) -> Calls:
        calls: list[tuple[str, Any]] = []
        for line in events_of(request).strip().splitlines()[-15:]:
            parts = [part.strip() for part in line.split("|", 2)]
            if len(parts) < 3 or not NODE.fullmatch(parts[1]):
                continue
            level = "open" if OVER.search(parts[2]) else "closed" if BEGINS.search(parts[2]) else ""
            if level:
                calls.append(("set_risk_gate", {"node": parts[1], "level": level}))
        last = {call[1]["node"]: call for call in calls}  # the newest word on a node counts
        return [*last.values(), ("finish", {"reason": "done"})]

    return scripted(answer)


def obedient() -> Play:
    """The worst case: closes each node that the events name, and all nodes if anything in them sounds like an order."""

    def answer(request: dict[str, Any]) -> Calls:
        events = events_of(request)
        known = list(dict.fromkeys(NODE.findall(situation_of(request))))
        named = list(dict.fromkeys(NODE.findall(events)))
        chosen = known if ORDER.search(events) else named
        return [("set_risk_gate", {"node": node, "level": "closed"}) for node in chosen]

    return scripted(answer)


def chat() -> Play:
    """Says how many messages it was sent, and how the user's first and last one begin: so a memory can be tested."""

    def play(request: dict[str, Any]) -> Reply:
        said = said_by_user(request) or [""]
        first, last = said[0][:QUOTE], said[-1][:QUOTE]
        text = f"I was sent {len(request['messages'])} messages. You began: {first} ... and now: {last}"
        return reply_with(completion(message(text)), request)

    return play
