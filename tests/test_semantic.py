"""What users do and what is said of it: courses, messages, what is heard, and that none of it shows the future."""

import math
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from helpers import SECOND, Game, RandomLegal, first_legal, play, queue_scenario
from scipy import stats
from test_by_hand import one_node
from test_exogenous import decline_all
from test_regimes import FAST_CHURN, FAST_DRIFT, last_legal, sightings

from edge_gym.devices import ModelType, Service
from edge_gym.envs.single import EdgeEnv
from edge_gym.envs.vector import EdgeVectorEnv
from edge_gym.evaluation.rollout import roll_out
from edge_gym.events.activities import ACTIVITIES, PRESENCE, SLOWDOWN
from edge_gym.events.parser import read
from edge_gym.events.phrases import LEVELS, SOMETHING, STYLES, phrases, render
from edge_gym.kernel import observe, random
from edge_gym.kernel._jit import jit
from edge_gym.kernel.build import World
from edge_gym.kernel.episode import begin as begin_episode
from edge_gym.kernel.regimes import regime_event
from edge_gym.kernel.step import row_of
from edge_gym.scenario import Churn, Drift, Semantic
from edge_gym.scenario.presets import preset

AHEAD, NOW, OVER, CANCELLED, CHATTER = range(5)
GAP, FOREGROUND = 1, 2  # bits of `stutter`
N = 4  # nodes of the worlds whose courses are watched
BUSY = Semantic(
    share=1.0,
    gap_mean_s=4.0,
    lead_mean_s=2.0,
    duration_mean_s=3.0,
    silent_share=0.2,
    late_share=0.2,
    late_mean_s=1.5,
    false_share=0.2,
    contradict_share=0.2,
    end_share=0.5,
    chatter_gap_s=10.0,
)


# --- the courses and the messages, without requests -------------------------------------------------------------------


@jit
def run_chronicles(params, state, roots, until, at, told, speed, figures, count):
    """Every change of every node and the message that came with it: no requests, no router."""
    for b in range(state.world.shape[0]):
        row = row_of(state, b)
        begin_episode(params, row, roots[b], 0)
        for n in range(row.node.shape[0]):
            k = 0
            while row.node[n]["regime_ns"] <= until and k < at.shape[2]:
                now = row.node[n]["regime_ns"]
                row.world[0]["now_ns"] = now
                row.world[0]["news_count"] = 0
                regime_event(params, row, n, now)
                at[b, n, k] = now
                speed[b, n, k] = row.node[n]["speed"]
                told[b, n, k, 0] = row.node[n]["foreground"]
                told[b, n, k, 1] = row.node[n]["alive"]
                told[b, n, k, 2] = row.world[0]["news_count"]
                told[b, n, k, 3] = row.news[0]["phrase"]
                figures[b, n, k, 0] = row.news[0]["onset_s"]
                figures[b, n, k, 1] = row.news[0]["duration_s"]
                figures[b, n, k, 2] = row.news[0]["speed"]
                k += 1
            count[b, n] = k


class Said(NamedTuple):
    """A message: its stage, activity (-1: chatter) and figures, and its text."""

    stage: int
    activity: int
    onset_s: float
    duration_s: float
    speed: float
    text: str


class Moment(NamedTuple):
    """After a change of a node: how it stands, and what was said."""

    ns: int
    speed: float
    foreground: int
    alive: int
    said: Said | None


def chronicles(scenario, seeds, until_s, most=600):
    """Of every world and node, the moments of its course."""
    world = scenario if isinstance(scenario, World) else World(scenario)
    roots = np.array(list(seeds), np.uint64)
    shape = (len(roots), world.n_nodes, most)
    at, told = np.zeros(shape, np.int64), np.zeros((*shape, 4), np.int64)
    speed, figures, count = np.zeros(shape), np.zeros((*shape, 3)), np.zeros(shape[:2], np.int64)
    run_chronicles(
        world.params, world.allocate(len(roots)), roots, int(until_s * SECOND), at, told, speed, figures, count
    )
    assert count.max() < most

    def moment(b, n, k):
        foreground, alive, n_said, number = told[b, n, k].tolist()
        assert n_said <= 1
        said = None
        if n_said:
            phrase, values = world.phrases[number], figures[b, n, k].tolist()
            said = Said(phrase.stage, phrase.activity, *values, render(phrase, world.node_names[n], *values))
        return Moment(int(at[b, n, k]), float(speed[b, n, k]), foreground, alive, said)

    return [[[moment(b, n, k) for k in range(count[b, n])] for n in range(world.n_nodes)] for b in range(len(roots))]


