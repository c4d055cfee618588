"""The future, for a clairvoyant policy: what each choice leads to when a plain rule decides from then on.

Everything exogenous is keyed by the seed, so a copy of a world meets the very requests, drifts and failures to come.
"""

from typing import NamedTuple

import numpy as np

from ._jit import jit, jit_row
from .nodes import nominal_work_s
from .observe import is_legal, load_left_s, network_s
from .requests import apply_choice
from .step import advance, row_of
from .tables import NEVER, NO_SUBJECT, NONE, QUEUED, SECOND, State

PLANNED = np.dtype([("id", "i8"), ("choice", "i4"), ("retries", "i4")])  # what to do with a request


class Search(NamedTuple):
    """How much is tried."""

    n_tried: int  # nodes beside the planned one and declining: those the rule likes best
    n_ahead: int  # further requests that arrive in a trial before the world empties
    n_sweeps: int  # how often the plan is gone through when an episode begins
    n_swaps: int  # later requests with which a choice is exchanged
    weight: float  # of the delay inflicted on others, in the rule


class Scratch(NamedTuple):
    """Memory to work in."""

    best: np.ndarray  # (P,) PLANNED
    last: np.ndarray  # (P,) PLANNED
    walker: State  # one world of the same scenario
    trial: State  # another
    cost: np.ndarray  # (2, N) float64


@jit
def look_ahead_rows(params, state, active, begun, search, choice, plan, scratch):
    """For every active world: the choice that leads to the least summed latency.

    Args:
        params: The scenario's tables.
        state: The worlds; not changed.
        active: (B,) bool, worlds with a pending decision.
        begun: (B,) bool, worlds whose episode has just begun: their plans are forgotten, then swept.
        search: How much is tried.
        choice: Output (B,) int64.
        plan: (B, P) PLANNED, kept between calls.
        scratch: Memory to work in.
    """
    ahead, trial = row_of(scratch.walker, 0), row_of(scratch.trial, 0)
    for b in range(state.world.shape[0]):
        row, world = row_of(state, b), state.world[b]
        if not active[b] or world["subject_kind"] == NO_SUBJECT:
            continue
        copy_change(row, ahead)
        copy_change(row, trial)
        until = world["arrived"] + search.n_ahead
        if begun[b]:
            forget_plan(plan[b])
            for _ in range(search.n_sweeps):
                copy_row(row, ahead)
                while ahead.world[0]["done"] == 0:
                    found = improve(params, ahead, trial, until, search, plan[b], scratch)
                    go_on(params, ahead, found, until)
        choice[b] = improve(params, row, trial, until, search, plan[b], scratch)


@jit_row
def improve(params, row, trial, until, search, plan, scratch):
    """Try the planned choice, declining, and the nodes the rule likes best; the sequel of the best becomes the plan.

    Each is followed by the plan, and by plans in which a later request that was to have this choice has the one that
    was planned for the subject.

    Returns:
        The best choice, the first of equals.
    """
    n_nodes, cost = row.node.shape[0], scratch.cost[0]
    price_nodes(params, row, search.weight, cost)
    found, least = NONE, NEVER
    before = planned(row, plan, cost)
    for k in range(min(search.n_tried, n_nodes) + 2):
        choice = before
        if k == 1:
            choice = n_nodes
        elif k > 1:
            choice = cheapest_node(cost)
            if choice == n_nodes:
                break  # no other node is legal
        if choice < n_nodes:
            cost[choice] = float("inf")
        for number in range(1 + (search.n_swaps if k > 1 else 0)):
            copy_plan(plan, scratch.last)
            if number > 0 and not swap(row, scratch.last, choice, before, number):
                break
            copy_row(row, trial)
            total = play(params, trial, choice, until, search.weight, scratch)
            if total < least:
                found, least = choice, total
                copy_plan(scratch.last, scratch.best)
    copy_plan(scratch.best, plan)
    return found


@jit_row
def swap(row, plan, choice, before, number):
    """In `plan`, give `before` to the `number`-th later request that was to have `choice`; False if there is none."""
    first = row.job[row.world[0]["subject"]]["id"] + 1
    for i in range(first, first + plan.shape[0] - 1):
        entry = plan[i % plan.shape[0]]
        if entry["id"] == i and entry["choice"] == choice:
            number -= 1
            if number == 0:
                entry["choice"] = before
                return True
    return False


@jit_row
def planned(row, plan, cost):
    """The choice that the plan has for the subject, or else the rule."""
    job = row.job[row.world[0]["subject"]]
    entry = plan[job["id"] % plan.shape[0]]
    known = entry["id"] == job["id"] and entry["retries"] == job["retries"]
    if known and (entry["choice"] == cost.shape[0] or cost[entry["choice"]] < float("inf")):
        return entry["choice"]
    return cheapest_node(cost)


