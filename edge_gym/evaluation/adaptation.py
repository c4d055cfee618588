"""How fast a controller copes with a change: from the logs of many episodes in which the same thing happens.

All figures are against a reference (the oracle) on the same worlds, so what the change costs everybody cancels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge_gym.kernel.tables import SECOND

WINDOW = 20  # requests of an episode in the rolling mean
WITHIN = 1.1  # of the reference counts as adapted


@dataclass(frozen=True, slots=True, kw_only=True)
class Adaptation:
    """How one controller coped.

    Attributes:
        adapted_s: Seconds after the change from which on the rolling mean latency stays within 10 % of the reference,
            until the end of the span; inf: never.
        detected_s: Seconds after the change until the share of requests sent to the changed node stays below half of
            what it was; inf: never (None if it got nothing before).
        false_alarms: Share of the other nodes whose requests fell below half though nothing happened to them.
        area_s: Request-seconds lost to the reference per episode, from the change to the end of the span.
        peak: Largest ratio of the rolling means.
    """

    adapted_s: float
    detected_s: float | None
    false_alarms: float
    area_s: float
    peak: float


def measure(
    logs: Sequence[np.ndarray],
    reference: Sequence[np.ndarray],
    node: int,
    at_s: float,
    until_s: float,
    n_nodes: int,
    before_s: float = 20.0,
    bin_s: float = 1.0,
) -> Adaptation:
    """Compare a controller with a reference around a change of `node` at `at_s`.

    Args:
        logs: One log (`kernel.tables.LOG`) for each episode.
        reference: Those of the reference on the same worlds.
        node: Which node changed.
        at_s: When, simulated seconds.
        until_s: End of the span that is looked at.
        n_nodes: Nodes of the world.
        before_s: Length of the span before the change that shares are compared with.
        bin_s: Resolution of the times.
    """
    edges = np.arange(at_s, until_s + bin_s / 2, bin_s)
    mine, theirs = rolling(logs, edges), rolling(reference, edges)
    ratio = mine / theirs
    share = shares(logs, edges, n_nodes)
    usual = shares(logs, np.array([at_s - before_s, at_s]), n_nodes)[0]
    low = share < 0.5 * usual
    others = np.flatnonzero((np.arange(n_nodes) != node) & (usual > 0.5 / n_nodes))
    lost = latency_sum(logs, at_s, until_s) - latency_sum(reference, at_s, until_s)
    return Adaptation(
        adapted_s=stays(ratio <= WITHIN, bin_s),
        detected_s=stays(low[:, node], bin_s) if usual[node] > 0 else None,
        false_alarms=float(np.mean([low[:, n].mean() > 0.5 for n in others])) if len(others) else 0.0,
        area_s=lost / len(logs),
        peak=float(np.nanmax(ratio)),
    )


def rolling(logs: Sequence[np.ndarray], edges: np.ndarray) -> np.ndarray:
    """(T,) mean latency of the last `WINDOW` requests that had arrived by each time, over the episodes, seconds."""
    sums = np.zeros(len(edges) - 1)
    for log in logs:
        log = np.sort(log, order="arrive_ns")
        total = np.concatenate([[0.0], np.cumsum(log["latency_ns"] / SECOND)])
        last = np.searchsorted(log["arrive_ns"] / SECOND, edges[1:], side="right")
        first = np.maximum(last - WINDOW, 0)
        sums += (total[last] - total[first]) / np.maximum(last - first, 1)
    return sums / len(logs)


def shares(logs: Sequence[np.ndarray], edges: np.ndarray, n_nodes: int) -> np.ndarray:
    """(T, N) share of the requests that arrived in each interval and went to each node."""
    count = np.zeros((len(edges) - 1, n_nodes))
    for log in logs:
        sent = log[log["node"] >= 0]
        row = np.searchsorted(edges, sent["arrive_ns"] / SECOND, side="right") - 1
        inside = (row >= 0) & (row < len(edges) - 1)
        np.add.at(count, (row[inside], sent["node"][inside]), 1.0)
    return count / np.maximum(count.sum(axis=1, keepdims=True), 1.0)


def latency_sum(logs: Sequence[np.ndarray], from_s: float, until_s: float) -> float:
    """Request-seconds of the requests that arrived in a span."""
    total = 0.0
    for log in logs:
        arrived = log["arrive_ns"] / SECOND
        total += float(log["latency_ns"][(arrived >= from_s) & (arrived < until_s)].sum()) / SECOND
    return total


def stays(good: np.ndarray, bin_s: float) -> float:
    """Seconds until `good` is true and stays so; inf: never."""
    bad = np.flatnonzero(~good)
    if len(bad) == 0:
        return 0.0
    return float((bad[-1] + 1) * bin_s) if bad[-1] + 1 < len(good) else float("inf")
