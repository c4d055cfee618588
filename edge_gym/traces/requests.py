"""Request traces from files, plain or gzipped: Azure LLM 2023 and 2024, BurstGPT, Mooncake.

The format is recognised by the header, or by the brace that begins a line of JSON. Rules for all of them:

* Times count from the earliest row. Rows out of order are sorted by time; rows of the same time keep their order.
  `n_reordered` counts those that came earlier than the row before them.
* A prompt of 0 tokens stays; 0 generated tokens become 1, as a response has at least one unit. `n_raised` counts them.
* In BurstGPT a row without response tokens is a request that failed there: it is left out, and `n_failed` counts it.
* Blank lines are skipped. Everything else that is odd is an error with file, line, column and value.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from edge_gym.errors import MISSING, EdgeGymInputError
from edge_gym.files import file_sha256
from edge_gym.traces import azure, burstgpt, mooncake
from edge_gym.traces.cells import MAX_SECONDS
from edge_gym.traces.text import Lines, Table, open_lines

MAX_ROWS = 50_000_000  # 800 MB
CSV_FORMATS = {  # name -> (columns, no others, reader); the first is meant when a header fits both alike
    "azure": (azure.COLUMNS, azure.ALONE, azure.azure_rows),
    "burstgpt": (burstgpt.COLUMNS, burstgpt.ALONE, burstgpt.burstgpt_rows),
}


@dataclass(eq=False, frozen=True, kw_only=True)
class Trace:
    """Requests in order of time.

    Attributes:
        format: "azure", "burstgpt" or "mooncake".
        time_ns: Nanoseconds since the first request, int64, ascending from 0.
        prompt_tokens: Tokens of the prompt, int32, >= 0.
        units: Generated tokens, int32, >= 1.
        sha256: Of the file, hexadecimal.
        n_reordered: Rows that came earlier than the row before them.
        n_raised: Rows with 0 generated tokens, counted as 1.
        n_failed: Rows of requests that failed, left out.
    """

    format: str
    time_ns: np.ndarray
    prompt_tokens: np.ndarray
    units: np.ndarray
    sha256: str
    n_reordered: int
    n_raised: int
    n_failed: int


def read_trace(path: str | os.PathLike) -> Trace:
    """Reads a trace row by row; memory is 16 bytes a row.

    Args:
        path: CSV or JSONL file, gzipped if it ends with .gz; `edge_gym:name` is a shipped file.

    Raises:
        EdgeGymInputError: Names file and line, column and value.
    """
    with open_lines(path) as lines:
        name, rows = _open_rows(lines)
        times, prompts, units, n_failed = _collect(rows, name == "burstgpt", lines)
    time_ns = np.frombuffer(times, dtype=np.int64)
    generated = np.frombuffer(units, dtype=np.int32)
    order = np.argsort(time_ns, kind="stable")
    return Trace(
        format=name,
        time_ns=time_ns[order] - time_ns[order[0]],
        prompt_tokens=np.frombuffer(prompts, dtype=np.int32)[order],
        units=np.maximum(generated, 1)[order],
        sha256=file_sha256(path),
        n_reordered=int((np.diff(time_ns) < 0).sum()),
        n_raised=int((generated == 0).sum()),
        n_failed=n_failed,
    )


def _open_rows(lines: Lines) -> tuple[str, Iterator[tuple[int, int, int]]]:
    """Returns the name of the format and its rows: time, prompt tokens, generated tokens."""
    if lines.peek().lstrip().startswith("{"):
        return "mooncake", mooncake.mooncake_rows(lines)
    table = Table(lines)
    name = max(CSV_FORMATS, key=lambda known: table.shared(CSV_FORMATS[known][0]))
    columns, alone, rows = CSV_FORMATS[name]
    if table.header and table.shared(columns) < 2:  # all have a time stamp, so one says nothing
        known = "; ".join(f"{','.join(columns)} ({name})" for name, (columns, _, _) in CSV_FORMATS.items())
        allowed = f"one of: {known}; or JSON lines with {','.join(mooncake.MEMBERS)} (mooncake)"
        raise EdgeGymInputError(
            "header", ",".join(table.header), allowed, f"{lines.name}:1", "the separator is a comma; see docs/data.md"
        )
    return name, rows(table.select(columns, alone=alone))


def _collect(
    rows: Iterator[tuple[int, int, int]], drop_failed: bool, lines: Lines
) -> tuple[array[int], array[int], array[int], int]:
    """Returns nanoseconds relative to the first row, prompt tokens and units in the order of the file, and failures."""
    times, prompts, units, n_failed = array("q"), array("i"), array("i"), 0
    first: int | None = None
    for now, prompt, unit in rows:
        if drop_failed and not unit:
            n_failed += 1
            continue
        if first is None:
            first = now
        if abs(now - first) > MAX_SECONDS * 10**9 or len(times) >= MAX_ROWS:
            raise lines.wrong("row", MISSING, f"one of at most {MAX_ROWS} rows, within 100 years of the first")
        times.append(now - first)
        prompts.append(prompt)
        units.append(unit)
    if first is None:
        allowed = "at least one request that did not fail" if n_failed else "at least one"
        raise lines.wrong("rows", MISSING, allowed, "" if n_failed else "the file has a header only")
    return times, prompts, units, n_failed
