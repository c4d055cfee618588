"""How fast a controller copes with a change: logs made up so that every figure is known."""

import math

import numpy as np
import pytest

from edge_gym.evaluation.adaptation import Adaptation, latency_sum, measure, rolling, shares, stays
from edge_gym.kernel.tables import LOG, SECOND

AT_S, UNTIL_S = 10.0, 20.0


def log_of(arrive_s, node, latency_s):
    """Requests that ended; node -1: nobody served it."""
    log = np.zeros(len(arrive_s), LOG)
    log["arrive_ns"] = np.rint(np.asarray(arrive_s) * SECOND)
    log["node"] = node
    log["latency_ns"] = np.rint(np.asarray(latency_s, float) * SECOND)
    return log


ARRIVE_S = np.arange(80) / 4 + 1 / 8  # four in each second from 0 to 20 s
TURNS = np.arange(80) % 2  # to node 0, to node 1, ...
CALM = log_of(ARRIVE_S, TURNS, np.ones(80))


def late_by_3_s():
    """Node 0 answers after 3 s instead of 1 s from 10 s on; from 13 s on everything goes to node 1."""
    caught = (ARRIVE_S >= 10) & (ARRIVE_S < 13) & (TURNS == 0)
    return log_of(ARRIVE_S, np.where(ARRIVE_S < 13, TURNS, 1), np.where(caught, 3.0, 1.0))


def ran(logs, reference, n_nodes=2, node=0, **more) -> Adaptation:
    return measure(logs, reference, node, AT_S, UNTIL_S, n_nodes, **more)


def test_a_late_change_of_mind():
    """Six requests are late by 2 s: 12 request-seconds. The share of node 0 is a half before 13 s and nothing after.

    The last 20 requests are those of 5 s, and 2 of 4 are late: 2, 4, 6, 6, 6, 4, 2, 0 of 20 at 11, 12, ... 18 s, so the
    mean is 1.2, 1.4, 1.6, 1.6, 1.6, 1.4, 1.2, 1 s. It is within a tenth from the interval that ends at 18 s on: 7 s.
    """
    found = ran([late_by_3_s()], [CALM])
    assert found == Adaptation(adapted_s=7.0, detected_s=3.0, false_alarms=0.0, area_s=12.0, peak=1.6)
    means = rolling([late_by_3_s()], np.arange(10.0, 21.0))
    assert means == pytest.approx([1.2, 1.4, 1.6, 1.6, 1.6, 1.4, 1.2, 1.0, 1.0, 1.0])


def test_episodes_are_averaged():
    """Beside an episode in which nothing happens: half the area, and 1.3 for 1.6.

    Node 0 gets half of 8 before 13 s, and then 2 of 8: that is half of what it was, and not below. In three episodes of
    which two change their mind it gets 2 of 12.
    """
    found = ran([late_by_3_s(), CALM], [CALM, CALM])
    assert (found.area_s, found.peak) == pytest.approx((6.0, 1.3)) and found.detected_s == math.inf
    found = ran([late_by_3_s(), CALM, late_by_3_s()], [CALM] * 3)
    assert found.area_s == pytest.approx(8.0) and found.detected_s == 3.0


def test_who_does_nothing_never_copes():
    late = log_of(ARRIVE_S, TURNS, np.where((ARRIVE_S >= 10) & (TURNS == 0), 3.0, 1.0))
    found = ran([late], [CALM])
    # From 15 s on half of the last 20 are late: a mean of 2 s. Twenty requests lost 2 s each.
    assert found == Adaptation(adapted_s=math.inf, detected_s=math.inf, false_alarms=0.0, area_s=40.0, peak=2.0)


def test_who_is_the_reference_has_adapted_at_once():
    assert ran([CALM], [CALM]) == Adaptation(adapted_s=0.0, detected_s=math.inf, false_alarms=0.0, area_s=0.0, peak=1.0)


def test_who_is_better_than_the_reference_gains():
    found = ran([CALM], [late_by_3_s()])
    assert found.area_s == -12.0 and found.adapted_s == 0.0 and found.peak == 1.0


