"""What happened when: from episodes that were played again to curves over time. Pure functions of arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge_gym.report.played import NODE, Episode


def rolling_mean(episode: Episode, times_s: np.ndarray, span_s: float) -> np.ndarray:
    """(T,) mean latency in seconds of the requests that arrived in the `span_s` before each time; NaN without any."""
    total = np.concatenate([[0.0], np.cumsum(episode.latency_s)])
    first, last = (np.searchsorted(episode.arrive_s, times, side="right") for times in (times_s - span_s, times_s))
    with np.errstate(invalid="ignore"):
        return (total[last] - total[first]) / np.where(last > first, last - first, np.nan)


def cumulated(episode: Episode, times_s: np.ndarray, agents: bool) -> np.ndarray:
    """(T,) what an episode has cost by each time.

    Args:
        episode: One episode.
        times_s: (T,) simulated seconds.
        agents: True: weighted cost, that of a step spread evenly over it; False: latency, in request-seconds, of the
            requests that had arrived by then.
    """
    if agents:
        return np.interp(times_s, [0.0, *episode.step_s], [0.0, *np.cumsum(episode.cost)])
    total = np.concatenate([[0.0], np.cumsum(episode.latency_s)])
    return total[np.searchsorted(episode.arrive_s, times_s, side="right")]


def regret(mine: Sequence[Episode], theirs: Sequence[Episode], times_s: np.ndarray, agents: bool = False) -> np.ndarray:
    """(S, T) what was lost to a reference by each time, on the same worlds; arguments as for `cumulated`."""
    return np.array(
        [cumulated(a, times_s, agents) - cumulated(b, times_s, agents) for a, b in zip(mine, theirs, strict=True)]
    )


def horizon_s(episodes: Sequence[Episode], agents: bool) -> float:
    """When the longest of the episodes has nothing more to come, simulated seconds."""
    ends = [(e.step_s if agents else e.arrive_s) for e in episodes]
    return float(max((end[-1] for end in ends if len(end)), default=0.0))


def onsets(episode: Episode, before_s: float, after_s: float) -> list[tuple[float, int]]:
    """Time and node of the changes that have that much of the episode around them."""
    last = float(episode.arrive_s[-1]) if len(episode.arrive_s) else 0.0
    return [
        (mark.time_s, mark.node)
        for mark in episode.marks
        if mark.kind == NODE and before_s <= mark.time_s <= last - after_s
    ]


def around_changes(episodes: Sequence[Episode], edges_s: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Averages around all changes of the episodes.

    Args:
        episodes: Of one policy.
        edges_s: (T + 1,) bounds of intervals of time since a change, ascending, the first negative.

    Returns:
        (T,) mean latency in seconds of the requests that arrived in each interval, NaN without any; (T,) share of
        them that went to the node that changed; number of changes.
    """
    spans = len(edges_s) - 1
    latency, served, there = np.zeros(spans), np.zeros(spans), np.zeros(spans)
    changes = 0
    for episode in episodes:
        for time_s, node in onsets(episode, -float(edges_s[0]), float(edges_s[-1])):
            changes += 1
            span = np.searchsorted(edges_s, episode.arrive_s - time_s, side="right") - 1
            inside = (span >= 0) & (span < spans)
            latency += np.bincount(span[inside], episode.latency_s[inside], spans)
            served += np.bincount(span[inside], minlength=spans)
            there += np.bincount(span[inside & (episode.node == node)], minlength=spans)
    with np.errstate(invalid="ignore", divide="ignore"):
        return latency / served, there / served, changes