def nodes(scenario, seeds, until_s):
    return [course for world in chronicles(scenario, seeds, until_s) for course in world]


def watched(semantic=BUSY, **more):
    return queue_scenario(1.0, n_nodes=N, queue_capacity=1, semantic=semantic, **more)


def to_ns(seconds):
    return int(seconds * SECOND + 0.5)


def by_hand(semantic, seed, n, name, until_ns):
    """The course of node `n` from its draws alone: (ns, what, Said or None), what in start, end, say, deny, chat."""
    s, found = semantic, []
    key = np.uint64(random.stream_key(np.uint64(seed), random.EVENT, n))
    now = cycle = 0
    while now <= until_ns:
        cycle += 1
        u = [random.uniform(key, 16 * cycle + k) for k in range(15)]
        gap, lead, hold, activity, group, depth, silent, false, late, denies, deny_at, end, *words = u

        def spell(draw, mean_s):
            return to_ns((0.5 + 0.5 * -math.log(draw)) * mean_s)

        first, hold_ns = now + spell(gap, s.gap_mean_s), spell(hold, s.duration_mean_s)
        false, late = false < s.false_share, late < s.late_share
        silent = silent < s.silent_share and not false
        if late and not false:
            start, say = first, first + spell(lead, s.late_mean_s)
        else:
            start, say = first + spell(lead, s.lead_mean_s), first
        stop = start + hold_ns
        group = "foreground" if group < s.foreground_share else "background"
        kinds = [k for k, a in enumerate(ACTIVITIES[:-2]) if a.foreground == (group == "foreground")]
        activity = kinds[int(activity * len(kinds))]
        low, high = (math.log(getattr(s, f"{group}_{end}")) for end in ("low", "high"))
        speed = math.exp(low + (high - low) * depth)

        def put(ns, what, stage, onset_ns, lasts_ns, word, activity=activity, speed=speed):
            said = Said(stage, activity, onset_ns / SECOND, lasts_ns / SECOND, speed, word)
            found.append((ns, what, said))

        if not false:
            found.append((start, "start", (speed, int(group == "foreground"))))
        if not silent:
            onset = (AHEAD, start - say, hold_ns) if say < start else (NOW, 0, max(stop - say, 0))
            put(say, "say", *onset, words[0])
            if false and denies < 0.5:
                put(start, "deny", CANCELLED, 0, 0, words[1])
            elif not false and denies < s.contradict_share:
                put(start + int(deny_at * hold_ns), "deny", CANCELLED, 0, 0, words[1])
            if not false and end < s.end_share:
                put(stop, "end", OVER, 0, 0, words[2])
        if not false:
            found.append((stop, "end", None))
        now = stop if silent else max(stop, say)
    key = np.uint64(random.stream_key(np.uint64(seed), random.CHATTER, n))
    ns, cycle = to_ns(random.exponential(key, 0) * s.chatter_gap_s), 0
    while ns <= until_ns and s.chatter_gap_s > 0:
        cycle += 1
        found.append((ns, "chat", Said(CHATTER, -1, 0.0, 0.0, 1.0, random.uniform(key, 2 * cycle + 1))))
        ns += to_ns(random.exponential(key, 2 * cycle) * s.chatter_gap_s)
    order = ["chat", "start", "say", "deny", "end"]
    found.sort(key=lambda entry: (entry[0], order.index(entry[1])))
    return [entry for entry in found if entry[0] <= until_ns]


def in_words(said, level, style, name):
    """The text of a message whose text is still the draw that picks it."""
    fit = [p for p in phrases(level, style) if (p.stage, p.activity) == said[:2]]
    phrase = fit[int(said.text * len(fit))]
    return said._replace(text=render(phrase, name, said.onset_s, said.duration_s, said.speed))


