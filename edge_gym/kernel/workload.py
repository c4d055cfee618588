"""What is exogenous: arrival times and sizes of requests, and the unknown software factors of the nodes."""

import math

from . import random
from ._jit import jit, jit_row
from .tables import (
    CONSTANT,
    DIURNAL,
    EMPIRICAL,
    EXPONENTIAL,
    LOGNORMAL,
    MMPP,
    NEVER,
    NO_ARRIVALS,
    NONE,
    SECOND,
    TRACE_FILE,
    UNIFORM,
)

DIURNAL_PIECES = 48  # the sinusoid is taken as constant on each of these pieces of a period


@jit
def draw(law, quantile, u):
    """Value of a law at the uniform `u`, clipped to its bounds."""
    kind = law["kind"]
    value = law["a"]
    if kind == EXPONENTIAL:
        value = -math.log(1.0 - u) * law["a"]
    elif kind == UNIFORM:
        value = law["a"] + (law["b"] - law["a"]) * u
    elif kind == LOGNORMAL:
        value = math.exp(law["a"] + law["b"] * random.inverse_normal(u))
    elif kind == EMPIRICAL:
        value = quantile[law["first"] + int(u * law["count"])]
    elif kind != CONSTANT:
        value = 0.0
    return min(max(value, law["minimum"]), law["maximum"])


@jit
def draw_counts(law, quantile, out):
    """Whole counts at evenly spread quantiles of a law, for means; `out` is (K,) float64."""
    for k in range(out.shape[0]):
        out[k] = math.floor(draw(law, quantile, (k + 0.5) / out.shape[0]) + 0.5)


@jit
def pick(cumulative, u):
    """First index whose cumulative share exceeds `u`."""
    k = 0
    while k < cumulative.shape[0] - 1 and cumulative[k] <= u:
        k += 1
    return k


@jit_row
def keep_keys(world):
    """Keys of the streams that every request reads, for the seed of this episode."""
    seed = world["seed"]
    world["arrival_key"] = random.stream_key(seed, random.ARRIVAL, 0)
    world["site_key"] = random.stream_key(seed, random.SITE, 0)
    world["model_key"] = random.stream_key(seed, random.MODEL, 0)
    world["prompt_key"] = random.stream_key(seed, random.PROMPT, 0)
    world["units_key"] = random.stream_key(seed, random.UNITS, 0)
    world["forecast_key"] = random.stream_key(seed, random.FORECAST, 0)


@jit_row
def begin_arrivals(params, row):
    """Set the arrival process of a new episode going and find the first arrival."""
    world, rules = row.world[0], params.rules[0]
    world["phase"] = 0
    world["phase_until_ns"] = 0
    world["next_arrival_ns"] = 0
    world["stop_ns"] = NEVER
    if rules["arrival_kind"] == TRACE_FILE and rules["trace_random_start"] == 1:
        key = random.stream_key(world["seed"], random.TRACE, 0)
        world["trace_at"] = int(random.uniform(key, 0) * params.trace.shape[0])
    else:
        world["trace_at"] = 0
    if rules["arrival_kind"] == MMPP:
        key = random.stream_key(world["seed"], random.PHASE, 0)
        calm, burst = rules["calm_mean_s"], rules["burst_mean_s"]
        # Even phases are calm. Starting at 0 or 1 with the stationary odds makes the process stationary.
        if random.uniform(key, 0) * (calm + burst) < burst:
            world["phase"] = 1
    begin_piece(params, world, 0)
    schedule_arrival(params, row)


@jit_row
def begin_piece(params, world, now):
    """Until when the arrival rate of the phase that begins now is constant."""
    rules = params.rules[0]
    world["phase_until_ns"] = NEVER
    if rules["arrival_kind"] == MMPP:
        mean = rules["burst_mean_s"] if world["phase"] % 2 == 1 else rules["calm_mean_s"]
        key = random.stream_key(world["seed"], random.PHASE, 0)
        world["phase_until_ns"] = later(now, random.exponential(key, world["phase"] + 1) * mean)
    elif rules["arrival_kind"] == DIURNAL:
        # Multiples of the piece, not sums: the grid must not drift.
        world["phase_until_ns"] = int((world["phase"] + 1) * rules["period_s"] / DIURNAL_PIECES * SECOND)


@jit_row
def rate_now(params, world):
    """Arrival rate of the current phase, requests per second."""
    rules = params.rules[0]
    if rules["arrival_kind"] == MMPP and world["phase"] % 2 == 1:
        return rules["burst_rate_per_s"]
    if rules["arrival_kind"] == DIURNAL:
        turn = (world["phase"] + 0.5) / DIURNAL_PIECES
        return rules["rate_per_s"] * (1.0 + rules["amplitude"] * math.sin(2.0 * math.pi * turn))
    return rules["rate_per_s"]


