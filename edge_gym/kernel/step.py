"""The world in one page: apply the choice, advance event by event to the next decision, score what happened, describe."""

import math

from . import random
from ._jit import jit
from .nodes import (
    complete,
    end_load,
    hold_model,
    nominal_work_s,
    preload,
    receive,
    refresh_due,
    release_model,
    send,
    set_speed,
    settle,
    take_message,
    to_ns,
)
from .observe import load_left_s, network_s, observe
from .tables import (
    COMPLETED,
    DELIVERED,
    DOWNLINK,
    DROPPED,
    N_TERMS,
    NEVER,
    NO_SUBJECT,
    NONE,
    REJECTED,
    REQUEST,
    SECOND,
    SET_ALIVE,
    SET_SPEED,
    UNFINISHED,
    UPLINK,
    Row,
)
from .telemetry import (
    book_dispatch,
    fluid_now,
    learn,
    log_end,
    slowdown,
    strike_out,
    wait_and_service,
)
from .workload import begin_arrivals, draw_bias, draw_request, schedule_arrival


@jit
def row_of(state, b):
    """World number `b` of a batch."""
    return Row(
        state.world[b : b + 1],
        state.due[b],
        state.node[b],
        state.pair[b],
        state.job[b],
        state.slot[b],
        state.change[b],
        state.log[b],
    )


@jit
def step_rows(params, state, first, last, actions, skip, obs, mask, reward, terms, dt_s, done):
    """One decision in each of the worlds first..last-1.

    Args:
        params: The scenario's tables.
        state: The worlds; changed.
        first: First row to step.
        last: Row after the last.
        actions: (B,) int64, a node number, or N to decline. Must be legal: the caller has checked.
        skip: (B,) bool, rows to leave as they are.
        obs: Output (B, N + 1, F) float32.
        mask: Output (B, N + 1) bool.
        reward: Output (B,) float64.
        terms: Output (B, 8) float64, the unweighted reward terms.
        dt_s: Output (B,) float64, simulated time since the last decision.
        done: Output (B,) bool.
    """
    for b in range(first, last):
        if skip[b]:
            continue
        row = row_of(state, b)
        row.world[0]["log_count"] = 0
        apply_choice(params, row, actions[b])
        advance(params, row)
        reward[b], dt_s[b] = score(params, row, terms[b])
        observe(params, row, obs[b], mask[b])
        done[b] = row.world[0]["done"] == 1


@jit
def reset_rows(params, state, which, roots, episodes, obs, mask):
    """Begin an episode in each world whose `which` is true, and describe its first decision.

    Args:
        params: The scenario's tables.
        state: The worlds; changed.
        which: (B,) bool.
        roots: (B,) uint64, seeds given to `reset`.
        episodes: (B,) int64, number of the episode since that seed, from 0.
        obs: Output (B, N + 1, F) float32.
        mask: Output (B, N + 1) bool.
    """
    for b in range(which.shape[0]):
        if which[b]:
            row = row_of(state, b)
            begin(params, row, roots[b], episodes[b])
            advance(params, row)
            forget_accounts(row.world[0])
            observe(params, row, obs[b], mask[b])


@jit
def observe_rows(params, state, which, obs, mask):
    """Describe the pending decision of each world whose `which` is true, changing nothing."""
    for b in range(which.shape[0]):
        if which[b]:
            observe(params, row_of(state, b), obs[b], mask[b])


@jit
def begin(params, row, root, episode):
    """An empty world at time 0 with everything exogenous drawn from its seed."""
    world, job = row.world[0], row.job
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
    world["free"] = 0
    for j in range(job.shape[0]):
        job[j]["next"] = j + 1
        job[j]["state"] = 0
    job[job.shape[0] - 1]["next"] = NONE
    forget_accounts(world)
    for k in range(row.change.shape[0]):
        row.change[k] = params.change[k]
    for n in range(row.node.shape[0]):
        begin_node(params, row, n)
    begin_arrivals(params, row)


@jit
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


@jit
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


@jit
def apply_choice(params, row, choice):
    """Send the subject to node `choice`, or decline it."""
    world = row.world[0]
    if world["subject_kind"] == NO_SUBJECT:
        return
    j = world["subject"]
    world["subject_kind"] = NO_SUBJECT
    world["subject"] = NONE
    world["decisions"] += 1
    if choice == row.node.shape[0]:
        world["rejected"] += 1
        give_up(params, row, j, REJECTED)
    else:
        dispatch(params, row, choice, j)


