"""One task over all its regimes: what `edge_gym.evaluation.aggregate` says, and the values behind it for figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_gym.evaluation.aggregate import REFERENCE, aggregate
from edge_gym.evaluation.stats import Interval, probability_of_improvement
from edge_gym.report.regimes import Regime


@dataclass(frozen=True)
class Overall:
    """The policies that played all regimes of a task.

    Attributes:
        task: Its name.
        regimes: K of them.
        figures: One dict for each policy, best first, as in `aggregates` of the summary.
        policies: P names, in the same order.
        ratios: (P, K, S) cost over the mean cost of the regime's reference.
        iqm: Three arrays (P,), the interquartile mean of these with its stratified bootstrap interval.
        better: (P, P) probability that an episode of the row's policy costs less than one of the column's, mean over
            the regimes.
        decision_us: Policy -> median over the regimes of the microseconds that a decision takes.
        oracle: Whether the reference is the oracle; else it is the best policy of each regime.
    """

    task: str
    regimes: tuple[Regime, ...]
    figures: list[dict[str, Any]]
    policies: list[str]
    ratios: np.ndarray
    iqm: Interval
    better: np.ndarray
    decision_us: dict[str, float]
    oracle: bool

    @property
    def reference_words(self) -> str:
        """What ratios refer to, in words."""
        return "the oracle" if self.oracle else "the best policy of the regime"


def overalls_of(regimes: list[Regime]) -> list[Overall]:
    """One for each task with two policies or more that played all its regimes, with positive costs."""
    found = aggregate([[row for rows in regime.episodes.values() for row in rows] for regime in regimes])
    return [_overall(one, [r for r in regimes if r.task == one["task"]]) for one in found if len(one["policies"]) > 1]


def _overall(found: dict[str, Any], regimes: list[Regime]) -> Overall:
    names = [one["policy"] for one in found["policies"]]
    costs = np.array([[regime.costs[name] for regime in regimes] for name in names])
    oracle = found["reference"] == REFERENCE
    means = costs.mean(axis=2)
    reference = means[names.index(REFERENCE)] if oracle else means.min(axis=0)
    ratios = costs / reference[:, None]
    us = {name: [r.decision_us[name] for r in regimes if name in r.decision_us] for name in names}
    return Overall(
        task=found["task"],
        regimes=tuple(regimes),
        figures=found["policies"],
        policies=names,
        ratios=ratios,
        iqm=Interval(
            *(np.array([one[key] for one in found["policies"]], float) for key in ("iqm", "iqm_lo", "iqm_hi"))
        ),
        better=_better(ratios),
        decision_us={name: float(np.median(values)) for name, values in us.items() if values and min(values) > 0},
        oracle=oracle,
    )


def _better(ratios: np.ndarray) -> np.ndarray:
    strata = range(ratios.shape[1])
    return np.array(
        [[np.mean([probability_of_improvement(x[k], y[k]) for k in strata]) for y in ratios] for x in ratios]
    )
