"""The moving parts of a training run as bytes and back, bit by bit: nested dicts and lists of tensors and values.

The bytes are an ordinary NumPy archive (.npz): the arrays under their numbers, and under "tree" a JSON text that says
how they hang together. The archive brings a checksum for each of its parts, and reading it never unpickles.
"""

from __future__ import annotations

import io
import json
import struct
import zipfile
import zlib
from typing import Any

import numpy as np
import torch

from edge_gym.errors import EdgeGymInputError

VERSION = 1
TREE = "tree"
_SAME = (bool, int, float, str, type(None))  # JSON keeps them exactly, integers and floats of any size
# What a flipped byte makes of an archive: numpy and zipfile raise whatever their parsers happen to.
_DAMAGED = (
    *(ArithmeticError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError, SyntaxError),
    *(TypeError, ValueError, struct.error, zipfile.BadZipFile, zlib.error),
)


def to_bytes(state: Any) -> bytes:
    """Pack a state.

    Args:
        state: Dicts (with keys that are strings or integers), lists and tuples, nested in any way, of CPU tensors,
            arrays (structured ones too), NumPy scalars, and None, bool, int, float and str.

    Raises:
        TypeError: It holds anything else; says where.
    """
    arrays: list[np.ndarray] = []
    tree = json.dumps({"version": VERSION, "state": _pack(state, arrays, "state")}, separators=(",", ":"))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compresslevel=1) as archive:
        _write(archive, TREE, np.frombuffer(tree.encode(), np.uint8))
        for k, array in enumerate(arrays):
            _write(archive, str(k), array)
    return file.getvalue()


def from_bytes(data: bytes, where: str = "saved state") -> Any:
    """Unpack what `to_bytes` packed.

    Args:
        data: The bytes.
        where: Names them in messages.

    Raises:
        EdgeGymInputError: They are damaged, of another format, or something else altogether.
    """
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            tree = json.loads(bytes(archive[TREE]))
            found = tree.get("version")
            if found == VERSION:
                return _unpack(tree["state"], archive)
    except _DAMAGED as error:
        reason = f"{type(error).__name__}: {error}"
        raise EdgeGymInputError("content", len(data), "a whole saved state", where, reason) from None
    raise EdgeGymInputError("version", found, f"{VERSION}, the version that this edge_gym reads", where)


def _write(archive: zipfile.ZipFile, name: str, array: np.ndarray) -> None:
    """Add an array. The tables of worlds are mostly zeros and shrink a lot at once; what is random would only wait."""
    archive.compression = zipfile.ZIP_DEFLATED if array.dtype.names else zipfile.ZIP_STORED
    with archive.open(f"{name}.npy", "w", force_zip64=True) as file:
        np.lib.format.write_array(file, array, allow_pickle=False)


def _pack(value: Any, arrays: list[np.ndarray], path: str) -> Any:
    """JSON for `value`: what JSON knows as itself, anything else as a list that begins with its kind."""
    if isinstance(value, torch.Tensor | np.ndarray | np.generic):
        kind = "tensor" if isinstance(value, torch.Tensor) else "scalar" if isinstance(value, np.generic) else "array"
        array = value.detach().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)
        if array.dtype.hasobject:
            raise TypeError(f"{path} holds Python objects")
        arrays.append(array)
        return [kind, len(arrays) - 1]
    if type(value) in _SAME:
        return value
    if isinstance(value, dict):
        if not all(type(key) in (str, int) for key in value):
            raise TypeError(f"{path} has keys that are neither strings nor integers")
        return ["dict", [[key, _pack(entry, arrays, f"{path}[{key!r}]")] for key, entry in value.items()]]
    if type(value) in (list, tuple):
        packed = [_pack(entry, arrays, f"{path}[{k}]") for k, entry in enumerate(value)]
        return [type(value).__name__, packed]
    raise TypeError(f"{path} is a {type(value).__name__}, which cannot be saved")


def _unpack(value: Any, archive: Any) -> Any:
    if not isinstance(value, list):
        return value
    kind, content = value
    if kind == "dict":
        return {key: _unpack(entry, archive) for key, entry in content}
    if kind in ("list", "tuple"):
        entries = [_unpack(entry, archive) for entry in content]
        return tuple(entries) if kind == "tuple" else entries
    if kind not in ("tensor", "array", "scalar"):
        raise ValueError(f"unknown kind {kind!r}")
    array = archive[str(content)]
    return torch.from_numpy(array) if kind == "tensor" else array[()] if kind == "scalar" else array
