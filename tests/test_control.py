"""The control surface: guards under hostile callers, probes and turns by hand, and the calls in names."""

import math
from dataclasses import replace

import numpy as np
import pytest
from helpers import SECOND, queue_scenario
from test_by_hand import one_node
from test_semantic import BUSY

from edge_gym.devices import ModelType, Service
from edge_gym.envs.batch import Batch
from edge_gym.evaluation.rollout import roll_out
from edge_gym.kernel import control
from edge_gym.kernel import observe_control as seen
from edge_gym.kernel.build import World
from edge_gym.kernel.tables import CAUTION, CLOSED, NEVER, OPEN
from edge_gym.scenario import Arrivals, Change, Churn, Control, Semantic, Telemetry
from edge_gym.scenario.presets import preset
from edge_gym.scenario.worlds import METRO_MIX
from edge_gym.surface import EXPLORATIONS, FORGETTINGS, Surface

PER_STEP = ("log_count", "news_count")  # of the last step, not of the world


class Desk:
    """One world whose router is controlled call by call, by whoever pays no heed to the mask."""

    def __init__(self, scenario, seed=0):
        self.batch = Batch(scenario if isinstance(scenario, World) else World(scenario), 1, "metacontrol")
        self.batch.roots[:] = seed
        self.obs = self.batch.empty_obs()
        self.over = np.zeros(1, bool)
        self.batch.reset(~self.over, self.obs)
        self.surface = Surface(self.batch)
        self.params, self.state = self.batch.world.params, self.batch.state

    @property
    def world(self):
        return self.state.world[0]

    @property
    def node(self):
        return self.state.node[0]

    @property
    def mask(self):
        return self.batch.mask[0]

    def call(self, action, wait_ns=0, wake_ns=0):
        self.batch.order["wait_ns"], self.batch.order["wake_ns"] = wait_ns, wake_ns
        out = self.batch.step(np.array([action]), self.over, self.obs)
        self.over = out.done
        return out

    def finish(self, **waits):
        return self.call(self.surface.finish, **waits)

    def snapshot(self):
        """Everything that moves, but what is said of the last step."""
        tables = {name: table.copy() for name, table in self.state._asdict().items()}
        for field in PER_STEP:
            tables["world"][field] = 0
        return tables


def same(one, two):
    return [name for name in one if one[name].tobytes() != two[name].tobytes()]


# --- the guards -------------------------------------------------------------------------------------------------------

TIGHT = Control(tick_s=0.4, cooldown_s=0.1, max_calls_a_turn=5, calls_per_s=6.0, max_probes=2)


def hostile(control=TIGHT, **more):
    """Nine nodes of nine kinds, of which some lack models; all of them leave and join all the time."""
    base = preset("mixed").with_overrides(n_nodes=9, n_requests=120, load=0.4, drain_s=20.0, device_types=METRO_MIX)
    churn = Churn(share=1.0, up_mean_s=3.0, down_mean_s=1.0, slow_start_s=0.5)
    return replace(base, semantic=BUSY, churn=churn, control=control, **more)


def random_calls(desk, rng):
    """Any call whatever, legal or not; one in eight ends the turn."""
    return int(rng.integers(len(desk.mask))) if rng.random() < 0.875 else desk.surface.finish


def random_legal(desk, rng):
    return int(rng.choice(np.flatnonzero(desk.mask)))


def gate_everything(desk, rng):
    """Closes one node after the other, again and again."""
    if rng.random() < 0.08:
        return desk.surface.finish
    return desk.surface.set_risk_gate(int(rng.integers(len(desk.node))), CLOSED)


