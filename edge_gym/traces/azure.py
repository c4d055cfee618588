"""Rows of the Azure LLM inference traces of 2023 and 2024: `TIMESTAMP,ContextTokens,GeneratedTokens`, nothing else.

Time stamps are read exactly (7 digits are 100 ns). Only `+00:00` or `Z` may follow.
"""

from __future__ import annotations

from collections.abc import Iterator

from edge_gym.traces.cells import COUNT_FORM, STAMP_FORM, count, stamp_ns
from edge_gym.traces.text import Table

COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
ALONE = True


def azure_rows(table: Table) -> Iterator[tuple[int, int, int]]:
    """Yields (nanoseconds since the year 1, prompt tokens, generated tokens) of each row."""
    for stamp, prompt_text, units_text in table:
        now, prompt, units = stamp_ns(stamp), count(prompt_text), count(units_text)
        if now is None:
            raise table.wrong(COLUMNS[0], stamp, STAMP_FORM)
        if prompt is None:
            raise table.wrong(COLUMNS[1], prompt_text, COUNT_FORM, "tokens")
        if units is None:
            raise table.wrong(COLUMNS[2], units_text, COUNT_FORM, "tokens")
        yield now, prompt, units
