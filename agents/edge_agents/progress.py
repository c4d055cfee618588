"""What a training run says while it runs: a table on disk, curves for TensorBoard if that is installed, a bar."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from edge_gym.files import atomic_write

STEPS, RATIO = "env_steps", "validation/ratio"


class ProgressTable:
    """A CSV file with a row for each update; no wall-clock times, so two equal runs write equal files.

    The file is rewritten as a whole when it begins and when a figure is new, and otherwise grows line by line; what a
    kill leaves half-written is gone when the run goes on.

    Args:
        path: The file.
        content: What an earlier part of the run had written, from `text`.
    """

    def __init__(self, path: Path, content: str = "") -> None:
        self.path = path
        lines = [line.split(",") for line in content.splitlines()]
        self.columns, self.rows = (lines[0], lines[1:]) if lines else ([], [])
        atomic_write(path, self.text())

    def add(self, row: Mapping[str, float]) -> None:
        """Write a row; figures that are not in it stay empty, new ones get a column."""
        new = [name for name in row if name not in self.columns]
        self.columns += new
        self.rows = [[*cells, *("" for _ in new)] for cells in self.rows] if new else self.rows
        self.rows.append([repr(row[name]) if name in row else "" for name in self.columns])
        if new:
            atomic_write(self.path, self.text())
        else:
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(",".join(self.rows[-1]) + "\n")

    def text(self) -> str:
        """The whole file."""
        return "".join(",".join(cells) + "\n" for cells in ([self.columns, *self.rows] if self.columns else []))


class Curves:
    """Scalars for TensorBoard; nothing is written where the package `tensorboard` is not installed.

    Args:
        folder: Where they go.
        first_step: Curves of an earlier part of the run are cut there.
    """

    def __init__(self, folder: Path, first_step: int) -> None:
        self._writer: Any = None
        if find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(folder), purge_step=first_step)

    def add(self, row: Mapping[str, float]) -> None:
        """The figures of an update."""
        if self._writer is not None:
            for name, value in row.items():
                if math.isfinite(value):
                    self._writer.add_scalar(name, value, int(row[STEPS]))

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            self._writer.close()


class Bar:
    """How far the run is, on stderr: a bar on a terminal, elsewhere a line for each validation.

    Args:
        total: Decisions of the run.
        begun: Decisions that were taken before.
        best: Best ratio so far, or None.
        quiet: Say nothing.
    """

    def __init__(self, total: int, begun: int, best: float | None, quiet: bool) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        console = Console(stderr=True, highlight=False)
        columns = (TextColumn("steps"), BarColumn(None), MofNCompleteColumn(), TextColumn("{task.fields[note]}"))
        self._lines = not quiet and not console.is_terminal
        hidden = quiet or self._lines
        self._bar = Progress(*columns, TimeRemainingColumn(), console=console, disable=hidden, transient=True)
        self._job = self._bar.add_task("steps", total=total, completed=begun, note="")
        self._total, self._began_at, self._begun = total, time.monotonic(), begun
        self._best, self._return = best, math.nan
        self._ratio: float | None = None
        self._bar.start()

    def update(self, row: Mapping[str, float], best: float | None) -> None:
        """Show the figures of an update."""
        steps = int(row[STEPS])
        self._best, self._ratio = best, row.get(RATIO, self._ratio)
        if math.isfinite(row.get("return/mean", math.nan)):  # nan: no episode has ended
            self._return = row["return/mean"]
        self._bar.update(self._job, completed=min(steps, self._total), note=self._note(steps))
        if self._lines and RATIO in row:
            print(f"{steps:,} of {self._total:,} steps, {self._note(steps)}", file=sys.stderr, flush=True)

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._bar.stop()

    def _note(self, steps: int) -> str:
        rate = (steps - self._begun) / max(time.monotonic() - self._began_at, 1e-9)
        words = [f"{rate:,.0f}/s"]
        if math.isfinite(self._return):
            words.append(f"return {self._return:.4g}")
        if self._ratio is not None:
            words.append(f"ratio {self._ratio:.4f}")
        if self._best is not None:
            words.append(f"best {self._best:.4f}")
        return ", ".join(words)
