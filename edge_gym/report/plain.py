"""The report without a browser: Markdown for a repository, CSV for a spreadsheet. Names are data in both."""

from __future__ import annotations

import csv
import html
import io
import re

from edge_gym.errors import printable
from edge_gym.evaluation.results import CELL
from edge_gym.report.content import Report
from edge_gym.report.tables import Table

SPECIAL = re.compile(r"([\\`*_\[\]#|~])")
FORMULA = re.compile(r"[=+\-@\t\r]")  # with which a spreadsheet begins to calculate


def markdown(report: Report) -> str:
    """The report as Markdown: all tables, no figures."""
    parts = [f"# {escape(report.title)}", ", ".join(f"{value} {what}" for value, what in report.facts)]
    for one in report.findings:
        words = [f"**{escape(one.regime.title)}**: " + (escape(one.best) or "-")]
        words += [escape(text) for text in (one.cost, one.interval, one.ratio) if text]
        same = (
            f"no difference shown from {', '.join(escape(name) for name in one.level_with)}" if one.level_with else ""
        )
        parts.append("; ".join([", ".join(words), *filter(None, [same])]) + ". " + escape(" ".join(one.notices)))
    for overall in report.overalls:
        parts += [f"## {escape(overall.title)}", _table(overall.ratios)]
    for regime in report.regimes:
        parts += [f"## {escape(regime.regime.title)}", _table(regime.leaderboard)]
        parts += [_table(regime.phases)] if regime.phases else []
    if report.families:
        parts += ["## Variants of one another", *map(_table, report.families)]
    parts += ["## What each policy may see", _table(report.sees)]
    parts += ["## Failures", _table(report.failures)] if report.failures else []
    parts += ["## How this was made", "\n".join(f"- {escape(name)}: {escape(text)}" for name, text in report.manifest)]
    return "\n\n".join(parts) + "\n"


def _table(table: Table) -> str:
    lines = [[escape(heading.text) for heading in table.headings], ["---", *["--:"] * (len(table.headings) - 1)]]
    lines += [[escape(f"{cell.text} {cell.small}".strip()) for cell in row] for row in table.rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{escape(table.caption)}"


def escape(text: str) -> str:
    """Text that Markdown shows as it is."""
    text = html.escape(printable(text, 2000), quote=False)
    return SPECIAL.sub(r"\\\1", text)


def csv_table(report: Report) -> str:
    """Every figure of every leaderboard: a line for each regime, policy and metric, with the ends of its interval."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow((*CELL, "privileged", "bound", "metric", "mean", "lo", "hi"))
    for part in report.regimes:
        for row in part.regime.rows:
            who = [_data(row[key]) for key in CELL] + [row["privileged"], row["bound"]]
            for metric, entry in row["metrics"].items():
                figures = ("" if entry[key] is None else repr(entry[key]) for key in ("mean", "lo", "hi"))
                writer.writerow((*who, metric, *figures))
    return out.getvalue()


def _data(name: str) -> str:
    """A name that no spreadsheet takes for a formula."""
    text = printable(name, 300)
    return f"'{text}" if FORMULA.match(text) else text
