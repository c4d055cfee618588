"""Worlds in which every site decides for its own requests, all at the same time (docs/multiagent.md)."""

from ._jit import jit, jit_call, jit_row
from .accounts import forget_accounts, pay_nothing, score
from .episode import begin
from .nodes import to_ns
from .observe import is_legal, network_s, observe
from .requests import apply_choice, arrive, give_up, note_dispatch
from .site_books import ask_nodes, at_site, count_arrival, share_out, tell_load
from .step import BEGIN, LOOK, OVER, SKIP, STEP, SUBJECT, WAKE, next_event, row_of
from .tables import AT_SITE, DROPPED, NEVER, NO_SUBJECT, NONE, REQUEST, SECOND
from .telemetry import strike_out


@jit
def run_sites(params, state, order, actions, rules, first, last, obs, mask, out, times):
    """One step, one new episode or one look in each of the worlds first..last-1.

    Args:
        params: The scenario's tables.
        state: The worlds; changed.
        order: (B,) ORDER, as for `run_rows`; its actions are not read.
        actions: (B * S,) int64, the choice of every site; read where the site has a subject.
        rules: (1,) SITE_RULES.
        first: First row.
        last: Row after the last.
        obs: Output (B * S, N + 1, F) float32.
        mask: Output (B * S, N + 1) bool.
        out: Output (B * S,) OUTCOME; a LOOK leaves it alone.
        times: Scratch ((N + 1) * N_TIMES,) float32.
    """
    n_sites = state.desk.shape[1]
    for b in range(first, last):
        todo = order[b]["todo"]
        if todo == SKIP:
            continue
        row, at = row_of(state, b), b * n_sites
        if todo == BEGIN:
            clear_panel(row, rules[0])
            begin(params, row, order[b]["root_seed"], order[b]["episode"])
        elif todo == STEP:
            row.world[0]["log_count"] = 0
            row.world[0]["news_count"] = 0
            carry_out(params, row, actions[at : at + n_sites], rules[0]["central"])
        if todo != LOOK:
            go_on(params, row, rules[0])
            if todo == BEGIN:
                open_accounts(row, out[at : at + n_sites])
            else:
                score(params, row, out[at])
                share_out(params, row, out[at], out[at : at + n_sites], rules[0]["shared"])
            date(row, out[at : at + n_sites])
        look_around(params, row, rules[0]["central"], obs[at : at + n_sites], mask[at : at + n_sites], times)


@jit
def share_out_rows(params, state, order, total, out, shared):
    """Pay the sites of worlds that were run by another entry, for the same step.

    Args:
        params: The scenario's tables.
        state: The worlds; the accounts of their sites are closed.
        order: (B,) ORDER, what was done.
        total: (B,) OUTCOME, what came of it.
        out: Output (B * S,) OUTCOME; as `total` where an episode began.
        shared: 1: everybody is paid for the whole world.
    """
    n_sites = state.desk.shape[1]
    for b in range(order.shape[0]):
        mine = out[b * n_sites : (b + 1) * n_sites]
        if order[b]["todo"] == BEGIN:
            for s in range(n_sites):
                mine[s] = total[b]
        elif order[b]["todo"] == STEP:
            share_out(params, row_of(state, b), total[b], mine, shared)


@jit
def look_at_all(params, state, b, obs, mask, times):
    """What the central books of world `b` say of the nodes, without a subject: for critics.

    Args:
        params: The scenario's tables.
        state: The worlds; not changed.
        b: Which.
        obs: Output (N + 1, F) float32.
        mask: Output (N + 1,) bool.
        times: Scratch ((N + 1) * N_TIMES,) float32.
    """
    observe(params, row_of(state, b), obs, mask, times)


@jit_row
def clear_panel(row, rules):
    """Nobody is asked, nothing is on its way back."""
    panel = row.panel[0]
    panel["open"] = 0
    panel["turn"] = row.desk.shape[0] - 1
    panel["slot_at_ns"] = NEVER
    alone = rules["central"] == 1 or row.desk.shape[0] == 1
    panel["beat_at_ns"] = NEVER if alone else rules["beat_ns"]
    panel["refused"] = 0
    panel["back_head"] = NONE
    panel["back_tail"] = NONE


