"""The placement problem of one application, written out of the world for solvers (`assignment.Problem`)."""

import math

from ._jit import jit, jit_row
from .agent_cost import lives_at, own_terms, pack, refusal_cost, weigh
from .agent_tables import LIVING
from .agents import traffic_of
from .step import row_of
from .tables import NONE


@jit
def fill_problem(params, state, b, p, terms, problem):
    """Write the placement problem of an application as it is now.

    Agents that are asked about, or live somewhere and may be moved, may go anywhere; those that start or move are tied
    to where they go, and those that must not be moved yet to where they live. What the application has reserved itself
    counts as free.

    Args:
        params: The scenario's tables.
        state: The worlds; not changed.
        b: World.
        p: Row of the application.
        terms: Output (A, N, 6), the unweighted terms of `problem.own`; 0 where that is infinite.
        problem: Output, with room for the most agents of an application.

    Returns:
        Number of agents.
    """
    row = row_of(state, b)
    first, n_agents = p * params.agency[0]["most_agents"], row.app[p]["n_agents"]
    for n in range(row.node.shape[0]):
        fill_node(params, row, n, problem)
    for k in range(n_agents):
        g = first + k
        fill_agent(params, row, g, k, first, problem)
        bag = pack(params, row, g)
        for n in range(row.node.shape[0]):
            problem.own[k, n] = math.inf
            terms[k, n, :] = 0.0
            problem.load[k, n] = row.agent[g]["need"] * params.need[row.agent[g]["role"], n]["load"]
            if may_go(params, row, g, n):
                problem.own[k, n] = write_terms(params, row, g, n, bag, terms[k, n])
        leave_out(params, row, g, problem)
    for n in range(row.node.shape[0]):
        for m in range(row.pair.shape[1]):
            problem.held[n, m] = min(problem.held[n, m], 1)
    return n_agents


@jit_row
def write_terms(params, row, g, n, bag, terms):
    """Write the unweighted terms of an agent's own cost, and return their weighted sum."""
    transfer, start, processing, compute, storage, communication, _ = own_terms(params, row, g, n, bag)
    terms[0] = transfer
    terms[1] = start
    terms[2] = processing
    terms[3] = compute
    terms[4] = storage
    terms[5] = communication
    return weigh(params, transfer + start + processing, compute + storage + communication)


@jit_row
def may_go(params, row, g, n):
    """Whether agent `g` may be where the problem looks: capacities, which solvers watch themselves, aside."""
    agent, node = row.agent[g], row.node[n]
    if agent["target"] != NONE:
        return n == agent["target"]
    if agent["state"] == LIVING and row.world[0]["now_ns"] - agent["settled_ns"] < params.agency[0]["pause_ns"]:
        return n == agent["node"]
    serves = params.service[n, agent["model"]]["supported"] == 1
    return serves and node["alive"] == 1 and params.link[row.app[agent["app"]]["site"], n]["reachable"] == 1


@jit_row
def fill_node(params, row, n, problem):
    """What is free of node `n`, before what the application holds itself is added."""
    node, lodging, host, rules = row.node[n], row.lodging[n], params.host[n], params.agency[0]
    problem.load_before[n] = lodging["load"]
    problem.load_limit[n] = rules["load_limit"]
    problem.memory_free[n] = float(params.node[n]["memory_bytes"] - node["memory_busy_bytes"])
    problem.storage_free[n] = host["storage_bytes"] - lodging["storage_bytes"]
    problem.traffic_free[n] = host["nic_bytes_per_s"] - lodging["traffic"]
    for m in range(row.pair.shape[1]):
        problem.held[n, m] = row.pair[n, m]["outstanding"]  # how often; 0 or 1 in the end


@jit_row
def fill_agent(params, row, g, k, first, problem):
    """What agent `g` needs, wherever it lives."""
    agent, role = row.agent[g], params.role[row.agent[g]["role"]]
    rate = agent["need"] * role["rate_per_s"]
    problem.refuse[k] = refusal_cost(params, row, g)
    problem.memory[k] = float(int(agent["need"] * role["memory_bytes"]))
    problem.storage[k] = role["image_bytes"]
    problem.traffic[k] = traffic_of(role, agent["need"])
    problem.model[k] = agent["model"]
    problem.parent[k] = agent["parent"] - first if agent["parent"] != NONE else NONE
    problem.talk_delay[k] = weigh(params, rate * role["peer_rounds"], 0.0)
    problem.talk_bytes[k] = rate * role["peer_bytes"]


@jit_row
def leave_out(params, row, g, problem):
    """Count as free what agent `g` holds of the node it is to leave or stay on; a mover's source stays taken."""
    agent, n = row.agent[g], lives_at(row, g)
    if n == NONE:
        return
    m = agent["model"]
    problem.load_before[n] = max(problem.load_before[n] - agent["need"] * params.need[agent["role"], n]["load"], 0.0)
    problem.memory_free[n] += float(int(agent["need"] * params.role[agent["role"]]["memory_bytes"]))
    problem.storage_free[n] += params.role[agent["role"]]["image_bytes"]
    problem.traffic_free[n] += traffic_of(params.role[agent["role"]], agent["need"])
    problem.held[n, m] -= 1
    if problem.held[n, m] == 0:
        problem.memory_free[n] += float(params.model[m]["weights_bytes"])


@jit
def fill_between(params, rtt_s, per_byte):
    """Write what talking between nodes costs: it does not change during an episode.

    Args:
        params: The scenario's tables.
        rtt_s: Output (N, N), seconds there and back.
        per_byte: Output (N, N), weighted cost of a byte.
    """
    for n in range(rtt_s.shape[0]):
        for k in range(rtt_s.shape[1]):
            cable = params.cable[n, k]
            rtt_s[n, k] = cable["rtt_s"]
            per_byte[n, k] = weigh(params, cable["s_per_byte"], cable["usd_per_byte"])
