"""Policies that migrate agents decide as their rules say, and nobody is better than the bound."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from edge_baselines.agents import follow_bound, movers, movers_tuned
from edge_baselines.agents.distance_mdp import fit
from edge_baselines.agents.follow_bound_life import Lives
from edge_baselines.agents.follow_bound_path import Course, completion
from edge_baselines.agents.handovers import Handovers, hops
from edge_baselines.agents.horizon_program import Program, solve
from helpers import NO_NETWORK

from edge_gym import policy
from edge_gym.agency import Agency
from edge_gym.bounds import BOUNDS
from edge_gym.devices import DeviceType, ModelType, Service
from edge_gym.envs.batch import Batch
from edge_gym.errors import EdgeGymInputError
from edge_gym.evaluation.evaluate import evaluate
from edge_gym.kernel.build import World
from edge_gym.policy import Context
from edge_gym.privileged import foreknow_agents
from edge_gym.scenario import Arrivals, Change, Churn, Law, Pool, RewardWeights, Scenario, Topology, Workload
from edge_gym.scenario.agents import AgentRole, Applications, Migration, Mobility
from edge_gym.scenario.presets import preset

NAMES = tuple(
    name for name, target in policy.POLICIES.items() if str(target).startswith("edge_baselines.agents.movers")
)
SHORT = {"horizon_s": 40.0}
PRESETS = ("commute-16", "roam-24", "failing-16")


def lonely(**fields) -> Scenario:
    """One agent that is asked seldom, two sites with a node each, nodes that serve one request at a time."""
    device = DeviceType(
        name="box", memory_bytes=10**10, storage_bytes_per_s=1e9, nic_bytes_per_s=1e8, slots=1, price_usd_per_hour=1.0
    )
    apps = Applications(at_start=1, most=1, size=Law(mean=1.0), most_agents=1)
    tokens = Law(kind="lognormal", mean=100.0, cv=1.0, minimum=1.0, maximum=1000.0)
    parts = {
        "name": "lonely",
        "task": "migration",
        "devices": (device, replace(device, name="slow")),
        "models": (ModelType(name="work", weights_bytes=10**6),),
        "services": tuple(
            Service(device=name, model="work", per_unit_s=s) for name, s in (("box", 0.001), ("slow", 0.002))
        ),
        "pool": Pool(device_types=("box", "slow"), n_nodes=4, preload="all_that_fit"),
        "workloads": (Workload(model="work", prompt_tokens=Law(mean=10.0), units=tokens, deadline_s=5.0),),
        "arrivals": Arrivals(kind="none"),
        "topology": Topology(kind="ring", n_sites=2, link_delay_s=0.05, link_bandwidth_bytes_per_s=1e7),
        "weights": RewardWeights(latency=1.0, cost=1000.0),
        "roles": (AgentRole(name="one", model="work", rate_per_s=0.05, memory_bytes=1e6, image_bytes=1e6),),
        "applications": apps,
        "migration": Migration(review_s=10.0),
        "horizon_s": 200.0,
    }
    return Scenario(**{**parts, **fields})


def figures(rows, metric: str) -> np.ndarray:
    return np.array([row[metric] for row in rows])


@pytest.fixture(scope="module")
def played():
    """Scenario -> name -> rows of two seeds."""
    scenarios = [replace(preset(f"migration/{name}"), **SHORT) for name in PRESETS]
    names = [*NAMES, "nearest", "random", "follow_bound"]
    rows = evaluate(names, "migration", scenarios, (7, 8)).rows
    return {
        one: {name: [row for row in rows if row["scenario"] == one and row["policy"] == name] for name in names}
        for one in PRESETS
    }


def test_nobody_beats_the_bound(played):
    for one, by_name in played.items():
        bound = by_name.pop("follow_bound")
        for name, rows in by_name.items():
            assert (figures(rows, "latency_mean_s") >= figures(bound, "latency_mean_s")).all(), (one, name)
            assert (figures(rows, "return") <= figures(bound, "return")).all(), (one, name)
        by_name["follow_bound"] = bound
        assert (figures(bound, "return") > 2.0 * figures(by_name["never"], "return")).all(), "of use at all"


def test_policies_differ_as_their_rules_say(played):
    rows = played["commute-16"]
    moves = {name: figures(found, "agents.moves").mean() for name, found in rows.items() if name != "follow_bound"}
    way = {
        name: figures(found, "agents.transfer_mean_s").mean() for name, found in rows.items() if name != "follow_bound"
    }
    assert moves["never"] == 0 < min(moves[name] for name in NAMES if name != "never")
    assert moves["always_follow"] == moves["nearest"]
    assert way["always_follow"] == min(way[name] for name in NAMES)
    for name in set(NAMES) - {"never", "always_follow"}:
        assert figures(rows[name], "return").mean() > figures(rows["never"], "return").mean(), name


def test_bound_is_exact_for_an_agent_alone():
    """Nothing that was relaxed bites: one agent, one node it stays on, requests far apart."""
    scenario = lonely(
        pool=replace(lonely().pool, n_nodes=1, device_types=("box",)),
        roles=(replace(lonely().roles[0], rate_per_s=0.02),),
    )
    rows = evaluate(["never", "follow_bound"], "migration", scenario, range(5)).rows
    played, bound = rows[:5], rows[5:]
    np.testing.assert_allclose(figures(bound, "latency_mean_s"), figures(played, "latency_mean_s"), atol=2e-6)
    np.testing.assert_allclose(figures(bound, "return"), figures(played, "return"), rtol=1e-4)


@pytest.mark.parametrize("kind", ["commute", "markov"])
def test_bound_is_near_the_best_that_moves(kind):
    scenario = lonely(mobility=Mobility(kind=kind, dwell_mean_s=30.0, hop_s=1.0))
    names = ["never", "always_follow", "myopic", "random", "follow_bound"]
    rows = evaluate(names, "migration", scenario, range(20)).rows
    by_name = {name: figures([row for row in rows if row["policy"] == name], "return") for name in names}
    best = np.max([by_name[name] for name in names[:-1]], axis=0)
    assert (best <= by_name["follow_bound"]).all()
    assert best.sum() >= 1.25 * by_name["follow_bound"].sum()


@pytest.mark.parametrize(
    "fields",
    [
        {"churn": Churn(share=1.0, up_mean_s=20.0, down_mean_s=5.0)},
        {"timeline": (Change(time_s=20.0, node=0, what="speed", value=0.1),)},
        {"bias_sigma": 1.0},
        {"pool": Pool(device_types=("box", "slow"), n_nodes=4, preload="none")},
        {"roles": (AgentRole(name="busy", model="work", rate_per_s=5.0, memory_bytes=1e6, image_bytes=1e8),)},
        {"migration": Migration(mode="full", review_s=5.0, context_tokens=300)},
        {"arrivals": Arrivals(rate_per_s=0.5)},
        {"applications": Applications(applications_per_s=0.1, most=3, size=Law(mean=3.0), lifetime_mean_s=30.0)},
        {"task": "joint"},
        {"topology": NO_NETWORK},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_bound_holds_in_odd_worlds(fields):
    scenario = lonely(mobility=Mobility(kind="markov", dwell_mean_s=10.0), **fields)
    names = ["never", "myopic", "random"] if scenario.task == "migration" else ["nearest", "random"]
    rows = evaluate([*names, "follow_bound"], scenario.task, scenario, range(20)).rows
    bound = [row for row in rows if row["bound"]]
    for name in names:
        mine = [row for row in rows if row["policy"] == name]
        assert (figures(mine, "return") <= figures(bound, "return")).all(), name
        asked = [k for k, row in enumerate(bound) if row["latency_mean_s"] is not None]
        for k in asked:
            assert mine[k]["latency_mean_s"] >= bound[k]["latency_mean_s"], name


class Park(movers.Never):
    """Lets lost agents live nowhere."""

    def act(self, obs, action_mask, context):
        return np.full(len(obs), action_mask.shape[1] - 1)


ONE_NODE = Pool(device_types=("box",), n_nodes=1, preload="all_that_fit")
SELDOM = (AgentRole(name="one", model="work", rate_per_s=0.005, memory_bytes=1e6, image_bytes=1e6),)
DEAR = RewardWeights(latency=1.0, cost=1e8)
SHARP = {  # each of these is beaten by a bound that leaves out one of its cases
    "nobody has to serve": {"weights": DEAR, "timeline": (Change(time_s=20.0, node=0, what="alive", value=0),)},
    "who is lost pays nothing": {
        "pool": ONE_NODE,
        "roles": SELDOM,
        "weights": DEAR,
        "timeline": tuple(Change(time_s=t, node=0, what="alive", value=v) for t, v in ((50.0, 0), (150.0, 1))),
    },
    "who is lost may start again": {
        "migration": Migration(review_s=10.0, state_bytes=1e10),
        "pool": replace(ONE_NODE, n_nodes=2),
        "timeline": (Change(time_s=0.5, node=0, what="alive", value=0),),
    },
}


@pytest.mark.parametrize("name", SHARP)
def test_bound_holds_where_it_is_sharp(name):
    scenario = lonely(**SHARP[name])
    names = ["never", "always_follow", "myopic", "random", Park()]
    names[-1].name = "park"
    rows = evaluate([*names, "follow_bound"], "migration", scenario, range(30)).rows
    bound = figures(rows[-30:], "return")
    best = figures(rows[:-30], "return").reshape(-1, 30).max(axis=0)
    assert (best <= bound).all()
    assert (best >= 2.0 * bound).any(), "it is sharp"


@pytest.mark.parametrize("limit", [8192, 300])
def test_agents_remember_no_less_than_the_bound_takes(limit):
    scenario = preset("migration/commute-16")
    scenario = replace(scenario, **SHORT, migration=replace(scenario.migration, context_tokens=limit))
    world = World(scenario)
    lives = Lives(world, foreknow_agents(world, 5))
    batch = Batch(world, 1, "migration")
    batch.roots[:] = 5
    batch.reset(np.ones(1, bool), batch.empty_obs())
    done, checked = False, 0
    while not done:
        now_s = float(batch.time_s[0])
        for agent in batch.state.agent[0][:: 1 + checked % 7]:
            asked = lives.known.asked[lives.known.asked["serial"] == agent["serial"]]
            points_s = np.concatenate([[0.0], asked["arrive_ns"] / 1e9, [now_s]])
            charge_s = float(lives._charge_s(int(agent["model"])))
            context, messages = lives._grown(points_s, asked, charge_s)
            assert context[-1] <= agent["context"]
            assert messages[-1] <= agent["messages"]
        checked += 1
        done = bool(batch.step(np.array([batch.noop]), np.zeros(1, bool)).done[0])
    assert checked > 50


def test_bound_wants_agents():
    with pytest.raises(EdgeGymInputError):
        follow_bound.bound("commute-99", 1)
    with pytest.raises(EdgeGymInputError):
        follow_bound.bound(preset("toy2"), 1)
    assert "follow_bound" in BOUNDS


def test_completion_by_hand():
    """One node: half speed until 10 s, away until 20 s, then nominal with another software factor."""
    course = Course(
        first=np.array([0, 3]),
        time_s=np.array([0.0, 10.0, 20.0]),
        speed=np.array([0.5, 0.0, 1.0]),
        stay=np.array([0, -1, 1]),
        bias=np.array([[1.0], [1.0], [2.0]]),
    )
    assert completion(course, 0, 0, 2.0, 1.0, 0.5, 9.0) == 1.5 + 4.0
    assert completion(course, 0, 0, 4.0, 5.0, 0.0, 0.7) == 10.7  # lost, and served elsewhere
    assert completion(course, 0, 0, 4.0, 5.0, 0.0, 99.0) == 28.0  # lost, and served after the node is back
    assert completion(course, 0, 0, 4.0, 12.0, 0.0, 1.0) == 28.0
    assert completion(course, 0, 0, 1.0, 30.0, 1.0, 0.0) == 33.0


def test_foreknowledge_is_what_happens():
    scenario = replace(preset("migration/failing-16"), **SHORT)
    world = World(scenario)
    known = foreknow_agents(world, 3)
    rows = evaluate(["never", "random"], "migration", scenario, [3]).rows
    assert [row["requests"] for row in rows] == [len(known.asked)] * 2
    assert rows[0]["agents.handovers"] == len(known.way) - len(np.unique(known.way["application"]))
    homes = follow_bound.first_homes(world, 3)
    batch = Batch(world, 1, "migration")
    batch.roots[:] = 3
    batch.reset(np.ones(1, bool), batch.empty_obs())
    there = Agency(batch).roster(0)
    assert len(homes) == len(there) == len(known.crew)
    assert [homes[int(serial)] for serial in known.crew["serial"]] == there["node"].tolist()


def test_policies_repeat_and_do_not_hang_on_the_batch():
    scenario = replace(preset("migration/failing-16"), **SHORT)
    rows = [evaluate(list(NAMES), "migration", scenario, (3, 4), batch_size=n).rows for n in (2, 1)]
    for one, other in zip(*rows, strict=True):
        assert one["return"] == other["return"], one["policy"]


def test_lost_agents_go_home():
    scenario = replace(preset("migration/failing-16"), **SHORT)
    for row in evaluate(list(NAMES), "migration", scenario, [5]).rows:
        assert row["agents.lost"] > 0
        assert row["rejected"] == 0, row["policy"]
        assert row["drop_share"] < 0.05, row["policy"]


def test_hysteresis_stays_within_its_margin():
    view = movers.View(
        settled=np.ones(3, bool),
        host=np.zeros(3, np.int64),
        legal=np.array([[False, True]] * 3),
        rate=np.ones(3),
        lived_s=np.array([20.0, 20.0, 1.0]),
        start_s=np.zeros((3, 2)),
        network_s=np.zeros((3, 2)),
        cost=np.ones((3, 2)),
        running=np.array([[1.0, 0.7], [1.0, 0.9], [1.0, 0.7]]),
        moving=np.zeros((3, 2)),
    )
    costs = movers.Hysteresis(margin=0.2, dwell_s=10.0).costs(view, None)
    assert (costs[:, 1] < costs[:, 0]).tolist() == [True, False, False]


def test_hops_and_handovers():
    ring = np.array([[0, 1, 3, 3], [0, 1, 2, 2], [1, 1, 2, 3], [0, 0, 2, 3]])  # next site on a ring of four
    assert hops(ring)[0].tolist() == [0, 1, 2, 1]

    class Users:
        hop = ring
        site = 0

        def users(self):
            return np.array([[5]]), np.array([[self.site]])

    seen, users = Handovers(1, dwell_s=1000.0, prior=0.01), Users()
    for k in range(40):
        users.site = k % 2
        always = np.ones(1, bool)
        seen.see(Context(time_s=None, dt_s=np.array([10.0]), begun=always & (k == 0), active=always, ended_row=None,
                         ended=None, agency=users))  # fmt: skip
    ahead = seen.ahead(10.0)[0]
    np.testing.assert_allclose(ahead.sum(axis=1), 1.0)
    assert ahead[0, 1] == pytest.approx(0.5 * (1 - np.exp(-2.0)), abs=0.1)  # stays of 10 s, mostly from 0 to 1 and back


def test_curve_is_found_again():
    distance = np.tile(np.arange(6), (2, 1))
    curve = fit(distance, 0.3 + 0.2 * 0.5**distance)
    assert np.allclose(curve.at(distance), 0.3 + 0.2 * 0.5**distance, atol=1e-9)


def program(**fields) -> Program:
    """Two agents on node 0, of three: node 1 is better for both but has room for one; they talk."""
    parts = {
        "node": np.array([[0, 1, 2]] * 2),
        "running": np.array([[[3.0], [1.0], [2.5]], [[3.0], [1.5], [2.0]]]).repeat(2, axis=2),
        "moving": np.array([[0.0, 0.5, 0.5]] * 2),
        "load": np.full((2, 3), 0.5),
        "memory": np.ones(2),
        "load_before": np.zeros(3),
        "load_limit": np.array([1.0, 0.6, 0.6]),
        "memory_free": np.full(3, 10.0),
        "crowd_cost": 0.0,
        "pair": np.zeros((0, 2), np.int64),
        "talk": np.zeros((0, 3, 3)),
    }
    return Program(**{**parts, **fields})


def test_program_by_hand():
    assert solve(program(), 0.0, 100).tolist() == [1, 2]
    assert solve(program(load_limit=np.ones(3)), 0.0, 100).tolist() == [1, 1]
    assert solve(program(memory_free=np.array([10.0, 0.5, 0.5])), 0.0, 100).tolist() == [0, 0]
    assert solve(program(moving=np.array([[0.0, 9.0, 9.0]] * 2)), 0.0, 100).tolist() == [0, 0]
    apart = 9.0 * (1.0 - np.eye(3))
    assert solve(program(pair=np.array([[1, 0]]), talk=apart[None]), 0.0, 100).tolist() == [0, 0]
    assert solve(program(load_limit=np.ones(3), crowd_cost=9.0), 0.0, 100).tolist() == [1, 2]


def test_settings_are_those_that_were_found():
    file = movers_tuned.read_settings()
    assert set(file["settings"]) == set(movers_tuned.CLASSES) == set(file["found_by"])
    for name, settings in file["settings"].items():
        made = policy.make_policy(name)
        assert {key: getattr(made, key) for key in settings} == settings
        assert file["found_by"][name]["tuned"] <= file["found_by"][name]["published"]


def test_search_writes_settings(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parent.parent / "scripts"))
    import tune_movers

    monkeypatch.setattr(tune_movers, "SPACES", {"lyapunov": tune_movers.SPACES["lyapunov"]})
    out = tmp_path / "found.json"
    assert tune_movers.main(["--scenarios", "commute-16", "--draws", "2", "--episodes", "1", "--out", str(out)]) == 0
    found = json.loads(out.read_text())
    assert found["found_by"]["lyapunov"]["tuned"] <= found["found_by"]["lyapunov"]["published"]


def test_ski_rental_waits_for_the_cost_of_a_move():
    """Who is more patient moves later, so less often."""
    scenario = replace(preset("migration/commute-16"), **SHORT)
    from edge_baselines.agents.online import SkiRental

    moves = []
    for patience in (0.0, 1.0, 30.0, 1e9):
        made = SkiRental(patience=patience)
        made.name = "ski"
        moves.append(evaluate([made], "migration", scenario, [4]).rows[0]["agents.moves"])
    assert moves == sorted(moves, reverse=True)
    assert moves[0] > moves[-1] == 0
