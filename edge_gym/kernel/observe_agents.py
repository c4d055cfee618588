"""What a controller of AI agents sees: the columns of routing for a typical request of the agent, and those below."""

from ._jit import jit_row
from .agent_cost import crowd_cost, lives_at, own_terms, pack, peer_cost, refusal_cost, weigh
from .agents import may_live
from .observe import (
    BACKLOG,
    COLUMNS,
    FORECAST,
    IS_DECLINE,
    LEGAL,
    MODEL,
    N_FEATURES,
    N_TIMES,
    PROMPT,
    RATIO_SCALE,
    TIME_SCALE,
    Column,
    observe,
    payload,
    scale_count,
    scale_times,
    show_home,
)
from .outlook import LOAD, gather, try_home
from .tables import MIGRATION, NO_SUBJECT, NONE, PLACEMENT, REQUEST, SECOND

_COUNT_8 = "n / (n + 8)"
AGENT_COLUMNS = (
    Column("is_placement", "-", "0 or 1", 0, 1, "subject: an agent that lives nowhere yet"),
    Column("is_migration", "-", "0 or 1", 0, 1, "subject: an agent that may move, or has lost its node"),
    Column("need", "-", RATIO_SCALE, 0, 1, "subject: the agent's needs over those of its role (0.5: the same)"),
    Column("rate", "1/s", RATIO_SCALE, 0, 1, "subject: requests for the agent in a second"),
    Column("context", "tokens", "log2(1 + n) / 20", 0, 1, "subject: its context, prefilled again if it moves"),
    Column("unplaced", "agents", _COUNT_8, 0, 1, "subject: agents of its application still to be decided on after it"),
    Column("current", "-", "0 or 1", 0, 1, "the agent lives here"),
    Column("agents", "agents", _COUNT_8, 0, 1, "agents that live on the node, or are on their way to it"),
    Column("shared", "-", "0 or 1", 0, 1, "the agent's model is held on the node already"),
    Column("reserved", "-", "share", 0, 1, "throughput of the node reserved by agents, this one included"),
    Column("memory", "bytes", "share", 0, 1, "memory of the node in use, this one included"),
    Column("storage", "bytes", "share", 0, 1, "storage of the node in use, this one included"),
    Column("agent_price", "USD/h", RATIO_SCALE, 0, 1, "price of the agent here: compute, storage, communication"),
    Column("lived", "s", TIME_SCALE, 0, 1, "subject: time since it came to where it lives"),
    Column("start", "s", TIME_SCALE, 0, 1, "expected: time until it answers from here: start or move, load, prefill"),
    Column("peers", "s", TIME_SCALE, 0, 1, "expected: network time of requests between it and its peers"),
    Column("agent_cost", "1", TIME_SCALE, 0, 1, "the world's own cost of it here; decline row: of declining"),
    Column(
        "outlook",
        "1",
        RATIO_SCALE,
        0,
        1,
        "agent_cost of it and of those to come, put where each then costs least, above the best row",
    ),
    Column("reserved_then", "-", "share", 0, 1, "throughput of the node reserved when all these are placed"),
)
COLUMNS_WITH_AGENTS = COLUMNS + AGENT_COLUMNS
(
    IS_PLACEMENT, IS_MIGRATION, NEED, RATE, CONTEXT, UNPLACED, CURRENT, AGENTS, SHARED, RESERVED, MEMORY, STORAGE,
    AGENT_PRICE, LIVED, START, PEERS, AGENT_COST, OUTLOOK, RESERVED_THEN,
) = range(N_FEATURES, N_FEATURES + len(AGENT_COLUMNS))  # fmt: skip
N_AGENT_TIMES = AGENT_COST - LIVED + 1
T_LIVED, T_START, T_PEERS, T_COST = range(N_AGENT_TIMES)