@jit
def dispatch(params, row, n, j):
    """Request `j` leaves its site for node `n`."""
    node, job, now = row.node[n], row.job, row.world[0]["now_ns"]
    m = job[j]["model"]
    service, model, pair = params.service[n, m], params.model[m], row.pair[n, m]
    up, down = network_s(params, job[j]["site"], n, model, job[j]["prompt"], job[j]["units"])
    own = nominal_work_s(service, job[j]["prompt"], job[j]["forecast"])
    wait, served = wait_and_service(node["seen"], params.node[n]["slots"], service, own, fluid_now(node, now))
    job[j]["expected_total_s"] = (wait + served) * slowdown(node, pair) + up + down + load_left_s(params, row, n, m)
    job[j]["node"] = n
    job[j]["dispatch_ns"] = now
    book_dispatch(params, row, n, j, own, now)
    job[j]["start_ns"] = -1
    job[j]["first_ns"] = -1
    job[j]["share_s"] = 0.0
    job[j]["work_s"] = nominal_work_s(service, job[j]["prompt"], job[j]["units"])
    job[j]["down_ns"] = to_ns(down)
    node["outstanding"] += 1
    hold_model(params, row, n, m)
    send(row, n, j, now + to_ns(up), UPLINK)


@jit
def advance(params, row):
    """Take event after event until a decision is due or the episode is over."""
    world = row.world[0]
    while True:
        if world["pending_head"] != NONE:
            take_pending(row)
            return
        n, at = soonest(row.due)
        change = row.change[world["change_at"]]
        report_at, arrival_at = NEVER, world["next_arrival_ns"]
        if world["report_head"] != NONE:
            report_at = row.job[world["report_head"]]["due_ns"]
        idle = world["in_system"] == 0 and arrival_at == NEVER
        at = min(min(at, change["time_ns"]), min(report_at, arrival_at))
        if idle or at > world["stop_ns"]:
            finish(params, row)
            return
        advance_clock(row, at)
        if change["time_ns"] <= at:
            world["change_at"] += 1
            apply_change(params, row, change)
        elif row.due[n] <= at:
            node_event(params, row, n)
        elif report_at <= at:
            report_first(params, row)
        else:
            arrive(params, row)
            return


@jit
def soonest(due):
    """Node with the earliest event (the first of equals) and its time."""
    best, at = 0, due[0]
    for n in range(1, due.shape[0]):
        if due[n] < at:
            best, at = n, due[n]
    return best, at


@jit
def advance_clock(row, at):
    """Let time pass, booking what accrues with it."""
    world = row.world[0]
    elapsed_ns = at - world["now_ns"]
    if elapsed_ns <= 0:
        return
    elapsed = elapsed_ns / SECOND
    world["latency_ns"] += elapsed_ns * world["in_system"]
    world["energy_j"] += elapsed * world["power_w"]
    world["cost_usd"] += elapsed * world["price_per_s"]
    mean = world["busy_sum"] / row.node.shape[0]
    world["imbalance_s"] += elapsed * math.sqrt(max(world["busy_square"] / row.node.shape[0] - mean * mean, 0.0))
    world["now_ns"] = at


@jit
def node_event(params, row, n):
    """The next event of node `n`: a load ends, a request is served, or a message arrives."""
    now, node = row.world[0]["now_ns"], row.node[n]
    if node["load_ns"] <= now:
        end_load(params, row, n, now)
    elif node["finish_ns"] <= now:
        complete(params, row, n, now)
    else:
        j = take_message(row, n)
        refresh_due(row, n)
        if row.job[j]["state"] == UPLINK:
            receive(params, row, n, j, now)
        else:
            deliver(params, row, n, j)


@jit
def deliver(params, row, n, j):
    """The user has the response; the router knows at once, or when its telemetry comes."""
    world, job, now = row.world[0], row.job, row.world[0]["now_ns"]
    world["in_system"] -= 1
    world["completed"] += 1
    row.node[n]["outstanding"] -= 1
    job[j]["finish_ns"] = now
    job[j]["first_ns"] += params.link[job[j]["site"], n]["delay_ns"]
    world["latency_total_ns"] += now - job[j]["arrive_ns"]
    world["slo_misses"] += 1 if now > job[j]["deadline_ns"] else 0
    world["stutters"] += job[j]["stutter"]
    job[j]["state"] = DELIVERED
    age = params.rules[0]["telemetry_age_ns"]
    if age == 0:
        report(params, row, j)
        return
    job[j]["due_ns"] = now + age
    job[j]["next"] = NONE
    if world["report_tail"] == NONE:
        world["report_head"] = j
    else:
        job[world["report_tail"]]["next"] = j
    world["report_tail"] = j


@jit
def report_first(params, row):
    """The oldest delivery the router does not know of yet is reported."""
    world = row.world[0]
    j = world["report_head"]
    world["report_head"] = row.job[j]["next"]
    if world["report_head"] == NONE:
        world["report_tail"] = NONE
    report(params, row, j)


