"""The figures of one regime and of all regimes that need nothing but the rows of the run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_gym.errors import printable
from edge_gym.evaluation.report import figure as number
from edge_gym.evaluation.stats import performance_profile, ratio_interval
from edge_gym.report.overall import Overall
from edge_gym.report.regimes import Regime
from edge_gym.report.styles import INK, MUTED, Style
from edge_gym.report.svg import Figure, draw

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_DOTS = 200  # worlds drawn one by one
ROW_IN, ROOM_IN = 0.27, 0.75  # height of a row of names, and of what is around them
MAX_LINES = 8  # policies in a figure with lines


def best_lines(policies: Sequence[str], reference: str, most: int = MAX_LINES) -> list[str]:
    """The policies that a figure with lines shows: the reference, and the best of the others."""
    found = list(policies[:most])
    if reference in policies and reference not in found:
        found[-1] = reference
    return found


def log_axis(axis: Any, low: float, high: float) -> None:
    """A logarithmic axis with plain figures; on a short one more of them."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, NullLocator

    decades = np.log10(high / low) if high > low > 0 else 0.0
    subs = (1.0, 1.2, 1.5, 2.0, 3.0, 5.0, 7.0) if decades < 0.7 else (1.0, 2.0, 5.0) if decades < 2.5 else (1.0,)
    axis.set_major_locator(LogLocator(base=10.0, subs=subs, numticks=8))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
    axis.set_minor_formatter(NullFormatter())


def rows_of_names(axes: Axes, names: Sequence[str], styles: dict[str, Style]) -> None:
    """Policies down the vertical axis, the first on top."""
    axes.set_yticks(range(len(names)), [printable(name, 28) for name in names], parse_math=False)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def intervals(axes: Axes, values: Any, names: Sequence[str], styles: dict[str, Style]) -> None:
    """A marker and its interval in each row."""
    for row, name in enumerate(names):
        style, value, low, high = styles[name], *(float(column[row]) for column in values)
        if np.isfinite(low + high):
            axes.plot([low, high], [row, row], color=style.colour, linewidth=2.4, solid_capstyle="butt", zorder=3)
        axes.plot([value], [row], color=style.colour, marker=style.marker, markersize=5.5, zorder=4)


def paired(regime: Regime, styles: dict[str, Style]) -> Figure:
    """Each policy over the best of them, world by world."""
    best = str(regime.best)
    names = [name for name in regime.policies if name != best]
    reference = regime.costs[best]
    table = np.array([regime.costs[name] for name in names])
    found = ratio_interval(table, reference)
    dots = table[:, :MAX_DOTS] / reference[:MAX_DOTS]
    low, high = float(min(dots.min(), 1.0)), float(max(dots.max(), 1.0))

    def paint(axes: Axes) -> None:
        axes.set_xscale("log")
        axes.axvline(1.0, color=INK, linewidth=1.0)
        jitter = 0.26 * np.sin(2.4 * np.arange(dots.shape[1]))  # spread out, the same every time
        for row, name in enumerate(names):
            axes.plot(dots[row], row + jitter, ".", color=styles[name].colour, alpha=0.35, markersize=4)
        intervals(axes, found, names, styles)
        rows_of_names(axes, names, styles)
        log_axis(axes.xaxis, low, high)
        axes.set_xlabel(f"{regime.metric.partition(' (')[0]}, over that of {printable(best, 28)}", parse_math=False)

    svg = draw(f"{regime.anchor}-paired", paint, ROOM_IN + ROW_IN * len(names))
    caption = (
        f"Policy by policy against the best that sees no more than a real controller ({printable(best, 60)}), on the "
        f"same worlds. A dot is one world (n = {dots.shape[1]}); the marker is the ratio of the means, the bar its "
        "95 % paired bootstrap interval. Right of the line is worse."
    )
    alt = "; ".join(
        f"{printable(name, 60)} {number(found.value[k])} [{number(found.low[k])}, {number(found.high[k])}]"
        for k, name in enumerate(names)
    )
    return Figure(f"{regime.anchor}-paired", svg, caption, f"Ratio of means: {alt}.")


def quantiles(regime: Regime, styles: dict[str, Style]) -> Figure | None:
    """Mean and quantiles of the latency, averaged over the worlds."""
    metrics = ("latency_p50_s", "latency_mean_s", "latency_p95_s", "latency_p99_s")
    table = {
        row["policy"]: [row["metrics"][name]["mean"] for name in metrics] for row in regime.rows if not row["bound"]
    }
    names = [name for name, values in table.items() if all(value for value in values)]
    if not names:
        return None
    values = np.array([table[name] for name in names])

    def paint(axes: Axes) -> None:
        axes.set_xscale("log")
        for row, name in enumerate(names):
            style = styles[name]
            axes.plot(values[row, [0, 3]], [row, row], color=style.colour, linewidth=1.2, alpha=0.6)
            axes.plot(values[row, 1:2], [row], color=style.colour, marker=style.marker, markersize=5.5)
            axes.plot(values[row, [0, 2, 3]], [row] * 3, "|", color=style.colour, markersize=9, markeredgewidth=1.8)
        rows_of_names(axes, names, styles)
        log_axis(axes.xaxis, float(values.min()), float(values.max()))
        axes.set_xlabel("latency of a request (s)")

    svg = draw(f"{regime.anchor}-quantiles", paint, ROOM_IN + ROW_IN * len(names))
    caption = (
        "Latency from arrival to the last byte, seconds: the marker is the mean, the strokes are the median, P95 and "
        f"P99 of an episode; each averaged over {len(regime.seeds)} worlds."
    )
    alt = "; ".join(
        f"{printable(n, 60)} P50 {number(v[0])} s, P99 {number(v[3])} s" for n, v in table.items() if n in names
    )
    return Figure(f"{regime.anchor}-quantiles", svg, caption, f"Latency: {alt}.")


