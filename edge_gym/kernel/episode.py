"""How an episode begins and ends, and what the timeline changes in between."""

from . import random
from ._jit import jit_row
from .accounts import advance_clock, forget_accounts
from .nodes import preload, refresh_due, send, set_speed, settle
from .requests import come_back, give_up, report_first
from .tables import DOWNLINK, NEVER, NONE, SET_ALIVE, SET_SPEED, UNFINISHED, UPLINK
from .workload import begin_arrivals, draw_bias, keep_keys


@jit_row
def begin(params, row, root, episode):
    """An empty world at time 0 with everything exogenous drawn from its seed."""
    world = row.world[0]
    world["root_seed"] = root
    world["episode"] = episode
    world["seed"] = random.episode_seed(root, episode)
    world["now_ns"] = 0
    world["decided_ns"] = 0
    world["arrived"] = 0
    world["completed"] = 0
    world["rejected"] = 0
    world["dropped"] = 0
    world["in_system"] = 0
    world["latency_total_ns"] = 0
    world["decisions"] = 0
    world["power_w"] = 0.0
    world["price_per_s"] = 0.0
    world["busy_sum"] = 0.0
    world["busy_square"] = 0.0
    world["change_at"] = 0
    world["log_count"] = 0
    world["done"] = 0
    world["pending_head"] = NONE
    world["pending_tail"] = NONE
    world["report_head"] = NONE
    world["report_tail"] = NONE
    for j in range(world["fresh"]):
        row.job[j]["state"] = 0
    world["free"] = NONE
    world["fresh"] = 0
    keep_keys(world)
    forget_accounts(world)
    for k in range(row.change.shape[0]):
        row.change[k] = params.change[k]
    for n in range(row.node.shape[0]):
        begin_node(params, row, n)
    begin_arrivals(params, row)


@jit_row
def begin_node(params, row, n):
    """Node `n` as it is when an episode begins."""
    node = row.node[n]
    node["speed"] = 1.0
    node["settled_ns"] = 0
    node["finish_ns"] = NEVER
    node["finish_slot"] = NONE
    node["book_s"] = 0.0
    node["fluid_s"] = 0.0
    node["mark_ns"] = 0
    node["drain"] = 0.0
    node["waiting_s"] = 0.0
    node["oldest_ns"] = NEVER
    node["crowding_seen"] = 0.0
    node["running"] = 0
    node["outstanding"] = 0
    node["seen"] = 0
    node["queued"] = 0
    node["queue_head"] = NONE
    node["queue_tail"] = NONE
    node["air_head"] = NONE
    node["air_tail"] = NONE
    node["oldest"] = NONE
    node["newest"] = NONE
    node["incarnation"] = -1
    join(params, row, n)
    row.due[n] = NEVER


@jit_row
def join(params, row, n):
    """Node `n` joins: alive, freshly loaded, its software factors unknown."""
    node = row.node[n]
    node["alive"] = 1
    node["incarnation"] += 1
    node["slowdown"] = 1.0
    node["evidence"] = 0
    node["evidence_ns"] = -1
    for m in range(row.pair.shape[1]):
        row.pair[n, m]["slowdown"] = 1.0
        row.pair[n, m]["evidence"] = 0
        row.pair[n, m]["used_ns"] = 0
    preload(params, row, n)
    draw_bias(params, row, n)
    row.world[0]["power_w"] += params.node[n]["idle_w"]


@jit_row
def leave(params, row, n):
    """Node `n` is gone: what it had not finished comes back; responses already sent still arrive."""
    node, job, now = row.node[n], row.job, row.world[0]["now_ns"]
    settle(row, n, now)
    node["alive"] = 0
    row.world[0]["power_w"] -= params.node[n]["idle_w"]
    node["finish_ns"] = NEVER
    node["load_ns"] = NEVER
    running = node["running"]
    if running > 0:
        share = running / params.node[n]["slots"]
        row.world[0]["busy_sum"] -= share
        row.world[0]["busy_square"] -= share * share
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


@jit_row
def apply_change(params, row, change):
    """The timeline sets a node's speed, or lets it leave or join."""
    n, now = change["node"], row.world[0]["now_ns"]
    if change["what"] == SET_SPEED:
        set_speed(row, n, change["value"], now)
    elif change["what"] == SET_ALIVE:
        if change["value"] > 0.0 and row.node[n]["alive"] == 0:
            join(params, row, n)
        elif change["value"] == 0.0 and row.node[n]["alive"] == 1:
            leave(params, row, n)


@jit_row
def finish(params, row):
    """The episode is over: what is left is charged as dropped, and the router hears of every delivery."""
    world, job = row.world[0], row.job
    if world["in_system"] > 0:
        advance_clock(row, world["stop_ns"])
    while world["report_head"] != NONE:
        report_first(params, row)
    for j in range(world["fresh"]):
        if job[j]["state"] >= UPLINK and job[j]["state"] <= DOWNLINK:
            world["dropped"] += 1
            give_up(params, row, j, UNFINISHED)
    world["done"] = 1
