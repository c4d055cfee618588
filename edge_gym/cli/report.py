"""`edge-gym report`: the report of a run folder as a page, as Markdown or as CSV."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from edge_gym.cli.bench import given, whole_number
from edge_gym.errors import EdgeGymInputError, nearest, printable
from edge_gym.files import atomic_write


def run(options: argparse.Namespace) -> int:
    """Run the command; nothing is written before the whole report is there."""
    from edge_gym.report.played import MAX_RECORDINGS
    from edge_gym.report.write import FORMATS, NAMES, report_text

    out = None if options.out is None else Path(options.out)
    format = given(options.format, _format_of(out))
    if format not in FORMATS:
        raise EdgeGymInputError("--format", format, f"one of {', '.join(FORMATS)}", hint=nearest(format, FORMATS))
    recordings = whole_number("--recordings", options.recordings, 0, MAX_RECORDINGS)
    target = Path(options.run) / NAMES[format] if out is None else out
    if out is not None and (os.path.isdir(out) or not os.path.isdir(out.parent)):
        raise EdgeGymInputError("--out", options.out, "a file in a folder that exists")
    text = report_text(options.run, format, recordings)
    atomic_write(target, text)
    print(f"The report is in {printable(str(target), 300)}")
    return 0


def _format_of(out: Path | None) -> str:
    suffix = "" if out is None else out.suffix.lower().lstrip(".")
    return suffix if suffix in ("md", "csv") else "html"
