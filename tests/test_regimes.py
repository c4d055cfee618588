"""Drift, churn and slow start: the laws of their courses, that no choice touches them, what they do to requests."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
from helpers import SECOND, Game, RandomLegal, assert_mean, first_legal, play, queue_scenario, trace_arrivals
from scipy import stats
from test_conservation import check_conservation, check_world, random_scenario
from test_exogenous import decline_all, exogenous, same_until

from edge_gym.envs.single import EdgeEnv
from edge_gym.errors import EdgeGymInputError
from edge_gym.kernel import observe, random
from edge_gym.kernel._jit import jit
from edge_gym.kernel.build import World
from edge_gym.kernel.episode import begin
from edge_gym.kernel.regimes import RAMP_STEPS, regime_event
from edge_gym.kernel.step import row_of
from edge_gym.kernel.tables import COMPLETED, RESIDENT
from edge_gym.privileged import Privileged
from edge_gym.scenario import Change, Churn, Drift, Law, Telemetry
from edge_gym.scenario.io import dumps, fingerprint, loads
from edge_gym.scenario.presets import preset

N = 8  # nodes of the worlds whose courses are watched


# --- the courses themselves, without requests -------------------------------------------------------------------------


@jit
def run_courses(params, state, roots, until, at, speed, alive, count):
    """Every change that regimes bring, node by node: no requests, no router."""
    for b in range(state.world.shape[0]):
        row = row_of(state, b)
        begin(params, row, roots[b], 0)
        for n in range(row.node.shape[0]):
            k = 0
            while row.node[n]["regime_ns"] <= until and k < at.shape[2]:
                now = row.node[n]["regime_ns"]
                row.world[0]["now_ns"] = now
                regime_event(params, row, n, now)
                at[b, n, k] = now
                speed[b, n, k] = row.node[n]["speed"]
                alive[b, n, k] = row.node[n]["alive"]
                k += 1
            count[b, n] = k


class Course(NamedTuple):
    """What happens to one node: from `at[k]` (ns) on it has this speed and presence; before the first, 1 and 1."""

    at: np.ndarray
    speed: np.ndarray
    alive: np.ndarray

    def then(self, name, ns):
        """Speed or presence at a time."""
        return np.r_[1.0, getattr(self, name)][np.searchsorted(self.at, ns, "right")]


def courses(scenario, seeds, until_s):
    """Of every world and node, as a list of lists of `Course`."""
    world, roots, most = World(scenario), np.array(list(seeds), np.uint64), 4000
    shape = (len(roots), world.n_nodes)
    at, speed = np.zeros((*shape, most), np.int64), np.zeros((*shape, most))
    alive, count = np.zeros((*shape, most), np.int64), np.zeros(shape, np.int64)
    run_courses(world.params, world.allocate(len(roots)), roots, int(until_s * SECOND), at, speed, alive, count)
    assert count.max() < most
    return [
        [Course(at[b, n, :k], speed[b, n, :k], alive[b, n, :k]) for n, k in enumerate(counts)]
        for b, counts in enumerate(count.tolist())
    ]


def nodes(scenario, seeds, until_s):
    """The courses of all nodes of all worlds, as one list."""
    return [course for world in courses(scenario, seeds, until_s) for course in world]


def watched(**regimes):
    return queue_scenario(1.0, n_nodes=N, queue_capacity=1, **regimes)


def test_val_14_churn_share_of_time_up():
    """Alternating renewal from up at time 0: E up(t) = p + (1 - p) exp(-s t), s the sum of the two rates."""
    up_s, down_s, end_s, rows = 6.0, 2.0, 1000.0, 300
    found = courses(watched(churn=Churn(share=1.0, up_mean_s=up_s, down_mean_s=down_s)), range(rows), end_s)
    share = np.zeros((rows, N))
    for b, n in np.ndindex(rows, N):
        course = found[b][n]
        turn = np.diff(course.alive, prepend=1) != 0  # the end of a slow start is no change of presence
        at = np.r_[0, course.at[turn], end_s * SECOND] / SECOND
        share[b, n] = np.diff(at)[::2].sum() / end_s
    p, s = up_s / (up_s + down_s), 1 / up_s + 1 / down_s
    theory = p + (1 - p) * (1 - np.exp(-s * end_s)) / (s * end_s)
    assert_mean(share.mean(axis=1), theory, 0.001, wrong=(up_s + 0.1) / (up_s + 0.1 + down_s))
    # Nodes are independent of each other: their number is binomial.
    for t_s in (400.0, 1000.0):
        number = [sum(int(course.then("alive", t_s * SECOND)) for course in world) for world in found]
        seen, law = np.bincount(number, minlength=N + 1), stats.binom(N, p).pmf(np.arange(N + 1)) * rows
        seen, law = np.r_[seen[:4].sum(), seen[4:]], np.r_[law[:4].sum(), law[4:]]
        assert stats.chisquare(seen, law).pvalue > 0.001


def test_val_14_stays_are_exponential_and_some_nodes_stay():
    churn = Churn(share=1.0, up_mean_s=6.0, down_mean_s=2.0, slow_start_s=0.0)
    stays = np.array([np.diff(c.at[:10], prepend=0) / SECOND for c in nodes(watched(churn=churn), range(200), 500.0)])
    assert stays.shape == (200 * N, 10)
    for column, mean_s in ((0, 6.0), (1, 2.0), (slice(2, None, 2), 6.0), (slice(3, None, 2), 2.0)):
        assert stats.kstest(stays[:, column].ravel(), "expon", args=(0, mean_s)).pvalue > 0.001
    assert np.abs(np.corrcoef(stays.T)[np.triu_indices(10, 1)]).max() < 4.5 / np.sqrt(len(stays))
    for regime in ({"churn": replace(churn, share=0.3)}, {"drift": Drift(share=0.3, gap_mean_s=1.0)}):
        touched = sum(len(c.at) > 0 for c in nodes(watched(**regime), range(200), 500.0))
        assert stats.binomtest(touched, 200 * N, 0.3).pvalue > 0.001


DRIFT = Drift(
    share=1.0,
    gap_mean_s=20.0,
    hold_mean_s=5.0,
    ramp_s=4.0,
    speed_low=0.1,
    speed_high=0.5,
    outage_share=0.2,
    outage_speed=0.02,
)


def slowdowns(course, how_many, ramp_ns):
    """(gap, depth, hold) of the first slow-downs, in seconds; checks every step of every ramp on the way."""
    k, before, found = 0, 0, []
    for _ in range(how_many):
        begin_ns = course.at[k]
        if course.speed[k] < 0.05:  # no first step of a ramp is that low
            steps, depth = 1, course.speed[k]
        else:
            steps, depth = RAMP_STEPS, course.speed[k + RAMP_STEPS - 1]
        levels = [*range(1, steps + 1), *range(steps - 1, -1, -1)]
        assert course.speed[k : k + 2 * steps] == pytest.approx(depth ** (np.array(levels) / steps), rel=1e-12)
        assert course.speed[k + 2 * steps - 1] == 1.0
        way = np.diff(course.at[k : k + 2 * steps])
        step_ns = int(ramp_ns / RAMP_STEPS + 0.5)
        assert (np.delete(way, steps - 1) == step_ns).all()
        found.append(((begin_ns - before) / SECOND, depth, way[steps - 1] / SECOND))
        k, before = k + 2 * steps, course.at[k + 2 * steps - 1]
    return found


def test_drift_is_a_staircase_with_the_laws_it_should_have():
    found = np.array([slowdowns(c, 4, 4 * SECOND) for c in nodes(watched(drift=DRIFT), range(120), 1000.0)])
    gap, depth, hold = found.reshape(-1, 3).T
    assert stats.kstest(gap, "expon", args=(0, 20.0)).pvalue > 0.001
    assert stats.kstest(hold, "expon", args=(0, 5.0)).pvalue > 0.001
    by_node = found.mean(axis=1)
    assert_mean(by_node[:, 0], 20.0, 0.02)
    assert_mean(by_node[:, 2], 5.0, 0.02)
    outage = depth < 0.05
    assert depth[outage] == pytest.approx(0.02, rel=1e-12)
    assert stats.binomtest(int(outage.sum()), len(depth), 0.2).pvalue > 0.001
    mild = depth[~outage]
    assert mild.min() >= 0.1 - 1e-12 and mild.max() <= 0.5 + 1e-12
    assert stats.kstest(np.log(mild), "uniform", args=(np.log(0.1), np.log(5.0))).pvalue > 0.001
    lags = np.abs(np.corrcoef([gap[~outage], np.log(mild), hold[~outage]])[np.triu_indices(3, 1)])
    assert lags.max() < 4 / np.sqrt(len(mild))


def test_drift_without_a_ramp_goes_down_at_once():
    drift = replace(DRIFT, ramp_s=0.0, outage_share=0.0)
    for course in nodes(watched(drift=drift), range(20), 300.0):
        assert (course.speed[1::2] == 1.0).all()
        assert (course.speed[::2] >= 0.1 - 1e-12).all() and (course.speed[::2] <= 0.5 + 1e-12).all()


# --- what the nodes of a world that is played do ----------------------------------------------------------------------


def test_service_across_a_ramp_ends_on_its_nanosecond(tmp_path):
    """Changes at the drawn times, by hand: draws 1 and 2 of the node's stream are the first gap and the first hold."""
    drift = replace(DRIFT, gap_mean_s=1.0, hold_mean_s=2.0, ramp_s=0.8, speed_low=0.5, speed_high=0.5, outage_share=0.0)
    for seed in range(12):
        key = np.uint64(random.stream_key(np.uint64(seed), random.DRIFT, 0))
        begin_ns = int(random.exponential(key, 1) * 1.0 * SECOND + 0.5)
        bottom_ns = begin_ns + 7 * 100_000_000
        hold_ns = int(random.exponential(key, 2) * 2.0 * SECOND + 0.5)
        up_ns = bottom_ns + hold_ns
        at = [begin_ns + k * 100_000_000 for k in range(8)] + [up_ns + k * 100_000_000 for k in range(8)]
        speed = [0.5 ** (k / 8) for k in (*range(1, 9), *range(7, -1, -1))]
        work_s = begin_ns / SECOND + (0.35, 0.8 + 0.5 * hold_ns / SECOND)[seed % 2]  # ends on the way down, or up
        left, now, rate = Fraction(work_s), 0, Fraction(1)
        for t, s in zip(at, speed, strict=True):
            if left <= rate * Fraction(t - now, SECOND):
                break
            left, now, rate = left - rate * Fraction(t - now, SECOND), t, Fraction(s)
        finish_ns = now + left / rate * SECOND
        arrivals = trace_arrivals(tmp_path / f"{seed}.csv", [(0.0, 0, 1)])
        scenario = queue_scenario(1.0, law=Law(mean=1.0), service_s=work_s, arrivals=arrivals, drift=drift)
        log = play(scenario, first_legal, [seed]).log
        assert abs(log["finish_ns"][0] - finish_ns) <= 1
        assert begin_ns < finish_ns < bottom_ns if seed % 2 == 0 else up_ns < finish_ns < at[-1]