@jit_row
def play(params, row, choice, until, weight, scratch):
    """Take `choice`, then what the plan in `scratch.last` says, until so many requests have arrived and all have left.

    Returns:
        Summed latency of all requests that have ended, nanoseconds; `scratch.last` becomes what was chosen.
    """
    world, plan = row.world[0], scratch.last
    while True:
        job = row.job[world["subject"]]
        entry = plan[job["id"] % plan.shape[0]]
        entry["id"] = job["id"]
        entry["retries"] = job["retries"]
        entry["choice"] = choice
        go_on(params, row, choice, until)
        if world["done"] == 1:
            return world["latency_total_ns"]
        price_nodes(params, row, weight, scratch.cost[1])
        choice = planned(row, plan, scratch.cost[1])


@jit_row
def go_on(params, row, choice, until):
    """Take `choice` and go to the next decision; nothing arrives any more once `until` requests have."""
    world = row.world[0]
    if world["arrived"] >= until and world["next_arrival_ns"] != NEVER:
        world["next_arrival_ns"] = NEVER
        world["stop_ns"] = world["now_ns"] + params.rules[0]["drain_ns"]
    world["log_count"] = 0
    apply_choice(params, row, choice)
    advance(params, row)


@jit_row
def forget_plan(plan):
    """Plan nothing."""
    for i in range(plan.shape[0]):
        plan[i]["id"] = NONE


@jit_row
def copy_plan(plan, copy):
    """Copy a plan."""
    for i in range(plan.shape[0]):
        copy[i] = plan[i]


@jit_row
def cheapest_node(cost):
    """The node of least finite cost, the first of equals; declining when there is none."""
    best, least = cost.shape[0], float("inf")
    for n in range(cost.shape[0]):
        if cost[n] < least:
            best, least = n, cost[n]
    return best


@jit_row
def price_nodes(params, row, weight, cost):
    """The rule: what the subject would cost on each node, seconds; inf where it may not go."""
    job = row.job[row.world[0]["subject"]]
    m, site = job["model"], job["site"]
    for n in range(row.node.shape[0]):
        cost[n] = float("inf")
        if is_legal(params, row, n, m, site):
            up, down = network_s(params, site, n, params.model[m], job["prompt"], job["units"])
            work = nominal_work_s(params.service[n, m], job["prompt"], job["units"]) * row.pair[n, m]["bias"]
            served = price_service(params, row, n, m, work, weight)
            cost[n] = up + down + load_left_s(params, row, n, m) + served


@jit_row
def price_service(params, row, n, m, work, weight):
    """Wait, service and weighted delay of others on node `n`, were nothing else to come.

    Two requests that run beside each other do so for as long as the shorter one needs, and each slows the other by its
    crowding: exact for a shared processor whose requests crowd alike. With no slot free the wait is the work ahead
    at the rate of a full node.
    """
    node, slots = row.node[n], params.node[n]["slots"]
    speed, crowding = node["speed"], params.service[n, m]["crowding"]
    elapsed = (row.world[0]["now_ns"] - node["settled_ns"]) / SECOND * speed
    delayed, delaying, ahead, crowd = 0.0, 0.0, 0.0, 0.0
    count = 0
    for k in range(node["running"]):
        slot = row.slot[n, k]
        left = max(slot["left_s"] - elapsed * slot["share"], 0.0)
        both = min(left, work)
        delayed += slot["crowding"] * both
        delaying += crowding * both
        ahead += left
        crowd += slot["crowding"]
        count += 1
    for head in (node["queue_head"], node["air_head"]):
        j = head
        while j != NONE:
            other = row.job[j]
            if other["state"] <= QUEUED:  # a response on its way needs nothing
                k = other["model"]
                left = other["work_s"] * row.pair[n, k]["bias"]
                both = min(left, work)
                delayed += params.service[n, k]["crowding"] * both
                delaying += crowding * both
                ahead += left
                crowd += params.service[n, k]["crowding"]
                count += 1
            j = other["next"]
    if count < slots:
        return (work + delayed + weight * delaying) / speed
    # Of those ahead, as many as run beside it slow it and are slowed.
    beside = (slots - 1) / count
    full = 1.0 + (slots - 1) * crowd / count
    wait = ahead * full / slots * (count - slots + 1) / count
    return (wait + work + beside * (delayed + weight * delaying)) / speed


@jit_row
def copy_change(row, trial):
    """The timeline is the same for every trial of a world."""
    for k in range(row.change.shape[0]):
        trial.change[k] = row.change[k]


@jit_row
def copy_row(row, trial):
    """Copy everything of a world of requests that is in use, but for its timeline and its log."""
    trial.world[0] = row.world[0]
    for n in range(row.node.shape[0]):
        trial.due[n] = row.due[n]
        trial.node[n] = row.node[n]
        trial.regime[n] = row.regime[n]
        for m in range(row.pair.shape[1]):
            trial.pair[n, m] = row.pair[n, m]
        for k in range(row.node[n]["running"]):
            trial.slot[n, k] = row.slot[n, k]
    for j in range(row.world[0]["fresh"]):
        trial.job[j] = row.job[j]