@jit_row
def observe_agents(params, row, obs, mask, times, come):
    """Describe the pending decision.

    Args:
        params: The scenario's tables.
        row: The world.
        obs: Output, (N + 1, F) float32.
        mask: Output, (N + 1,) bool.
        times: Scratch, ((N + 1) * (N_TIMES + N_AGENT_TIMES),) float32: the times of all rows are scaled in one go.
        come: Scratch, see `outlook`.
    """
    world, n_nodes = row.world[0], row.node.shape[0]
    base, extra = times[: (n_nodes + 1) * N_TIMES], times[(n_nodes + 1) * N_TIMES :]
    kind = world["subject_kind"]
    if kind in (NO_SUBJECT, REQUEST):
        observe(params, row, obs, mask, base)
        for n in range(n_nodes):
            show_lodging(params, row, n, obs[n])
        return
    obs[:] = 0.0
    times[:] = 0.0
    mask[n_nodes] = True
    obs[n_nodes, IS_DECLINE] = 1.0
    obs[n_nodes, LEGAL] = 1.0
    g = world["subject"]
    show_agent(params, row, g, kind, obs)
    role, site = params.role[row.agent[g]["role"]], row.app[row.agent[g]["app"]]["site"]
    m, bag = row.agent[g]["model"], pack(params, row, g)
    bytes_up, bytes_down = payload(params.model[m], role["prompt"], role["units"])
    for n in range(n_nodes):
        here = row.agent[g]["node"] == n
        mask[n] = not here and may_live(params, row, g, n)
        bytes_both, asked, answered = bytes_up + bytes_down, role["prompt"], role["units"]
        show_home(params, row, n, m, site, asked, answered, bytes_both, mask[n], obs[n], base, False)
        show_lodging(params, row, n, obs[n])
        if in_reach(params, row, g, n):
            show_life(params, row, g, n, bag, obs[n], extra)
    add_peers(params, row, g, extra)
    show_refusal(params, row, g, extra)
    show_outlook(params, row, g, mask, extra, come, obs)
    scale_times(times)
    for n in range(n_nodes + 1):
        for k in range(N_TIMES):
            obs[n, BACKLOG + k] = base[n * N_TIMES + k]
        for k in range(N_AGENT_TIMES):
            obs[n, LIVED + k] = extra[n * N_AGENT_TIMES + k]


@jit_row
def in_reach(params, row, g, n):
    """Whether node `n` serves the model of agent `g` and is in reach of its user: else it has no cost there."""
    site = row.app[row.agent[g]["app"]]["site"]
    return params.service[n, row.agent[g]["model"]]["supported"] == 1 and params.link[site, n]["reachable"] == 1


@jit_row
def show_agent(params, row, g, kind, obs):
    """The columns about the agent, the same in every row."""
    agent = row.agent[g]
    role, n_nodes = params.role[agent["role"]], row.node.shape[0]
    rate = agent["need"] * role["rate_per_s"]
    unplaced = 0
    k = row.agency[0]["ask_head"]
    while k != NONE and row.agent[k]["app"] == agent["app"]:
        unplaced += 1
        k = row.agent[k]["next"]
    model, prompt, units = (agent["model"] + 1.0) / params.model.shape[0], role["prompt"], role["units"]
    asked, answered, context = scale_count(prompt), scale_count(units), scale_count(agent["context"])
    need, rated, more = agent["need"] / (1.0 + agent["need"]), rate / (1.0 + rate), unplaced / (unplaced + 8.0)
    for n in range(n_nodes + 1):
        out = obs[n]
        out[MODEL] = model
        out[PROMPT] = asked
        out[FORECAST] = answered
        out[IS_PLACEMENT] = 1.0 if kind == PLACEMENT else 0.0
        out[IS_MIGRATION] = 1.0 if kind == MIGRATION else 0.0
        out[NEED] = need
        out[RATE] = rated
        out[CONTEXT] = context
        out[UNPLACED] = more


@jit_row
def show_lodging(params, row, n, out):
    """What agents hold of node `n`."""
    lodging, node = row.lodging[n], row.node[n]
    out[AGENTS] = lodging["agents"] / (lodging["agents"] + 8.0)
    out[RESERVED] = min(lodging["load"], 1.0)
    out[MEMORY] = min(node["memory_busy_bytes"] / params.node[n]["memory_bytes"], 1.0)
    out[STORAGE] = min(lodging["storage_bytes"] / params.host[n]["storage_bytes"], 1.0)


