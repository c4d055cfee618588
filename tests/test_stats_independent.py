"""Statistics against a second implementation, in plain Python from the published formulas, equal to 1e-9 (BEN-07).

Agarwal et al. (NeurIPS 2021) for interquartile mean, stratified bootstrap, probability of improvement, performance
profile and optimality gap; Student's paired test and its power by integrating scipy's distributions.
"""

import itertools
import math
import statistics
from fractions import Fraction

import numpy as np
import pytest
import scipy.stats
from script_loader import load_script

from edge_gym.evaluation import stats
from edge_gym.evaluation.aggregate import THRESHOLDS, aggregate
from edge_gym.evaluation.compare import LEVEL, MIN_EPISODES, POWER, compare, lines

TIGHT = 1e-9
RNG = np.random.default_rng(2026)
TABLE = RNG.lognormal(0.0, 0.7, size=(4, 23))
OTHER = TABLE * RNG.lognormal(0.1, 0.2, size=(4, 23))


def plain_iqm(values):
    """Mean of what is left without the lowest and the highest quarter, each rounded down to whole values."""
    ordered = sorted(float(value) for value in np.ravel(values))
    cut = len(ordered) // 4
    return statistics.fmean(ordered[cut : len(ordered) - cut])


def plain_quantile(values, q):
    """Linear between order statistics, at position q (n - 1)."""
    ordered = sorted(values)
    position = q * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (position - below) * (ordered[above] - ordered[below])


@pytest.mark.parametrize("size", [1, 3, 4, 5, 8, 11, 92])
def test_iqm(size):
    values = RNG.normal(size=size)
    assert stats.iqm(values) == pytest.approx(plain_iqm(values), rel=TIGHT)


def test_stratified_bootstrap_with_the_same_indices():
    """The percentile interval of the statistic over resamples in each stratum of its own."""
    resamples, seed = 300, 5
    drawn = np.random.default_rng(seed)
    found = []
    for _ in range(resamples):
        indices = drawn.integers(23, size=(4, 23)).tolist()
        found.append(plain_iqm([TABLE[k][index] for k, row in enumerate(indices) for index in row]))
    ours = stats.stratified_bootstrap(TABLE, resamples=resamples, seed=seed)
    assert float(ours.value) == pytest.approx(plain_iqm(TABLE), rel=TIGHT)
    assert float(ours.low) == pytest.approx(plain_quantile(found, 0.025), rel=TIGHT)
    assert float(ours.high) == pytest.approx(plain_quantile(found, 0.975), rel=TIGHT)


@pytest.mark.parametrize("lower", [True, False])
def test_probability_of_improvement(lower):
    x, y = RNG.integers(0, 9, 31).tolist(), RNG.integers(2, 11, 17).tolist()
    wins = Fraction(0)
    for a, b in itertools.product(x, y):
        wins += Fraction(1, 2) if a == b else Fraction(int((a < b) == lower))
    found = stats.probability_of_improvement(np.array(x), np.array(y), lower)
    assert found == pytest.approx(float(wins / (len(x) * len(y))), rel=TIGHT)


def test_performance_profile():
    thresholds = [0.1, 0.5, 1.0, float(TABLE[2, 3]), 9.0]
    found = stats.performance_profile(TABLE, np.array(thresholds))
    for k, threshold in itertools.product(range(4), range(5)):
        share = sum(value <= thresholds[threshold] for value in TABLE[k].tolist()) / 23
        assert found[k, threshold] == pytest.approx(share, rel=TIGHT, abs=TIGHT)


@pytest.mark.parametrize("target", [0.2, 1.0, 3.0])
def test_optimality_gap(target):
    """The target less the mean of the scores cut off at the target."""
    cut = [min(value, target) for value in TABLE.ravel().tolist()]
    assert stats.optimality_gap(TABLE, target) == pytest.approx(target - statistics.fmean(cut), rel=TIGHT)


def test_paired_p_value():
    for x, y in zip(TABLE, OTHER, strict=True):
        theirs = scipy.stats.ttest_rel(x, y).pvalue
        assert stats.paired_p_value(x, y) == pytest.approx(theirs, rel=1e-7)
        difference = [a - b for a, b in zip(x.tolist(), y.tolist(), strict=True)]
        t = statistics.fmean(difference) / (statistics.stdev(difference) / math.sqrt(23))
        assert stats.paired_p_value(x, y) == pytest.approx(2 * scipy.stats.t.sf(abs(t), 22), rel=1e-7)


