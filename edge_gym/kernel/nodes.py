"""How a node works: messages in the air, model loads, the queue, and the shared processor.

Every function takes one world (`Row`) and a node number and keeps `due[n]`, the node's next event, up to date.
"""

import math

from ._jit import jit_row
from .tables import (
    ABSENT,
    DOWNLINK,
    LOADING,
    NEVER,
    NONE,
    QUEUED,
    RESIDENT,
    RUNNING,
    SECOND,
    STEPS,
    STUTTER_FOREGROUND,
    STUTTER_GAP,
    TOKENS,
)


@jit_row
def to_ns(seconds):
    """Round a duration once, to whole nanoseconds."""
    return int(seconds * SECOND + 0.5)


@jit_row
def nominal_work_s(service, prompt, units):
    """Work of a request in seconds on an idle node at nominal speed, bias excluded (docs/design.md, section 3)."""
    beyond = max(prompt - 2048, 0)
    prefill = service["first_s"] + service["per_prompt_token_s"] * prompt + service["beyond_2048_s"] * beyond
    return prefill + service["per_unit_s"] * units


@jit_row
def refresh_due(row, n):
    """Next event of the node: a change of regime, a load that ends, a completion, or a message."""
    node = row.node[n]
    due = min(node["regime_ns"], min(node["load_ns"], node["finish_ns"]))
    if node["air_head"] != NONE:
        due = min(due, row.job[node["air_head"]]["due_ns"])
    row.due[n] = due


@jit_row
def send(row, n, j, due_ns, state):
    """Put a message in the air of node `n`, behind those due at the same time."""
    node, job = row.node[n], row.job
    job[j]["due_ns"] = due_ns
    job[j]["state"] = state
    job[j]["next"] = NONE
    if node["air_head"] == NONE:
        node["air_head"] = j
        node["air_tail"] = j
    elif due_ns >= job[node["air_tail"]]["due_ns"]:
        job[node["air_tail"]]["next"] = j
        node["air_tail"] = j
    elif due_ns < job[node["air_head"]]["due_ns"]:
        job[j]["next"] = node["air_head"]
        node["air_head"] = j
    else:
        at = node["air_head"]
        while job[job[at]["next"]]["due_ns"] <= due_ns:
            at = job[at]["next"]
        job[j]["next"] = job[at]["next"]
        job[at]["next"] = j
    if due_ns < row.due[n]:
        row.due[n] = due_ns


@jit_row
def take_message(row, n):
    """Take the first message out of the air; the caller refreshes `due`."""
    node = row.node[n]
    j = node["air_head"]
    node["air_head"] = row.job[j]["next"]
    if node["air_head"] == NONE:
        node["air_tail"] = NONE
    return j


@jit_row
def work_on(params, row, n, now):
    """The next event of the node's own work: a load ends, a request is served, or a message arrives.

    Returns:
        The request whose response arrives at its user now, else NONE.
    """
    node = row.node[n]
    if node["load_ns"] <= now:
        end_load(params, row, n, now)
    elif node["finish_ns"] <= now:
        complete(params, row, n, now)
    else:
        j = take_message(row, n)
        refresh_due(row, n)
        if row.job[j]["state"] == DOWNLINK:
            return j
        receive(params, row, n, j, now)
    return NONE


@jit_row
def receive(params, row, n, j, now):
    """A request reaches its node: its model is made resident, and it starts or queues."""
    node, job = row.node[n], row.job
    job[j]["state"] = QUEUED
    job[j]["next"] = NONE
    if node["queue_tail"] == NONE:
        node["queue_head"] = j
    else:
        job[node["queue_tail"]]["next"] = j
    node["queue_tail"] = j
    node["queued"] += 1
    if row.pair[n, job[j]["model"]]["residency"] == ABSENT:
        begin_load(params, row, n, job[j]["model"], now)
    if start_ready(params, row, n, now):
        rerate(row, n, now)
    refresh_due(row, n)


@jit_row
def begin_load(params, row, n, m, now):
    """Make room for model `m`; then read it from storage."""
    node, pair = row.node[n], row.pair[n]
    weights = params.model[m]["weights_bytes"]
    make_room(params, row, n, weights)
    node["memory_used_bytes"] += weights
    node["disk_free_ns"] = max(node["disk_free_ns"], now) + params.service[n, m]["load_ns"]
    pair[m]["residency"] = LOADING
    pair[m]["ready_ns"] = node["disk_free_ns"]
    node["load_ns"] = min(node["load_ns"], pair[m]["ready_ns"])