def rough(**more):
    """Six nodes of the stationary preset where much happens while 100 requests arrive."""
    base = preset("stationary").with_overrides(n_nodes=6, n_requests=100, load=0.9, bias_sigma=0.3)
    return replace(base, drift=FAST_DRIFT, churn=FAST_CHURN, telemetry=Telemetry(age_s=0.2), **more)


FAST_DRIFT = replace(DRIFT, share=0.8, gap_mean_s=2.0, hold_mean_s=1.0, ramp_s=0.5)
FAST_CHURN = Churn(share=0.8, up_mean_s=3.0, down_mean_s=1.0, slow_start_s=0.5, slow_start_speed=0.25)
WATCHED = ("now_ns", "speed", "alive", "incarnation", "bias")


def sightings(scenario, choose, seeds):
    """For each row, by number of the request: what the nodes were at its arrival. And the log of each row."""
    found = [{} for _ in seeds]
    game = Game(scenario, seeds)

    def look():
        state = game.batch.state
        for b in np.flatnonzero(~game.over):
            world = state.world[b]
            job, node = state.job[b, world["subject"]], state.node[b]
            if job["arrive_ns"] == world["now_ns"]:
                figures = (world["now_ns"], node["speed"], node["alive"], node["incarnation"], state.pair[b]["bias"])
                found[b][int(job["id"])] = tuple(np.array(f) for f in figures)

    look()
    logs = [[] for _ in seeds]
    while not game.over.all():
        game.advance(choose(game.obs, game.batch.mask))
        for b, entry in zip(*game.batch.ended(), strict=True):
            logs[b].append(entry)
        look()
    return found, [np.array(log) for log in logs]


