"""The tables of the report, as cells: what is read, what is sorted by, and how strong a tint."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from edge_gym.errors import printable
from edge_gym.evaluation.report import cell, display_name, shown_columns
from edge_gym.evaluation.stats import ratio_interval
from edge_gym.report.charts_time import PHASES, Around
from edge_gym.report.overall import Overall
from edge_gym.report.regimes import Regime
from edge_gym.report.run_data import Run

HELP = {  # of headings that do not explain themselves
    "in time": "requests done by their deadline",
    "stutter a": "requests served by a node while its user was in the foreground",
    "stutter b": "requests with a token gap beyond the bound",
    "masked": "healthy capacity that a controller kept closed",
    "x oracle": "mean latency over the oracle's on the same worlds",
    "us/decision": "microseconds of the policy's own code for a decision, on the machine of the run",
    "use": "reserved share of the nodes that have agents",
    "back": "moves back to where the agent had just been",
    "down s": "seconds that a move takes the agent out of service",
}


class Cell(NamedTuple):
    """A cell.

    Attributes:
        text: What is read.
        small: Below it, in small print.
        value: What the column is sorted by; None: by the text.
        tint: Strength of the background, 0 ... 1; negative: the other hue.
        policy: If it names one, the policy, whose style is shown.
    """

    text: str
    small: str = ""
    value: float | None = None
    tint: float = 0.0
    policy: str = ""


class Heading(NamedTuple):
    """A column's heading, and what explains it."""

    text: str
    help: str = ""


class Table(NamedTuple):
    """A table: `caption` says what it shows."""

    caption: str
    headings: list[Heading]
    rows: list[list[Cell]]


def named(policy: str, text: str = "") -> Cell:
    """The cell that names a policy."""
    return Cell(text or printable(policy, 60), policy=policy)


def leaderboard(regime: Regime) -> Table:
    """All policies of a regime with their metrics, and what the comparison with the best says."""
    columns = shown_columns(regime.rows)
    verdicts = {pair["policy"]: pair["verdict"] for pair in regime.comparison["pairs"]}
    rows = []
    for row in regime.rows:
        cells = [named(row["policy"], display_name(row))]
        for column in columns:
            entry = row["metrics"].get(column.metric)
            text, _, small = cell(column, entry).partition("\n")
            cells.append(Cell(text, small, math.nan if entry is None or entry["mean"] is None else entry["mean"]))
        best = "best" if row["policy"] == regime.best else ""
        rows.append([*cells, Cell(best or verdicts.get(row["policy"], "-"))])
    against = printable(regime.best or "nobody", 60)
    headings = [Heading("policy"), *(Heading(c.heading, HELP.get(c.heading, "")) for c in columns)]
    caption = f"{len(regime.seeds)} worlds for each policy; brackets are 95 % paired bootstrap intervals."
    return Table(caption, [*headings, Heading("against the best", f"paired test, Holm; the best is {against}")], rows)


def ratios(overall: Overall) -> Table:
    """Policy by regime: mean cost over that of the regime's reference."""
    rows = []
    for k, one in enumerate(overall.figures):
        values = overall.ratios[k].mean(axis=1)
        interval = _interval(one["iqm_lo"], one["iqm_hi"])
        cells = [named(one["policy"]), Cell(f"{one['iqm']:.3f}", interval, one["iqm"], tint(one["iqm"]))]
        rows.append(cells + [Cell(f"{value:.3f}", "", float(value), tint(float(value))) for value in values])
    caption = (
        f"Cost over the mean of {overall.reference_words}: in each regime the ratio of the means, over all regimes the "
        "interquartile mean with its 95 % stratified bootstrap interval. 1 is as good as the reference."
    )
    names = [Heading(printable(regime.scenario, 40)) for regime in overall.regimes]
    return Table(caption, [Heading("policy"), Heading("all regimes (IQM)" if len(names) > 1 else "IQM"), *names], rows)


