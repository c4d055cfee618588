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


CLOSE, OPEN = "set_risk_gate(server-1, closed)", "set_risk_gate(server-1, open)"


def test_a_gate_closes_before_the_user_comes_and_opens_when_he_goes():
    """Said at 0 s: a game in 10 s, for 20 s. Closed at 9.5 s, a margin of 0.5 s before; open again at 30 s."""
    office = Office(quiet())
    assert office.turn(says(1, "ahead", onset_s=10)) == [] and office.wait() == 9.5
    assert office.turn() == [CLOSE] and office.wait() == 30.0
    assert office.turn() == [OPEN]
    assert office.rules.wake_s[0] == 0.0 and office.wait() == 130.0  # nothing to come: the tick


def test_an_end_that_is_said_opens_at_once():
    office = Office(quiet())
    assert office.turn(says(1, "now", duration_s=60)) == [CLOSE]
    office.finish(wake_ns=7 * SECOND)
    assert office.turn(says(1, "over")) == [OPEN] and office.rules.wake_s[0] == 0.0


def test_what_is_called_off_closes_nothing_or_opens():
    office = Office(quiet())
    assert office.turn(says(1, "ahead", onset_s=10)) == []
    office.finish(wake_ns=4 * SECOND)
    assert office.turn(says(1, "cancelled")) == [] and office.rules.wake_s[0] == 0.0
    assert office.turn(says(1, "now")) == [CLOSE] and office.turn(says(1, "cancelled")) == [OPEN]


@pytest.mark.parametrize(
    ("speed", "foreground", "call"),
    [(0.1, 0, "closed"), (0.3, 0, "caution"), (0.35, 0, "caution"), (0.5, 0, None), (0.9, 1, "closed")],
)
def test_how_bad_it_is_decides_the_gate(speed, foreground, call):
    """Closed from 6 times slower, or if the user looks; caution from 2.5 times: 1 / 0.35 is, 1 / 0.5 is not."""
    activity = "game" if foreground else "backup"
    office = Office(quiet())
    expected = [] if call is None else [f"set_risk_gate(server-1, {call})"]
    assert office.turn(says(1, "now", activity, speed=speed, foreground=foreground)) == expected
    assert office.wait() == 20.0
    assert office.turn() == ([] if call is None else [OPEN])


def test_an_end_nobody_speaks_of_is_assumed():
    office = Office(quiet())
    assert office.turn("A game has just started on server-1.") == [CLOSE] and office.wait() == 30.0
    assert office.turn() == [OPEN]


def test_chatter_and_what_names_no_node_move_nothing():
    office = Office(quiet())
    lines = ("event node=server-1 stage=chatter", "Something has changed in the network.", "The weather is fine.")
    assert office.turn(*lines, says(9, "now")) == [] and office.rules.wake_s[0] == 0.0


def test_a_later_message_replaces_the_one_before():
    office = Office(quiet())
    office.turn(says(1, "ahead", onset_s=10))
    assert office.turn(says(1, "ahead", onset_s=30, duration_s=5)) == [] and office.wait() == 29.5
    assert office.turn() == [CLOSE] and office.wait() == 35.0


def test_the_guards_let_through_one_after_the_other():
    """Of four nodes one may be closed in a turn, two in all: what ends first is closed first, the last not at all."""
    office = Office(quiet(control=Control(tick_s=1.0, cooldown_s=0.0)))
    said = [says(n, "now", duration_s=d) for n, d in ((1, 60), (2, 30), (3, 90))]
    assert office.turn(*said) == ["set_risk_gate(server-2, closed)"]
    assert office.wait() == 1.0 and office.turn() == [CLOSE]
    for _ in range(3):
        office.wait()
        assert office.turn() == []
    assert office.world["interventions"] == 0  # it reads the mask


def test_newcomers_are_measured_on_every_model():
    """Node 2 is away from 3 s to 5 s. Its models are measured when it joins; the first turn sees no newcomers."""
    two = ("a", "b")
    base = quiet(timeline=tuple(Change(time_s=t, node=2, what="alive", value=v) for t, v in ((3.0, 0), (5.0, 1))))
    scenario = replace(
        base,
        models=tuple(ModelType(name=m, weights_bytes=1) for m in two),
        services=tuple(Service(device="server", model=m, per_unit_s=0.001) for m in two),
        workloads=tuple(replace(base.workloads[0], model=m) for m in two),
    )
    office = Office(scenario)
    assert office.turn() == [] and office.wait() == 3.0
    assert office.turn() == [] and office.wait() == 5.0
    assert office.turn() == ["calibrate(server-2, a)", "calibrate(server-2, b)"]
    office.wait()
    assert office.turn() == []
    blind = Office(scenario, RuleSettings(probe_newcomers=False))
    for _ in range(3):
        assert blind.turn() == []
        blind.wait()


def slow_node(office):
    """Node 1 has been measured to be ten times slower than its prior."""
    pair, node = office.state.pair[0, 1], office.node[1:2]
    pair["evidence"], pair["first_ratio"], pair["unit_ratio"] = 5, 10.0, 10.0
    node["evidence"], node["slowdown"], node["evidence_ns"] = 5, 10.0, office.world["now_ns"]
    office.batch.observe(np.ones(1, bool), office.obs)


def test_a_slow_node_is_measured_when_its_event_is_over_and_when_it_is_silent():
    probe = "calibrate(server-1, work)"
    office = Office(quiet())
    office.turn(says(1, "now", duration_s=3))
    slow_node(office)
    assert office.wait() == 3.0
    assert office.turn() == [OPEN, probe]  # 3 s of silence are not enough, but the event is over
    assert office.turn() == []  # one probe is out
    silent = Office(quiet(control=replace(FREE, tick_s=3.0)))
    slow_node(silent)
    calls = []
    for _ in range(4):
        calls.append(silent.turn())
        silent.wait()
    # At 3 s it has been silent for 3 s, at 6 s for more than 4 s; at 7 s the answer comes: as fast as its prior.
    assert calls == [[], [], [probe], []]
    never = Office(quiet(control=replace(FREE, tick_s=3.0)), RuleSettings(probe_slow=np.inf, probe_after=False))
    slow_node(never)
    for _ in range(4):
        assert never.turn() == []
        never.wait()


def test_the_margin_is_kept_to_the_nanosecond():
    """Whatever the times, the turn that was asked for is the one in which the gate moves."""
    rng, world = np.random.default_rng(3), World(quiet(n_nodes=2, queue_capacity=5))
    for _ in range(150):
        office = Office(world)
        office.finish(wait_ns=int(rng.integers(1, 10**9)))
        begun = float(office.batch.time_s[0])
        onset_s, lasts_s = (float(x) for x in rng.integers(1, 100, 2) * rng.choice([0.1, 1.0, 0.001 * np.pi]) + 0.6)
        assert office.turn(says(1, "ahead", onset_s=onset_s, duration_s=lasts_s)) == []
        assert office.wait() == pytest.approx(begun + onset_s - 0.5, abs=2e-9)
        assert office.turn() == [CLOSE], (begun, onset_s)
        assert office.wait() == pytest.approx(begun + onset_s + lasts_s, abs=2e-9)
        assert office.turn() == [OPEN], (begun, onset_s, lasts_s)


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
        assert [episode.calls for episode in batch] == [0] * 4  # nothing is said and nothing is slow


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
