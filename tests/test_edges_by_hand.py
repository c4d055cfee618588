"""What happens at the very instant, in the very order, at the very limit: worlds on paper (REP-13, RUN-11)."""

import math

import numpy as np
import pytest
from helpers import Game, queue_scenario, trace_arrivals
from small_worlds import about, ns, one_node, shown_s

from edge_gym.devices import ModelType, Service
from edge_gym.errors import EdgeGymInputError
from edge_gym.kernel import random
from edge_gym.kernel.observe import FREE_MEMORY, OUTSTANDING, SLACK, SLOWDOWN, WAIT
from edge_gym.kernel.tables import COMPLETED, DROPPED, UNFINISHED
from edge_gym.scenario import Change, Churn, Drift, Law, Telemetry, Workload

MODEL = (ModelType(name="a", weights_bytes=40),)
SERVICE = (Service(device="node", model="a", per_unit_s=1.0),)
LEAVES = Change(time_s=1.0, node=0, what="alive", value=0)


def single(tmp_path, rows, **more):
    """One node that serves one request a second."""
    return Game(one_node(tmp_path, rows, MODEL, SERVICE, **more), [0])


def several(tmp_path, rows, n_nodes, **more):
    """Equal nodes that serve one request a second each."""
    arrivals = trace_arrivals(tmp_path / "t.csv", [(r, 0, 1000) for r in rows])
    return Game(queue_scenario(1.0, arrivals=arrivals, n_nodes=n_nodes, n_requests=len(rows), **more), [0])


def ends(*steps):
    """Number and end of each request, in the order of the log."""
    return [(int(entry["id"]), int(entry["finish_ns"])) for step in steps for entry in step.log]


# --- order -----------------------------------------------------------------------------------------------------------


def test_rep_13_first_come_first_served(tmp_path):
    game = single(tmp_path, [0, 0.1, 0.2, 0.3])
    steps = [game.step(0) for _ in range(4)]
    assert ends(*steps) == [(0, ns(1)), (1, ns(2)), (2, ns(3)), (3, ns(4))]


def test_rep_13_nodes_that_end_at_one_instant_end_by_number(tmp_path):
    """Forty requests at 0 s to forty nodes, in any order: all end at 1 s, by number of the node."""
    order = np.random.default_rng(3).permutation(40)
    game = several(tmp_path, [0] * 40, 40)
    steps = [game.step(int(n)) for n in order]
    log = np.concatenate([step.log for step in steps])
    assert log["finish_ns"].tolist() == [ns(1)] * 40
    assert log["node"].tolist() == list(range(40))
    assert log["id"].tolist() == np.argsort(order).tolist()


def test_rep_13_a_change_comes_before_an_end_and_an_end_before_an_arrival(tmp_path):
    """The node leaves at 1 s, when the request would be served: it is not. Without that, who comes at 1 s is served."""
    game = single(tmp_path, [0, 1.0], timeline=(LEAVES,), max_retries=1)
    step = game.step(0)
    assert len(step.log) == 0 and game.batch.state.world["now_ns"][0] == ns(1), "it is to be decided on again"
    assert game.batch.mask.tolist() == [[False, True]]
    game = single(tmp_path, [0, 1.0])
    assert ends(game.step(0)) == [(0, ns(1))] and shown_s(game, WAIT) == 0.0
    assert ends(game.step(0)) == [(1, ns(2))]


def test_rep_13_a_report_comes_before_an_arrival(tmp_path):
    """Served at 1 s, reported at 1.5 s, when the next request arrives: the router knows."""
    game = single(tmp_path, [0, 1.5], telemetry=Telemetry(age_s=0.5))
    assert len(game.step(0).log) == 1 and game.column(OUTSTANDING) == 0.0


# --- limits ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("deadline_s", "late"), [(1.0, 0), (0.999999999, 1)])
def test_a_response_at_its_deadline_is_in_time(deadline_s, late, tmp_path):
    workload = Workload(model="work", prompt_tokens=Law(), units=Law(mean=1.0), deadline_s=deadline_s)
    game = several(tmp_path, [0], 1, workloads=(workload,))
    step = game.step(0)
    assert step.log["late"].tolist() == [late] and step.out.terms[0, 1] == -late


