"""What a home for an agent costs its whole application: those to come go one by one to where each then costs least.

A rollout (Bertsekas, Tsitsiklis, Wu, Journal of Heuristics 3, 1997) of a greedy rule in the cost function of
`assignment.py`, at the instant of the decision. Those whom it is dearest to decline are placed first: what is large
finds room, as in "first fit decreasing". All of it is public: `Agency.assignment` shows the same problem.
"""

import math
from typing import NamedTuple

import numpy as np

from ._jit import jit_call, jit_row
from .agent_cost import lives_at, own_terms, pack, peer_cost, refusal_cost, weigh
from .agents import traffic_of
from .assignment import crowd
from .problem import may_go
from .tables import NONE

LOAD, MEMORY, STORAGE, TRAFFIC = range(4)


class ToCome(NamedTuple):
    """The subject, number 0, and those of its application to be asked about after it. Scratch of the kernel."""

    who: np.ndarray  # (A,) i8, rows of the agents
    n_peers: np.ndarray  # (A,) i8, how many of these before it each talks to
    peer: np.ndarray  # (A, A) i8, which
    own: np.ndarray  # (A, N) f8, cost rate, peers that are placed included, crowding excluded; inf: cannot live there
    refuse: np.ndarray  # (A,) f8, cost rate of declining
    needs: np.ndarray  # (A, 4) f8, memory without weights, storage and traffic; the load is in `load`
    load: np.ndarray  # (A, N) f8, share of the throughput
    price: np.ndarray  # (A, N) f8, what each costs on each node in the first trial; inf: does not fit
    before: np.ndarray  # (A,) i8, where each goes in the first trial
    home: np.ndarray  # (A,) i8, where each goes in this one
    same: np.ndarray  # (N,) bool, the node is as it was at this point of the first trial
    taken: np.ndarray  # (N, 4) f8, of each node, whoever has it
    held: np.ndarray  # (N, M) bool, the weights are there
    cost: np.ndarray  # (N + 1,) f8, of all, for each choice


def room_for(n_agents: int, n_nodes: int, n_models: int) -> ToCome:
    """Scratch for applications of up to so many agents."""
    return ToCome(
        who=np.zeros(n_agents, np.int64),
        n_peers=np.zeros(n_agents, np.int64),
        peer=np.zeros((n_agents, n_agents), np.int64),
        own=np.zeros((n_agents, n_nodes)),
        refuse=np.zeros(n_agents),
        needs=np.zeros((n_agents, 4)),
        load=np.zeros((n_agents, n_nodes)),
        price=np.zeros((n_agents, n_nodes)),
        before=np.zeros(n_agents, np.int64),
        home=np.zeros(n_agents, np.int64),
        same=np.zeros(n_nodes, np.bool_),
        taken=np.zeros((n_nodes, 4)),
        held=np.zeros((n_nodes, n_models), np.bool_),
        cost=np.zeros(n_nodes + 1),
    )


@jit_call
def gather(params, row, g, come):
    """Write down the subject `g` and those to come.

    Returns:
        How many they are, the subject included.
    """
    come.who[0] = g
    count = 1
    k = row.agency[0]["ask_head"]
    while k != NONE and row.agent[k]["app"] == row.agent[g]["app"]:
        if lives_at(row, k) == NONE:
            refuse, i = refusal_cost(params, row, k), count
            while i > 1 and come.refuse[i - 1] < refuse:
                come.who[i], come.refuse[i] = come.who[i - 1], come.refuse[i - 1]
                i -= 1
            come.who[i], come.refuse[i] = k, refuse
            count += 1
        k = row.agent[k]["next"]
    if count > 1:
        for i in range(count):
            describe(params, row, i, come)
    return count


@jit_row
def describe(params, row, i, come):
    """Write down what number `i` needs and costs."""
    g = come.who[i]
    agent, role, n_nodes = row.agent[g], params.role[row.agent[g]["role"]], row.node.shape[0]
    come.needs[i, MEMORY] = float(int(agent["need"] * role["memory_bytes"]))
    come.needs[i, STORAGE] = role["image_bytes"]
    come.needs[i, TRAFFIC] = traffic_of(role, agent["need"])
    for n in range(n_nodes):
        come.load[i, n] = agent["need"] * params.need[agent["role"], n]["load"]
    come.n_peers[i] = 0
    for j in range(i):
        if come.who[j] == agent["parent"] or row.agent[come.who[j]]["parent"] == g:
            come.peer[i, come.n_peers[i]] = j
            come.n_peers[i] += 1
    if i == 0:
        return  # what the subject costs is known
    bag = pack(params, row, g)
    for n in range(n_nodes):
        come.own[i, n] = math.inf
        if may_go(params, row, g, n):
            transfer, start, processing, compute, kept, communication, _ = own_terms(params, row, g, n, bag)
            come.own[i, n] = weigh(params, transfer + start + processing, compute + kept + communication)
    if agent["parent"] != NONE and lives_at(row, agent["parent"]) != NONE:
        add_talk(params, row, g, lives_at(row, agent["parent"]), come.own[i])
    first = agent["app"] * params.agency[0]["most_agents"]
    for child in range(first, first + row.app[agent["app"]]["n_agents"]):
        if row.agent[child]["parent"] == g and lives_at(row, child) != NONE:
            add_talk(params, row, child, lives_at(row, child), come.own[i])


