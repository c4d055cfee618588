"""Small worlds worked out on paper, to the nanosecond. The comments are the paper."""

import numpy as np
import pytest
from helpers import Game
from small_worlds import about, ns, one_node, seed_of, shown_s

from edge_gym.devices import ModelType, Service
from edge_gym.kernel.observe import (
    BACKLOG,
    BUSY,
    EVIDENCE,
    EVIDENCE_AGE,
    FIRST,
    IS_REQUEST,
    LOAD,
    NETWORK,
    OUTSTANDING,
    OVERDUE,
    PER_UNIT,
    RESIDENT,
    SERVICE,
    SLACK,
    SLOWDOWN,
    WAIT,
)
from edge_gym.kernel.tables import COMPLETED, REJECTED, SECOND
from edge_gym.scenario import Change, Telemetry
from edge_gym.scenario.presets import preset

# --- toy2: node 0 needs 1 s, node 1 needs 2 s -------------------------------------------------------------------------

# Arrivals with seed 0, s; they are exogenous.
ARRIVALS_S = [
    0.662970382, 1.047654300, 1.144044672, 2.727252877, 3.438566423,
    3.713707874, 4.981447939, 6.943519804, 6.982712538, 7.991244846,
]  # fmt: skip
CHOICES = [0, 0, 1, 0, 1, 2, 0, 0, 0, 1]
# Node 0: request 0 from 0.662970382, 1 behind it, 3 at once, 6 at once, 7 at once, 8 behind it; 1 s each.
# Node 1: request 2 at once, 4 at once, 9 at once; 2 s each. Request 5 is declined.
START_S = [0.662970382, 1.662970382, 1.144044672, 2.727252877, 3.438566423,
           None, 4.981447939, 6.943519804, 7.943519804, 7.991244846]  # fmt: skip
FINISH_S = [1.662970382, 2.662970382, 3.144044672, 3.727252877, 5.438566423,
            3.713707874, 5.981447939, 7.943519804, 8.943519804, 9.991244846]  # fmt: skip
# Wait on node 0 and on node 1 at each arrival: when the node is free next, less now.
WAIT_S = [
    (0, 0),
    (0.615316082, 0),  # 1.662970382 - 1.047654300
    (1.518925710, 0),  # request 0 has 0.518925710 left, request 1 its whole second
    (0, 0.416791795),  # 3.144044672 - 2.727252877
    (0.288686454, 0),  # 3.727252877 - 3.438566423
    (0.013545003, 1.724858549),  # 3.727252877 and 5.438566423 less 3.713707874
    (0, 0.457118484),  # 5.438566423 - 4.981447939
    (0, 0),
    (0.960807266, 0),  # 7.943519804 - 6.982712538
    (0.952274958, 0),  # 8.943519804 - 7.991244846
]
# Request-seconds until the next arrival.
COST_S = [
    0.384683918,  # request 0 until 1.047654300
    0.192780744,  # requests 0 and 1, 0.096390372 each
    3.621059625,  # 0 until 1.662970382: 0.518925710; 1 until 2.662970382: 1.518925710; 2 all the time: 1.583208205
    1.128105341,  # 2 until 3.144044672: 0.416791795; 3 all the time: 0.711313546
    0.550282902,  # 3 and 4, 0.275141451 each
    21.281285068,  # declined: 2 deadlines of 10 s; 3 until 3.727252877: 0.013545003; 4 all the time: 1.267740065
    1.457118484,  # 4 until 5.438566423: 0.457118484; 6: 1
    0.039192734,  # 7
    1.969339574,  # 7 until 7.943519804: 0.960807266; 8 all the time: 1.008532308
    2.952274958,  # 8 until 8.943519804: 0.952274958; 9: 2
]