def test_admission_is_answered_now_however_old_the_telemetry(tmp_path):
    """Two of two places are taken until 2 s; of that the router hears at 11 s and 12 s."""
    age = Telemetry(age_s=10.0)
    game = several(tmp_path, [0, 0.1, 0.2, 3.0], 1, queue_capacity=1, telemetry=age)
    game.step(0)
    game.step(0)
    assert game.batch.mask.tolist() == [[False, True]]
    game.step(1)
    assert game.batch.mask.tolist() == [[True, True]] and game.column(OUTSTANDING) == pytest.approx(2 / 10)


def test_run_11_a_request_comes_back_as_often_as_it_may_and_never_more(tmp_path):
    """Two nodes take turns to leave under the request; at the third time it is dropped."""
    changes = [(0.5, 0, 0), (0.6, 0, 1), (1.0, 1, 0), (1.1, 1, 1), (1.5, 0, 0)]
    timeline = tuple(Change(time_s=t, node=n, what="alive", value=alive) for t, n, alive in changes)
    game = several(tmp_path, [0], 2, timeline=timeline, max_retries=2)
    assert ends(game.step(0), game.step(1)) == [] and not game.over[0]
    step = game.step(0)
    assert game.over[0] and step.log["outcome"].tolist() == [DROPPED] and step.log["retries"].tolist() == [3]
    assert step.log["finish_ns"].tolist() == [ns(1.5)]


def test_run_11_what_no_node_can_ever_serve_is_refused_by_name(tmp_path):
    models = (ModelType(name="a", weights_bytes=2000),)
    with pytest.raises(EdgeGymInputError, match=r"workloads\[0\].model = 'a': .*fits into some node"):
        one_node(tmp_path, [0], models, SERVICE)


def test_run_11_what_nobody_serves_any_more_is_declined_at_one_decision_each(tmp_path):
    """The only node leaves before anybody comes: no request is tried twice, and the world ends with the last."""
    gone = Change(time_s=0.5, node=0, what="alive", value=0)
    game = single(tmp_path, [0, 1, 2, 3], timeline=(gone,))
    game.step(1)
    for k in range(1, 4):
        assert game.batch.mask.tolist() == [[False, True]] and np.isfinite(game.obs).all()
        assert ends(game.step(1)) == [(k, ns(k))]
    assert game.over[0] and game.batch.state.world["decisions"][0] == 4


def test_the_world_stops_when_the_drain_is_over(tmp_path):
    """Served at 5 s, but the last arrival was at 0 s and the drain is 3 s: unfinished at 3 s, charged two deadlines."""
    game = single(tmp_path, [0, 0, 0, 0, 0], drain_s=3.0)
    steps = [game.step(0) for _ in range(5)]
    log = np.concatenate([step.log for step in steps])
    assert log["outcome"].tolist() == [COMPLETED] * 3 + [UNFINISHED] * 2
    assert log["latency_ns"].tolist() == [ns(1), ns(2), ns(3), ns(200), ns(200)]
    assert game.batch.state.world["now_ns"][0] == ns(3)


def test_who_waited_longer_than_the_charge_is_charged_the_wait(tmp_path):
    """Deadline 1 s, charge 2 s. Behind five others, back after 5 s, dropped: 5 s."""
    leaves = Change(time_s=5.5, node=0, what="alive", value=0)
    workload = Workload(model="work", prompt_tokens=Law(), units=Law(mean=1.0), deadline_s=1.0)
    game = several(tmp_path, [0] * 7, 1, timeline=(leaves,), max_retries=0, workloads=(workload,))
    log = np.concatenate([game.step(0).log for _ in range(7)])
    assert log["outcome"].tolist() == [COMPLETED] * 5 + [DROPPED] * 2
    assert log["latency_ns"][5:].tolist() == [ns(5.5)] * 2


# --- a node that leaves ----------------------------------------------------------------------------------------------


