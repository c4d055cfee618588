"""The phrases in which the world announces what happens.

The compiled world draws numbers only: an activity, a stage, the number of a phrase. The sentence is made here, when
somebody wants to read it.
"""

from __future__ import annotations

import functools
import math
import re
import zlib
from dataclasses import dataclass
from types import ModuleType

from ..errors import EdgeGymInputError, nearest
from ..fields import NAME_PATTERN
from . import held_out, held_out_chatter, standard, standard_chatter
from .activities import ACTIVITIES, CHATTER, PRESENCE, SLOWDOWN, STAGES, Activity
from .quantities import say

__all__ = ["ACTIVITIES", "LEVELS", "STAGES", "STYLES", "Activity", "Phrase", "phrases", "render", "severity"]

LEVELS = ("none", "something", "what", "text")
STYLES = ("standard", "held_out")

SOMETHING = "Something has changed in the network."
MAX_TIME = 1e9  # seconds: thirty years, more than any scenario
_NAME = re.compile(NAME_PATTERN)
_WORDS = ("mild", "strong", "severe")
_OTHER_WORDS = ("slight", "considerable", "crippling")


@dataclass(frozen=True, slots=True)
class Phrase:
    """A sentence with blanks.

    Attributes:
        stage: Index into `STAGES`.
        activity: Index into `ACTIVITIES`; -1 for chatter.
        text: The sentence. Its blanks are {node}, {onset}, {duration} and {severity}, each of which may be missing;
            {harm} is the severity in the words of the held-out style; the level "what" writes {onset_s},
            {duration_s} and {speed} as exact figures.
    """

    stage: int
    activity: int
    text: str


def severity(speed: float) -> int:
    """Returns 0 (mild) for a speed factor above 0.5, 1 (strong) above 0.2, 2 (severe) otherwise."""
    return 0 if speed > 0.5 else 1 if speed > 0.2 else 2


@functools.cache
def phrases(level: str, style: str) -> tuple[Phrase, ...]:
    """Returns all phrases of a notification level, ordered by stage, then activity.

    Those of one stage and activity stand together, at least one for each of them; chatter comes last, as one run.
    "none" has no phrases; "something" and "what" have one for each run and are the same in both styles.

    Args:
        level: One of `LEVELS`.
        style: One of `STYLES`; "held_out" says the same in words that "standard" does not use.

    Raises:
        EdgeGymInputError: `level` or `style` is not one of these.
    """
    for field, value, options in (("level", level, LEVELS), ("style", style, STYLES)):
        if value not in options:
            raise EdgeGymInputError(field, value, f"one of {', '.join(options)}", hint=nearest(value, options))
    if level == "none":
        return ()
    book = standard if style == "standard" else held_out
    chatter = standard_chatter.CHATTER if style == "standard" else held_out_chatter.CHATTER
    found = []
    for stage, stage_name in enumerate(STAGES[:CHATTER]):
        for number, activity in enumerate(ACTIVITIES):
            if level == "text":
                texts = _sentences(book, stage_name, number)
            else:
                texts = (SOMETHING if level == "something" else _structured(stage_name, activity),)
            found += [Phrase(stage, number, text) for text in texts]
    if level != "text":
        chatter = (SOMETHING if level == "something" else "event node={node} stage=chatter",)
    return tuple(found + [Phrase(CHATTER, -1, text) for text in chatter])


def _structured(stage: str, activity: Activity) -> str:
    return (
        f"event node={{node}} stage={stage} activity={activity.name} onset_s={{onset_s}} duration_s={{duration_s}} "
        f"speed={{speed}} foreground={int(activity.foreground)}"
    )


def _sentences(book: ModuleType, stage: str, number: int) -> tuple[str, ...]:
    """Every sentence of a style about a stage of an activity, in each of the activity's wordings."""
    if number in {SLOWDOWN, PRESENCE}:
        return (book.SLOWDOWN if number == SLOWDOWN else book.PRESENCE)[stage]
    activity = ACTIVITIES[number]
    patterns = (book.USER if activity.foreground else book.MACHINE)[stage]
    return tuple(_worded(pattern, noun) for noun in book.NOUNS[activity.name] for pattern in patterns)


def _worded(pattern: str, noun: str) -> str:
    """A sentence about a noun, "article|noun"; the blanks of rendering stay."""
    article, bare = noun.split("|")
    indefinite, definite = f"{article} {bare}".strip(), f"the {bare}"
    words = {
        "{a}": indefinite,
        "{the}": definite,
        "{bare}": bare,
        "{A}": _capital(indefinite),
        "{The}": _capital(definite),
    }
    for blank, word in words.items():
        pattern = pattern.replace(blank, word)
    return pattern


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def render(phrase: Phrase, node: str, onset_s: float, duration_s: float, speed: float) -> str:
    """Fills the blanks of a phrase.

    Sentences round times to within 15 % and give the severity in three grades; the level "what" gives all figures
    exactly. How a time is written (digits, words, abbreviated) belongs to the phrase.

    Args:
        phrase: One of `phrases(...)`.
        node: Name of the node, `[A-Za-z0-9_.-]{1,64}`.
        onset_s: Seconds until it begins, 0 to 1e9.
        duration_s: Seconds it lasts (from its beginning, or from now once it has begun), 0 to 1e9.
        speed: Speed factor of the node meanwhile, 0 to 1 (1 is nominal).

    Raises:
        EdgeGymInputError: `node` is not such a name, or a figure is out of range.
    """
    if not isinstance(node, str) or not _NAME.fullmatch(node):
        raise EdgeGymInputError("node", node, "1 to 64 letters, digits, '_', '.' or '-'")
    for field, value, high in (
        ("onset_s", onset_s, MAX_TIME),
        ("duration_s", duration_s, MAX_TIME),
        ("speed", speed, 1),
    ):
        if not (math.isfinite(value) and 0 <= value <= high):
            raise EdgeGymInputError(field, value, f">= 0 and <= {high:g}")
    manner, grade = zlib.crc32(phrase.text.encode()), severity(speed)
    return phrase.text.format(
        node=node,
        onset=say(onset_s, manner),
        duration=say(duration_s, manner),
        severity=_WORDS[grade],
        harm=_OTHER_WORDS[grade],
        onset_s=_exact(onset_s),
        duration_s=_exact(duration_s),
        speed=_exact(speed),
    )


def _exact(value: float) -> str:
    return repr(float(value)).removesuffix(".0")
