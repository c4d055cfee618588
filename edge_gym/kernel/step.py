"""The world in one page: apply the choice, advance event by event to the next decision, score, describe."""

from ._jit import jit, jit_row
from .accounts import advance_clock, forget_accounts, score
from .episode import apply_change, begin, finish
from .nodes import complete, end_load, receive, refresh_due, take_message
from .observe import observe
from .requests import apply_choice, arrive, deliver, report_first, take_pending
from .tables import NEVER, NONE, UPLINK, Row

# What `run_rows` does to a row.
SKIP, LOOK, BEGIN, STEP = 0, 1, 2, 3


@jit
def run_rows(params, state, first, last, todo, actions, roots, episodes, obs, mask, reward, terms, dt_s, done, times):
    """One decision, one new episode or one look in each of the worlds first..last-1: the only way into the world.

    Args:
        params: The scenario's tables.
        state: The worlds; changed.
        first: First row.
        last: Row after the last.
        todo: (B,) int8: SKIP leaves a row and its outputs alone; LOOK describes the pending decision again; BEGIN
            starts an episode; STEP takes the action and runs to the next decision.
        actions: (B,) int64, a node number, or N to decline. Must be legal: the caller has checked.
        roots: (B,) uint64, for BEGIN: the seed given to `reset`.
        episodes: (B,) int64, for BEGIN: number of the episode since that seed, from 0.
        obs: Output (B, N + 1, F) float32.
        mask: Output (B, N + 1) bool.
        reward: Output (B,) float64, of STEP.
        terms: Output (B, 8) float64, of STEP: the unweighted reward terms.
        dt_s: Output (B,) float64, of STEP: simulated time since the last decision.
        done: Output (B,) bool, of STEP.
        times: Scratch ((N + 1) * N_TIMES,) float32.
    """
    for b in range(first, last):
        if todo[b] == SKIP:
            continue
        row = row_of(state, b)
        if todo[b] == BEGIN:
            begin(params, row, roots[b], episodes[b])
        elif todo[b] == STEP:
            row.world[0]["log_count"] = 0
            apply_choice(params, row, actions[b])
        if todo[b] != LOOK:
            advance(params, row)
        if todo[b] == STEP:
            reward[b], dt_s[b] = score(params, row, terms[b])
            done[b] = row.world[0]["done"] == 1
        elif todo[b] == BEGIN:
            forget_accounts(row.world[0])
        observe(params, row, obs[b], mask[b], times)


@jit_row
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


@jit_row
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


@jit_row
def soonest(due):
    """Node with the earliest event (the first of equals) and its time."""
    best, at = 0, due[0]
    for n in range(1, due.shape[0]):
        if due[n] < at:
            best, at = n, due[n]
    return best, at


@jit_row
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