def test_paired_p_value_without_spread():
    assert stats.paired_p_value(TABLE[0], TABLE[0]) == 1.0
    assert stats.paired_p_value(np.array([2.0, 3.0]), np.array([1.0, 2.0])) == 0.0


@pytest.mark.parametrize(("power", "level"), [(0.8, 0.05), (0.8, 0.01), (0.9, 0.05)])
def test_detectable_difference(power, level):
    for x, y in zip(TABLE, OTHER, strict=True):
        spread = statistics.stdev([a - b for a, b in zip(x.tolist(), y.tolist(), strict=True)])
        quantiles = scipy.stats.t.ppf(1 - level / 2, 22) + scipy.stats.t.ppf(power, 22)
        expected = quantiles * spread / math.sqrt(23) / statistics.fmean(y.tolist())
        assert stats.detectable_difference(x, y, power, level) == pytest.approx(expected, rel=TIGHT)


def test_power_is_what_it_says():
    """A true difference of the detectable size is found about as often as the power says, by exact distribution."""
    for n in (20, 100, 200):
        noise = np.random.default_rng(1).normal(size=n)
        noise = (noise - noise.mean()) / noise.std(ddof=1)
        size = stats.detectable_difference(10.0 + noise, np.full(n, 10.0)) * 10.0
        critical = scipy.stats.t.ppf(0.975, n - 1)
        reached = scipy.stats.nct.sf(critical, n - 1, size * math.sqrt(n))
        assert reached == pytest.approx(0.8, abs=0.01)


def test_detectable_difference_of_nothing():
    assert stats.detectable_difference(np.array([1.0]), np.array([1.0])) is None
    assert stats.detectable_difference(np.array([1.0, 2.0]), np.array([-1.0, 1.0])) is None
    assert stats.detectable_difference(TABLE[0], TABLE[0]) == 0.0


def test_crossed_ratio_interval_with_the_same_indices():
    """Trainings and seeds drawn each for itself; how often each is drawn comes from the same generators."""
    resamples, reference = 200, OTHER[3]
    seeds = np.random.default_rng(9).multinomial(23, [1 / 23] * 23, size=resamples)
    trainings = np.random.default_rng(10).multinomial(3, [1 / 3] * 3, size=resamples)
    found = []
    for often, which in zip(seeds.tolist(), trainings.tolist(), strict=True):
        top = sum(w * o * TABLE[t, s] for t, w in enumerate(which) for s, o in enumerate(often)) / 3
        found.append(top / sum(o * value for o, value in zip(often, reference.tolist(), strict=True)))
    ours = stats.crossed_ratio_interval(TABLE[:3], reference, resamples=resamples, seed=9)
    assert float(ours.value) == pytest.approx(TABLE[:3].mean() / reference.mean(), rel=TIGHT)
    assert float(ours.low) == pytest.approx(plain_quantile(found, 0.025), rel=TIGHT)
    assert float(ours.high) == pytest.approx(plain_quantile(found, 0.975), rel=TIGHT)


def rows_of(costs, scenario="a", task="routing", privileged=(), bound=()):
    """Rows of one scenario as an evaluation has them, from (S,) costs by policy."""
    return [
        {"task": task, "scenario": scenario, "policy": name, "privileged": name in privileged, "bound": name in bound,
         "seed": 1000 + k, "latency_mean_s": float(cost), "return": -50.0 * float(cost)}
        for name, values in costs.items() for k, cost in enumerate(values)
    ]  # fmt: skip


def shifted(n, **factors):
    """The same worlds for all, each policy by its factor worse, with a noise of its own."""
    rng = np.random.default_rng(3)
    world = rng.lognormal(0.0, 0.4, n)
    return {name: world * factor * rng.lognormal(0.0, 0.05, n) for name, factor in factors.items()}


