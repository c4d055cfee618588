"""Statistics over seeds: pure functions of arrays.

All policies of a comparison ran on the same worlds (common random numbers), so a column of an array (P policies, S
seeds) is one world, and every bootstrap here resamples columns: the same resample for each policy. Intervals are
percentile intervals. A fixed generator seed makes every figure reproducible.

References: Efron & Tibshirani, An Introduction to the Bootstrap (1993), chapters 13 and 16; Agarwal et al., Deep
Reinforcement Learning at the Edge of the Statistical Precipice (NeurIPS 2021), for interquartile mean, stratified
bootstrap, probability of improvement, performance profiles and optimality gap; Holm, Scand. J. Statist. 6 (1979)
65-70; Student, Biometrika 6 (1908) 1-25, for the paired test; Chow, Shao & Wang, Sample Size Calculations in Clinical
Research (2003), chapter 3, for its power.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

RESAMPLES = 5_000
SEED = 20_260_527  # of the resampling; any constant would do
MOST_KEPT = 1_000  # seeds whose resamples are kept: 40 MB for 5,000 of them


class Interval(NamedTuple):
    """An estimate with its interval; NaN where one value alone gives none. Each field is a float or an array (P,)."""

    value: np.ndarray
    low: np.ndarray
    high: np.ndarray


def resample_weights(n_seeds: int, resamples: int = RESAMPLES, seed: int = SEED) -> np.ndarray:
    """Shares (R, S) of each of S seeds in R bootstrap resamples.

    How often each seed is drawn is multinomial, and means need nothing else, so no index array is built. The array is
    read only: a table asks for the same one again and again.
    """
    drawn = _drawn if n_seeds <= MOST_KEPT else _drawn.__wrapped__
    return drawn(n_seeds, resamples, seed)


@lru_cache(maxsize=2)
def _drawn(n_seeds: int, resamples: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    found = rng.multinomial(n_seeds, np.full(n_seeds, 1.0 / n_seeds), size=resamples) / n_seeds
    found.flags.writeable = False
    return found


def mean_interval(x: np.ndarray, level: float = 0.95, resamples: int = RESAMPLES, seed: int = SEED) -> Interval:
    """Mean of each policy with its paired bootstrap interval.

    Args:
        x: (P, S) one row a policy, one column a seed.
        level: Coverage, between 0 and 1.
        resamples: R.
        seed: Of the resampling.

    Returns:
        Three arrays (P,).
    """
    x = _table(x)
    return _percentile(x.mean(1), x @ resample_weights(x.shape[1], resamples, seed).T, level, x.shape[1])


def difference_interval(
    x: np.ndarray, reference: np.ndarray, level: float = 0.95, resamples: int = RESAMPLES, seed: int = SEED
) -> Interval:
    """Mean of `x - reference`, both on the same seeds; arguments as in `ratio_interval`."""
    return mean_interval(_table(x) - np.asarray(reference, float), level, resamples, seed)


def ratio_interval(
    x: np.ndarray, reference: np.ndarray, level: float = 0.95, resamples: int = RESAMPLES, seed: int = SEED
) -> Interval:
    """Ratio of means, mean(x) / mean(reference), with its paired bootstrap interval.

    Args:
        x: (P, S).
        reference: (S,) the same seeds, positive means.
        level: Coverage, between 0 and 1.
        resamples: R.
        seed: Of the resampling.

    Returns:
        Three arrays (P,).
    """
    x, reference = _table(x), np.asarray(reference, float)
    shares = resample_weights(x.shape[1], resamples, seed).T
    return _percentile(x.mean(1) / reference.mean(), (x @ shares) / (reference @ shares), level, x.shape[1])


def iqm(x: np.ndarray) -> float:
    """Interquartile mean of all values: the mean without the lowest and the highest quarter (rounded down)."""
    values = np.sort(np.asarray(x, float), axis=None)
    cut = len(values) // 4
    return float(values[cut : len(values) - cut].mean())


def stratified_bootstrap(
    x: np.ndarray,
    statistic: Callable[[np.ndarray], float] = iqm,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Interval:
    """A statistic over several strata (scenarios, tasks) with its interval; seeds are resampled within each stratum.

    Args:
        x: (K, S) one row a stratum, one column a seed.
        statistic: From an array (K, S) to a float.
        level: Coverage, between 0 and 1.
        resamples: R.
        seed: Of the resampling.
    """
    x = _table(x)
    strata, n_seeds = x.shape
    rng = np.random.default_rng(seed)
    rows = np.arange(strata)[:, None]
    drawn = [statistic(x[rows, rng.integers(n_seeds, size=(strata, n_seeds))]) for _ in range(resamples)]
    return _percentile(np.asarray(statistic(x)), np.array(drawn), level, n_seeds)


def probability_of_improvement(x: np.ndarray, y: np.ndarray, lower_is_better: bool = True) -> float:
    """Probability that a random value of `x` is better than one of `y`, ties counting half (Mann-Whitney U / (n m)).

    Args:
        x: (n,) values of one policy.
        y: (m,) values of the other.
        lower_is_better: As for latency; False for shares that should be high.
    """
    difference = np.asarray(x, float)[:, None] - np.asarray(y, float)[None, :]
    better = difference < 0 if lower_is_better else difference > 0
    return float((better + 0.5 * (difference == 0)).mean())


def performance_profile(x: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Share of seeds in which a policy's cost is at most each threshold.

    Args:
        x: (P, S) costs (lower is better).
        thresholds: (K,).

    Returns:
        (P, K), each row rising with the threshold.
    """
    return (_table(x)[:, :, None] <= np.asarray(thresholds, float)).mean(1)


