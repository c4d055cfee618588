"""Request traces in the CSV format of the Azure LLM inference trace 2023, plain or gzipped.

    TIMESTAMP,ContextTokens,GeneratedTokens
    2023-11-16 18:15:46.6805900,374,44

Columns are found by name, in any order; there must be no others. Rules for what real traces contain:

* Time stamps are read exactly (7 digits are 100 ns) and count from the earliest. Only `+00:00` or `Z` may follow.
* Rows out of order are sorted by time; rows of the same time keep their order. `n_reordered` counts them.
* A prompt of 0 tokens stays; 0 generated tokens become 1, as a response has at least one unit. `n_raised` counts them.
* Blank lines are skipped. Everything else that is odd is an error with file, line, column and value.
"""

from __future__ import annotations

import csv
import datetime
import gzip
import os
import re
import zlib
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO

import numpy as np

from edge_gym.errors import MISSING, EdgeGymInputError
from edge_gym.files import check_regular, file_sha256, locate

COLUMNS = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
MAX_ROWS = 20_000_000
MAX_TOKENS = 10_000_000
MAX_LINE = 10_000  # characters; without it one endless line would fill the memory
MAX_SPAN_NS = 3_150_000_000 * 10**9  # 100 years
STAMP = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:\+00:00|Z)?", re.ASCII)
STAMP_FORM = "YYYY-MM-DD hh:mm:ss with up to 9 decimals"


@dataclass(eq=False, frozen=True, kw_only=True)
class Trace:
    """Requests in order of time.

    Attributes:
        time_ns: Nanoseconds since the first request, int64, ascending from 0.
        prompt_tokens: Tokens of the prompt, int32, >= 0.
        units: Generated tokens, int32, >= 1.
        sha256: Of the file, hexadecimal.
        n_reordered: Rows that came earlier than the row before them.
        n_raised: Rows with 0 generated tokens, counted as 1.
    """

    time_ns: np.ndarray
    prompt_tokens: np.ndarray
    units: np.ndarray
    sha256: str
    n_reordered: int
    n_raised: int


def read_trace(path: str | os.PathLike) -> Trace:
    """Reads a trace row by row; memory is 16 bytes a row.

    Args:
        path: CSV file, gzipped if it ends with .gz; `edge_gym:name` is a shipped file.

    Raises:
        EdgeGymInputError: Names file and line, column and value.
    """
    real = check_regular(locate(path))
    name = Path(real).name
    with _open_text(real, name) as stream:
        rows = csv.reader(_lines(stream, name))
        columns = _columns(next(rows, []), name)
        times, prompts, units = _read_rows(rows, columns, name)
    time_ns = np.frombuffer(times, dtype=np.int64)
    generated = np.frombuffer(units, dtype=np.int32)
    order = np.argsort(time_ns, kind="stable")
    return Trace(
        time_ns=time_ns[order] - time_ns[order[0]],
        prompt_tokens=np.frombuffer(prompts, dtype=np.int32)[order],
        units=np.maximum(generated, 1)[order],
        sha256=file_sha256(real),
        n_reordered=int((np.diff(time_ns) < 0).sum()),
        n_raised=int((generated == 0).sum()),
    )


@contextmanager
def _open_text(path: Path, name: str) -> Iterator[IO[str]]:
    """Opens a plain or gzipped file as UTF-8 text and turns what goes wrong while it is read into input errors."""
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as stream:
            yield stream
    except UnicodeDecodeError as error:
        raise EdgeGymInputError("", MISSING, "UTF-8 text", name, error.reason) from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise EdgeGymInputError("", MISSING, "a whole gzip file", name, str(error)) from None
    except csv.Error as error:
        raise EdgeGymInputError("", MISSING, "valid CSV", name, str(error)) from None


def _lines(stream: IO[str], name: str) -> Iterator[str]:
    number = 0
    while line := stream.readline(MAX_LINE):
        number += 1
        if len(line) == MAX_LINE:
            raise EdgeGymInputError("line", line, f"shorter than {MAX_LINE} characters", f"{name}:{number}")
        yield line


def _columns(header: list[str], name: str) -> tuple[int, int, int]:
    """Returns the positions of the three columns."""
    if not header:
        raise EdgeGymInputError("", MISSING, f"a header with {','.join(COLUMNS)}", name, "the file is empty")
    if sorted(header) != sorted(COLUMNS):
        missing, extra = set(COLUMNS) - set(header), [c for c in header if c not in COLUMNS]
        found = f"missing: {', '.join(sorted(missing)) or 'none'}; unknown: {', '.join(extra) or 'none'}"
        hint = f"{found}; the separator is a comma, no column twice"
        raise EdgeGymInputError("header", ",".join(header), ",".join(COLUMNS) + " in any order", f"{name}:1", hint)
    return header.index(COLUMNS[0]), header.index(COLUMNS[1]), header.index(COLUMNS[2])


def _read_rows(rows, columns: tuple[int, int, int], name: str) -> tuple[array, array, array]:
    """Returns nanoseconds relative to the first row, prompt tokens and generated tokens, in the order of the file."""
    at_time, at_prompt, at_units = columns
    times, prompts, units = array("q"), array("i"), array("i")
    first: int | None = None
    for row in rows:
        if len(row) != 3:
            if not row:
                continue
            raise EdgeGymInputError("row", MISSING, "3 cells", f"{name}:{rows.line_num}", f"found {len(row)}")
        now = stamp_ns(row[at_time])
        prompt, unit = _tokens(row[at_prompt]), _tokens(row[at_units])
        if now is None or prompt is None or unit is None:
            raise _bad_cell(dict(zip(COLUMNS, (row[at_time], row[at_prompt], row[at_units]), strict=True)), name, rows)
        if first is None:
            first = now
        if abs(now - first) > MAX_SPAN_NS or len(times) >= MAX_ROWS:
            allowed = f"one of at most {MAX_ROWS} rows, within 100 years of the first"
            raise EdgeGymInputError(COLUMNS[0], row[at_time], allowed, f"{name}:{rows.line_num}")
        times.append(now - first)
        prompts.append(prompt)
        units.append(unit)
    if first is None:
        raise EdgeGymInputError("rows", MISSING, "at least one", name, "the file has a header only")
    return times, prompts, units


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


def _tokens(text: str) -> int | None:
    """Returns a token count, or None; only ASCII digits count, so `-1`, `1.5`, `1,000` and `NA` do not."""
    if not (text.isascii() and text.isdigit()) or len(text) > 12:
        return None
    value = int(text)
    return value if value <= MAX_TOKENS else None


def _bad_cell(cells: dict[str, str], name: str, rows) -> EdgeGymInputError:
    where = f"{name}:{rows.line_num}"
    if stamp_ns(cells[COLUMNS[0]]) is None:
        return EdgeGymInputError(COLUMNS[0], cells[COLUMNS[0]], STAMP_FORM, where)
    column = next(c for c in COLUMNS[1:] if _tokens(cells[c]) is None)
    return EdgeGymInputError(column, cells[column], f"an integer >= 0 and <= {MAX_TOKENS}", where, "tokens")