def test_verdicts_by_holm():
    costs = shifted(120, good=1.0, twin=1.0, near=1.015, bad=1.2, worse=1.5, all_seeing=0.5)
    found = compare(rows_of(costs, privileged=["all_seeing"]), {})
    assert found["best"] in ("good", "twin") and found["episodes"] == 120
    others = [name for name in ("good", "twin", "near", "bad", "worse") if name != found["best"]]
    assert [pair["policy"] for pair in found["pairs"]] == others
    p = [scipy.stats.ttest_rel(costs[name], costs[found["best"]]).pvalue for name in others]
    assert 0.001 < p[1] < 0.1  # so that what Holm makes of it can be told from what it was
    steps = sorted(range(4), key=lambda k: p[k])
    adjusted, largest = [0.0] * 4, 0.0
    for rank, k in enumerate(steps):
        largest = max(largest, min(1.0, (4 - rank) * p[k]))
        adjusted[k] = largest
    for pair, one, holm in zip(found["pairs"], p, adjusted, strict=True):
        assert pair["p"] == pytest.approx(one, rel=1e-7) and pair["p_holm"] == pytest.approx(holm, rel=1e-7)
        assert pair["verdict"] == ("worse" if holm < LEVEL else "no difference")
        ours = costs[pair["policy"]]
        assert pair["ratio"] == pytest.approx(ours.mean() / costs[found["best"]].mean(), rel=TIGHT)
        assert pair["lo"] < pair["ratio"] < pair["hi"]
        assert pair["detectable"] == stats.detectable_difference(ours, costs[found["best"]], POWER, LEVEL)
    assert [pair["verdict"] for pair in found["pairs"]] == ["no difference", "no difference", "worse", "worse"]
    said = "\n".join(lines(found))
    assert (
        f"best of those not privileged is {found['best']}" in said
        and "worse (paired test, Holm, 0.01): bad, worse" in said
    )


def test_a_verdict_is_after_holm():
    """One of four pairs with p = 0.004: alone it would be worse, among four it is not."""
    n, world = 120, np.random.default_rng(3).lognormal(0.0, 0.4, 120)
    noise = np.random.default_rng(4).normal(size=n)
    noise = (noise - noise.mean()) / noise.std(ddof=1)
    t = {"near": scipy.stats.t.ppf(0.998, n - 1), "a": 0.3, "b": 0.4, "c": 0.5}
    costs = {"best": world, **{name: world + 0.01 * (one / np.sqrt(n) + noise) for name, one in t.items()}}
    pair = compare(rows_of(costs), {})["pairs"][0]
    assert pair["policy"] == "near" and pair["p"] == pytest.approx(0.004, rel=1e-6) and pair["p"] < LEVEL
    assert pair["p_holm"] == pytest.approx(0.016, rel=1e-6) and pair["verdict"] == "no difference"


def test_too_few_episodes_give_no_verdict():
    """BEN-06."""
    costs = shifted(MIN_EPISODES - 1, good=1.0, bad=3.0)
    (pair,) = compare(rows_of(costs), {})["pairs"]
    assert pair["p_holm"] < LEVEL and pair["verdict"] == "too few episodes"
    (pair,) = compare(rows_of(shifted(MIN_EPISODES, good=1.0, bad=3.0)), {})["pairs"]
    assert pair["verdict"] == "worse"


def test_too_few_trainings_give_no_verdict():
    """BEN-06: one training says nothing of its recipe; five with different seeds do."""
    names = [f"learned:{k}" for k in range(5)]
    costs = shifted(100, rule=1.0, **dict.fromkeys(names, 1.3))
    trained = {name: {"recipe": "r", "seed": k} for k, name in enumerate(names)}
    found = compare(rows_of(costs), trained)
    assert [pair["verdict"] for pair in found["pairs"]] == ["worse"] * 5
    (recipe,) = found["recipes"]
    assert recipe["trainings"] == 5 and recipe["against"] == "rule" and recipe["lo"] < recipe["ratio"] < recipe["hi"]
    for fewer in ({**trained, names[4]: {"recipe": "r", "seed": 0}}, {**trained, names[4]: {"recipe": "s", "seed": 4}}):
        found = compare(rows_of(costs), fewer)
        assert {pair["verdict"] for pair in found["pairs"]} == {"too few trainings"}
    assert "no verdict from too few trainings" in "\n".join(lines(found))


def test_a_single_training_that_is_the_best_is_no_reference():
    costs = shifted(100, rule=1.0, other=1.3, learned=0.5)
    found = compare(rows_of(costs), {"learned": {"recipe": "r", "seed": 0}})
    assert (found["best"], found["reference"]) == ("learned", "rule")
    verdicts = {pair["policy"]: pair["verdict"] for pair in found["pairs"]}
    assert verdicts == {"other": "worse", "learned": "too few trainings"}
    assert "compared with rule" in "\n".join(lines(found))
    alone = compare(rows_of({"learned": costs["learned"]}), {"learned": {"recipe": "r", "seed": 0}})
    assert alone["reference"] == "learned" and alone["pairs"] == []


