"""Metrics of a log small enough to work out by hand, and the cross-check of rewards and log."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from edge_gym.errors import EdgeGymError
from edge_gym.evaluation.metrics import METRICS, Episode, check_episode, episode_metrics, jain
from edge_gym.kernel.tables import (
    COMPLETED,
    DROPPED,
    ITEM,
    LOG,
    REJECTED,
    SECOND,
    STUTTER_FOREGROUND,
    STUTTER_GAP,
    TOKENS,
    UNFINISHED,
)
from edge_gym.scenario import RewardWeights

BOTH = STUTTER_GAP | STUTTER_FOREGROUND
# model, site, arrive s, first s, finish s, charged latency s, units, retries, outcome, late, stutter
REQUESTS = (
    (0, 0, 0.0, 1.0, 3.0, 3.0, 4, 0, COMPLETED, 0, 0),
    (0, 0, 1.0, 3.0, 9.0, 8.0, 3, 1, COMPLETED, 1, BOTH),
    (1, 0, 2.0, 2.5, 2.5, 0.5, 1, 0, COMPLETED, 0, STUTTER_GAP),
    (0, 2, 3.0, 9.0, 3.0, 20.0, 7, 0, REJECTED, 1, 0),  # 9.0: left behind in the table, means nothing
    (0, 2, 4.0, -1.0, 5.0, 20.0, 7, 3, DROPPED, 1, STUTTER_FOREGROUND),
    (1, 2, 5.0, -1.0, 9.5, 4.5, 1, 0, UNFINISHED, 1, 0),
)
KINDS = np.array([TOKENS, ITEM], np.int32)
LATENCY_S = [3.0, 8.0, 0.5, 20.0, 20.0, 4.5]
WEIGHTS = RewardWeights()


def make_episode() -> Episode:
    log = np.zeros(len(REQUESTS), LOG)
    columns = ("model", "site", "arrive_ns", "first_ns", "finish_ns", "latency_ns", "units", "retries", "outcome")
    for i, request in enumerate(REQUESTS):
        log[i]["id"] = i
        for name, value in zip((*columns, "late", "stutter"), request, strict=True):
            log[i][name] = value * SECOND if name.endswith("_ns") else value
    terms = np.array([-56.0, -4.0, -3.0, -2.0, 0.0, -120.0, -0.5, -2.0])
    control = {"masked_s": 2.5, "calls": 7, "interventions": 2}
    return Episode(log=log, terms=terms, reward=-56.0, arrived=6, makespan_s=10.0, **control)


def test_by_hand():
    found = episode_metrics(make_episode(), KINDS)
    expected = {
        "latency_mean_s": 56 / 6,
        "latency_p50_s": 6.25,  # between 4.5 and 8
        "latency_p95_s": 20.0,
        "latency_p99_s": 20.0,
        "served_latency_mean_s": 11.5 / 3,
        "ttft_mean_s": 1.5,
        "ttft_p95_s": 1.95,
        "tpot_mean_s": (2 / 4 + 6 / 3) / 2,
        "slo_attainment": 2 / 6,
        "goodput_per_s": 0.2,
        "stutter_share": 2 / 6,  # the dropped one does not count
        "stutter_foreground_share": 1 / 6,
        "stutter_gap_share": 2 / 6,
        "healthy_masked_share": 0.25,
        "tool_calls": 7,
        "interventions": 2,
        "rejected": 1,
        "dropped": 1,
        "unfinished": 1,
        "drop_share": 0.5,
        "requests": 6,
        "retries_mean": 4 / 6,
        "jain_sites": (11.5 / 3 + 44.5 / 3) ** 2 / (2 * ((11.5 / 3) ** 2 + (44.5 / 3) ** 2)),
        "energy_j": 120.0,
        "energy_j_per_request": 20.0,
        "cost_usd": 0.5,
        "imbalance_mean": 0.2,
        "makespan_s": 10.0,
        "return": -56.0,
    }
    assert tuple(found) == METRICS == tuple(expected)
    assert found == pytest.approx(expected, rel=1e-12)


def test_nothing_to_take_a_mean_of():
    whole = make_episode()
    found = episode_metrics(dataclasses.replace(whole, log=whole.log[3:]), KINDS)  # none was served
    assert [name for name, value in found.items() if value is None] == [
        "served_latency_mean_s",
        "ttft_mean_s",
        "ttft_p95_s",
        "tpot_mean_s",
    ]
    assert found["drop_share"] == 1.0 and found["slo_attainment"] == 0.0
    empty = episode_metrics(dataclasses.replace(whole, log=whole.log[:0], arrived=0, makespan_s=0.0), KINDS)
    assert empty["requests"] == 0 and empty["latency_mean_s"] is None and empty["jain_sites"] is None


def test_jain():
    site = np.array([0, 1, 3, 3])
    assert jain(np.array([2.0, 2.0, 1.0, 3.0]), site) == pytest.approx(1.0)
    assert jain(np.array([1.0, 0.0, 0.0, 0.0]), site) == pytest.approx(1 / 3)  # three sites have requests
    assert jain(np.zeros(4), site) == 1.0


def test_log_and_rewards_agree():
    check_episode(make_episode(), WEIGHTS)
    weighted = dataclasses.replace(make_episode(), reward=-56.0 - 2 * 4 - 0.5 * 120)
    check_episode(weighted, RewardWeights(slo_miss=2.0, energy=0.5))


@pytest.mark.parametrize("term", [0, 1, 2, 3])
def test_a_wrong_term_is_found(term):
    episode = make_episode()
    episode.terms[term] *= 1 + 1e-8
    episode.terms[term] -= 1e-6
    with pytest.raises(EdgeGymError, match="by the rewards and"):
        check_episode(episode, WEIGHTS)


def test_a_wrong_return_or_log_is_found():
    episode = make_episode()
    with pytest.raises(EdgeGymError, match="return is"):
        check_episode(dataclasses.replace(episode, reward=-56.0001), WEIGHTS)
    with pytest.raises(EdgeGymError, match="6 requests arrived, the log has 5"):
        check_episode(dataclasses.replace(episode, log=episode.log[1:]), WEIGHTS)
    episode.log["id"][0] = 1
    with pytest.raises(EdgeGymError, match="arrived"):
        check_episode(episode, WEIGHTS)


def test_the_page_has_every_metric():
    page = (Path(__file__).parents[1] / "docs" / "metrics.md").read_text("utf-8")
    assert [name for name in (*METRICS, "decision_us", "latency_ratio_oracle") if f"`{name}`" not in page] == []


def test_percentiles_are_those_of_their_names():
    """Latencies of 0, 1, ... 100 s: the p-th percentile is p seconds."""
    log = np.zeros(101, LOG)
    log["id"], log["latency_ns"], log["finish_ns"] = np.arange(101), np.arange(101) * SECOND, np.arange(101) * SECOND
    log["first_ns"], log["outcome"] = log["finish_ns"], COMPLETED
    np.random.default_rng(1).shuffle(log)
    episode = Episode(log=log, terms=np.zeros(8), reward=0.0, arrived=101, makespan_s=1.0)
    found = episode_metrics(episode, KINDS)
    names = ("latency_p50_s", "latency_p95_s", "latency_p99_s", "ttft_p95_s")
    assert [found[name] for name in names] == pytest.approx([50.0, 95.0, 99.0, 95.0], rel=1e-12)
