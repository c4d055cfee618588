"""Two sites and two equal nodes, figures by hand: herding, slots, refusals, who goes first, who is cut off."""

import numpy as np
import pytest
from sites_play import DELAY_S, WORK_S, Sites, hand_world

from edge_gym.kernel.observe import ALIVE, BACKLOG, IS_REQUEST, LEGAL, OUTSTANDING, RETRIES, decode_time
from edge_gym.kernel.tables import COMPLETED, DROPPED, SECOND, UNFINISHED
from edge_gym.scenario import Change, Pool

ALONE_S = WORK_S + 2 * DELAY_S
TIGHT = Pool(device_types=("server",), n_nodes=2, queue_capacity=0)


def seed_with(world, *sites):
    """A seed for which the first requests enter at these sites."""
    for seed in range(1000):
        game = Sites(world, [seed], slot_s=0.0)
        found = []
        for _ in sites:
            found += game.asked
            game.step()
        if found == list(sites):
            return seed
    raise AssertionError("no such seed")


def play_out(game, choose):
    """Plays to the end; log entries by number of the request, and the sum of the rewards of each site."""
    logs, paid = [], np.zeros(game.batch.n_rows)
    while not game.over.all():
        out = game.step(*choose(game))
        paid += out.reward
        logs.append(game.batch.ended()[1].copy())
    log = np.concatenate(logs)
    return log[np.argsort(log["id"])], paid


def to(*nodes):
    """Site `s` sends everything to `nodes[s]`."""
    return lambda game: [nodes[s] if s in game.asked else game.decline for s in range(2)]


def test_two_sites_that_see_the_same_idle_node_wait_for_each_other(tmp_path):
    world = hand_world(tmp_path / "t.csv", [(0.0, 0, 1), (0.0, 0, 1)])
    seed = seed_with(world, 0, 1)
    game = Sites(world, [seed])
    assert game.asked == [0, 1], "both arrived at the very instant at which they decide"
    assert (game.obs[:, :, OUTSTANDING] == 0).all()
    log, paid = play_out(game, to(0, 0))
    latency = log["latency_ns"] / SECOND
    assert latency == pytest.approx([ALONE_S, ALONE_S + WORK_S], abs=1e-9)
    assert paid == pytest.approx(-latency, abs=1e-9), "each is paid for its own request"
    apart, _ = play_out(Sites(world, [seed]), to(0, 1))
    assert apart["latency_ns"] / SECOND == pytest.approx([ALONE_S, ALONE_S], abs=1e-9)


def test_shared_reward_pays_everybody_for_all(tmp_path):
    world = hand_world(tmp_path / "t.csv", [(0.0, 0, 1), (0.0, 0, 1)])
    game = Sites(world, [seed_with(world, 0, 1)], reward="shared")
    _, paid = play_out(game, to(0, 0))
    assert paid == pytest.approx([-(2 * ALONE_S + WORK_S)] * 2, abs=1e-9)


def test_requests_wait_for_the_slot_and_the_wait_counts(tmp_path):
    world = hand_world(tmp_path / "t.csv", [(0.0, 0, 1), (0.25, 0, 1), (0.31, 0, 1), (0.38, 0, 1)])
    seed = seed_with(world, 1, 0, 1, 1)
    game = Sites(world, [seed], slot_s=0.4)
    assert game.asked == [1] and game.batch.time_s[0] == 0.0
    game.step(2, 0)
    assert game.batch.time_s[0] == pytest.approx(0.4)
    assert game.asked == [0, 1] and game.batch.waiting.tolist() == [[1, 2]]
    out = game.step(1, 1)
    assert game.asked == [1], "the second of its requests, at the same instant"
    assert out.dt_s.tolist() == [0.0, 0.0] and game.batch.time_s[0] == pytest.approx(0.4)
    assert game.obs[1, 1, OUTSTANDING] == pytest.approx(1 / 9), "it knows its own dispatch, not the other site's"
    assert game.obs[0, 1, OUTSTANDING] == pytest.approx(1 / 9)
    log, _ = play_out(game, to(0, 0))
    # Node 1: in the order 0, 1 or 1, 0; node 0 serves the last one after the first.
    waits = np.array([0.0, 0.15, 0.09, 0.02])
    node_0 = 1.01 - 0.41  # the first request holds node 0 until 1.01; the last arrives there at 0.41
    assert log["latency_ns"][[0, 3]] / SECOND == pytest.approx([ALONE_S, waits[3] + ALONE_S + node_0], abs=1e-6)
    both = np.sort(log["latency_ns"][[1, 2]] / SECOND - waits[[1, 2]])
    assert both == pytest.approx([ALONE_S, ALONE_S + WORK_S], abs=1e-6)


