"""What a controller sees: one row for each choice, and which choices are legal.

`COLUMNS` is the one table of the features; the documentation and the spaces are made from it. Times and sizes are
log-scaled by a polynomial logarithm made of plain arithmetic, so an observation is the same on every machine.
"""

from typing import NamedTuple

import numpy as np

from ._jit import jit, jit_row
from .news import believed
from .nodes import nominal_work_s, streamed
from .router import PRIOR_SIGMA, estimate, router_cost, strain, transient
from .tables import ABSENT, LOADING, NO_SUBJECT, SECOND
from .telemetry import fluid_now, slowdown, wait_and_service


class Column(NamedTuple):
    """One feature of the observation."""

    name: str
    unit: str
    scaling: str
    low: float
    high: float
    text: str


TIME_SCALE = "log2(1 + t / 0.1 ms) / 28"
_COUNT = "log2(1 + n) / 20"
_SHARE = "share"
RATIO_SCALE = "r / (1 + r)"

COLUMNS = (
    Column("is_request", "-", "0 or 1", 0, 1, "subject: a request waits to be routed"),
    Column("model", "-", "(index + 1) / models", 0, 1, "subject: which model it asks for"),
    Column("prompt", "tokens", _COUNT, 0, 1, "subject: prompt tokens"),
    Column("forecast", "units", _COUNT, 0, 1, "subject: forecast of output tokens, steps or items"),
    Column("slack", "-", _SHARE, 0, 1, "subject: time left until its deadline over the whole of it"),
    Column("retries", "-", "r / (r + 1)", 0, 1, "subject: how often it has come back"),
    Column("is_decline", "-", "0 or 1", 0, 1, "this row is the choice to decline"),
    Column("legal", "-", "0 or 1", 0, 1, "the choice is legal now (the action mask)"),
    Column("alive", "-", "0 or 1", 0, 1, "the node is reachable"),
    Column("busy", "slots", _SHARE, 0, 1, "outstanding requests over slots, at most 1"),
    Column("outstanding", "requests", "n / (n + 8)", 0, 1, "requests sent there whose completion is not known"),
    Column("free_memory", "bytes", _SHARE, 0, 1, "memory not held by models in use; as of now, not aged"),
    Column("resident", "-", "0, 0.5, 1", 0, 1, "the model is absent, loading, resident; as of now, not aged"),
    Column("parallelism", "-", RATIO_SCALE, 0, 1, "throughput of the full node over one request alone"),
    Column("price", "USD/h", RATIO_SCALE, 0, 1, "price while anything runs"),
    Column("power", "W", "log2(1 + W) / 12", 0, 1, "power on top of idle while anything runs"),
    Column("slowdown", "-", RATIO_SCALE, 0, 1, "evidence: measured service time over prior (0.5: as the prior says)"),
    Column("evidence", "-", "n / (n + 8)", 0, 1, "evidence: completions of this model on this node"),
    Column("overdue", "-", RATIO_SCALE, 0, 1, "evidence: age of the oldest outstanding request over its expected time"),
    Column("stream", "-", RATIO_SCALE, 0, 1, "evidence: gap between units of running responses over prior (0: none)"),
    Column("event", "-", "0, 0.5, 1", 0, 1, "said of the node, as the shipped parser reads it: nothing, coming, on"),
    Column("event_slowdown", "-", RATIO_SCALE, 0, 1, "said: how much slower it makes the node (0.5: not at all)"),
    Column("event_foreground", "-", "0 or 1", 0, 1, "said: the user of the node is in the foreground"),
    Column("uncertainty", "-", "0 to 1", 0, 1, "fast path: standard deviation of its estimate over that of the prior"),
    Column("router", "-", "0 or 1", 0, 1, "fast path: the choice the world's own router would make"),
    Column("backlog", "s", TIME_SCALE, 0, 1, "expected: outstanding prior work of the node, less progress"),
    Column("wait", "s", TIME_SCALE, 0, 1, "expected: wait for a slot, prior; decline row: what declining is charged"),
    Column("first", "s", TIME_SCALE, 0, 1, "expected: time to first unit on the idle node, prior"),
    Column("per_unit", "s", TIME_SCALE, 0, 1, "expected: time per unit on the idle node, prior"),
    Column("service", "s", TIME_SCALE, 0, 1, "expected: service beside the present neighbours, prior"),
    Column("inflicted", "s", TIME_SCALE, 0, 1, "expected: by how much it would delay the present neighbours, prior"),
    Column("network", "s", TIME_SCALE, 0, 1, "expected: there and back on the network"),
    Column("load", "s", TIME_SCALE, 0, 1, "expected: loading the model"),
    Column("evidence_age", "s", TIME_SCALE, 0, 1, "evidence: time since the node's last completion (1: none yet)"),
    Column("event_in", "s", TIME_SCALE, 0, 1, "said: time until the event begins or, if it is on, ends"),
    Column("event_age", "s", TIME_SCALE, 0, 1, "said: time since the last message about the node (1: none yet)"),
    Column("router_cost", "s", TIME_SCALE, 0, 1, "fast path: what it expects of the node, risk gate included"),
)
(
    IS_REQUEST, MODEL, PROMPT, FORECAST, SLACK, RETRIES, IS_DECLINE, LEGAL, ALIVE, BUSY, OUTSTANDING, FREE_MEMORY,
    RESIDENT, PARALLELISM, PRICE, POWER, SLOWDOWN, EVIDENCE, OVERDUE, STREAM, EVENT, EVENT_SLOWDOWN, EVENT_FOREGROUND,
    UNCERTAINTY, ROUTER, BACKLOG, WAIT, FIRST, PER_UNIT, SERVICE, INFLICTED, NETWORK, LOAD, EVIDENCE_AGE, EVENT_IN,
    EVENT_AGE, ROUTER_COST,
) = range(len(COLUMNS))  # fmt: skip
N_FEATURES = len(COLUMNS)
N_TIMES = N_FEATURES - BACKLOG  # the times are the last columns
(
    T_BACKLOG, T_WAIT, T_FIRST, T_PER_UNIT, T_SERVICE, T_INFLICTED, T_NETWORK, T_LOAD, T_EVIDENCE_AGE, T_EVENT_IN,
    T_EVENT_AGE, T_ROUTER_COST,
) = range(N_TIMES)  # fmt: skip
N_SUBJECT = IS_DECLINE  # the columns before it describe the subject and are the same in every row