def test_val_25_toy2_by_hand():
    game, logs = Game(preset("toy2"), [0]), []
    for k in range(10):
        assert game.batch.state.world["now_ns"][0] == ns(ARRIVALS_S[k])
        assert game.batch.mask.all()  # room for 1 + 10 at each node
        assert (shown_s(game, WAIT, 0), shown_s(game, WAIT, 1)) == (about(WAIT_S[k][0]), about(WAIT_S[k][1]))
        assert shown_s(game, WAIT, 2) == about(20.0)  # what declining is charged
        assert (shown_s(game, SERVICE, 0), shown_s(game, SERVICE, 1)) == (about(1.0), about(2.0))
        assert shown_s(game, LOAD, 0) == shown_s(game, NETWORK, 0) == 0.0
        assert game.column(SLACK) == 1.0 and game.column(IS_REQUEST) == 1.0
        check_evidence(game, k)
        step = game.step(CHOICES[k])
        logs.extend(step.log)
        assert step.out.terms[0, 0] == step.out.reward[0] == pytest.approx(-COST_S[k], abs=1e-12)
    assert game.over.all() and game.column(IS_REQUEST) == 0.0
    assert game.batch.state.world["now_ns"][0] == ns(9.991244846)
    log = sorted(logs, key=lambda entry: entry["id"])
    assert [entry["finish_ns"] for entry in log] == [ns(t) for t in FINISH_S]
    for k in (k for k in range(10) if k != 5):
        assert log[k]["start_ns"] == ns(START_S[k]) and log[k]["node"] == CHOICES[k]
        assert log[k]["slowdown"] == 1.0 and log[k]["outcome"] == COMPLETED and not log[k]["late"]
    assert log[5]["outcome"] == REJECTED and log[5]["latency_ns"] == 20 * SECOND and log[5]["late"]


def check_evidence(game, k):
    """What the router has seen of the nodes, at a few of the arrivals."""
    if k == 0:
        assert game.column(EVIDENCE) == 0 and game.column(EVIDENCE_AGE) == 1.0  # none yet
    if k == 1:  # request 0 is under way for 0.384683918 s of an expected 1 s
        assert game.column(OVERDUE) == pytest.approx(0.384683918 / 1.384683918, rel=1e-6)
        assert game.column(BUSY) == 1.0 and game.column(OUTSTANDING) == pytest.approx(1 / 9)
    if k == 2:
        assert game.column(OUTSTANDING) == pytest.approx(2 / 10) and shown_s(game, BACKLOG) == about(1.518925710)
    if k == 3:  # requests 0 and 1 are served, the last at 2.662970382
        assert game.column(EVIDENCE) == pytest.approx(2 / 10) and game.column(SLOWDOWN) == 0.5
        assert shown_s(game, EVIDENCE_AGE) == pytest.approx(0.064282495, rel=2e-5)
        assert game.column(BUSY, 0) == 0.0 and game.column(BUSY, 1) == 1.0
    if k == 9:  # 0, 1, 3, 6, 7 on node 0; 2 and 4 on node 1
        assert game.column(EVIDENCE, 0) == pytest.approx(5 / 13) and game.column(EVIDENCE, 1) == pytest.approx(2 / 10)


def test_val_25_a_full_node_is_not_legal():
    """No queue: node 0 is full from request 0 (0.66 s) to 1.66 s, so at 1.05 and 1.14 s; at 2.73 s it is free again."""
    game = Game(preset("toy2").with_overrides(queue_capacity=0), [0])
    assert game.batch.mask.tolist() == [[True, True, True]]
    game.step(0)
    assert game.batch.mask.tolist() == [[False, True, True]]
    game.step(1)
    assert game.batch.mask.tolist() == [[False, False, True]]
    game.step(2)
    assert game.batch.mask.tolist() == [[True, False, True]]  # request 1 runs on node 1 from 1.05 to 3.05 s


# --- one node, several models -----------------------------------------------------------------------------------------


def test_val_25_neighbours_with_unequal_gains(tmp_path):
    """Model a: 4 s, gain 2; model b: 3 s, gain 4. a at 0 s, b at 1 s, on two slots.

    Alone a does 1 s of its work by t = 1 s. Together a runs at 1 / (1 + 1/4) = 0.8 and b at 1 / (1 + 1/2) = 2/3. a has
    3 s left and needs 3.75 s: it ends at 4.75 s. By then b has done 2.5 s; the last 0.5 s it is alone: 5.25 s.
    """
    scenario = one_node(
        tmp_path,
        [0, 1],
        (ModelType(name="a", weights_bytes=1), ModelType(name="b", weights_bytes=1)),
        (
            Service(device="node", model="a", per_unit_s=4.0, gain=2.0),
            Service(device="node", model="b", per_unit_s=3.0, gain=4.0),
        ),
        slots=2,
    )
    game = Game(scenario, [seed_of(scenario, [0, 1])])
    game.step(0)
    step = game.step(0)
    assert step.log["model"].tolist() == [0, 1]
    assert step.log["finish_ns"].tolist() == [ns(4.75), ns(5.25)]
    # The slowdown is against the fair share, so sharing itself is no slowdown.
    assert step.log["slowdown"] == pytest.approx([1.0, 1.0], abs=1e-12)
    assert step.out.terms[0, 0] == -(3.75 + 4.25)