def test_bounds_and_missing_values_are_left_out():
    costs = shifted(100, good=1.0, bad=2.0, bound=0.1)
    rows = rows_of(costs, bound=["bound"])
    rows[3]["latency_mean_s"] = rows[3]["return"] = None
    found = compare(rows, {})
    assert found["episodes"] == 99 and [pair["policy"] for pair in found["pairs"]] == ["bad"]
    assert compare(rows_of({"bound": costs["bound"]}, bound=["bound"]), {})["best"] is None
    assert compare(rows_of({"good": costs["good"]}), {})["pairs"] == []


def test_with_agents_the_return_counts():
    rows = [{**row, "agents.placed": 1.0, "latency_mean_s": 1.0} for row in rows_of(shifted(100, good=1.0, bad=2.0))]
    found = compare(rows, {})
    assert found["metric"] == "-return" and found["best"] == "good" and found["pairs"][0]["verdict"] == "worse"


def test_aggregates_over_scenarios():
    cells = [shifted(30, good=1.0, bad=1.4, oracle=0.8), shifted(30, good=9.0, bad=8.0, oracle=7.0)]
    rows = [rows_of(cell, scenario=name, privileged=["oracle"]) for cell, name in zip(cells, "ab", strict=True)]
    (found,) = aggregate(rows)
    assert found["reference"] == "oracle" and found["scenarios"] == ["a", "b"] and found["episodes"] == 30
    best = found["best"]
    for one in found["policies"]:
        x = [cell[one["policy"]] / cell["oracle"].mean() for cell in cells]
        y = [cell[best] / cell["oracle"].mean() for cell in cells]
        assert one["iqm"] == pytest.approx(plain_iqm(x), rel=TIGHT)
        assert one["mean"] == pytest.approx(statistics.fmean(np.ravel(x).tolist()), rel=TIGHT)
        assert one["p5"] == pytest.approx(plain_quantile(np.ravel(x).tolist(), 0.05), rel=TIGHT)
        assert one["p95"] == pytest.approx(plain_quantile(np.ravel(x).tolist(), 0.95), rel=TIGHT)
        gap = statistics.fmean([max(1.0 - 1.0 / value, 0.0) for value in np.ravel(x).tolist()])
        assert one["optimality_gap"] == pytest.approx(gap, rel=TIGHT)
        wins = [
            statistics.fmean([(a < b) + 0.5 * (a == b) for a, b in itertools.product(mine, theirs)])
            for mine, theirs in zip(x, y, strict=True)
        ]
        assert one["improvement"] == pytest.approx(statistics.fmean(wins), rel=TIGHT)
        shares = [statistics.fmean([value <= limit for value in np.ravel(x).tolist()]) for limit in THRESHOLDS]
        assert one["profile"] == pytest.approx(shares, rel=TIGHT)
        assert one["iqm_lo"] <= one["iqm"] <= one["iqm_hi"]


def test_aggregates_need_the_same_everywhere():
    one, two = shifted(30, good=1.0, bad=1.4), shifted(30, good=1.0)
    (found,) = aggregate([rows_of(one, "a"), rows_of(two, "b")])
    assert [policy["policy"] for policy in found["policies"]] == ["good"]
    assert found["reference"] == "best of each scenario"
    assert aggregate([rows_of(one, "a"), rows_of(shifted(20, good=1.0), "b")]) == []
    assert [found["task"] for found in aggregate([rows_of(one, "a"), rows_of(one, "a", "joint")])] == [
        "routing",
        "joint",
    ]


def test_a_controller_against_its_copy():
    """BEN-08, in small, on made-up episodes; `python scripts/aa_test.py` does it with controllers that draw."""
    script = load_script("aa_test")
    costs = shifted(1000, one=1.0, copy=1.0, other=1.05)
    rows = {name: rows_of({name: values}) for name, values in costs.items()}
    same, _ = script.shares([rows["one"], rows["copy"]], 100, 60)
    assert same >= 0.95
    same, _ = script.shares([rows["one"], rows["other"]], 100, 20)
    assert same < 0.05  # and it does find a difference of five percent


def test_a_recipe_needs_one_that_was_not_trained():
    costs = shifted(100, a=1.0, b=1.1)
    trained = {name: {"recipe": "r", "seed": k} for k, name in enumerate("ab")}
    assert compare(rows_of(costs), trained)["recipes"] == []
