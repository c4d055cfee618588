"""The books of a world whose router is controlled: requests, probes, gates, and one copy of the router."""

from dataclasses import replace

import numpy as np
import pytest
from helpers import Played, play, queue_scenario
from test_conservation import check_end, check_world, healthy, random_scenario

from edge_gym.envs.batch import Batch
from edge_gym.kernel import observe
from edge_gym.kernel.build import World
from edge_gym.kernel.tables import CLOSED, COMPLETED, LOG, NEVER, SECOND
from edge_gym.scenario import Arrivals, Churn, Control, Drift, Scenario, Semantic, Telemetry
from edge_gym.surface import Surface

N_SCENARIOS = 36


def busy_scenario(index: int, tmp_path) -> Scenario:
    """A random world with every regime, in which the controller is asked often and may do much."""
    base, rng = random_scenario(index, tmp_path), np.random.default_rng([index, 6])
    part = base.horizon_s / 10
    semantic = Semantic(
        share=1.0, gap_mean_s=part, lead_mean_s=part / 5, duration_mean_s=part, chatter_gap_s=part, false_share=0.3
    )
    control = Control(
        tick_s=part / 3,
        cooldown_s=float(rng.choice([0.0, part / 20])),
        max_gated_share=float(rng.choice([0.5, 1.0])),
        max_gated_a_turn=float(rng.choice([0.25, 1.0])),
        max_calls_a_turn=int(rng.choice([3, 16])),
        calls_per_s=200 / base.horizon_s,
        max_probes=int(rng.choice([1, 4])),
    )
    drift = Drift(share=0.5, gap_mean_s=part, hold_mean_s=part, ramp_s=part / 4)
    churn = Churn(share=(0.0, 0.6)[index % 2], up_mean_s=2 * part, down_mean_s=part / 2)
    return replace(base, semantic=semantic, drift=drift, churn=churn, control=control)


class Desk:
    """The controls of a batch of worlds.

    Attributes:
        batch: The worlds.
        over: (B,) bool.
        log: For each row, the requests that ended.
        latency_ns: (B,) what the latency term has charged.
    """

    def __init__(self, world: World, seeds) -> None:
        roots = np.array(list(seeds), np.uint64)
        self.batch = Batch(world, len(roots), "metacontrol")
        self.batch.roots[:] = roots
        self.over = np.zeros(len(roots), bool)
        self.obs = self.batch.empty_obs()
        self.log: list[list[np.ndarray]] = [[] for _ in roots]
        self.latency_ns = np.zeros(len(roots), np.int64)
        self.batch.reset(~self.over, self.obs)

    def step(self, actions: np.ndarray) -> None:
        """One tool call in every row that is not over."""
        out = self.batch.step(actions, self.over, self.obs)
        self.latency_ns -= np.rint(out.terms[:, 0] * SECOND).astype(np.int64)
        rows, entries = self.batch.ended()
        for b in np.flatnonzero(~self.over).tolist():
            self.log[b].append(entries[rows == b])
        self.over = self.over | out.done

    def whole_log(self, b: int) -> np.ndarray:
        return np.concatenate([*self.log[b], np.zeros(0, LOG)])


def random_calls(rng: np.random.Generator, desk: Desk, finishes: float = 0.4) -> np.ndarray:
    """A legal call at random; `finishes` is the chance that the turn ends instead."""
    mask = desk.batch.mask
    actions = np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=1)
    return np.where(rng.random(len(mask)) < finishes, desk.batch.noop, actions)


@pytest.mark.parametrize("block", range(3))
def test_val_19_conservation_under_random_tool_calls(block, tmp_path):
    calls = probes = closed = interventions = requests = 0
    for index in range(block, N_SCENARIOS, 3):
        world = World(busy_scenario(index, tmp_path))
        desk, rng = Desk(world, range(index, index + 2)), np.random.default_rng(index)
        while not desk.over.all():
            before = desk.over.copy()
            desk.step(random_calls(rng, desk))
            for b in np.flatnonzero(~before & ~desk.over).tolist():
                check_world(world, desk.batch.state, b)
            probes += int(desk.batch.state.node["probes"].sum())
            closed += int((desk.batch.state.node["gate"] == CLOSED).sum())
        for b, w in enumerate(desk.batch.state.world):
            check_end(w, desk.whole_log(b), desk.latency_ns[b])
            calls += int(w["calls"])
            interventions += int(w["interventions"])
            requests += int(w["arrived"])
    assert requests > 1500 and calls > 1000 and probes > 500 and closed > 500 and interventions > 0


def next_change_ns(desk: Desk) -> int:
    """When a node's condition can change next."""
    state = desk.batch.state
    change = state.change[0, state.world[0]["change_at"]]["time_ns"]
    return int(min(state.node[0]["regime_ns"].min(), change))


