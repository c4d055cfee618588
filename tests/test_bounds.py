"""The bound is below everything that can be done, the clairvoyant policy is near the best, and both enter results."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from edge_baselines import clairvoyant
from helpers import NO_NETWORK, Game, RandomLegal, queue_scenario, trace_arrivals

from edge_gym import bounds, policy
from edge_gym.devices import DeviceType, ModelType, Service
from edge_gym.errors import EdgeGymError, EdgeGymInputError
from edge_gym.evaluation import shards
from edge_gym.evaluation.evaluate import evaluate
from edge_gym.evaluation.metrics import METRICS
from edge_gym.kernel.build import World
from edge_gym.kernel.tables import SECOND
from edge_gym.privileged import foreknow
from edge_gym.scenario import Arrivals, Change, Churn, Drift, Law, Pool, Scenario, Workload
from edge_gym.scenario.presets import PRESETS, preset

SMALL = {"scenario": "stationary", "n_nodes": 4, "n_requests": 30}
PLAYED = [
    pytest.param(name, marks=pytest.mark.slow if "1000" in name else ())
    for name in PRESETS
    if name.startswith("routing/")
]
SHIPPED = sorted(
    name
    for name, target in policy.POLICIES.items()
    if str(target).startswith("edge_baselines.") and str(target).split(".")[1] not in ("agents", "antllm")
)


def toy(**fields) -> Scenario:
    return replace(preset("toy2"), **fields)


def crowded(**fields) -> Scenario:
    """Two nodes of three slots; one model hardly crowds, the other takes the node for itself."""
    device = DeviceType(name="fast", memory_bytes=10**9, storage_bytes_per_s=1e9, nic_bytes_per_s=1e9, slots=3)
    work = Law(kind="lognormal", mean=100.0, cv=1.0, minimum=1.0, maximum=1000.0)
    speeds = {"fast": 0.01, "slow": 0.015}
    return Scenario(
        name="crowded",
        devices=(device, replace(device, name="slow", slots=2)),
        models=(ModelType(name="light", weights_bytes=10**6), ModelType(name="heavy", weights_bytes=10**6)),
        services=tuple(
            Service(device=name, model=model, per_unit_s=s * longer, gain=gain)
            for name, s in speeds.items()
            for model, longer, gain in (("light", 1.0, 10.0), ("heavy", 3.0, 1.0))
        ),
        pool=Pool(device_types=("fast", "slow"), n_nodes=2, queue_capacity=10, preload="all_that_fit"),
        workloads=tuple(
            Workload(model=model, prompt_tokens=Law(mean=0.0), units=work, deadline_s=10.0, share=share)
            for model, share in (("light", 0.7), ("heavy", 0.3))
        ),
        topology=NO_NETWORK,
        **{"n_requests": 7, "arrivals": Arrivals(rate_per_s=3.0), **fields},
    )


DOWN = (Change(time_s=1.5, node=0, what="alive", value=0), Change(time_s=4.0, node=0, what="alive", value=1))
SLOWED = (Change(time_s=1.0, node=0, what="speed", value=0.2), Change(time_s=5.0, node=0, what="speed", value=3.0))
SMALL_WORLDS = {
    "toy": toy(n_requests=7),
    "toy_busy": toy(n_requests=7, arrivals=Arrivals(rate_per_s=3.0)),
    "toy_down": toy(n_requests=7, timeline=DOWN),
    "toy_slowed": toy(n_requests=7, timeline=SLOWED),
    "toy_loads": toy(n_requests=7, pool=replace(toy().pool, preload="none")),
    "toy_bias": toy(n_requests=7, bias_sigma=0.8),
    "toy_cheap": toy(n_requests=7, arrivals=Arrivals(rate_per_s=8.0), drop_charge_deadlines=1.0, horizon_s=50.0),
    "crowded": crowded(),
    "crowded_busy": crowded(arrivals=Arrivals(rate_per_s=20.0)),
    "crowded_down": crowded(timeline=DOWN),
    "crowded_churn": crowded(churn=Churn(share=1.0, up_mean_s=2.0, down_mean_s=0.5, slow_start_s=1.0)),
    "crowded_drift": crowded(drift=Drift(share=1.0, gap_mean_s=1.0, hold_mean_s=1.0, ramp_s=0.5)),
}


def best_of_all(scenario: Scenario, seed: int) -> float:
    """Least mean latency over every list of choices for the first requests, declining included."""
    world = World(scenario)
    plans = np.array(list(itertools.product(range(world.n_nodes + 1), repeat=scenario.n_requests)))
    game, decline = Game(world, [seed] * len(plans)), world.n_nodes
    ids = np.arange(len(plans))
    while not game.over.all():
        state = game.batch.state
        subject = state.job[ids, np.maximum(state.world["subject"], 0)]
        wanted = plans[ids, subject["id"]]
        # Asked again, or not allowed: the other node, so that every list is one of the policies that exist.
        wanted = np.where(subject["retries"] % 2 == 1, (wanted + 1) % decline, wanted)
        other = np.where(game.batch.mask[:, :-1].any(1), game.batch.mask[:, :-1].argmax(1), decline)
        game.advance(np.where(game.batch.mask[ids, wanted], wanted, other))
    return float(game.batch.state.world["latency_total_ns"].min() / SECOND / scenario.n_requests)


@pytest.fixture(scope="module")
def small():
    """(name, seed) -> best of all, bound, each alone, lookahead; mean latencies in seconds."""
    found = {}
    for name, scenario in SMALL_WORLDS.items():
        for seed in (1, 2):
            found[name, seed] = (
                best_of_all(scenario, seed),
                clairvoyant.lower_bound(scenario, seed),
                clairvoyant.lower_bound(scenario, seed, steps=0),
                evaluate("lookahead", "routing", scenario, [seed]).rows[0]["latency_mean_s"],
            )
    return found


def test_bound_is_below_brute_force(small):
    for case, (best, bound, alone, ahead) in small.items():
        assert alone <= bound <= min(best, ahead), case


def test_bound_is_near_brute_force(small):
    """Nodes that serve one request at a time are nearly exact; crowding, and requests lost with a node, are not."""
    for (name, seed), (best, bound, *_) in small.items():
        exact = name.startswith("toy") and "down" not in name
        assert bound >= (0.96 if exact else 0.6) * best, (name, seed)


def test_lookahead_is_near_brute_force(small):
    """A local optimum: in most worlds the best of all."""
    gap = np.array([ahead / best for best, _, _, ahead in small.values()])
    assert gap.min() >= 1.0 - 1e-12
    assert np.median(gap) <= 1.0 + 1e-9
    assert (gap <= 1.01).mean() >= 0.7
    assert gap.mean() <= 1.03


def at_once(tmp_path, n: int, **fields) -> Scenario:
    """`n` requests of one second each at time 0, on one node."""
    arrivals = trace_arrivals(tmp_path / "trace.csv", [(0.0, 0, 1000)] * n)
    return queue_scenario(1.0, law=Law(kind="constant", mean=1000), n_requests=n, arrivals=arrivals, **fields)


def test_bound_of_one_request_is_its_latency(tmp_path):
    assert clairvoyant.lower_bound(at_once(tmp_path, 1), 0) == pytest.approx(1.0, abs=2e-6)


def test_bound_of_one_request_on_a_node_that_slows(tmp_path):
    """0.25 s at full speed, then 0.75 s of work at half speed."""
    slows = (Change(time_s=0.25, node=0, what="speed", value=0.5),)
    assert clairvoyant.lower_bound(at_once(tmp_path, 1, timeline=slows), 0) == pytest.approx(1.75, abs=2e-6)


def test_bound_of_one_request_whose_node_leaves(tmp_path):
    """It comes back when no node is up, and has to be declined: two deadlines of 10 s."""
    away = (Change(time_s=0.5, node=0, what="alive", value=0), Change(time_s=3.0, node=0, what="alive", value=1))
    scenario = at_once(tmp_path, 1, timeline=away)
    soon = replace(scenario, workloads=(replace(scenario.workloads[0], deadline_s=10.0),))
    assert clairvoyant.lower_bound(soon, 0) == pytest.approx(20.0, abs=2e-6)
    assert evaluate("jsq", "routing", soon, [0]).rows[0]["latency_mean_s"] == pytest.approx(20.0)


def test_bound_of_one_request_in_a_network():
    """The least of way there, service and way back over all nodes, which trying all of them finds as well."""
    scenario = preset("stationary").with_overrides(n_requests=1)
    for seed in range(5):
        assert clairvoyant.lower_bound(scenario, seed) == pytest.approx(best_of_all(scenario, seed), abs=2e-6)


def test_bound_of_one_request_that_is_sent_again(tmp_path):
    """Node 0 leaves at 0.5 s for good, node 1 is away until 0.4 s: done at 0.5 s and one second of work."""
    away = [(0.0, 1, 0), (0.4, 1, 1), (0.5, 0, 0)]
    changes = tuple(Change(time_s=time_s, node=node, what="alive", value=up) for time_s, node, up in away)
    scenario = at_once(tmp_path, 1, timeline=changes, n_nodes=2)
    assert clairvoyant.lower_bound(scenario, 0) == pytest.approx(1.5, abs=2e-6)


def test_bound_of_one_request_that_waits_for_its_model(tmp_path):
    device = {"storage_bytes_per_s": 1.0}
    scenario = at_once(tmp_path, 1, device=device)
    cold = replace(scenario, pool=replace(scenario.pool, preload="none"))
    load_s = World(cold).params.service[0, 0]["load_ns"] / SECOND
    assert load_s >= 1.0
    assert clairvoyant.lower_bound(cold, 0) == pytest.approx(1.0 + load_s, abs=2e-6)


def test_bound_of_a_request_is_at_most_its_charge(tmp_path):
    scenario = at_once(tmp_path, 1)
    soon = replace(scenario, workloads=(replace(scenario.workloads[0], deadline_s=0.1),))
    assert clairvoyant.lower_bound(soon, 0) == pytest.approx(0.2, abs=2e-6)


@pytest.mark.parametrize(("slots", "gain", "best"), [(1, 1.0, 1.5), (2, 1.0, 1.5), (2, 1e6, 1.0)])
def test_bound_of_two_at_once(tmp_path, slots, gain, best):
    """One after the other: 1 s and 2 s, which a relaxation may do also where the world would share; or side by side."""
    found = clairvoyant.lower_bound(at_once(tmp_path, 2, slots=slots, gain=gain), 0)
    assert 0.97 * best <= found <= best + 1e-9


def test_bound_counts_slots(tmp_path):
    """Six on two slots that do not disturb each other end at 1, 1, 2, 2, 3, 3 s."""
    found = clairvoyant.lower_bound(at_once(tmp_path, 6, slots=2, gain=1e6), 0)
    assert 0.93 * 2.0 <= found <= 2.0


@pytest.mark.parametrize("name", PLAYED)
def test_bound_is_below_every_shipped_policy(name):
    n_requests = 30 if "1000" in name else 60
    scenario = preset(name)
    scenario = scenario.with_overrides(n_requests=min(n_requests, scenario.n_requests or n_requests))
    rows = evaluate([*SHIPPED, "clairvoyant"], "routing", scenario, (7, 8)).rows
    bound = {row["seed"]: row["latency_mean_s"] for row in rows if row["bound"]}
    assert len(bound) == 2
    assert all(0.0 < bound[row["seed"]] <= row["latency_mean_s"] for row in rows)


def test_lookahead_is_better_than_the_oracle():
    names = ("lookahead", "oracle")
    for name in ("stationary", "drift", "churn"):
        rows = evaluate(names, "routing", name, range(4), n_requests=100).rows
        mean = {
            p: np.mean([row["latency_mean_s"] for row in rows if row["policy"] == p]) for p in ("lookahead", "oracle")
        }
        assert mean["lookahead"] < 0.99 * mean["oracle"], name


def test_lookahead_does_not_depend_on_the_batch():
    whole = evaluate("lookahead", seeds=range(3), **SMALL).rows
    assert [evaluate("lookahead", seeds=[seed], **SMALL).rows[0] for seed in range(3)] == whole


@pytest.mark.parametrize("name", ["drift", "churn"])
def test_what_is_foreknown_happens(name):
    """Requests, speeds, presences and software factors of a world that a random policy plays are as recorded."""
    world = World(preset(name).with_overrides(n_requests=400))
    known, played = foreknow(world, 5), RandomLegal([5])
    game, seen = Game(world, [5]), 0
    while not game.over.all():
        state = game.batch.state
        now, job = state.world["now_ns"][0], state.job[0, state.world["subject"][0]]
        if job["retries"] == 0:
            asked = known.asked[job["id"]]
            assert all(asked[field] == job[field] for field in ("arrive_ns", "site", "model", "prompt", "units"))
            seen += 1
        for n in range(world.n_nodes):
            rows = np.flatnonzero((known.stretch["node"] == n) & (known.stretch["time_ns"] <= now))
            expected, node = known.stretch[rows[-1]], state.node[0, n]
            assert all(expected[field] == node[field] for field in ("speed", "alive", "incarnation"))
            assert (known.bias[rows[-1]] == state.pair[0, n]["bias"]).all()
        game.advance(played(game.obs, game.batch.mask))
    assert seen == len(known.asked) == 400
    assert (known.stretch["speed"] < 1.0).any() or (known.stretch["alive"] == 0).any()
    assert known.end_s * SECOND >= known.asked["arrive_ns"][-1] + 180 * SECOND


def test_no_mix_carries_more_than_it_is_sold_for():
    """The dearest mix of the tables is at least what any mix of all models earns, by the law of docs/design.md."""
    rng = np.random.default_rng(0)
    crowding = np.array([0.045, 0.4, 0.9, 1.0])
    for slots in (1, 2, 5):
        priced = np.array([0, 3])
        count, rate = clairvoyant._mixes_of(slots, crowding[priced])
        for _ in range(300):
            a, b = rng.random(4) * 5, rng.random(4)
            a[[1, 2]] = b[[1, 2]] = 0.0
            dearest = max(0.0, (rate @ a[priced] - count @ b[priced]).max())
            running = rng.integers(0, 4, rng.integers(1, slots + 1))
            x = 1.0 / (1.0 + crowding[running].sum() - crowding[running])
            assert (a[running] * x - b[running]).sum() <= dearest + 1e-12


def test_stretches_of_many_slots_are_never_too_dear_a_promise():
    """With more slots than are counted out, each number of requests has a row that counts less and serves more."""
    count, rate = clairvoyant._mixes_of(5000, np.array([0.03]))
    assert len(count) <= clairvoyant.MAX_MIXES
    for k in range(1, 5001):
        row = np.searchsorted(count[:, 0], k, side="right") - 1
        assert count[row, 0] <= k
        assert rate[row, 0] >= k / (1.0 + (k - 1) * 0.03) - 1e-9


def test_bound_of_nothing():
    scenario = toy(n_requests=None, horizon_s=1e-6)
    assert clairvoyant.lower_bound(scenario, 0) == 0.0
    assert clairvoyant.bound(scenario, 0) == {"latency_mean_s": None}


def test_bound_refuses_bad_seeds():
    with pytest.raises(EdgeGymInputError, match="seed"):
        clairvoyant.lower_bound("toy2", -1)


# --- bounds in results ------------------------------------------------------------------------------------------------


@pytest.fixture
def registry(monkeypatch):
    mine = dict(bounds.BOUNDS)
    monkeypatch.setattr(bounds, "BOUNDS", mine)
    monkeypatch.setattr(shards, "BOUNDS", mine)
    return mine


def test_rows_of_a_bound():
    found = evaluate(["clairvoyant", "oracle"], seeds=range(3), **SMALL)
    rows = [row for row in found.rows if row["policy"] == "clairvoyant"]
    assert [row["seed"] for row in rows] == [0, 1, 2]
    assert all(row["bound"] and row["privileged"] for row in rows)
    assert all(row[name] is None for row in rows for name in METRICS if name != "latency_mean_s")
    assert not any(row["bound"] for row in found.rows if row["policy"] == "oracle")
    bound, oracle = found.summary()["rows"]
    ratio = bound["metrics"]["latency_ratio_oracle"]["mean"]
    means = [row["metrics"]["latency_mean_s"]["mean"] for row in (bound, oracle)]
    assert ratio == pytest.approx(means[0] / means[1])
    assert ratio < 1.0
    assert "clairvoyant* (bound)" in str(found)
    assert "oracle*" in str(found)


def test_bounds_are_the_same_however_they_are_run(monkeypatch):
    whole = evaluate("clairvoyant", seeds=range(4), **SMALL).rows
    monkeypatch.setattr(shards, "SHARD", 2)
    assert evaluate(["jsq", "clairvoyant"], seeds=[3, 1, 0, 2], **SMALL).rows[4:] == whole
    assert evaluate("clairvoyant", seeds=range(4), batch_size=1, **SMALL).rows == whole


def test_a_bound_is_resumed(tmp_path, registry, monkeypatch):
    monkeypatch.setattr(shards, "SHARD", 1)
    asked = []

    def fails_at_two(scenario, seed):
        asked.append(seed)
        if seed == 2 and len(asked) <= 3:
            raise ZeroDivisionError("no luck")
        return {"latency_mean_s": 1.0 + seed}

    bounds.register_bound("mine", fails_at_two)
    run = {"policies": "mine", "seeds": range(4), "out": tmp_path / "run", **SMALL}
    with pytest.raises(EdgeGymError, match="no luck"):
        evaluate(**run)
    rows = evaluate(**run, resume=True).rows
    assert [row["latency_mean_s"] for row in rows] == [1.0, 2.0, 3.0, 4.0]
    assert asked == [0, 1, 2, 2, 3]


def test_a_bound_returns_metrics(registry):
    bounds.register_bound("mine", lambda scenario, seed: {"speed": 1.0})
    with pytest.raises(EdgeGymError, match=r"bound 'mine' on .*\['speed'\]: must be metrics, any of latency_mean_s, "):
        evaluate("mine", seeds=[0], **SMALL)


@pytest.mark.parametrize("name", ["clairvoyant", "jsq", "a,b", "a:b", ""])
def test_names_of_bounds(registry, name):
    with pytest.raises(EdgeGymInputError, match="name"):
        bounds.register_bound(name, lambda scenario, seed: {})


def test_bounds_can_be_sent_to_workers():
    shards.check_sendable(shards.plan("clairvoyant", "routing", "toy2", [0], 1, {}))