@pytest.mark.parametrize(("level", "style"), [("text", "standard"), ("text", "held_out"), ("what", "standard")])
def test_a_course_is_what_its_draws_say(level, style):
    semantic, until_s = replace(BUSY, notification=level, style=style), 120.0
    scenario = watched(semantic)
    names, seen = World(scenario).node_names, set()
    for seed, world in enumerate(chronicles(scenario, range(6), until_s)):
        for n, course in enumerate(world):
            hand = by_hand(semantic, seed, n, names[n], int(until_s * SECOND))
            messages = [(e[0], in_words(e[2], level, style, names[n])) for e in hand if isinstance(e[2], Said)]
            heard = [(m.ns, m.said) for m in course if m.said]
            assert [said[-1] for _, said in heard] == [said[-1] for _, said in messages]
            assert [said[:2] for _, said in heard] == [said[:2] for _, said in messages]
            assert [ns for ns, _ in heard] == pytest.approx([ns for ns, _ in messages], abs=2)
            figures = [[said[2:5] for _, said in some] for some in (heard, messages)]
            np.testing.assert_allclose(figures[0], figures[1], rtol=1e-9, atol=1e-8)
            seen |= {said.stage for _, said in heard}
            # How the node stands changes where it should, and nowhere else.
            speed, foreground, turns = 1.0, 0, []
            for m in course:
                if (m.speed, m.foreground) != (speed, foreground):
                    speed, foreground = m.speed, m.foreground
                    turns.append((m.ns, speed, foreground))
            expected = [
                (e[0], *(e[2] if e[1] == "start" else (1.0, 0)))
                for e in hand
                if e[1] == "start" or (e[1] == "end" and e[2] is None)
            ]
            np.testing.assert_allclose(np.array(turns)[:, 0], np.array(expected)[:, 0], rtol=0, atol=2)
            np.testing.assert_allclose(np.array(turns)[:, 1:], np.array(expected)[:, 1:], rtol=1e-12)
    assert seen == {AHEAD, NOW, OVER, CANCELLED, CHATTER}


def test_courses_of_nodes_are_their_own():
    """Node 0 does the same beside one other node and beside seven; its texts name it and nobody else."""
    semantic = replace(BUSY, chatter_gap_s=4.0)
    few = chronicles(watched(semantic).with_overrides(n_nodes=2), range(4), 60.0)
    many = chronicles(watched(semantic).with_overrides(n_nodes=8), range(4), 60.0)
    names = World(watched().with_overrides(n_nodes=8)).node_names
    told = 0
    for b in range(4):
        assert few[b] == many[b][:2]
        for n, course in enumerate(many[b]):
            for said in (m.said for m in course if m.said):
                assert [name for name in names if name in said.text] in ([], [names[n]])
                told += 1
    assert told > 500
    assert len({tuple(m.ns for m in course) for world in many for course in world}) == 32


# --- shares and laws --------------------------------------------------------------------------------------------------

PLAIN = replace(
    BUSY, silent_share=0.0, late_share=0.0, false_share=0.0, contradict_share=0.0, end_share=0.0, chatter_gap_s=0.0
)
SPLIT = {"foreground_high": 0.2, "background_low": 0.3}  # so that the speed tells the group


def assert_share(hits, total, share):
    error = math.sqrt(share * (1 - share) / total)
    assert total > 1500 and abs(hits / total - share) < 3.5 * error, (hits, total, share)


def slow_spells(course):
    """(begin, end, speed, foreground, messages while it lasts) of every whole spell of a course."""
    found, begin = [], None
    for m in course:
        if begin is not None and m.said is not None:
            begin[4].append(m.said)
        if begin is None and m.speed < 1:
            begin = [m.ns, None, m.speed, m.foreground, []]
        elif begin is not None and m.speed == 1:
            begin[1] = m.ns
            found.append(begin)
            begin = None
    return found


