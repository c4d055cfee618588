"""`e3_rules` at the controls: turns worked out by hand, and that it is the same alone, in a batch and again."""

from dataclasses import replace

import numpy as np
import pytest
from edge_baselines.e3.random_tools import RandomTools
from edge_baselines.e3.rules import Rules, RuleSettings
from helpers import queue_scenario
from test_control import Desk, hostile
from test_regimes import rough

from edge_gym.devices import ModelType, Service
from edge_gym.envs.batch import Event
from edge_gym.evaluation.rollout import roll_out
from edge_gym.kernel.build import World
from edge_gym.kernel.tables import SECOND
from edge_gym.policy import Context, make_policy
from edge_gym.scenario import Arrivals, Change, Control
from edge_gym.scenario.presets import preset

FREE = Control(tick_s=100.0, cooldown_s=0.0, max_gated_a_turn=1.0, max_gated_share=1.0, max_calls_a_turn=50)


def quiet(n_nodes=4, **more):
    """Nodes without requests for a long time; one model of 1 s; nobody in the world says anything."""
    fields = {"control": FREE, "arrivals": Arrivals(rate_per_s=0.001), "horizon_s": 1e5, "n_nodes": n_nodes}
    return queue_scenario(1.0, **{**fields, **more})


def says(node, stage, activity="game", onset_s=0.0, duration_s=20.0, speed=0.1, foreground=1):
    """A message of the level "what" about a node."""
    return (
        f"event node=server-{node} stage={stage} activity={activity} onset_s={onset_s} duration_s={duration_s} "
        f"speed={speed} foreground={foreground}"
    )


class Office(Desk):
    """A desk at which the rules sit, who are told what the test says."""

    def __init__(self, scenario, settings=None):
        super().__init__(scenario)
        self.rules, self.begun = Rules(settings), True
        self.rules.reset(1, 0)

    def turn(self, *texts):
        """One whole turn, up to the next: what was called, in words."""
        heard = [tuple(Event(float(self.batch.time_s[0]), text) for text in texts)]
        words = []
        while True:
            one = np.ones(1, bool)
            context = Context(
                time_s=self.batch.time_s, dt_s=np.zeros(1), begun=one & self.begun, active=one,
                ended_row=np.zeros(0, int), ended=np.zeros(0), events=heard, surface=self.surface,
            )  # fmt: skip
            action = int(self.rules.act(self.obs, self.batch.mask.copy(), context)[0])
            self.begun, heard = False, [()]
            assert self.mask[action]
            if action == self.surface.finish:
                return words
            words.append(self.surface.describe(action))
            self.call(action)

    def wait(self):
        """Ends the turn as the evaluation does; the time when the next begins."""
        self.finish(wake_ns=int(np.ceil(self.rules.wake_s[0] * SECOND)))
        return float(self.batch.time_s[0])


OPEN, CAUTION, CLOSE = (f"set_risk_gate(server-1, {level})" for level in ("open", "caution", "closed"))
PROBE = "calibrate(server-1, work)"
WARM = RuleSettings(cold_probes=0)  # as shipped, but for the measurements of the first turn


# --- gates ------------------------------------------------------------------------------------------------------------


def test_caution_from_the_announcement_closed_while_it_is_on():
    """Said at 0 s: a game in 10 s, for 20 s. Caution at once, closed at 10 s, open again at 30 s."""
    office = Office(quiet(), WARM)
    assert office.turn(says(1, "ahead", onset_s=10)) == [CAUTION] and office.wait() == 10.0
    assert office.turn() == [CLOSE] and office.wait() == 30.0
    assert office.turn() == [OPEN]
    assert office.rules.wake_s[0] == 0.0 and office.wait() == 130.0  # nothing to come: the tick


def test_without_foresight_nothing_moves_before_the_margin():
    """The margin of 0.5 s before 10 s is kept."""
    office = Office(quiet(), replace(WARM, foresee=False, margin_s=0.5))
    assert office.turn(says(1, "ahead", onset_s=10)) == [] and office.wait() == 9.5
    assert office.turn() == [CLOSE] and office.wait() == 30.0
    assert office.turn() == [OPEN]


def test_what_will_not_close_a_gate_is_no_reason_for_caution_beforehand():
    """A backup in 10 s, three times slower: caution from 10 s to 30 s, and not before."""
    office = Office(quiet(), WARM)
    said = says(1, "ahead", "backup", onset_s=10, speed=1 / 3, foreground=0)
    assert office.turn(said) == [] and office.wait() == 10.0
    assert office.turn() == [CAUTION] and office.wait() == 30.0
    assert office.turn() == [OPEN]