def test_everything_that_a_node_had_not_finished_comes_back(tmp_path):
    """Way of 0.25 s, two slots. At 1 s, when node 0 leaves, 0 and 1 run, 2 and 3 wait, 4 is in the air."""
    network = one_node(tmp_path, [0], MODEL, SERVICE, network=(0.0, 0.25, 1e9)).topology
    more = {"slots": 2, "timeline": (LEAVES,), "max_retries": 5, "topology": network}
    game = several(tmp_path, [0, 0.4, 0.45, 0.5, 0.9], 2, **more)
    steps = [game.step(0) for _ in range(5)]
    assert not game.over[0] and game.batch.state.world["now_ns"][0] == ns(1)
    back = []
    while not game.over[0]:
        back.append(int(game.batch.state.job[0]["id"][game.batch.state.world["subject"][0]]))
        assert game.batch.mask.tolist() == [[False, True, True]]
        steps.append(game.step(1))
    assert back == [0, 1, 2, 3, 4]
    log = np.concatenate([step.log for step in steps])
    assert sorted(log["id"].tolist()) == back and (log["outcome"] == COMPLETED).all()
    assert (log["node"] == 1).all() and (log["retries"] == 1).all() and (log["finish_ns"] >= ns(2.5)).all()


def test_a_response_on_its_way_arrives_though_its_node_has_left(tmp_path):
    """Way of 0.25 s: there at 0.25 s, served at 1.25 s, node gone at 1.4 s, with the user at 1.5 s."""
    leaves = Change(time_s=1.4, node=0, what="alive", value=0)
    game = single(tmp_path, [0], timeline=(leaves,), network=(0.0, 0.25, 1e9))
    assert ends(game.step(0)) == [(0, ns(1.5))] and game.over[0]


def test_a_node_that_joins_has_new_software_factors(tmp_path):
    timeline = (LEAVES, Change(time_s=2.0, node=0, what="alive", value=1))
    game = single(tmp_path, [0, 0.5, 3.0], timeline=timeline, bias_sigma=0.5)
    before = float(game.batch.state.pair["bias"][0, 0, 0])
    game.step(1)
    game.step(1)
    assert before != float(game.batch.state.pair["bias"][0, 0, 0]) != 1.0


# --- what is counted and shown ---------------------------------------------------------------------------------------


def test_energy_cost_and_imbalance_by_hand(tmp_path):
    """Two nodes of 10 W idle and 110 W at work, 3.6 USD an hour while at work. Busy from 0 to 1 s and from 2 to 3 s."""
    device = {"power_idle_w": 10.0, "power_max_w": 110.0, "price_usd_per_hour": 3.6}
    game = several(tmp_path, [0, 2.0], 2, device=device)
    first, second = game.step(0), game.step(0)
    names = ("latency", "slo_miss", "drop", "stutter", "migration", "energy", "cost", "imbalance")
    terms = [dict(zip(names, step.out.terms[0].tolist(), strict=True)) for step in (first, second)]
    assert [term["energy"] for term in terms] == pytest.approx([-(2 * 20.0 + 100.0), -(20.0 + 100.0)], rel=1e-12)
    assert [term["cost"] for term in terms] == pytest.approx([-0.001, -0.001], rel=1e-12)
    # Half of the nodes busy: the standard deviation of 1 and 0 is 1/2.
    assert [term["imbalance"] for term in terms] == pytest.approx([-0.5, -0.5], rel=1e-12)


def test_columns_of_memory_and_slack_by_hand(tmp_path):
    """Memory 1,000, model 40 in use. A request that comes back at 1 s has 99 of 100 s left."""
    game = single(tmp_path, [0, 0.5], timeline=(LEAVES,), max_retries=1)
    assert game.column(FREE_MEMORY) == 1.0 and game.column(SLACK) == 1.0
    game.step(0)
    assert game.column(FREE_MEMORY) == pytest.approx(0.96)
    game.step(1)
    assert game.column(SLACK) == pytest.approx(0.99)
    assert shown_s(game, WAIT, 1) == about(199.0), "what declining is charged from now on"


