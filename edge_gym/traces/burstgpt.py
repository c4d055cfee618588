"""Rows of BurstGPT, all releases: `Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type`, and others.

`Timestamp` is in seconds since the midnight before the first row. The files `BurstGPT_3` insert two columns, which are
ignored like all but three.
"""

from __future__ import annotations

from collections.abc import Iterator

from edge_gym.traces.cells import COUNT_FORM, SECONDS_FORM, count, seconds_ns
from edge_gym.traces.text import Table

COLUMNS = ("Timestamp", "Request tokens", "Response tokens")
ALONE = False


def burstgpt_rows(table: Table) -> Iterator[tuple[int, int, int]]:
    """Yields (nanoseconds, request tokens, response tokens) of each row; 0 response tokens mean that it failed."""
    for stamp, prompt_text, units_text in table:
        now, prompt, units = seconds_ns(stamp), count(prompt_text), count(units_text)
        if now is None:
            raise table.wrong(COLUMNS[0], stamp, SECONDS_FORM, "s, not ms")
        if prompt is None:
            raise table.wrong(COLUMNS[1], prompt_text, COUNT_FORM, "tokens")
        if units is None:
            raise table.wrong(COLUMNS[2], units_text, COUNT_FORM, "tokens")
        yield now, prompt, units
