"""What an AI agent holds of its node, the requests that wait for it, and how its state grows with use."""

from ._jit import jit_row
from .agent_tables import LIVING, PREFILL
from .nodes import hold_model, make_room, release_model
from .tables import AT_AGENT, NONE, SECOND


@jit_row
def may_live(params, row, g, n):
    """Whether agent `g` may be put on node `n` now: it is there, in reach of the user, and every need fits."""
    agent, node, lodging = row.agent[g], row.node[n], row.lodging[n]
    role, need, m = params.role[agent["role"]], agent["need"], agent["model"]
    if node["alive"] == 0 or params.service[n, m]["supported"] == 0:
        return False
    if params.link[row.app[agent["app"]]["site"], n]["reachable"] == 0:
        return False
    if lodging["load"] + need * params.need[agent["role"], n]["load"] > params.agency[0]["load_limit"]:
        return False
    weights = params.model[m]["weights_bytes"] if row.pair[n, m]["outstanding"] == 0 else 0
    memory = int(need * role["memory_bytes"]) + weights
    if node["memory_busy_bytes"] + memory > params.node[n]["memory_bytes"]:
        return False
    if lodging["storage_bytes"] + role["image_bytes"] > params.host[n]["storage_bytes"]:
        return False
    return lodging["traffic"] + traffic_of(role, need) <= params.host[n]["nic_bytes_per_s"]


@jit_row
def traffic_of(role, need):
    """Bytes a second of an agent's requests, its peer's included."""
    return need * role["rate_per_s"] * (role["request_bytes"] + role["peer_bytes"])


@jit_row
def reserve(params, row, g, n):
    """Agent `g` takes what it needs of node `n`; idle models make room."""
    agent = row.agent[g]
    book(row)
    hold_model(params, row, n, agent["model"])  # first: its own model must not be what makes room
    make_room(params, row, n, int(agent["need"] * params.role[agent["role"]]["memory_bytes"]))
    count_needs(params, row, g, n, 1)


@jit_row
def release(params, row, g, n):
    """Agent `g` gives back what it took of node `n`."""
    book(row)
    count_needs(params, row, g, n, -1)
    release_model(params, row, n, row.agent[g]["model"])
    lodging = row.lodging[n]
    if lodging["agents"] == 0:
        # Exact zeros, so that rounding errors of the sums cannot pile up.
        lodging["load"] = 0.0
        lodging["storage_bytes"] = 0.0
        lodging["traffic"] = 0.0


@jit_row
def count_needs(params, row, g, n, sign):
    """Add (1) or take away (-1) the needs of agent `g` on node `n` wherever they are counted."""
    agent, node, lodging, agency = row.agent[g], row.node[n], row.lodging[n], row.agency[0]
    role, here, need, rules = params.role[agent["role"]], params.need[agent["role"], n], agent["need"], params.agency[0]
    before = lodging["load"]
    lodging["load"] += sign * need * here["load"]
    lodging["storage_bytes"] += sign * role["image_bytes"]
    lodging["traffic"] += sign * traffic_of(role, need)
    lodging["agents"] += sign
    memory = int(need * role["memory_bytes"])
    node["memory_busy_bytes"] += sign * memory
    node["memory_used_bytes"] += sign * memory
    after = lodging["load"] if lodging["agents"] > 0 else 0.0
    agency["load_sum"] += after - before
    agency["load_square"] += after * after - before * before
    if (sign == 1 and lodging["agents"] == 1) or (sign == -1 and lodging["agents"] == 0):
        agency["hosts"] += sign
    compute, storage = need * here["usd_per_s"], role["image_bytes"] * rules["usd_per_byte_s"]
    agency["usd_per_s"][0] += sign * compute
    agency["usd_per_s"][1] += sign * storage
    row.world[0]["price_per_s"] += sign * (compute + storage)


@jit_row
def book(row):
    """Bring the integrals over time up to now."""
    agency, now = row.agency[0], row.world[0]["now_ns"]
    elapsed = (now - agency["booked_ns"]) / SECOND
    agency["booked_ns"] = now
    agency["load_s"] += elapsed * agency["load_sum"]
    agency["square_s"] += elapsed * agency["load_square"]
    agency["hosts_s"] += elapsed * agency["hosts"]
    agency["usd"][0] += elapsed * agency["usd_per_s"][0]
    agency["usd"][1] += elapsed * agency["usd_per_s"][1]


@jit_row
def wait_at_agent(params, row, j):
    """Request `j` waits until its agent can be asked; False if there is no such agent any more, or no room."""
    job, agent = row.job, row.agent[row.job[j]["agent"] - 1]
    if agent["serial"] != job[j]["serial"] or agent["waiting"] >= params.agency[0]["most_waiting"]:
        return False
    job[j]["state"] = AT_AGENT
    job[j]["next"] = NONE
    if agent["wait_head"] == NONE:
        agent["wait_head"] = j
    else:
        job[agent["wait_tail"]]["next"] = j
    agent["wait_tail"] = j
    agent["waiting"] += 1
    return True


@jit_row
def take_waiting(row, g):
    """Take the first request that waits for agent `g`, or NONE."""
    agent = row.agent[g]
    j = agent["wait_head"]
    if j != NONE:
        agent["wait_head"] = row.job[j]["next"]
        agent["waiting"] -= 1
        if agent["wait_head"] == NONE:
            agent["wait_tail"] = NONE
    return j


@jit_row
def note_delivery(params, row, j, now):
    """An agent has answered, and remembers it; or its context is prefilled, and its next step is due."""
    job, agency, rules = row.job[j], row.agency[0], params.agency[0]
    g = job["agent"] - 1
    agent = row.agent[g]
    if job["probe"] == 1:
        if agent["serial"] == job["serial"] and agent["phase"] == PREFILL and agent["target"] == job["node"]:
            agent["due_ns"] = now
            row.app[agent["app"]]["phase_ns"] = now
            row.app_due[agent["app"]] = now
        return
    agency["served"] += 1
    agency["wait_ns"] += job["dispatch_ns"] - job["arrive_ns"]
    agency["transfer_ns"] += job["up_ns"] + job["down_ns"]
    agency["process_ns"] += now - job["down_ns"] - job["up_ns"] - job["dispatch_ns"]
    if agent["serial"] != job["serial"]:
        return
    recent = agent["before"] != NONE and now - agent["settled_ns"] <= rules["after_move_ns"]
    if now > job["deadline_ns"] and recent and agent["state"] == LIVING:
        agency["late_after_move"] += 1
    agent["messages"] += 2
    agent["context"] += job["prompt"] + job["units"]
    if agent["context"] > rules["context_tokens"]:
        agent["context"] = min(agent["context"] // 2, rules["context_tokens"])
        agent["messages"] = agent["messages"] // 2


@jit_row
def state_bytes(params, agent):
    """Size of an agent's exported state, bytes."""
    rules = params.agency[0]
    size = rules["state_bytes"] + rules["bytes_per_message"] * agent["messages"]
    return size + rules["bytes_per_token"] * agent["context"]
