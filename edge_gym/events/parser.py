"""Reads an announcement by rules: which node, what stage, how bad, when and for how long.

Written for the standard style and the level "what", where it makes no mistake about node, stage and foreground; of
other wordings it gets a part (`docs/events.md`). When in doubt it reads chatter: a false alarm moves work for nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass

from .activities import (
    ABSENT,
    ACTIVITIES,
    ACTIVITY_NAMES,
    AHEAD,
    CANCELLED,
    CHATTER,
    NOW,
    OVER,
    PRESENCE,
    STAGES,
    usual_slowdown,
)
from .clean import LIMIT, clean
from .quantities import find
from .rules import ITS_END, KINDS, SEVERITY_WORDS, STAGE_WORDS, TALK, TIME

GRADES = (1.5, 3.0, 8.0)  # slow-down believed of a mild, a strong and a severe one
MAX_SLOWDOWN = 1000.0  # of a node that stands still


@dataclass(frozen=True, slots=True)
class Reading:
    """What an announcement says.

    Attributes:
        node: Name of the node, or None if it names none or says nothing of use.
        stage: Index into `STAGES`; chatter if it says nothing of use.
        slowdown: Believed slow-down while it lasts, 1 to 1,000 (how many times slower than nominal); 1 once it is over
            or cancelled.
        foreground: The user of the node is looking at what slows it down.
        onset_s: Seconds until it begins, or None if unsaid.
        duration_s: Seconds it lasts (from its beginning, or from now once it has begun), or None if unsaid.
    """

    node: str | None
    stage: int
    slowdown: float
    foreground: bool
    onset_s: float | None
    duration_s: float | None


NOTHING = Reading(None, CHATTER, 1.0, False, None, None)

_TOKEN = re.compile(r"[A-Za-z0-9_.-]+")
_PLAIN_WORD = re.compile(r"[A-Za-z]+")
_KEYS = ("node", "stage", "activity", "onset_s", "duration_s", "speed", "foreground")


def read(text: str, nodes: Collection[str]) -> Reading:
    """Reads one announcement.

    Looks at the first 2,000 characters, without those that cannot be seen (`clean`). A name counts only as a whole
    (`rtx_4090-1` is not in `rtx_4090-15`); of several names the longest is taken, of equally long ones the first. Time
    and memory grow linearly with the number of nodes, and not with a text beyond 2,000 characters.

    Args:
        text: Any string whatever.
        nodes: Names of the nodes; give a set if the same nodes are used often.

    Returns:
        What it says. Names that are ordinary words ("game") are taken for names.
    """
    known = nodes if isinstance(nodes, (set, frozenset, dict)) else frozenset(nodes)
    line = clean(text, LIMIT)
    if len(text) > LIMIT:  # the last word may be half a name
        line = re.sub(r"[A-Za-z0-9_.-]+\Z", "", line)
    if line.startswith("event node="):
        return _structured(line, known)
    spans = _names(line, known)
    if not spans:
        return NOTHING
    node = max(spans, key=lambda span: span[1] - span[0])  # the first of equals
    return _prose(_masked(line, spans, line[slice(*node)]), line[slice(*node)])


def _names(line: str, known: Collection[str]) -> list[tuple[int, int]]:
    """Where names stand. A full stop or dash at the end of a word may be punctuation, so both ways are tried."""
    spans = []
    for match in _TOKEN.finditer(line):
        start, end = match.span()
        while end > start and line[start:end] not in known:
            end = end - 1 if line[end - 1] in ".-" and end - start <= 128 else start
        if end > start:
            spans.append((start, end))
    return spans


def _masked(line: str, spans: list[tuple[int, int]], node: str) -> str:
    """The text in lower case with names replaced, so that a node called backup-1 is not taken for a backup."""
    parts, last = [], 0
    for start, end in spans:
        name = line[start:end]
        if name == node or not _PLAIN_WORD.fullmatch(name):
            parts += [_bare(line[last:start]), "@" if name == node else "#"]
            last = end
    return "".join([*parts, _bare(line[last:])])


def _bare(text: str) -> str:
    return re.sub("[@#~]", " ", text.lower())


def _prose(text: str, node: str) -> Reading:
    quantities, parts, last = find(text), [], 0
    for quantity in quantities:
        parts += [text[last : quantity.start], "~"]
        last = quantity.end
    text = "".join([*parts, text[last:]])
    if TALK.search(text):
        return NOTHING
    activity = next((number for number, pattern in KINDS if pattern.search(text)), None)
    without_end = ITS_END.sub(" ", text)
    stage = next((stage for stage, pattern in STAGE_WORDS if pattern.search(without_end)), None)
    if activity is None or stage is None:
        return NOTHING
    foreground = ACTIVITIES[activity].foreground
    if stage in {OVER, CANCELLED}:
        return Reading(node, stage, 1.0, foreground, None, None)
    grade = next((grade for grade, word in zip(GRADES, SEVERITY_WORDS, strict=True) if word.search(text)), None)
    slowdown = usual_slowdown(activity) if grade is None or activity == PRESENCE else grade
    onset, duration = _times(text, [quantity.seconds for quantity in quantities], stage)
    return Reading(node, stage, slowdown, foreground, onset, duration)


def _times(text: str, seconds: list[float], stage: int) -> tuple[float | None, float | None]:
    """Onset and duration: "in 10 s" is an onset, unless it has begun; any other length of time is a duration."""
    onset = duration = None
    for match, value in zip(TIME.finditer(text), seconds, strict=True):
        if stage == AHEAD and onset is None and (match["when"] or match["later"]):
            onset = value
        elif duration is None:
            duration = value
    return onset, duration


def _structured(line: str, known: Collection[str]) -> Reading:
    """Reads `event node=... stage=...`; anything missing, unknown or out of range makes it chatter."""
    pairs = [word.partition("=") for word in line.split(" ")[1:]]
    fields = {key: value for key, _, value in pairs}
    if (
        tuple(key for key, _, _ in pairs) != _KEYS
        or fields["node"] not in known
        or fields["stage"] not in STAGES[:CHATTER]
    ):
        return NOTHING
    if fields["activity"] not in ACTIVITY_NAMES or fields["foreground"] not in {"0", "1"}:
        return NOTHING
    try:
        onset, duration, speed = (float(fields[key]) for key in ("onset_s", "duration_s", "speed"))
    except ValueError:
        return NOTHING
    if not all(map(math.isfinite, (onset, duration, speed))) or min(onset, duration, speed) < 0:
        return NOTHING
    stage = STAGES.index(fields["stage"])
    away = fields["activity"] == ACTIVITY_NAMES[PRESENCE]
    slowdown = ABSENT if away else max(1.0, 1.0 / max(speed, 1.0 / MAX_SLOWDOWN))
    slowdown = slowdown if stage in {AHEAD, NOW} else 1.0
    return Reading(fields["node"], stage, slowdown, fields["foreground"] == "1", onset, duration)