def better(overall: Overall) -> Table:
    """How likely an episode of one policy costs less than one of another."""
    names = overall.policies
    rows = [
        [
            named(name),
            *(
                Cell("-" if i == k else f"{100 * p:.0f}", "", p, 0.0 if i == k else 1.6 * (0.5 - p))
                for k, p in enumerate(line)
            ),
        ]
        for i, (name, line) in enumerate(zip(names, overall.better.tolist(), strict=True))
    ]
    caption = (
        "Probability of improvement, in percent: that an episode of the policy of the row costs less than one of the "
        "policy of the column, each drawn at random, mean over the regimes. 50 is even."
    )
    return Table(caption, [Heading("policy"), *(Heading(printable(name, 40)) for name in names)], rows)


def phases(regime: Regime, around: Around) -> Table:
    """Mean ratio to the reference some time after a change."""
    rows = []
    for name in around.ratio:
        values = [around.phase(name, *phase) for phase in ((around.edges_s[0], 0.0), *PHASES)]
        rows.append([named(name), *(Cell(f"{value:.2f}", "", value, tint(value)) for value in values)])
    spans = [f"{low:g} to {high:g} s after" for low, high in PHASES]
    caption = (
        f"Latency over that of {printable(regime.reference, 60)} of the requests that arrive before and after a node "
        f"slows down or leaves; {around.changes} changes."
    )
    return Table(caption, [Heading("policy"), Heading(f"{-around.edges_s[0]:g} s before"), *map(Heading, spans)], rows)


def families(overall: Overall) -> list[Table]:
    """Policies that are variants of one another, each against the best of them in every regime."""
    return [_family(overall, word, names) for word, names in _kin(overall.policies).items()]


def _kin(policies: Sequence[str]) -> dict[str, list[str]]:
    """Policies by the word that their names begin with, up to ":" or "_"; those without kin are left out."""
    found: dict[str, list[str]] = {}
    for policy in policies:
        found.setdefault(policy.partition(":")[0].partition("_")[0], []).append(policy)
    return {word: names for word, names in found.items() if len(names) > 1}


def _family(overall: Overall, word: str, names: list[str]) -> Table:
    best, rows = names[0], []
    for name in names:
        cells = [named(name)]
        for regime in overall.regimes:
            value, low, high = (float(x[0]) for x in ratio_interval(regime.costs[name][None, :], regime.costs[best]))
            cells.append(Cell(f"{value:.3f}", "" if name == best else _interval(low, high), value, tint(value)))
        rows.append(cells)
    caption = (
        f"{printable(word, 40)}: cost over that of {printable(best, 60)} on the same worlds, ratio of the means, 95 % "
        "paired intervals."
    )
    return Table(caption, [Heading("variant"), *(Heading(printable(r.scenario, 40)) for r in overall.regimes)], rows)


def failures(run: Run) -> Table:
    """What failed and is therefore not scored."""
    rows = [
        [
            named(one["policy"]),
            Cell(printable(f"{one['task']} / {one['scenario']}", 100)),
            Cell(f"{one['first_seed']} and the next {one['episodes'] - 1}"),
            Cell(str(one["attempts"]), value=float(one["attempts"])),
            Cell(printable(one["reason"], 500)),
        ]
        for one in run.failures[:100]
    ]
    names = ("policy", "where", "seeds", "attempts", "reason")
    return Table("Policies that failed in a regime are not scored there.", list(map(Heading, names)), rows)


def tint(ratio: float) -> float:
    """Strength of the background of a ratio to a reference: nothing at 1, full at 3 times; negative below 1."""
    if not ratio > 0 or not math.isfinite(ratio):
        return 0.0
    return float(np.clip(math.log(ratio) / math.log(3.0), -1.0, 1.0))


def _interval(low: float | None, high: float | None) -> str:
    if low is None or high is None or not math.isfinite(low + high):
        return ""
    return f"[{low:.3f}, {high:.3f}]"
