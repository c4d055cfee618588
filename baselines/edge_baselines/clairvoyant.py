"""`clairvoyant`: a lower bound on the mean latency of every policy in a given world. It is no policy.

A Lagrangian relaxation: each request buys its service at prices by node and time, for itself alone, and each node sells
what it can carry at most. Whatever the prices, the difference is a bound (weak duality); good ones make it tight.

*What a node can carry.* A set R of at most `slots` requests runs on a node of speed s. With crowdings c and
D = 1 + (sum of c over R), request j proceeds at s x, x = 1 / (D - c[j]) <= 1. Take prices by model: a >= 0 for x and a
rebate 0 <= b <= 1 for presence. Let W be the largest `sum over R of (a x - b)` of any mix R, and at least 0. Then with
P the requests that are at the node, R among them and the rest in its queue, at any time

    sum over R of a x  <=  W + sum over P of b.

*What a request pays.* A request that is answered reaches its last node at t0 and its service ends at t1, within one
stay of that node; its latency is (t0 - arrival) + (t1 - t0) + way back. Add the inequality, integrated over time, for
all nodes: the summed latency is at least the integral of -W over nodes and times plus, summed over requests,

    (t0 - arrival) + way back + integral from t0 to t1 of (1 - b + a x) dt,

where the integral of s x is the work, bias included, and 0 <= x <= 1. The least of this over nodes, stays, t1 and x,
for each request by itself, is what is computed, exactly: prices are constant on bins, speeds are as recorded, for each
t1 the cheapest times are taken, and between the times at which the choice changes the cost is linear in t1.

*What is left out, and why that is safe.* A request that is never answered, or after the end of the record, costs at
least its charge, and counts with that. Such requests, and stays that failed, are left out of R and P: the others would
only run faster without them, and the inequality holds for the others alone. A model that is not preloaded cannot run
before it was asked for and loaded once. A request is sent when it arrives or when it comes back, so a node that joins
gets what had arrived before only when, later, some node leaves. Otherwise loads, memory, queue limits and retries cost
nothing. With all prices 0, each request is alone in the world, so the bound is never worse than that.

Sources: time-indexed relaxations of scheduling, Dyer and Wolsey, Discrete Applied Mathematics 26 (1990) 255-270; bounds
on flow time by their duals, Anand, Garg and Kumar, SODA 2012. The prices are found by Adam (Kingma and Ba, ICLR 2015)
on the subgradient. The mixes and the rebate are ours.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np

from edge_baselines.clairvoyant_dual import serve_all, supply_all
from edge_gym.envs.common import check_seed, resolve_task
from edge_gym.kernel.build import World
from edge_gym.kernel.tables import SECOND, Params
from edge_gym.privileged import Foreknowledge, foreknow

MAX_MIXES = 300  # of requests on a node; models are priced as long as there are no more
SMALL_SHARE = 0.02  # models with less of the work are not priced
STEPS, LEAST_STEPS = 600, 10
WORK = 3e7  # requests times nodes times steps, at most
BIN_REQUESTS, LEAST_BINS, MOST_BINS = 3, 40, 400
SLACK_S = 1e-6  # the world rounds each duration to whole nanoseconds
# Steps of the ascent, chosen on tune seeds 500 and 501 of `stationary`.
RATE, PRESENCE, DECAY, KEEP_MEAN, KEEP_SQUARE = 1.0, 0.5, 50.0, 0.9, 0.99


class Course(NamedTuple):
    """The nodes: rows of time with constant speed and prices, and their stays (presences)."""

    first: np.ndarray  # (N + 1,) first row of each node
    time_s: np.ndarray  # (K,) where the row begins
    speed: np.ndarray  # (K,) 0 while away
    bin: np.ndarray  # (K,) bin of the prices; the last one has none
    first_stay: np.ndarray  # (N + 1,) first stay of each node
    from_s: np.ndarray  # (W,)
    again_s: np.ndarray  # (W,) first departure of any node after that; then what had arrived before can be sent there
    until_s: np.ndarray  # (W,) a service must end by then
    bias: np.ndarray  # (W, M)
    ready_s: np.ndarray  # (W, M) no request runs earlier


class Jobs(NamedTuple):
    """The requests."""

    arrive_s: np.ndarray  # (J,)
    model: np.ndarray  # (J,)
    priced: np.ndarray  # (J,) column of the prices
    charge_s: np.ndarray  # (J,) latency if never answered
    order: np.ndarray  # (J, N) nodes, the quickest for the request alone first
    up_s: np.ndarray  # (J, N) way there
    down_s: np.ndarray  # (J, N) way back
    work_s: np.ndarray  # (J, N) bias excluded; inf where it cannot go


class Prices(NamedTuple):
    """Seconds of latency for a second; the last bin and the last column are 0."""

    rate: np.ndarray  # (N, bins + 1, priced + 1)
    presence: np.ndarray  # same


class Mixes(NamedTuple):
    """What can run at once on a node, by priced model."""

    first: np.ndarray  # (N,) rows of each node
    last: np.ndarray  # (N,)
    count: np.ndarray  # (R, priced) requests
    rate: np.ndarray  # (R, priced) their summed rates, over the node's speed


class Heap(NamedTuple):
    """Scratch for the pieces of one request."""

    price: np.ndarray
    amount: np.ndarray
    where: np.ndarray


def bound(scenario: Any, seed: int) -> dict[str, float | None]:
    """Lower bound on the mean latency of every policy, privileged: it knows all that is to come.

    Args:
        scenario: Preset name, file or `Scenario` of the routing task.
        seed: Of the world.

    Returns:
        `latency_mean_s`, None if nothing arrives.
    """
    found = lower_bound(scenario, seed)
    return {"latency_mean_s": found if found > 0.0 else None}


def lower_bound(scenario: Any, seed: int, steps: int | None = None) -> float:
    """Seconds that the mean latency of no policy can be below; see the module's text.

    Args:
        scenario: Preset name, file or `Scenario` of the routing task.
        seed: Of the world, 0 ... 2**63 - 1.
        steps: Of the ascent, 0: each request alone; by default as many as fit the size of the world.

    Returns:
        The bound, seconds; 0 if nothing arrives.

    Raises:
        EdgeGymInputError: An argument is not valid.
    """
    world = resolve_task("routing", scenario, {})[1]
    known = foreknow(world, check_seed(seed))
    if not len(known.asked):
        return 0.0
    if steps is None:
        steps = int(np.clip(WORK / (len(known.asked) * world.n_nodes), LEAST_STEPS, STEPS))
    jobs, priced = _jobs(world.params, known)
    # Prices end when the longest request, alone, and twice what all need together would be done.
    drain_s = max(2.0 * len(jobs.model) / world.capacity_per_s - jobs.arrive_s[-1], 0.0)
    tail_s = min(float(_alone_s(jobs).max()) + drain_s, float(jobs.charge_s.max()))
    n_bins = int(np.clip(len(known.asked) // BIN_REQUESTS, LEAST_BINS, MOST_BINS))
    edges_s = np.linspace(0.0, max(jobs.arrive_s[-1] + tail_s, 1e-6), n_bins + 1)
    course = _course(world, known, jobs, edges_s)
    total_s = _ascend(course, jobs, _mixes(world.params, priced), edges_s, steps)
    return max(total_s / len(jobs.model) - SLACK_S, 0.0)


def _ascend(course: Course, jobs: Jobs, mixes: Mixes, edges_s: np.ndarray, steps: int) -> float:
    """The best value of the dual that some steps from prices 0 find, summed seconds."""
    n_bins, n_priced = len(edges_s) - 1, mixes.count.shape[1]
    shape = (len(course.first) - 1, n_bins + 1, n_priced + 1)
    prices = Prices(np.zeros(shape), np.zeros(shape))
    used, present = np.zeros(shape), np.zeros(shape)
    size = int(np.diff(course.first).max()) + 2
    heap = Heap(np.zeros(size), np.zeros(size), np.zeros(size, np.int64))
    length_s = np.diff(edges_s)
    inner = (slice(None), slice(n_bins), slice(n_priced))
    sides = ((prices.rate, used, RATE, np.inf), (prices.presence, present, -PRESENCE, 1.0))
    means, squares = np.zeros((2, *prices.rate[inner].shape)), np.zeros((2, *prices.rate[inner].shape))
    best = 0.0
    for k in range(steps + 1):
        value = serve_all(course, jobs, prices, heap, used, present)
        value -= supply_all(mixes, prices, length_s, used, present)
        best = max(best, value)
        step = 1.0 / (1.0 + DECAY * k / max(steps, 1))
        for i, (price, excess, scale, highest) in enumerate(sides):
            slope = excess[inner] / length_s[:, None]
            means[i] += (1.0 - KEEP_MEAN) * (slope - means[i])
            squares[i] += (1.0 - KEEP_SQUARE) * (slope * slope - squares[i])
            mean = means[i] / (1.0 - KEEP_MEAN ** (k + 1))
            spread = np.sqrt(squares[i] / (1.0 - KEEP_SQUARE ** (k + 1)))
            price[inner] = np.clip(price[inner] + scale * step * mean / (spread + 1e-3), 0.0, highest)
    return best


def _jobs(params: Params, known: Foreknowledge) -> tuple[Jobs, np.ndarray]:
    """The requests, and which models are priced."""
    asked = known.asked
    prompt, units, m = asked["prompt"], asked["units"], asked["model"].astype(np.int64)
    service, link, model = params.service[:, m].T, params.link[asked["site"]], params.model[m]
    beyond = np.maximum(prompt - 2048, 0)[:, None]
    work = service["first_s"] + service["per_prompt_token_s"] * prompt[:, None] + service["beyond_2048_s"] * beyond
    work += service["per_unit_s"] * units[:, None]
    work[(service["supported"] == 0) | (link["reachable"] == 0)] = np.inf
    up_bytes = model["up_bytes"] + model["up_bytes_per_token"] * prompt
    down_bytes = model["down_bytes"] + model["down_bytes_per_unit"] * units
    delay_s = link["delay_ns"] / SECOND
    up, down = delay_s + up_bytes[:, None] * link["s_per_byte"], delay_s + down_bytes[:, None] * link["s_per_byte"]
    jobs = Jobs(
        arrive_s=asked["arrive_ns"] / SECOND,
        model=m,
        priced=np.zeros(len(m), np.int64),
        charge_s=params.rules[0]["drop_charge"] * (model["deadline_ns"] / SECOND),
        order=np.argsort(up + work + down, axis=1, kind="stable").astype(np.int32),
        up_s=up,
        down_s=down,
        work_s=work,
    )
    priced = _priced(params, np.bincount(m, _alone_s(jobs), len(params.model)))
    column = np.full(len(params.model), len(priced))
    column[priced] = np.arange(len(priced))
    return jobs._replace(priced=column[m]), priced


def _alone_s(jobs: Jobs) -> np.ndarray:
    """(J,) latency of each request alone on its best node at nominal speed; its charge if that is less."""
    at = np.arange(len(jobs.model)), jobs.order[:, 0]
    return np.minimum(jobs.up_s[at] + jobs.work_s[at] + jobs.down_s[at], jobs.charge_s)


def _priced(params: Params, spent_s: np.ndarray) -> np.ndarray:
    """Models that take much of the time, most first, as long as the mixes of them on a node can be counted out."""
    slots, found, mixes = int(params.node["slots"].max()), [], 1.0
    for m in np.argsort(-spent_s, kind="stable"):
        mixes *= (slots + len(found) + 1) / (len(found) + 1)
        if spent_s[m] < SMALL_SHARE * spent_s.sum() or (found and mixes > MAX_MIXES):
            break
        found.append(int(m))
    return np.array(found, np.int64)


def _mixes(params: Params, priced: np.ndarray) -> Mixes:
    """Every mix of priced models on every kind of node."""
    known: dict[bytes, tuple[int, int]] = {}
    counts, rates, span, rows = [], [], [], 0
    for n, node in enumerate(params.node):
        crowding = params.service[n, priced]["crowding"]
        kind = node["slots"].tobytes() + crowding.tobytes()
        if kind not in known:
            count, rate = _mixes_of(int(node["slots"]), crowding)
            counts.append(count)
            rates.append(rate)
            known[kind] = (rows, rows + len(count))
            rows += len(count)
        span.append(known[kind])
    first, last = np.array(span, np.int64).T.copy()
    return Mixes(first, last, np.concatenate(counts), np.concatenate(rates))


def _mixes_of(slots: int, crowding: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Counts and summed rates of the mixes on a node.

    Too many slots are taken in stretches: counted as the least and served as the most of the stretch.
    """
    if len(crowding) == 1 and slots > MAX_MIXES:
        ends = np.unique(np.geomspace(1, slots, MAX_MIXES).round())
        starts = np.append(1.0, ends[:-1] + 1.0)
        return starts[:, None], (ends / (1.0 + (ends - 1.0) * crowding[0]))[:, None]
    every = itertools.product(range(slots + 1), repeat=len(crowding))
    count = np.array([mix for mix in every if 0 < sum(mix) <= slots], float)
    crowd = 1.0 + count @ crowding
    return count, count / np.maximum(crowd[:, None] - crowding, 1.0)


