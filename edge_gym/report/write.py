"""Writes the report of a run folder."""

from __future__ import annotations

import os
from pathlib import Path

from edge_gym.files import atomic_write
from edge_gym.report.content import make_report
from edge_gym.report.page import html_page
from edge_gym.report.plain import csv_table, markdown
from edge_gym.report.run_data import read_run

FORMATS = {"html": html_page, "md": markdown, "csv": csv_table}
NAMES = {"html": "report.html", "md": "report.md", "csv": "leaderboard.csv"}


def report_text(folder: str | os.PathLike, format: str, recordings: int = 0) -> str:
    """The report of a run in one of `FORMATS`; the same folder gives the same text. See `make_report` for errors."""
    return FORMATS[format](make_report(read_run(folder), recordings))


def write_reports(folder: str | os.PathLike) -> None:
    """Writes all formats into the folder of a finished run, without playing anything again."""
    report = make_report(read_run(folder))
    for format, name in NAMES.items():
        atomic_write(Path(folder) / name, FORMATS[format](report))