def as_bytes(figures):
    return {i: tuple(f.tobytes() for f in seen) for i, seen in figures.items()}


def last_legal(obs, mask):
    return np.where(mask[:, :-1].any(axis=1), mask.shape[1] - 2 - mask[:, -2::-1].argmax(axis=1), mask.shape[1] - 1)


@pytest.fixture(scope="module")
def seen_by_random():
    return sightings(rough(), RandomLegal(range(5)), range(5))


def test_rep_14_courses_are_the_same_whoever_routes(seen_by_random):
    figures, logs = seen_by_random
    came_back = sum(int((log["retries"] > 0).sum()) for log in logs)
    assert came_back > 20  # or nothing is proved
    for rule in (decline_all, first_legal, last_legal):
        others, other_logs = sightings(rough(), rule, range(5))
        for b in range(5):
            assert len(figures[b]) == 100
            assert as_bytes(others[b]) == as_bytes(figures[b])
            assert exogenous(other_logs[b]) == exogenous(logs[b])
    for b in range(5):
        alone, log = sightings(rough(), RandomLegal([b]), [b])
        assert as_bytes(alone[0]) == as_bytes(figures[b])
        assert log[0].tobytes() == logs[b].tobytes()
    assert len({str(as_bytes(f)) for f in figures}) == 5


