"""Nothing is lost and nothing is made up: counts, memory and latency agree with the job table after every step.

Random scenarios under random legal play: slots, queues, several models that compete for memory, loads, old telemetry,
nodes that leave, join and change speed, and every kind of arrivals.
"""

import itertools

import numpy as np
import pytest
from helpers import Game, RandomLegal, first_legal, play, queue_scenario, trace_arrivals

from edge_gym.devices import DeviceType, ModelType, Service
from edge_gym.kernel.build import World
from edge_gym.kernel.tables import (
    ABSENT,
    CAUTION,
    CLOSED,
    COMPLETED,
    DELIVERED,
    DOWNLINK,
    DROPPED,
    LOADING,
    NEVER,
    NO_SUBJECT,
    NONE,
    OPEN,
    QUEUED,
    REJECTED,
    RESIDENT,
    RUNNING,
    SECOND,
    STUTTER_FOREGROUND,
    UNFINISHED,
    UPLINK,
)
from edge_gym.scenario import (
    Arrivals,
    Change,
    Law,
    Pool,
    RewardWeights,
    Scenario,
    Telemetry,
    Topology,
    Workload,
)

N_SCENARIOS = 72
N_ROWS = 3


def random_scenario(index: int, tmp_path) -> Scenario:
    """A small world with much going on; the same index, the same world."""
    rng = np.random.default_rng([index, 5])
    n_nodes, n_models = int(rng.integers(1, 5)), int(rng.integers(1, 5))
    weights = rng.integers(1, 8, n_models) * 10
    memory = [int(weights.max() + rng.integers(0, 12) * 10) for _ in range(n_nodes)]
    devices = tuple(
        DeviceType(
            name=f"d{n}",
            memory_bytes=memory[n],
            storage_bytes_per_s=float(rng.choice([5.0, 50.0])),
            nic_bytes_per_s=1e6,
            power_idle_w=float(rng.integers(1, 9)),
            power_max_w=float(rng.integers(10, 40)),
            price_usd_per_hour=float(rng.integers(0, 3)),
            slots=int(rng.integers(1, 5)),
        )
        for n in range(n_nodes)
    )
    kinds = ("llm", "item", "diffusion")
    models = tuple(
        ModelType(
            name=f"m{m}",
            kind=kinds[m % 3],
            weights_bytes=int(weights[m]),
            startup_s=float(rng.choice([0.0, 0.4])),
            upload_bytes=float(rng.choice([0, 2e4])),
            download_bytes_per_unit=float(rng.choice([0, 5e3])),
        )
        for m in range(n_models)
    )
    services = tuple(
        Service(
            device=f"d{n}",
            model=f"m{m}",
            first_s=float(rng.choice([0.0, 0.1])),
            per_prompt_token_s=1e-3,
            per_unit_s=float(rng.uniform(0.01, 0.2)),
            gain=float(rng.choice([1.0, 2.5, 1e6])),
        )
        for n, m in itertools.product(range(n_nodes), range(n_models))
        if n == 0 or rng.random() < 0.8
    )
    workloads = tuple(
        Workload(
            model=f"m{m}",
            share=float(rng.uniform(0.2, 2)),
            prompt_tokens=Law(kind="uniform", low=0, high=300),
            units=Law(kind="exponential", mean=6.0, minimum=1),
            deadline_s=float(rng.uniform(0.5, 8)),
        )
        for m in range(n_models)
    )
    rate = float(rng.uniform(0.5, 4) * n_nodes)
    horizon_s = 120 / rate
    kind = ("poisson", "mmpp", "diurnal", "trace")[index % 4]
    if kind == "trace":
        at = np.r_[0, np.cumsum(np.round(rng.exponential(1 / rate, 119), 1))]  # tenths: many at the same time
        arrivals = trace_arrivals(
            tmp_path / f"{index}.csv",
            [(float(t), int(p), int(u)) for t, p, u in zip(at, at * 7 % 50, at * 3 % 9 + 1, strict=True)],
        )
    else:
        arrivals = Arrivals(kind=kind, rate_per_s=rate, burst_mean_s=horizon_s / 6, period_s=horizon_s / 2)
    times = np.sort(np.round(rng.uniform(0, horizon_s, int(rng.integers(0, 13))), 2))
    what = rng.choice(["alive", "speed"], len(times))
    timeline = tuple(
        Change(
            time_s=float(min(t, horizon_s)),
            node=int(rng.integers(n_nodes)),
            what=str(w),
            value=float(rng.integers(0, 2)) if w == "alive" else float(rng.choice([0.25, 1, 3])),
        )
        for t, w in zip(times, what, strict=True)
    )
    return Scenario(
        name=f"random{index}",
        devices=devices,
        models=models,
        services=services,
        pool=Pool(
            device_types=tuple(f"d{n}" for n in range(n_nodes)),
            n_nodes=n_nodes,
            queue_capacity=int(rng.choice([0, 1, 3, 20])),
            preload=str(rng.choice(["none", "popular", "all_that_fit"])),
        ),
        workloads=workloads,
        arrivals=arrivals,
        topology=Topology(kind="star", n_sites=int(rng.integers(1, 4)), link_delay_s=float(rng.choice([0.0, 0.03]))),
        telemetry=Telemetry(age_s=float(rng.choice([0.0, 0.7, 6.0])), forecast_cv=float(rng.choice([0.0, 0.5]))),
        weights=RewardWeights(latency=1.0, energy=0.01),
        timeline=timeline,
        horizon_s=horizon_s,
        n_requests=int(rng.choice([100, 10_000])),
        drain_s=float(rng.choice([0.5, 1000.0])),
        max_retries=int(rng.integers(0, 3)),
        bias_sigma=float(rng.choice([0.0, 0.4])),
    )


