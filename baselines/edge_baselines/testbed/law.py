"""Fits what was measured: bytes and seconds as linear laws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def fit(names: Sequence[str], columns: Sequence[Sequence[float]], values: Sequence[float]) -> dict[str, float] | None:
    """A linear law by least squares of the relative errors.

    Relative, since the values span decades and the law is to hold for the small ones too.

    Args:
        names: Of the terms.
        columns: One for each term, as long as `values`; a column of ones is the constant.
        values: What is to be explained, all > 0.

    Returns:
        The coefficient of each term, and `worst_relative_error` over the values; None if there are not more
        different points than terms, or if the columns do not tell the terms apart.
    """
    x, y = np.column_stack(columns).astype(float), np.asarray(values, dtype=float)
    if len(np.unique(x, axis=0)) <= len(names):
        return None
    weighted = x / y[:, None]
    scale = np.abs(weighted).max(axis=0)
    found, _, rank, _ = np.linalg.lstsq(weighted / scale, np.ones(len(y)), rcond=1e-9)
    if rank < len(names):
        return None
    found /= scale
    error = float(np.abs(x @ found / y - 1.0).max())
    return {**dict(zip(names, map(float, found), strict=True)), "worst_relative_error": error}


def laws(cells: Sequence[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """The laws behind the cells of `measure.cells_of`.

    Returns:
        `state_bytes`: bytes, from messages and characters. `turn_bytes`: what a question and its answer add beyond
        their characters. `<step>_s`: median seconds of a step from the bytes of the state; of the lightweight mode for
        `transfer` and `load`. `<step>_s_by_messages`: the same from the number of messages. `image_s`: what a
        byte of image adds to `transfer` and `load` in the full mode. What the grid is too small for is left out.
    """
    found = {
        "state_bytes": fit(
            ("fixed", "per_message", "per_character"),
            ([1.0] * len(cells), _of(cells, "messages"), [c["messages"] * c["characters"] for c in cells]),
            _of(cells, "state_bytes"),
        ),
        "turn_bytes": {"fixed": float(np.median(_of(cells, "turn_bytes")))},
    }
    light = [c for c in cells if c["mode"] == "lightweight"]
    for step, among in (("export", cells), ("transfer", light), ("load", light), ("prefill", cells)):
        if among:
            ones, medians = [1.0] * len(among), [c[f"{step}_s"]["median"] for c in among]
            found[f"{step}_s"] = fit(("fixed_s", "per_byte_s"), (ones, _of(among, "state_bytes")), medians)
            found[f"{step}_s_by_messages"] = fit(("fixed_s", "per_message_s"), (ones, _of(among, "messages")), medians)
    extra = [e for e in (_image(c, light) for c in cells if c["mode"] == "full") if e is not None]
    if extra:
        found["image_s"] = {name: float(np.median([e[name] for e in extra])) for name in extra[0]}
    return {name: law for name, law in found.items() if law is not None}


def _of(cells: Sequence[dict[str, Any]], name: str) -> list[float]:
    return [float(cell[name]) for cell in cells]


def _image(full: dict[str, Any], light: Sequence[dict[str, Any]]) -> dict[str, float] | None:
    """What a byte of image adds to a cell, over the same cell without one."""
    same = [c for c in light if (c["messages"], c["characters"]) == (full["messages"], full["characters"])]
    if not same or not full["image_bytes"]:
        return None
    added = {s: full[f"{s}_s"]["median"] - same[0][f"{s}_s"]["median"] for s in ("transfer", "load")}
    return {f"{step}_per_byte_s": value / full["image_bytes"] for step, value in added.items()}