def test_a_world_that_is_played_follows_the_courses(seen_by_random):
    figures, _ = seen_by_random
    found = courses(rough(), range(5), 100.0)
    slow = away = 0
    for b in range(5):
        for now, speed, alive, _, _ in figures[b].values():
            assert speed.tolist() == [course.then("speed", now) for course in found[b]]
            assert alive.tolist() == [course.then("alive", now) for course in found[b]]
            slow, away = slow + (speed < 1).sum(), away + (alive == 0).sum()
    assert slow > 500 and away > 300


def test_rep_11_regimes_leave_arrivals_and_sizes_alone():
    calm = replace(rough(), drift=Drift(), churn=Churn())
    played = [play(s, RandomLegal(range(4)), range(4)) for s in (rough(), calm)]
    assert [exogenous(played[0].of_row(b)) for b in range(4)] == [exogenous(played[1].of_row(b)) for b in range(4)]


def test_speed_is_the_product_of_timeline_drift_and_slow_start(seen_by_random):
    figures, _ = seen_by_random
    timeline = (Change(time_s=2.0, node=0, what="speed", value=4), Change(time_s=4.0, node=0, what="speed", value=1))
    found, _ = sightings(rough(timeline=timeline), first_legal, range(5))
    between = 0
    for b in range(5):
        for i, (now, speed, *_) in found[b].items():
            factor = 4.0 if 2 * SECOND <= now < 4 * SECOND else 1.0
            between += factor != 1.0
            assert speed.tolist() == (figures[b][i][1] * np.r_[factor, np.ones(5)]).tolist()
    assert between > 20


