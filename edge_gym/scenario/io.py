"""Scenarios from and to JSON and YAML files, and their fingerprint.

A path inside a scenario (a trace, a topology) is relative to the working directory;
`edge_gym:name` is a shipped file.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import types
import typing
from pathlib import Path
from typing import Any

from edge_gym.errors import MAX_ERRORS, MISSING, EdgeGymInputError, InputErrors, nearest
from edge_gym.fields import conform, type_hints
from edge_gym.files import atomic_write, decode_utf8, file_sha256, read_bytes
from edge_gym.scenario.definition import VERSION, Scenario
from edge_gym.scenario.parse import MAX_BYTES, Lines, join, parse, scalar

FORMATS = {".json": "json", ".yaml": "yaml", ".yml": "yaml"}
FAILED = object()  # stands for a part that has errors


def load_scenario(path: str | os.PathLike) -> Scenario:
    """Reads a scenario file (.json, .yaml or .yml).

    Raises:
        EdgeGymInputError: One error, or `InputErrors` with all errors of the file; each says file, line and field.
    """
    format = file_format(path)
    name = Path(path).name
    return loads(decode_utf8(read_bytes(path, MAX_BYTES), name), format, name)


def save_scenario(scenario: Scenario, path: str | os.PathLike) -> None:
    """Writes a scenario file; the suffix gives the format, and an old file is replaced as a whole or not at all."""
    atomic_write(path, dumps(scenario, file_format(path)))


def file_format(path: str | os.PathLike) -> str:
    """Returns "json" or "yaml" for a path by its suffix."""
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise EdgeGymInputError("path", str(path), f"a file that ends with {', '.join(FORMATS)}")
    return FORMATS[suffix]


def loads(text: str, format: str = "yaml", where: str = "text") -> Scenario:
    """Returns the scenario in a JSON or YAML text; `where` names it in messages."""
    return build_strictly(Scenario, text, format, where, "a scenario", VERSION)


def build_strictly(cls: type, text: str, format: str, where: str, what: str, version: int) -> Any:
    """Returns the dataclass in a JSON or YAML text, whose fields say what they take (`edge_gym.fields`).

    Args:
        cls: The dataclass; one of its fields is `version`, that of the format.
        text: The document.
        format: "json" or "yaml".
        where: Name of the file, for messages.
        what: What the file should hold, for messages.
        version: The supported one.

    Raises:
        EdgeGymInputError: One error, or `InputErrors` with all errors of the text; each says line and field.
    """
    data, lines = parse(text, format, where) if text.strip() else (None, {})
    needed = ", ".join(f"'{name}'" for name in dict.fromkeys(("version", *required_names(cls))))
    if data is None:
        raise EdgeGymInputError("", MISSING, f"{what} with {needed}", where, "the file is empty")
    builder = _Builder(where, lines)
    if isinstance(data, dict) and data.get("version", MISSING) != version:
        # another version may differ in everything, so further errors would only mislead
        builder.report("version", data.get("version", MISSING), f"{version}", "the supported version of the format")
    result = FAILED if builder.errors else builder.build(cls, data, "")
    if builder.errors:
        errors = sorted(builder.errors, key=lambda error: builder.line(error.field))
        raise errors[0] if len(errors) == 1 else InputErrors(errors)
    assert isinstance(result, cls)
    return result


def required_names(cls: type) -> list[str]:
    """Returns the names of the fields of a dataclass that have no default."""
    none = dataclasses.MISSING
    return [f.name for f in dataclasses.fields(cls) if f.default is none and f.default_factory is none]


class _Builder:
    """Turns plain data into dataclasses, collecting errors instead of stopping at the first."""

    def __init__(self, where: str, lines: Lines):
        self.where, self.lines = where, lines
        self.errors: list[EdgeGymInputError] = []
        self.found = 0  # errors, those that are not kept included

    def report(self, path: str, value: Any, allowed: str, hint: str = "") -> None:
        self.found += 1
        if len(self.errors) <= MAX_ERRORS:  # one more than shown, so that the message can say "and more"
            line = self.line(path)
            where = f"{self.where}:{line}" if line else self.where
            self.errors.append(EdgeGymInputError(path, value, allowed, where, hint))

    def line(self, path: str) -> int:
        """Returns the line of the value at `path`, or of the innermost part around it that has a line, or 0."""
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines[path] if path else 0

    def build(self, hint: Any, data: Any, path: str, meta: Any = None) -> Any:
        """Returns `data` as the annotated type, or FAILED after reporting why not."""
        if isinstance(hint, types.UnionType) and data is not None:
            (hint,) = (inner for inner in typing.get_args(hint) if inner is not type(None))
        items = typing.get_args(hint)
        if dataclasses.is_dataclass(hint):
            return self.build_part(hint, data, path)
        if typing.get_origin(hint) is tuple and dataclasses.is_dataclass(items[0]) and isinstance(data, list):
            built = [self.build(items[0], entry, join(path, i)) for i, entry in enumerate(data)]
            return FAILED if FAILED in built else tuple(built)
        try:
            return conform(data, hint, path, meta or {})
        except EdgeGymInputError as error:
            self.report(error.field, error.value, error.allowed, error.hint)
            return FAILED

    def build_part(self, cls: type, data: Any, path: str) -> Any:
        if not isinstance(data, dict):
            names = [f.name for f in dataclasses.fields(cls)]
            found = f"found {type(data).__name__}; known keys: {', '.join(names)}"
            self.report(path or "file", data, "a mapping", found)
            return FAILED
        known, hints = {f.name: f for f in dataclasses.fields(cls)}, type_hints(cls)
        before = self.found
        for key in (k for k in data if k not in known):
            # the value is not echoed: it may be a secret that does not belong here
            self.report(join(path, key), MISSING, "a known key", nearest(key, known) or f"known: {', '.join(known)}")
        for name in required_names(cls):
            if name not in data:
                self.report(join(path, name), MISSING, "given", "this key is missing")
        values = {k: self.build(hints[k], v, join(path, k), known[k].metadata) for k, v in data.items() if k in known}
        if FAILED in values.values() or self.found > before:
            return FAILED
        return self.construct(cls, values, path)

    def construct(self, cls: type, values: dict[str, Any], path: str) -> Any:
        try:
            return cls(**values)
        except EdgeGymInputError as error:
            inside = error.moved(path)
            self.report(inside.field, inside.value, inside.allowed, inside.hint)
            return FAILED


def to_plain(value: Any) -> Any:
    """Returns a scenario, or a part of one, as dicts, lists, strings and numbers."""
    if dataclasses.is_dataclass(value):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    return [to_plain(v) for v in value] if isinstance(value, tuple | list) else value


def dumps(scenario: Scenario, format: str = "yaml") -> str:
    """Returns a scenario as JSON or YAML text with every field written out; `loads` gives back an equal scenario."""
    plain = to_plain(scenario)
    if format == "json":
        return json.dumps(plain, indent=2, allow_nan=False) + "\n"
    if format != "yaml":
        raise EdgeGymInputError("format", format, "one of json, yaml")
    import yaml

    class Dumper(yaml.SafeDumper):
        """Quotes what our reader would not read as a string (PyYAML decides by YAML 1.1), and never makes aliases."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

        def represent_str(self, data: str) -> Any:
            plain = isinstance(scalar(data), str)
            return self.represent_scalar("tag:yaml.org,2002:str", data, style=None if plain else '"')

    Dumper.add_representer(str, Dumper.represent_str)
    return yaml.dump(plain, Dumper=Dumper, sort_keys=False, allow_unicode=True, width=120)


def fingerprint(scenario: Scenario) -> str:
    """Returns 16 hexadecimal digits that change whenever the scenario, or the content of a file it names, changes.

    The name of a file does not count, its content does: the same trace elsewhere is the same world.
    """
    plain = to_plain(scenario)
    for part, key in (("arrivals", "trace_path"), ("topology", "path")):
        if plain[part][key] is not None:
            plain[part][key] = file_sha256(plain[part][key])
    canonical = json.dumps(plain, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]