@jit_row
def make_room(params, row, n, n_bytes):
    """Evict idle models, least recently used first, until so many bytes are free.

    Also one that is still being read, for an agent that has left: storage then reads on, for nobody.
    """
    node, pair = row.node[n], row.pair[n]
    while node["memory_used_bytes"] + n_bytes > params.node[n]["memory_bytes"]:
        victim = NONE
        for k in range(pair.shape[0]):
            idle = pair[k]["residency"] != ABSENT and pair[k]["outstanding"] == 0
            if idle and (victim == NONE or pair[k]["used_ns"] < pair[victim]["used_ns"]):
                victim = k
        if victim == NONE:
            break  # cannot happen while the mask is respected
        pair[victim]["residency"] = ABSENT
        node["memory_used_bytes"] -= params.model[victim]["weights_bytes"]


@jit_row
def end_load(params, row, n, now):
    """Models whose load ends now become resident; requests that waited for them start."""
    node, pair = row.node[n], row.pair[n]
    node["load_ns"] = NEVER
    for m in range(pair.shape[0]):
        if pair[m]["residency"] == LOADING:
            if pair[m]["ready_ns"] <= now:
                pair[m]["residency"] = RESIDENT
                pair[m]["used_ns"] = now
            else:
                node["load_ns"] = min(node["load_ns"], pair[m]["ready_ns"])
    if start_ready(params, row, n, now):
        rerate(row, n, now)
    refresh_due(row, n)


@jit_row
def take_ready(row, n):
    """Take the first queued request whose model is resident out of the queue, or NONE."""
    node, job = row.node[n], row.job
    before, j = NONE, node["queue_head"]
    while j != NONE and row.pair[n, job[j]["model"]]["residency"] != RESIDENT:
        before, j = j, job[j]["next"]
    if j != NONE:
        after = job[j]["next"]
        if before == NONE:
            node["queue_head"] = after
        else:
            job[before]["next"] = after
        if after == NONE:
            node["queue_tail"] = before
        node["queued"] -= 1
    return j


@jit_row
def start_ready(params, row, n, now):
    """Start queued requests while slots are free; True if any started (then the caller must `rerate`)."""
    node, job = row.node[n], row.job
    started = False
    while node["queued"] > 0 and node["running"] < params.node[n]["slots"]:
        j = take_ready(row, n)
        if j == NONE:
            break
        if not started:
            settle(row, n, now)
            started = True
        m = job[j]["model"]
        service, bias, kind = params.service[n, m], row.pair[n, m]["bias"], params.model[m]["kind"]
        gap = service["per_unit_s"]
        bound = max(params.rules[0]["stutter_gap_ratio"] * gap, params.rules[0]["stutter_gap_s"])
        slot = row.slot[n, node["running"]]
        slot["job"] = j
        slot["stutter"] = job[j]["stutter"] | (STUTTER_FOREGROUND if node["foreground"] == 1 else 0)
        slot["left_s"] = job[j]["work_s"] * bias
        slot["after_first_s"] = gap * job[j]["units"] * bias if kind == TOKENS else 0.0
        slot["share_s"] = 0.0
        slot["crowding"] = service["crowding"]
        slot["unit_ratio"] = bias if kind in (TOKENS, STEPS) else 0.0
        slot["unit_s"] = gap * bias
        slot["stutter_below"] = gap * bias / bound if kind in (TOKENS, STEPS) else 0.0
        job[j]["state"] = RUNNING
        job[j]["start_ns"] = now
        row.pair[n, m]["used_ns"] = now
        count_running(params, row, n, 1)
    return started


@jit_row
def count_running(params, row, n, step):
    """One more (+1) or one less (-1) request runs: book power, price and the spread of busy slots."""
    node, world, kind = row.node[n], row.world[0], params.node[n]
    before = node["running"] / kind["slots"]
    node["running"] += step
    after = node["running"] / kind["slots"]
    world["busy_sum"] += after - before
    world["busy_square"] += after * after - before * before
    keep_spread(row)
    if (step == 1 and node["running"] == 1) or (step == -1 and node["running"] == 0):
        world["power_w"] += step * kind["active_w"]
        world["price_per_s"] += step * kind["price_per_s"]


@jit_row
def keep_spread(row):
    """Standard deviation over the nodes of the share of busy slots."""
    world, n_nodes = row.world[0], row.node.shape[0]
    mean = world["busy_sum"] / n_nodes
    world["spread"] = math.sqrt(max(world["busy_square"] / n_nodes - mean * mean, 0.0))


@jit_row
def settle(row, n, now):
    """Book the progress of the running requests up to now."""
    node, slots = row.node[n], row.slot[n]
    elapsed_ns = now - node["settled_ns"]
    if elapsed_ns > 0:
        elapsed = elapsed_ns / SECOND
        for k in range(node["running"]):
            slot = slots[k]
            rate = slot["share"] * node["speed"]
            done = elapsed * rate
            if slot["after_first_s"] > 0.0 and slot["left_s"] - done <= slot["after_first_s"]:
                first = node["settled_ns"] + to_ns((slot["left_s"] - slot["after_first_s"]) / rate)
                row.job[slot["job"]]["first_ns"] = first
                slot["after_first_s"] = 0.0
            slot["left_s"] -= done
            slot["share_s"] += elapsed * slot["share"]
    node["settled_ns"] = now