def optimality_gap(scores: np.ndarray, target: float = 1.0) -> float:
    """How far scores fall short of a target in the mean, those above it counting as reaching it.

    Args:
        scores: Any shape; higher is better.
        target: What is good enough, in the unit of the scores.
    """
    return float(np.maximum(target - np.asarray(scores, float), 0.0).mean())


def paired_p_value(x: np.ndarray, reference: np.ndarray) -> float:
    """Two-sided p-value of Student's paired test: how likely such a mean difference is between equals.

    Args:
        x: (S,) one value a seed, at least two.
        reference: (S,) the same seeds.

    Returns:
        0 ... 1; 1 where the two are the same in every seed.
    """
    difference = np.asarray(x, float) - np.asarray(reference, float)
    n, spread = len(difference), difference.std(ddof=1)
    if spread == 0.0:
        return 1.0 if difference[0] == 0.0 else 0.0
    t = abs(difference.mean()) / (spread / np.sqrt(n))
    return float(2.0 * _special().stdtr(n - 1, -t))


def detectable_difference(
    x: np.ndarray, reference: np.ndarray, power: float = 0.8, level: float = 0.05
) -> float | None:
    """The smallest relative difference of means that as many such paired seeds would show with a given power.

    It is (t(1 - level / 2) + t(power)) s / sqrt(S) over the reference's mean, with s the standard deviation of the
    paired differences and t the quantiles of Student's distribution with S - 1 degrees of freedom.

    Args:
        x: (S,) one value a seed.
        reference: (S,) the same seeds.
        power: Chance that the paired test finds it, between 0 and 1.
        level: Of the two-sided test, between 0 and 1.

    Returns:
        >= 0; None from fewer than two seeds, or where the reference's mean is zero.
    """
    reference = np.asarray(reference, float)
    n, mean = len(reference), abs(reference.mean())
    if n < 2 or mean == 0.0:
        return None
    spread = (np.asarray(x, float) - reference).std(ddof=1)
    quantiles = _special().stdtrit(n - 1, [1.0 - level / 2.0, power]).sum()
    return float(quantiles * spread / np.sqrt(n) / mean)


def crossed_ratio_interval(
    x: np.ndarray, reference: np.ndarray, level: float = 0.95, resamples: int = RESAMPLES, seed: int = SEED
) -> Interval:
    """Ratio of means of several trainings to a reference; trainings and seeds are resampled, each for itself.

    Args:
        x: (T, S) one row a training, one column a seed.
        reference: (S,) the same seeds, positive means.
        level: Coverage, between 0 and 1.
        resamples: R.
        seed: Of the resampling.

    Returns:
        Three arrays without dimensions; no interval from a single training.
    """
    x, reference = _table(x), np.asarray(reference, float)
    seeds = resample_weights(x.shape[1], resamples, seed)
    trainings = resample_weights(x.shape[0], resamples, seed + 1)
    drawn = np.einsum("rt,rt->r", trainings, seeds @ x.T) / (seeds @ reference)
    return _percentile(np.asarray(x.mean() / reference.mean()), drawn, level, min(x.shape))


def holm(p_values: np.ndarray) -> np.ndarray:
    """p-values adjusted for a family of comparisons by Holm's step-down method, (K,) -> (K,)."""
    p = np.asarray(p_values, float)
    order = np.argsort(p, kind="stable")
    factors = len(p) - np.arange(len(p))
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * factors), 1.0)
    return adjusted


def _special() -> Any:
    from scipy import special  # late: it is heavy, and most of this module does without

    return special


def _table(x: np.ndarray) -> np.ndarray:
    table = np.asarray(x, float)
    if table.ndim != 2 or table.size == 0:
        raise ValueError(f"x has shape {table.shape}: must be two-dimensional and not empty")
    return table


def _percentile(value: np.ndarray, drawn: np.ndarray, level: float, n_seeds: int) -> Interval:
    """The interval between the tails of the resampled estimates (..., R); none from a single seed."""
    if n_seeds < 2:
        nothing = np.full_like(value, np.nan)
        return Interval(value, nothing, nothing)
    tail = (1.0 - level) / 2.0
    low, high = np.quantile(drawn, (tail, 1.0 - tail), axis=-1)
    return Interval(value, low, high)
