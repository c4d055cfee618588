"""Strangers' text files line by line: plain or gzipped, in bounded memory, every problem an input error."""

from __future__ import annotations

import csv
import gzip
import io
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from operator import itemgetter
from typing import IO

from edge_gym.errors import MISSING, EdgeGymInputError
from edge_gym.files import check_regular, locate

MAX_LINE = 1_000_000  # characters; without it one endless line would fill the memory


@contextmanager
def open_bytes(path: str | os.PathLike) -> Iterator[tuple[io.BufferedReader | gzip.GzipFile, str]]:
    """Opens a file, gzipped if it ends with .gz, and yields the stream and the name for messages.

    Raises:
        EdgeGymInputError: Also while the stream is read: what is wrong with the file.
    """
    real = check_regular(locate(path))
    try:
        with gzip.open(real, "rb") if real.suffix == ".gz" else open(real, "rb") as stream:
            yield stream, real.name
    except UnicodeDecodeError as error:
        raise EdgeGymInputError("", MISSING, "UTF-8 text", real.name, error.reason) from None
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise EdgeGymInputError("", MISSING, "a whole gzip file", real.name, str(error)) from None


@contextmanager
def open_lines(path: str | os.PathLike) -> Iterator[Lines]:
    """Opens a text file, gzipped if it ends with .gz, for reading line by line."""
    with open_bytes(path) as (stream, name), io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
        yield Lines(text, name)


class Lines:
    """The lines of an open text file, with their ends.

    Attributes:
        name: Of the file, without its folder.
        number: Of the last line, from 1.
    """

    def __init__(self, stream: IO[str], name: str):
        self._stream, self.name, self.number = stream, name, 0
        self._waiting = ""

    def peek(self) -> str:
        """Returns the first line, or "", before the others are read; iteration returns it again."""
        self._waiting = self._stream.readline(MAX_LINE)
        return self._waiting

    def __iter__(self) -> Iterator[str]:
        line, self._waiting = self._waiting or self._stream.readline(MAX_LINE), ""
        while line:
            self.number += 1
            if len(line) == MAX_LINE:
                raise self.wrong("line", line, f"shorter than {MAX_LINE} characters")
            yield line
            line = self._stream.readline(MAX_LINE)

    def wrong(self, field: str, value: object, allowed: str, hint: str = "") -> EdgeGymInputError:
        """Returns an error about the last line."""
        return EdgeGymInputError(field, value, allowed, f"{self.name}:{self.number}", hint)


class Table:
    """The rows of a CSV file with a header, reduced to the wanted columns.

    Columns are found by name, in any order; case and blanks around a name do not matter. Blank lines are skipped.

    Attributes:
        header: Names of the columns in the file.
        lines: Where the rows come from.
    """

    def __init__(self, lines: Lines):
        self.lines = lines
        self._rows = csv.reader(lines)
        self.header: list[str] = next(self._read(), [])
        self._keys = [name.strip().casefold() for name in self.header]
        self._columns: tuple[str, ...] = ()

    def shared(self, columns: tuple[str, ...]) -> int:
        """Returns how many of `columns` the header has."""
        return sum(column.casefold() in self._keys for column in columns)

    def select(self, columns: tuple[str, ...], *, alone: bool = False) -> Table:
        """Chooses the columns that iteration returns.

        Args:
            columns: At least two names.
            alone: Other columns are an error.

        Raises:
            EdgeGymInputError: A column is not there, is there twice, or is one too many.
        """
        if not self.header:
            allowed = f"a header with {','.join(columns)}"
            raise EdgeGymInputError("", MISSING, allowed, self.lines.name, "the file is empty")
        wanted = [column.casefold() for column in columns]
        counts = [self._keys.count(key) for key in wanted]
        if counts != [1] * len(wanted) or (alone and len(self._keys) > len(wanted)):
            missing = ", ".join(column for column, n in zip(columns, counts, strict=True) if not n) or "none"
            unknown = ", ".join(n for n, k in zip(self.header, self._keys, strict=True) if k not in wanted) or "none"
            found = f"missing: {missing}; unknown: {unknown}" if alone else f"missing: {missing}"
            hint = f"{found}; the separator is a comma, no column twice"
            allowed = ",".join(columns) + (" in any order" if alone else " in any order, among others")
            raise EdgeGymInputError("header", ",".join(self.header), allowed, f"{self.lines.name}:1", hint)
        self._columns = columns
        self._pick = itemgetter(*(self._keys.index(key) for key in wanted))
        return self

    def __iter__(self) -> Iterator[tuple[str, ...]]:
        width, pick = len(self.header), self._pick
        for row in self._read():
            if len(row) != width:
                if not row:
                    continue
                if len(row) < width or any(row[width:]):  # empty cells beyond the last column are harmless
                    raise self.wrong("row", MISSING, f"{width} cells", f"found {len(row)}")
            yield pick(row)

    def _read(self) -> Iterator[list[str]]:
        try:
            yield from self._rows
        except csv.Error as error:
            raise self.lines.wrong("row", MISSING, "valid CSV", str(error)) from None

    def wrong(self, field: str, value: object, allowed: str, hint: str = "") -> EdgeGymInputError:
        """Returns an error about the last row."""
        return self.lines.wrong(field, value, allowed, hint)


@contextmanager
def open_table(path: str | os.PathLike, columns: tuple[str, ...], *, alone: bool = False) -> Iterator[Table]:
    """Opens a CSV file for reading the given columns; see `Table`."""
    with open_lines(path) as lines:
        yield Table(lines).select(columns, alone=alone)
