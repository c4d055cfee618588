"""What a run shows, and what it is too small to show: verdicts in words, one for each regime."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge_gym.evaluation.stats import RESAMPLES, holm, resample_weights
from edge_gym.report.regimes import Regime

LEVEL = 0.05
FEW = 100  # episodes below which no verdict is a verdict: reliability demands at least these many shared worlds


class Verdict(NamedTuple):
    """Who is best in a regime.

    Attributes:
        regime: Where.
        best: The best policy that sees no more than a real controller.
        level_with: Those that are not significantly worse, after Holm's correction over all others.
        ratio: Cost of the best over that of the reference.
        detectable: The smallest relative difference from the runner-up that these worlds show with 80 % power; NaN
            without a runner-up or from a single world.
    """

    regime: Regime
    best: str
    level_with: list[str]
    ratio: float
    detectable: float


def verdict(regime: Regime) -> Verdict:
    """The verdict of one regime."""
    best, *others = regime.contenders
    own = regime.cost(best)
    level = [name for name, p in zip(others, p_values(regime, best, others), strict=True) if p > LEVEL]
    reference = regime.cost(str(regime.reference)).mean()
    ratio = float(own.mean() / reference) if reference > 0 else float("nan")
    return Verdict(regime, best, level, ratio, _detectable(own, regime.cost(others[0])) if others else float("nan"))


def p_values(regime: Regime, best: str, others: list[str]) -> np.ndarray:
    """(K,) two-sided paired bootstrap p-values of "costs the same as the best", after Holm; 1 from a single world."""
    if not others or len(regime.seeds) < 2:
        return np.ones(len(others))
    differences = np.array([regime.cost(name) - regime.cost(best) for name in others])
    drawn = differences @ resample_weights(len(regime.seeds)).T
    tail = np.minimum((drawn <= 0).sum(axis=1), (drawn >= 0).sum(axis=1))
    return holm(np.minimum(2.0 * (1.0 + tail) / (1.0 + RESAMPLES), 1.0))


def _detectable(own: np.ndarray, other: np.ndarray) -> float:
    """(1.96 + 0.84) standard errors of the paired difference, over the mean."""
    if len(own) < 2 or own.mean() <= 0:
        return float("nan")
    return float(2.8 * (other - own).std(ddof=1) / np.sqrt(len(own)) / own.mean())
