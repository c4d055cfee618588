"""Every field of a scenario and of its parts, from the metadata that checks them."""

from __future__ import annotations

import dataclasses
import types
import typing
from typing import Any

from edge_gym.fields import type_hints
from edge_gym.scenario import Scenario

INTRODUCTION = """# Scenario fields

Every field of a scenario, with its range and default, from the code that checks it. `edge-gym show NAME` prints a
preset with all of them; anything can be changed by keyword (`n_nodes=32`, `arrivals_kind="mmpp"`), by `--set`, or in
the file. Pictures: [Scenarios](scenarios.md).
"""


def fields_page() -> str:
    """The page, without the note on top."""
    parts: dict[str, tuple[str, type]] = {"Scenario": ("", Scenario)}
    _collect(Scenario, "", parts)
    places = {name: f"[{name}](#{where.replace('.', '')}-{name.lower()})" for name, (where, _) in parts.items()}
    sections = [_section(name, *part, places) for name, part in parts.items()]
    return "\n\n".join([INTRODUCTION.strip(), *sections]) + "\n"


def _collect(kind: type, path: str, parts: dict[str, tuple[str, type]]) -> None:
    """The parts of a part, each once, in the order in which they are met."""
    for field in dataclasses.fields(kind):
        inner = _part(type_hints(kind)[field.name])
        if inner is not None and inner.__name__ not in parts:
            where = f"{path}.{field.name}".lstrip(".")
            parts[inner.__name__] = (where, inner)
            _collect(inner, where, parts)


def _part(hint: Any) -> type | None:
    """The dataclass that a field holds, or a list of it; None for a plain field."""
    if typing.get_origin(hint) is tuple:
        hint = typing.get_args(hint)[0]
    return hint if dataclasses.is_dataclass(hint) and isinstance(hint, type) else None


def _section(name: str, where: str, kind: type, places: dict[str, str]) -> str:
    title = f"## `{where}`: {name}" if where else f"## {name}"
    about = " ".join((kind.__doc__ or "").split("\n\n")[0].split())
    rows = [("field", "default", "allowed", "what it is"), ("---", "---", "---", "---")]
    rows += [_row(field, type_hints(kind)[field.name], places) for field in dataclasses.fields(kind)]
    table = "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows)
    return f"{title}\n\n{about}\n\n{table}"


def _row(field: dataclasses.Field, hint: Any, places: dict[str, str]) -> tuple[str, str, str, str]:
    meta, inner = field.metadata, _part(hint)
    allowed = meta.get("allowed", "").replace(" and ", ", ")
    if field.name == "version":
        allowed = f"`{field.default}`"
    elif meta.get("unit") and allowed:
        allowed += f" {meta['unit']}"
    if meta.get("options"):
        allowed = ", ".join(f"`{option}`" for option in meta["options"])
    if inner is not None:
        allowed = ("list of " if typing.get_origin(hint) is tuple else "") + places[inner.__name__]
    elif typing.get_origin(hint) is tuple:
        allowed = f"a list, each {allowed}" if allowed else "a list"
    elif hint is bool:
        allowed = "true, false"
    elif isinstance(hint, types.UnionType):
        allowed = f"{allowed or 'a text'}, or null"
    return f"`{field.name}`", _default(field), allowed or "a text", meta.get("help", "")


def _default(field: dataclasses.Field) -> str:
    if field.default is dataclasses.MISSING:
        return "(required)"
    value = field.default
    if dataclasses.is_dataclass(value):
        return "(its defaults)"
    if value == () or value is None:
        return "null" if value is None else "(none)"
    if isinstance(value, bool):
        return str(value).lower()
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"
