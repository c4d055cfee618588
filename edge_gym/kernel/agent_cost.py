"""What it costs to let an AI agent live on a node, as the world's own cost function sees it now (`assignment.py`).

It stands on priors, on measured slowdowns and on what is reserved: on nothing that a controller could not know.
"""

from typing import NamedTuple

from ._jit import jit_row
from .agents import state_bytes
from .assignment import crowd
from .nodes import nominal_work_s
from .observe import load_left_s
from .tables import ABSENT, NONE, SECOND, TOKENS
from .telemetry import slowdown

_PER_SECOND = 1.0 / SECOND


class Luggage(NamedTuple):
    """What is the same of an agent wherever it goes: reckoned once for all nodes."""

    image: float  # bytes of software that travel
    sent: float  # bytes that travel in all
    export_s: float  # time to write its state down
    import_s: float  # time to read it
    rate: float  # requests a second
    per_stay: float  # one over how long it is expected to stay, 1/s
    storage: float  # price of its image on storage, US dollars a second


@jit_row
def pack(params, row, g):
    """The luggage of agent `g`."""
    agent, rules = row.agent[g], params.agency[0]
    role, state = params.role[agent["role"]], state_bytes(params, agent)
    export_s, import_s = 0.0, 0.0
    if agent["node"] != NONE:
        export_s = rules["export_s"] + rules["export_s_per_byte"] * state
    if agent["node"] != NONE or agent["messages"] > 0:
        import_s = rules["import_s"] + rules["import_s_per_byte"] * state
    rate, storage = agent["need"] * role["rate_per_s"], role["image_bytes"] * rules["usd_per_byte_s"]
    image, sent = image_of(params, agent), sent_bytes(params, agent)
    return Luggage(image, sent, export_s, import_s, rate, 1.0 / rules["stay_s"], storage)


@jit_row
def start_s(params, row, g, n, bag):
    """Expected time until agent `g` answers from node `n`, seconds: its start, or its move from where it lives."""
    agent = row.agent[g]
    if agent["node"] == n:
        return 0.0
    m = agent["model"]
    if agent["node"] != NONE:
        cable = params.cable[agent["node"], n]
        seconds = bag.export_s + 0.5 * cable["rtt_s"] + bag.sent * cable["s_per_byte"]
    else:
        link = params.link[row.app[agent["app"]]["site"], n]
        seconds = link["delay_ns"] * _PER_SECOND + bag.sent * link["s_per_byte"]
    model_s = load_left_s(params, row, n, m)
    if row.pair[n, m]["residency"] == ABSENT:  # it is read when the agent has come, beside the image and the state
        load_s = params.service[n, m]["load_ns"] * _PER_SECOND
        model_s = max(model_s - load_s, seconds) + load_s
    seconds += image_s(params.agency[0], params.host[n], bag.image) + bag.import_s
    return max(seconds, model_s) + prefill_s(params, row, g, n)


@jit_row
def image_of(params, agent):
    """Bytes of the image that travels if agent `g` starts or moves now: none in a lightweight migration."""
    stays = agent["node"] != NONE and params.agency[0]["full"] == 0
    return 0.0 if stays else params.role[agent["role"]]["image_bytes"]


@jit_row
def sent_bytes(params, agent):
    """Bytes that travel if an agent starts or moves now."""
    has_state = agent["node"] != NONE or agent["messages"] > 0
    return image_of(params, agent) + (state_bytes(params, agent) if has_state else 0.0)


@jit_row
def move_usd(params, agent, n, sent):
    """Price of `sent` bytes if an agent moves to node `n`, US dollars; images for a start are at every site."""
    if agent["node"] == n or agent["node"] == NONE:
        return 0.0
    return sent * params.cable[agent["node"], n]["usd_per_byte"]


@jit_row
def image_s(rules, host, image_bytes):
    """Time to put an image on storage and start its process, seconds; nothing to do without one."""
    return image_bytes * host["storage_s_per_byte"] + rules["startup_s"] if image_bytes > 0.0 else 0.0


@jit_row
def prefill_s(params, row, g, n):
    """Expected time to prefill the context of agent `g` on node `n`, seconds."""
    agent = row.agent[g]
    m = agent["model"]
    if params.model[m]["kind"] != TOKENS or agent["context"] == 0:
        return 0.0
    return nominal_work_s(params.service[n, m], agent["context"], 1) * slowdown(row.node[n], row.pair[n, m])


