"""What the testbed prints and writes."""

from __future__ import annotations

import csv
import io
import json
import os
import platform
import shlex
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from edge_baselines.testbed.migrate import STEPS
from edge_gym.errors import EdgeGymInputError
from edge_gym.evaluation.claimed_folder import check_path
from edge_gym.evaluation.provenance import git_state, versions
from edge_gym.files import atomic_write

FILES = ("law.json", "law.md", "migrations.csv")
TIMES = (*STEPS, "downtime")
COLUMNS = ("messages", "characters", "mode", "state kB", "wire kB", "tokens", *TIMES)


def check_folder(path: str, overwrite: bool) -> Path:
    """The folder that results go to; nothing is written yet.

    Raises:
        EdgeGymInputError: It holds something that is not ours to replace.
    """
    folder = check_path(path)
    if folder.exists() and not folder.is_dir():
        raise EdgeGymInputError("out", path, "a folder")
    strange = {entry.name for entry in os.scandir(folder)} if folder.is_dir() else set()
    if overwrite:
        strange -= set(FILES)
    if strange:
        hint = "it holds something else" if overwrite else "give another name, or --overwrite"
        raise EdgeGymInputError("out", path, "a new or empty folder", hint=hint)
    return folder


def provenance() -> dict[str, Any]:
    """Command, versions and machine behind a measurement."""
    return {
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "versions": {**versions(), **{name: version(name) for name in ("agentscope", "openai", "pydantic")}},
        "git": git_state(),
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "cpu_count": os.cpu_count(),
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def cpu_name() -> str:
    """What the processor calls itself, or what Python knows of it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    found = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return found[0] if found else platform.processor() or platform.machine()


def write(folder: Path, summary: dict[str, Any], rows: Sequence[dict[str, Any]]) -> None:
    """Writes the results.

    Args:
        folder: Where to; it is made.
        summary: `provenance`, `laws` and `cells`, for `law.json`; as tables, for `law.md`.
        rows: One for each migration, for `migrations.csv`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text = io.StringIO()
    lines = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    lines.writeheader()
    lines.writerows(rows)
    atomic_write(folder / "migrations.csv", text.getvalue())
    atomic_write(folder / "law.md", _markdown(summary))
    atomic_write(folder / "law.json", json.dumps(summary, indent=1) + "\n")


def show(console: Console, summary: dict[str, Any]) -> None:
    """Prints a table with a row for each cell, and the laws."""
    title = "Migration between two processes on this machine: ms, median (quartiles)"
    table = Table(title=title, caption="prefill and resume ask the stub: network and JSON only, no model computes")
    for name in COLUMNS:
        table.add_column(name, justify="left" if name == "mode" else "right")
    for cell in summary["cells"]:
        table.add_row(*_texts(cell))
    console.print(table)
    for name, law in summary["laws"].items():
        console.print(f"{name}: {_law(law)}", markup=False, soft_wrap=True)


def _markdown(summary: dict[str, Any]) -> str:
    rows = [COLUMNS, ["---"] * len(COLUMNS), *map(_texts, summary["cells"])]
    laws = [["law", "terms"], ["---"] * 2, *([f"`{name}`", _law(law)] for name, law in summary["laws"].items())]
    return "\n\n".join("\n".join(f"| {' | '.join(row)} |" for row in table) for table in (rows, laws)) + "\n"


def _texts(cell: dict[str, Any]) -> list[str]:
    counts = [str(cell["messages"]), str(cell["characters"]), cell["mode"]]
    counts += [f"{cell['state_bytes'] / 1e3:,.1f}", f"{cell['wire_bytes'] / 1e3:,.1f}", str(cell["prefill_tokens"])]
    return counts + [_times(cell[f"{name}_s"]) for name in TIMES]


def _law(law: dict[str, float]) -> str:
    return ", ".join(f"{term} {value:.3g}" for term, value in law.items())


def _times(spread: dict[str, float]) -> str:
    values = (spread[name] * 1e3 for name in ("low", "median", "high"))
    low, median, high = (f"{value:.2f}" if value < 10 else f"{value:.0f}" for value in values)
    return f"{median} ({low}-{high})"