def test_a_node_that_is_full_refuses_and_the_request_comes_back(tmp_path):
    world = hand_world(tmp_path / "t.csv", [(0.0, 0, 1), (0.0, 0, 1)], pool=TIGHT)
    game = Sites(world, [seed_with(world, 0, 1)])
    out = game.step(0, 0)
    # Back after the way there and back, it waits for the next slot; until then its site does not know.
    assert game.batch.state.panel[0, 0]["refused"] == 1
    assert out.time_s[0] == pytest.approx(0.1) and len(game.asked) == 1
    s = game.asked[0]
    assert game.obs[s, 0, RETRIES] == 0.5
    assert game.batch.mask[s].tolist() == [False, True, True]
    assert game.obs[s, 0, OUTSTANDING] == 0.0, "its site knows that node 0 does not have it"
    log, _ = play_out(game, to(1, 1))
    assert np.sort(log["latency_ns"]) / SECOND == pytest.approx([ALONE_S, 0.1 + ALONE_S], abs=1e-9)
    assert sorted(log["retries"]) == [0, 1] and (log["outcome"] == COMPLETED).all()


def test_a_refused_request_counts_as_sent_until_it_is_back(tmp_path):
    """Its site asks again at the same instant and must not see the refusal before the message is there."""
    times = [0.0, 0.01, 0.02, 0.03, 0.04]
    world = hand_world(tmp_path / "t.csv", [(time_s, 0, 1) for time_s in times], pool=TIGHT)
    game = Sites(world, [seed_with(world, 0, 0, 1, 0, 1)], slot_s=0.05)
    game.step(2, 2)  # the first one, at 0, is declined
    assert game.asked == [0, 1] and game.batch.waiting.tolist() == [[2, 2]]
    game.step(0, 0)
    assert game.batch.state.panel[0, 0]["refused"] == 1
    assert game.asked == [0, 1] and game.batch.time_s[0] == pytest.approx(0.05)
    assert game.obs[:, 0, OUTSTANDING].tolist() == pytest.approx([1 / 9, 1 / 9])


def test_what_a_node_tells_leaves_out_what_it_refused_but_its_site_goes_on_counting_it(tmp_path):
    """Nodes tell at 0.01 s; the refusal, on its way since 0, is there at 0.02 s; site 1 decides at 0.015 and 0.03 s."""
    world = hand_world(tmp_path / "t.csv", [(0.0, 0, 1), (0.0, 0, 1), (0.012, 0, 1)], pool=TIGHT)
    game = Sites(world, [seed_with(world, 0, 1, 1)], slot_s=0.015, heartbeat_s=0.01)
    game.step(0, 0)
    assert game.batch.time_s[0] == pytest.approx(0.015) and game.asked == [1]
    assert game.obs[1, 0, OUTSTANDING] == pytest.approx(2 / 10), "the other site's, and its own that was refused"
    game.step(2, 2)
    assert game.batch.time_s[0] == pytest.approx(0.03) and game.asked == [1]
    assert game.obs[1, 0, RETRIES] == 0.5 and game.obs[1, 0, OUTSTANDING] == pytest.approx(1 / 9)


def test_what_a_node_tells_is_its_backlog_too(tmp_path):
    """Site 0 sends 1 s of work at 0; told at 0.01 s, site 1 expects 0.985 s of it to be left at 0.015 s."""
    world = hand_world(tmp_path / "t.csv", [(0.0, 0, 1), (0.012, 0, 1)])
    game = Sites(world, [seed_with(world, 0, 1)], slot_s=0.015, heartbeat_s=0.01)
    game.step(0, 2)
    assert game.asked == [1] and game.batch.time_s[0] == pytest.approx(0.015)
    assert decode_time(game.obs[1, 0, BACKLOG]) == pytest.approx(0.985, rel=1e-5)