def close_what_is_left(desk, rng):
    """Of the legal calls, one that closes; after a while one that opens, so that it can close another."""
    n_columns = int(control.columns_of(len(desk.surface.models)))
    legal = np.flatnonzero(desk.mask)
    closing, opening = legal[legal % n_columns == CLOSED], legal[legal % n_columns == OPEN]
    for calls, chance in ((closing, 0.95), (opening[:-1], 0.3)):
        calls = calls[calls // n_columns < len(desk.node)]
        if len(calls) and rng.random() < chance:
            return int(rng.choice(calls))
    return desk.surface.finish


CALLERS = (random_calls, random_legal, gate_everything, close_what_is_left)


def check_guards(desk):
    """What must hold at every step, from the tables alone."""
    alive, gate = desk.node["alive"] == 1, desk.node["gate"]
    serves = desk.params.service["supported"] == 1
    assert (gate[~alive] == OPEN).all()
    is_open = serves[alive & (gate != CLOSED)].any(axis=0)
    assert (is_open == serves[alive].any(axis=0)).all(), "a model that live nodes serve is shut out"
    closed = int((gate == CLOSED).sum())
    assert closed == desk.world["closed"] <= np.floor(desk.params.rules[0]["max_gated_share"] * alive.sum())
    healthy = alive & (gate == CLOSED) & (desk.node["foreground"] == 0) & (desk.node["speed"] >= 2 / 3)
    assert desk.world["closed_share"] == pytest.approx(desk.params.node["capacity_share"][healthy].sum())
    n_columns = int(control.columns_of(len(desk.surface.models)))
    if not desk.over[0]:
        shut = np.flatnonzero(gate != OPEN)
        assert desk.mask[shut * n_columns + OPEN].all(), "opening is refused"
        assert desk.mask[desk.surface.finish]


@pytest.mark.parametrize("caller", CALLERS)
@pytest.mark.parametrize("seed", range(3))
def test_guards_hold_whoever_calls(caller, seed):
    desk, rng = Desk(hostile(), seed), np.random.default_rng([5, seed])
    world, rules = World(hostile()), desk.params.rules[0]
    n_columns, n_nodes = int(control.columns_of(len(world.model_names))), world.n_nodes
    refused = paid = in_turn = closed_in_turn = opened_by_guards = turns = most = 0
    while not desk.over[0]:
        action = caller(desk, rng)
        legal, before, kept = bool(desk.mask[action]), desk.world["interventions"], desk.snapshot()
        row, column = divmod(action, n_columns)
        alive = int((desk.node["alive"] == 1).sum())
        desk.call(action)
        added = desk.world["interventions"] - before
        if action == desk.surface.finish:
            # The guards open gates only where nodes leave; a node that has left has its gate open without them.
            was, now = kept["node"][0], desk.node
            mine = (was["gate"] == CLOSED) & (now["gate"] == OPEN)
            stayed = mine & (now["alive"] == 1) & (now["incarnation"] == was["incarnation"])
            assert stayed.sum() <= added <= mine.sum()
            opened_by_guards += int(added)
            in_turn = closed_in_turn = 0
            turns += 1
        else:
            assert added == (not legal)
            assert desk.world["now_ns"] == kept["world"]["now_ns"][0]  # no time passes
            if not legal:
                kept["world"]["interventions"] += 1
                assert same(kept, desk.snapshot()) == []
                refused += 1
            elif row == n_nodes or column != OPEN:
                paid, in_turn = paid + 1, in_turn + 1
                closed_in_turn += row < n_nodes and column == CLOSED
                assert closed_in_turn <= max(int(rules["max_gated_a_turn"] * alive), 1)
        assert in_turn <= rules["max_calls"]
        assert paid <= rules["max_calls"] + rules["calls_per_s"] * desk.batch.time_s[0] + 1e-6
        most = max(most, int(desk.world["closed"]))
        check_guards(desk)
    assert turns > 30
    if caller in (random_calls, gate_everything):
        assert refused > 100
    if caller in (gate_everything, close_what_is_left):
        assert opened_by_guards > 3 and most >= 3


def test_only_what_must_be_opened_is_opened():
    """Three nodes; node 0 alone serves model b. It leaves: nobody can serve b, and the gate of node 2 stays closed."""
    device = {"memory_bytes": 1000, "storage_bytes_per_s": 1e9, "nic_bytes_per_s": 1e9}
    base = queue_scenario(1.0, n_nodes=4)
    special = replace(base.devices[0], name="special", **device)
    timeline = (Change(time_s=1.0, node=0, what="alive", value=0), Change(time_s=2.0, node=1, what="alive", value=0))
    scenario = replace(
        base,
        devices=(special, *base.devices),
        models=(*base.models, ModelType(name="b", weights_bytes=1)),
        services=(*base.services, *(Service(device="special", model=m, per_unit_s=0.001) for m in ("work", "b"))),
        workloads=(*base.workloads, replace(base.workloads[0], model="b")),
        pool=replace(base.pool, device_types=("special", "server", "server", "server")),
        timeline=timeline,
    )  # fmt: skip
    desk = Desk(scenario)
    assert not desk.mask[desk.surface.set_risk_gate(0, CLOSED)]  # the only server of b
    desk.call(desk.surface.set_risk_gate(2, CLOSED))
    desk.finish()
    assert desk.world["now_ns"] == SECOND and desk.node["alive"].tolist() == [0, 1, 1, 1]  # asked because it has left
    assert desk.node["gate"].tolist() == [OPEN, OPEN, CLOSED, OPEN] and desk.world["interventions"] == 0
    desk.finish()
    assert desk.world["now_ns"] == 2 * SECOND and desk.node["gate"].tolist() == [OPEN, OPEN, CLOSED, OPEN]
    check_guards(desk)


def test_all_nodes_leaving_opens_what_they_left_behind():
    timeline = tuple(Change(time_s=1.0 + n, node=n, what="alive", value=0) for n in range(4))
    desk = Desk(queue_scenario(0.1, n_nodes=4, timeline=timeline, control=replace(TIGHT, tick_s=10.0)))
    desk.call(desk.surface.set_risk_gate(3, CLOSED))
    desk.finish()
    desk.call(desk.surface.set_risk_gate(2, CLOSED))
    assert desk.node["gate"].tolist() == [0, 0, OPEN, CLOSED]  # of three, one may be closed: refused
    desk.finish()
    assert desk.world["now_ns"] == 2 * SECOND and desk.node["gate"][3] == CLOSED  # of two, one
    desk.finish()
    # Node 3 is the last: nothing may be closed, and the guards have opened it.
    assert desk.node["alive"].tolist() == [0, 0, 0, 1] and desk.node["gate"][3] == OPEN
    assert desk.world["interventions"] == 2
    desk.finish()
    assert not desk.node["alive"].any() and desk.mask[:-9].sum() == 0  # only the router can be set


# --- what the calls do ------------------------------------------------------------------------------------------------


def test_every_legal_call_works():
    desk, rng = Desk(hostile(replace(TIGHT, max_calls_a_turn=50, calls_per_s=1e6)), 4), np.random.default_rng(1)
    n_nodes, n_columns = len(desk.node), int(control.columns_of(len(desk.surface.models)))
    done = set()
    for _ in range(40):
        saved = desk.batch.get_state()
        for action in np.flatnonzero(desk.mask).tolist():
            if action == desk.surface.finish:
                continue
            row, column = divmod(action, n_columns)
            before = desk.snapshot()
            desk.call(action)
            assert desk.world["interventions"] == before["world"]["interventions"][0]
            assert desk.world["calls"] == before["world"]["calls"][0] + 1
            if row == n_nodes:
                values = [*EXPLORATIONS, *FORGETTINGS]
                field = "exploration" if column <= len(EXPLORATIONS) else "forgetting"
                assert desk.world[field] == values[column - 1] != before["world"][field][0]
                assert action == getattr(desk.surface, f"set_{field}")(values[column - 1])
            elif column < 3:
                assert desk.node["gate"][row] == column != before["node"][0]["gate"][row]
                assert action == desk.surface.set_risk_gate(row, column)
            else:
                assert desk.node["probes"][row] == before["node"][0]["probes"][row] + 1
                assert action == desk.surface.calibrate(row, column - 3)
            words = desk.surface.describe(action)
            assert (desk.surface.nodes[row] in words) if row < n_nodes else words.startswith("configure_router")
            done.add((row == n_nodes, column))
            assert desk.world["now_ns"] == before["world"]["now_ns"][0]
            desk.batch.set_state(saved)
        desk.call(random_legal(desk, rng))
        desk.finish()
    assert {(False, column) for column in range(3 + len(desk.surface.models))} <= done
    assert {(True, column) for column in range(1, 9)} <= done


def lone(tmp_path, rows=(0.0,), **more):
    """One node of one slot, 1 s of work a request; exactly these requests, the first at 0 s."""
    services = (Service(device="node", model="a", per_unit_s=1.0),)
    more = {"control": Control(tick_s=100.0, cooldown_s=0.5), **more}
    return one_node(tmp_path, rows, (ModelType(name="a", weights_bytes=1),), services, **more)


def quiet(tmp_path, **more):
    """The same node, and one request after 663 s (with seed 0)."""
    return lone(tmp_path, arrivals=Arrivals(rate_per_s=0.001), **more)


def play_out(desk):
    logs = []
    while not desk.over[0]:
        desk.finish()
        logs.append(desk.batch.ended()[1])
    return np.concatenate(logs)


def test_a_probe_delays_a_request_by_exactly_its_service(tmp_path):
    """A request at 0 s over a link of 10 ms ends before the turn at 2 s. Probe at 2 s: served from 2.01 to 3.01 s.

    Request at 2.25 s: there at 2.26 s, waits until 3.01 s, served at 4.01 s, delivered at 4.02 s; without the probe it
    is delivered at 3.27 s.
    """
    latencies = []
    for probes in (0, 1):
        desk = Desk(lone(tmp_path, [0.0, 2.25], network=(0.0, 0.01, 1e12)))
        assert desk.world["now_ns"] == 0
        desk.finish(wait_ns=2 * SECOND)
        for _ in range(probes):
            desk.call(desk.surface.calibrate(0, 0))
        assert desk.node["probes"][0] == probes and desk.obs[0, 0, seen.PROBES] == probes / (probes + 1)
        assert desk.obs[0, 0, seen.OUTSTANDING] == pytest.approx(probes / (probes + 8))
        log = play_out(desk)
        assert log["id"].tolist() == [1]
        assert desk.world["arrived"] == desk.world["completed"] == 2 and desk.world["in_system"] == 0
        latencies.append((int(log["latency_ns"][0]), int(desk.world["latency_total_ns"])))
        assert desk.node["evidence"][0] == 2 + probes == desk.state.pair[0, 0, 0]["evidence"]
        assert desk.node["probes"][0] == 0
    assert latencies[0] == (1_020_000_000, 2_040_000_000)
    assert latencies[1] == (1_770_000_000, 2_790_000_000)


def test_a_probe_teaches_the_router(tmp_path):
    """On a node of a quarter of its speed the probe takes 4 s and is known at 5 s.

    Of the surprise, log 4, no more than 1 is taken to be the model's doing (twice the prior's 0.5): a factor e. The
    rest, 4 / e, is how the node strays now. The model's ratio moves to 1 + 4 / (0.99 + 4) x (e - 1).
    """
    change = Change(time_s=0.0, node=0, what="speed", value=0.25)
    scenario = quiet(tmp_path, timeline=(change,), telemetry=Telemetry(age_s=1.0))
    desk = Desk(scenario)
    desk.call(desk.surface.calibrate(0, 0))
    desk.finish(wait_ns=5 * SECOND - 1)
    assert desk.node["evidence"][0] == 0 and desk.node["probes"][0] == 1
    desk.finish(wait_ns=1)
    assert desk.node["evidence"][0] == 1 and desk.node["probes"][0] == 0
    ratio = 1 + 4 / 4.99 * (math.e - 1)
    assert desk.state.pair[0, 0, 0]["unit_ratio"] == pytest.approx(ratio)
    ratio *= 4 / math.e
    assert desk.obs[0, 0, seen.ESTIMATE] == pytest.approx(ratio / (1 + ratio), rel=1e-6)
    assert len(desk.batch.ended()[1]) == 0 and desk.world["arrived"] == 0 and desk.world["latency_total_ns"] == 0


def test_a_probe_dies_with_its_node(tmp_path):
    changes = (Change(time_s=2.0, node=0, what="alive", value=0), Change(time_s=2.1, node=0, what="alive", value=1))
    desk = Desk(lone(tmp_path, [0.0, 4.0], timeline=changes))
    desk.finish(wait_ns=3 * SECOND // 2)
    for _ in range(3):
        desk.call(desk.surface.calibrate(0, 0))
    assert desk.node["probes"][0] == 3 == desk.node["outstanding"][0]
    desk.finish()
    assert desk.world["now_ns"] == 2 * SECOND and desk.node["probes"][0] == desk.node["outstanding"][0] == 0
    assert desk.node["seen"][0] == 0 and desk.world["pending_head"] == -1
    log = play_out(desk)
    assert log["id"].tolist() == [1] and log["finish_ns"][0] == 5 * SECOND and log["retries"][0] == 0
    assert desk.node["evidence"][0] == 1  # of the request


def test_a_node_takes_only_so_many_probes(tmp_path):
    desk = Desk(quiet(tmp_path, control=Control(max_probes=2, tick_s=1.0, max_calls_a_turn=100)))
    probe = desk.surface.calibrate(0, 0)
    assert [bool(desk.call(probe).done[0] or desk.mask[probe]) for _ in range(2)] == [True, False]
    desk.call(probe)
    assert desk.node["probes"][0] == 2 and desk.world["interventions"] == 1
    desk.finish()  # the first is served at 1 s, and so the tick finds it gone
    assert desk.world["now_ns"] == SECOND and desk.node["probes"][0] == 1 and desk.mask[probe]


# --- turns ------------------------------------------------------------------------------------------------------------


def test_turns_to_the_nanosecond(tmp_path):
    desk = Desk(quiet(tmp_path, control=Control(tick_s=3.0, cooldown_s=0.5)))
    now = lambda: int(desk.world["now_ns"])  # noqa: E731
    assert now() == 0 == desk.world["turn_ns"]
    desk.finish()
    assert now() == 3 * SECOND == desk.world["turn_ns"]  # the tick
    desk.finish(wake_ns=1_234_567_891)
    assert now() == 3 * SECOND + 1_234_567_891 == desk.world["turn_ns"]
    begun = now()
    desk.finish(wake_ns=1)
    assert now() == begun + SECOND // 2  # the cool-down
    desk.finish(wake_ns=5 * SECOND)
    assert now() == begun + SECOND // 2 + 3 * SECOND  # the tick is the latest
    begun = now()
    desk.call(desk.surface.set_exploration(2.0))
    desk.finish(wait_ns=123_456_789)
    # Thinking is no turn: what was called counts on, and the cool-down runs from where the turn began.
    assert now() == begun + 123_456_789 and desk.world["turn_ns"] == begun and desk.world["turn_calls"] == 1
    desk.finish(wake_ns=1)
    assert now() == begun + SECOND // 2 and desk.world["turn_calls"] == 0


def test_calls_in_the_long_run_come_back_with_time(tmp_path):
    """Three at once; then one a second, which is every other turn of half a second."""
    desk = Desk(quiet(tmp_path, control=Control(cooldown_s=0.5, max_calls_a_turn=3, calls_per_s=1.0)))
    made = []
    for _ in range(6):
        n_calls = 0
        while legal := [a for a in map(desk.surface.set_exploration, EXPLORATIONS) if desk.mask[a]]:
            desk.call(legal[0])
            n_calls += 1
        made.append(n_calls)
        desk.finish(wake_ns=1)
    assert made == [3, 0, 1, 0, 1, 0] and desk.world["now_ns"] == 3 * SECOND


def test_a_tick_shorter_than_the_cooldown_waits_for_it(tmp_path):
    desk = Desk(quiet(tmp_path, control=Control(tick_s=0.1, cooldown_s=0.5)))
    for k in range(1, 4):
        desk.finish()
        assert desk.world["now_ns"] == k * SECOND // 2


def test_events_wake_those_who_listen(tmp_path):
    """A node leaves at 1.2345 s, joins at 1.3 s. Who waits is asked at once, and again when the cool-down is over."""
    changes = tuple(
        Change(time_s=t, node=0, what="alive", value=v) for t, v in ((1.2345, 0), (1.3, 1), (20.0, 0), (21.0, 1))
    )
    scenario = quiet(tmp_path, timeline=changes, control=Control(tick_s=30.0, cooldown_s=0.5))
    desk, times = Desk(scenario), []
    for _ in range(4):
        desk.finish()
        times.append(int(desk.world["now_ns"]))
    assert times == [1_234_500_000, 1_734_500_000, 20 * SECOND, 21 * SECOND]
    deaf = Desk(scenario)
    deaf.finish(wait_ns=19 * SECOND)
    assert deaf.world["now_ns"] == 19 * SECOND  # two events have passed unheard
    deaf.finish()
    assert deaf.world["now_ns"] == 20 * SECOND


def test_messages_wake_at_once_or_after_the_cooldown():
    scenario = hostile(Control(tick_s=2.0, cooldown_s=0.3))
    scenario = replace(scenario, churn=Churn(), drift=replace(scenario.drift, share=0.0))
    by_tick = by_message = cooled = 0
    for seed in range(4):
        desk = Desk(scenario, seed)
        while not desk.over[0]:
            begun = int(desk.world["now_ns"])
            desk.finish()
            now, said = int(desk.world["now_ns"]), desk.state.news[0, : desk.world["news_count"]]["time_ns"]
            if desk.over[0]:
                break
            if len(said) == 0:
                assert now == begun + 2 * SECOND
                by_tick += 1
            else:
                assert now == min(max(int(said[0]), begun + 3 * SECOND // 10), begun + 2 * SECOND)
                by_message += 1
                cooled += now > said[0]
    assert by_tick > 2 and by_message > 100 and cooled > 20


def test_thinking_time_is_deaf_but_nothing_is_unheard():
    """A minute of thought: its messages are all there afterwards."""
    scenario = replace(hostile(), churn=Churn(), semantic=BUSY).with_overrides(n_requests=None, horizon_s=100.0)
    quick, slow, heard = Desk(scenario, 2), Desk(scenario, 2), []
    while quick.world["now_ns"] < 60 * SECOND:
        quick.finish()
        heard += quick.batch.events(0)
    slow.finish(wait_ns=60 * SECOND)
    assert slow.world["now_ns"] == 60 * SECOND
    late = slow.batch.events(0)
    assert len(late) > 100 and late == tuple(e for e in heard if e.time_s <= 60.0)


# --- what caution costs -----------------------------------------------------------------------------------------------


class ClosesOnce:
    """Closes node 1 in the first turn and opens it in the third."""

    task = "metacontrol"

    def reset(self, n_envs, seed):
        self.turn = 0

    def act(self, obs, action_mask, context):
        surface, closed = context.surface, obs[0, 1, seen.GATE] == 1
        if self.turn == 0 and not closed:
            return np.array([surface.set_risk_gate(1, CLOSED)])
        if self.turn == 2 and closed:
            return np.array([surface.set_risk_gate(1, OPEN)])
        self.turn += 1
        return np.array([surface.finish])


def test_healthy_masked_share_by_hand():
    """Two equal nodes, a turn every 3 s: node 1 is closed from 0 to 6 s, and below two thirds of its speed from 1.5 to
    2.5 s and from 4 s on (half, then 0.6); at 0.7 between 2.5 and 4 s it is healthy. Masked: half of 1.5 + 1.5 s.
    """
    speeds = ((1.5, 0.5), (2.5, 0.7), (4.0, 0.6))
    timeline = tuple(Change(time_s=t, node=1, what="speed", value=v) for t, v in speeds)
    scenario = queue_scenario(
        1.0, n_nodes=2, n_requests=20, service_s=0.1, timeline=timeline, control=Control(tick_s=3.0)
    )
    (episode,) = roll_out(World(scenario), ClosesOnce(), "closes_once", [0]).episodes
    assert episode.masked_s == pytest.approx(0.5 * 3.0) and episode.calls == 2 and episode.interventions == 0
    assert episode.makespan_s > 10
    served = np.bincount(episode.log["node"][episode.log["dispatch_ns"] < 6 * SECOND], minlength=2)
    assert served[0] > 2 and served[1] == 0  # while closed it got nothing


# --- the calls in names -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_first_refused_is_what_happens(seed):
    desk, rng = Desk(hostile(), seed), np.random.default_rng([6, seed])
    refused = passed = 0
    for _ in range(60):
        n = int(rng.integers(1, 9))
        legal = np.flatnonzero(desk.mask)
        legal = legal[legal != desk.surface.finish]
        calls = rng.integers(len(desk.mask), size=n).tolist() if rng.random() < 0.3 or not len(legal) else None
        calls = calls or rng.choice(legal, n).tolist()
        calls = [call for call in calls if call != desk.surface.finish]
        before, mask = desk.snapshot(), desk.mask.copy()
        counts = [int(desk.world[field]) for field in PER_STEP]
        first = desk.surface.first_refused(0, calls)
        assert same(before, desk.snapshot()) == [] and (mask == desk.mask).all()
        assert counts == [int(desk.world[field]) for field in PER_STEP]
        happened = None
        for k, call in enumerate(calls):
            interventions = int(desk.world["interventions"])
            desk.call(call)
            if desk.world["interventions"] > interventions:
                happened = k
                break
        assert first == happened
        refused, passed = refused + (first is not None), passed + (first is None)
        desk.finish()
        if desk.over[0]:
            break
    assert refused > 5 and passed > 5


def test_nobody_is_woken_in_the_routing_task():
    """The wake-up call belongs to the control surface; a routed world has none."""
    batch = Batch(World(hostile()), 1)
    batch.reset(np.ones(1, bool), batch.empty_obs())
    assert batch.state.world["wake_ns"][0] == NEVER
    assert Semantic().notification == "text" and CAUTION == 1
