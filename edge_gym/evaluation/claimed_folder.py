"""A folder that one run claims: two runs never share one, and a run is only resumed as what it was."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import socket
from pathlib import Path
from typing import IO, Any, ClassVar, Self

from edge_gym.errors import MISSING, EdgeGymInputError, show
from edge_gym.files import atomic_write

NAME = re.compile(r"(?!\.*$)[A-Za-z0-9._][A-Za-z0-9._ -]{0,99}", re.ASCII)
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # on Windows, with any suffix
MAX_MANIFEST = 100 * 2**20


class ClaimedFolder:
    """Where a run keeps what it makes; use it as a context manager. Subclasses say what belongs to a run.

    Args:
        path: The folder; made if it does not exist.
        identity: What must be the same for a run to be resumed, as plain values.
        resume: Go on with an unfinished run in this folder.
        overwrite: Remove an older run's results first.

    Attributes:
        KIND: What messages call a run; its manifest says "edge_gym" before it.
        MANIFEST: Name of the file that says what runs here.
        PRODUCTS: Names of the other files that a run writes, removed by `overwrite`.
        FOLDERS: Names of the folders that a run makes before its manifest, removed by `overwrite`.

    Raises:
        EdgeGymInputError: The folder cannot be used; nothing in it has changed.
    """

    KIND: ClassVar[str]
    MANIFEST: ClassVar[str] = "manifest.json"
    PRODUCTS: ClassVar[tuple[str, ...]]
    FOLDERS: ClassVar[tuple[str, ...]] = ()

    def __init__(self, path: str | os.PathLike, identity: dict[str, Any], resume: bool, overwrite: bool) -> None:
        self.path, self.identity = check_path(path), json.loads(json.dumps(identity))
        self.resume, self.overwrite = resume, overwrite
        self._lock: IO[str] | None = None
        if resume and overwrite:
            raise EdgeGymInputError("resume", True, "false when overwrite is true")
        self._check_content()

    def __enter__(self) -> Self:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = lock(self.path / ".lock")
            self._check_content()  # again, now that nobody else can change it
            folders = [self.path / name for name in self.FOLDERS]
            if self.overwrite:
                for name in (*self.PRODUCTS, self.MANIFEST):
                    (self.path / name).unlink(missing_ok=True)
                for folder in folders:
                    if not folder.is_symlink():
                        shutil.rmtree(folder, ignore_errors=True)
            for folder in (self.path, *folders):
                folder.mkdir(exist_ok=True)
                for rest in folder.glob(".*.tmp"):  # a killed run was writing these
                    rest.unlink()
        except Exception as error:
            self.__exit__()
            if not isinstance(error, OSError):
                raise
            raise EdgeGymInputError("out", str(self.path), "a folder that can be written", hint=str(error)) from error
        return self

    def __exit__(self, *_: Any) -> None:
        if self._lock is not None:
            self._lock.close()

    def _check_content(self) -> None:
        """The folder is new, empty, or an older run that may be resumed or replaced."""
        try:
            entries = list(os.scandir(self.path)) if os.path.lexists(self.path) else []
        except OSError as error:
            raise EdgeGymInputError("out", str(self.path), "a folder", hint=error.strerror or "") from None
        for entry in entries:
            if entry.is_symlink():  # somebody's folder could have us write or remove things elsewhere
                raise EdgeGymInputError("out", entry.path, "no link: what a run writes stays in its folder")
        content = [entry.name for entry in entries]
        # A run makes these before its manifest.
        made = {".lock", *self.FOLDERS}
        if not set(content) - made and not any(any((self.path / name).glob("*")) for name in self.FOLDERS):
            return
        if not (self.resume or self.overwrite):
            hint = "give another name, or --resume or --overwrite"
            raise EdgeGymInputError("out", str(self.path), "a new or empty folder", hint=hint)
        before = self._read_manifest()
        if self.resume:
            self._compare(before.get("identity", {}))

    def _read_manifest(self) -> dict[str, Any]:
        path = self.path / self.MANIFEST
        try:
            with open(path, "rb") as file:
                found = json.loads(file.read(MAX_MANIFEST))
        except (OSError, ValueError, RecursionError):
            found = None
        if not isinstance(found, dict) or found.get("kind") != f"edge_gym {self.KIND}":
            allowed = f"a folder that an earlier {self.KIND} has written"
            raise EdgeGymInputError("out", str(self.path), allowed, hint=f"its {self.MANIFEST} is missing or not ours")
        return found

    def _compare(self, before: Any) -> None:
        before = before if isinstance(before, dict) else {}
        for name, now in self.identity.items():
            if before.get(name, MISSING) != now:
                old = before.get(name, MISSING)
                was = show(old)
                if isinstance(old, list) and isinstance(now, list) and len(old) != len(now):
                    was += f", {len(old)} and not {len(now)} of them"
                hint = f"--resume continues the same configuration only; '{name}' differs"
                raise EdgeGymInputError(name, now, f"what it was: {was}", str(self.path), hint)

    def write_manifest(self, about: dict[str, Any], finished: bool) -> None:
        """Say what runs here and whether it is complete."""
        manifest = {"kind": f"edge_gym {self.KIND}", "finished": finished, "identity": self.identity, **about}
        atomic_write(self.path / self.MANIFEST, json.dumps(manifest, indent=1) + "\n")


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
