"""Everything that a report says, in the order in which it says it; pages and files are made of this."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from edge_gym.errors import EdgeGymInputError, printable
from edge_gym.evaluation.sites import by_sites
from edge_gym.report import tables
from edge_gym.report.findings import Finding, finding
from edge_gym.report.overall import Overall, overalls_of
from edge_gym.report.played import MAX_RECORDINGS, play
from edge_gym.report.regimes import Regime, regimes_of
from edge_gym.report.run_data import Run
from edge_gym.report.sees import Sees, what_policies_see
from edge_gym.report.styles import Style, assign
from edge_gym.report.svg import Figure, available
from edge_gym.report.tables import Cell, Heading, Table

MAX_TEXT = 2_000  # of anything from the manifest


class RegimePart(NamedTuple):
    """The section of a regime."""

    regime: Regime
    leaderboard: Table
    figures: list[Figure]
    phases: Table | None
    notices: list[str]


class OverallPart(NamedTuple):
    """The section of a task over all its regimes."""

    anchor: str
    title: str
    ratios: Table
    better: Table
    figures: list[Figure]


class Report(NamedTuple):
    """The report of a run.

    Attributes:
        title: Name of the run.
        facts: Figure and what it counts.
        findings: A card for each regime.
        overalls: A section for each task.
        regimes: A section for each regime.
        families: Tables of policies that are variants of one another.
        sees: What each policy may see.
        failures: What failed; None if nothing did.
        manifest: Label and text of each line.
        styles: Policy -> how it looks.
        figures_drawn: Whether matplotlib is there.
    """

    title: str
    facts: list[tuple[str, str]]
    findings: list[Finding]
    overalls: list[OverallPart]
    regimes: list[RegimePart]
    families: list[Table]
    sees: Table
    failures: Table | None
    manifest: list[tuple[str, str]]
    styles: dict[str, Style]
    figures_drawn: bool


def make_report(run: Run, recordings: int = 0) -> Report:
    """Works out the report of a run.

    Args:
        run: The run.
        recordings: Episodes of each policy and regime to play again, for latency distributions, time series, adaptation
            and regret; 0: none.

    Raises:
        EdgeGymInputError: `recordings` is out of range, or the manifest lacks what playing needs.
        EdgeGymError: An episode played again differs from the run.
    """
    if not 0 <= recordings <= MAX_RECORDINGS:
        raise EdgeGymInputError("recordings", recordings, f"0 ... {MAX_RECORDINGS}")
    regimes = regimes_of(run)
    overalls = overalls_of(regimes)
    styles = _styles(regimes)
    failed = tables.failures(run) if run.failures else None
    return Report(
        title=printable(run.name, 100),
        facts=list(_facts(run, regimes)),
        findings=[finding(regime) for regime in regimes],
        overalls=[_overall_part(one, styles, len(overalls)) for one in overalls],
        regimes=[_regime_part(run, regime, styles, recordings) for regime in regimes],
        families=[table for one in overalls for table in tables.families(one)],
        sees=_sees_table(what_policies_see(regimes)),
        failures=failed,
        manifest=list(_manifest(run, regimes)),
        styles=styles,
        figures_drawn=available(),
    )


def _styles(regimes: list[Regime]) -> dict[str, Style]:
    rows = {row["policy"]: row for regime in regimes for row in regime.rows}
    kinds = [{name for name, row in rows.items() if row[key]} for key in ("privileged", "bound")]
    return assign(list(rows), *kinds)


def _overall_part(one: Overall, styles: dict[str, Style], tasks: int) -> OverallPart:
    figures: list[Figure | None] = []
    if available():
        from edge_gym.report import charts

        figures = [
            draw(one, styles) for draw in (charts.overall_ratio, charts.overall_profile, charts.time_and_quality)
        ]
    title = "Over all regimes" if len(one.regimes) > 1 else "Overall"
    return OverallPart(
        anchor=f"overall-{printable(one.task, 40)}",
        title=title + (f" of {printable(one.task, 40)}" if tasks > 1 else ""),
        ratios=tables.ratios(one),
        better=tables.better(one),
        figures=[found for found in figures if found is not None],
    )


def _regime_part(run: Run, regime: Regime, styles: dict[str, Style], recordings: int) -> RegimePart:
    figures: list[Figure | None] = []
    notices: list[str] = []
    phases = None
    if available():
        from edge_gym.report import charts

        comparable = regime.best is not None and len(regime.policies) > 1 and (regime.costs[regime.best] > 0).all()
        figures += [charts.paired(regime, styles)] if comparable else []
        figures += [] if regime.agents else [charts.quantiles(regime, styles)]
    if recordings and regime.policies:
        found, phases, notices = _played_part(run, regime, styles, recordings)
        figures += found
    return RegimePart(regime, tables.leaderboard(regime), [one for one in figures if one is not None], phases, notices)


def _played_part(
    run: Run, regime: Regime, styles: dict[str, Style], recordings: int
) -> tuple[list[Figure | None], Table | None, list[str]]:
    """Figures, table and notices from episodes that are played again."""
    played = play(run, regime, recordings)
    notices = [
        f"Not played again: {printable(name, 60)} ({printable(why, 300)})." for name, why in played.left_out.items()
    ]
    if regime.reference not in played.episodes:
        return [], None, notices
    from edge_gym.report.charts_time import Around

    around = Around(regime, played)
    changing = around.changes > 0 and not regime.agents
    if not changing and not regime.agents:
        notices.append("In the episodes played again no node changes, so there is no adaptation to show.")
    figures: list[Figure | None] = []
    if available():
        from edge_gym.report import charts_time

        figures += [] if regime.agents else [charts_time.survival(regime, played, styles)]
        figures += [] if regime.agents else [charts_time.one_episode(regime, played, styles)]
        figures += [charts_time.regret_curves(regime, played, styles)]
        figures += charts_time.adaptation_curves(regime, around, styles) if changing else []
    return figures, tables.phases(regime, around) if changing else None, notices


def _facts(run: Run, regimes: list[Regime]) -> Iterator[tuple[str, str]]:
    policies = {row["policy"] for regime in regimes for row in regime.rows if not row["bound"]}
    yield str(len(policies)), "policies" if len(policies) != 1 else "policy"
    yield str(len(regimes)), "regimes" if len(regimes) != 1 else "regime"
    counts = sorted({len(regime.seeds) for regime in regimes})
    yield "-".join(map(str, dict.fromkeys((counts[0], counts[-1])))), "worlds each"
    yield f"{len(run.rows):,}", "episodes"
    if run.failures:
        yield str(len(run.failures)), "failures"
    if run.finished.manifest.get("finished") is not True:
        yield "not finished:", "this is what there is so far"


def _sees_table(rows: list[Sees]) -> Table:
    headings = [
        Heading("policy"),
        Heading("what it is"),
        Heading("decides"),
        Heading("telemetry, messages", "observations, masks and messages, as a real controller could have them"),
        Heading("true state", "what no real controller can see"),
        Heading("delays between nodes", "the network is public; a policy may ask for it"),
        Heading("tools", "acts through the control surface of the router"),
        Heading("service outside", "asks a language model, or depends on another service"),
        Heading("learned"),
    ]
    body = [[tables.named(row.policy), *(Cell(printable(text, 200)) for text in row[1:])] for row in rows]
    return Table("From the registry of policies.", headings, body)


def _manifest(run: Run, regimes: list[Regime]) -> Iterator[tuple[str, str]]:
    given = run.finished.manifest
    yield "command", _text(given.get("command"))
    yield "versions", _joined(given.get("versions"))
    yield "source", _joined(given.get("git"))
    yield "platform", f"{_text(given.get('platform'))}, {_text(given.get('cpu_count'))} cores"
    identity = given.get("identity")
    if isinstance(identity, dict):
        yield "kernel", _text(identity.get("kernel"))
        if "suite" in identity:
            yield "suite", _joined(identity["suite"])
    for regime in regimes:
        span = f"{regime.seeds[0]} to {regime.seeds[-1]}" if len(regime.seeds) > 1 else str(regime.seeds[0])
        words = f"fingerprint {printable(regime.fingerprint, 40)}, {len(regime.seeds)} worlds, seeds {span}"
        first = next(iter(regime.episodes.values()))[0]
        yield regime.title, words + (", decided by its sites" if by_sites(first) else "")


def _joined(value: Any) -> str:
    if not isinstance(value, dict):
        return _text(value)
    return ", ".join(f"{_text(name)} {_text(what)}" for name, what in list(value.items())[:50])


def _text(value: Any) -> str:
    return (
        "-"
        if value is None
        else printable(str(value) if isinstance(value, str | int | float) else repr(value)[:MAX_TEXT], MAX_TEXT)
    )