def test_an_end_that_is_said_opens_at_once():
    office = Office(quiet(), WARM)
    assert office.turn(says(1, "now", duration_s=60)) == [CLOSE]
    office.finish(wake_ns=7 * SECOND)
    assert office.turn(says(1, "over")) == [OPEN] and office.rules.wake_s[0] == 0.0


def test_what_is_called_off_opens():
    office = Office(quiet(), WARM)
    assert office.turn(says(1, "ahead", onset_s=10)) == [CAUTION]
    office.finish(wake_ns=4 * SECOND)
    assert office.turn(says(1, "cancelled")) == [OPEN] and office.rules.wake_s[0] == 0.0
    assert office.turn(says(1, "now")) == [CLOSE] and office.turn(says(1, "cancelled")) == [OPEN]


@pytest.mark.parametrize(
    ("speed", "foreground", "call"),
    [(0.1, 0, "closed"), (0.3, 0, "caution"), (0.35, 0, "caution"), (0.5, 0, None), (0.9, 1, "closed")],
)
def test_how_bad_it_is_decides_the_gate(speed, foreground, call):
    """Closed from 6 times slower, or if the user looks; caution from 2.5 times: 1 / 0.35 is, 1 / 0.5 is not."""
    activity = "game" if foreground else "backup"
    office = Office(quiet(), WARM)
    expected = [] if call is None else [f"set_risk_gate(server-1, {call})"]
    assert office.turn(says(1, "now", activity, speed=speed, foreground=foreground)) == expected
    assert office.wait() == 20.0
    assert office.turn() == ([] if call is None else [OPEN])


def test_an_end_nobody_speaks_of_is_assumed_and_then_doubted():
    """Believed for 15 s, then at caution for as long again."""
    office = Office(quiet(), WARM)
    assert office.turn("A game has just started on server-1.") == [CLOSE] and office.wait() == 15.0
    assert office.turn() == [CAUTION] and office.wait() == 30.0
    assert office.turn() == [OPEN]


def test_chatter_and_what_names_no_node_move_nothing():
    office = Office(quiet(), WARM)
    lines = ("event node=server-1 stage=chatter", "Something has changed in the network.", "The weather is fine.")
    assert office.turn(*lines, says(9, "now")) == [] and office.rules.wake_s[0] == 0.0


def test_a_later_message_replaces_the_one_before():
    office = Office(quiet(), WARM)
    assert office.turn(says(1, "ahead", onset_s=10)) == [CAUTION]
    assert office.turn(says(1, "ahead", onset_s=30, duration_s=5)) == [] and office.wait() == 30.0
    assert office.turn() == [CLOSE] and office.wait() == 35.0


def test_the_guards_let_through_one_after_the_other():
    """Of four nodes one may be closed in a turn, two in all: what ends first is closed first, the last not at all."""
    office = Office(quiet(control=Control(tick_s=1.0, cooldown_s=0.0)), WARM)
    said = [says(n, "now", duration_s=d) for n, d in ((1, 60), (2, 30), (3, 90))]
    assert office.turn(*said) == ["set_risk_gate(server-2, closed)"]
    assert office.wait() == 1.0 and office.turn() == [CLOSE]
    for _ in range(3):
        office.wait()
        assert office.turn() == []
    assert office.world["interventions"] == 0  # it reads the mask


def test_what_opens_makes_room_for_what_closes():
    """Of two nodes one may be closed. At 20 s one event ends and the other begins: both gates move in that turn."""
    office = Office(quiet(n_nodes=2, control=replace(FREE, max_gated_share=0.5)), replace(WARM, foresee=False))
    assert office.turn(says(1, "now"), says(0, "ahead", onset_s=20)) == [CLOSE] and office.wait() == 20.0
    assert office.turn() == [OPEN, "set_risk_gate(server-0, closed)"]


def test_the_margin_is_kept_to_the_nanosecond():
    """Whatever the times, the turn that was asked for is the one in which the gate moves."""
    rng, world = np.random.default_rng(3), World(quiet(n_nodes=2, queue_capacity=5))
    for _ in range(150):
        office = Office(world, replace(WARM, margin_s=0.5))
        office.finish(wait_ns=int(rng.integers(1, 10**9)))
        begun = float(office.batch.time_s[0])
        onset_s, lasts_s = (float(x) for x in rng.integers(1, 100, 2) * rng.choice([0.1, 1.0, 0.001 * np.pi]) + 0.6)
        assert office.turn(says(1, "ahead", onset_s=onset_s, duration_s=lasts_s)) == [CAUTION]
        assert office.wait() == pytest.approx(begun + onset_s - 0.5, abs=2e-9)
        assert office.turn() == [CLOSE], (begun, onset_s)
        assert office.wait() == pytest.approx(begun + onset_s + lasts_s, abs=2e-9)
        assert office.turn() == [OPEN], (begun, onset_s, lasts_s)


