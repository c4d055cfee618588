"""The command `edge-gym testbed`: measure, fit, print, write."""

from __future__ import annotations

import json
import os
import sys

from rich.console import Console
from rich.progress import Progress

from edge_baselines.testbed.law import laws
from edge_baselines.testbed.measure import Grid, cells_of, measure
from edge_baselines.testbed.report import check_folder, provenance, show, write
from edge_gym.errors import printable


def run(grid: Grid, out: str, overwrite: bool = False, as_json: bool = False) -> None:
    """Measure a grid, write the results to a folder and print them.

    Args:
        grid: What to measure.
        out: A new or empty folder.
        overwrite: Replace the results of an earlier measurement there.
        as_json: Print what `law.json` holds instead of a table.

    Raises:
        EdgeGymInputError: The folder cannot be used, or a package is missing; nothing has been measured.
        EdgeGymError: An agent did not survive.
    """
    folder = check_folder(out, overwrite)
    about = provenance()
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:
        task = bar.add_task("migrations")
        rows = measure(grid, lambda done, of: bar.update(task, completed=done, total=of))
    cells = cells_of(rows)
    summary = {"provenance": about, "laws": laws(cells), "cells": cells}
    write(folder, summary, rows)
    if as_json:
        print(json.dumps(summary, indent=1))
        return
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 200  # a file or a pipe has room for whole lines
    show(console, summary)
    console.print(f"Results are in {printable(out, 300)}", markup=False, soft_wrap=True)
