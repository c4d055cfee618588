"""What a controller of the fast path sees: one row for each node, and a last one for the router itself."""

from ._jit import jit_row
from .news import believed
from .nodes import streamed
from .observe import RATIO_SCALE, TIME_SCALE, Column, scale_times
from .router import PRIOR_SIGMA, estimate, transient
from .tables import NEVER, SECOND
from .telemetry import fluid_now

COLUMNS = (
    Column("is_router", "-", "0 or 1", 0, 1, "this row is the router itself"),
    Column("requests", "requests", "n / (n + 32)", 0, 1, "outstanding on all nodes, as far as the router knows"),
    Column("exploration", "-", RATIO_SCALE, 0, 1, "of the router"),
    Column("forgetting", "-", "10 (1 - factor)", 0, 1, "of the router"),
    Column("calls_left", "calls", "share of a turn's", 0, 1, "tool calls that may be made now"),
    Column("closed", "nodes", "share of all", 0, 1, "nodes whose gate is closed"),
    Column("alive", "-", "0 or 1", 0, 1, "the node is reachable"),
    Column("gate", "-", "0, 0.5, 1", 0, 1, "its risk gate: open, caution, closed"),
    Column("capacity", "-", "share", 0, 1, "its share of what the pool can serve, by the prior"),
    Column("busy", "slots", "share", 0, 1, "outstanding requests over slots, at most 1"),
    Column("outstanding", "requests", "n / (n + 8)", 0, 1, "requests sent there whose completion is not known"),
    Column("probes", "requests", "n / (n + 1)", 0, 1, "calibration requests among them"),
    Column("slowdown", "-", RATIO_SCALE, 0, 1, "evidence: measured service time over prior (0.5: as the prior says)"),
    Column("evidence", "-", "n / (n + 8)", 0, 1, "evidence: completions on this node"),
    Column("overdue", "-", RATIO_SCALE, 0, 1, "evidence: age of the oldest outstanding request over its expected time"),
    Column("estimate", "-", RATIO_SCALE, 0, 1, "fast path: estimated service over prior now, mean over the models"),
    Column("uncertainty", "-", "0 to 1", 0, 1, "fast path: its standard deviation over that of the prior, mean"),
    Column("event", "-", "0, 0.5, 1", 0, 1, "said of the node, as the shipped parser reads it: nothing, coming, on"),
    Column("event_slowdown", "-", RATIO_SCALE, 0, 1, "said: how much slower it makes the node (0.5: not at all)"),
    Column("event_foreground", "-", "0 or 1", 0, 1, "said: the user of the node is in the foreground"),
    Column("backlog", "s", TIME_SCALE, 0, 1, "outstanding prior work of the node, less progress"),
    Column("evidence_age", "s", TIME_SCALE, 0, 1, "time since the node's last completion (1: none yet)"),
    Column("event_in", "s", TIME_SCALE, 0, 1, "said: time until the event begins or, if it is on, ends"),
    Column("event_age", "s", TIME_SCALE, 0, 1, "said: time since the last message about the node (1: none yet)"),
)
(
    IS_ROUTER, REQUESTS, EXPLORATION, FORGETTING, CALLS_LEFT, SHARE_CLOSED, ALIVE, GATE, CAPACITY, BUSY, OUTSTANDING,
    PROBES, SLOWDOWN, EVIDENCE, OVERDUE, ESTIMATE, UNCERTAINTY, EVENT, EVENT_SLOWDOWN, EVENT_FOREGROUND, BACKLOG,
    EVIDENCE_AGE, EVENT_IN, EVENT_AGE,
) = range(len(COLUMNS))  # fmt: skip
N_GLOBAL = ALIVE  # the columns before it, but for the first, describe the router and are the same in every row
LONG_S = 1e9  # a time that has never been


@jit_row
def observe_control(params, row, obs):
    """Describe the fast path to its controller.

    Args:
        params: The scenario's tables.
        row: The world.
        obs: Output, (N + 1, F) float32.
    """
    n_nodes = row.node.shape[0]
    obs[:] = 0.0
    show_router(params, row, obs[n_nodes])
    for n in range(n_nodes):
        for k in range(1, N_GLOBAL):
            obs[n, k] = obs[n_nodes, k]
        show_served(params, row, n, obs[n])
        show_evidence(params, row, n, obs[n])
        scale_times(obs[n, BACKLOG:])


@jit_row
def show_router(params, row, out):
    """The router's own row."""
    world, rules = row.world[0], params.rules[0]
    seen = 0
    for n in range(row.node.shape[0]):
        seen += row.node[n]["seen"]
    out[IS_ROUTER] = 1.0
    out[REQUESTS] = seen / (seen + 32.0)
    out[EXPLORATION] = world["exploration"] / (1.0 + world["exploration"])
    out[FORGETTING] = min(10.0 * (1.0 - world["forgetting"]), 1.0)
    left = min(float(rules["max_calls"] - world["turn_calls"]), world["tokens"])
    out[CALLS_LEFT] = max(left, 0.0) / rules["max_calls"]
    out[SHARE_CLOSED] = world["closed"] / row.node.shape[0]


@jit_row
def show_served(params, row, n, out):
    """What node `n` is, and what it has to do."""
    node, kind = row.node[n], params.node[n]
    out[ALIVE] = node["alive"]
    out[GATE] = 0.5 * node["gate"]
    out[CAPACITY] = kind["capacity_share"]
    out[BUSY] = min(node["seen"] * kind["per_slot"], 1.0)
    out[OUTSTANDING] = node["seen"] / (node["seen"] + 8.0)
    out[PROBES] = node["probes"] / (node["probes"] + 1.0)
    out[BACKLOG] = fluid_now(node, row.world[0]["now_ns"])


@jit_row
def show_evidence(params, row, n, out):
    """What was measured of node `n`, and what is said of it."""
    node, world = row.node[n], row.world[0]
    now = world["now_ns"]
    out[SLOWDOWN] = node["slowdown"] / (1.0 + node["slowdown"])
    out[EVIDENCE] = node["evidence"] / (node["evidence"] + 8.0)
    age = max(now - node["oldest_ns"], 0) / SECOND if node["oldest_ns"] != NEVER else 0.0
    out[OVERDUE] = age / (age + node["oldest_expected_s"] + 1e-9)
    stream = streamed(node, now - params.rules[0]["telemetry_age_ns"])
    ratios, sigmas, models = 0.0, 0.0, 0
    for m in range(row.pair.shape[1]):
        if params.service[n, m]["supported"] == 1:
            service, model = params.service[n, m], params.model[m]
            first_s = service["first_s"] + service["per_prompt_token_s"] * model["probe_prompt"]
            units_s = service["per_unit_s"] * model["probe_units"]
            ratio, sigma = estimate(world, node, row.pair[n, m], first_s, units_s)
            ratios += ratio * transient(row.pair[n], node, m, stream, now)
            sigmas += sigma
            models += 1
    ratio = ratios / max(models, 1)
    out[ESTIMATE] = ratio / (1.0 + ratio)
    out[UNCERTAINTY] = sigmas / max(models, 1) / PRIOR_SIGMA
    event, slower, foreground, event_in = believed(node, now)
    out[EVENT] = event
    out[EVENT_SLOWDOWN] = slower / (1.0 + slower)
    out[EVENT_FOREGROUND] = foreground
    out[EVIDENCE_AGE] = (now - node["evidence_ns"]) / SECOND if node["evidence_ns"] >= 0 else LONG_S
    out[EVENT_IN] = event_in
    out[EVENT_AGE] = (now - node["heard_ns"]) / SECOND if node["heard_ns"] >= 0 else LONG_S
