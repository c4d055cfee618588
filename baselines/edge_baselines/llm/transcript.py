"""Transcripts: every attempt on one line, durable before the next one, and enough to repeat a run without a model."""

from __future__ import annotations

import json
import os
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edge_baselines.llm.client import Outcome
from edge_baselines.llm.completions import Answer
from edge_baselines.llm.faults import FAULTS, TranscriptError
from edge_baselines.llm.strict_json import RefusedJson, parse_object
from edge_gym.errors import MISSING, EdgeGymInputError
from edge_gym.files import check_regular

MODES = ("record", "replay", "live", "off")
MAX_BYTES = 2**30
VERSION = 1


@dataclass(frozen=True)
class Line:
    """One attempt.

    Attributes:
        version: Of this format.
        prompt_hash: SHA-256 of all that the answer depends on, the model's name excepted.
        messages_hash: SHA-256 of the messages alone.
        model_asked: The model of the request.
        model_answered: The model that the answer names, or "".
        model_changed: Whether another model answered than was asked, or than answered first.
        answer: Allow-listed fields of the answer (`completions.Answer`), or None.
        fault: Why there is no answer, or None.
        detail: One line about the fault.
        latency_s: Time it took.
        retry_after_s: How long the endpoint asked to wait, or None.
        verdict: "plan", "reads", or the fault that the attempt ended with.
    """

    version: int
    prompt_hash: str
    messages_hash: str
    model_asked: str
    model_answered: str
    model_changed: bool
    answer: dict[str, Any] | None
    fault: str | None
    detail: str
    latency_s: float
    retry_after_s: float | None
    verdict: str

    def outcome(self) -> Outcome:
        """What the attempt gave, as the client would return it."""
        answer = None if self.answer is None else Answer.from_record(self.answer)
        return Outcome(answer, self.fault, self.detail, self.latency_s, self.retry_after_s)