def test_val_25_cold_loads_and_eviction(tmp_path):
    """Memory 100, three models of 40, read at 10 bytes/s plus 1 s: 5 s for a load. Requests run 1 s, on two slots."""
    models = tuple(ModelType(name=name, weights_bytes=40, startup_s=1.0) for name in "abc")
    services = tuple(Service(device="node", model=name, per_unit_s=1.0, gain=1e6) for name in "abc")
    rows = [0, 1, 20, 30, 31, 33, 34]
    scenario = one_node(tmp_path, rows, models, services, slots=2, memory=100, storage=10.0, preload="none")
    game = Game(scenario, [seed_of(scenario, [0, 1, 2, 0, 2, 1, 2])])

    def shows(residency, load_s):
        assert game.column(RESIDENT) == residency and shown_s(game, LOAD) == about(load_s)
        assert game.batch.mask[0, 0]

    logs = []
    shows(0.0, 5.0)
    logs.append(game.step(0))  # a at 0 s: loads until 5 s, runs until 6 s
    shows(0.0, 4.0 + 5.0)  # storage reads a until 5 s
    logs.append(game.step(0))  # b at 1 s: loads until 10 s, runs until 11 s
    shows(0.0, 5.0)
    logs.append(game.step(0))  # c at 20 s: a (used at 5 s) goes, not b (10 s); loads until 25 s, runs until 26 s
    shows(0.0, 5.0)
    logs.append(game.step(0))  # a at 30 s: b (10 s) goes, not c (25 s); loads until 35 s, runs until 36 s
    shows(1.0, 0.0)
    logs.append(game.step(0))  # c at 31 s: still there, runs until 32 s, past a, which waits for its load
    shows(0.0, 2.0 + 5.0)
    logs.append(
        game.step(0)
    )  # b at 33 s: c is idle and goes; storage is busy until 35 s; loads until 40 s, runs until 41 s
    # c at 34 s: beside a and b, both needed, there is no room for it.
    assert game.batch.mask.tolist() == [[False, True]] and game.column(RESIDENT) == 0.0
    logs.append(game.step(1))
    log = np.concatenate([step.log for step in logs])
    log = log[np.argsort(log["id"])]
    assert log["finish_ns"].tolist() == [ns(t) for t in (6, 11, 26, 36, 32, 41, 34)]
    assert log["start_ns"][:6].tolist() == [ns(t) for t in (5, 10, 25, 35, 31, 40)]


def test_val_25_transfer_prefill_and_tokens(tmp_path):
    """Prompt 2,548 tokens, 200 output tokens, over two links of 10 ms and an access of 5 ms, at 1 MB/s.

    Up: 100,000 + 4 x 2,548 = 110,192 bytes, 0.110192 s, and 0.025 s delay: there at 0.135192 s.
    Prefill: 0.5 + 2,548 x 0.001 + 500 x 0.002 = 4.048 s; first token at 4.183192 s, with the user at 4.208192 s.
    Decode: 200 x 0.01 = 2 s: served at 6.183192 s. Down: 500 + 200 x 200 = 40,500 bytes and the delay, 0.0655 s: with
    the user at 6.248692 s.
    """
    model = ModelType(
        name="llm", kind="llm", weights_bytes=1, upload_bytes=1e5, upload_bytes_per_prompt_token=4.0,
        download_bytes=500.0, download_bytes_per_unit=200.0,
    )  # fmt: skip
    service = Service(
        device="node", model="llm", first_s=0.5, per_prompt_token_s=1e-3, beyond_2048_s=2e-3, per_unit_s=0.01
    )
    scenario = one_node(tmp_path, [(0, 2548, 200)], (model,), (service,), network=(0.01, 0.005, 1e6))
    game = Game(scenario, [0])
    assert shown_s(game, NETWORK) == about(0.135192 + 0.0655)
    assert shown_s(game, FIRST) == about(4.048) and shown_s(game, PER_UNIT) == about(0.01)
    assert shown_s(game, SERVICE) == about(6.048)
    (entry,) = game.step(0).log
    assert (entry["start_ns"], entry["first_ns"]) == (ns(0.135192), ns(4.208192))
    assert (entry["finish_ns"], entry["latency_ns"]) == (ns(6.248692), ns(6.248692))


