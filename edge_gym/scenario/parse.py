"""Strict JSON and YAML: plain data with the line of each value, and no surprises.

Refused: files over 10 MiB, nesting beyond 32, duplicate keys, NaN and infinity; in YAML also anchors, aliases, tags and
several documents. YAML scalars are read as in YAML 1.2: `no`, `010`, `1:30` and `.nan` are strings (which a number
field then refuses by name), and `1e3` is a number.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Callable
from typing import Any, NoReturn

from edge_gym.errors import MISSING, EdgeGymInputError

MAX_BYTES = 10 * 2**20
MAX_DEPTH = 32
MAX_VALUES = 500_000
MAX_PATH = 300  # longer paths are cut: with long keys, storing them whole would take memory quadratic in the file size
MAX_DIGITS = 400  # of one number; longer ones only cost time

INT = re.compile(r"[-+]?(0|[1-9][0-9]*)", re.ASCII)
FLOAT = re.compile(r"[-+]?(\.[0-9]+|(0|[1-9][0-9]*)(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
WORDS = {"null": None, "Null": None, "NULL": None, "~": None, "": None}
WORDS |= {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}

Lines = dict[str, int]  # path of a value -> line, from 1


def join(path: str, key: str | int) -> str:
    """Returns the path of a member: `pool` + `n_nodes` -> `pool.n_nodes`, `workloads` + 0 -> `workloads[0]`."""
    if isinstance(key, int):
        return f"{path}[{key}]"
    return f"{path}.{key[:MAX_PATH]}"[:MAX_PATH] if path else key[:MAX_PATH]


def scalar(text: str) -> Any:
    """Returns the value of a plain YAML scalar by the rules of YAML 1.2; what is nothing else is a string."""
    if text in WORDS:
        return WORDS[text]
    if len(text) <= MAX_DIGITS:
        if INT.fullmatch(text):
            return int(text)
        if FLOAT.fullmatch(text):
            return float(text)
    return text


def parse(text: str, format: str, where: str) -> tuple[Any, Lines]:
    """Parses text as "json" or "yaml".

    Args:
        text: The document.
        format: "json" or "yaml".
        where: Name of the file, for messages.

    Returns:
        Plain data (dict, list, str, int, float, bool, None) and the line of each value by path (empty for JSON).

    Raises:
        EdgeGymInputError: With the line where it is known.
    """
    size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        raise EdgeGymInputError("size", size, f"<= {MAX_BYTES} bytes", where)
    if format == "json":
        return _parse_json(text, where), {}
    if format == "yaml":
        return _YamlReader(where).read(text)
    raise EdgeGymInputError("format", format, "one of json, yaml", where)


def _parse_json(text: str, where: str) -> Any:
    def refuse(field: str, value: Any, allowed: str, hint: str = "") -> NoReturn:
        raise EdgeGymInputError(field, value, allowed, where, hint)

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(items)
        if len(result) < len(items):
            twice, _ = Counter(k for k, _ in items).most_common(1)[0]
            refuse(twice, MISSING, "given once", "duplicate key")
        return result

    def number(kind: Callable) -> Callable[[str], Any]:
        def read(digits: str) -> Any:
            finite = len(digits) <= MAX_DIGITS and math.isfinite(float(digits))
            return kind(digits) if finite else refuse("number", digits, "a finite number")

        return read

    def constant(word: str) -> NoReturn:
        refuse("number", word, "a finite number")

    try:
        data = json.loads(
            text,
            object_pairs_hook=pairs,
            parse_constant=constant,
            parse_float=number(float),
            parse_int=number(int),
        )
    except json.JSONDecodeError as error:
        at = f"{where}:{error.lineno}"
        raise EdgeGymInputError("", MISSING, "valid JSON", at, f"column {error.colno}: {error.msg}") from None
    except RecursionError:
        raise _too_deep(where) from None
    _check_depth(data, where)
    return data


def _too_deep(where: str) -> EdgeGymInputError:
    return EdgeGymInputError("", MISSING, f"nested at most {MAX_DEPTH} deep", where)


def _check_depth(data: Any, where: str) -> None:
    level = [data]
    for _ in range(MAX_DEPTH):
        open_ = [v for v in level if isinstance(v, dict | list)]
        if not open_:
            return
        level = [child for v in open_ for child in (v.values() if isinstance(v, dict) else v)]
    if any(isinstance(v, dict | list) for v in level):
        raise _too_deep(where)


class _YamlReader:
    """Builds plain data from the events of one YAML document, with a stack instead of recursion."""

    def __init__(self, where: str):
        self.where = where
        self.lines: Lines = {}
        self.stack: list[_Frame] = []
        self.root: Any = MISSING

    def refuse(self, event: Any, allowed: str, hint: str = "", field: str = "") -> NoReturn:
        line = event.start_mark.line + 1
        raise EdgeGymInputError(field, MISSING, allowed, f"{self.where}:{line}", hint)

    def read(self, text: str) -> tuple[Any, Lines]:
        import yaml

        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # only its event parser is used
        try:
            for event in yaml.parse(text, Loader=loader):
                self.take(event, yaml)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None)
            problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "cannot be read"
            at = f"{self.where}:{mark.line + 1}" if mark else self.where
            column = f"column {mark.column + 1}: " if mark else ""
            raise EdgeGymInputError("", MISSING, "valid YAML", at, f"{column}{problem}") from None
        except UnicodeEncodeError:  # half a character, as in an argument that is no UTF-8
            raise EdgeGymInputError("", MISSING, "valid Unicode", self.where) from None
        return (None if self.root is MISSING else self.root), self.lines

    def take(self, event: Any, yaml: Any) -> None:
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            self.refuse(event, "written out in full", "anchors and aliases are not allowed")
        if getattr(event, "tag", None) or getattr(event, "tags", None):
            self.refuse(event, "plain data", "tags are not allowed")
        if isinstance(event, yaml.DocumentStartEvent) and self.root is not MISSING:
            self.refuse(event, "one document", "a second one starts here")
        if isinstance(event, yaml.ScalarEvent):
            plain = event.implicit[0]  # not quoted
            self.put(event, scalar(event.value) if plain else event.value, event.value)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            value: Any = {} if isinstance(event, yaml.MappingStartEvent) else []
            self.put(event, value, None)
            if len(self.stack) >= MAX_DEPTH:
                self.refuse(event, f"nested at most {MAX_DEPTH} deep")
            self.stack.append(_Frame(value, self.last_path))
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            self.stack.pop()

    def put(self, event: Any, value: Any, raw: str | None) -> None:
        """Stores a value in the innermost open collection, or takes it as the next key of a mapping."""
        line = event.start_mark.line + 1
        if not self.stack:
            self.root, self.last_path = value, ""
            return
        frame = self.stack[-1]
        if isinstance(frame.value, list):
            self.last_path = join(frame.path, len(frame.value))
            frame.value.append(value)
        elif frame.key is None:
            if raw is None:
                self.refuse(event, "a name", "a key is a list or a mapping")
            if raw in frame.value:
                first = self.lines.get(join(frame.path, raw), "?")
                self.refuse(event, "given once", f"duplicate key, first on line {first}", join(frame.path, raw))
            frame.key = raw
            self.lines[join(frame.path, raw)] = line
            return
        else:
            self.last_path = join(frame.path, frame.key)
            frame.value[frame.key], frame.key = value, None
        self.lines[self.last_path] = line
        if len(self.lines) > MAX_VALUES:
            self.refuse(event, f"at most {MAX_VALUES} values")


class _Frame:
    """An open mapping or sequence."""

    def __init__(self, value: dict | list, path: str):
        self.value, self.path = value, path
        self.key: str | None = None
