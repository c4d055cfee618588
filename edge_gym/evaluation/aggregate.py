"""A task over all its scenarios, in the figures that Agarwal et al. (NeurIPS 2021) ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edge_gym.evaluation.compare import costs_of
from edge_gym.evaluation.stats import (
    iqm,
    optimality_gap,
    performance_profile,
    probability_of_improvement,
    stratified_bootstrap,
)

REFERENCE = "oracle"  # costs are divided by its mean in each scenario; where it did not play, by that of the best
RESAMPLES = 2_000
THRESHOLDS = (1.0, 1.05, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0)  # of the profile, times the reference
MOST = 50_000  # values of one policy beyond which nobody needs an interval, and resampling them takes minutes


def aggregate(cells: Sequence[Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
    """Figures of each policy over all scenarios of a task; policies that did not play all of them are left out.

    The cost of an episode (`compare.cost_of`) is divided by the mean cost of the reference in that scenario, so that
    scenarios weigh the same; its score is the reciprocal.

    Args:
        cells: Rows of each scenario.

    Returns:
        One for each task: `task`, `scenarios`, `episodes` of each, `reference` (a policy, or "best of each scenario"),
        `thresholds`, and `policies`: `policy`, `privileged`, `mean`, `iqm` with the ends of its 95 % stratified
        bootstrap interval `iqm_lo` and `iqm_hi`, `p5` and `p95` over the episodes; `optimality_gap` of the scores to
        1; `improvement`, the probability that one of its episodes costs less than one of the best policy's, mean over
        the scenarios; `profile`, the shares of episodes that cost at most each threshold.
    """
    tasks: dict[str, list[Sequence[Mapping[str, Any]]]] = {}
    for rows in cells:
        tasks.setdefault(rows[0]["task"], []).append(rows)
    return [found for task, own in tasks.items() if (found := _task(task, own)) is not None]


def _task(task: str, cells: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Any] | None:
    costs = [costs_of(rows) for rows in cells]
    names = [name for name in costs[0] if all(name in one for one in costs)]
    sizes = {len(values) for one in costs for values in one.values()}
    if not names or len(sizes) != 1 or sizes == {0}:
        return None
    table = {name: np.array([one[name] for one in costs]) for name in names}  # (K, S) each
    privileged = {row["policy"] for rows in cells for row in rows if row["privileged"]}
    fair = [name for name in names if name not in privileged] or names
    means = np.array([table[name].mean(1) for name in names])
    reference = table[REFERENCE].mean(1) if REFERENCE in names else means.min(0)
    if not (reference > 0).all():
        return None
    relative = {name: table[name] / reference[:, None] for name in names}
    best = min(fair, key=lambda name: iqm(relative[name]))
    return {
        "task": task,
        "scenarios": [rows[0]["scenario"] for rows in cells],
        "episodes": sizes.pop(),
        "reference": REFERENCE if REFERENCE in names else "best of each scenario",
        "best": best,
        "thresholds": list(THRESHOLDS),
        "policies": [
            {"policy": name, "privileged": name in privileged, **_figures(relative[name], relative[best])}
            for name in sorted(names, key=lambda name: iqm(relative[name]))
        ],
    }


def _figures(x: np.ndarray, best: np.ndarray) -> dict[str, Any]:
    few = x.size <= MOST
    interval = stratified_bootstrap(x, resamples=RESAMPLES) if few else None
    low, high = (None, None) if interval is None else (_number(interval.low), _number(interval.high))
    better = [probability_of_improvement(mine, theirs) for mine, theirs in zip(x, best, strict=True)] if few else []
    return {
        "mean": float(x.mean()),
        "iqm": iqm(x),
        "iqm_lo": low,
        "iqm_hi": high,
        "p5": float(np.quantile(x, 0.05)),
        "p95": float(np.quantile(x, 0.95)),
        "optimality_gap": optimality_gap(1.0 / x) if (x > 0).all() else None,
        "improvement": float(np.mean(better)) if better else None,
        "profile": performance_profile(x.reshape(1, -1), np.array(THRESHOLDS))[0].tolist(),
    }


def _number(value: Any) -> float | None:
    return float(value) if np.isfinite(value) else None
