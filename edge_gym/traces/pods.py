"""Pods of the Alibaba GPU cluster trace of 2023 (`openb_pod_list_*.csv`), as arrivals of agents.

An agent arrives when its pod was created, also if it was never scheduled there, and lives until it was deleted. Without
a deletion it was still there at the end, which is the latest time in the file.
"""

from __future__ import annotations

import os
from array import array
from dataclasses import dataclass

import numpy as np

from edge_gym.errors import MISSING
from edge_gym.traces.cells import COUNT_FORM, SECONDS_FORM, count, seconds_ns
from edge_gym.traces.text import Table, open_table

COLUMNS = ("cpu_milli", "memory_mib", "num_gpu", "gpu_milli", "creation_time", "deletion_time")
MAX_ROWS = 5_000_000
MIB = 2**20
OPEN = -1  # stands for a deletion that is not there


@dataclass(eq=False, frozen=True, kw_only=True)
class Pods:
    """Pods in order of creation; each array has a figure for each pod.

    Attributes:
        time_ns: Nanoseconds since the first creation, int64, ascending from 0.
        duration_s: Seconds from creation to deletion, or to the end, float64, >= 0.
        memory_bytes: Main memory asked for, float64.
        cpu: Cores asked for, float64.
        gpu: GPUs asked for, a fraction if one is shared, float64.
        n_running: Pods without a deletion.
    """

    time_ns: np.ndarray
    duration_s: np.ndarray
    memory_bytes: np.ndarray
    cpu: np.ndarray
    gpu: np.ndarray
    n_running: int


def read_pods(path: str | os.PathLike) -> Pods:
    """Reads pods from a CSV file, gzipped if it ends with .gz; columns that are not used are ignored.

    Raises:
        EdgeGymInputError: Names file and line, column and value.
    """
    rows = array("q")
    with open_table(path, COLUMNS) as table:
        for cells in table:
            if len(rows) >= MAX_ROWS * len(COLUMNS):
                raise table.wrong("rows", MISSING, f"at most {MAX_ROWS}")
            rows.extend(_row(table, cells))
        if not rows:
            raise table.wrong("rows", MISSING, "at least one", "the file has a header only")
    cpu, memory, n_gpu, share, created, deleted = np.frombuffer(rows, np.int64).reshape(-1, len(COLUMNS)).T
    order = np.argsort(created, kind="stable")
    running = deleted == OPEN
    end = np.where(running, max(created.max(), deleted.max()), deleted)
    return Pods(
        time_ns=(created - created.min())[order],
        duration_s=((end - created) / 1e9)[order],
        memory_bytes=(memory * float(MIB))[order],
        cpu=(cpu / 1000)[order],
        gpu=(n_gpu * share / 1000)[order],
        n_running=int(running.sum()),
    )


def _row(table: Table, cells: tuple[str, ...]) -> list[int]:
    """Returns the cells as integers, times in nanoseconds."""
    values: list[int] = []
    for column, text in zip(COLUMNS[:4], cells[:4], strict=True):
        value = count(text)
        if value is None:
            raise table.wrong(column, text, COUNT_FORM)
        values.append(value)
    created = seconds_ns(cells[4])
    if created is None:
        raise table.wrong(COLUMNS[4], cells[4], SECONDS_FORM, "s")
    deleted = seconds_ns(cells[5]) if cells[5].strip() else OPEN
    if deleted is None or OPEN < deleted < created:
        raise table.wrong(COLUMNS[5], cells[5], "empty, or seconds that are not before creation_time", "s")
    return [*values, created, deleted]