NEVER_S = 1e18
_PER_SECOND = 1.0 / SECOND
TIME_UNIT_S = 1e-4
TIME_SPAN = 28.0
COUNT_SPAN = 20.0
_PER_TIME_UNIT = np.float32(1.0 / TIME_UNIT_S)
_PER_TIME_SPAN = np.float32(1.0 / TIME_SPAN)
_PER_COUNT_SPAN = np.float32(1.0 / COUNT_SPAN)


_MANTISSA, _ONE = np.int32(0x7FFFFF), np.int32(0x3F800000)
# Chebyshev fit of log2(1 + t) / t on [0, 1], degree 7: off by at most 4e-7 with its rounding, exact at powers of two.
_L0, _L1, _L2 = np.float32(1.4426947671), np.float32(-0.7213107231), np.float32(0.4800737522)
_L3, _L4, _L5 = np.float32(-0.3534546977), np.float32(0.2561797395), np.float32(-0.1556000138)
_L6, _L7 = np.float32(0.0637876265), np.float32(-0.0123706510)
_F1 = np.float32(1.0)


@jit
def log2_plain(x):
    """Binary logarithm of a float32 >= 1, by float32 arithmetic only."""
    bits = np.float32(x).view(np.int32)
    exponent = (bits >> 23) - 127
    t = np.int32((bits & _MANTISSA) | _ONE).view(np.float32) - _F1
    low = ((_L7 * t + _L6) * t + _L5) * t + _L4
    return np.float32(exponent) + t * ((((low * t + _L3) * t + _L2) * t + _L1) * t + _L0)


@jit
def scale_times(times):
    """Log-scale times (float32 seconds) in place."""
    for k in range(times.shape[0]):
        x = log2_plain(_F1 + times[k] * _PER_TIME_UNIT) * _PER_TIME_SPAN
        times[k] = min(x, _F1)


@jit
def scale_count(number):
    """Log-scale a count."""
    return min(log2_plain(np.float32(1.0 + number)) * _PER_COUNT_SPAN, _F1)


@jit_row
def payload(model, prompt, units):
    """Bytes of a request and of its response."""
    up = model["up_bytes"] + model["up_bytes_per_token"] * prompt
    return up, model["down_bytes"] + model["down_bytes_per_unit"] * units


@jit_row
def network_s(params, site, n, model, prompt, units):
    """Time of a request and of its response on the network, seconds each."""
    link = params.link[site, n]
    delay_s = link["delay_ns"] * _PER_SECOND
    up, down = payload(model, prompt, units)
    return delay_s + up * link["s_per_byte"], delay_s + down * link["s_per_byte"]