@jit_row
def show_life(params, row, g, n, bag, out, times):
    """Row `n`: what it would be like if agent `g` lived there."""
    agent, lodging, node = row.agent[g], row.lodging[n], row.node[n]
    role, here = params.role[agent["role"]], agent["node"] == n
    held = row.pair[n, agent["model"]]["outstanding"] > 0
    if not here:
        weights = 0.0 if held else float(params.model[agent["model"]]["weights_bytes"])
        memory = node["memory_busy_bytes"] + agent["need"] * role["memory_bytes"] + weights
        out[RESERVED] = min(lodging["load"] + agent["need"] * params.need[agent["role"], n]["load"], 1.0)
        out[MEMORY] = min(memory / params.node[n]["memory_bytes"], 1.0)
        out[STORAGE] = min((lodging["storage_bytes"] + role["image_bytes"]) / params.host[n]["storage_bytes"], 1.0)
    out[CURRENT] = 1.0 if here else 0.0
    out[SHARED] = 1.0 if held else 0.0
    transfer, start, processing, compute, kept, communication, starts = own_terms(params, row, g, n, bag)
    usd_per_s = compute + kept + communication
    at = n * N_AGENT_TIMES
    out[AGENT_PRICE] = usd_per_s * 3600.0 / (1.0 + usd_per_s * 3600.0)
    times[at + T_LIVED] = (row.world[0]["now_ns"] - agent["settled_ns"]) / SECOND
    times[at + T_START] = starts
    times[at + T_COST] = weigh(params, transfer + start + processing, usd_per_s) + crowd_cost(params, row, g, n)


@jit_row
def add_peers(params, row, g, times):
    """What agent `g` would have to say to its parent and its children, wherever it lived."""
    agent, most = row.agent[g], params.agency[0]["most_agents"]
    if agent["parent"] != NONE and lives_at(row, agent["parent"]) != NONE:
        add_peer(params, row, g, g, lives_at(row, agent["parent"]), times)
    first = agent["app"] * most
    for child in range(first, first + row.app[agent["app"]]["n_agents"]):
        if row.agent[child]["parent"] == g and lives_at(row, child) != NONE:
            add_peer(params, row, g, child, lives_at(row, child), times)


@jit_row
def add_peer(params, row, g, speaker, peer_n, times):
    """Agent `speaker`, either `g` or its child, speaks: from each node as the home of `g` to or from node `peer_n`."""
    for n in range(row.node.shape[0]):
        at = n * N_AGENT_TIMES
        if in_reach(params, row, g, n):
            cost, seconds = peer_cost(params, row, speaker, n, peer_n)
            times[at + T_PEERS] += seconds
            times[at + T_COST] += cost


@jit_row
def show_refusal(params, row, g, times):
    """The row of declining: an agent that lives somewhere stays, one that does not has its requests charged.

    So has one that lives where its user has come out of reach.
    """
    agent, n_nodes = row.agent[g], row.node.shape[0]
    at = n_nodes * N_AGENT_TIMES
    times[at + T_COST] = refusal_cost(params, row, g)
    if agent["node"] != NONE:
        if in_reach(params, row, g, agent["node"]):
            times[at + T_COST] = times[agent["node"] * N_AGENT_TIMES + T_COST]
        times[at + T_LIVED] = (row.world[0]["now_ns"] - agent["settled_ns"]) / SECOND


@jit_row
def show_outlook(params, row, g, mask, times, come, obs):
    """The columns about those to come; `times` are not scaled yet."""
    n_nodes, count = row.node.shape[0], gather(params, row, g, come)
    cheapest = n_nodes
    for n in range(n_nodes):
        if mask[n] and times[n * N_AGENT_TIMES + T_COST] < times[cheapest * N_AGENT_TIMES + T_COST]:
            cheapest = n
    least = try_row(params, row, count, cheapest, True, times, come, obs)
    for n in range(n_nodes + 1):
        if mask[n] and n != cheapest:
            least = min(least, try_row(params, row, count, n, False, times, come, obs))
    for n in range(n_nodes + 1):
        above = come.cost[n] - least
        obs[n, OUTLOOK] = above / (1.0 + above) if mask[n] else 1.0


@jit_row
def try_row(params, row, count, n, is_first, times, come, obs):
    """Row `n` is chosen; returns the cost rate of all. With nobody to come, that is the subject's."""
    come.cost[n] = times[n * N_AGENT_TIMES + T_COST]
    is_node = n < row.node.shape[0]
    if count > 1:
        come.cost[n] += try_home(params, row, come, count, n if is_node else NONE, is_first)
        if is_node:
            obs[n, RESERVED_THEN] = min(come.taken[n, LOAD], 1.0)
    elif is_node:
        obs[n, RESERVED_THEN] = obs[n, RESERVED]
    return come.cost[n]