@jit_row
def add_talk(params, row, speaker, peer_n, own):
    """Add to the cost of each node what is said between it and node `peer_n`."""
    for n in range(own.shape[0]):
        own[n] += peer_cost(params, row, speaker, n, peer_n)[0]


@jit_row
def empty(row, come):
    """Nodes as they are now."""
    for n in range(row.node.shape[0]):
        lodging = row.lodging[n]
        come.taken[n, LOAD] = lodging["load"]
        come.taken[n, MEMORY] = row.node[n]["memory_busy_bytes"]
        come.taken[n, STORAGE] = lodging["storage_bytes"]
        come.taken[n, TRAFFIC] = lodging["traffic"]
        for m in range(row.pair.shape[1]):
            come.held[n, m] = row.pair[n, m]["outstanding"] > 0


@jit_row
def has_room(params, row, come, i, n):
    """Whether number `i` fits on node `n` beside those placed before it, as `agents.may_live` has it."""
    taken, needs, m = come.taken[n], come.needs[i], row.agent[come.who[i]]["model"]
    weights = 0.0 if come.held[n, m] else float(params.model[m]["weights_bytes"])
    return (
        taken[LOAD] + come.load[i, n] <= params.agency[0]["load_limit"]
        and taken[MEMORY] + needs[MEMORY] + weights <= params.node[n]["memory_bytes"]
        and taken[STORAGE] + needs[STORAGE] <= params.host[n]["storage_bytes"]
        and taken[TRAFFIC] + needs[TRAFFIC] <= params.host[n]["nic_bytes_per_s"]
    )


@jit_row
def put(params, row, come, i, n):
    """Number `i` goes to node `n`, or nowhere."""
    come.home[i] = n
    if n == NONE:
        return
    m = row.agent[come.who[i]]["model"]
    if not come.held[n, m]:
        come.taken[n, MEMORY] += params.model[m]["weights_bytes"]
        come.held[n, m] = True
    come.taken[n, LOAD] += come.load[i, n]
    for what in range(MEMORY, TRAFFIC + 1):
        come.taken[n, what] += come.needs[i, what]


@jit_row
def price_at(params, row, come, i, n):
    """Cost rate of number `i` on node `n` beside those placed before it; inf where it does not fit."""
    if not (come.own[i, n] < math.inf and has_room(params, row, come, i, n)):
        return math.inf
    load = come.taken[n, LOAD]
    cost = come.own[i, n] + params.rules[0]["weight_latency"] * (crowd(load + come.load[i, n]) - crowd(load))
    for k in range(come.n_peers[i]):
        j = come.peer[i, k]
        if come.home[j] != NONE:
            speaker = come.who[i] if row.agent[come.who[i]]["parent"] == come.who[j] else come.who[j]
            cost += peer_cost(params, row, speaker, n, come.home[j])[0]
    return cost


@jit_row
def choose(params, row, come, i, is_first):
    """Where number `i` costs least, and how much; NONE: nowhere it fits or costs less than declining."""
    best, least, moved = NONE, come.refuse[i], False
    if not is_first:
        for k in range(come.n_peers[i]):
            moved |= come.home[come.peer[i, k]] != come.before[come.peer[i, k]]
    for n in range(row.node.shape[0]):
        if is_first:
            price = come.price[i, n] = price_at(params, row, come, i, n)
        elif come.own[i, n] >= least:  # crowding and talk only add to it
            continue
        elif come.same[n] and not moved:
            price = come.price[i, n]
        else:
            price = price_at(params, row, come, i, n)
        if price < least:
            best, least = n, price
    return best, least


@jit_call
def try_home(params, row, come, count, goal, is_first):
    """Place the subject on node `goal` or nowhere, and then everybody else.

    The first trial of a decision remembers all prices; later ones reckon anew only what differs.

    Returns:
        Cost rate of everybody but the subject.
    """
    empty(row, come)
    come.same[:] = True
    put(params, row, come, 0, goal)
    if is_first:
        come.before[0] = goal
    elif goal != come.before[0]:
        differ(come, goal, come.before[0])
    total = 0.0
    for i in range(1, count):
        n, cost = choose(params, row, come, i, is_first)
        put(params, row, come, i, n)
        total += cost
        if is_first:
            come.before[i] = n
        elif n != come.before[i]:
            differ(come, n, come.before[i])
    return total


@jit_row
def differ(come, n, k):
    """Nodes `n` and `k` are not as in the first trial from here on."""
    if n != NONE:
        come.same[n] = False
    if k != NONE:
        come.same[k] = False