# --- requests under regimes -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", range(3))
def test_val_19_conservation_under_regimes(block, tmp_path):
    retried = 0
    for index in range(block, 36, 3):
        base = random_scenario(index, tmp_path)
        part = base.horizon_s / 10
        scenario = replace(
            base,
            drift=replace(FAST_DRIFT, gap_mean_s=part, hold_mean_s=part / 2, ramp_s=(0.0, part / 3)[index % 2]),
            churn=Churn(
                share=(1.0, 0.6)[index % 2],
                up_mean_s=part,
                down_mean_s=part / 2,
                slow_start_s=(0.0, part / 4, 3 * part)[index % 3],
            ),
            telemetry=replace(base.telemetry, age_s=(0.7, 6.0)[index % 2]),
        )
        retried += int((check_conservation(scenario, range(index, index + 2))["retries"] > 0).sum())
    assert retried > 100


def test_all_nodes_away_leaves_only_declining():
    churn = Churn(share=1.0, up_mean_s=1.0, down_mean_s=100.0)
    scenario = rough().with_overrides(n_requests=80, drain_s=200.0, load=0.3)
    world = World(replace(scenario, churn=churn))
    game, choose, dark = Game(world, range(4)), RandomLegal(range(4), declines=0.0), 0
    while not game.over.all():
        game.advance(choose(game.obs, game.batch.mask))
        assert np.isfinite(game.obs).all()
        for b in np.flatnonzero(~game.over):
            check_world(world, game.batch.state, b)
            if not game.batch.state.node["alive"][b].any():
                assert game.batch.mask[b].tolist() == [False] * 6 + [True]
                assert (game.obs[b, :6, observe.ALIVE] == 0).all() and (game.obs[b, :6, observe.LEGAL] == 0).all()
                dark += 1
    w = game.batch.state.world
    assert dark > 100 and (w["in_system"] == 0).all() and (w["arrived"] == 80).all()
    assert (w["completed"] + w["rejected"] + w["dropped"] == 80).all() and (w["rejected"] > 10).all()


def test_a_node_that_joins_has_new_factors_that_are_its_own(seen_by_random):
    """(That they are the same under every policy is part of the sightings compared above.)"""
    figures, _ = seen_by_random
    bias = {}
    for b in range(5):
        for *_, incarnation, factors in figures[b].values():
            for n in range(6):
                for m, factor in enumerate(factors[n]):
                    assert bias.setdefault((b, n, m, int(incarnation[n])), factor) == factor
    assert len(set(bias.values())) == len(bias) and max(key[3] for key in bias) >= 3
    normal = np.log(list(bias.values())) / 0.3
    assert stats.kstest(normal, "norm").pvalue > 0.001


def test_a_node_that_joins_is_unknown_and_preloaded():
    """The first look after a join, when nothing can have been sent there yet."""
    scenario = queue_scenario(3.0, n_nodes=4, n_requests=400, service_s=0.5, churn=replace(FAST_CHURN, share=1.0))
    scenario = replace(scenario, bias_sigma=0.3, drop_charge_deadlines=1.0)
    game, choose = Game(scenario, range(4)), RandomLegal(range(4))
    before, fresh, known = game.batch.state.node.copy(), 0, 0
    preloaded = game.batch.world.params.service["preload"] == 1
    while not game.over.all():
        game.advance(choose(game.obs, game.batch.mask))
        state, node = game.batch.state, game.batch.state.node
        new = node["incarnation"] > before["incarnation"]
        new &= node["alive"] == 1
        assert (node["evidence"][new] == 0).all() and (node["slowdown"][new] == 1).all()
        assert (node["evidence_ns"][new] == -1).all()
        assert (state.pair["evidence"][new] == 0).all() and (state.pair["slowdown"][new] == 1).all()
        for b, n in np.argwhere(new & ~game.over[:, None]):
            assert ((state.pair["residency"][b, n] == RESIDENT) == preloaded[n]).all()
            assert game.obs[b, n, observe.EVIDENCE] == 0
            assert game.obs[b, n, observe.SLOWDOWN] == 0.5
        fresh += int(new.sum())
        known += int((before["evidence"][new] > 0).sum())
        before = node.copy()
    assert fresh > 100 and known > 50


