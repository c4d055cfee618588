"""Reading strangers' files and writing our own: nothing blocks, nothing is read without limit or half-written."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from pathlib import Path

from edge_gym.errors import MISSING, EdgeGymInputError, nearest

KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"),
)


SHIPPED = "edge_gym:"  # such a path names a file in the package's data folder, the same on every machine


def locate(path: str | os.PathLike) -> Path:
    """Returns the real path of `path`, which may be `edge_gym:name` for a shipped file."""
    shown = os.fspath(path)
    if not shown.startswith(SHIPPED):
        return Path(shown)
    folder = Path(__file__).parent / "data"
    names = sorted(p.name for p in folder.iterdir() if p.is_file())
    name = shown.removeprefix(SHIPPED)
    if name not in names:  # also stops "../"
        raise EdgeGymInputError("path", shown, "the name of a shipped file", hint=nearest(name, names))
    return folder / name


def check_regular(path: str | os.PathLike, max_bytes: int | None = None) -> Path:
    """Returns `path` if it is a regular, readable file of at most `max_bytes`; never blocks.

    Raises:
        EdgeGymInputError: Names what the path is instead, or its size and the limit.
    """
    try:
        shown, info = os.fspath(path), os.stat(path)
    except (OSError, ValueError, TypeError) as error:  # ValueError: NUL in the name
        reason = getattr(error, "strerror", None) or str(error)
        raise EdgeGymInputError("path", str(path), "a readable file", hint=reason) from None
    kind = next((word for test, word in KINDS if test(info.st_mode)), None)
    if kind:
        raise EdgeGymInputError("", MISSING, "a regular file", str(shown), f"found {kind}")
    if max_bytes is not None and info.st_size > max_bytes:
        raise EdgeGymInputError("size", info.st_size, f"<= {max_bytes} bytes", str(shown))
    if not os.access(path, os.R_OK):
        raise EdgeGymInputError("", MISSING, "a readable file", str(shown), "permission denied")
    return Path(shown)


def read_bytes(path: str | os.PathLike, max_bytes: int) -> bytes:
    """Returns the content of a regular file of at most `max_bytes`."""
    checked = check_regular(path, max_bytes)
    with open(checked, "rb") as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:  # it grew meanwhile
        raise EdgeGymInputError("size", len(data), f"<= {max_bytes} bytes", str(path))
    return data


def decode_utf8(data: bytes, where: str) -> str:
    """Returns UTF-8 text without its byte-order mark; any other encoding is an error with its byte offset."""
    known = ((b"\xff\xfe", "UTF-16"), (b"\xfe\xff", "UTF-16"), (b"\x1f\x8b", "gzip"), (b"PK", "zip"))
    for magic, name in known:
        if data.startswith(magic):
            raise EdgeGymInputError("", MISSING, "UTF-8 text", where, f"found {name} at byte 0")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise EdgeGymInputError("", MISSING, "UTF-8 text", where, f"invalid byte at offset {error.start}") from None


def file_sha256(path: str | os.PathLike) -> str:
    """Returns the SHA-256 of a regular or shipped file as hexadecimal digits."""
    with open(check_regular(locate(path)), "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def atomic_write(path: str | os.PathLike, data: str | bytes) -> None:
    """Writes a whole file or leaves the old one as it was, also when the machine stops in between.

    Args:
        path: Target; its folder must exist.
        data: Text (written as UTF-8) or bytes.

    Raises:
        OSError: It cannot be written; names the file, what it needs and what is free. The old one is as it was.
    """
    target = Path(path)
    raw = data.encode("utf-8") if isinstance(data, str) else data
    handle, temporary = tempfile.mkstemp(prefix=f".{target.name[:50]}.", suffix=".tmp", dir=target.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)  # mkstemp makes private files; results are to be shared
        os.replace(temporary, target)
    except OSError as error:
        Path(temporary).unlink(missing_ok=True)
        free = shutil.disk_usage(target.parent).free
        reason = f"{error.strerror or error}: {len(raw)} bytes to write, {free} free"
        raise OSError(error.errno, reason, str(target)) from error
    except BaseException:
        Path(temporary).unlink(missing_ok=True)  # it may be in its place already
        raise
