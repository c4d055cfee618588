"""Over all regimes: ratios to a reference on the same worlds, and what Agarwal et al. (NeurIPS 2021) make of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_gym.evaluation.results import REFERENCE
from edge_gym.evaluation.stats import Interval, iqm, probability_of_improvement, stratified_bootstrap
from edge_gym.report.regimes import Regime

RESAMPLES = 2_000


@dataclass(frozen=True)
class Overall:
    """The policies that are in every one of some regimes.

    Attributes:
        regimes: K of them.
        policies: P names, best first; bounds are not among them.
        ratios: (P, K, S) cost over that of the regime's reference in the same world; S is the least of their numbers.
        iqm: Three arrays (P,), the interquartile mean over all of them with its stratified bootstrap interval.
        better: (P, P) probability that the policy of the row costs less than that of the column in a world drawn at
            random for each, averaged over the regimes.
        decision_us: Policy -> median over the regimes of the microseconds that a decision takes.
        oracle: Whether the reference is the oracle everywhere; else it is the best policy of each regime.
    """

    regimes: tuple[Regime, ...]
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


def overall_of(regimes: list[Regime]) -> Overall | None:
    """The figures over all regimes; None without two policies that are in all of them and have positive costs."""
    if not regimes or any(regime.reference is None for regime in regimes):
        return None
    names = [name for name in regimes[0].policies if _everywhere(name, regimes)]
    if len(names) < 2:
        return None
    least = min(len(regime.seeds) for regime in regimes)
    references = [regime.cost(str(regime.reference))[:least] for regime in regimes]
    table = np.array(
        [[r.cost(name)[:least] / ref for r, ref in zip(regimes, references, strict=True)] for name in names]
    )
    order = np.argsort([iqm(one) for one in table], kind="stable")
    names, table = [names[k] for k in order], table[order]
    found = [stratified_bootstrap(one, resamples=RESAMPLES) for one in table]
    columns = (np.array(column, float) for column in zip(*found, strict=True))
    us = {name: [r.decision_us[name] for r in regimes if name in r.decision_us] for name in names}
    return Overall(
        regimes=tuple(regimes),
        policies=names,
        ratios=table,
        iqm=Interval(*columns),
        better=_better(table),
        decision_us={name: float(np.median(values)) for name, values in us.items() if values and min(values) > 0},
        oracle=all(regime.reference == REFERENCE for regime in regimes),
    )


def _everywhere(name: str, regimes: list[Regime]) -> bool:
    return all(
        name in regime.policies
        and not regime.row[name]["bound"]
        and bool((regime.cost(name) > 0).all() and (regime.cost(str(regime.reference)) > 0).all())
        for regime in regimes
    )


def _better(table: np.ndarray) -> np.ndarray:
    strata = range(table.shape[1])
    return np.array(
        [[np.mean([probability_of_improvement(x[k], y[k]) for k in strata]) for y in table] for x in table]
    )
