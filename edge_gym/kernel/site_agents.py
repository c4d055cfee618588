"""Worlds with AI agents whose sites decide, all at the same time, each on what it has heard (docs/multiagent.md)."""

from ._jit import jit, jit_call, jit_row
from .accounts import pay_nothing, score
from .agents import may_live
from .applications import agency_event, begin_agency, take_asked
from .episode import begin
from .heard import as_heard, come_to_desk, follow_users, hear_all, hear_of, note_reservation, notice
from .observe_agents import observe_agents
from .orchestrate import is_asked, kind_of, mend_all, score_moves, send_agent, take_default, take_event
from .site_books import share_out
from .sites import clear_panel, date, open_slot
from .step import BEGIN, LOOK, OVER, SKIP, STEP, WAKE, row_of, soonest
from .tables import NEVER, NO_SUBJECT, NONE


@jit
def run_site_agents(params, state, order, actions, rules, first, last, obs, mask, out, look, legal, times, come):
    """One step, one new episode or one look in each of the worlds first..last-1.

    Args:
        params: The scenario's tables.
        state: The worlds; changed.
        order: (B,) ORDER, as for `run_agents`; its actions are not read.
        actions: (B * S,) int64, the choice of every site; read where the site has a subject.
        rules: (1,) SITE_RULES.
        first: First row.
        last: Row after the last.
        obs: Output (B * S, N + 1, F) float32, the columns of tasks with agents.
        mask: Output (B * S, N + 1) bool.
        out: Output (B * S,) OUTCOME; a LOOK leaves it alone.
        look: Scratch, a routing observation (N + 1, N_FEATURES) float32.
        legal: Scratch (N + 1,) bool.
        times: Scratch ((N + 1) * (N_TIMES + N_AGENT_TIMES),) float32.
        come: Scratch, see `outlook`.
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
            begin_agency(params, row, order[b]["asks"])
            for s in range(n_sites):
                for n in range(row.node.shape[0]):  # those that are not there yet included
                    hear_of(row, s, n)
        elif todo == STEP:
            row.world[0]["log_count"] = 0
            row.world[0]["news_count"] = 0
            carry_out(params, row, actions[at : at + n_sites], rules[0]["central"])
        if todo != LOOK:
            go_on(params, row, rules[0], look, legal, times)
            if todo == STEP:  # what happened before the first decision is part of the first reward
                score(params, row, out[at])
                score_moves(params, row, out[at])
                share_out(params, row, out[at], out[at : at + n_sites], rules[0]["shared"])
            else:
                for s in range(n_sites):
                    pay_nothing(out[at + s])
            date(row, out[at : at + n_sites])
        look_around(params, row, rules[0]["central"], obs[at : at + n_sites], mask[at : at + n_sites], times, come)


@jit_row
def go_on(params, row, rules, look, legal, times):
    """Run the world until a site is to decide, the log is full, or the episode is over."""
    world, agency, panel = row.world[0], row.agency[0], row.panel[0]
    most = row.log.shape[0] - row.job.shape[0] - 1  # rows that may be full before the episode ends
    while True:
        if agency["shaken"] == 1:
            mend_all(params, row)
        if rules["slot_ns"] > 0 or panel["open"] == 0:
            sort_out(params, row, rules["slot_ns"], look, legal, times)
        if panel["open"] == 1:
            if call_up(row, rules["central"]):
                return
            close_slot(row, rules["slot_ns"])
            continue
        if world["log_count"] >= most:
            return  # a step without a subject: only declining is legal
        p, at = soonest(row.app_due)
        what = take_event(params, row, min(at, min(panel["slot_at_ns"], panel["beat_at_ns"])))
        if what == OVER:
            return
        if what == WAKE:
            if panel["beat_at_ns"] <= world["now_ns"]:
                panel["beat_at_ns"] += rules["beat_ns"]
                hear_all(row)
            elif at <= world["now_ns"]:  # before the slot ends: whoever comes at this very instant has a say
                agency_event(params, row, p)
            else:
                begin_slot(row)
        elif world["subject_kind"] != NO_SUBJECT:
            take_default(params, row, look, legal, times)


@jit_row
def sort_out(params, row, slot_ns, look, legal, times):
    """Agents to be asked about come to the desks of their users' sites; the world's own rules take the rest.

    Without slots the first of them is decided on before the next is looked at, as by a single controller.
    """
    world, panel = row.world[0], row.panel[0]
    while True:
        g = take_asked(row)
        if g == NONE:
            return
        kind = kind_of(row, g)
        if is_asked(row.agency[0]["asks"], kind):
            come_to_desk(row, row.app[row.agent[g]["app"]]["site"], g)
            if slot_ns == 0:
                begin_slot(row)
                return
            if panel["slot_at_ns"] == NEVER:
                panel["slot_at_ns"] = (world["now_ns"] + slot_ns - 1) // slot_ns * slot_ns
        else:
            world["subject_kind"] = kind
            world["subject"] = g
            take_default(params, row, look, legal, times)


@jit_call
def begin_slot(row):
    """The sites decide at this instant."""
    follow_users(row)
    open_slot(row)


@jit_call
def close_slot(row, slot_ns):
    """Nobody has anything left to decide on but agents that were refused: these are asked about at the next slot."""
    panel, now = row.panel[0], row.world[0]["now_ns"]
    panel["open"] = 0
    if panel["back_head"] == NONE:
        return
    while panel["back_head"] != NONE:
        g = panel["back_head"]
        panel["back_head"] = row.agent[g]["next"]
        come_to_desk(row, row.app[row.agent[g]["app"]]["site"], g)
    panel["back_tail"] = NONE
    if slot_ns > 0:
        panel["slot_at_ns"] = (now // slot_ns + 1) * slot_ns
    else:
        begin_slot(row)


@jit_row
def call_up(row, central):
    """Ask every site about the first agent that waits there; with central books the first such site alone.

    Returns:
        Whether anybody is asked.
    """
    n_sites, found = row.desk.shape[0], False
    for k in range(n_sites):
        desk = row.desk[(row.panel[0]["turn"] + k) % n_sites]
        if desk["head"] != NONE and not (found and central == 1):
            g = desk["head"]
            row.agent[g]["listed"] = 0
            desk["subject"] = g
            desk["head"] = row.agent[g]["next"]
            if desk["head"] == NONE:
                desk["tail"] = NONE
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


@jit_call
def decide(params, row, s, choice, central):
    """Site `s` sends its subject to node `choice`, or declines; a node that has no room for it any more refuses it."""
    desk, g = row.desk[s], row.desk[s]["subject"]
    desk["subject"] = NONE
    desk["waiting"] -= 1
    row.world[0]["decisions"] += 1
    if central == 0 and choice != row.node.shape[0]:
        if not may_live(params, row, g, choice):
            refuse(row, s, choice, g)
            return
        note_reservation(params, row, s, g, choice)
    send_agent(params, row, g, choice, 0)


@jit_row
def refuse(row, s, n, g):
    """Node `n` has no room for agent `g`, and tells site `s` what it holds."""
    panel = row.panel[0]
    panel["refused"] += 1
    hear_of(row, s, n)
    row.agent[g]["listed"] = 1
    row.agent[g]["next"] = NONE
    if panel["back_tail"] == NONE:
        panel["back_head"] = g
    else:
        row.agent[panel["back_tail"]]["next"] = g
    panel["back_tail"] = g


@jit_row
def look_around(params, row, central, obs, mask, times, come):
    """What every site sees; whoever has no subject may only decline."""
    world, agency = row.world[0], row.agency[0]
    asked = agency["ask_head"]
    for s in range(row.desk.shape[0]):
        g = row.desk[s]["subject"]
        world["subject"] = g
        world["subject_kind"] = NO_SUBJECT if g == NONE else kind_of(row, g)
        if row.desk[s]["head"] != NONE:
            agency["ask_head"] = row.desk[s]["head"]  # those of its application to come are behind it there
        shown = row
        if central == 0:
            notice(row, s)
            shown = as_heard(row, s)
        observe_agents(params, shown, obs[s], mask[s], times, come)
        agency["ask_head"] = asked
    world["subject"] = NONE
    world["subject_kind"] = NO_SUBJECT
