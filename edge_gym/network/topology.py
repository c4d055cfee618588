"""Delay and bandwidth between the sites, where users attach, and the nodes.

A plan (places joined by links, each site and each node at a place) comes from a generator in `generators.py` or from a
file; this module finds the delay-shortest paths. A message takes the delay of the path plus its bytes over the
bandwidth of the narrowest link on it; a node at the very place of the site is reached over the local network.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import networkx as nx
import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from edge_gym.errors import EdgeGymInputError
from edge_gym.network.generators import GENERATORS, Plan
from edge_gym.network.graphml import graphml_plan
from edge_gym.network.matrix import matrix_plan
from edge_gym.scenario import Topology

FILES = {"graphml": graphml_plan, "matrix": matrix_plan}
MAX_PAIRS = 20_000_000  # sites x nodes; two matrices of 160 MB
MAX_ALL_PAIRS_NODES = 10_000  # all pairs of nodes: 800 MB


@dataclass(eq=False, kw_only=True)
class Network:
    """What the network does to messages.

    Attributes:
        delay_s: One-way seconds from the user of a site to a node, (n_sites, n_nodes) float64; inf where unreachable.
        bandwidth: Bytes/s of the narrowest link of that path, (n_sites, n_nodes) float64; 0 where unreachable.
        site_names: Name of each site.
        site_share: Share of the users at each site, (n_sites,), sums to 1.
        site_xy: Position of each site for drawing, (n_sites, 2) in [0, 1].
        node_xy: Position of each node for drawing, (n_nodes, 2) in [0, 1].
        plan: What the network was made from.
    """

    delay_s: np.ndarray
    bandwidth: np.ndarray
    site_names: tuple[str, ...]
    site_share: np.ndarray
    site_xy: np.ndarray
    node_xy: np.ndarray
    plan: Plan

    @cached_property
    def _between_nodes(self) -> tuple[np.ndarray, np.ndarray]:
        n_nodes = self.delay_s.shape[1]
        if n_nodes > MAX_ALL_PAIRS_NODES:
            raise EdgeGymInputError("pool.n_nodes", n_nodes, f"<= {MAX_ALL_PAIRS_NODES} for delays between all nodes")
        return paths(self.plan, self.plan.node_place, self.plan.node_place)

    def node_delay_s(self) -> np.ndarray:
        """Returns the one-way seconds between any two nodes, (n_nodes, n_nodes); computed once, at the first call."""
        return self._between_nodes[0]

    def node_bandwidth(self) -> np.ndarray:
        """Returns the bytes/s of the narrowest link between any two nodes, (n_nodes, n_nodes)."""
        return self._between_nodes[1]

    @cached_property
    def graph(self) -> nx.Graph:
        """The places and links as a graph, with `xy`, `delay_s` and `bandwidth` attributes, for drawing."""
        graph = nx.Graph()
        plan = self.plan
        graph.add_nodes_from((i, {"name": name, "xy": tuple(plan.xy[i])}) for i, name in enumerate(plan.names))
        graph.add_edges_from(
            (int(u), int(v), {"delay_s": float(d), "bandwidth": float(b)})
            for u, v, d, b in zip(plan.link_u, plan.link_v, plan.link_delay_s, plan.link_bandwidth, strict=True)
        )
        return graph


def build_topology(topology: Topology, n_nodes: int) -> Network:
    """Builds the network of a scenario.

    Args:
        topology: The description; the same one gives the same network.
        n_nodes: Number of nodes to place, >= 1.

    Raises:
        EdgeGymInputError: A file that is not acceptable, a network too large, or an unreachable node.
    """
    plan = (FILES.get(topology.kind) or GENERATORS[topology.kind])(topology, n_nodes)
    n_pairs = len(plan.site_place) * n_nodes
    if n_pairs > MAX_PAIRS:
        raise EdgeGymInputError("n_sites", n_pairs, f"such that sites x nodes <= {MAX_PAIRS}", "Topology")
    if plan.measured_s is None:
        delay_s, bandwidth = paths(plan, plan.site_place, plan.node_place)
    else:
        delay_s, bandwidth = plan.measured_s, np.where(np.isfinite(plan.measured_s), plan.lan_bandwidth, 0.0)
    delay_s = delay_s + topology.access_delay_s
    if not topology.allow_disconnected:
        _check_connected(plan, delay_s)
    return Network(
        delay_s=delay_s,
        bandwidth=bandwidth,
        site_names=plan.site_names(),
        site_share=plan.site_share / plan.site_share.sum(),
        site_xy=plan.xy[plan.site_place],
        node_xy=spread(plan.xy, plan.node_place),
        plan=plan,
    )


def paths(plan: Plan, sources: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns delay and bottleneck bandwidth of the delay-shortest path from each source place to each target place."""
    n = len(plan.names)
    rows, columns = np.r_[plan.link_u, plan.link_v], np.r_[plan.link_v, plan.link_u]
    # scipy keeps a stored zero as a link without delay
    graph = sparse.csr_array((np.tile(plan.link_delay_s, 2), (rows, columns)), shape=(n, n))
    starts, which = np.unique(sources, return_inverse=True)
    distance, parent = csgraph.dijkstra(graph, indices=starts, return_predecessors=True)
    narrowest = _narrowest(plan, parent)
    narrowest[~np.isfinite(distance)] = 0.0
    pick = np.ix_(which, targets)
    return distance[pick], narrowest[pick]


