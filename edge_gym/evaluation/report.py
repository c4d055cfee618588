"""The summary for people in a terminal; `edge_gym.report` makes pages and files of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from edge_gym.errors import EdgeGymInputError, printable
from edge_gym.scenario.io import fingerprint
from edge_gym.scenario.presets import PRESETS
from edge_gym.tasks import get_task

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

MARK = "*"  # behind the name of a privileged policy
BOUND = f"{MARK} (bound)"  # behind the name of a bound


class Column(NamedTuple):
    """A column of the leaderboard."""

    metric: str
    heading: str
    show: Callable[[float], str]
    means: str = ""  # said below a table that has the column
    interval: bool = False
    if_any: bool = False  # left out where it is zero everywhere
    agents: bool | None = None  # True: only in worlds with AI agents; False: only in others, to leave room


def figure(value: float) -> str:
    """Three significant digits, and no exponent where people would not write one."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:#.3g}".removesuffix(".")


def percent(value: float) -> str:
    """A share as a percentage."""
    return f"{100 * value:.1f}%"


STUTTER_A = "the share served by a node while its user was in the foreground"
COLUMNS = (
    Column("return", "return", figure, "minus the weighted cost", interval=True, agents=True),
    Column("latency_mean_s", "mean latency s", figure, interval=True),
    Column("latency_p50_s", "P50 s", figure, agents=False),
    Column("latency_p95_s", "P95 s", figure),
    Column("latency_p99_s", "P99 s", figure, agents=False),
    Column("slo_attainment", "in time", percent, "the share of requests done by their deadline (more is better)"),
    Column("stutter_foreground_share", "stutter a", percent, STUTTER_A, if_any=True),
    Column("stutter_gap_share", "stutter b", percent, "the share with a token gap beyond the bound", agents=False),
    Column("healthy_masked_share", "masked", percent, "the healthy capacity a controller kept closed", if_any=True),
    Column("drop_share", "drops", percent, "the share not served"),
    Column("sites.refused_share", "refused", percent, "the sites' choices that found no room", if_any=True),
    Column("latency_ratio_oracle", "x oracle", "{:.3f}".format, "mean latency over the oracle's", interval=True),
    Column("cost_usd", "USD", figure, agents=True),
    Column("agents.utilisation_hosts", "use", percent, "the reserved share of nodes that have agents", agents=True),
    Column("agents.moves", "moves", figure, agents=True, if_any=True),
    Column("agents.ping_pongs", "back", figure, "moves to where it had just been", agents=True, if_any=True),
    Column("agents.downtime_mean_s", "down s", figure, "the time a move takes", agents=True, if_any=True),
    Column("decision_us", "us/decision", figure, "the controller's own time"),
)
AGENTS = "agents.placed"  # a metric of worlds with AI agents


def explanation(rows: Sequence[dict[str, Any]]) -> str:
    """What the columns and marks of the tables of these summary rows mean."""
    tasks = dict.fromkeys(row["task"] for row in rows)
    shown = {c for task in tasks for c in shown_columns([row for row in rows if row["task"] == task])}
    columns = [c for c in COLUMNS if c.means and c in shown]
    text = (
        "Mean latency is from arrival to the last byte, over all requests (one that is not served is charged its "
        "deadline or more), with the 95 % paired bootstrap interval over the seeds; "
    ) + "; ".join(f"'{c.heading}': {c.means}" for c in columns)
    if any(row["privileged"] and not row["bound"] for row in rows):
        text += f". {MARK} sees what no real router can see"
    if any(row["bound"] for row in rows):
        text += ". A bound is no policy, and no policy can be below it"
    return text + "."


def warning(task: str, scenario: str, scenario_fingerprint: str) -> str:
    """What to say of worlds that are called like a preset but are others; "" if they are not."""
    try:
        name = f"{get_task(task).worlds}/{scenario}"
        if name not in PRESETS or fingerprint(PRESETS[name]()) == scenario_fingerprint:
            return ""
    except EdgeGymInputError:  # of a package, or in a file, that is not here
        return ""
    return f"{name} is not the preset of that name: fields were changed, or it is another version's."