@jit_row
def own_terms(params, row, g, n, bag):
    """Cost rates of agent `g` on node `n`, a node that serves its model and is in reach; no crowding, no peers.

    Args:
        params: The scenario's tables.
        row: The world.
        g: Row of the agent.
        n: The node.
        bag: Its luggage.

    Returns:
        The terms in the order of `COST_TERMS`, unweighted, and the expected time until it answers from there.
    """
    agent, rate = row.agent[g], bag.rate
    role, need, here = params.role[agent["role"]], agent["need"], params.need[agent["role"], n]
    site = row.app[agent["app"]]["site"]
    link = params.link[site, n]
    starts = start_s(params, row, g, n, bag)
    slow = slowdown(row.node[n], row.pair[n, agent["model"]])
    transfer = rate * (2.0 * link["delay_ns"] * _PER_SECOND + role["request_bytes"] * link["s_per_byte"])
    start = rate * starts * starts * 0.5 * bag.per_stay  # who asks meanwhile waits half of it in the mean
    processing = rate * here["work_s"] * slow
    communication = rate * role["request_bytes"] * site_usd_per_byte(params, site, n)
    communication += move_usd(params, agent, n, bag.sent) * bag.per_stay
    return transfer, start, processing, need * here["usd_per_s"], bag.storage, communication, starts


@jit_row
def weigh(params, request_seconds, usd):
    """Weighted sum of a rate of request-seconds and a rate of US dollars."""
    rules = params.rules[0]
    return rules["weight_latency"] * request_seconds + rules["weight_cost"] * usd


@jit_row
def site_usd_per_byte(params, site, n):
    """Price of a byte between a user at a site and a node: free on the site's own nodes."""
    return 0.0 if params.node[n]["home"] == site else params.agency[0]["usd_per_byte"]


@jit_row
def peer_cost(params, row, g, n, peer_n):
    """Cost rate of what agent `g` on node `n` and its parent on node `peer_n` say to each other, and its delay in s.

    Returns:
        Weighted cost rate; seconds that one request of `g` spends on it.
    """
    agent = row.agent[g]
    role, cable = params.role[agent["role"]], params.cable[n, peer_n]
    rate = agent["need"] * role["rate_per_s"]
    seconds = role["peer_rounds"] * cable["rtt_s"] + role["peer_bytes"] * cable["s_per_byte"]
    usd = role["peer_bytes"] * cable["usd_per_byte"]
    return weigh(params, rate * seconds, rate * usd), seconds


@jit_row
def lives_at(row, g):
    """Where agent `g` lives or will live, NONE if nowhere."""
    agent = row.agent[g]
    return agent["target"] if agent["target"] != NONE else agent["node"]


@jit_row
def crowd_cost(params, row, g, n):
    """By how much the crowding on node `n` costs more with agent `g` than without."""
    agent, before = row.agent[g], row.lodging[n]["load"]
    load = agent["need"] * params.need[agent["role"], n]["load"]
    if agent["node"] == n:
        before = max(before - load, 0.0)
    return params.rules[0]["weight_latency"] * (crowd(before + load) - crowd(before))


@jit_row
def refusal_cost(params, row, g):
    """Cost rate of not letting agent `g` live anywhere: its requests are charged as dropped."""
    agent, rules = row.agent[g], params.rules[0]
    rate = agent["need"] * params.role[agent["role"]]["rate_per_s"]
    charge_s = rules["drop_charge"] * params.model[agent["model"]]["deadline_ns"] / SECOND
    per_request = rules["weight_latency"] * charge_s + rules["weight_drop"] + rules["weight_slo_miss"]
    return rate * per_request


@jit_row
def home_cost(params, row, g, n):
    """The world's own cost of agent `g` on node `n`: its own cost, crowding, and what it says to its peers."""
    transfer, start, processing, compute, storage, communication, _ = own_terms(params, row, g, n, pack(params, row, g))
    cost = weigh(params, transfer + start + processing, compute + storage + communication)
    cost += crowd_cost(params, row, g, n)
    agent, most = row.agent[g], params.agency[0]["most_agents"]
    if agent["parent"] != NONE and lives_at(row, agent["parent"]) != NONE:
        cost += peer_cost(params, row, g, n, lives_at(row, agent["parent"]))[0]
    first = agent["app"] * most
    for child in range(first, first + row.app[agent["app"]]["n_agents"]):
        if row.agent[child]["parent"] == g and lives_at(row, child) != NONE:
            cost += peer_cost(params, row, child, lives_at(row, child), n)[0]
    return cost
