"""The folder of an evaluation: finished work survives a kill, and two runs never share a folder.

A run is cut into shards (one policy on some seeds). A shard's file appears whole or not at all, and its name says what
it is, so a resumed run does only what is missing.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any

from edge_gym.errors import MISSING, EdgeGymInputError, show
from edge_gym.evaluation.results import Results
from edge_gym.files import atomic_write

KIND = "edge_gym evaluation"
NAME = re.compile(r"(?!\.*$)[A-Za-z0-9._][A-Za-z0-9._ -]{0,99}", re.ASCII)
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # on Windows, with any suffix
PRODUCTS = ("episodes.jsonl", "summary.json", "timing.json", "report.html", "manifest.json")
MAX_MANIFEST = 100 * 2**20


class RunFolder:
    """Where a run keeps its results; use it as a context manager.

    Args:
        path: The folder; made if it does not exist.
        identity: What must be the same for a run to be resumed, as plain values.
        resume: Go on with an unfinished run in this folder.
        overwrite: Remove an older run's results first.

    Raises:
        EdgeGymInputError: The folder cannot be used; nothing in it has changed.
    """

    def __init__(self, path: str | os.PathLike, identity: dict[str, Any], resume: bool, overwrite: bool) -> None:
        self.path, self.identity = check_path(path), json.loads(json.dumps(identity))
        self.resume, self.overwrite = resume, overwrite
        self.shards = self.path / "shards"
        self._lock: IO[str] | None = None
        if resume and overwrite:
            raise EdgeGymInputError("resume", True, "false when overwrite is true")
        self._check_content()

    def __enter__(self) -> RunFolder:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = lock(self.path / ".lock")
            self._check_content()  # again, now that nobody else can change it
            if self.overwrite:
                for name in PRODUCTS:
                    (self.path / name).unlink(missing_ok=True)
                if not self.shards.is_symlink():
                    shutil.rmtree(self.shards, ignore_errors=True)
            self.shards.mkdir(exist_ok=True)
            for folder in (self.path, self.shards):
                for rest in folder.glob(".*.tmp"):  # a killed run was writing these
                    rest.unlink()
        except OSError as error:
            raise EdgeGymInputError("out", str(self.path), "a folder that can be written", hint=str(error)) from error
        return self

    def __exit__(self, *_: Any) -> None:
        if self._lock is not None:
            self._lock.close()

    def _check_content(self) -> None:
        """The folder is new, empty, or an older run that may be resumed or replaced."""
        try:
            content = [entry.name for entry in os.scandir(self.path)] if os.path.lexists(self.path) else []
        except OSError as error:
            raise EdgeGymInputError("out", str(self.path), "a folder", hint=error.strerror or "") from None
        # A run makes these before its manifest.
        if not set(content) - {".lock", "shards"} and not any(self.shards.glob("*")):
            return
        if not (self.resume or self.overwrite):
            hint = "give another name, or --resume or --overwrite"
            raise EdgeGymInputError("out", str(self.path), "a new or empty folder", hint=hint)
        before = self._read_manifest()
        if self.resume:
            self._compare(before.get("identity", {}))

    def _read_manifest(self) -> dict[str, Any]:
        path = self.path / "manifest.json"
        try:
            with open(path, "rb") as file:
                found = json.loads(file.read(MAX_MANIFEST))
        except (OSError, ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or found.get("kind") != KIND:
            allowed = "a folder that an earlier evaluation has written"
            raise EdgeGymInputError("out", str(self.path), allowed, hint="its manifest.json is missing or not ours")
        return found

    def _compare(self, before: Any) -> None:
        before = before if isinstance(before, dict) else {}
        for name, now in self.identity.items():
            if before.get(name, MISSING) != now:
                was = show(before.get(name, MISSING))
                hint = f"--resume continues the same configuration only; '{name}' differs"
                raise EdgeGymInputError(name, now, f"what it was: {was}", str(self.path), hint)

    def load(self, key: str, seeds: Sequence[int]) -> tuple[list[dict[str, Any]], dict[str, Any]] | None:
        """Rows and timing of a shard that was finished before, or None."""
        try:
            rows = [json.loads(line) for line in (self.shards / f"{key}.jsonl").read_text("utf-8").splitlines()]
            timing = json.loads((self.shards / f"{key}.time.json").read_text("utf-8"))
        except (OSError, ValueError):
            return None  # missing or damaged: it is run (again)
        whole = [row.get("seed") for row in rows if isinstance(row, dict)] == list(seeds) and isinstance(timing, dict)
        return (rows, timing) if whole else None

    def store(self, key: str, rows: list[dict[str, Any]], timing: dict[str, Any]) -> None:
        """Keep a finished shard. Its rows come last: where they are, it is finished."""
        atomic_write(self.shards / f"{key}.time.json", to_json(timing))
        atomic_write(self.shards / f"{key}.jsonl", to_lines(rows))

    def write_manifest(self, about: dict[str, Any], finished: bool) -> None:
        """Say what runs here and whether it is complete."""
        manifest = {"kind": KIND, "finished": finished, "identity": self.identity, **about}
        atomic_write(self.path / "manifest.json", json.dumps(manifest, indent=1) + "\n")

    def write_results(self, results: Results, page: str) -> None:
        """Write what people and programs read, from all shards."""
        atomic_write(self.path / "episodes.jsonl", to_lines(results.rows))
        atomic_write(self.path / "timing.json", json.dumps({"rows": results.timing}, indent=1) + "\n")
        atomic_write(self.path / "summary.json", json.dumps(results.summary(), indent=1, allow_nan=False) + "\n")
        atomic_write(self.path / "report.html", page)


def check_path(path: str | os.PathLike) -> Path:
    """A path whose last part is a sensible name on every system.

    Raises:
        EdgeGymInputError: It is not.
    """
    try:
        text = os.fspath(path)
    except TypeError:
        text = None
    if not isinstance(text, str) or "\0" in text:
        raise EdgeGymInputError("out", path, "the path of a folder")
    name = Path(text).name
    if not NAME.fullmatch(name) or RESERVED.fullmatch(name):
        allowed = "a folder name of 1 to 100 letters, digits, '.', '_', '-' and blanks, not beginning with '-'"
        raise EdgeGymInputError("out", text, allowed)
    return Path(text)


def lock(path: Path) -> IO[str]:
    """Hold `path` until the file is closed or the process is gone, however it ends.

    Raises:
        EdgeGymInputError: Another run holds it; says which.
    """
    file = open(path, "a+", encoding="utf-8")  # noqa: SIM115 - the caller closes it
    try:
        _lock_file(file)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            file.seek(0)
            holder = file.read(200).strip()
            file.close()
            hint = f"wait for it or stop it: {holder}"
            raise EdgeGymInputError("out", str(path.parent), "a folder that no other run is using", hint=hint) from None
        # A file system without locks: go on without.
    file.truncate(0)
    file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
    file.flush()
    return file


def _lock_file(file: IO[str]) -> None:
    try:
        import fcntl
    except ImportError:  # Windows
        import msvcrt

        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def to_json(value: Any) -> str:
    """One line of JSON; never NaN, which is not JSON."""
    return json.dumps(value, allow_nan=False, separators=(", ", ": "))


def to_lines(rows: list[dict[str, Any]]) -> str:
    """JSON lines."""
    return "".join(to_json(row) + "\n" for row in rows)
