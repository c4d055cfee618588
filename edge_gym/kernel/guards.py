"""What binds whoever controls the fast path: gates never leave a model without a node, nor too few nodes open."""

import math

from ._jit import jit_row
from .tables import CLOSED, OPEN

HEALTHY_SPEED = 2.0 / 3.0  # a node at least this fast, with nobody in the foreground, is healthy


@jit_row
def set_gate(row, n, level):
    """Set the risk gate of node `n`."""
    node, world = row.node[n], row.world[0]
    world["closed"] += (1 if level == CLOSED else 0) - (1 if node["gate"] == CLOSED else 0)
    node["gate"] = level


@jit_row
def keep_masked(params, row):
    """What share of the pool's capacity is healthy and closed: the price of caution."""
    world = row.world[0]
    world["closed_share"] = 0.0
    if world["closed"] == 0:
        return
    for n in range(row.node.shape[0]):
        node = row.node[n]
        healthy = node["alive"] == 1 and node["foreground"] == 0 and node["speed"] >= HEALTHY_SPEED
        if healthy and node["gate"] == CLOSED:
            world["closed_share"] += params.node[n]["capacity_share"]


@jit_row
def count_alive(row):
    """Number of live nodes."""
    alive = 0
    for n in range(row.node.shape[0]):
        alive += row.node[n]["alive"]
    return alive


@jit_row
def count_servers(params, row, m):
    """Live nodes that serve model `m` and are not closed."""
    servers = 0
    for n in range(row.node.shape[0]):
        node = row.node[n]
        if node["alive"] == 1 and node["gate"] != CLOSED and params.service[n, m]["supported"] == 1:
            servers += 1
    return servers


@jit_row
def may_close(params, row, n, alive, servers):
    """Whether node `n`, which is not closed, may be.

    Args:
        params: The scenario's tables.
        row: The world.
        n: Node.
        alive: Number of live nodes.
        servers: (M,) live nodes that serve each model and are not closed.
    """
    world, rules = row.world[0], params.rules[0]
    if world["closed"] + 1 > math.floor(rules["max_gated_share"] * alive):
        return False
    if world["turn_closed"] + 1 > max(math.floor(rules["max_gated_a_turn"] * alive), 1):
        return False
    last = 0  # models of which it is the last open server
    for m in range(servers.shape[0]):
        last += 1 if params.service[n, m]["supported"] == 1 and servers[m] < 2 else 0
    return last == 0


@jit_row
def uphold_guards(params, row):
    """A node has left: open gates, the first closed node first, until the guards hold again."""
    world = row.world[0]
    n = 0
    while world["closed"] > 0 and n < row.node.shape[0]:
        most = math.floor(params.rules[0]["max_gated_share"] * count_alive(row))
        if world["closed"] <= most and all_served(params, row):
            return
        if row.node[n]["gate"] == CLOSED:
            set_gate(row, n, OPEN)
            world["interventions"] += 1
        n += 1


@jit_row
def all_served(params, row):
    """Whether every model that a live node serves has one that is not closed."""
    unserved = 0
    for m in range(params.model.shape[0]):
        if count_servers(params, row, m) == 0:
            unserved += 1 if is_served(params, row, m) else 0
    return unserved == 0


@jit_row
def is_served(params, row, m):
    """Whether a live node serves model `m`, closed or not."""
    found = 0
    for n in range(row.node.shape[0]):
        found += 1 if row.node[n]["alive"] == 1 and params.service[n, m]["supported"] == 1 else 0
    return found > 0
