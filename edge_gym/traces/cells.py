"""Cells of strangers' tables as numbers. A function returns None for what is none; the caller names line and column."""

from __future__ import annotations

import datetime
import re
from functools import lru_cache

from edge_gym.scenario.parse import FLOAT

MAX_COUNT = 10_000_000  # tokens, GPUs, mebibytes: nothing that is counted here comes near
COUNT_FORM = f"an integer >= 0 and <= {MAX_COUNT}"
MAX_SECONDS = 3_150_000_000  # 100 years; also tells milliseconds since 1970 from seconds
STAMP = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:\+00:00|Z)?", re.ASCII)
STAMP_FORM = "YYYY-MM-DD hh:mm:ss with up to 9 decimals"
SECONDS = re.compile(r"(\d{1,12})(?:\.(\d{0,20}))?", re.ASCII)
SECONDS_FORM = f"seconds >= 0 and <= {MAX_SECONDS}"


def count(text: str, most: int = MAX_COUNT) -> int | None:
    """Returns an integer in [0, most]; only ASCII digits count, so `-1`, `1.5`, `1,000` and `NA` do not."""
    if not (text.isascii() and text.isdigit()) or len(text) > 12:
        return None
    value = int(text)
    return value if value <= most else None


def number(text: str, low: float, high: float) -> float | None:
    """Returns a decimal number in [low, high]."""
    text = text.strip()
    if len(text) > 40 or not FLOAT.fullmatch(text):
        return None
    value = float(text)
    return value if low <= value <= high else None


def seconds_ns(text: str) -> int | None:
    """Returns seconds in plain decimals as nanoseconds; what is finer is cut off."""
    match = SECONDS.fullmatch(text.strip())
    if match is None:
        return None
    whole, fraction = int(match[1]), match[2]
    if whole > MAX_SECONDS:
        return None
    return whole * 10**9 + (int(fraction[:9].ljust(9, "0")) if fraction else 0)


def stamp_ns(text: str) -> int | None:
    """Returns a time stamp as nanoseconds since the year 1, exactly; None if it is not one."""
    match = STAMP.fullmatch(text) if len(text) <= 40 else None
    if match is None:
        return None
    day_text, hour, minute, second, fraction = match.groups()
    day = _day(day_text)
    if day is None or hour > "23" or minute > "59" or second > "59":
        return None
    seconds = ((day * 24 + int(hour)) * 60 + int(minute)) * 60 + int(second)
    return seconds * 10**9 + (int(fraction.ljust(9, "0")) if fraction else 0)


@lru_cache(maxsize=4096)
def _day(text: str) -> int | None:
    try:
        return datetime.date.fromisoformat(text).toordinal()
    except ValueError:
        return None