def chain(head: int, after: np.ndarray) -> list[int]:
    """Rows of a linked list; fails on a cycle."""
    rows = []
    while head != NONE:
        rows.append(int(head))
        assert len(rows) <= len(after), "the list runs in a circle"
        head = after[head]
    return rows


def check_world(world: World, state, b: int) -> None:
    """Every count and list of row `b` against a recount from its job table."""
    p, w, job = world.params, state.world[b], state.job[b]
    kind, waits_for_decision = job["state"], []
    free = chain(w["free"], job["next"])
    pending = chain(w["pending_head"], job["next"])
    reports = chain(w["report_head"], job["next"])
    if w["subject_kind"] != NO_SUBJECT:
        waits_for_decision = [int(w["subject"])]
    in_states = np.flatnonzero((kind >= UPLINK) & (kind <= DOWNLINK)).tolist()
    # Each row of the job table is exactly one thing.
    never_used = list(range(w["fresh"], len(job)))
    everything = never_used + free + pending + reports + waits_for_decision + in_states
    assert sorted(everything) == list(range(len(job)))
    assert sorted(reports) == np.flatnonzero(kind == DELIVERED).tolist()
    assert (np.diff(job["due_ns"][reports]) >= 0).all()
    if pending:
        assert pending[-1] == w["pending_tail"]
    # Conservation of requests; calibration requests are nobody's.
    used = pending + reports + waits_for_decision + in_states
    requests = [j for j in used if job["probe"][j] == 0]
    assert not job["probe"][pending + waits_for_decision].any()
    assert w["in_system"] == len(requests) - len([j for j in reports if job["probe"][j] == 0])
    assert w["arrived"] == w["completed"] + w["rejected"] + w["dropped"] + w["in_system"]
    ids = job["id"][requests]
    assert len(set(ids.tolist())) == len(ids) and (ids >= 0).all()
    for n, node in enumerate(state.node[b]):
        mine = np.flatnonzero((job["node"] == n) & (kind > 0))
        check_node(p, state, b, n, node, mine)
        check_condition(p, state, b, n, node, mine)
    gates = state.node[b]["gate"]
    assert w["closed"] == (gates == CLOSED).sum()
    assert w["closed_share"] == p.node["capacity_share"][healthy(state.node[b]) & (gates == CLOSED)].sum()


def healthy(nodes: np.ndarray) -> np.ndarray:
    """Which nodes are there, at two thirds of their speed at least, and not in their users' hands."""
    return (nodes["alive"] == 1) & (nodes["foreground"] == 0) & (nodes["speed"] >= 2 / 3)


def check_condition(p, state, b: int, n: int, node, mine: np.ndarray) -> None:
    """What happens to the node by itself, its gate, and the calibration requests it has."""
    regime, slots = state.regime[b, n], state.slot[b, n][: node["running"]]
    assert node["speed"] == regime["base"] * regime["drift"] * regime["warm"] * regime["event"]
    assert (regime["event"] == 1.0) or node["foreground"] == (regime["activity"] < p.rules[0]["n_foreground"])
    assert regime["event"] < 1.0 or p.rules[0]["foreground_high"] == 1.0 or node["foreground"] == 0
    if node["foreground"]:
        assert (slots["stutter"] & STUTTER_FOREGROUND).all()
    assert node["gate"] in (OPEN, CAUTION, CLOSED)
    assert node["alive"] or node["gate"] == OPEN
    assert node["probes"] == state.job[b]["probe"][mine].sum() <= max(p.rules[0]["max_probes"], 0)


