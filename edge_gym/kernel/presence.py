"""A node joins or leaves, and what becomes of its requests."""

from ._jit import jit_row
from .guards import set_gate
from .heard import hear_of
from .nodes import keep_spread, preload, refresh_due, send, settle
from .requests import come_back
from .router import forget_model
from .site_books import renew_views
from .tables import DOWNLINK, NEVER, NONE, OPEN, UPLINK
from .telemetry import keep_figures
from .workload import draw_bias


@jit_row
def join(params, row, n):
    """Node `n` joins: alive, freshly loaded, its software factors unknown."""
    node = row.node[n]
    node["alive"] = 1
    node["incarnation"] += 1
    node["slowdown"] = 1.0
    node["evidence"] = 0
    node["evidence_ns"] = -1
    node["stream_model"] = NONE
    node["trend"] = 1.0
    node["trend_ns"] = 0
    node["trend_s"] = params.rules[0]["trend_s"]
    node["joined_ns"] = row.world[0]["now_ns"]
    for m in range(row.pair.shape[1]):
        row.pair[n, m]["slowdown"] = 1.0
        row.pair[n, m]["evidence"] = 0
        row.pair[n, m]["used_ns"] = 0
        forget_model(row.pair[n, m])
    preload(params, row, n)
    draw_bias(params, row, n)
    keep_figures(params, row, n)
    if row.sheet.shape[0] > 0:
        renew_views(params, row, n)
    for s in range(row.known_lodging.shape[0]):
        hear_of(row, s, n)
    row.world[0]["power_w"] += params.node[n]["idle_w"]


@jit_row
def leave(params, row, n):
    """Node `n` is gone: what it had not finished comes back; responses already sent still arrive."""
    node, job, now = row.node[n], row.job, row.world[0]["now_ns"]
    settle(row, n, now)
    node["alive"] = 0
    if node["gate"] != OPEN:
        set_gate(row, n, OPEN)  # a gate belongs to the node as it was
    row.world[0]["power_w"] -= params.node[n]["idle_w"]
    node["stream_model"] = NONE
    node["finish_ns"] = NEVER
    node["load_ns"] = NEVER
    running = node["running"]
    if running > 0:
        share = running / params.node[n]["slots"]
        row.world[0]["busy_sum"] -= share
        row.world[0]["busy_square"] -= share * share
        keep_spread(row)
        row.world[0]["power_w"] -= params.node[n]["active_w"]
        row.world[0]["price_per_s"] -= params.node[n]["price_per_s"]
    node["running"] = 0
    for k in range(running):
        come_back(params, row, n, row.slot[n, k]["job"])
    j = node["queue_head"]
    node["queue_head"] = NONE
    node["queue_tail"] = NONE
    node["queued"] = 0
    while j != NONE:
        after = job[j]["next"]
        come_back(params, row, n, j)
        j = after
    j = node["air_head"]
    node["air_head"] = NONE
    node["air_tail"] = NONE
    while j != NONE:
        after = job[j]["next"]
        if job[j]["state"] == UPLINK:
            come_back(params, row, n, j)
        else:
            send(row, n, j, job[j]["due_ns"], DOWNLINK)
        j = after
    refresh_due(row, n)
    if row.agency.shape[0] > 0:
        row.agency[0]["shaken"] = 1