class Transcript:
    """A file of attempts, or none.

    Modes: `record` takes what the file holds and asks for the rest (so a stopped run goes on without paying twice);
    `replay` takes everything from the file and never asks; `live` always asks, and writes down if there is a path;
    `off` never asks and has no file.

    The n-th attempt with the same prompt gets the n-th such line. One file serves one process at a time.

    Args:
        path: The file; its folder must exist. None only for `live` and `off`.
        mode: One of the modes.
        model: The model that will be asked; in `record` it must be the one in the file.
        refresh: With `record`: set an older file aside (as `<name>.old`) and record anew.

    Raises:
        EdgeGymInputError: Names the file and the line.
    """

    def __init__(self, path: str | os.PathLike | None, mode: str, model: str = "", refresh: bool = False):
        if mode not in MODES:
            raise EdgeGymInputError("mode", mode, f"one of {', '.join(MODES)}", "transcript")
        if path is None and mode in ("record", "replay"):
            raise EdgeGymInputError("path", MISSING, f"given for mode {mode}", "transcript")
        if refresh and mode != "record":
            raise EdgeGymInputError("refresh", True, "used with mode record", "transcript")
        self.path, self.mode, self.model = None if path is None else Path(path), mode, model
        self._lines: dict[str, list[Line]] = defaultdict(list)
        self._order: list[str] = []
        self._taken: Counter[str] = Counter()
        self._first_model = ""
        self._file: int | None = None
        self.written = 0
        if self.path is None or mode == "off":
            return
        if refresh and self.path.exists():
            os.replace(check_regular(self.path), self.path.with_name(self.path.name + ".old"))
        if mode == "replay" or self.path.exists():
            self._load(check_regular(self.path, MAX_BYTES))
        if mode != "replay":
            self._open()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def recorded(self, prompt_hash: str) -> Outcome | None:
        """The next recorded outcome of this prompt; None if it has to be asked.

        Raises:
            EdgeGymInputError: In replay, if there is none.
        """
        if self.mode == "live":
            return None
        taken, lines = self._taken[prompt_hash], self._lines.get(prompt_hash, [])
        if taken < len(lines):
            self._taken[prompt_hash] += 1
            return lines[taken].outcome()
        if self.mode == "replay":
            expected = self._expected()
            raise EdgeGymInputError(
                "prompt hash",
                prompt_hash,
                f"in the transcript (the next line there is {expected})",
                str(self.path),
                "the prompt differs from the recorded one; record it anew with --refresh",
            )
        return None

    def append(self, line: Line) -> None:
        """Write an attempt; when this returns it is on the disk.

        Raises:
            TranscriptError: If it cannot be written. The file then ends with the line before.
        """
        if self._file is None:
            return
        raw = (json.dumps(asdict(line), sort_keys=True, allow_nan=False) + "\n").encode()
        good = os.fstat(self._file).st_size
        try:
            view = memoryview(raw)
            while view:
                view = view[os.write(self._file, view) :]
            os.fsync(self._file)
        except OSError as error:
            os.ftruncate(self._file, good)
            reason = error.strerror or str(error)
            message = f"{self.path}: line {self.written + 1} cannot be written: {reason}; the lines before are kept"
            raise TranscriptError(message) from None
        self.written += 1

    def line(self, body_hash: str, messages_hash: str, outcome: Outcome, verdict: str) -> Line:
        """The line for an outcome."""
        answered = outcome.answer.model if outcome.answer else ""
        return Line(
            version=VERSION,
            prompt_hash=body_hash,
            messages_hash=messages_hash,
            model_asked=self.model,
            model_answered=answered,
            model_changed=self.is_change(answered),
            answer=outcome.answer.to_record() if outcome.answer else None,
            fault=outcome.fault,
            detail=outcome.detail,
            latency_s=outcome.latency_s,
            retry_after_s=outcome.retry_after_s,
            verdict=verdict,
        )

    def is_change(self, answered: str) -> bool:
        """Whether it is not the model asked (whose name may get a date added), or not the first that answered."""
        if not answered:
            return False
        self._first_model = self._first_model or answered
        return answered != self._first_model or not answered.startswith(self.model)

    def _expected(self) -> str:
        """Hash of the first line that has not been taken."""
        left = Counter(self._taken)
        for known in self._order:
            left[known] -= 1
            if left[known] < 0:
                return known
        return "none: all have been taken"

    def _load(self, path: Path) -> None:
        raw = path.read_bytes()
        whole = raw.rpartition(b"\n")[0]  # what follows the last line feed was cut by a crash
        for i, piece in enumerate(whole.split(b"\n") if whole else [], start=1):
            line = _read_line(piece, f"{path}:{i}")
            if self.mode == "record" and line.model_asked != self.model:
                allowed = f"{line.model_asked}, as in the transcript"
                raise EdgeGymInputError("model", self.model, allowed, f"{path}:{i}", "or record anew with --refresh")
            self.model = self.model if self.mode == "record" else line.model_asked
            self._lines[line.prompt_hash].append(line)
            self._order.append(line.prompt_hash)
            self.written = i
        if self.mode == "record" and len(raw) > len(whole) + bool(whole):
            with open(path, "r+b") as file:
                file.truncate(len(whole) + bool(whole))

    def _open(self) -> None:
        assert self.path is not None
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
        try:
            self._file = os.open(self.path, flags, 0o600)
            os.fchmod(self._file, 0o600)
            _lock(self._file)
        except BlockingIOError:
            self.close()
            raise EdgeGymInputError("", MISSING, "used by one process at a time", str(self.path)) from None
        except OSError as error:
            raise EdgeGymInputError("path", str(self.path), "a writable file", hint=error.strerror or "") from None


def _lock(file: int) -> None:
    try:
        import fcntl
    except ImportError:  # not on Windows
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _read_line(piece: bytes, where: str) -> Line:
    try:
        data = parse_object(piece.decode("utf-8"))
        line = Line(**data)
        line.outcome()
        known = line.fault is None or line.fault in FAULTS
        texts = (line.prompt_hash, line.messages_hash, line.model_asked, line.model_answered, line.detail, line.verdict)
        if not all(isinstance(text, str) for text in texts):
            raise TypeError("names and hashes are text")
        if line.version != VERSION or not known or (line.fault is None) == (line.answer is None):
            raise ValueError("not a line of this format")
        if not all(type(s) is float and s >= 0 for s in (line.latency_s, line.retry_after_s or 0.0)):
            raise ValueError("times are positive numbers")
    except (RefusedJson, UnicodeDecodeError, ValueError, TypeError, KeyError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise EdgeGymInputError(
            "", MISSING, "a line of a transcript", where, f"{reason}; record anew with --refresh"
        ) from None
    return line