def check_node(p, state, b: int, n: int, node, mine: np.ndarray) -> None:
    job, kind, pair = state.job[b], state.job[b]["state"], state.pair[b, n]
    running = state.slot[b, n]["job"][: node["running"]].tolist()
    queue, air = chain(node["queue_head"], job["next"]), chain(node["air_head"], job["next"])
    assert sorted(running) == mine[kind[mine] == RUNNING].tolist()
    assert sorted(queue) == mine[kind[mine] == QUEUED].tolist() and len(queue) == node["queued"]
    assert sorted(air) == mine[(kind[mine] == UPLINK) | (kind[mine] == DOWNLINK)].tolist()
    assert (np.diff(job["due_ns"][air]) >= 0).all()
    assert (np.diff(job["due_ns"][queue]) >= 0).all()  # in order of their arrival at the node
    assert node["outstanding"] == (kind[mine] != DELIVERED).sum() <= p.node[n]["limit"]
    assert node["running"] <= p.node[n]["slots"]
    # What the router knows of: dispatched, in that order, not yet reported.
    known = chain(node["oldest"], job["newer"])
    assert sorted(known) == mine.tolist() and node["seen"] == len(known)
    assert chain(node["newest"], job["older"]) == known[::-1]
    assert (np.diff(job["dispatch_ns"][known]) >= 0).all()
    assert node["book_s"] == pytest.approx(job["expected_s"][mine].sum(), abs=1e-9)
    assert -1e-9 <= node["fluid_s"] <= node["book_s"] + 1e-9
    # A slot is idle only if nothing that waits could start.
    if node["running"] < p.node[n]["slots"]:
        assert not any(pair["residency"][job["model"][j]] == RESIDENT for j in queue)
    if not node["alive"]:
        assert not running and not queue and all(kind[j] == DOWNLINK for j in air)
    # Memory.
    weights = p.model["weights_bytes"]
    unserved = mine[(kind[mine] >= UPLINK) & (kind[mine] <= RUNNING)]
    assert pair["outstanding"].tolist() == np.bincount(job["model"][unserved], minlength=len(weights)).tolist()
    assert node["memory_busy_bytes"] == weights[pair["outstanding"] > 0].sum()
    assert node["memory_used_bytes"] == weights[pair["residency"] != ABSENT].sum() <= p.node[n]["memory_bytes"]
    assert node["memory_busy_bytes"] <= p.node[n]["memory_bytes"]
    arrived = [j for j in unserved if kind[j] != UPLINK]
    assert all(pair["residency"][job["model"][j]] != ABSENT for j in arrived)
    assert all(pair["residency"][job["model"][j]] == RESIDENT for j in running)
    # The clock of the node.
    loads = pair["ready_ns"][pair["residency"] == LOADING]
    now = state.world[b]["now_ns"]
    if node["alive"]:
        assert node["load_ns"] == (loads.min() if len(loads) else NEVER)
    assert (node["finish_ns"] == NEVER) == (not running)
    due = min(node["load_ns"], node["finish_ns"], node["regime_ns"], job["due_ns"][air[0]] if air else NEVER)
    assert state.due[b, n] == due >= now


@pytest.mark.parametrize("block", range(6))
def test_val_19_conservation_at_every_step(block, tmp_path):
    for index in range(block, N_SCENARIOS, 6):
        check_conservation(random_scenario(index, tmp_path), range(index, index + N_ROWS))


def check_conservation(scenario: Scenario, seeds: range) -> np.ndarray:
    """Plays at random and checks every row after every step; returns the log of all rows."""
    world, n_rows = World(scenario), len(seeds)
    choose, game = RandomLegal(seeds), Game(world, seeds)
    charged, ended = np.zeros(n_rows, np.int64), [[] for _ in seeds]
    decisions = np.zeros(n_rows, np.int64)
    while not game.over.all():
        before = game.over.copy()
        decisions += ~before
        out = game.advance(choose(game.obs, game.batch.mask))
        charged -= np.rint(out.terms[:, 0] * SECOND).astype(np.int64)
        rows, log = game.batch.ended()
        for b in np.flatnonzero(~before):
            ended[b].extend(log[rows == b].tolist())
            if not game.over[b]:
                check_world(world, game.batch.state, b)
        running = game.batch.state.node["running"]
        idle, active = world.params.node["idle_w"], world.params.node["active_w"]
        power = (idle * game.batch.state.node["alive"] + active * (running > 0)).sum(axis=1)
        assert game.batch.state.world["power_w"] == pytest.approx(power, abs=1e-9)
    logs = [np.array(ended[b], game.batch.state.log.dtype) for b in range(n_rows)]
    for b in range(n_rows):
        check_end(game.batch.state.world[b], logs[b], charged[b])
        assert decisions[b] == game.batch.state.world["decisions"][b] >= len(logs[b])
    return np.concatenate(logs)


