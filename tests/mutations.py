"""Random harm to valid files: bits flipped, keys dropped, types swapped, numbers blown up, pieces cut or doubled."""

from __future__ import annotations

import copy
import json
import random
import re
from typing import Any

NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
EXTREME = (
    *(b"-1", b"0", b"-0.0", b"1e308", b"-1e308", b"1e-320", b"1e400", b"9" * 30, b"9" * 500, b"9223372036854775808"),
    *(b"NaN", b"nan", b"inf", b"-Infinity", b".nan", b"1_0", b"1,5", b"0x10", b"010", b"1:30", b"\xd9\xa3", b""),
)
TOKENS = (
    *(b"{", b"}", b"[", b"]", b"[[[[", b'"', b"'", b",", b",,", b":", b": ", b"- ", b"\n", b"\r", b"\t", b"\0", b"="),
    *(b"&a ", b"*a", b"!!python/object:os.system ", b"<<: ", b"---\n", b"%", b"|", b">", b"? ", b"#", b"\\u0000"),
    *(b"\\ud800", b"\xff\xfe", b"\xef\xbb\xbf", b"\xe2\x80\xae", b"\xe2\x80\x8b", b"\xed\xa0\x80", b"\x1b[31m"),
    *(b"null", b"true", b"<!DOCTYPE a>", b"<!ENTITY a 'b'>", b"&lt;", b"&#0;", b"</", b"<![CDATA[", b"\x1f\x8b\x08"),
    *(b"../", b"/etc/passwd", b"<script>alert(1)</script>", b"__proto__", b"_target_", b"a" * 5000, b"-" * 70000),
)
VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 2, 0.5, -0.0, 1e308, -1e308, 1e-320, 1e15, 10**30, 2**31, 2**63, 2**64, 10**400),
    *(
        float("nan"),
        float("inf"),
        "",
        " ",
        "0",
        "1e-4",
        "nan",
        "\0",
        "\ud800",
        "\u202e",
        "x" * 5000,
        "../../etc/passwd",
    ),
    *("/dev/zero", "edge_gym:../errors.py", "<script>", "toy2", [], {}, [[]], [None], {"": None}, [0] * 50, {"a": {}}),
)


def mutated(rng: random.Random, seeds: tuple[bytes, ...]) -> bytes:
    """One of the valid files with one to four random changes; half of the JSON ones are changed as values first."""
    data = rng.choice(seeds)
    if rng.random() < 0.5:
        changed = changed_json(rng, data)
        if changed is not data and rng.random() < 0.6:
            return changed
        data = changed
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        data = rng.choice(BYTE_CHANGES)(rng, data, rng.choice(seeds))
    return data[: 2**20]


def _place(rng: random.Random, data: bytes, most: int = 200) -> tuple[int, int]:
    begin = rng.randrange(len(data) + 1)
    return begin, min(len(data), begin + rng.randrange(most))


def _flip(rng: random.Random, data: bytes, _: bytes) -> bytes:
    if not data:
        return data
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def _cut_off(rng: random.Random, data: bytes, _: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _drop(rng: random.Random, data: bytes, _: bytes) -> bytes:
    begin, end = _place(rng, data)
    return data[:begin] + data[end:]


def _double(rng: random.Random, data: bytes, _: bytes) -> bytes:
    begin, end = _place(rng, data)
    return data[:end] + data[begin:]


def _splice(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """The beginning of one file and the end of another, or a piece of the other within."""
    begin, end = _place(rng, other, 2000)
    at = rng.randrange(len(data) + 1)
    return data[:at] + (other[begin:] if rng.random() < 0.5 else other[begin:end] + data[at:])


def _insert(rng: random.Random, data: bytes, _: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(TOKENS) + data[at + rng.randrange(3) :]


def _blow_up(rng: random.Random, data: bytes, _: bytes) -> bytes:
    """Another number in the place of one."""
    found = [match.span() for match in NUMBER.finditer(data, 0, 200_000)]
    if not found:
        return data
    begin, end = rng.choice(found)
    return data[:begin] + rng.choice(EXTREME) + data[end:]


def _lines(rng: random.Random, data: bytes, other: bytes) -> bytes:
    """A line dropped, doubled, moved, or from another file."""
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    what = rng.randrange(4)
    if what == 0:
        del lines[at]
    elif what == 1:
        lines.insert(at, lines[at])
    elif what == 2:
        lines.insert(rng.randrange(len(lines)), lines.pop(at))
    else:
        lines.insert(at, rng.choice(other.split(b"\n")))
    return b"\n".join(lines)


def _cells(rng: random.Random, data: bytes, _: bytes) -> bytes:
    """A cell of a table dropped, doubled or exchanged."""
    lines = data.split(b"\n")
    at = rng.randrange(len(lines))
    cells = lines[at].split(b",")
    cell = rng.randrange(len(cells))
    cells[cell : cell + 1] = rng.choice(([], [cells[cell]] * 2, [rng.choice(EXTREME)], [b'"' + cells[cell]]))
    lines[at] = b",".join(cells)
    return b"\n".join(lines)


BYTE_CHANGES = (_flip, _flip, _cut_off, _drop, _double, _splice, _insert, _insert, _blow_up, _blow_up, _lines, _cells)


def changed_json(rng: random.Random, data: bytes) -> bytes:
    """`data` with one to three values changed, if it is JSON or JSON lines; else as it is.

    JSON is YAML too, so this serves YAML files whose seeds are given as JSON beside.
    """
    lines = data.splitlines() if data.count(b"}\n{") else [data]
    at = rng.randrange(len(lines)) if lines else 0
    try:
        value = json.loads(lines[at])
    except (ValueError, IndexError, RecursionError):
        return data
    for _ in range(rng.choice((1, 1, 2, 3))):
        value = changed_value(rng, value)
    lines[at] = json.dumps(value).encode("utf-8", "surrogatepass")
    return b"\n".join(lines) + b"\n"


def changed_value(rng: random.Random, root: Any) -> Any:
    """Plain data with one random place changed: dropped, replaced, doubled, renamed, or another place's value."""
    places = list(_places(root))
    if not places:
        return copy.deepcopy(rng.choice(VALUES))
    holder, key = rng.choice(places)
    what = rng.randrange(6)
    if what == 0:
        del holder[key]
    elif what == 1 and isinstance(holder, dict):
        holder[rng.choice(("extra", "_target_", "", "a.b", "__class__", key + "x"))] = holder.pop(key)
    elif what == 2 and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    elif what == 3:
        other, where = rng.choice(places)
        if holder is not other:
            holder[key] = copy.deepcopy(other[where])  # no loops
    else:
        holder[key] = copy.deepcopy(rng.choice(VALUES))
    return root


def _places(value: Any) -> Any:
    """Every (container, key) of nested plain data."""
    if isinstance(value, dict | list):
        for key in list(value) if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])