def test_a_request_may_be_refused_exactly_as_often_as_it_says(tmp_path):
    world = hand_world(tmp_path / "t.csv", [(0.0, 0, 1), (0.0, 0, 1)], pool=TIGHT, max_retries=1)
    game = Sites(world, [seed_with(world, 0, 1)])
    game.step(0, 0)
    log, _ = play_out(game, to(1, 1))
    assert sorted(log["retries"]) == [0, 1] and (log["outcome"] == COMPLETED).all()


def test_a_drop_is_that_of_its_site_alone(tmp_path):
    world = hand_world(tmp_path / "t.csv", [(0.0, 0, 1), (0.0, 0, 1)], pool=TIGHT, max_retries=0)
    game, terms = Sites(world, [seed_with(world, 0, 1)]), np.zeros((2, 8))
    while not game.over.all():
        terms += game.step(*to(0, 0)(game)).terms
    assert sorted(terms[:, 2]) == [-1.0, 0.0] and sorted(terms[:, 1]) == [-1.0, 0.0]


def test_a_request_that_is_refused_too_often_is_dropped(tmp_path):
    world = hand_world(tmp_path / "t.csv", [(0.0, 0, 1), (0.0, 0, 1)], pool=TIGHT, max_retries=0)
    game = Sites(world, [seed_with(world, 0, 1)])
    log, paid = play_out(game, to(0, 0))
    assert sorted(log["outcome"]) == [COMPLETED, DROPPED]
    assert log["latency_ns"].max() / SECOND == pytest.approx(200.0), "two deadlines"
    assert paid.sum() == pytest.approx(-200.0 - ALONE_S)


def test_who_goes_first_moves_on_from_slot_to_slot(tmp_path):
    arrivals = [(0.0, 0, 1), (0.0, 0, 1), (5.0, 0, 1), (5.0, 0, 1), (10.0, 0, 1), (10.0, 0, 1)]
    world = hand_world(tmp_path / "t.csv", arrivals)
    game = Sites(world, [seed_with(world, 0, 1, 0, 1, 0, 1)])
    log, _ = play_out(game, to(0, 0))
    served_first = [int(log["site"][k + log["start_ns"][k : k + 2].argmin()]) for k in (0, 2, 4)]
    assert served_first == [0, 1, 0]


def test_what_waits_when_the_episode_ends_is_charged(tmp_path):
    world = hand_world(tmp_path / "t.csv", [(0.0, 0, 1), (1.0, 0, 1)], drain_s=2.0)
    game = Sites(world, [1], slot_s=50.0)
    log, paid = play_out(game, to(0, 0))
    assert log["outcome"].tolist() == [COMPLETED, UNFINISHED]
    assert log["latency_ns"][1] / SECOND == pytest.approx(200.0)
    assert paid.sum() == pytest.approx(-200.0 - ALONE_S)


def test_api_08_with_all_nodes_down_the_sites_stay_and_may_only_decline(tmp_path):
    down = tuple(Change(time_s=0.5, node=n, what="alive", value=0) for n in (0, 1))
    arrivals = [(0.0, 0, 1), (0.0, 0, 1), (0.6, 0, 1), (0.6, 0, 1)]
    world = hand_world(tmp_path / "t.csv", arrivals, timeline=down)
    game = Sites(world, [seed_with(world, 0, 1, 0, 1)])
    game.step(0, 1)
    assert game.batch.time_s[0] == pytest.approx(0.5), "what was under way is back at its site"
    for _ in range(2):
        assert game.asked == [0, 1]
        assert game.batch.mask.tolist() == [[False, False, True]] * 2
        assert (game.obs[:, :2, [ALIVE, LEGAL]] == 0).all() and (game.obs[:, :, IS_REQUEST] == 1).all()
        out = game.step(2, 2)
    assert game.over.all() and np.isfinite(out.reward).all() and np.isfinite(game.obs).all()
    assert game.batch.state.world[0]["rejected"] == 4


def test_a_site_that_reaches_no_node_may_only_decline(tmp_path):
    world = hand_world(tmp_path / "t.csv", [(0.0, 0, 1), (0.0, 0, 1)])
    seed = seed_with(world, 0, 1)
    link = world.params.link.copy()
    link["reachable"][1] = 0
    cut = world.params._replace(link=link)
    world.params = cut
    game = Sites(world, [seed])
    assert game.asked == [0, 1]
    assert game.batch.mask.tolist() == [[True, True, True], [False, False, True]]
