"""Checked dataclass fields: type from the annotation, range, unit and help from the field's metadata."""

from __future__ import annotations

import dataclasses
import functools
import math
import numbers
import re
import types
import typing
from collections.abc import Iterable
from typing import Any

from edge_gym.errors import EdgeGymInputError, nearest

NAME_PATTERN = "[A-Za-z0-9_.-]{1,64}"
MAX_TEXT = 4096  # characters
REQUIRED = dataclasses.MISSING


def number(
    default: Any, low: float, high: float, unit: str, help: str, *, low_open: bool = False, high_open: bool = False
):
    """Declares a number in [low, high]; `low_open` and `high_open` leave out that end."""
    allowed = f"{'>' if low_open else '>='} {low:g} and {'<' if high_open else '<='} {high:g}"
    meta = {"low": low, "high": high, "low_open": low_open, "high_open": high_open, "allowed": allowed}
    return dataclasses.field(default=default, metadata={**meta, "unit": unit, "help": help})


def series(low: float, high: float, unit: str, help: str, max_items: int):
    """Declares a tuple, empty by default, of at most `max_items` numbers in [low, high]."""
    meta = number(0.0, low, high, unit, help).metadata
    return dataclasses.field(default=(), metadata={**meta, "max_items": max_items})


def choice(default: Any, options: tuple[str, ...], help: str):
    """Declares a string out of `options`."""
    return dataclasses.field(default=default, metadata={"options": options, "help": help})


def text(default: Any, help: str, pattern: str = ""):
    """Declares a string that matches `pattern` as a whole (any string when empty)."""
    return dataclasses.field(default=default, metadata={"pattern": pattern, "help": help})


def flag(default: bool, help: str):
    """Declares true or false."""
    return dataclasses.field(default=default, metadata={"help": help})


def part(default: Any, help: str, min_items: int = 0, max_items: int = 1_000_000):
    """Declares a nested dataclass or a tuple of anything with a limited number of items."""
    return dataclasses.field(default=default, metadata={"help": help, "min_items": min_items, "max_items": max_items})


@functools.cache
def type_hints(cls: type) -> dict[str, Any]:
    """Returns the resolved annotations of a dataclass, by field name."""
    return typing.get_type_hints(cls)


def check(self: Any) -> None:
    """Checks every field of a dataclass for type and range; call it from `__post_init__`.

    Numbers and sequences are stored in one form (int, float, tuple), so that equal scenarios have equal files.

    Raises:
        EdgeGymInputError: Names the class, the field, the value and what is allowed.
    """
    hints = type_hints(type(self))
    for field in dataclasses.fields(self):
        try:
            value = conform(getattr(self, field.name), hints[field.name], field.name, field.metadata)
        except EdgeGymInputError as error:
            raise error.moved(where=type(self).__name__) from None
        object.__setattr__(self, field.name, value)


def conform(value: Any, hint: Any, path: str, meta: typing.Mapping[str, Any] = types.MappingProxyType({})) -> Any:
    """Returns `value` as the annotated type, or raises EdgeGymInputError naming `path`.

    Strict: a bool is no int, a string is no number, NaN and infinity are nothing. An int is accepted for a float.
    """
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        (inner,) = (h for h in typing.get_args(hint) if h is not type(None))
        return None if value is None else conform(value, inner, path, meta)
    if typing.get_origin(hint) is tuple:
        return _conform_tuple(value, typing.get_args(hint)[0], path, meta)
    if hint in (int, float):
        return _conform_number(value, hint, path, meta)
    if hint is str:
        return _conform_text(value, path, meta)
    if not isinstance(value, hint):
        raise EdgeGymInputError(path, value, f"a {hint.__name__}", hint=f"found {type(value).__name__}")
    return value


def _conform_tuple(value: Any, item: Any, path: str, meta: typing.Mapping[str, Any]) -> tuple:
    if not isinstance(value, tuple | list):
        raise EdgeGymInputError(path, value, "a list", hint=f"found {type(value).__name__}")
    low, high = meta.get("min_items", 0), meta.get("max_items", 1_000_000)
    if not low <= len(value) <= high:
        raise EdgeGymInputError(path, value, f"a list of {low} to {high} items", hint=f"found {len(value)}")
    return tuple(conform(v, item, f"{path}[{i}]", meta) for i, v in enumerate(value))


def _conform_number(value: Any, kind: type, path: str, meta: typing.Mapping[str, Any]) -> int | float:
    base, word = (numbers.Integral, "an integer") if kind is int else (numbers.Real, "a finite number")
    allowed, unit = meta.get("allowed", ""), meta.get("unit", "")
    what = f"{word} {allowed}".strip()
    if not isinstance(value, base) or isinstance(value, bool):
        raise EdgeGymInputError(path, value, what, hint=_type_hint(value, unit))
    try:
        result = kind(value) + kind(0)  # + 0 turns -0.0 into 0.0: one value, one file
    except OverflowError:  # an integer beyond the largest float
        result = math.inf
    if not math.isfinite(result):
        raise EdgeGymInputError(path, value, what, hint=unit)
    if meta.get("allowed"):
        low, high = meta["low"], meta["high"]
        too_low = result <= low if meta["low_open"] else result < low
        too_high = result >= high if meta["high_open"] else result > high
        if too_low or too_high:
            raise EdgeGymInputError(path, value, allowed, hint=unit)
    return result


def _type_hint(value: Any, unit: str) -> str:
    found = f"found {type(value).__name__}"
    if isinstance(value, str) and re.fullmatch(r"['\"\s]*[-+]?[\d_.]+([eE][-+]?\d+)?['\"\s]*", value[:40]):
        found += "; write the number without quotes, as decimal digits without leading zeros"
    return f"{unit}; {found}" if unit else found


def _conform_text(value: Any, path: str, meta: typing.Mapping[str, Any]) -> str:
    options, pattern = meta.get("options"), meta.get("pattern")
    if not isinstance(value, str):
        what = f"one of {', '.join(options)}" if options else "a string"
        raise EdgeGymInputError(path, value, what, hint=f"found {type(value).__name__}")
    if options and value not in options:
        raise EdgeGymInputError(path, value, f"one of {', '.join(options)}", hint=nearest(value, options))
    if len(value) > MAX_TEXT or not value.isprintable():  # controls, bidi marks and lone surrogates are not printable
        raise EdgeGymInputError(path, value, f"printable text of at most {MAX_TEXT} characters")
    if pattern and not re.fullmatch(pattern, value, re.ASCII):
        raise EdgeGymInputError(path, value, f"text that matches {pattern}")
    return str(value)


def check_unique(names: Iterable[str], path: str, where: str) -> None:
    """Refuses two names that are equal up to upper and lower case, naming both places."""
    seen: dict[str, int] = {}
    for i, name in enumerate(names):
        first = seen.setdefault(name.lower(), i)
        if first != i:
            raise EdgeGymInputError(f"{path}[{i}]", name, f"different from {path}[{first}]", where)