@jit_row
def schedule_arrival(params, row):
    """Find the time of the next arrival, or stop arrivals at the horizon or after the last request."""
    world, rules = row.world[0], params.rules[0]
    last = world["next_arrival_ns"]
    at = NEVER
    if rules["arrival_kind"] == NO_ARRIVALS:
        last = rules["horizon_ns"]
    elif world["arrived"] < rules["n_requests"]:
        if rules["arrival_kind"] == TRACE_FILE:
            at = next_in_trace(params, world)
            beyond = at != NEVER and at > rules["horizon_ns"]  # a trace that has ended stops with its last request
        else:
            at = next_in_process(params, world, last)
            beyond = at > rules["horizon_ns"]
        if beyond:
            at, last = NEVER, rules["horizon_ns"]
    world["next_arrival_ns"] = at
    if at == NEVER:
        world["stop_ns"] = last + rules["drain_ns"]


@jit_row
def later(at, seconds):
    """The time `seconds` after `at`, or NEVER if that is beyond every horizon (and might not fit in 64 bits)."""
    return at + int(seconds * SECOND + 0.5) if seconds < 4e9 else NEVER


@jit_row
def next_in_process(params, world, at):
    """Spend one unit-mean exponential of hazard from `at` on, piece by piece."""
    hazard = random.exponential(world["arrival_key"], world["arrived"])
    while True:
        rate = rate_now(params, world)
        if world["phase_until_ns"] == NEVER:
            return later(at, hazard / rate)
        room = (world["phase_until_ns"] - at) / SECOND * rate
        if hazard <= room:
            return later(at, hazard / rate)
        hazard -= room
        at = world["phase_until_ns"]
        if at > params.rules[0]["horizon_ns"]:
            return NEVER
        world["phase"] += 1
        begin_piece(params, world, at)


@jit_row
def next_in_trace(params, world):
    """Arrival number `arrived` of the trace, counted from where this episode began in it."""
    rules, length = params.rules[0], params.trace.shape[0]
    position = world["trace_at"] + world["arrived"]
    turn = position // length
    if turn > 0 and rules["trace_loops"] == 0:
        return NEVER
    begin = params.trace[world["trace_at"]]["time_ns"]
    since = int((params.trace[position % length]["time_ns"] - begin) * rules["trace_scale"])
    return since + turn * rules["trace_span_ns"]


@jit_row
def draw_request(params, row, j):
    """Fill job row `j` with request number `arrived`: site, model, sizes, forecast, deadline."""
    world, rules, job = row.world[0], params.rules[0], row.job
    i = world["arrived"]
    u = random.uniform(world["model_key"], i)
    m = 0
    while m < params.model.shape[0] - 1 and params.model[m]["cumulative_share"] <= u:
        m += 1
    model = params.model[m]
    if rules["arrival_kind"] == TRACE_FILE:
        source = params.trace[(world["trace_at"] + i) % params.trace.shape[0]]
        prompt, units = source["prompt"], source["units"]
    else:
        u = random.uniform(world["prompt_key"], i)
        prompt = int(draw(model["prompt"], params.quantile, u) + 0.5)
        u = random.uniform(world["units_key"], i)
        units = int(draw(model["units"], params.quantile, u) + 0.5)
    forecast = units
    if rules["forecast_sigma"] > 0.0:
        noise = random.normal(world["forecast_key"], i)
        forecast = int(min(units * math.exp(rules["forecast_sigma"] * noise), 1e9) + 0.5)
    job[j]["id"] = i
    job[j]["site"] = pick(params.site, random.uniform(world["site_key"], i))
    job[j]["model"] = m
    job[j]["prompt"] = prompt
    job[j]["units"] = units
    job[j]["forecast"] = max(forecast, 1) if units > 0 else 0
    begin_job(job[j], world["now_ns"], model)


@jit_row
def begin_job(job, now, model):
    """What is the same for every new request."""
    job["probe"] = 0
    job["agent"] = 0
    job["retries"] = 0
    job["stutter"] = 0
    job["node"] = NONE
    job["dispatch_ns"] = -1
    job["start_ns"] = -1
    job["first_ns"] = -1
    job["arrive_ns"] = now
    job["deadline_ns"] = now + model["deadline_ns"]


@jit_row
def draw_bias(params, row, n):
    """Draw the unknown software factor of every model on node `n`, anew each time the node joins."""
    sigma = params.rules[0]["bias_sigma"]
    incarnation = row.node[n]["incarnation"]
    for m in range(row.pair.shape[1]):
        bias = 1.0
        if sigma > 0.0:
            entity = n * row.pair.shape[1] + m
            key = random.stream_key(row.world[0]["seed"], random.BIAS, entity)
            bias = math.exp(sigma * random.normal(key, incarnation))
        row.pair[n, m]["bias"] = bias