def test_a_relapse_counts_from_its_end():
    """Away from node 0 in [11, 14) and from 16 s on: detected after 6 s."""
    away = ((ARRIVE_S >= 11) & (ARRIVE_S < 14)) | (ARRIVE_S >= 16)
    assert ran([log_of(ARRIVE_S, np.where(away, 1, TURNS), np.ones(80))], [CALM]).detected_s == 6.0


def test_false_alarms():
    """Four nodes in turns; from 10 s on all goes to node 3. Node 0 has changed, nodes 1 and 2 have not: two of three.

    Away for 5 of 10 intervals is no alarm, for 6 it is. Of a node with little to do before nothing is said.
    """
    turns = np.arange(80) % 4
    only_3 = log_of(ARRIVE_S, np.where(ARRIVE_S < 10, turns, 3), np.ones(80))
    found = ran([only_3], [CALM], n_nodes=4)
    assert found.false_alarms == pytest.approx(2 / 3) and found.detected_s == 0.0
    for until_s, alarms in ((15, 0.0), (16, 1 / 3)):
        spared = (ARRIVE_S >= 10) & (until_s > ARRIVE_S) & (turns == 1)
        logs = [log_of(ARRIVE_S, np.where(spared, 3, turns), np.ones(80))]
        assert ran(logs, [CALM], n_nodes=4).false_alarms == pytest.approx(alarms), until_s
    rare = turns.copy()
    rare[(turns == 1) & (np.arange(80) != 1)] = 3  # 1 of 40 requests before; less than an eighth
    assert ran([log_of(ARRIVE_S, np.where(ARRIVE_S < 10, rare, 3), np.ones(80))], [CALM], 4).false_alarms == 0.5


def test_a_node_that_got_nothing_before_cannot_be_given_up():
    log = log_of(ARRIVE_S, np.ones(80, int), np.ones(80))
    assert ran([log], [CALM]).detected_s is None
    # The span before the change can be chosen: node 0 is used until 5 s, so only the longer span knows of it.
    log = log_of(ARRIVE_S, np.where(ARRIVE_S < 5, 0, 1), np.ones(80))
    assert ran([log], [CALM], before_s=5.0).detected_s is None and ran([log], [CALM], before_s=10.0).detected_s == 0.0


def test_shares_count_what_was_sent():
    """Declined requests are in no share; who arrives at an edge belongs to the interval that begins there."""
    log = log_of([0.0, 0.5, 0.999, 1.0, 1.5, 2.0], [0, 1, -1, 1, 1, 0], np.ones(6))
    assert shares([log], np.array([0.0, 1.0, 2.0, 3.0, 4.0]), 2).tolist() == [[0.5, 0.5], [0, 1], [1, 0], [0, 0]]
    assert shares([log, log[:1]], np.array([0.0, 1.0]), 2).tolist() == [[2 / 3, 1 / 3]]


def test_latency_is_summed_over_who_arrived():
    log = log_of([0.5, 1.0, 1.5, 2.0], [0, -1, 1, 0], [1.0, 2.0, 4.0, 8.0])
    assert latency_sum([log], 1.0, 2.0) == 6.0 and latency_sum([log, log], 0.0, 3.0) == 30.0
    assert latency_sum([], 0.0, 3.0) == 0.0


def test_rolling_begins_with_fewer():
    """In any order; an episode in which nobody has arrived counts 0 s."""
    log = log_of([2.5, 0.5, 1.5], [0, 0, 0], [9.0, 1.0, 2.0])
    assert rolling([log], np.arange(4.0)).tolist() == [1.0, 1.5, 4.0]
    assert rolling([log, log[:1]], np.arange(4.0)).tolist() == [0.5, 0.75, 6.5]
    many = log_of(np.arange(30) / 10, np.zeros(30), np.arange(30))
    # By 2.95 s the last 20 of 30: 10 ... 29.
    assert rolling([many], np.array([0.0, 2.95])).tolist() == [19.5]


@pytest.mark.parametrize(
    ("good", "expected"),
    [("111", 0.0), ("011", 2.0), ("101", 4.0), ("001", 4.0), ("110", math.inf), ("000", math.inf)],
)
def test_stays(good, expected):
    assert stays(np.array([g == "1" for g in good]), 2.0) == expected
