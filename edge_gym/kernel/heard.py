"""Sites that decide about agents: what each has heard of the nodes, and the agents that wait for its decision.

A site knows of every node what that node has told last, and what it has reserved there itself since. Nodes tell
everything that they and the central books have (load, reservations, measured speed) from time to time, when they join,
and to a site whose agent they refuse. What a site has given back it hears of with the rest.
"""

from ._jit import jit_call, jit_row
from .agents import traffic_of
from .tables import NONE, Row


@jit_row
def as_heard(row, s):
    """The world as site `s` has heard of it."""
    return Row(
        row.world,
        row.due,
        row.known[s],
        row.regime,
        row.known_pair[s],
        row.job,
        row.slot,
        row.change,
        row.log,
        row.news,
        row.agency,
        row.app,
        row.app_due,
        row.agent,
        row.known_lodging[s],
        row.desk,
        row.panel,
        row.known,
        row.known_pair,
        row.sheet,
        row.known_lodging,
    )


@jit_call
def hear_of(row, s, n):
    """Node `n` tells site `s` everything."""
    row.known[s, n] = row.node[n]
    row.known_lodging[s, n] = row.lodging[n]
    for m in range(row.pair.shape[1]):
        row.known_pair[s, n, m] = row.pair[n, m]


@jit_call
def hear_all(row):
    """Every node that is there tells every site."""
    for s in range(row.known.shape[0]):
        for n in range(row.node.shape[0]):
            if row.node[n]["alive"] == 1:
                hear_of(row, s, n)


@jit_row
def notice(row, s):
    """What site `s` needs nobody to tell: which nodes are there, and what was said in messages."""
    for n in range(row.node.shape[0]):
        node, view = row.node[n], row.known[s, n]
        view["alive"] = node["alive"]
        view["gate"] = node["gate"]
        view["heard"] = node["heard"]
        view["heard_foreground"] = node["heard_foreground"]
        view["heard_slowdown"] = node["heard_slowdown"]
        view["heard_ns"] = node["heard_ns"]
        view["heard_from_ns"] = node["heard_from_ns"]
        view["heard_until_ns"] = node["heard_until_ns"]


@jit_call
def note_reservation(params, row, s, g, n):
    """Site `s` has reserved on node `n` what agent `g` needs."""
    agent, view, lodging = row.agent[g], row.known[s, n], row.known_lodging[s, n]
    role, need, pair = params.role[agent["role"]], agent["need"], row.known_pair[s, n, agent["model"]]
    memory = int(need * role["memory_bytes"])
    if pair["outstanding"] == 0:
        memory += params.model[agent["model"]]["weights_bytes"]
    pair["outstanding"] += 1
    view["memory_busy_bytes"] += memory
    lodging["load"] += need * params.need[agent["role"], n]["load"]
    lodging["storage_bytes"] += role["image_bytes"]
    lodging["traffic"] += traffic_of(role, need)
    lodging["agents"] += 1


@jit_row
def come_to_desk(row, s, g):
    """Agent `g` waits until site `s` decides about it."""
    desk, agent = row.desk[s], row.agent[g]
    agent["listed"] = 1
    agent["next"] = NONE
    if desk["tail"] == NONE:
        desk["head"] = g
    else:
        row.agent[desk["tail"]]["next"] = g
    desk["tail"] = g
    desk["waiting"] += 1


@jit_call
def leave_desk(row, g):
    """Agent `g` waits no longer, wherever it does."""
    for s in range(row.desk.shape[0]):
        before, at = NONE, row.desk[s]["head"]
        while at != NONE and at != g:
            before, at = at, row.agent[at]["next"]
        if at == g:
            take_from_desk(row, s, before, g)
    row.agent[g]["listed"] = 0


@jit_row
def take_from_desk(row, s, before, g):
    """Unlink agent `g` from the list of site `s`; `before` is the one before it, NONE if it is the first."""
    desk, after = row.desk[s], row.agent[g]["next"]
    if before == NONE:
        desk["head"] = after
    else:
        row.agent[before]["next"] = after
    if after == NONE:
        desk["tail"] = before
    desk["waiting"] -= 1


@jit_call
def follow_users(row):
    """Agents whose users have come to another site are decided on there."""
    for s in range(row.desk.shape[0]):
        before, g = NONE, row.desk[s]["head"]
        while g != NONE:
            after, site = row.agent[g]["next"], row.app[row.agent[g]["app"]]["site"]
            if site != s:
                take_from_desk(row, s, before, g)
                come_to_desk(row, site, g)
            else:
                before = g
            g = after
