"""Worlds with AI agents: placement, migration and routing decisions in one stream; the default rules take the rest."""

import math

from ._jit import jit, jit_call, jit_row
from .accounts import pay_nothing, score
from .agent_cost import home_cost
from .agent_tables import ASK_MIGRATIONS, ASK_PLACEMENTS, ASK_REQUESTS, LIVING
from .agents import book, may_live
from .applications import agency_event, ask, begin_agency, take_asked
from .control import find_pick
from .episode import begin
from .migration import be_there, begin_move, begin_start, mend, park
from .observe import observe
from .observe_agents import observe_agents
from .requests import apply_choice
from .site_books import count_arrival
from .step import BEGIN, LOOK, OVER, SKIP, STEP, SUBJECT, WAKE, next_event, row_of, soonest
from .tables import DROPPED, MIGRATION, NEVER, NO_SUBJECT, NONE, PLACEMENT, REJECTED, REQUEST, SECOND


@jit
def run_agents(params, state, order, first, last, obs, mask, out, look, legal, times, come):
    """One decision, one new episode or one look in each of the worlds first..last-1.

    Args:
        params: The scenario's tables.
        state: The worlds; changed.
        order: (B,) ORDER, as for `run_rows`; `asks` says what is asked.
        first: First row.
        last: Row after the last.
        obs: Output (B, N + 1, F) float32, the columns of tasks with agents.
        mask: Output (B, N + 1) bool.
        out: Output (B,) OUTCOME; a LOOK leaves it alone.
        look: Scratch, a routing observation (N + 1, N_FEATURES) float32.
        legal: Scratch (N + 1,) bool.
        times: Scratch ((N + 1) * (N_TIMES + N_AGENT_TIMES),) float32.
        come: Scratch, see `outlook`.
    """
    for b in range(first, last):
        todo = order[b]["todo"]
        if todo == SKIP:
            continue
        row, world = row_of(state, b), state.world[b]
        if todo == BEGIN:
            begin(params, row, order[b]["root_seed"], order[b]["episode"])
            begin_agency(params, row, order[b]["asks"])
        elif todo == STEP:
            world["log_count"] = 0
            world["news_count"] = 0
            decide(params, row, order[b]["action"], order[b]["wait_ns"])
        if todo != LOOK:
            go_on(params, row, look, legal, times)
            if todo == STEP:  # what happened before the first decision is part of the first reward
                score(params, row, out[b])
                score_moves(params, row, out[b])
            else:
                pay_nothing(out[b])
            out[b]["time_s"] = world["now_ns"] / SECOND
            out[b]["seed"] = world["seed"]
            out[b]["done"] = world["done"]
        observe_agents(params, row, obs[b], mask[b], times, come)


@jit_row
def score_moves(params, row, out):
    """The reward term that only worlds with agents have: seconds of downtime."""
    agency = row.agency[0]
    out["migration"] = 0.0 - agency["down_s"]
    out["reward"] += params.rules[0]["weight_migration"] * out["migration"]
    agency["down_s"] = 0.0


@jit_row
def go_on(params, row, look, legal, times):
    """Run the world until a decision is due that is asked, the log is full, or the episode is over."""
    world, agency = row.world[0], row.agency[0]
    most = row.log.shape[0] - row.job.shape[0] - 1  # rows that may be full before the episode ends
    while True:
        if agency["shaken"] == 1:
            mend_all(params, row)
        g = take_asked(row)
        if g != NONE:
            world["subject_kind"] = kind_of(row, g)
            world["subject"] = g
        else:
            if world["log_count"] >= most:
                return  # a step without a subject: only declining is legal
            if run_world(params, row):
                return
            if world["subject_kind"] == NO_SUBJECT:
                continue
        if is_asked(agency["asks"], world["subject_kind"]):
            return
        take_default(params, row, look, legal, times)


@jit_row
def run_world(params, row):
    """One event of the world or of its agents; True if the episode is over."""
    p, at = soonest(row.app_due)
    what = take_event(params, row, at)
    if what == WAKE:
        agency_event(params, row, p)
    return what == OVER