def leaderboard(rows: Sequence[dict[str, Any]]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Cells of the table of each scenario, best mean latency first (with AI agents: best return).

    Args:
        rows: Summary rows.

    Returns:
        Title, headings and cells for each scenario. A cell with an interval has it on a second line.
    """
    found = []
    for task, scenario in dict.fromkeys((row["task"], row["scenario"]) for row in rows):
        columns = shown_columns([row for row in rows if row["task"] == task])
        own = [row for row in rows if (row["task"], row["scenario"]) == (task, scenario)]
        own.sort(key=rank)
        cells = [[display_name(row), *(cell(c, row["metrics"].get(c.metric)) for c in columns)] for row in own]
        found.append((f"{task} / {scenario}", ["policy", *(c.heading for c in columns)], cells))
    return found


def shown_columns(rows: Sequence[dict[str, Any]]) -> list[Column]:
    """The columns that say something about these summary rows of one task."""
    with_agents = any(AGENTS in row["metrics"] for row in rows)
    return [
        c
        for c in COLUMNS
        if c.agents in (None, with_agents) and any(_is_shown(c, row["metrics"].get(c.metric)) for row in rows)
    ]


def rank(row: dict[str, Any]) -> float:
    """Mean latency; with agents, which cost money too, what the scenario's weights make of both."""
    metrics = row["metrics"]
    if AGENTS in metrics and metrics["return"]["mean"] is not None:
        return -metrics["return"]["mean"]
    mean = metrics["latency_mean_s"]["mean"]
    return math.inf if mean is None else mean  # an episode without a request has none


def rich_table(rows: Sequence[dict[str, Any]]) -> Table:
    """The leaderboards of all scenarios in one rich table; those of several tasks below each other."""
    from rich.table import Table
    from rich.text import Text

    tasks = dict.fromkeys(row["task"] for row in rows)
    if len(tasks) > 1:  # each task has its own columns
        grid = Table.grid()
        for task in tasks:
            grid.add_row(rich_table([row for row in rows if row["task"] == task]))
        return grid
    boards = leaderboard(rows)
    table = Table(title=boards[0][0] if len(boards) == 1 else None, caption=explanation(rows), caption_justify="left")
    if len(boards) > 1:
        table.add_column("scenario")
    for k, heading in enumerate(boards[0][1]):
        table.add_column(heading, justify="right" if k else "left", no_wrap=True)
    for title, _, cells in boards:
        for line in cells:  # Text, because a name may look like markup
            table.add_row(*(Text(cell) for cell in ([title, *line] if len(boards) > 1 else line)))
        table.add_section()
    return table


def print_leaderboard(console: Console, rows: Sequence[dict[str, Any]]) -> None:
    """Print the leaderboard as a table, or line by line where a table would not fit."""
    from rich.measure import Measurement
    from rich.padding import Padding

    table = rich_table(rows)
    if Measurement.get(console, console.options.update(width=10_000), table).minimum <= console.width:
        console.print(table)
        return
    for title, headings, cells in leaderboard(rows):
        console.print(title, style="bold", markup=False)
        for line in cells:
            console.print(line[0], markup=False)
            for heading, cell in zip(headings[1:], line[1:], strict=True):
                console.print(Padding(f"{heading}: {cell.replace(chr(10), ' ')}", (0, 0, 0, 2)), markup=False)
    console.print(explanation(rows), markup=False)


def _is_shown(column: Column, entry: dict[str, float | None] | None) -> bool:
    return entry is not None and (not column.if_any or bool(entry["mean"]))


def display_name(row: dict[str, Any]) -> str:
    """Name of a row's policy, marked if it is privileged or a bound."""
    return printable(row["policy"], 60) + (BOUND if row["bound"] else MARK if row["privileged"] else "")


def cell(column: Column, entry: dict[str, float | None] | None) -> str:
    """Text of a cell; an interval stands on a second line."""
    if entry is None or entry["mean"] is None:
        return "-"
    text = column.show(entry["mean"])
    if column.interval and entry["lo"] is not None and entry["hi"] is not None:
        text += f"\n[{column.show(entry['lo'])}, {column.show(entry['hi'])}]"
    return text
