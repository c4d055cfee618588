"""The figures of a regime that need episodes played again: over requests, over time, around changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edge_gym.errors import printable
from edge_gym.evaluation.report import figure as number
from edge_gym.report.charts import best_lines, log_axis
from edge_gym.report.played import MESSAGE, NODE, Episode, Played
from edge_gym.report.regimes import Regime
from edge_gym.report.series import around_changes, horizon_s, regret, rolling_mean
from edge_gym.report.styles import GRID, INK, MUTED, Style
from edge_gym.report.svg import Figure, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

POINTS = 240  # of a curve
BEFORE_S, AFTER_S, BIN_S = 10.0, 40.0, 2.0  # around a change
PHASES = ((0.0, 6.0), (6.0, 20.0), (20.0, 40.0))  # after it, seconds
SPANS = 24  # of a rolling mean in an episode
FEW_LINES = 5  # where all curves follow the same ups and downs
MAX_MARKS = 60  # lines across one figure


def survival(regime: Regime, played: Played, styles: dict[str, Style]) -> Figure:
    """Share of the requests that take longer than a time."""
    names = best_lines(list(played.episodes), regime.reference)
    latency = {name: np.sort(np.concatenate([e.latency_s for e in played.episodes[name]])) for name in names}
    n = len(latency[names[0]])
    shares = np.geomspace(1.0, max(1.0 / n, 1e-5), POINTS)

    def paint(axes: Axes) -> None:
        axes.set(xscale="log", yscale="log")
        for name in names:
            x = np.quantile(latency[name], 1.0 - shares)
            axes.plot(x, 100 * shares, **styles[name].line)
        log_axis(axes.yaxis, 100 * shares[-1], 100.0)
        low, high = (
            fold(float(f(values)) for values in latency.values()) for fold, f in ((min, np.min), (max, np.max))
        )
        log_axis(axes.xaxis, max(low, high / 1e5), high)
        axes.set(xlabel="latency of a request (s)", ylabel="requests that take longer (%)")

    caption = (
        f"How many requests take longer than a time, both axes logarithmic (n = {n} requests of "
        f"{len(played.episodes[names[0]])} episodes for each policy). Further left is better; the lower right end is "
        "the tail that a mean hides."
    )
    alt = "; ".join(f"{printable(name, 60)} {number(float(np.quantile(latency[name], 0.999)))} s" for name in names)
    name = f"{regime.anchor}-survival"
    return Figure(name, draw(name, paint), caption, f"Latency at P99.9: {alt}.", tuple(names))


def one_episode(regime: Regime, played: Played, styles: dict[str, Style]) -> Figure:
    """The first episode as it went, with what happened in it."""
    names = best_lines(list(played.episodes), regime.reference, FEW_LINES)
    first: dict[str, Episode] = {name: played.episodes[name][0] for name in names}
    end_s = horizon_s(list(first.values()), agents=False)
    span_s = float(f"{end_s / SPANS:.1g}")
    times = np.linspace(span_s, end_s, POINTS)
    marks = {
        kind: [mark.time_s for mark in first[names[0]].marks if mark.kind == kind and mark.time_s <= end_s]
        for kind in (NODE, MESSAGE)
    }

    def paint(axes: Axes) -> None:
        axes.set_yscale("log")
        edge = axes.get_xaxis_transform()  # time across, share of the height up
        for time_s in marks[NODE][:MAX_MARKS]:
            axes.axvline(time_s, color=GRID, linewidth=0.9)
        axes.plot(marks[NODE], [0.975] * len(marks[NODE]), "v", color=INK, markersize=4.5, transform=edge)
        axes.plot(marks[MESSAGE], [0.03] * len(marks[MESSAGE]), "|", color=MUTED, markersize=6, transform=edge)
        curves = [rolling_mean(first[name], times, span_s) for name in names]
        for name, curve in zip(names, curves, strict=True):
            axes.plot(times, curve, **styles[name].line)
        axes.set(xlim=(0.0, end_s), xlabel="simulated time (s)", ylabel=f"mean latency, last {span_s:g} s (s)")
        log_axis(axes.yaxis, float(np.nanmin(curves)), float(np.nanmax(curves)))

    caption = (
        f"One episode (seed {first[names[0]].seed}) as it went, the same world for all: mean latency of the requests "
        f"that arrived in the last {span_s:g} s. Triangles at the top: a node slows down or leaves, which nobody "
        f"is told ({len(marks[NODE])}); strokes at the bottom: a message comes, which may be mere chatter "
        f"({len(marks[MESSAGE])})."
    )
    highest = {name: float(np.nanmax(rolling_mean(first[name], times, span_s))) for name in names}
    worst = "; ".join(f"{printable(name, 60)} {number(value)} s" for name, value in highest.items())
    name = f"{regime.anchor}-episode"
    return Figure(name, draw(name, paint), caption, f"Highest rolling mean: {worst}.", tuple(names))


def regret_curves(regime: Regime, played: Played, styles: dict[str, Style]) -> Figure | None:
    """What each policy has lost to the reference by each time."""
    reference = regime.reference
    names = [name for name in best_lines(list(played.episodes), reference) if name != reference]
    if reference not in played.episodes or not names:
        return None
    theirs, agents = played.episodes[reference], regime.agents
    end_s = horizon_s([episode for name in names for episode in played.episodes[name]], agents)
    times = np.linspace(0.0, end_s, POINTS)
    lost = {name: regret(played.episodes[name], theirs, times, agents) for name in names}

    ends = sorted(float(lost[name].mean(axis=0)[-1]) for name in names)
    outlier = len(ends) > 2 and ends[-1] > 3 * ends[-2] > 0  # one bad policy must not flatten the others

    def paint(axes: Axes) -> None:
        axes.axhline(0.0, color=INK, linewidth=1.0)
        for name in names:
            mean = lost[name].mean(axis=0)
            axes.plot(times, mean, **styles[name].line)
            if len(theirs) > 1:
                error = lost[name].std(axis=0, ddof=1) / np.sqrt(len(theirs))
                axes.fill_between(times, mean - error, mean + error, color=styles[name].colour, alpha=0.1, linewidth=0)
        unit = "weighted cost" if agents else "request-seconds"
        axes.set(xlim=(0.0, end_s), xlabel="simulated time (s)", ylabel=f"regret ({unit})")
        if outlier:
            axes.set_ylim(min(0.0, 1.1 * ends[0]), 1.25 * ends[-2])

    what = "weighted cost" if agents else "latency of all requests that have arrived"
    caption = (
        f"Regret: {what} summed up, less that of {printable(str(reference), 60)} in the same world; mean of "
        f"{len(theirs)} worlds, the band is one standard error. A straight line loses steadily, a step shows where; "
        "flat is as good as the reference." + (" The worst policy leaves the figure." if outlier else "")
    )
    alt = "; ".join(f"{printable(name, 60)} {number(float(lost[name].mean(axis=0)[-1]))}" for name in names)
    name = f"{regime.anchor}-regret"
    return Figure(name, draw(name, paint), caption, f"Regret at the end: {alt}.", tuple(names))


class Around:
    """Averages around all changes of a regime, for each policy.

    Attributes:
        names: Policies that are shown; the reference is one of them.
        ratio: Policy -> (T,) mean latency over that of the reference, in each interval of time since a change.
        share: Policy -> (T,) share of the requests that went to the node that changed.
        changes: How many there were.
        edges_s: (T + 1,) of the intervals.
    """

    def __init__(self, regime: Regime, played: Played) -> None:
        self.edges_s = np.arange(-BEFORE_S, AFTER_S + BIN_S / 2, BIN_S)
        self.names = best_lines(list(played.episodes), regime.reference)
        found = {name: around_changes(episodes, self.edges_s) for name, episodes in played.episodes.items()}
        reference = found[str(regime.reference)]
        self.changes = reference[2]
        self.ratio = {name: latency / reference[0] for name, (latency, _, _) in found.items()}
        self.share = {name: share for name, (_, share, _) in found.items()}

    def phase(self, name: str, from_s: float, until_s: float) -> float:
        """Mean ratio to the reference between two times after a change."""
        middle = (self.edges_s[:-1] + self.edges_s[1:]) / 2
        return float(np.nanmean(self.ratio[name][(middle >= from_s) & (middle < until_s)]))


def adaptation_curves(regime: Regime, around: Around, styles: dict[str, Style]) -> list[Figure]:
    """Latency over that of the reference, and share of the changed node, by the time since a change."""
    middle = (around.edges_s[:-1] + around.edges_s[1:]) / 2
    names = [name for name in around.names if name != regime.reference]

    def axes_of(axes: Axes, label: str) -> None:
        axes.axvline(0.0, color=MUTED, linewidth=1.0)
        axes.set(xlim=(-BEFORE_S, AFTER_S), xlabel="time since a node slowed down or left (s)")
        axes.set_ylabel(label)

    def ratios(axes: Axes) -> None:
        curves = [around.ratio[name] for name in names]
        axes.set_yscale("log")
        axes.axhline(1.0, color=INK, linewidth=1.0)
        for name, curve in zip(names, curves, strict=True):
            axes.plot(middle, curve, **styles[name].line)
        log_axis(axes.yaxis, min(1.0, float(np.nanmin(curves))), float(np.nanmax(curves)))
        axes_of(axes, f"mean latency over that of {printable(str(regime.reference), 20)}")

    def shares(axes: Axes) -> None:
        for name in around.names:
            axes.plot(middle, 100 * around.share[name], **styles[name].line)
        axes.set_ylim(bottom=0.0)
        axes_of(axes, "requests sent to that node (%)")

    n = f"average over {around.changes} changes, intervals of {BIN_S:g} s; other nodes change meanwhile"
    phases = "; ".join(f"{printable(k, 60)} {number(around.phase(k, *PHASES[0]))}" for k in names)
    first, second = f"{regime.anchor}-adaptation", f"{regime.anchor}-leaving"
    left = "; ".join(f"{printable(k, 60)} {100 * np.nanmean(around.share[k][middle > 10]):.1f} %" for k in around.names)
    return [
        Figure(
            first,
            draw(first, ratios),
            f"Adaptation: latency of the requests that arrive around a change, over the reference's ({n}). A peak is "
            "what the change costs beyond what it must, its width is how long a policy needs.",
            f"Ratio in the first {PHASES[0][1]:g} s after a change: {phases}.",
            tuple(names),
        ),
        Figure(
            second,
            draw(second, shares),
            f"Leaving the node: the share of requests that go to the node that changed ({n}). It should fall at once, "
            "and the sooner the better; the reference sees the change itself.",
            f"Share later than 10 s after a change: {left}.",
            tuple(around.names),
        ),
    ]