@jit_row
def rerate(row, n, now):
    """Share the processor anew and find the next completion. Progress must be settled up to now."""
    node, slots = row.node[n], row.slot[n]
    crowd = 0.0
    for k in range(node["running"]):
        crowd += slots[k]["crowding"]
    soonest, first, streaming, begins = 1e18, NONE, NONE, 1e18
    for k in range(node["running"]):
        slot = slots[k]
        slot["share"] = 1.0 / (1.0 + (crowd - slot["crowding"])) if node["running"] > 1 else 1.0
        rate = slot["share"] * node["speed"]
        if slot["unit_ratio"] > 0.0:
            first_unit = (slot["left_s"] - slot["after_first_s"]) / rate if slot["after_first_s"] > 0.0 else 0.0
            if first_unit <= begins:
                streaming, begins = k, first_unit
        if rate < slot["stutter_below"]:
            slot["stutter"] |= STUTTER_GAP
        seconds = slot["left_s"] / rate
        if seconds < soonest:
            soonest, first = seconds, k
    if streaming == NONE:
        node["stream_model"] = NONE
    else:
        m = row.job[slots[streaming]["job"]]["model"]
        node["stream_gap_s"] = slots[streaming]["unit_s"] / slots[streaming]["share"]
        if m != node["stream_model"] or begins > 0.0:
            node["stream_model"] = m
            node["stream_ratio"] = slots[streaming]["unit_ratio"]
            node["stream_before"] = 0.0
            node["stream_ns"] = now + to_ns(begins)  # its first unit: nothing more happens at the node then
    node["finish_slot"] = first
    node["finish_ns"] = NEVER
    if first != NONE:
        node["finish_ns"] = now + to_ns(max(soonest, 0.0))


@jit_row
def complete(params, row, n, now):
    """The next completion of the node is due: free the slot, start who waits, send the response."""
    node, slots = row.node[n], row.slot[n]
    settle(row, n, now)
    slot = slots[node["finish_slot"]]
    j = slot["job"]
    job = row.job[j]
    job["share_s"] = slot["share_s"]
    job["stutter"] = slot["stutter"]
    if job["first_ns"] < 0:
        job["first_ns"] = now
    slots[node["finish_slot"]] = slots[node["running"] - 1]
    count_running(params, row, n, -1)
    release_model(params, row, n, job["model"])
    row.pair[n, job["model"]]["used_ns"] = now
    start_ready(params, row, n, now)
    rerate(row, n, now)
    refresh_due(row, n)
    send(row, n, j, now + job["down_ns"], DOWNLINK)


@jit_row
def hold_model(params, row, n, m):
    """A request for model `m` is on its way to the node: the model must not be evicted."""
    if row.pair[n, m]["outstanding"] == 0:
        row.node[n]["memory_busy_bytes"] += params.model[m]["weights_bytes"]
    row.pair[n, m]["outstanding"] += 1


@jit_row
def release_model(params, row, n, m):
    """One request less needs model `m` on the node."""
    row.pair[n, m]["outstanding"] -= 1
    if row.pair[n, m]["outstanding"] == 0:
        row.node[n]["memory_busy_bytes"] -= params.model[m]["weights_bytes"]


@jit_row
def set_speed(row, n, speed, now):
    """The node runs `speed` times as fast as nominal from now on."""
    settle(row, n, now)
    row.node[n]["stream_before"] = streamed(row.node[n], now)
    row.node[n]["stream_ns"] = now
    row.node[n]["speed"] = speed
    rerate(row, n, now)
    refresh_due(row, n)


@jit_row
def streamed(node, now):
    """What running responses show of the node's present speed: gap between units over the prior one, 0 if nothing.

    A change of speed shows one gap later; until then a unit that does not come shows that the node has slowed.
    """
    if node["stream_model"] == NONE:
        return 0.0
    elapsed = (now - node["stream_ns"]) / SECOND
    if elapsed * node["speed"] >= node["stream_gap_s"]:
        return node["stream_ratio"] / node["speed"]
    if node["stream_before"] == 0.0:
        return 0.0
    return max(node["stream_before"], elapsed / node["stream_gap_s"] * node["stream_ratio"])


@jit_row
def preload(params, row, n):
    """Make the models resident that the scenario says a node has when it joins."""
    node, pair = row.node[n], row.pair[n]
    node["memory_used_bytes"] = 0
    node["memory_busy_bytes"] = 0
    node["load_ns"] = NEVER
    node["disk_free_ns"] = 0
    for m in range(pair.shape[0]):
        pair[m]["outstanding"] = 0
        pair[m]["residency"] = ABSENT
        if params.service[n, m]["preload"] == 1:
            pair[m]["residency"] = RESIDENT
            node["memory_used_bytes"] += params.model[m]["weights_bytes"]
