"""The summary for people: a rich table for the terminal and one self-contained HTML page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

from edge_gym.errors import printable

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
    interval: bool = False
    if_any: bool = False  # left out where it is zero everywhere
    agents: bool | None = None  # True: only in worlds with AI agents; False: only in others, to leave room


def figure(value: float) -> str:
    """Three significant digits, and no exponent where people would not write one."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e9 else f"{value:#.3g}".removesuffix(".")


def percent(value: float) -> str:
    """A share as a percentage."""
    return f"{100 * value:.1f}%"


COLUMNS = (
    Column("return", "return", figure, interval=True, agents=True),
    Column("latency_mean_s", "mean latency s", figure, interval=True),
    Column("latency_p50_s", "P50 s", figure, agents=False),
    Column("latency_p95_s", "P95 s", figure),
    Column("latency_p99_s", "P99 s", figure, agents=False),
    Column("slo_attainment", "in time", percent),
    Column("stutter_foreground_share", "stutter a", percent, if_any=True),
    Column("stutter_gap_share", "stutter b", percent, agents=False),
    Column("healthy_masked_share", "masked", percent, if_any=True),
    Column("drop_share", "drops", percent),
    Column("latency_ratio_oracle", "x oracle", lambda v: f"{v:.3f}", interval=True),
    Column("cost_usd", "USD", figure, agents=True),
    Column("agents.utilisation_hosts", "use", percent, agents=True),
    Column("agents.moves", "moves", figure, agents=True, if_any=True),
    Column("agents.ping_pongs", "back", figure, agents=True, if_any=True),
    Column("agents.downtime_mean_s", "down s", figure, agents=True, if_any=True),
    Column("decision_us", "us/decision", figure),
)
AGENTS = "agents.placed"  # a metric of worlds with AI agents
EXPLANATION = (
    "Mean latency is from arrival to the last byte, over all requests (one that is not served is charged its "
    "deadline or more), with the 95 % paired bootstrap interval over the seeds; 'in time' is the share of requests "
    "done by their deadline, 'stutter a' the share served by a node while its user was in the foreground, 'stutter b' "
    "the share with a token gap beyond the bound, 'masked' the healthy capacity a controller kept closed, 'drops' the "
    "share not served, "
    "'x oracle' the mean latency over the oracle's on the same worlds, 'us/decision' the controller's own time. "
    f"Lower is better except for 'in time'. {MARK} sees what no real router can see; a bound is no policy, "
    "and no policy can be below it. With AI agents: 'return' is minus the weighted cost, 'use' the reserved share of "
    "nodes that have agents, 'back' moves back to where the agent had just been, 'down s' the time a move takes."
)


def leaderboard(rows: Sequence[dict[str, Any]]) -> list[tuple[str, list[str], list[list[str]]]]:
    """Cells of the table of each scenario, best mean latency first (with AI agents: best return).

    Args:
        rows: Summary rows.

    Returns:
        Title, headings and cells for each scenario. A cell with an interval has it on a second line.
    """
    found = []
    for task, scenario in dict.fromkeys((row["task"], row["scenario"]) for row in rows):
        columns = _columns([row for row in rows if row["task"] == task])
        own = [row for row in rows if (row["task"], row["scenario"]) == (task, scenario)]
        own.sort(key=_rank)
        cells = [[_name(row), *(_cell(c, row["metrics"].get(c.metric)) for c in columns)] for row in own]
        found.append((f"{task} / {scenario}", ["policy", *(c.heading for c in columns)], cells))
    return found


def _columns(rows: Sequence[dict[str, Any]]) -> list[Column]:
    """What a table of one task shows."""
    with_agents = any(AGENTS in row["metrics"] for row in rows)
    return [
        c
        for c in COLUMNS
        if c.agents in (None, with_agents) and any(_is_shown(c, row["metrics"].get(c.metric)) for row in rows)
    ]


def _rank(row: dict[str, Any]) -> float:
    """Mean latency; with agents, which cost money too, what the scenario's weights make of both."""
    metrics = row["metrics"]
    if AGENTS in metrics and metrics["return"]["mean"] is not None:
        return -metrics["return"]["mean"]
    return metrics["latency_mean_s"]["mean"]


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
    table = Table(title=boards[0][0] if len(boards) == 1 else None, caption=EXPLANATION, caption_justify="left")
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
    console.print(EXPLANATION, markup=False)


def html_page(rows: Sequence[dict[str, Any]], notes: Iterable[tuple[str, str]]) -> str:
    """One page that needs nothing else: no script, no font, no request to anywhere.

    Args:
        rows: Summary rows.
        notes: Labelled lines about the run.
    """
    parts = [_board_html(*board) for board in leaderboard(rows)]
    about = "".join(f"<tr><th>{escape(label)}</th><td>{escape(printable(text))}</td></tr>" for label, text in notes)
    return PAGE.format(boards="\n".join(parts), explanation=escape(EXPLANATION), about=about)


PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>edge_gym results</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; }}
div {{ overflow-x: auto; }}
table {{ border-collapse: collapse; margin: 1rem 0; }}
th, td {{ border-bottom: 1px solid #ccc; padding: .3rem .8rem; text-align: right; vertical-align: top; }}
th:first-child, td:first-child, .about td {{ text-align: left; }}
small {{ color: #666; white-space: nowrap; }}
</style></head><body>
<h1>edge_gym results</h1>
{boards}
<p>{explanation}</p>
<h2>About this run</h2>
<div><table class="about">{about}</table></div>
</body></html>
"""


def _board_html(title: str, headings: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in headings)
    body = "\n".join(f"<tr>{''.join(map(_cell_html, line))}</tr>" for line in cells)
    return f"<h2>{escape(title)}</h2>\n<div><table><tr>{head}</tr>\n{body}</table></div>"


def _cell_html(cell: str) -> str:
    value, _, interval = cell.partition("\n")
    small = f"<br><small>{escape(interval)}</small>" if interval else ""
    return f"<td>{escape(value)}{small}</td>"


def _is_shown(column: Column, entry: dict[str, float | None] | None) -> bool:
    return entry is not None and (not column.if_any or bool(entry["mean"]))


def _name(row: dict[str, Any]) -> str:
    return printable(row["policy"], 60) + (BOUND if row["bound"] else MARK if row["privileged"] else "")


def _cell(column: Column, entry: dict[str, float | None] | None) -> str:
    if entry is None or entry["mean"] is None:
        return "-"
    text = column.show(entry["mean"])
    if column.interval and entry["lo"] is not None and entry["hi"] is not None:
        text += f"\n[{column.show(entry['lo'])}, {column.show(entry['hi'])}]"
    return text