@jit
def report(params, row, j):
    """The router learns that request `j` was served; its row becomes free."""
    job, now = row.job[j], row.world[0]["now_ns"]
    strike_out(params, row, job["node"], j, now)
    learn(params, row, job["node"], j, now)
    late = 1 if job["finish_ns"] > job["deadline_ns"] else 0
    log_end(row, j, COMPLETED, job["finish_ns"] - job["arrive_ns"], late)
    free_job(row, j)


@jit
def free_job(row, j):
    row.job[j]["state"] = 0
    row.job[j]["next"] = row.world[0]["free"]
    row.world[0]["free"] = j


@jit
def arrive(params, row):
    """A request enters at a site and becomes the subject of a decision."""
    world = row.world[0]
    if world["free"] == NONE:
        # Only the reports under way can hold that many rows: let the router have the oldest early.
        report_first(params, row)
    j = world["free"]
    world["free"] = row.job[j]["next"]
    draw_request(params, row, j)
    world["arrived"] += 1
    world["in_system"] += 1
    world["subject_kind"] = REQUEST
    world["subject"] = j
    schedule_arrival(params, row)


@jit
def take_pending(row):
    """A request that came back becomes the subject of a decision."""
    world = row.world[0]
    j = world["pending_head"]
    world["pending_head"] = row.job[j]["next"]
    if world["pending_head"] == NONE:
        world["pending_tail"] = NONE
    world["subject_kind"] = REQUEST
    world["subject"] = j


@jit
def give_up(params, row, j, outcome):
    """Request `j` leaves unserved, and is charged as many deadlines as the scenario says."""
    world, job, now = row.world[0], row.job[j], row.world[0]["now_ns"]
    spent = now - job["arrive_ns"]
    charge = int(params.rules[0]["drop_charge"] * params.model[job["model"]]["deadline_ns"])
    latency = max(spent, charge)
    world["latency_ns"] += latency - spent
    world["latency_total_ns"] += latency
    world["in_system"] -= 1
    world["slo_misses"] += 1
    world["drops"] += 1
    job["finish_ns"] = now
    log_end(row, j, outcome, latency, 1)
    free_job(row, j)


@jit
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


@jit
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
        come_back(params, row, n, row.slot[n, k])
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


@jit
def come_back(params, row, n, j):
    """Request `j` comes back from node `n` to be decided on again, or is dropped when it has come back too often."""
    world, job = row.world[0], row.job
    row.node[n]["outstanding"] -= 1
    release_model(params, row, n, job[j]["model"])
    strike_out(params, row, n, j, world["now_ns"])
    job[j]["retries"] += 1
    if job[j]["retries"] > params.rules[0]["max_retries"]:
        world["dropped"] += 1
        give_up(params, row, j, DROPPED)
        return
    job[j]["state"] = 0
    job[j]["next"] = NONE
    if world["pending_tail"] == NONE:
        world["pending_head"] = j
    else:
        job[world["pending_tail"]]["next"] = j
    world["pending_tail"] = j


@jit
def finish(params, row):
    """The episode is over: what is left is charged as dropped, and the router hears of every delivery."""
    world, job = row.world[0], row.job
    if world["in_system"] > 0:
        advance_clock(row, world["stop_ns"])
    while world["report_head"] != NONE:
        report_first(params, row)
    for j in range(job.shape[0]):
        if job[j]["state"] >= UPLINK and job[j]["state"] <= DOWNLINK:
            world["dropped"] += 1
            give_up(params, row, j, UNFINISHED)
    world["done"] = 1


@jit
def forget_accounts(world):
    """Open new accounts for the time until the next decision."""
    world["decided_ns"] = world["now_ns"]
    world["latency_ns"] = 0
    world["energy_j"] = 0.0
    world["cost_usd"] = 0.0
    world["imbalance_s"] = 0.0
    world["slo_misses"] = 0
    world["drops"] = 0
    world["stutters"] = 0


@jit
def score(params, row, terms):
    """Reward since the last decision: the weighted sum of the terms, each a cost with a minus sign."""
    world = row.world[0]
    dt_s = (world["now_ns"] - world["decided_ns"]) / SECOND
    terms[0] = -world["latency_ns"] / SECOND
    terms[1] = -float(world["slo_misses"])
    terms[2] = -float(world["drops"])
    terms[3] = -float(world["stutters"])
    terms[4] = 0.0
    terms[5] = -world["energy_j"]
    terms[6] = -world["cost_usd"]
    terms[7] = -world["imbalance_s"]
    reward = 0.0
    for k in range(N_TERMS):
        reward += params.weights[k] * terms[k]
    forget_accounts(world)
    return reward, dt_s