def test_a_change_of_the_timeline_does_not_turn_churn_upside_down():
    """The node is sent away once by the timeline; its own course goes on: up for 9 s, down for 1 s, in the mean."""
    away = Change(time_s=0.001, node=0, what="alive", value=0)
    mine = {"churn": Churn(share=1.0, up_mean_s=9.0, down_mean_s=1.0), "horizon_s": 2000.0}
    env = EdgeEnv(scenario="toy2", n_requests=2000, timeline=(away,), illegal="decline", **mine)
    env.reset(seed=1)
    up, over = [], False
    while not over:
        up.append(env.batch.state.node[0, 0]["alive"])
        over = env.step(1)[3]
    assert 0.8 < np.mean(up[200:]) < 0.97


def test_what_a_node_did_before_it_left_says_nothing_of_the_node_that_joined():
    """A response reported after the node has left and joined counts for nobody: the software factors are new."""
    there_and_back = (
        Change(time_s=1.0, node=0, what="alive", value=0),
        Change(time_s=1.5, node=0, what="alive", value=1),
    )
    env = EdgeEnv(
        scenario="toy2", n_nodes=1, timeline=there_and_back, telemetry_age_s=2.0, rate_per_s=0.5, bias_sigma=0.3
    )
    for seed in range(20):  # a world whose first request is served before the node leaves
        env.reset(seed=seed)
        if env.batch.state.pair[0, 0, 0]["bias"] < 0.9 and env.batch.state.world[0]["now_ns"] < 1e8:
            break
    first = env.batch.state.world[0]["now_ns"]
    env.step(0)
    while env.batch.state.world[0]["now_ns"] < first + 3.2e9:
        env.step(1)
    node = env.batch.state.node[0, 0]
    assert node["joined_ns"] == 1.5e9 and node["seen"] == 0
    assert node["evidence"] == 0 and node["slowdown"] == 1.0


def test_slow_start_lasts_exactly_as_long_as_it_should():
    cut_short = whole = 0
    for course in nodes(watched(churn=replace(FAST_CHURN, share=1.0)), range(20), 200.0):
        assert (course.speed[course.alive == 0] == 1).all()
        joins = np.flatnonzero((course.alive == 1) & (np.diff(course.alive, prepend=1) == 1))
        for k in joins[joins + 1 < len(course.at)]:
            assert course.speed[k] == 0.25
            wait = course.at[k + 1] - course.at[k]
            if course.alive[k + 1]:
                assert wait == SECOND // 2 and course.speed[k + 1] == 1.0
                whole += 1
            else:
                assert wait <= SECOND // 2
                cut_short += 1
    assert whole > 500 and cut_short > 50
    assert all((c.speed == 1).all() for c in nodes(watched(churn=replace(FAST_CHURN, slow_start_s=0.0)), [1], 50.0))


def test_jobs_that_come_back_keep_their_time_of_arrival(seen_by_random):
    figures, logs = seen_by_random
    done = 0
    for b in range(5):
        back = logs[b][logs[b]["retries"] > 0]
        assert [int(figures[b][i][0]) for i in back["id"]] == back["arrive_ns"].tolist()
        served = back[back["outcome"] == COMPLETED]
        assert (served["latency_ns"] == served["finish_ns"] - served["arrive_ns"]).all()
        assert (served["dispatch_ns"] > served["arrive_ns"]).all()
        done += len(served)
    assert done > 10