@pytest.mark.parametrize("block", range(2))
def test_val_19_masked_capacity_is_the_integral_of_what_is_healthy_and_closed(block, tmp_path):
    """Every turn ends no later than the next change of any node, so that what is closed is constant in between."""
    total = 0.0
    for index in range(block, N_SCENARIOS, 2):
        scenario = busy_scenario(index, tmp_path)
        scenario = replace(scenario, control=replace(scenario.control, cooldown_s=0.0, max_gated_a_turn=1.0))
        world = World(scenario)
        desk, rng = Desk(world, [index]), np.random.default_rng(index)
        share, expected = world.params.node["capacity_share"], 0.0
        nodes, w = desk.batch.state.node[0], desk.batch.state.world[0]
        while w["arrived"] < 60 and not desk.over[0]:
            now, ahead = int(w["now_ns"]), next_change_ns(desk)
            desk.batch.order["wake_ns"] = max(ahead - now, 1) if ahead < NEVER else 0  # 0 would be the next tick
            shut = share[healthy(nodes) & (nodes["gate"] == CLOSED)].sum()
            desk.step(random_calls(rng, desk, finishes=0.6))
            assert desk.over[0] or w["now_ns"] <= max(ahead, now + 1)
            if not desk.over[0]:
                expected += shut * (int(w["now_ns"]) - now) / SECOND
                assert w["masked_s"] == pytest.approx(expected, rel=1e-9, abs=1e-8)
        total += expected
    assert total > 1.0


def end_turns(world: World, seeds) -> Desk:
    """Nobody calls a tool."""
    desk = Desk(world, seeds)
    while not desk.over.all():
        desk.step(np.full(len(desk.over), desk.batch.noop))
    return desk


@pytest.mark.parametrize("index", range(0, N_SCENARIOS, 3))
def test_val_the_world_that_routes_by_itself_is_routing_by_its_pick(index, tmp_path):
    """One copy of the router: the same log and return as Routing by the column `router`, however often one is asked."""
    scenario, seeds = busy_scenario(index, tmp_path), range(index, index + 3)
    routed = play(scenario, lambda obs, mask: obs[..., observe.ROUTER].argmax(axis=1), seeds)
    for tick_s in (0.5, 10.0):
        desk = end_turns(World(replace(scenario, control=Control(tick_s=tick_s, cooldown_s=tick_s / 7))), seeds)
        assert desk.latency_ns.tolist() == routed.latency_ns.tolist()
        assert desk.batch.state.world["now_ns"].tolist() == routed.end_ns.tolist()
        assert_same_logs(desk, routed)


def assert_same_logs(desk: Desk, routed: Played) -> None:
    for b in range(len(desk.over)):
        mine, theirs = desk.whole_log(b), routed.log[routed.row == b]
        assert len(mine) == len(theirs) and all((mine[name] == theirs[name]).all() for name in LOG.names or ())


def test_val_one_router_also_when_bursts_fill_the_reports():
    """The job table of MetaControl is larger than that of Routing: how large it is must never show."""
    bursts = Arrivals(kind="mmpp", rate_per_s=50.0, burst_ratio=50.0, burst_share=0.02, burst_mean_s=2.0)
    fast = {"service_s": 0.01, "slots": 8, "gain": 1e6, "n_nodes": 2, "queue_capacity": 0, "n_requests": 3000}
    scenario = queue_scenario(50.0, arrivals=bursts, telemetry=Telemetry(age_s=3.0), **fast)
    world = World(scenario)
    routed = play(world, lambda obs, mask: obs[..., observe.ROUTER].argmax(axis=1), range(3))
    assert_same_logs(end_turns(world, range(3)), routed)
    for b in range(3):
        served = routed.log[(routed.row == b) & (routed.log["outcome"] == COMPLETED)]
        held = np.searchsorted(served["finish_ns"], served["finish_ns"] - 3 * SECOND)
        assert (np.arange(len(served)) - held).max() > 2 * 50 * 3 + 64, "no burst, nothing to see"


def test_val_a_tool_that_is_called_does_change_the_log(tmp_path):
    """Otherwise the test above would pass with controls that do nothing."""
    scenarios = (busy_scenario(index, tmp_path) for index in range(N_SCENARIOS))
    world, seeds = World(next(scenario for scenario in scenarios if scenario.pool.n_nodes == 4)), range(3)
    idle, desk = end_turns(world, seeds), Desk(world, seeds)
    surface = Surface(desk.batch)
    desk.step(np.full(3, surface.set_exploration(2.0)))
    while not desk.over.all():
        desk.step(np.full(3, surface.finish))
    assert any(idle.whole_log(b).tobytes() != desk.whole_log(b).tobytes() for b in range(3))