@jit_row
def load_left_s(params, row, n, m):
    """Expected time until model `m` is resident on node `n`, seconds."""
    residency = row.pair[n, m]["residency"]
    now = row.world[0]["now_ns"]
    if residency == ABSENT:
        return (max(row.node[n]["disk_free_ns"] - now, 0) + params.service[n, m]["load_ns"]) / SECOND
    if residency == LOADING:
        return max(row.pair[n, m]["ready_ns"] - now, 0) / SECOND
    return 0.0


@jit_row
def is_legal(params, row, n, m, site):
    """Whether a request for model `m` from `site` may be sent to node `n` now."""
    node, kind, pair = row.node[n], params.node[n], row.pair[n, m]
    if node["alive"] == 0 or node["outstanding"] >= kind["limit"]:
        return False
    if params.service[n, m]["supported"] == 0 or params.link[site, n]["reachable"] == 0:
        return False
    needed = 0 if pair["outstanding"] > 0 else params.model[m]["weights_bytes"]
    return node["memory_busy_bytes"] + needed <= kind["memory_bytes"]


@jit_row
def observe(params, row, obs, mask, times):
    """Describe the pending decision.

    Args:
        params: The scenario's tables.
        row: The world.
        obs: Output, (N + 1, N_FEATURES) float32.
        mask: Output, (N + 1,) bool.
        times: Scratch, ((N + 1) * N_TIMES,) float32: the times of all rows are scaled in one go.
    """
    world = row.world[0]
    n_nodes = row.node.shape[0]
    obs[:] = 0.0
    times[:] = 0.0
    mask[:] = False
    mask[n_nodes] = True
    obs[n_nodes, IS_DECLINE] = 1.0
    obs[n_nodes, LEGAL] = 1.0
    subject = row.job[max(world["subject"], 0)]
    pending = world["subject_kind"] != NO_SUBJECT
    if pending:
        show_subject(params, row, subject, obs, times)
        m, site = subject["model"], subject["site"]
        prompt, forecast, model = subject["prompt"], subject["forecast"], params.model[m]
        bytes_up, bytes_down = payload(model, prompt, forecast)
        best, pick = NEVER_S, n_nodes
        for n in range(n_nodes):
            mask[n] = is_legal(params, row, n, m, site)
            bytes_both = bytes_up + bytes_down
            cost = show_home(params, row, n, m, site, prompt, forecast, bytes_both, mask[n], obs[n], times, True)
            if mask[n] and cost < best:
                best, pick = cost, n
        obs[pick, ROUTER] = 1.0
    else:
        for n in range(n_nodes):
            show_node(params, row, n, obs[n], times)
            obs[n, SLOWDOWN] = row.node[n]["slowdown"] / (1.0 + row.node[n]["slowdown"])
    scale_times(times)
    for n in range(n_nodes + 1):
        for k in range(N_TIMES):
            obs[n, BACKLOG + k] = times[n * N_TIMES + k]


@jit_row
def show_subject(params, row, subject, obs, times):
    """The columns that are the same in every row, and what declining is charged."""
    n_nodes = row.node.shape[0]
    m = subject["model"]
    now = row.world[0]["now_ns"]
    first = obs[0]
    first[IS_REQUEST] = 1.0
    first[MODEL] = (m + 1.0) / params.model.shape[0]
    first[PROMPT] = scale_count(subject["prompt"])
    first[FORECAST] = scale_count(subject["forecast"])
    first[SLACK] = max(subject["deadline_ns"] - now, 0) / params.model[m]["deadline_ns"]
    first[RETRIES] = subject["retries"] / (subject["retries"] + 1.0)
    for n in range(1, n_nodes + 1):
        for k in range(N_SUBJECT):
            obs[n, k] = first[k]
    charge = params.rules[0]["drop_charge"] * params.model[m]["deadline_ns"] / SECOND
    times[n_nodes * N_TIMES + T_WAIT] = max(charge - (now - subject["arrive_ns"]) / SECOND, 0.0)


