"""The folder of an evaluation: finished work survives a kill.

A run is cut into shards (one policy on some seeds). A shard's file appears whole or not at all, and its name says what
it is, so a resumed run does only what is missing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_gym.errors import EdgeGymInputError
from edge_gym.evaluation.claimed_folder import ClaimedFolder
from edge_gym.evaluation.finished_run import MAX_EPISODES_BYTES, MAX_LINE, check_row, is_figure, parsed
from edge_gym.evaluation.metrics import METRICS
from edge_gym.evaluation.results import CELL, KEYS, Results
from edge_gym.files import atomic_write, read_bytes

if TYPE_CHECKING:
    from edge_gym.evaluation.shards import Shard

TIMES = ("first_seed", "episodes", "decisions", "decide_s", "total_s")  # of the timing of a shard


class RunFolder(ClaimedFolder):
    """Where an evaluation keeps its results; arguments as for `ClaimedFolder`."""

    KIND = "evaluation"
    PRODUCTS = ("episodes.jsonl", "summary.json", "timing.json", "report.html", "report.md", "leaderboard.csv")
    FOLDERS = ("shards",)

    @property
    def shards(self) -> Path:
        """The folder of the shards."""
        return self.path / "shards"

    def load(self, shard: Shard) -> tuple[list[dict[str, Any]], dict[str, Any]] | None:
        """Rows and timing of a shard that was finished before; None if they are missing or damaged: it is run again."""
        file = self.shards / f"{shard.key}.jsonl"
        try:
            lines = read_bytes(file, MAX_EPISODES_BYTES).splitlines()
            rows = [check_row(parsed(line, file.name), file.name) for line in lines]
            timing = parsed(read_bytes(file.with_suffix(".time.json"), MAX_LINE), file.name)
        except EdgeGymInputError:
            return None
        expected = [{**shard.same, "seed": seed} for seed in shard.seeds]
        whole = [{key: row.get(key) for key in KEYS} for row in rows] == expected
        whole &= all(row.keys() == rows[0].keys() >= {*KEYS, *METRICS} for row in rows)
        times = isinstance(timing, dict) and timing.keys() == {*CELL, *TIMES}
        times = times and all(timing[key] == shard.same[key] for key in CELL)
        times = times and all(is_figure(timing[key]) for key in TIMES) and type(timing["decisions"]) is int
        return (rows, timing) if whole and times else None

    def store(self, key: str, rows: list[dict[str, Any]], timing: dict[str, Any]) -> None:
        """Keep a finished shard. Its rows come last: where they are, it is finished."""
        atomic_write(self.shards / f"{key}.time.json", to_json(timing))
        atomic_write(self.shards / f"{key}.jsonl", to_lines(rows))

    def write_results(self, results: Results) -> None:
        """Write what programs read, from all shards; `edge_gym.report` makes pages for people of it."""
        atomic_write(self.path / "episodes.jsonl", to_lines(results.rows))
        cells = dict.fromkeys((one["task"], one["scenario"], one["policy"]) for one in results.timing)
        keys = (*CELL, "decision_us")
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