def test_val_22_speed_changes_in_the_middle_of_service(tmp_path):
    """2 s of work. Half speed from 1 s on: 1 s done, the other takes 2 s: 3 s.

    The next starts at 3.5 s; double speed from 4.5 s on: 0.5 s done, 1.5 s at double speed: 5.25 s.
    """
    scenario = one_node(
        tmp_path,
        [0, 3.5],
        (ModelType(name="a", weights_bytes=1),),
        (Service(device="node", model="a", per_unit_s=2.0),),
        timeline=(
            Change(time_s=1.0, node=0, what="speed", value=0.5),
            Change(time_s=4.5, node=0, what="speed", value=2.0),
        ),
    )
    game = Game(scenario, [0])
    first = game.step(0)
    assert first.log["finish_ns"].tolist() == [ns(3)] and first.log["slowdown"].tolist() == [1.5]
    # First report, weight 1/2: the measured slowdown is 1 + (1.5 - 1) / 2 = 1.25, shown as r / (1 + r).
    assert game.column(SLOWDOWN) == pytest.approx(1.25 / 2.25) and game.column(EVIDENCE) == pytest.approx(1 / 9)
    assert shown_s(game, SERVICE) == about(2.0)  # the prior knows nothing of it
    second = game.step(0)
    assert second.log["finish_ns"].tolist() == [ns(5.25)]
    assert second.log["slowdown"].tolist() == [1.75 / 2]


@pytest.mark.parametrize(("work_s", "finish_ns"), [(1 / 3, 333_333_333), (2 / 3, 666_666_667)])
def test_val_25_durations_are_rounded_to_the_nearest_nanosecond(work_s, finish_ns, tmp_path):
    services = (Service(device="node", model="a", per_unit_s=work_s),)
    scenario = one_node(tmp_path, [0], (ModelType(name="a", weights_bytes=1),), services)
    assert Game(scenario, [0]).step(0).log["finish_ns"].tolist() == [finish_ns]


@pytest.mark.parametrize(("speed", "stutters"), [(0.04, 1), (0.06, 0)])
def test_val_25_a_gap_beyond_the_bound_stutters(speed, stutters, tmp_path):
    """Nominal gap 10 ms, bound 200 ms: at 4 % speed a token takes 250 ms, at 6 % 167 ms."""
    model = ModelType(name="llm", kind="llm", weights_bytes=1)
    scenario = one_node(
        tmp_path,
        [(0, 0, 10)],
        (model,),
        (Service(device="node", model="llm", per_unit_s=0.01),),
        timeline=(Change(time_s=0.05, node=0, what="speed", value=speed),),
    )
    step = Game(scenario, [0]).step(0)
    assert step.log["stutter"].tolist() == [stutters] and step.out.terms[0, 3] == -stutters
    assert step.log["finish_ns"].tolist() == [round(0.05 * SECOND + 0.05 / speed * SECOND)]


def test_val_25_old_telemetry(tmp_path):
    """Telemetry is half a second old. 1 s of work at 0 s is served at 1 s, and known at 1.5 s."""
    scenario = one_node(
        tmp_path,
        [0, 1.25, 1.75],
        (ModelType(name="a", weights_bytes=1),),
        (Service(device="node", model="a", per_unit_s=1.0),),
        telemetry=Telemetry(age_s=0.5),
    )
    game = Game(scenario, [0])
    step = game.step(0)
    # At 1.25 s the node is idle, but nobody has told the router; the reward knows: 1 request-second.
    assert step.out.terms[0, 0] == -1.0 and len(step.log) == 0
    assert game.column(BUSY) == 1.0 and game.column(OUTSTANDING) == pytest.approx(1 / 9)
    assert game.column(EVIDENCE) == 0.0 and game.column(EVIDENCE_AGE) == 1.0
    assert shown_s(game, BACKLOG) == shown_s(game, WAIT) == 0.0  # by its prior it should be done
    assert game.column(OVERDUE) == pytest.approx(1.25 / 2.25)  # 1.25 s old, 1 s expected
    step = game.step(1)
    # At 1.75 s the report of 1.5 s is in, 0.25 s ago.
    assert step.log["id"].tolist() == [1, 0]  # the declined request ended at once
    assert step.log["finish_ns"].tolist() == [ns(1.25), ns(1)]
    assert game.column(BUSY) == 0.0 and game.column(EVIDENCE) == pytest.approx(1 / 9)
    assert shown_s(game, EVIDENCE_AGE) == about(0.25)
    step = game.step(0)
    # The end: 1.75 to 2.75 s; what is still to be reported then is reported.
    assert step.out.done[0] and step.log["id"].tolist() == [2] and step.log["finish_ns"].tolist() == [ns(2.75)]
    assert game.batch.state.world["now_ns"][0] == ns(2.75)