def test_gates_can_be_left_alone():
    office = Office(quiet(), replace(WARM, gates=False))
    assert office.turn(says(1, "now", duration_s=3)) == []
    slow_node(office)
    assert office.wait() == 3.0 and office.turn() == [PROBE]  # it measures all the same


# --- measurements -----------------------------------------------------------------------------------------------------


def two_models(units_s=(0.001, 0.0005), **more):
    """Model a of 1 s on every node and model b of half a second."""
    base = quiet(**more)
    names = ("a", "b")
    return replace(
        base,
        models=tuple(ModelType(name=m, weights_bytes=1) for m in names),
        services=tuple(Service(device="server", model=m, per_unit_s=s) for m, s in zip(names, units_s, strict=True)),
        workloads=tuple(replace(base.workloads[0], model=m) for m in names),
    )


@pytest.mark.parametrize("cold_probes", [0, 1, 2, 9])
def test_the_first_turn_measures_every_node(cold_probes):
    """Model by model, as far as there are any; all nodes have the same share of the capacity, so by their number."""
    office = Office(two_models(), RuleSettings(cold_probes=cold_probes))
    expected = [f"calibrate(server-{n}, {m})" for m in "ab"[:cold_probes] for n in range(4)]
    assert office.turn() == expected
    assert office.wait() == 100.0 and office.turn() == []
    assert office.node["evidence"].tolist() == [min(cold_probes, 2)] * 4


def test_the_fastest_node_is_measured_first():
    base = quiet(n_nodes=3)
    fast = replace(base.devices[0], name="fast")
    office = Office(
        replace(
            base,
            devices=(*base.devices, fast),
            services=(*base.services, Service(device="fast", model="work", per_unit_s=0.0002)),
            pool=replace(base.pool, device_types=("server", "fast", "server")),
        )
    )
    assert office.turn() == [f"calibrate({name}, work)" for name in ("fast-1", "server-0", "server-2")]


def away(until_s=5.0, *more):
    """Node 2 is away from 3 s on."""
    changes = (Change(time_s=3.0, node=2, what="alive", value=0), Change(time_s=until_s, node=2, what="alive", value=1))
    return two_models(timeline=(*changes, *more))


