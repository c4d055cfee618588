"""How an episode begins and ends, and what the timeline changes in between."""

from . import random
from ._jit import jit_row
from .accounts import advance_clock, forget_accounts
from .guards import keep_masked, uphold_guards
from .news import forget_news
from .presence import join, leave
from .regimes import begin_regimes, set_base_speed
from .requests import give_up, report_first
from .site_books import open_desks
from .tables import AT_AGENT, AT_SITE, DOWNLINK, NEVER, NONE, OPEN, SET_ALIVE, SET_SPEED, UNFINISHED, UPLINK
from .workload import begin_arrivals, keep_keys


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
    world["spread"] = 0.0
    world["change_at"] = 0
    world["log_count"] = 0
    world["news_count"] = 0
    world["wake_ns"] = NEVER
    world["turn_ns"] = 0
    world["tokens_ns"] = 0
    world["calls"] = 0
    world["interventions"] = 0
    world["tokens"] = float(params.rules[0]["max_calls"])
    world["closed_share"] = 0.0
    world["masked_s"] = 0.0
    world["closed"] = 0
    world["turn_calls"] = 0
    world["turn_closed"] = 0
    world["stir"] = 0
    world["sources"] = 0
    world["exploration"] = params.rules[0]["exploration"]
    world["forgetting"] = params.rules[0]["forgetting"]
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
    if row.desk.shape[0] > 0:
        open_desks(row)


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
    node["gate"] = OPEN
    node["probes"] = 0
    forget_news(row, n)
    join(params, row, n)
    begin_regimes(params, row, n)


@jit_row
def apply_change(params, row, change):
    """The timeline sets a node's speed, or lets it leave or join."""
    n, now = change["node"], row.world[0]["now_ns"]
    if change["what"] == SET_SPEED:
        set_base_speed(row, n, change["value"], now)
    elif change["what"] == SET_ALIVE:
        if change["value"] > 0.0 and row.node[n]["alive"] == 0:
            join(params, row, n)
        elif change["value"] == 0.0 and row.node[n]["alive"] == 1:
            leave(params, row, n)
        uphold_guards(params, row)
        row.world[0]["stir"] = 1
    keep_masked(params, row)


@jit_row
def finish(params, row):
    """The episode is over: what is left is charged as dropped, and the router hears of every delivery."""
    world, job = row.world[0], row.job
    if world["in_system"] > 0:
        advance_clock(row, world["stop_ns"])
    while world["report_head"] != NONE:
        report_first(params, row)
    for j in range(world["fresh"]):
        state = job[j]["state"]
        under_way = (state >= UPLINK and state <= DOWNLINK) or state in (AT_AGENT, AT_SITE)
        if under_way and job[j]["probe"] == 0:
            world["dropped"] += 1
            give_up(params, row, j, UNFINISHED)
    world["done"] = 1