@jit_row
def take_event(params, row, wake_ns):
    """One event of the world, which is to wake at `wake_ns`; returns what it calls for, as `next_event` does."""
    world = row.world[0]
    world["wake_ns"] = wake_ns
    if world["sources"] > 0:
        world["stop_ns"] = NEVER
    elif world["stop_ns"] == NEVER and world["next_arrival_ns"] == NEVER:
        world["stop_ns"] = world["now_ns"] + params.rules[0]["drain_ns"]
    what = next_event(params, row)
    if what == OVER:
        book(row)
    elif what == SUBJECT:
        j = world["subject"]
        if row.desk.shape[0] > 0 and row.job[j]["retries"] == 0:
            count_arrival(row, j)
    return what


@jit_row
def is_asked(asks, kind):
    """Whether the controller decides about subjects of this kind."""
    if kind == REQUEST:
        return asks & ASK_REQUESTS != 0
    return asks & (ASK_PLACEMENTS if kind == PLACEMENT else ASK_MIGRATIONS) != 0


@jit_row
def kind_of(row, g):
    """An agent that lives somewhere, or whose node has left, may migrate; one that is new is placed.

    Whoever is asked only one of the two is asked about lost agents too.
    """
    agent, asks = row.agent[g], row.agency[0]["asks"]
    if agent["node"] != NONE:
        return MIGRATION
    return MIGRATION if agent["before"] != NONE and asks & ASK_MIGRATIONS != 0 else PLACEMENT


@jit_call
def mend_all(params, row):
    """Nodes have left: agents that lost their home are asked about."""
    row.agency[0]["shaken"] = 0
    now = row.world[0]["now_ns"]
    for g in range(row.agent.shape[0]):
        if row.agent[g]["serial"] != NONE and mend(params, row, g):
            ask(row, g, now)


@jit_row
def decide(params, row, choice, wait_ns):
    """What the controller wants for the subject; a new agent is started when it has thought for `wait_ns`."""
    world, kind, g = row.world[0], row.world[0]["subject_kind"], row.world[0]["subject"]
    if kind == REQUEST:
        apply_choice(params, row, choice)
        return
    if kind == NO_SUBJECT:
        return
    world["subject_kind"] = NO_SUBJECT
    world["subject"] = NONE
    world["decisions"] += 1
    send_agent(params, row, g, choice, wait_ns)


@jit_call
def send_agent(params, row, g, choice, wait_ns):
    """Agent `g` goes to node `choice`; declining leaves it where it is, or nowhere."""
    agency, agent = row.agency[0], row.agent[g]
    if choice < row.node.shape[0]:
        if agent["state"] == LIVING:
            begin_move(params, row, g, choice)
        else:
            agency["placed"] += 1 if agent["before"] == NONE else 0
            begin_start(params, row, g, choice, wait_ns)
            if row.world[0]["now_ns"] == 0:
                be_there(params, row, g)
    elif agent["state"] != LIVING:
        agency["refused"] += 1 if agent["before"] == NONE else 0
        park(params, row, g, REJECTED if agent["before"] == NONE else DROPPED)


@jit_row
def take_default(params, row, look, legal, times):
    """The world's own rules: the fast path routes, agents go where they cost least, nobody migrates."""
    world, g, n_nodes = row.world[0], row.world[0]["subject"], row.node.shape[0]
    if world["subject_kind"] == REQUEST:
        observe(params, row, look, legal, times)
        apply_choice(params, row, find_pick(look))
        return
    kind = world["subject_kind"]
    world["subject_kind"] = NO_SUBJECT
    world["subject"] = NONE
    stays = kind == MIGRATION and row.agent[g]["state"] == LIVING
    send_agent(params, row, g, n_nodes if stays else cheapest_home(params, row, g), 0)


@jit_call
def cheapest_home(params, row, g):
    """The node where agent `g` costs least by the world's own cost function, or declining if it fits nowhere."""
    found, least = row.node.shape[0], math.inf
    for n in range(row.node.shape[0]):
        if may_live(params, row, g, n):
            cost = home_cost(params, row, g, n)
            if cost < least:
                found, least = n, cost
    return found