# --- nothing of the future shows --------------------------------------------------------------------------------------


def parts_at_ns(one, two, seed):
    """When the courses of two scenarios first differ."""
    first = []
    for a, b in zip(courses(one, [seed], 60.0)[0], courses(two, [seed], 60.0)[0], strict=True):
        k = min(len(a.at), len(b.at))
        differ = (a.at[:k] != b.at[:k]) | (a.speed[:k] != b.speed[:k]) | (a.alive[:k] != b.alive[:k])
        if differ.any():
            at = int(differ.argmax())
            first.append(min(a.at[at], b.at[at]))
        elif len(a.at) != len(b.at):
            first.append(max(a.at, b.at, key=len)[k])
    return int(min(first, default=60 * SECOND))


@pytest.mark.parametrize(
    "change",
    [
        {"slow_start_speed": 0.9},
        {"slow_start_s": 1.5},
        {"down_mean_s": 3.0},
        {"up_mean_s": 4.0},
        {"drift_gap_mean_s": 3.0},
        {"hold_mean_s": 0.1},
        {"ramp_s": 0.2},
        {"speed_low": 0.3},
        {"outage_speed": 0.5},
    ],
    ids=str,
)
def test_ben_03_regimes_to_come_do_not_show(change):
    # Longer stretches than in `rough`, so that there is something before the first effect.
    base = rough().with_overrides(
        up_mean_s=8.0, down_mean_s=2.0, drift_gap_mean_s=8.0, hold_mean_s=2.0, drift_share=0.4, churn_share=0.4
    )
    other = base.with_overrides(**change)
    one, two = World(base), World(other)
    compared, noticed, seeds = 0, 0, range(12)
    for seed in seeds:
        first = parts_at_ns(base, other, seed)
        compared += int(same_until(one, two, first - 1, [seed]).sum())
        try:
            same_until(one, two, first + 60 * SECOND, [seed])
        except AssertionError:
            noticed += 1
    assert compared > 50 and noticed > 1


def test_looking_ahead_changes_nothing():
    games = [Game(rough(), range(4)) for _ in range(2)]
    choose, oracle = RandomLegal(range(4)), Privileged(games[0].batch)
    while not games[0].over.all():
        own_s, added_s = oracle.foresee()
        legal = games[0].batch.mask[:, :-1]
        assert (np.isfinite(own_s[:, :-1]) == legal)[~games[0].over].all()
        again = oracle.foresee()
        assert own_s.tobytes() == again[0].tobytes() and added_s.tobytes() == again[1].tobytes()
        actions = choose(games[0].obs, games[0].batch.mask)
        out = [game.advance(actions) for game in games]
        assert games[0].obs.tobytes() == games[1].obs.tobytes()
        for name in ("reward", "terms", "dt_s", "mask", "done"):
            assert getattr(out[0], name).tobytes() == getattr(out[1], name).tobytes(), name
        for name in ("world", "due", "node", "regime", "pair", "job"):
            tables = [getattr(game.batch.state, name).tobytes() for game in games]
            assert tables[0] == tables[1], name
        ended = [game.batch.ended()[1].tobytes() for game in games]
        assert ended[0] == ended[1]


# --- files, bad values, no compiler -----------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["json", "yaml"])
def test_regimes_round_trip(format):
    scenario = rough()
    again = loads(dumps(scenario, format), format)
    assert again == scenario and (again.drift, again.churn) == (FAST_DRIFT, FAST_CHURN)
    prints = {fingerprint(scenario), fingerprint(rough().with_overrides(slow_start_s=0.6))}
    assert len(prints) == 2 and fingerprint(again) in prints