def _course(world: World, known: Foreknowledge, jobs: Jobs, edges_s: np.ndarray) -> Course:
    """The recorded speeds, cut at the borders of the bins, and the stays."""
    params, end_s = world.params, known.end_s
    arrivals = [jobs.arrive_s[jobs.model == m] for m in range(len(params.model))]
    first_s = np.array([times[0] if len(times) else np.inf for times in arrivals])
    first, time_s, speed, bins = [0], [], [], []
    first_stay, from_s, gone_s, bias, ready_s = [0], [], [], [], []
    for n in range(world.n_nodes):
        mine = known.stretch["node"] == n
        stretch, factors = known.stretch[mine], known.bias[mine]
        begins = stretch["time_ns"] / SECOND
        times = np.union1d(edges_s, begins)
        at = np.searchsorted(begins, times, side="right") - 1
        time_s.append(times)
        speed.append(np.where(stretch["alive"][at] == 1, stretch["speed"][at], 0.0))
        bins.append(np.minimum(np.searchsorted(edges_s, times, side="right") - 1, len(edges_s) - 1))
        first.append(first[-1] + len(times))
        alive = stretch["alive"] == 1
        load_s = np.where(params.service[n]["preload"] == 1, 0.0, params.service[n]["load_ns"] / SECOND)
        for incarnation in np.unique(stretch["incarnation"][alive]):
            there = np.flatnonzero((stretch["incarnation"] == incarnation) & alive)
            gone = begins[there[-1] + 1 :]
            from_s.append(begins[there[0]])
            gone_s.append(gone[0] if len(gone) else np.inf)
            bias.append(factors[there[0]])
            ready_s.append(np.where(load_s > 0.0, np.maximum(first_s, begins[there[0]]) + load_s, 0.0))
        first_stay.append(len(from_s))
    left_s = np.sort([s for s in gone_s if np.isfinite(s)])
    return Course(
        first=np.array(first),
        time_s=np.concatenate(time_s),
        speed=np.concatenate(speed),
        bin=np.concatenate(bins),
        first_stay=np.array(first_stay),
        from_s=np.array(from_s),
        again_s=np.append(left_s, np.inf)[np.searchsorted(left_s, from_s)],
        until_s=np.minimum(gone_s, end_s),
        bias=np.array(bias),
        ready_s=np.array(ready_s),
    )