@jit_row
def show_node(params, row, n, out, times):
    """Row `n`: what does not depend on the subject. Times go to `times`, in seconds.

    Everything is read before anything is written: the compiler cannot know that the tables do not overlap.

    Returns:
        The outstanding prior work, seconds; the age of the oldest request over its expected time; what running
        responses show (see `nodes.streamed`).
    """
    node, kind = row.node[n], params.node[n]
    now, seen = row.world[0]["now_ns"], node["seen"]
    stream = streamed(node, now - params.rules[0]["telemetry_age_ns"])
    alive, busy = node["alive"], min(seen * kind["per_slot"], 1.0)
    free = 1.0 - node["memory_busy_bytes"] * kind["per_byte"]
    price, power = kind["price_scaled"], kind["power_scaled"]
    age = max(now - node["oldest_ns"], 0) * _PER_SECOND
    overdue = age / (age + node["oldest_expected_s"] + 1e-9)
    fluid = fluid_now(node, now)
    evidence_age = (now - node["evidence_ns"]) * _PER_SECOND if node["evidence_ns"] >= 0 else 1e9
    event_age = (now - node["heard_ns"]) * _PER_SECOND if node["heard_ns"] >= 0 else 1e9
    event, slower, foreground, event_in = believed(node, now)
    at = n * N_TIMES
    times[at + T_BACKLOG] = fluid
    times[at + T_EVIDENCE_AGE] = evidence_age
    times[at + T_EVENT_IN] = event_in
    times[at + T_EVENT_AGE] = event_age
    out[ALIVE] = alive
    out[BUSY] = busy
    out[OUTSTANDING] = seen / (seen + 8.0)
    out[FREE_MEMORY] = free
    out[PRICE] = price
    out[POWER] = power
    out[OVERDUE] = overdue
    out[STREAM] = stream / (1.0 + stream)
    out[EVENT] = event
    out[EVENT_SLOWDOWN] = slower / (1.0 + slower)
    out[EVENT_FOREGROUND] = foreground
    return fluid, age / (node["oldest_expected_s"] + 1e-9), stream


@jit_row
def show_home(params, row, n, m, site, prompt, forecast, payload_bytes, legal, out, times, routed):
    """Row `n`: the node as a home for the subject; returns what the fast path expects of it (if `routed`), seconds."""
    service, pair, link = params.service[n, m], row.pair[n, m], params.link[site, n]
    seen, slots = row.node[n]["seen"], params.node[n]["slots"]
    slow, evidence = slowdown(row.node[n], pair), pair["evidence"]
    residency, parallelism = pair["residency"], service["parallelism_scaled"]
    first, per_unit = nominal_work_s(service, prompt, 0), service["per_unit_s"]
    network = 2.0 * link["delay_ns"] * _PER_SECOND + payload_bytes * link["s_per_byte"]
    load = load_left_s(params, row, n, m)
    supported = service["supported"] == 1
    fluid, overdue, stream = show_node(params, row, n, out, times)
    out[SLOWDOWN] = slow / (1.0 + slow)
    out[EVIDENCE] = evidence / (evidence + 8.0)
    if not supported:
        return NEVER_S
    own = first + per_unit * forecast
    wait, served = wait_and_service(seen, slots, service, own, fluid)
    world, node = row.world[0], row.node[n]
    inflicted = service["crowding"] * min(fluid, min(seen, slots - 1) * own)
    cost, sigma = 0.0, 0.0
    if routed:
        ratio, sigma = estimate(world, node, pair, first, per_unit * forecast)
        stretch = strain(overdue, transient(row.pair[n], node, m, stream, world["now_ns"]))
        cost = router_cost(params, world, node, ratio, sigma, stretch, wait, served, inflicted, network + load)
    at = n * N_TIMES
    times[at + T_WAIT] = wait
    times[at + T_FIRST] = first
    times[at + T_PER_UNIT] = per_unit
    times[at + T_SERVICE] = served
    times[at + T_INFLICTED] = inflicted
    times[at + T_NETWORK] = network
    times[at + T_LOAD] = load
    times[at + T_ROUTER_COST] = cost
    out[LEGAL] = legal
    out[RESIDENT] = 0.5 * residency
    out[PARALLELISM] = parallelism
    out[UNCERTAINTY] = sigma * (1.0 / PRIOR_SIGMA)
    return cost


def decode_time(scaled: np.ndarray) -> np.ndarray:
    """Seconds behind a log-scaled time column (float32 in, float32 out); the inverse of `scale_time`."""
    return (np.exp2(scaled * np.float32(TIME_SPAN)) - np.float32(1.0)) * np.float32(TIME_UNIT_S)


def decode_count(scaled: np.ndarray) -> np.ndarray:
    """The count behind a log-scaled column (float32 in, float32 out); the inverse of `scale_count`."""
    return np.exp2(scaled * np.float32(COUNT_SPAN)) - np.float32(1.0)


def decode_ratio(scaled: np.ndarray) -> np.ndarray:
    """The ratio r behind r / (1 + r)."""
    return scaled / np.maximum(np.float32(1.0) - scaled, np.float32(1e-6))
