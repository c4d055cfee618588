"""Statistics against scipy, published examples and cases with a known answer."""

import numpy as np
import pytest
import scipy.stats

from edge_gym.evaluation import stats

RNG = np.random.default_rng(7)
COSTS = RNG.lognormal(0.0, 0.6, size=(3, 40))


def test_mean_interval_is_the_percentile_bootstrap():
    found = stats.mean_interval(COSTS, resamples=20_000)
    for k, row in enumerate(COSTS):
        theirs = scipy.stats.bootstrap((row,), np.mean, n_resamples=20_000, method="percentile", rng=1)
        low, high = theirs.confidence_interval
        width = high - low
        assert found.value[k] == pytest.approx(row.mean(), rel=1e-12)
        assert found.low[k] == pytest.approx(low, abs=0.03 * width)
        assert found.high[k] == pytest.approx(high, abs=0.03 * width)


def test_mean_interval_covers_at_its_level():
    """Of 400 samples of 40 normal values, about 95 % of the intervals hold the true mean."""
    sample = np.random.default_rng(3).normal(2.0, 1.0, size=(400, 40))
    found = stats.mean_interval(sample, resamples=2000)
    share = ((found.low <= 2.0) & (found.high >= 2.0)).mean()
    assert 0.90 < share < 0.98  # percentile intervals of 40 values cover a little less than they say


def test_intervals_are_reproducible_and_do_not_depend_on_company():
    together = stats.mean_interval(COSTS)
    alone = stats.mean_interval(COSTS[1:2])
    assert together.low[1] == pytest.approx(alone.low[0], rel=1e-12)
    assert stats.mean_interval(COSTS, seed=1).low[1] != together.low[1]


def test_one_seed_gives_no_interval():
    found = stats.mean_interval(np.array([[3.0]]))
    assert found.value[0] == 3.0 and np.isnan(found.low[0]) and np.isnan(found.high[0])


def test_two_seeds_by_hand():
    """Resamples of {1, 3} have mean 1, 2 or 3 with odds 1:2:1."""
    found = stats.mean_interval(np.array([[1.0, 3.0]]), level=0.4)
    assert (found.low[0], found.high[0]) == (2.0, 2.0)
    found = stats.mean_interval(np.array([[1.0, 3.0]]), level=0.6)
    assert (found.low[0], found.high[0]) == (1.0, 3.0)


def test_ratio_uses_the_same_resample_for_both():
    found = stats.ratio_interval(np.vstack([2 * COSTS[0], COSTS[1]]), COSTS[0])
    assert (found.value[0], found.low[0], found.high[0]) == pytest.approx((2.0, 2.0, 2.0), rel=1e-12)
    assert found.value[1] == pytest.approx(COSTS[1].mean() / COSTS[0].mean())
    pairs = scipy.stats.bootstrap(
        (COSTS[1], COSTS[0]), lambda x, y: x.mean() / y.mean(), paired=True, vectorized=False, method="percentile",
        n_resamples=5000, rng=2,
    )  # fmt: skip
    low, high = pairs.confidence_interval
    assert (found.low[1], found.high[1]) == pytest.approx((low, high), abs=0.05 * (high - low))


def test_a_policy_against_its_copy():
    """BEN-08: two equal controllers on common worlds differ significantly in about 5 % of comparisons, not more."""
    rng = np.random.default_rng(11)
    worlds = rng.normal(10.0, 3.0, size=(200, 1, 30))
    twins = worlds + rng.normal(0.0, 0.5, size=(200, 2, 30))
    found = [stats.difference_interval(pair[:1], pair[1], resamples=2000) for pair in twins]
    same = np.mean([interval.low[0] <= 0.0 <= interval.high[0] for interval in found])
    assert same >= 0.90


def test_pairing_narrows_the_difference():
    rng = np.random.default_rng(5)
    world = rng.normal(10.0, 3.0, size=30)
    x, y = world + rng.normal(0.5, 0.1, 30), world
    paired = stats.difference_interval(x[None, :], y)
    assert paired.low[0] > 0.4 and paired.high[0] < 0.6
    assert stats.mean_interval(x[None, :]).low[0] < y.mean()  # unpaired, nothing could be said


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7, 8, 100])
def test_iqm_is_the_trimmed_mean(size):
    values = RNG.normal(size=size)
    assert stats.iqm(values) == pytest.approx(scipy.stats.trim_mean(values, 0.25), rel=1e-12)
    assert stats.iqm(values.reshape(1, -1)) == stats.iqm(values)


def test_stratified_bootstrap_resamples_within_strata():
    constant = np.repeat([[1.0], [5.0], [9.0]], 10, axis=1)
    found = stats.stratified_bootstrap(constant, np.mean, resamples=2000)
    assert tuple(found) == (5.0, 5.0, 5.0)  # mixing strata would spread it
    found = stats.stratified_bootstrap(COSTS, np.mean, resamples=4000)
    spread = np.sqrt((COSTS.var(axis=1) / 40).sum()) / 3  # of a mean of three independent means
    assert (found.high - found.low) == pytest.approx(2 * 1.96 * spread, rel=0.08)


def test_probability_of_improvement_is_mann_whitney():
    x, y = RNG.integers(0, 6, 30), RNG.integers(1, 8, 50)  # with ties
    u = scipy.stats.mannwhitneyu(y, x).statistic  # of y being larger
    assert stats.probability_of_improvement(x, y) == pytest.approx(u / (30 * 50))
    assert stats.probability_of_improvement(x, y, lower_is_better=False) == pytest.approx(1 - u / (30 * 50))
    assert stats.probability_of_improvement(x, x) == 0.5


def test_performance_profile_is_the_distribution():
    thresholds = np.array([0.0, 0.5, 1.0, COSTS[0, 0], 50.0])
    profile = stats.performance_profile(COSTS, thresholds)
    for k, row in enumerate(COSTS):
        assert profile[k] == pytest.approx(scipy.stats.ecdf(row).cdf.evaluate(thresholds))


def test_holm_by_hand():
    """The figures of R's p.adjust(c(0.01, 0.04, 0.03, 0.005), "holm")."""
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert stats.holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert stats.holm([0.04]) == pytest.approx([0.04])


def test_shapes_are_checked():
    with pytest.raises(ValueError, match="two-dimensional"):
        stats.mean_interval(np.zeros(3))