def test_reports_weigh_less_and_less_down_to_the_setting(tmp_path):
    """Half speed: every report says 2. Weights 1/2, 1/3, 1/4, then 0.3: it was set."""
    slow = Change(time_s=0.0, node=0, what="speed", value=0.5)
    game = single(tmp_path, [0.5, 10, 20, 30, 40], timeline=(slow,), telemetry=Telemetry(ewma=0.3))
    expected = 1.0
    for weight in (1 / 2, 1 / 3, 0.3, 0.3):
        game.step(0)
        expected += weight * (2.0 - expected)
        assert game.column(SLOWDOWN) == pytest.approx(expected / (1.0 + expected), rel=1e-6)


def test_forecasts_are_not_the_truth(tmp_path):
    game = several(tmp_path, [float(t) for t in range(20)], 1, telemetry=Telemetry(forecast_cv=0.5))
    ratios = []
    while not game.over[0]:
        job = game.batch.state.job[0][game.batch.state.world["subject"][0]]
        ratios.append(job["forecast"] / job["units"])
        game.step(1)
    assert len(set(ratios)) == 20 and min(ratios) < 0.9 and max(ratios) > 1.1


def test_every_stream_has_a_key_of_its_own(tmp_path):
    world = single(tmp_path, [0]).batch.state.world[0]
    keys = [int(world[name]) for name in world.dtype.names if name.endswith("_key")]
    assert len(keys) >= 6 and len(set(keys)) == len(keys)


def test_an_episode_knows_nothing_of_the_one_before(tmp_path):
    """Left in the middle of its work, it begins again exactly as in a new world."""
    rows = [0, 0.1, 0.2, 0.3, 0.4]
    more = {
        "slots": 2,
        "telemetry": Telemetry(age_s=0.3),
        "timeline": (Change(time_s=0.15, node=0, what="speed", value=0.5),),
    }
    game, fresh = single(tmp_path, rows, **more), single(tmp_path, rows, **more)
    for _ in range(3):
        game.step(0)
    game.batch.reset(np.ones(1, bool), game.obs)
    for _ in range(4):
        assert game.obs.tobytes() == fresh.obs.tobytes() and (game.batch.mask == fresh.batch.mask).all()
        game.step(0)
        fresh.step(0)


# --- regimes ---------------------------------------------------------------------------------------------------------


def draws_of(stream, index):
    """Uniform draw of a stream of node 0 of the world with seed 0."""
    key = np.uint64(random.stream_key(np.uint64(0), stream, 0))
    return float(random.uniform(key, index))


def test_stays_up_and_down_are_what_their_draws_say(tmp_path):
    """Draw 1 is the first stay up, 10 s in the mean; draw 2 the stay down that follows, 2 s in the mean."""
    churn = Churn(share=1.0, up_mean_s=10.0, down_mean_s=2.0)
    game = single(tmp_path, [float(k) for k in range(60)], churn=churn)
    expected, at = [], 0.0
    for k in range(1, 5):
        at += -math.log(draws_of(random.CHURN, k)) * (10.0 if k % 2 else 2.0)
        expected.append(at)
    seen = []
    while not game.over[0]:
        due = int(game.batch.state.regime["churn_ns"][0, 0])
        seen += [] if due in seen else [due]
        game.step(1)
    for at in (one for one in expected if one < 59.0):
        assert min(abs(due - ns(at)) for due in seen) <= 4, "each stay is rounded to a nanosecond"


def test_how_deep_a_slow_down_goes_is_what_its_draws_say(tmp_path):
    """Logarithmically uniform between a tenth and a half: draw 4 of the node's first cycle."""
    drift = Drift(
        share=1.0, gap_mean_s=2.0, hold_mean_s=500.0, ramp_s=1.0, speed_low=0.1, speed_high=0.5, outage_share=0.0
    )
    game = single(tmp_path, [float(k) for k in range(60)], drift=drift)
    while not game.over[0]:
        game.step(1)
    depth = 0.1 * 5.0 ** draws_of(random.DRIFT, 4)
    assert game.batch.state.regime["depth"][0, 0] == pytest.approx(depth, rel=1e-12)
    assert game.batch.state.node["speed"][0, 0] == pytest.approx(depth, rel=1e-12)