BAD = [
    (Churn, "share", 1.2, ">= 0 and <= 1"),
    (Churn, "share", -0.1, ">= 0 and <= 1"),
    (Churn, "up_mean_s", 0, ">= 0.001"),
    (Churn, "up_mean_s", -3, ">= 0.001"),
    (Churn, "down_mean_s", 0, ">= 0.001"),
    (Churn, "slow_start_s", -1, ">= 0"),
    (Churn, "slow_start_speed", 0, ">= 0.001 and <= 1"),
    (Churn, "slow_start_speed", 1.5, ">= 0.001 and <= 1"),
    (Churn, "up_mean_s", float("nan"), ">= 0.001"),
    (Drift, "share", 1.2, ">= 0 and <= 1"),
    (Drift, "gap_mean_s", 0, ">= 0.001"),
    (Drift, "hold_mean_s", 0, ">= 0.001"),
    (Drift, "ramp_s", -1, ">= 0"),
    (Drift, "speed_low", 0, ">= 0.001 and <= 1"),
    (Drift, "speed_low", 0.6, "<= speed_high = 0.5"),
    (Drift, "speed_high", 2, ">= 0.001 and <= 1"),
    (Drift, "outage_share", 1.2, ">= 0 and <= 1"),
    (Drift, "outage_speed", -0.5, ">= 0.001 and <= 1"),
    (Drift, "outage_speed", "fast", "number"),
]


@pytest.mark.parametrize(("part", "field", "value", "allowed"), BAD, ids=lambda v: getattr(v, "__name__", str(v)))
def test_bad_24_37_bad_values_are_named(part, field, value, allowed):
    with pytest.raises(EdgeGymInputError) as caught:
        part(**{field: value})
    name = part.__name__.lower()
    with pytest.raises(EdgeGymInputError) as by_override:
        rough().with_overrides(**{f"{name}_{field}": value})
    text = dumps(rough(), "json")
    raw = json.loads(text)
    raw[name] = {**({"speed_high": 0.5} if name == "drift" else {}), field: value}
    messages = [str(caught.value), str(by_override.value)]
    if value == value:  # JSON has no NaN
        with pytest.raises(EdgeGymInputError) as in_file:
            loads(json.dumps(raw), "json", "sc.json")
        messages.append(str(in_file.value))
        assert f"{name}.{field}" in messages[-1]
    for message in messages:
        assert field in message and str(value) in message and allowed in message, message


PLAY = """
import json, sys
import gymnasium, numba
import edge_gym
from edge_gym.checks import Player, fingerprint
from edge_gym.privileged import Privileged
from edge_gym.scenario.io import loads

env = gymnasium.make("edge_gym/Routing-v0", scenario=loads(sys.stdin.read(), "json"))
player, oracle = Player(env, 7), Privileged(env.unwrapped.batch)
hashes, events = [fingerprint(player.last)], 0
regime = env.unwrapped.batch.state.regime
while not player.last.over:
    hashes.append(fingerprint(list(oracle.foresee())))
    hashes.append(fingerprint(player.step()))
    hashes.append(fingerprint([regime[name].copy() for name in regime.dtype.names]))
    events = int(regime["churn_cycle"].sum() + regime["drift_cycle"].sum())
hashes += [fingerprint(player.step()), fingerprint(player.step())]  # the next episode
print(json.dumps({"disabled": bool(numba.config.DISABLE_JIT), "events": events, "hashes": hashes}))
"""


def test_rep_regimes_uncompiled_equal_compiled_bit_for_bit():
    scenario = dumps(rough().with_overrides(n_nodes=4, n_requests=40, drain_s=5.0), "json")
    runs = []
    for disabled in ("0", "1"):
        command = [sys.executable, "-W", "error::RuntimeWarning", "-c", PLAY]
        env = {**os.environ, "NUMBA_DISABLE_JIT": disabled}
        done = subprocess.run(command, env=env, input=scenario, capture_output=True, text=True, timeout=280)
        assert done.returncode == 0, done.stderr[-3000:]
        runs.append(json.loads(done.stdout))
    assert [run.pop("disabled") for run in runs] == [False, True]
    assert runs[0]["events"] > 10 and len(runs[0]["hashes"]) > 100
    assert runs[0] == runs[1]
