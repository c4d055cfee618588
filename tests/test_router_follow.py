"""How the fast path shares a surprise between its model of a (node, model) and the node straying, by hand."""

import math

import numpy as np
import pytest
from helpers import SECOND
from test_router import Tables

from edge_gym.kernel._jit import jit
from edge_gym.kernel.router import follow, trend_now
from edge_gym.kernel.step import row_of

E = math.e


@jit
def run_follow(params, state, share, measured, now):
    row = row_of(state, 0)
    follow(params, row, row.node[0], row.pair[0, 0], share, measured, now)


@jit
def run_trend(nodes, now, out):
    out[0] = trend_now(nodes[0], now)


class Follower(Tables):
    """A node and its model; `report` tells what was measured, service over prior."""

    def report(self, measured, now_s=0, share=0.0):
        run_follow(self.params, self.state, share, measured, now_s * SECOND)
        self.pair["evidence"] += 1  # as `telemetry.learn` does afterwards
        return float(self.pair["unit_ratio"][0]), float(self.node["trend"][0])

    def trend(self, now_s):
        run_trend(self.node, now_s * SECOND, self.out)
        return float(self.out[0])


def follower(**router):
    return Follower(**{"forgetting": 1.0, "trend_sigma": 0.3, "trend_s": 8.0, **router})


def known(tables, p_unit=1.0):
    """Something is known: the variance of the units' ratio is a quarter of the prior's, its sigma 0.25."""
    tables.pair["evidence"], tables.pair["p_unit"] = 3, p_unit
    return tables


def test_a_first_surprise_is_the_models():
    """Log 2 is less than twice the prior's sigma, 1. The gain is 4 / 5: the ratio goes to 1 + 0.8 x (2 - 1)."""
    assert follower().report(2.0) == pytest.approx((1.8, 1.0))


def test_no_model_is_as_wrong_as_a_large_first_surprise():
    """Log 8 = 2.08: the model takes 1, a factor e, and the node strays by 8 / e. And so if it is faster."""
    assert follower().report(8.0) == pytest.approx((1 + 0.8 * (E - 1), 8 / E))
    assert follower().report(1 / 8) == pytest.approx((1 + 0.8 * (1 / E - 1), E / 8))


def test_later_surprises_are_split_as_the_variances_are():
    """Of log 2 the model takes 0.0625 / (0.0625 + 0.09 + 0.001); its gain is 1 / (1 + 1)."""
    part = 0.0625 / 0.1535
    trend = 2 ** (1 - part)
    assert known(follower()).report(2.0) == pytest.approx((1 + 0.5 * (2 / trend - 1), trend))


def test_a_model_that_is_known_takes_at_most_two_sigmas():
    """Of log 16 the same part would be 1.13: more than twice 0.25."""
    ratio, trend = known(follower()).report(16.0)
    assert trend == pytest.approx(16 / math.exp(0.5)) and ratio == pytest.approx(1 + 0.5 * (math.exp(0.5) - 1))


def test_what_was_expected_changes_nothing():
    """A quarter of the work at twice the prior and three quarters at three times: 2.75, and nothing is learnt of it."""
    tables = known(follower())
    tables.pair["first_ratio"], tables.pair["unit_ratio"] = 2.0, 3.0
    assert tables.report(2.75, share=0.25) == pytest.approx((3.0, 1.0))
    assert tables.pair["first_ratio"][0] == pytest.approx(2.0)


def test_what_was_seen_fades():
    """4 times slower at 10 s, believed for 8 s: of the 3 above 1, 1/2^2 is left after 8 s, 1/4^2 after 24 s."""
    tables = follower()
    tables.node["trend"], tables.node["trend_ns"] = 4.0, 10 * SECOND
    assert [tables.trend(now_s) for now_s in (10, 18, 34)] == pytest.approx([4.0, 1.75, 1.1875])
    tables.node["trend"] = 0.25  # and so does what was faster
    assert tables.trend(18) == pytest.approx(1.0 - 0.75 / 4)


def test_what_is_left_of_a_trend_is_no_surprise():
    """Believed 4 times slower at 0 s, so still by some at 8 s: a report of just that is none; its age begins anew."""
    tables = known(follower())
    tables.node["trend"] = 4.0
    left = tables.trend(8)
    assert 1.0 < left < 4.0 and tables.report(left, now_s=8) == pytest.approx((1.0, left))
    assert tables.node["trend_ns"][0] == 8 * SECOND and tables.trend(8) == pytest.approx(left)


def test_who_is_found_slow_again_is_believed_for_longer():
    """Slow is more than e to the 0.7, 2.01 times what the model says: 16 s, 32 s, ... 256 s; one good report: 8 s."""
    tables, times = known(follower(), p_unit=0.0), []  # a model that learns no more
    for measured in (2.0, 4.0, 2.1, 4.0, 4.0, 4.0, 4.0, 4.0, 2.0, 4.0):
        assert tables.report(measured, share=0.0)[0] == 1.0
        times.append(float(tables.node["trend_s"][0]))
    assert times == [8, 16, 32, 64, 128, 256, 256, 256, 8, 16]
    tables.node["trend"], tables.node["trend_ns"] = 4.0, 0
    assert tables.trend(16) == pytest.approx(1.75)  # a quarter of what is above 1 after the longer time


def test_a_router_that_expects_no_straying_does_not_back_off():
    """All but a thousandth in 0.0635 of log 1.5 is the model's; no node is believed slow for longer."""
    tables = known(follower(trend_sigma=0.0))
    trend = 1.5 ** (0.001 / 0.0635)
    assert tables.report(1.5) == pytest.approx((1 + 0.5 * (1.5 / trend - 1), trend))
    for _ in range(3):
        tables.report(50.0)
        assert tables.node["trend_s"][0] == 8.0


def test_no_report_whatever_leaves_the_bounds():
    rng, tables = np.random.default_rng(5), follower(forgetting=0.9)
    for k in range(2000):
        ratio, trend = tables.report(rng.choice([0.0, 1e-9, 0.5, 1.0, 3.0, 1e9]), now_s=k, share=rng.random())
        assert 0.05 <= trend <= 100 and 0.05 <= ratio <= 100 and math.isfinite(tables.trend(k + 1))
