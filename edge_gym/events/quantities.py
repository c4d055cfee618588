"""Lengths of time as people write them, and the reading of them."""

from __future__ import annotations

import math
import re
from typing import NamedTuple

MANNERS = 3  # ways to write the same length: "2 minutes", "two minutes", "2 min"

_STEPS = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9, 10)  # neighbours differ by a third at most: error below 15 %
_UNITS = (  # used from, seconds of one, written out, short; each up to where the next begins
    (172_800.0, 86_400.0, "day", "d"),
    (6_000.0, 3_600.0, "hour", "h"),
    (100.0, 60.0, "minute", "min"),
    (0.9995, 1.0, "second", "s"),
    (0.0, 0.001, "millisecond", "ms"),
)
_SMALL = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
_WORDS = {word: value for value, word in enumerate(_SMALL, 1)} | {
    "fifteen": 15, "twenty": 20, "twenty-five": 25, "thirty": 30, "forty": 40, "forty-five": 45, "fifty": 50,
    "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90, "a hundred": 100,
}  # fmt: skip
_VALUES: dict[float, str] = {value: word for word, value in _WORDS.items()}


def _rounded(value: float) -> float:
    """The nearest of `_STEPS` times a power of ten, for a positive value."""
    scale = 10.0 ** math.floor(math.log10(value))
    step = min(_STEPS, key=lambda step: abs(step * scale - value))
    return round(step * scale, 9)


def say(seconds: float, manner: int = 0) -> str:
    """Writes a length of time as people do, rounded to within 15 % (half a millisecond and less is zero).

    Args:
        seconds: 0 to 1e9.
        manner: 0 "90 seconds", 1 "a minute and a half", 2 "90 s"; modulo `MANNERS`.

    Returns:
        A number and a unit, without "about".
    """
    if seconds <= 0.0005:
        return ("0 seconds", "zero seconds", "0 s")[manner % MANNERS]
    _, size, name, short = next(unit for unit in _UNITS if seconds >= unit[0])
    value = _rounded(seconds / size)
    if manner % MANNERS == 1:
        return _in_words(value, name)
    digits = f"{value:.12g}"
    return f"{digits} {short}" if manner % MANNERS == 2 else f"{digits} {name}{'' if value == 1 else 's'}"


def _in_words(value: float, unit: str) -> str:
    if unit == "second" and value in {30, 60, 90}:
        return {30: "half a minute", 60: "a minute", 90: "a minute and a half"}[int(value)]
    article = "an" if unit == "hour" else "a"
    if value == 1:
        return f"{article} {unit}"
    if value == 1.5:
        return f"{article} {unit} and a half"
    whole = int(value)
    if value == whole + 0.5 and whole in _VALUES:
        return f"{_VALUES[whole]} and a half {unit}s"
    return f"{_VALUES.get(value, f'{value:.12g}')} {unit}s"


class Quantity(NamedTuple):
    """A length of time found in a text: seconds, and where it begins and ends."""

    seconds: float
    start: int
    end: int


_SIZES = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBERS = _WORDS | {"zero": 0, "a": 1, "an": 1, "a couple of": 2, "a few": 3}
_NUMBER = "|".join(sorted(map(re.escape, _NUMBERS), key=len, reverse=True))
_QUANTITY = re.compile(  # a word needs a gap before the unit, or "and" would be one day
    rf"(?<![\w.])(?:(?P<half>half an?)[ -]|(?P<digits>\d{{1,12}}(?:\.\d{{1,6}})?)[ -]?"
    rf"|(?P<word>{_NUMBER})(?P<plus> and a half)?[ -])"
    r"(?P<unit>milliseconds?|ms|seconds?|secs?|s|minutes?|mins?|hours?|h|days?|d)(?!\w)(?P<later> and a half)?"
)


def find(text: str) -> list[Quantity]:
    """Returns every length of time in a lower-case text, in order of place."""
    found = []
    for match in _QUANTITY.finditer(text):
        word, unit = match["word"], match["unit"]
        value = 0.5 if match["half"] else _NUMBERS[word] if word else float(match["digits"])
        value += 0.5 * bool(match["plus"]) + 0.5 * bool(match["later"])
        size = 0.001 if unit.startswith(("ms", "milli")) else _SIZES[unit[0]]
        found.append(Quantity(value * size, match.start(), match.end()))
    return found
