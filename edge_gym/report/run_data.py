"""Reads the folder of an evaluation for the report. Whoever made the folder is not trusted: it may come by mail."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_gym.errors import MISSING, EdgeGymInputError
from edge_gym.evaluation.finished_run import LARGEST, FinishedRun, is_figure, parsed
from edge_gym.evaluation.metrics import COUNTER, METRICS
from edge_gym.evaluation.results import CELL, KEYS
from edge_gym.files import read_bytes

MAX_BYTES = 512 * 2**20  # of the timing
MAX_LINES = 1_000_000  # of anything in a list
MAX_REGIMES, MAX_POLICIES, MAX_NAME = 500, 500, 4096
MAX_COUNTERS = 200  # figures of one episode that the policy counted itself
TYPES = {"privileged": bool, "bound": bool, "seed": int}  # the other keys of a row are strings
TIMES = ("decisions", "decide_s")
FAILURE = {**dict.fromkeys(CELL, str), "first_seed": int, "episodes": int, "attempts": int, "reason": str}


@dataclass(frozen=True, slots=True)
class Run:
    """What a run folder holds, checked.

    Attributes:
        name: Of the folder.
        finished: The folder; what is inside its manifest is checked where it is used.
        rows: As `Results.rows`; all policies of a (task, scenario) have the same seeds, ascending.
        timing: As `Results.timing`; empty if the folder has none.
        failures: As `Results.failures`; policies that failed in a regime have no rows there.
        trainings: As `Results.trainings`.
    """

    name: str
    finished: FinishedRun
    rows: list[dict[str, Any]]
    timing: list[dict[str, Any]]
    failures: list[dict[str, Any]]
    trainings: dict[str, dict[str, Any]]


def read_run(folder: str | os.PathLike) -> Run:
    """Reads a finished run.

    Raises:
        EdgeGymInputError: It is no folder of an evaluation, or something in it is not what an evaluation writes.
    """
    finished = FinishedRun(folder)
    manifest, path = finished.manifest, finished.path
    failures, trainings = _failures(manifest.get("failures", [])), _trainings(manifest.get("trainings", {}))
    failed = {tuple(one[key] for key in CELL) for one in failures}
    rows = [_row(row, f"episodes.jsonl:{number}") for number, row in enumerate(finished.rows, 1)]
    rows = [row for row in rows if tuple(row[key] for key in CELL) not in failed]
    if not rows:
        raise EdgeGymInputError("run", str(folder), "a run in which something did not fail")
    _check_regimes(rows)
    return Run(path.resolve().name, finished, rows, _timing(path / "timing.json"), failures, trainings)


def _row(row: dict[str, Any], where: str) -> dict[str, Any]:
    """A row that is checked again, for all that figures are made of."""
    for key in KEYS:
        kind = TYPES.get(key, str)
        value = row.get(key, MISSING)
        if type(value) is not kind or (isinstance(value, str) and not 0 < len(value) <= MAX_NAME):
            raise EdgeGymInputError(key, value, f"of type {kind.__name__}", where)
    others = row.keys() - {*KEYS, *METRICS}
    if len(others) > MAX_COUNTERS:
        raise EdgeGymInputError("", len(others), f"at most {MAX_COUNTERS} figures beside the metrics", where)
    for key in (*METRICS, *sorted(others)):
        if key in others and not COUNTER.fullmatch(key):
            raise EdgeGymInputError(key, MISSING, "a metric, or a name as in 'llm.calls'", where)
        value = row.get(key, MISSING)
        if value is not None or key in others:
            _check_figure(key, value, where)
    return row


def _check_figure(key: str, value: Any, where: str, least: float = -LARGEST) -> None:
    if not is_figure(value) or not least <= value <= LARGEST:
        raise EdgeGymInputError(key, value, f"a number in {least:g} ... {LARGEST:g}", where)


def _check_regimes(rows: list[dict[str, Any]]) -> None:
    """In each regime every policy met the same worlds, which is what makes them comparable."""
    cells: dict[tuple[str, str], dict[str, list[dict[str, Any]]]] = {}
    for row in rows:
        cells.setdefault((row["task"], row["scenario"]), {}).setdefault(row["policy"], []).append(row)
    where = "episodes.jsonl"
    if len(cells) > MAX_REGIMES:
        raise EdgeGymInputError("scenarios", len(cells), f"at most {MAX_REGIMES}", where)
    for (task, scenario), policies in cells.items():
        if len(policies) > MAX_POLICIES:
            raise EdgeGymInputError("policies", len(policies), f"at most {MAX_POLICIES}", where)
        seeds = [row["seed"] for row in next(iter(policies.values()))]
        if sorted(set(seeds)) != seeds:
            raise EdgeGymInputError("seed", seeds[:5], "ascending, each once", f"{where}: {task}/{scenario}")
        for policy, own in policies.items():
            place = f"{where}: {task}/{scenario}, policy {policy}"
            if [row["seed"] for row in own] != seeds:
                raise EdgeGymInputError("seed", MISSING, "those of the other policies", place)
            same = ("scenario_fingerprint", "privileged", "bound")
            if len({(*(row[key] for key in same), *sorted(row)) for row in own}) != 1:
                raise EdgeGymInputError("", MISSING, "the same kind of row for every seed", place)


def _timing(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    found = parsed(read_bytes(path, MAX_BYTES), path.name)
    rows = _list_of_dicts(found.get("rows") if isinstance(found, dict) else None, f"{path.name}: rows")
    for number, row in enumerate(rows):
        where = f"{path.name}: rows[{number}]"
        for key in CELL:
            if not isinstance(row.get(key), str):
                raise EdgeGymInputError(key, row.get(key, MISSING), "of type str", where)
        for key in TIMES:
            _check_figure(key, row.get(key, MISSING), where, 0.0)
    return rows


def _failures(given: Any) -> list[dict[str, Any]]:
    where = "manifest.json: failures"
    for one in _list_of_dicts(given, where):
        for key, kind in FAILURE.items():
            if type(one.get(key)) is not kind:
                raise EdgeGymInputError(key, one.get(key, MISSING), f"of type {kind.__name__}", where)
    return given


def _list_of_dicts(given: Any, where: str) -> list[dict[str, Any]]:
    if not isinstance(given, list) or len(given) > MAX_LINES or not all(isinstance(one, dict) for one in given):
        raise EdgeGymInputError("", MISSING, "a list of objects", where)
    return given


def _trainings(given: Any) -> dict[str, dict[str, Any]]:
    where = "manifest.json: trainings"
    if not isinstance(given, dict):
        raise EdgeGymInputError("", MISSING, "an object", where)
    for policy, one in given.items():
        known = isinstance(one, dict) and {"recipe", "seed"} <= one.keys()
        if not known or not isinstance(one["recipe"], str) or not isinstance(one["seed"], int | str | None):
            raise EdgeGymInputError(policy, one, "a recipe (str) and a seed", where)
    return given
