"""What is worth knowing about a trace at a glance: rate, burstiness, lengths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

QUANTILES = {"p10": 0.1, "p50": 0.5, "p90": 0.9, "p99": 0.99}
NS = 1e9


def quantiles(values: np.ndarray) -> dict[str, float]:
    """Returns mean, quantiles (of the next value above) and maximum; nothing for no values."""
    if not len(values):
        return {}
    found = np.quantile(values, list(QUANTILES.values()), method="inverted_cdf")
    low = dict(zip(QUANTILES, map(float, found), strict=True))
    return {"mean": float(values.mean()), **low, "max": float(values.max())}


def arrivals(time_ns: np.ndarray) -> dict[str, Any]:
    """Describes arrivals.

    Args:
        time_ns: Nanoseconds, int64, ascending from 0.

    Returns:
        `rows`, `span_s`, `rate_per_s` (gaps over span), `gap_cv` (standard deviation of the gaps over their mean; 1 for
        a Poisson process) and `dispersion_1s` (variance over mean of the counts in whole windows of 1 s; 1 for
        Poisson). A figure is None where there are too few rows or windows for it.
    """
    gaps_s = np.diff(time_ns) / NS
    span_s = float(time_ns[-1] / NS)
    mean_s = float(gaps_s.mean()) if len(gaps_s) else 0.0
    return {
        "rows": len(time_ns),
        "span_s": span_s,
        "rate_per_s": len(gaps_s) / span_s if span_s else None,
        "gap_cv": float(gaps_s.std()) / mean_s if mean_s else None,
        "dispersion_1s": _dispersion(time_ns),
    }


def _dispersion(time_ns: np.ndarray) -> float | None:
    """The windows without arrivals are counted, not stored: a trace may span years."""
    n_windows = int(time_ns[-1] // int(NS))
    inside = time_ns[time_ns < n_windows * int(NS)]
    if n_windows < 2:
        return None
    counts = np.unique(inside // int(NS), return_counts=True)[1].astype(float)
    mean = counts.sum() / n_windows
    return float((counts**2).sum() / n_windows - mean**2) / mean


def rounded(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the same with floats of six digits, also within."""
    return {key: _rounded(value) for key, value in values.items()}


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return rounded(value)
    return float(f"{value:.6g}") if isinstance(value, float) else value
