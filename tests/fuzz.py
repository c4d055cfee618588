"""Every parser of the project against damaged files: each file is read, or refused by the parser's own error.

A case is made of its seed, the parser and a number, so that a finding can be repeated alone:
`python scripts/fuzz.py --parsers graphml --seed 3 --first 1234 --cases 1`.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import resource
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mutations import mutated

from edge_gym.errors import EdgeGymInputError

LIMIT_S = 10.0  # processor seconds for one case
MAX_ERROR = 25_000  # characters of a message: 21 errors of a file


class Finding(AssertionError):
    """A parser did what none may do."""


class Hang(BaseException):
    """A case takes too long."""


@dataclass(frozen=True)
class Parser:
    """Something that reads files of strangers.

    Attributes:
        name: Short.
        seeds: Valid files.
        read: Reads the damaged file, given its bytes and an empty folder that is the working directory.
        refusal: What it may raise.
        weight: How many cases it gets, relative to the others; less where reading takes long.
    """

    name: str
    seeds: tuple[bytes, ...]
    read: Callable[[bytes, Path], Any]
    refusal: tuple[type[BaseException], ...] = (EdgeGymInputError,)
    weight: float = 1.0


@dataclass
class Count:
    """What came of the cases of a parser."""

    cases: int = 0
    valid: int = 0
    refused: int = 0
    slowest_s: float = 0.0
    seconds: float = 0.0
    findings: list[str] = field(default_factory=list)


def at(folder: Path, name: str, data: bytes) -> Path:
    """Writes the file that is to be read."""
    path = folder / name
    path.write_bytes(data)
    return path


def share(parsers: Sequence[Parser], cases: int) -> list[int]:
    """How many of the cases each parser gets: at least one."""
    total = sum(parser.weight for parser in parsers)
    return [max(1, round(cases * parser.weight / total)) for parser in parsers]


def fuzz(parser: Parser, cases: int, seed: int, folder: Path, first: int = 0) -> Count:
    """Runs cases `first` ... `first + cases - 1` of a parser; its findings are in what is returned."""
    count = Count()
    with contextlib.chdir(folder), _limited():
        for number in range(first, first + cases):
            began = time.perf_counter()
            try:
                valid = one(parser, seed, number, folder)
                count.valid += valid
                count.refused += not valid
            except Finding as finding:
                count.findings.append(f"{parser.name}, seed {seed}, case {number}: {finding}")
            took_s = time.perf_counter() - began
            count.cases += 1
            count.seconds += took_s
            count.slowest_s = max(count.slowest_s, took_s)
    return count


def one(parser: Parser, seed: int, number: int, folder: Path) -> bool:
    """Runs one case.

    Returns:
        Whether the damaged file was valid.

    Raises:
        Finding: Something else than the parser's error, a message that is not fit to print, a hang, or a file.
    """
    data = mutated(random.Random(f"{seed} {parser.name} {number}"), parser.seeds)
    signal.setitimer(signal.ITIMER_VIRTUAL, LIMIT_S)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            parser.read(data, folder)
        valid = True
    except parser.refusal as error:
        valid = False
        _check_message(error)
    except Hang:
        raise Finding(f"more than {LIMIT_S:g} s") from None
    except Exception as error:
        raise Finding(f"{type(error).__name__}: {str(error)[:300]!r}") from error
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        left = _emptied(folder)
    if left:
        raise Finding(f"wrote {left}")
    return valid


def _check_message(error: BaseException) -> None:
    text = str(error)
    if not text or len(text) > MAX_ERROR or not all(line.isprintable() for line in text.split("\n")):
        raise Finding(f"a message that is empty, too long or not printable: {text[:300]!r}")
    if isinstance(error, EdgeGymInputError) and not error.allowed:
        raise Finding(f"a message that does not say what is allowed: {text[:300]!r}")


def _emptied(folder: Path) -> list[str]:
    """Removes everything; names of what the cases did not put there (inputs begin with "in")."""
    left = []
    for root, folders, files in os.walk(folder, topdown=False):
        for name in files:
            path = os.path.join(root, name)
            inside = os.path.relpath(path, folder)
            if not inside.startswith("in"):
                left.append(inside)
            os.unlink(path)
        for name in folders:
            path = os.path.join(root, name)
            os.unlink(path) if os.path.islink(path) else os.rmdir(path)
    return left


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """Turns the timer of `one` into `Hang`; the timer of processor time, as pytest uses the other one."""

    def stop(*_: Any) -> None:
        raise Hang

    before = signal.signal(signal.SIGVTALRM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGVTALRM, before)


def peak_mib() -> float:
    """The most memory that this process has had, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
