"""Rows of the Mooncake traces (FAST'25), one JSON object a line: `timestamp` (ms), `input_length`, `output_length`.

Other members, such as `hash_ids`, are ignored.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any, NoReturn

from edge_gym.errors import MISSING, EdgeGymInputError
from edge_gym.traces.cells import COUNT_FORM, MAX_COUNT, MAX_SECONDS
from edge_gym.traces.text import Lines

MEMBERS = ("timestamp", "input_length", "output_length")
STAMP_FORM = f"milliseconds >= 0 and <= {MAX_SECONDS * 1000}"


def mooncake_rows(lines: Lines) -> Iterator[tuple[int, int, int]]:
    """Yields (nanoseconds, input length, output length) of each line that is not blank."""
    for line in lines:
        if line.isspace():
            continue
        stamp, prompt, units = _members(line, lines)
        number = isinstance(stamp, int | float) and not isinstance(stamp, bool)
        if not number or not 0 <= stamp <= MAX_SECONDS * 1000:
            raise lines.wrong(MEMBERS[0], stamp, STAMP_FORM, "ms, not s or ns")
        for member, value in zip(MEMBERS[1:], (prompt, units), strict=True):
            if type(value) is not int or not 0 <= value <= MAX_COUNT:
                raise lines.wrong(member, value, COUNT_FORM, "tokens")
        yield round(stamp * 1_000_000), prompt, units


def _members(line: str, lines: Lines) -> list[Any]:
    def refuse(word: str) -> NoReturn:
        raise lines.wrong("number", word, "finite")

    def decimal(digits: str) -> float:
        value = float(digits)
        return value if math.isfinite(value) else refuse(digits)

    try:
        row = json.loads(line, parse_constant=refuse, parse_float=decimal)
    except EdgeGymInputError:
        raise
    except json.JSONDecodeError as error:
        raise lines.wrong("", MISSING, "one JSON object", f"column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise lines.wrong("", MISSING, "a flat JSON object", "nested too deep") from None
    except ValueError:
        raise lines.wrong("", MISSING, "one JSON object", "a number has too many digits") from None
    if not isinstance(row, dict):
        raise lines.wrong("", MISSING, "one JSON object")
    for member in MEMBERS:
        if member not in row:
            raise lines.wrong(member, MISSING, "given", "a member of every line")
    return [row[member] for member in MEMBERS]