@pytest.mark.parametrize("name", ["silent", "contradict", "end"])
@pytest.mark.parametrize("share", [0.15, 0.6])
def test_shares_of_events(name, share):
    """With the other shares at zero, an event is one spell and one announcement ahead of it, but for this share."""
    spells = announced = cancelled = inside = over = 0
    for course in nodes(watched(replace(PLAIN, **{f"{name}_share": share})), range(120), 100.0):
        found = slow_spells(course)
        stages = [m.said.stage for m in course if m.said and found and m.ns <= found[-1][1]]
        spells += len(found)
        announced += stages.count(AHEAD)
        cancelled += stages.count(CANCELLED)
        over += stages.count(OVER)
        inside += sum(any(s.stage == CANCELLED for s in spell[4]) for spell in found)
        assert NOW not in stages
    odd = {"silent": spells - announced, "contradict": inside, "end": over}
    assert_share(odd.pop(name), spells, share)
    assert set(odd.values()) == {0} and cancelled == inside


@pytest.mark.parametrize("share", [0.15, 0.6])
def test_share_of_late_messages(share):
    courses = nodes(watched(replace(PLAIN, late_share=share)), range(120), 100.0)
    stages = [m.said.stage for course in courses for m in course if m.said]
    assert_share(stages.count(NOW), len(stages), share)
    assert set(stages) == {AHEAD, NOW}


@pytest.mark.parametrize("share", [0.3, 0.8])
def test_share_of_false_alarms_and_of_those_called_off(share):
    announced = false = called_off = 0
    for course in nodes(watched(replace(PLAIN, false_share=share)), range(150), 100.0):
        speed = {m.ns: m.speed for m in course}
        off = {m.ns for m in course if m.said and m.said.stage == CANCELLED}
        for m in course:
            if m.said and m.said.stage == AHEAD and m.ns / SECOND + m.said.onset_s + m.said.duration_s < 99.0:
                begin = m.ns + round(m.said.onset_s * SECOND)
                announced += 1
                false += speed[begin] == 1.0
                called_off += begin in off
                assert begin not in off or speed[begin] == 1.0
    assert_share(false, announced, share)
    assert_share(called_off, false, 0.5)


def test_laws_of_spells():
    semantic = replace(PLAIN, **SPLIT, foreground_share=0.6)
    # A spell that ends within 100 s is no longer than that, which is long against the means.
    found, leads = [], []
    for course in nodes(watched(semantic), range(150), 100.0):
        before = 0
        for begin, end, speed, foreground, _ in slow_spells(course):
            say = next(m.ns for m in course if m.said and before <= m.ns <= begin and m.said.stage == AHEAD)
            found.append(((say - before) / SECOND, (end - begin) / SECOND, speed, foreground))
            leads.append((begin - say) / SECOND)
            before = end
    gap, hold, speed, foreground = np.array(found).T
    assert_share(foreground.sum(), len(foreground), 0.6)
    assert ((speed <= 0.2) == (foreground == 1)).all() and ((speed >= 0.3) == (foreground == 0)).all()
    for low, high, part in ((0.05, 0.2, speed[foreground == 1]), (0.3, 0.8, speed[foreground == 0])):
        law = (math.log(low), math.log(high / low))
        assert stats.kstest(np.log(part), "uniform", args=law).pvalue > 0.001
    for times, mean in ((gap, 4.0), (leads, 2.0), (hold, 3.0)):
        assert np.min(times) >= mean / 2
        assert stats.kstest(times, "expon", args=(mean / 2, mean / 2)).pvalue > 0.001


def test_activities_are_equally_likely_in_their_group():
    said = [m.said for c in nodes(watched(PLAIN), range(100), 100.0) for m in c if m.said]
    for foreground in (True, False):
        kinds = [k for k, activity in enumerate(ACTIVITIES[:-2]) if activity.foreground == foreground]
        counts = np.bincount([s.activity for s in said], minlength=len(ACTIVITIES))[kinds]
        assert stats.chisquare(counts).pvalue > 0.001
    assert not any(s.activity in (SLOWDOWN, PRESENCE) for s in said)


def test_chatter_is_a_poisson_process_of_its_own():
    semantic = replace(PLAIN, gap_mean_s=1e6, chatter_gap_s=5.0)
    courses = nodes(watched(semantic), range(120), 200.0)
    counts = np.array([len(course) for course in courses])
    assert all(m.said.stage == CHATTER and m.speed == 1 for course in courses for m in course)
    assert abs(counts.mean() - 40) < 3.5 * math.sqrt(40 / len(counts))
    gaps = np.concatenate([np.diff([m.ns for m in course], prepend=0)[:20] for course in courses]) / SECOND
    assert stats.kstest(gaps, "expon", args=(0, 5.0)).pvalue > 0.001


