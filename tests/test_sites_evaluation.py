"""Policies that decide for every site: same worlds, honest counts, no privileges."""

import numpy as np
import pytest
from sites_play import preset

from edge_gym.envs.sites_batch import site_rules
from edge_gym.errors import EdgeGymInputError
from edge_gym.evaluation.rollout import roll_out
from edge_gym.evaluation.sites import roll_out_sites
from edge_gym.policy import make_policy

POLICIES = ("jsq", "p2c", "sect_watchdog", "linucb", "e3_fast", "round_robin")


@pytest.mark.parametrize("name", ["jsq", "sect_watchdog", "linucb", "e3_fast"])
@pytest.mark.parametrize("view", ["own", "central"])
def test_one_site_that_decides_at_once_is_the_usual_rollout(name, view):
    world = preset("churn", n_sites=1, n_nodes=5, n_requests=60, age_s=0.2, up_mean_s=5.0)
    usual = roll_out(world, make_policy(name), name, [3, 4]).episodes
    by_site = roll_out_sites(world, make_policy(name), name, [3, 4], site_rules(world, 0.0, view=view)).episodes
    for one, other in zip(usual, by_site, strict=True):
        assert one.log.tobytes() == other.log.tobytes()
        assert one.terms.tobytes() == other.terms.tobytes() and one.reward == other.reward


@pytest.mark.parametrize("name", POLICIES)
@pytest.mark.parametrize("view", ["own", "central"])
def test_every_request_ends_once_and_is_paid_for(name, view):
    world = preset("overload", n_sites=3, n_nodes=5, n_requests=80, queue_capacity=0, load=1.5)
    episodes = roll_out_sites(world, make_policy(name), name, [1, 2], site_rules(world, 0.3, view=view)).episodes
    for episode in episodes:
        assert episode.arrived == 80 and sorted(episode.log["id"]) == list(range(80))
        assert -episode.terms[0] == pytest.approx(episode.log["latency_ns"].sum() / 1e9, rel=1e-9)
        if view == "central":
            assert episode.counters["sites.refused"] == 0
    refused = sum(episode.counters["sites.refused"] for episode in episodes)
    assert (refused > 0) == (view == "own")


def test_own_books_cost_latency_where_central_ones_are_current():
    world = preset("stationary", n_requests=150)
    mean = {}
    for view in ("own", "central"):
        rules = site_rules(world, 0.1, 4.0, view=view)
        episodes = roll_out_sites(world, make_policy("sect_watchdog"), "sect_watchdog", range(6), rules).episodes
        mean[view] = np.mean([-episode.reward for episode in episodes])
    assert mean["own"] > 1.1 * mean["central"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [("oracle", "without privileges"), ("e3_rules", "it decides metacontrol: it controls"), ("never", "migration")],
)
def test_policies_that_are_privileged_or_decide_something_else_are_told_why_not(name, reason):
    world = preset("toy2")
    with pytest.raises(EdgeGymInputError, match=reason) as caught:
        roll_out_sites(world, make_policy(name), name, [1], site_rules(world))
    assert ("privileges" in str(caught.value)) == (name == "oracle")