@jit_row
def go_on(params, row, rules):
    """Run the world until a site is to decide, or the episode is over."""
    world, panel = row.world[0], row.panel[0]
    while True:
        if panel["open"] == 1:
            if call_up(row, rules["central"]):
                return
            panel["open"] = 0
        if is_full(row) and world["next_arrival_ns"] != NEVER:
            end_slot_early(params, row)
            continue
        world["wake_ns"] = min(panel["slot_at_ns"], panel["beat_at_ns"])
        if panel["back_head"] != NONE:
            world["wake_ns"] = min(world["wake_ns"], row.job[panel["back_head"]]["due_ns"])
        what = next_event(params, row)
        if what == OVER:
            return
        if what == SUBJECT:
            take_in(row, world["subject"], rules["slot_ns"])
        elif what == WAKE:
            keep_time(params, row, rules)


@jit_row
def is_full(row):
    """Whether the job table has no room for another request, nor anything to make room."""
    world = row.world[0]
    if world["free"] != NONE or world["fresh"] < row.job.shape[0]:
        return False
    return world["report_head"] == NONE and world["pending_head"] == NONE


@jit_call
def end_slot_early(params, row):
    """More requests wait than any slot should bring: those that were refused are back, and the sites decide now."""
    while row.panel[0]["back_head"] != NONE:
        come_home(params, row, 1)
    open_slot(row)


@jit_row
def open_slot(row):
    """The sites decide at this instant; the one that went first last time is now the last."""
    panel = row.panel[0]
    panel["open"] = 1
    panel["slot_at_ns"] = NEVER
    panel["turn"] = (panel["turn"] + 1) % row.desk.shape[0]


@jit_row
def take_in(row, j, slot_ns):
    """Request `j`, new or back, waits at its site until the site decides."""
    world, panel, job = row.world[0], row.panel[0], row.job[j]
    desk, now = row.desk[job["site"]], row.world[0]["now_ns"]
    world["subject_kind"] = NO_SUBJECT
    world["subject"] = NONE
    if job["retries"] == 0:
        count_arrival(row, j)
    job["state"] = AT_SITE
    job["next"] = NONE
    if desk["tail"] == NONE:
        desk["head"] = j
    else:
        row.job[desk["tail"]]["next"] = j
    desk["tail"] = j
    desk["waiting"] += 1
    if slot_ns == 0:
        open_slot(row)
    elif panel["slot_at_ns"] == NEVER:
        panel["slot_at_ns"] = (now + slot_ns - 1) // slot_ns * slot_ns


@jit_row
def keep_time(params, row, rules):
    """Nodes tell of their load, refused requests come back, a slot ends: whatever is due now, in this order."""
    world, panel = row.world[0], row.panel[0]
    now = world["now_ns"]
    if panel["beat_at_ns"] <= now:
        panel["beat_at_ns"] += rules["beat_ns"]
        tell_load(params, row)
    while panel["back_head"] != NONE and row.job[panel["back_head"]]["due_ns"] <= now:
        come_home(params, row, rules["slot_ns"])
    if panel["slot_at_ns"] <= now:
        while world["next_arrival_ns"] <= now and not is_full(row):  # whoever comes at this very instant has a say
            arrive(params, row)
            take_in(row, world["subject"], rules["slot_ns"])
        open_slot(row)


@jit_row
def call_up(row, central):
    """Ask every site about the first request that waits there; with central books the first such site alone.

    Returns:
        Whether anybody is asked.
    """
    n_sites, found = row.desk.shape[0], False
    for k in range(n_sites):
        desk = row.desk[(row.panel[0]["turn"] + k) % n_sites]
        if desk["head"] != NONE and not (found and central == 1):
            desk["subject"] = desk["head"]
            found = True
    return found