def test_share_of_nodes_with_users():
    courses = nodes(watched(replace(PLAIN, share=0.4)), range(500), 30.0)
    assert_share(sum(len(course) > 0 for course in courses), len(courses), 0.4)
    assert not any(nodes(watched(replace(BUSY, share=0.0)), range(20), 100.0))


# --- what it does to requests -----------------------------------------------------------------------------------------


def first_event(semantic, seed):
    """(begin, end, speed, foreground) of the first event of node 0, ns."""
    hand = by_hand(semantic, seed, 0, "node-0", 60 * SECOND)
    begin = next(e for e in hand if e[1] == "start")
    end = next(e for e in hand if e[1] == "end" and e[2] is None)
    return begin[0], end[0], *begin[2]


def finish_ns(work_s, arrive_ns, event):
    """When a lone request is served, by the areas under the node's speed."""
    begin, end, speed = event[:3]
    left, now = work_s * SECOND, arrive_ns
    for until, rate in ((begin, 1.0), (end, speed)):
        if now < until:
            if left <= (until - now) * rate:
                return now + left / rate
            left, now = left - (until - now) * rate, until
    return now + left


@pytest.mark.parametrize("llm", [False, True])
def test_a_request_in_service_when_its_user_comes(llm, tmp_path):
    """Latency and stutter bits of a request across the beginning of an event, one during it and one after it."""
    semantic = replace(PLAIN, foreground_share=0.5, foreground_low=0.05, foreground_high=0.08, background_low=0.6)
    model = ModelType(name="a", kind="llm" if llm else "item", weights_bytes=1)
    services = (Service(device="node", model="a", per_unit_s=0.01),)
    groups = set()
    for seed in range(8):
        event = first_event(semantic, seed)
        begin, end, _, foreground = event
        # Before the event; across its beginning; while it lasts; after it.
        arrive_ns = [0, begin - SECOND // 10, begin + SECOND // 1000 * 700, end + 10 * SECOND // 1000]
        rows = [(ns / SECOND, 0, 20) for ns in arrive_ns]
        scenario = one_node(tmp_path, rows, (model,), services, semantic=semantic, slots=1)
        log = play(scenario, first_legal, [seed]).of_row(0)
        free = 0
        for k, entry in enumerate(log):
            start = max(arrive_ns[k], free)
            free = finish_ns(0.2, start, event)
            assert abs(entry["finish_ns"] - free) <= 2
            touched = start < end and free > begin
            # A token every 10 ms; below a twentieth of the speed, or at 0.08 with the bound of 0.2 s, it is late:
            gap_s = 0.01 / event[2]
            bits = FOREGROUND if touched and foreground else 0
            bits |= GAP if touched and llm and gap_s > 0.2 else 0
            assert entry["stutter"] == bits, (seed, k)
            groups.add((k, bits))
    assert {(0, 0), (1, 0), (1, FOREGROUND), (2, FOREGROUND), (3, 0)} <= groups


def test_the_user_and_a_late_token_leave_both_bits(tmp_path):
    semantic = replace(PLAIN, foreground_share=1.0, foreground_low=0.04, foreground_high=0.04)
    begin = first_event(semantic, 0)[0]
    model = ModelType(name="a", kind="llm", weights_bytes=1)
    services = (Service(device="node", model="a", per_unit_s=0.01),)
    rows = [(0.0, 0, 1), (begin / SECOND - 0.05, 0, 8)]
    log = play(one_node(tmp_path, rows, (model,), services, semantic=semantic), first_legal, [0]).of_row(0)
    assert log["stutter"].tolist() == [0, GAP | FOREGROUND]  # a token takes 0.01 / 0.04 = 0.25 s, the bound is 0.2 s


# --- played worlds ----------------------------------------------------------------------------------------------------


def lively(semantic=None, **more):
    """Five nodes of the preset where everything happens and is said while 60 requests arrive."""
    base = preset("semantic").with_overrides(n_nodes=5, n_requests=60, load=0.6, **more)
    return replace(base, semantic=semantic or BUSY)


def told(scenario, choose, seeds):
    """For each row, every message that was heard at a decision."""
    game, found = Game(scenario, seeds), [[] for _ in seeds]
    while not game.over.all():
        for b in np.flatnonzero(~game.over):
            found[b].extend(game.batch.events(b))
        game.advance(choose(game.obs, game.batch.mask))
    return [tuple(events) for events in found]


def test_messages_and_speeds_are_the_same_whoever_routes():
    seeds = range(4)
    mine = told(lively(), RandomLegal(seeds), seeds)
    assert min(map(len, mine)) > 5 and len(set(mine)) == 4
    speeds, _ = sightings(lively(), RandomLegal(seeds), seeds)
    for rule in (decline_all, first_legal, last_legal):
        others = told(lively(), rule, seeds)
        for b in seeds:  # who routes decides whether retries come after the last arrival, so compare what both heard
            k = min(len(mine[b]), len(others[b]))
            assert k > 5 and mine[b][:k] == others[b][:k]
        found, _ = sightings(lively(), rule, seeds)
        for b in seeds:
            assert {i: f[1].tobytes() for i, f in found[b].items()} == {i: f[1].tobytes() for i, f in speeds[b].items()}


def first_difference(one, two, seed, until_s):
    """When two worlds first differ in what happens or what is said."""
    first = [int(until_s * SECOND)]
    for a, b in zip(*(chronicles(s, [seed], until_s)[0] for s in (one, two)), strict=True):
        same = next((k for k, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
        if same is not None:
            first.append(min(a[same].ns, b[same].ns))
        elif len(a) != len(b):
            first.append(max(a, b, key=len)[min(len(a), len(b))].ns)
    return min(first)


def seen_until(world, cut_ns, seed):
    """Everything a router sees at decisions up to the cut: the same draws choose."""
    game, choose, found = Game(world, [seed]), RandomLegal([seed]), []
    out = None
    while not game.over.all() and game.batch.state.world["now_ns"][0] <= cut_ns:
        scores = b"" if out is None else b"".join(getattr(out, k).tobytes() for k in ("reward", "terms", "dt_s"))
        found.append((game.obs.tobytes(), game.batch.mask.tobytes(), game.batch.events(0), scores))
        out = game.advance(choose(game.obs, game.batch.mask))
    return found


CHANGES = [
    {"semantic_duration_mean_s": 5.0},
    {"semantic_gap_mean_s": 6.0},
    {"lead_mean_s": 6.0},
    {"foreground_low": 0.2},
    {"foreground_share": 0.1},
    {"silent_share": 0.7},
    {"late_share": 0.8},
    {"false_share": 0.8},
    {"contradict_share": 0.9},
    {"end_share": 0.9},
    {"chatter_gap_s": 3.0},
]


@pytest.mark.parametrize("level", ["text", "none"])
def test_ben_03_what_users_will_do_does_not_show(level):
    base = lively(replace(BUSY, notification=level)).with_overrides(semantic_gap_mean_s=8.0)
    compared = noticed = 0
    for k, change in enumerate(CHANGES):
        other = base.with_overrides(**change)
        worlds = World(base), World(other)
        for seed in (k, k + 20):
            first = first_difference(*worlds, seed, 30.0)
            before = [seen_until(world, first - 1, seed) for world in worlds]
            assert before[0] == before[1], change
            compared += len(before[0])
            after = [seen_until(world, first + 20 * SECOND, seed) for world in worlds]
            noticed += after[0] != after[1]
    assert compared > 100 and noticed > (15 if level == "text" else 5)


# --- what is heard ----------------------------------------------------------------------------------------------------


def announced(level, style):
    scenario = lively(replace(BUSY, notification=level, style=style))
    drift, churn = replace(FAST_DRIFT, notification=level), replace(FAST_CHURN, notification=level)
    return replace(scenario, drift=drift, churn=churn)


@pytest.mark.parametrize(("level", "style"), [(level, style) for style in STYLES for level in LEVELS[1:]])
def test_what_is_heard_is_what_the_parser_reads(level, style):
    """Message by message: exact on stage, foreground and slow-down, 20 % on the times a sentence rounds."""
    seeds = range(4)
    game, choose = Game(announced(level, style), seeds), RandomLegal(seeds)
    names, compared, stages = game.batch.world.node_names, 0, set()
    last = [[None] * len(names) for _ in seeds]  # of each row and node, the reading that counts, and its time
    while not game.over.all():
        for b in np.flatnonzero(~game.over):
            for event in game.batch.events(b):
                reading = read(event.text, names)
                if reading.node is not None:
                    last[b][names.index(reading.node)] = (reading, event.time_s)
            for n, heard in enumerate(last[b]):
                compared += check_heard(game, b, n, heard)
                stages |= {heard[0].stage} if heard else set()
        game.advance(choose(game.obs, game.batch.mask))
    assert compared > 150 and stages >= {AHEAD, NOW, OVER} if level != "something" else compared == 0


def check_heard(game, b, n, heard):
    """The columns of one node against the last reading about it; True if there was one."""
    node, now = game.batch.state.node[b, n], game.batch.state.world[b]["now_ns"]
    event, slower, foreground, event_in, age = (
        float(game.obs[b, n, k])
        for k in (observe.EVENT, observe.EVENT_SLOWDOWN, observe.EVENT_FOREGROUND, observe.EVENT_IN, observe.EVENT_AGE)
    )
    if heard is None:
        assert (event, slower, foreground, event_in, age) == (0.0, 0.5, 0.0, 0.0, 1.0)
        return False
    reading, said_s = heard
    assert observe.decode_time(np.float32(age)) == pytest.approx(now / SECOND - said_s, rel=1e-4, abs=1e-4)
    if reading.stage in (OVER, CANCELLED) or node["heard_until_ns"] <= now:
        assert (event, slower, foreground, event_in) == (0.0, 0.5, 0.0, 0.0)
        if reading.stage in (OVER, CANCELLED):
            return True
    # The times that are believed, against those read; where nothing is said of the end, a minute is believed.
    onset_s = reading.onset_s if reading.stage == AHEAD and reading.onset_s is not None else 0.0
    lasts_s = 60.0 if reading.duration_s is None else reading.duration_s
    heard_s = (node["heard_from_ns"] / SECOND - said_s, (node["heard_until_ns"] - node["heard_from_ns"]) / SECOND)
    assert heard_s == pytest.approx((onset_s, lasts_s), rel=0.2, abs=0.001)
    if node["heard_until_ns"] <= now:
        return True
    begun = now >= node["heard_from_ns"]
    until_ns = node["heard_until_ns" if begun else "heard_from_ns"]
    assert event == (1.0 if begun else 0.5) and foreground == reading.foreground
    assert slower == pytest.approx(reading.slowdown / (1 + reading.slowdown), rel=1e-6)
    assert observe.decode_time(np.float32(event_in)) == pytest.approx((until_ns - now) / SECOND, rel=1e-4, abs=1e-4)
    return True


def test_nothing_and_something_say_no_more_than_that():
    seeds, names = range(3), World(lively()).node_names
    silence = told(announced("none", "standard"), RandomLegal(seeds), seeds)
    assert silence == [(), (), ()]
    vague = told(announced("something", "standard"), RandomLegal(seeds), seeds)
    full = told(announced("text", "standard"), RandomLegal(seeds), seeds)
    assert {event.text for events in vague for event in events} == {SOMETHING}
    assert not any(name in SOMETHING for name in names)
    assert [[e.time_s for e in events] for events in vague] == [[e.time_s for e in events] for events in full]


@pytest.mark.parametrize("churns", [False, True])
def test_drift_and_churn_say_what_happens(churns):
    kwargs = {"churn": replace(FAST_CHURN, share=1.0, notification="what")} if churns else {}
    kwargs = kwargs or {"drift": replace(FAST_DRIFT, share=1.0, notification="what", outage_share=0.3)}
    said = 0
    for course in nodes(watched(Semantic(), **kwargs), range(8), 60.0):
        was_slow, alive, bottom = False, 1, None
        for k, m in enumerate(course):
            begins = m.alive < alive if churns else (m.speed < 1 and not was_slow)
            ends = m.alive > alive if churns else (m.speed == 1 and was_slow)
            assert (m.said is not None) == (begins or ends)
            if m.said is not None:
                assert m.said.stage == (NOW if begins else OVER)
                assert m.said.activity == (PRESENCE if churns else SLOWDOWN)
                assert m.said.onset_s == 0.0 and m.said.duration_s == (1.0 if churns else FAST_DRIFT.hold_mean_s)
                said += 1
            if begins and not churns:
                spell = [x.speed for x in course[k : k + 8]]
                bottom = m.said.speed
                assert min(spell) == pytest.approx(bottom) or len(spell) < 8
            was_slow, alive = m.speed < 1, m.alive
    assert said > 300
    silent = {"churn": Churn(share=1.0, up_mean_s=2.0)} if churns else {"drift": Drift(share=1.0, gap_mean_s=2.0)}
    assert not any(m.said for course in nodes(watched(Semantic(), **silent), range(4), 60.0) for m in course)


# --- the same in every view -------------------------------------------------------------------------------------------


class Listener:
    """Notes the messages of each row, and does always the same."""

    def __init__(self, task):
        self.task = task

    def reset(self, n_envs, seed):
        self.heard = [[] for _ in range(n_envs)]

    def act(self, obs, action_mask, context):
        for b in np.flatnonzero(context.active):
            self.heard[b].append(tuple(context.events[b]))
        if self.task == "metacontrol":
            return np.full(len(obs), context.surface.finish)
        return first_legal(obs, action_mask)


@pytest.mark.parametrize("task", ["routing", "metacontrol"])
def test_events_are_the_same_in_every_view(task):
    scenario, seeds = announced("text", "standard"), [3, 4, 5]
    listener = Listener(task)
    roll_out(World(scenario), listener, "listener", seeds)
    vector = EdgeVectorEnv(3, task=task, scenario=scenario, autoreset_mode="disabled", illegal="decline")
    single = [EdgeEnv(task=task, scenario=scenario) for _ in seeds]
    infos = [env.reset(seed=seed)[1] for env, seed in zip(single, seeds, strict=True)]
    info, k, over = vector.reset(seed=seeds)[1], 0, np.zeros(3, bool)
    while not over.any():
        for b in range(3):
            assert info["events"][b] == infos[b]["events"] == listener.heard[b][k]
        masks = np.array([env.action_masks() for env in single])
        actions = np.full(3, vector.batch.noop) if task == "metacontrol" else first_legal(None, masks)
        infos = [env.step(int(action))[4] for env, action in zip(single, actions, strict=True)]
        *_, over, info = vector.step(actions)
        k += 1
    assert sum(len(events) for events in listener.heard[0]) > 5


# --- extremes ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("block", range(2))
def test_extremes_never_break(block):
    shares = ("silent_share", "late_share", "false_share", "contradict_share", "end_share", "foreground_share")
    for index in range(block, 24, 2):
        rng = np.random.default_rng([9, index])
        extreme = {name: float(rng.integers(2)) for name in shares}
        for name in ("gap_mean_s", "duration_mean_s"):
            extreme[name] = float(rng.choice([1e-2, 1.0, 1e7]))
        for name in ("lead_mean_s", "late_mean_s", "chatter_gap_s"):
            extreme[name] = float(rng.choice([0.0, 1e-2, 1e6]))
        low = float(rng.choice([1e-3, 1.0]))
        group = {"foreground_low": low, "foreground_high": 1.0, "background_low": 1e-3, "background_high": 1e-3}
        level, style = rng.choice(LEVELS[1:]), rng.choice(STYLES)
        semantic = Semantic(share=1.0, **extreme, **group, notification=str(level), style=str(style))
        scenario = replace(lively(semantic), drain_s=30.0).with_overrides(n_requests=25)
        game, choose = Game(scenario, [index]), RandomLegal([index])
        while not game.over.all():
            assert np.isfinite(game.obs).all() and game.obs.min() >= 0 and game.obs.max() <= 1
            for event in game.batch.events(0):
                assert 0 <= event.time_s <= game.batch.time_s[0] and event.text.isprintable()
            game.advance(choose(game.obs, game.batch.mask))
        w = game.batch.state.world[0]
        assert w["arrived"] == 25 == w["completed"] + w["rejected"] + w["dropped"] and w["in_system"] == 0
