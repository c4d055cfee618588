"""The folder of an evaluation: finished work survives a kill.

A run is cut into shards (one policy on some seeds). A shard's file appears whole or not at all, and its name says what
it is, so a resumed run does only what is missing.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edge_gym.evaluation.claimed_folder import ClaimedFolder
from edge_gym.evaluation.results import Results
from edge_gym.files import atomic_write


class RunFolder(ClaimedFolder):
    """Where an evaluation keeps its results; arguments as for `ClaimedFolder`."""

    KIND = "evaluation"
    PRODUCTS = ("episodes.jsonl", "summary.json", "timing.json", "report.html", "report.md", "leaderboard.csv")
    FOLDERS = ("shards",)

    @property
    def shards(self) -> Path:
        """The folder of the shards."""
        return self.path / "shards"

    def load(self, key: str, seeds: Sequence[int]) -> tuple[list[dict[str, Any]], dict[str, Any]] | None:
        """Rows and timing of a shard that was finished before, or None."""
        try:
            rows = [json.loads(line) for line in (self.shards / f"{key}.jsonl").read_text("utf-8").splitlines()]
            timing = json.loads((self.shards / f"{key}.time.json").read_text("utf-8"))
        except (OSError, ValueError):
            return None  # missing or damaged: it is run (again)
        whole = [row.get("seed") for row in rows if isinstance(row, dict)] == list(seeds) and isinstance(timing, dict)
        return (rows, timing) if whole else None

    def store(self, key: str, rows: list[dict[str, Any]], timing: dict[str, Any]) -> None:
        """Keep a finished shard. Its rows come last: where they are, it is finished."""
        atomic_write(self.shards / f"{key}.time.json", to_json(timing))
        atomic_write(self.shards / f"{key}.jsonl", to_lines(rows))

    def write_results(self, results: Results) -> None:
        """Write what programs read, from all shards; `edge_gym.report` makes pages for people of it."""
        atomic_write(self.path / "episodes.jsonl", to_lines(results.rows))
        cells = dict.fromkeys((one["task"], one["scenario"], one["policy"]) for one in results.timing)
        keys = ("task", "scenario", "policy", "decision_us")
        times = [dict(zip(keys, (*cell, results.decision_us(*cell)), strict=True)) for cell in cells]
        timing = {"rows": results.timing, "decision_us": times}
        atomic_write(self.path / "timing.json", json.dumps(timing, indent=1) + "\n")
        atomic_write(self.path / "summary.json", json.dumps(results.summary(), indent=1, allow_nan=False) + "\n")


def to_json(value: Any) -> str:
    """One line of JSON; never NaN, which is not JSON."""
    return json.dumps(value, allow_nan=False, separators=(", ", ": "))


def to_lines(rows: list[dict[str, Any]]) -> str:
    """JSON lines."""
    return "".join(to_json(row) + "\n" for row in rows)