def overall_ratio(overall: Overall, styles: dict[str, Style]) -> Figure:
    """Interquartile mean of the ratio to the reference over all regimes."""
    names = overall.policies

    def paint(axes: Axes) -> None:
        axes.set_xscale("log")
        axes.axvline(1.0, color=INK, linewidth=1.0)
        intervals(axes, overall.iqm, names, styles)
        rows_of_names(axes, names, styles)
        low, high = np.nanmin(overall.iqm.value), np.nanmax([overall.iqm.value, overall.iqm.high])
        log_axis(axes.xaxis, float(min(low, 1.0)), float(high))
        axes.set_xlabel(f"cost over the mean of {overall.reference_words}")

    svg = draw("overall-ratio", paint, ROOM_IN + ROW_IN * len(names))
    caption = (
        f"Interquartile mean, over {overall.ratios.shape[1]} regimes x {overall.ratios.shape[2]} worlds, of a policy's "
        f"cost over the mean of {overall.reference_words} in that regime; bars are "
        "95 % stratified bootstrap intervals. Left is better."
    )
    alt = "; ".join(f"{printable(name, 60)} {number(overall.iqm.value[k])}" for k, name in enumerate(names))
    return Figure("overall-ratio", svg, caption, f"Interquartile mean ratio: {alt}.")


def overall_profile(overall: Overall, styles: dict[str, Style]) -> Figure:
    """In how large a share of all worlds a policy costs at most so many times the reference."""
    names = overall.policies[:MAX_LINES]
    ratios = overall.ratios[: len(names)].reshape(len(names), -1)
    low, high = float(ratios.min()), float(np.quantile(ratios, 0.98, axis=1).max())
    high = max(high, low * 1.05)
    at = np.geomspace(low * 0.999, high, 160)
    shares = performance_profile(ratios, at)

    def paint(axes: Axes) -> None:
        axes.set_xscale("log")
        for k, name in enumerate(names):
            axes.plot(at, 100 * shares[k], drawstyle="steps-post", **styles[name].line)
        axes.set(xlim=(at[0], at[-1]), ylim=(0, 102), ylabel="share of worlds (%)")
        log_axis(axes.xaxis, low, high)
        axes.set_xlabel(f"at most so many times the mean of {overall.reference_words}")

    caption = (
        f"Performance profile: the share of all {ratios.shape[1]} worlds in which a policy costs at most so many times "
        f"what {overall.reference_words} does on average there. Higher and further left is better; "
        "a curve that is late to reach 100 % belongs to a policy that sometimes fails badly."
    )
    one_and_half = performance_profile(ratios, np.array([1.5]))[:, 0]
    alt = "; ".join(f"{printable(name, 60)} {100 * one_and_half[k]:.0f} %" for k, name in enumerate(names))
    svg = draw("overall-profile", paint)
    return Figure("overall-profile", svg, caption, f"Share of worlds within 1.5 times: {alt}.", tuple(names))


def time_and_quality(overall: Overall, styles: dict[str, Style]) -> Figure | None:
    """What a decision takes against what it is worth."""
    names = [name for name in overall.policies if name in overall.decision_us]
    if len(names) < 2:
        return None
    time_us = np.array([overall.decision_us[name] for name in names])
    quality = np.array([overall.iqm.value[overall.policies.index(name)] for name in names])
    order = np.lexsort((quality, time_us))
    front = [k for i, k in enumerate(order) if quality[k] < min((quality[j] for j in order[:i]), default=np.inf)]

    def paint(axes: Axes) -> None:
        axes.set(xscale="log", yscale="log", xlabel="time of a decision (µs)")
        axes.step(time_us[front], quality[front], where="post", color=MUTED, linewidth=1.2, linestyle=(0, (4, 2)))
        for k, name in enumerate(names):
            style = styles[name]
            axes.plot(time_us[k : k + 1], quality[k : k + 1], color=style.colour, marker=style.marker, markersize=7)
        log_axis(axes.yaxis, float(quality.min()), float(quality.max()))
        log_axis(axes.xaxis, float(time_us.min()), float(time_us.max()))
        axes.margins(0.08)
        axes.set_ylabel(f"cost over the mean of {overall.reference_words}")

    caption = (
        "Time a policy takes for a decision (microseconds, its own code alone, averaged over a batch of worlds on the "
        "machine of the run) against the interquartile mean ratio above. Lower left is better; the dashed line joins "
        "those that no other policy beats in both."
    )
    alt = ", ".join(f"{printable(names[k], 60)} ({number(time_us[k])} µs, {number(quality[k])})" for k in front)
    return Figure(
        "time-and-quality", draw("time-and-quality", paint), caption, f"Not beaten in both: {alt}.", tuple(names)
    )
