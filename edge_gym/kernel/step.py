"""The world in one page: apply the choice, advance event by event to the next decision, score, describe."""

from ._jit import jit, jit_row
from .accounts import advance_clock, forget_accounts, score
from .episode import apply_change, begin, finish
from .nodes import work_on
from .observe import observe
from .regimes import regime_event
from .requests import apply_choice, arrive, deliver, report_first, take_pending
from .tables import NEVER, NONE, SECOND, Row

# What `run_rows` does to a row.
SKIP, LOOK, BEGIN, STEP = 0, 1, 2, 3
# What an event calls for.
NOTHING, SUBJECT, OVER, WAKE = 0, 1, 2, 3


@jit
def run_rows(params, state, order, first, last, obs, mask, out, times):
    """One decision, one new episode or one look in each of the worlds first..last-1: the only way into the world.

    Args:
        params: The scenario's tables.
        state: The worlds; changed.
        order: (B,) ORDER. SKIP leaves a row and its outputs alone; LOOK describes the pending decision again; BEGIN
            starts an episode; STEP takes the action and runs to the next decision.
        first: First row.
        last: Row after the last.
        obs: Output (B, N + 1, F) float32.
        mask: Output (B, N + 1) bool.
        out: Output (B,) OUTCOME; a LOOK leaves it alone.
        times: Scratch ((N + 1) * N_TIMES,) float32.
    """
    for b in range(first, last):
        todo = order[b]["todo"]
        if todo == SKIP:
            continue
        row = row_of(state, b)
        if todo == BEGIN:
            begin(params, row, order[b]["root_seed"], order[b]["episode"])
        elif todo == STEP:
            row.world[0]["log_count"] = 0
            row.world[0]["news_count"] = 0
            apply_choice(params, row, order[b]["action"])
        if todo != LOOK:
            advance(params, row)
            if todo == BEGIN:
                forget_accounts(row.world[0])  # nobody had a choice before the first decision
            score(params, row, out[b])
            out[b]["time_s"] = row.world[0]["now_ns"] / SECOND
            out[b]["seed"] = row.world[0]["seed"]
            out[b]["done"] = row.world[0]["done"]
        observe(params, row, obs[b], mask[b], times)


@jit_row
def row_of(state, b):
    """World number `b` of a batch."""
    return Row(
        state.world[b : b + 1],
        state.due[b],
        state.node[b],
        state.regime[b],
        state.pair[b],
        state.job[b],
        state.slot[b],
        state.change[b],
        state.log[b],
        state.news[b],
        state.agency[b],
        state.app[b],
        state.app_due[b],
        state.agent[b],
        state.lodging[b],
        state.desk[b],
        state.panel[b],
        state.known[b],
        state.known_pair[b],
        state.sheet[b],
        state.known_lodging[b],
    )


@jit_row
def advance(params, row):
    """Take event after event until a decision is due or the episode is over."""
    while next_event(params, row) == NOTHING:
        pass


@jit_row
def next_event(params, row):
    """Take one event.

    Returns:
        SUBJECT if a request waits to be routed now, OVER if the episode is over, WAKE if the controller of the fast
        path wanted to be asked now, else NOTHING.
    """
    world = row.world[0]
    if world["pending_head"] != NONE:
        take_pending(row)
        return SUBJECT
    n, at = soonest(row.due)
    change = row.change[world["change_at"]]
    report_at, arrival_at, wake_at = NEVER, world["next_arrival_ns"], world["wake_ns"]
    if world["report_head"] != NONE:
        report_at = row.job[world["report_head"]]["due_ns"]
    idle = world["in_system"] == 0 and arrival_at == NEVER and world["sources"] == 0
    at = min(min(at, wake_at), min(min(change["time_ns"], report_at), arrival_at))
    if idle or at > world["stop_ns"]:
        finish(params, row)
        return OVER
    advance_clock(row, at)
    if change["time_ns"] <= at:
        world["change_at"] += 1
        apply_change(params, row, change)
    elif row.due[n] <= at:
        node_event(params, row, n)
    elif report_at <= at:
        report_first(params, row)
    elif wake_at <= at:
        world["wake_ns"] = NEVER
        return WAKE
    else:
        arrive(params, row)
        return SUBJECT
    return NOTHING


@jit_row
def soonest(due):
    """Node with the earliest event (the first of equals) and its time."""
    at = due[0]
    for n in range(1, due.shape[0]):  # a minimum without its place runs as vector instructions
        at = min(at, due[n])
    n = 0
    while due[n] != at:
        n += 1
    return n, at


@jit_row
def node_event(params, row, n):
    """The next event of node `n`: its regime changes, or it works on."""
    now = row.world[0]["now_ns"]
    if row.node[n]["regime_ns"] <= now:
        regime_event(params, row, n, now)
        return
    j = work_on(params, row, n, now)
    if j != NONE:
        deliver(params, row, n, j)