@jit_row
def carry_out(params, row, actions, central):
    """Every site that was asked has chosen; what they chose happens in the order of this slot."""
    n_sites = row.desk.shape[0]
    for k in range(n_sites):
        s = (row.panel[0]["turn"] + k) % n_sites
        if row.desk[s]["subject"] != NONE:
            decide(params, row, s, actions[s], central)


@jit_row
def decide(params, row, s, choice, central):
    """Site `s` sends its subject to node `choice`, or declines it; a node that has no room any more refuses it."""
    world, desk = row.world[0], row.desk[s]
    j = desk["subject"]
    job = row.job[j]
    desk["subject"] = NONE
    desk["head"] = job["next"]
    desk["waiting"] -= 1
    if desk["head"] == NONE:
        desk["tail"] = NONE
    if choice != row.node.shape[0]:
        row.sheet[j] = job
        note_dispatch(params, at_site(row, s, row.sheet), choice, j, 0)
        if central == 0 and not is_legal(params, row, choice, job["model"], s):
            refuse(params, row, choice, j)
            return
    world["subject_kind"] = REQUEST
    world["subject"] = j
    apply_choice(params, row, choice)


@jit_call
def refuse(params, row, n, j):
    """Node `n` has no room any more for request `j`, which is back at its site after the way there and back."""
    world, panel, job = row.world[0], row.panel[0], row.job[j]
    now = world["now_ns"]
    up, _ = network_s(params, job["site"], n, params.model[job["model"]], job["prompt"], job["units"])
    due = now + to_ns(up) + params.link[job["site"], n]["delay_ns"]
    world["decisions"] += 1
    panel["refused"] += 1
    job["node"] = n
    job["dispatch_ns"] = now
    job["start_ns"] = -1
    job["first_ns"] = -1
    job["due_ns"] = due
    job["next"] = NONE
    before, at = NONE, panel["back_head"]
    while at != NONE and row.job[at]["due_ns"] <= due:
        before, at = at, row.job[at]["next"]
    job["next"] = at
    if before == NONE:
        panel["back_head"] = j
    else:
        row.job[before]["next"] = j
    if at == NONE:
        panel["back_tail"] = j


@jit_call
def come_home(params, row, slot_ns):
    """The first refused request is back at its site, to be decided on again unless it has come back too often."""
    world, panel, j = row.world[0], row.panel[0], row.panel[0]["back_head"]
    job = row.job[j]
    panel["back_head"] = job["next"]
    if panel["back_head"] == NONE:
        panel["back_tail"] = NONE
    strike_out(params, at_site(row, job["site"], row.sheet), job["node"], j, world["now_ns"])
    job["retries"] += 1
    if job["retries"] > params.rules[0]["max_retries"]:
        world["dropped"] += 1
        give_up(params, row, j, DROPPED)
    else:
        take_in(row, j, slot_ns)


@jit_row
def look_around(params, row, central, obs, mask, times):
    """What every site sees; whoever has no subject may only decline."""
    world = row.world[0]
    for s in range(row.desk.shape[0]):
        world["subject"] = row.desk[s]["subject"]
        world["subject_kind"] = NO_SUBJECT if world["subject"] == NONE else REQUEST
        shown = row
        if central == 0:
            ask_nodes(row, s)
            shown = at_site(row, s, row.job)
        observe(params, shown, obs[s], mask[s], times)
    world["subject"] = NONE
    world["subject_kind"] = NO_SUBJECT


@jit_row
def date(row, out):
    """When it is, and in which episode."""
    world = row.world[0]
    for s in range(out.shape[0]):
        out[s]["time_s"] = world["now_ns"] / SECOND
        out[s]["seed"] = world["seed"]
        out[s]["done"] = world["done"]


@jit_row
def open_accounts(row, out):
    """The beginning of an episode has no reward; how long requests have waited by then is part of the first one."""
    world = row.world[0]
    latency_ns = world["latency_ns"]
    forget_accounts(world)
    world["latency_ns"] = latency_ns
    for s in range(row.desk.shape[0]):
        pay_nothing(out[s])