def test_a_newcomer_is_at_caution_until_it_is_found_sound():
    """Node 2 joins at 5 s. Measured with its quickest model, half a second: known at 5.5 s, and opened at 7 s."""
    join = ["set_risk_gate(server-2, caution)", "calibrate(server-2, b)"]
    office = Office(away(), WARM)
    assert office.turn() == [] and office.wait() == 3.0  # the first turn sees no newcomers
    assert office.turn() == [] and office.wait() == 5.0
    assert office.turn() == join
    office.finish(wake_ns=SECOND // 4)
    assert office.turn() == []  # the probe is out
    office.finish(wake_ns=2 * SECOND)
    assert office.turn() == ["set_risk_gate(server-2, open)"]
    office.wait()
    assert office.turn() == []


def test_a_newcomer_that_is_slow_leaves_quarantine_after_30_s():
    """It runs at a tenth: a probe of half a second takes 5 s. Joined at 5 s, probed until 10 s; at 11 s known for 1 s.

    At 14 s it has been silent for more than 3 s: the next, until 19 s, and so on. From 35 s on its gate is open.
    """
    slow = Change(time_s=5.0, node=2, what="speed", value=0.1)
    office, calls = Office(away(5.0, slow), WARM), []
    for wake_s in (3, 2, 6, 3, 6, 12, 3, 0):
        calls.append((float(office.batch.time_s[0]), office.turn()))
        office.finish(wake_ns=wake_s * SECOND)
    probe = "calibrate(server-2, b)"
    assert calls == [
        (0.0, []),
        (3.0, []),
        (5.0, ["set_risk_gate(server-2, caution)", probe]),
        (11.0, []),
        (14.0, [probe]),
        (20.0, []),
        (32.0, [probe]),
        (35.0, ["set_risk_gate(server-2, open)"]),
    ]


def slow_node(office):
    """Node 1 has been measured to be ten times slower than its prior."""
    pair, node = office.state.pair[0, 1], office.node[1:2]
    pair["evidence"], pair["first_ratio"], pair["unit_ratio"] = 5, 10.0, 10.0
    node["evidence"], node["slowdown"], node["evidence_ns"] = 5, 10.0, office.world["now_ns"]
    office.batch.observe(np.ones(1, bool), office.obs)


def test_a_slow_node_is_measured_when_its_event_is_over():
    """No silence is needed."""
    for after in (True, False):
        office = Office(quiet(), replace(WARM, probe_after=after))
        office.turn(says(1, "now", duration_s=3))
        office.finish(wake_ns=2 * SECOND)
        assert office.turn() == []
        slow_node(office)
        assert office.wait() == 3.0
        assert office.turn() == [OPEN, *[PROBE] * after]
        assert office.turn() == []  # one probe is out


def test_a_slow_node_is_measured_when_it_is_silent():
    """Turns every 2.5 s; found slow at 0 s, silent for more than 3 s first at 5 s; the answer is there at 6 s.

    At 7.5 s it has been silent for 1.5 s again.
    """
    scenario = quiet(control=replace(FREE, tick_s=2.5))
    for settings, expected in (
        (WARM, [[], [], [PROBE], []]),
        (replace(WARM, probes=2), [[], [], [PROBE] * 2, []]),
        (replace(WARM, silent_s=4.9), [[], [], [PROBE], []]),
        (replace(WARM, silent_s=5.1), [[], [], [], [PROBE]]),
        (replace(WARM, probe_slow=np.inf), [[]] * 4),
        (replace(WARM, probes=0), [[]] * 4),
        (replace(WARM, max_calls=0), [[]] * 4),
    ):
        office, calls = Office(scenario, settings), []
        slow_node(office)
        for _ in range(4):
            calls.append(office.turn())
            office.wait()
        assert calls == expected, settings


def test_calls_of_an_episode_can_be_limited():
    office = Office(quiet(), RuleSettings(max_calls=3))
    assert office.turn() == [f"calibrate(server-{n}, work)" for n in range(3)]
    office.wait()
    assert office.turn(says(1, "now")) == []


def test_exploration_for_a_while():
    """0.5 in the first turn; at 10 s that is over."""
    office = Office(quiet(control=replace(FREE, tick_s=10.0)), replace(WARM, explore_s=10.0))
    calls = []
    for _ in range(3):
        calls.append(office.turn())
        office.wait()
    assert calls == [["configure_router(exploration=0.5)"], ["configure_router(exploration=0)"], []]


# --- in batches -------------------------------------------------------------------------------------------------------


def worlds():
    """Worlds where much is said, nodes leave and drift, and the guards are tight."""
    full = preset("mixed").with_overrides(n_requests=300, churn_share=0.6)
    return {"mixed": full, "hostile": hostile(), "rough": rough(), "toy2": preset("toy2")}


def as_bytes(episode):
    return b"".join((episode.log.tobytes(), episode.terms.tobytes(), np.float64(episode.masked_s).tobytes()))


@pytest.mark.parametrize("name", ["mixed", "hostile", "rough", "toy2"])
def test_a_row_is_what_it_is_alone_and_again(name):
    """(The roll-out refuses illegal calls.)"""
    world, seeds = World(worlds()[name]), range(4)
    batch = roll_out(world, make_policy("e3_rules"), "e3_rules", seeds).episodes
    again = roll_out(world, make_policy("e3_rules"), "e3_rules", seeds, batch_size=2).episodes
    alone = [roll_out(world, Rules(), "e3_rules", [seed]).episodes[0] for seed in seeds]
    for b in seeds:
        assert as_bytes(batch[b]) == as_bytes(again[b]) == as_bytes(alone[b])
        assert batch[b].calls == alone[b].calls
    if name in ("mixed", "hostile"):
        assert sum(episode.calls for episode in batch) > 20
        assert max(episode.masked_s for episode in batch) > 0
    if name == "toy2":
        assert [episode.calls for episode in batch] == [2] * 4  # both nodes measured; nothing is said, nothing is slow


def test_random_tools_never_call_what_is_refused():
    episodes = roll_out(World(hostile()), RandomTools(0.8), "e3_random_tools", range(4)).episodes
    again = roll_out(World(hostile()), RandomTools(0.8), "e3_random_tools", range(4)).episodes
    assert [as_bytes(e) for e in episodes] == [as_bytes(e) for e in again]
    assert min(episode.calls for episode in episodes) > 50


def test_rules_keep_requests_from_users_in_the_foreground():
    """What the gates are for: with what is said, fewer requests run while a user looks at the node."""
    world, seeds = World(preset("semantic").with_overrides(n_requests=600)), range(3)

    def stutters(policy):
        episodes = roll_out(world, make_policy(policy), policy, seeds).episodes
        return sum(int((episode.log["stutter"] & 2 > 0).sum()) for episode in episodes)

    assert stutters("e3_rules") < 0.7 * stutters("e3_fast")