def _narrowest(plan: Plan, parent: np.ndarray) -> np.ndarray:
    """Returns the narrowest link from each start to each place along the tree of `parent` (negative at the root)."""
    n = parent.shape[1]
    places = np.broadcast_to(np.arange(n), parent.shape)
    has_parent = parent >= 0
    up = np.where(has_parent, parent, places)
    narrowest = np.full(parent.shape, plan.lan_bandwidth)
    narrowest[has_parent] = _link_bandwidth(plan, up[has_parent], places[has_parent])
    # Pointer jumping: after k rounds an entry covers 2^k links, so log2 of the longest path is enough.
    while True:
        above = np.take_along_axis(up, up, axis=1)
        narrowest = np.minimum(narrowest, np.take_along_axis(narrowest, up, axis=1))
        if np.array_equal(above, up):
            return narrowest
        up = above


def _link_bandwidth(plan: Plan, u: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Returns the bandwidth of the links between the places `u` and `v`, which exist."""
    n = len(plan.names)
    keys = np.minimum(plan.link_u, plan.link_v) * n + np.maximum(plan.link_u, plan.link_v)
    order = np.argsort(keys)
    found = np.searchsorted(keys, np.minimum(u, v) * n + np.maximum(u, v), sorter=order)
    return plan.link_bandwidth[order[found]]


def _check_connected(plan: Plan, delay_s: np.ndarray) -> None:
    unreachable = ~np.isfinite(delay_s)
    if not unreachable.any():
        return
    site, node = (int(i) for i in np.argwhere(unreachable)[0])
    graph = sparse.coo_array((np.ones(len(plan.link_u)), (plan.link_u, plan.link_v)), shape=(len(plan.names),) * 2)
    sizes = np.sort(np.bincount(csgraph.connected_components(graph, directed=False)[1]))[::-1]
    shown = ", ".join(str(int(size)) for size in sizes[:8])
    raise EdgeGymInputError(
        "topology",
        f"{len(sizes)} components of {shown} places",
        "connected, or allow_disconnected: true",
        plan.where,
        f"{int(unreachable.sum())} pairs unreachable, first site {plan.site_names()[site]} and node {node}",
    )


def spread(xy: np.ndarray, node_place: np.ndarray) -> np.ndarray:
    """Returns a position for each node: its place, or a small spiral around it where several nodes share the place."""
    order = np.argsort(node_place, kind="stable")
    counts = np.bincount(node_place, minlength=len(xy))
    rank = np.empty(len(node_place), dtype=np.int64)
    rank[order] = np.concatenate([np.arange(c) for c in counts])
    angle = rank * 2.399963  # golden angle: no two fall on a line
    radius = np.where(counts[node_place] > 1, 0.06 * np.sqrt((rank + 0.5) / counts[node_place]), 0.0)
    offset = radius[:, None] * np.c_[np.cos(angle), np.sin(angle)]
    return np.clip(xy[node_place] + offset, 0.0, 1.0)