def check_end(w, log, charged_ns) -> None:
    """The log of an episode: every request once, outcomes as counted, the return minus the summed latency exactly."""
    assert sorted(log["id"].tolist()) == list(range(w["arrived"]))
    outcome = log["outcome"]
    assert w["in_system"] == 0
    assert w["completed"] == (outcome == COMPLETED).sum()
    assert w["rejected"] == (outcome == REJECTED).sum()
    assert w["dropped"] == ((outcome == DROPPED) | (outcome == UNFINISHED)).sum()
    assert charged_ns == log["latency_ns"].sum() == w["latency_total_ns"]
    done = log[outcome == COMPLETED]
    assert (done["latency_ns"] == done["finish_ns"] - done["arrive_ns"]).all()
    for early, late in itertools.pairwise(("arrive_ns", "dispatch_ns", "start_ns", "first_ns", "finish_ns")):
        assert (done[early] <= done[late]).all(), (early, late)


def test_the_random_scenarios_reach_what_they_should(tmp_path):
    """Otherwise the test above proves nothing: drops, retries, loads, evictions, full queues, unfinished work."""
    outcomes, retried, masked, loads, evictions = set(), 0, 0, 0, 0
    for index in range(N_SCENARIOS):
        world = World(random_scenario(index, tmp_path))
        residency = []

        def watch(game, out, residency=residency):
            residency.append(game.batch.state.pair["residency"].copy())

        played = play(world, RandomLegal([index]), [index], watch)
        outcomes |= set(played.log["outcome"].tolist())
        retried += int((played.log["retries"] > 0).sum())
        masked += int((played.log["outcome"] == REJECTED).sum())
        change = np.diff(np.array(residency).astype(int), axis=0)
        loads += int((np.array(residency) == LOADING).any())
        evictions += int((change == ABSENT - RESIDENT).any())
    assert outcomes == {COMPLETED, REJECTED, DROPPED, UNFINISHED}
    assert retried > 100 and masked > 100 and loads > 15 and evictions > 5


def test_val_18_little_on_the_sample_path():
    """The latency integral of the world is that of the steps n(t) of its log, and both are the summed latencies."""
    scenario = queue_scenario(2.4, slots=2, gain=1.5, n_nodes=2, n_requests=3000, telemetry=Telemetry(age_s=1.0))
    played = play(scenario, RandomLegal(range(3), declines=0.0), range(3))
    for b in range(3):
        log = played.of_row(b)
        assert (log["outcome"] == COMPLETED).all()
        times = np.concatenate([log["arrive_ns"], log["finish_ns"]])
        jump = np.repeat([1, -1], len(log))
        order = np.lexsort((-jump, times))
        number = np.cumsum(jump[order])
        assert number[-1] == 0 and number.min() == 0
        area = int((number[:-1] * np.diff(times[order])).sum())
        assert area == int(log["latency_ns"].sum()) == played.latency_ns[b]


def test_val_18_little_on_every_node():
    """Slot-seconds in service: what the log says and what the telemetry integral (share of a slot) says agree."""
    played = play(queue_scenario(2.4, slots=2, n_nodes=2, n_requests=2000), first_legal, range(3))
    for b in range(3):
        log = played.of_row(b)
        for n in (0, 1):
            mine = log[log["node"] == n]
            start, finish = np.sort(mine["start_ns"]), np.sort(mine["finish_ns"])
            at = np.unique(np.concatenate([start, finish]))
            running = np.searchsorted(start, at, "right") - np.searchsorted(finish, at, "right")
            assert running.max(initial=0) <= 2
            assert int((running[:-1] * np.diff(at)).sum()) == int((finish - start).sum())
            work = mine["units"] / 1000
            # gain 1: a node that runs anything does one second of work in a second
            busy = (np.minimum(running[:-1], 1) * np.diff(at)).sum() / SECOND
            assert busy == pytest.approx(work.sum(), rel=1e-7)


def test_val_19_declining_everything_is_charged_in_full():
    scenario = queue_scenario(1.0, n_requests=50, drop_charge_deadlines=3.0)
    played = play(scenario, lambda obs, mask: np.full(len(obs), mask.shape[1] - 1), range(4))
    assert (played.log["outcome"] == REJECTED).all()
    assert (played.latency_ns == 50 * 3 * 10**6 * SECOND).all()
    assert played.terms[:, 2].tolist() == played.terms[:, 1].tolist() == [-50.0] * 4


def test_val_19_a_request_declined_at_once_shows_no_service(tmp_path):
    """Its log entry must not hold what is left in its row of the job table from an earlier request."""
    scenario = queue_scenario(1.0, n_requests=200, queue_capacity=1, n_nodes=2)
    played = play(scenario, RandomLegal(range(4), declines=2.0), range(4))
    lost = played.log[played.log["outcome"] == REJECTED]
    assert len(lost) > 100
    for field in ("node", "dispatch_ns", "start_ns", "first_ns"):
        assert (lost[field] == -1).all(), field
