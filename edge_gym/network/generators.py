"""Generators of networks. Each returns a plan: places, links between them, and the place of each site and node."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph
from scipy.spatial import cKDTree

from edge_gym.errors import EdgeGymInputError
from edge_gym.network.cities import CITIES, fibre_delay_s, map_xy
from edge_gym.scenario import Topology

MAX_WAXMAN_PLACES = 20_000  # looks at every pair
CORE_BANDWIDTH_RATIO = 10.0  # metro: links to the core carry the traffic of several access sites


@dataclass(eq=False, kw_only=True)
class Plan:
    """Places joined by links; several sites and nodes may share a place.

    Attributes:
        names: Name of each place.
        xy: Position of each place, (n_places, 2) in [0, 1].
        link_u: First place of each link.
        link_v: Second place of each link; links go both ways, and no two join the same places.
        link_delay_s: One-way seconds of each link.
        link_bandwidth: Bytes/s of each link.
        site_place: Place of each site.
        node_place: Place of each node.
        site_share: Weight of the users at each site, > 0.
        lan_bandwidth: Bytes/s at one place.
        measured_s: Measured one-way seconds, (n_sites, n_nodes); they stand, even where a detour would be faster.
        where: The file it came from, or "".
    """

    names: tuple[str, ...]
    xy: np.ndarray
    link_u: np.ndarray
    link_v: np.ndarray
    link_delay_s: np.ndarray
    link_bandwidth: np.ndarray
    site_place: np.ndarray
    node_place: np.ndarray
    site_share: np.ndarray
    lan_bandwidth: float
    measured_s: np.ndarray | None = None
    where: str = ""

    def site_names(self) -> tuple[str, ...]:
        """Returns the names of the sites' places."""
        return tuple(self.names[place] for place in self.site_place)


def make_plan(topology: Topology, names, xy, links, site_place, node_place, bandwidth=1.0, share=None) -> Plan:
    """Builds a plan out of `links`, an (n, 3) array of places u, v and delay; `bandwidth` is relative to a link's."""
    table = np.asarray(links, dtype=np.float64).reshape(-1, 3)
    width = np.broadcast_to(topology.link_bandwidth_bytes_per_s * np.asarray(bandwidth, dtype=np.float64), len(table))
    return Plan(
        names=tuple(names),
        xy=np.asarray(xy, dtype=np.float64),
        link_u=table[:, 0].astype(np.int64),
        link_v=table[:, 1].astype(np.int64),
        link_delay_s=table[:, 2],
        link_bandwidth=width.copy(),
        site_place=np.asarray(site_place, dtype=np.int64),
        node_place=np.asarray(node_place, dtype=np.int64),
        site_share=np.ones(len(site_place)) if share is None else np.asarray(share, dtype=np.float64),
        lan_bandwidth=topology.link_bandwidth_bytes_per_s,
    )


def circle(n: int, radius: float = 0.45) -> np.ndarray:
    """Returns `n` points on a circle around (0.5, 0.5), (n, 2)."""
    angle = 2 * math.pi * np.arange(n) / max(n, 1)
    return 0.5 + radius * np.c_[np.cos(angle), np.sin(angle)]


def star(topology: Topology, n_nodes: int) -> Plan:
    """One hub; each site and each node hangs on a link of its own."""
    n_sites, hub = topology.n_sites, topology.n_sites + n_nodes
    names = [f"site_{i}" for i in range(n_sites)] + [f"node_{i}" for i in range(n_nodes)] + ["hub"]
    links = [(leaf, hub, topology.link_delay_s) for leaf in range(hub)]
    xy = np.r_[circle(n_sites, 0.2), circle(n_nodes), [[0.5, 0.5]]]
    return make_plan(topology, names, xy, links, range(n_sites), range(n_sites, hub))


def ring(topology: Topology, n_nodes: int) -> Plan:
    """A ring of `n_sites` offices; node `i` stands in office `i % n_sites`."""
    n = topology.n_sites
    n_links = n if n > 2 else n - 1
    links = [(i, (i + 1) % n, topology.link_delay_s) for i in range(n_links)]
    names = [f"site_{i}" for i in range(n)]
    return make_plan(topology, names, circle(n), links, range(n), np.arange(n_nodes) % n)


def metro(topology: Topology, n_nodes: int) -> Plan:
    """A tree: access sites, one aggregation site above each `branching` of them, one core.

    A link to the core has twice the delay and ten times the bandwidth. The seed deals the nodes: three fifths to the
    access sites, one quarter to aggregation, the rest to the core.
    """
    n_sites = topology.n_sites
    n_hubs = -(-n_sites // topology.branching)
    core = n_sites + n_hubs
    parent = n_sites + np.arange(n_sites) // topology.branching
    links = [(i, int(parent[i]), topology.link_delay_s) for i in range(n_sites)]
    links += [(n_sites + h, core, 2 * topology.link_delay_s) for h in range(n_hubs)]
    names = [f"site_{i}" for i in range(n_sites)] + [f"hub_{h}" for h in range(n_hubs)] + ["core"]
    xy = np.r_[circle(n_sites), circle(n_hubs, 0.22), [[0.5, 0.5]]]
    bandwidth = np.r_[np.ones(n_sites), np.full(n_hubs, CORE_BANDWIDTH_RATIO)]
    level = np.empty(n_nodes, dtype=np.int64)
    level[draw_order(topology.seed, n_nodes)] = np.arange(n_nodes)
    # in round numbers rather than by chance, so that few nodes are not all on one level
    n_access, n_middle = round(0.6 * n_nodes), round(0.25 * n_nodes)
    place = np.where(level < n_access + n_middle, n_sites + (level - n_access) % n_hubs, core)
    place = np.where(level < n_access, level % n_sites, place)
    return make_plan(topology, names, xy, links, range(n_sites), place, bandwidth)


def draw_order(seed: int, n: int) -> np.ndarray:
    """Returns a permutation of range(n); only `random()` is used, whose stream NumPy keeps."""
    return np.argsort(np.random.default_rng([seed, 1]).random(n), kind="stable")


def cities(topology: Topology, n_nodes: int) -> Plan:
    """The first `n_sites` of the built-in cities, fully meshed by fibre; node `i` stands in city `i % n_sites`."""
    if topology.n_sites > len(CITIES):
        raise EdgeGymInputError("n_sites", topology.n_sites, f"<= {len(CITIES)} for cities", "Topology")
    chosen = CITIES[: topology.n_sites]
    n = len(chosen)
    links = [
        (i, j, fibre_delay_s((a.latitude, a.longitude), (b.latitude, b.longitude)))
        for i, a in enumerate(chosen)
        for j, b in enumerate(chosen[:i])
    ]
    xy = [map_xy(c.latitude, c.longitude) for c in chosen]
    share = [c.population_m for c in chosen]
    return make_plan(topology, [c.name for c in chosen], xy, links, range(n), np.arange(n_nodes) % n, share=share)


def geometric(topology: Topology, n_nodes: int) -> Plan:
    """Each node at a random place on the unit square, linked to all within the radius that gives the mean degree."""
    xy = np.random.default_rng([topology.seed, 0]).random((n_nodes, 2))
    radius = math.sqrt(topology.degree / (math.pi * max(n_nodes - 1, 1)))  # ignores the border, where there are fewer
    pairs = cKDTree(xy).query_pairs(radius, output_type="ndarray") if n_nodes > 1 else np.empty((0, 2), dtype=np.int64)
    return _random_plan(topology, xy, pairs[np.lexsort((pairs[:, 1], pairs[:, 0]))])


def waxman(topology: Topology, n_nodes: int) -> Plan:
    """Random places; two are linked with probability c exp(-distance / (decay * longest)), c set by the mean degree."""
    if n_nodes > MAX_WAXMAN_PLACES:
        raise EdgeGymInputError(
            "pool.n_nodes", n_nodes, f"<= {MAX_WAXMAN_PLACES} for waxman", "Topology", "use geometric"
        )
    rng = np.random.default_rng([topology.seed, 0])
    xy = rng.random((n_nodes, 2))
    scale = topology.decay * math.sqrt(2.0)

    def weights(i: int) -> np.ndarray:
        return np.exp(-np.hypot(*(xy[i + 1 :] - xy[i]).T) / scale)

    total = sum(float(weights(i).sum()) for i in range(n_nodes))
    factor = topology.degree * n_nodes / 2 / total if total else 0.0
    pairs = []
    for i in range(n_nodes):
        others = i + 1 + np.flatnonzero(rng.random(n_nodes - i - 1) < factor * weights(i))
        pairs.append(np.c_[np.full(len(others), i), others])
    return _random_plan(topology, xy, np.concatenate(pairs))


def _random_plan(topology: Topology, xy: np.ndarray, pairs: np.ndarray) -> Plan:
    """Joins the components and puts the sites at random nodes; a link of length 1 has the delay `link_delay_s`."""
    n = len(xy)
    pairs = np.r_[pairs, joining_links(xy, pairs)].astype(np.int64)
    length = np.hypot(*(xy[pairs[:, 0]] - xy[pairs[:, 1]]).T)
    sites = np.resize(draw_order(topology.seed, n), topology.n_sites)
    links = np.c_[pairs, topology.link_delay_s * length]
    return make_plan(topology, [f"place_{i}" for i in range(n)], xy, links, sites, np.arange(n))


def joining_links(xy: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Returns the shortest link from each smaller component to the largest one, (n, 2)."""
    graph = sparse.coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(len(xy),) * 2)
    component = csgraph.connected_components(graph, directed=False)[1]
    largest = np.flatnonzero(component == np.argmax(np.bincount(component)))
    distance, nearest = cKDTree(xy[largest]).query(xy)
    order = np.lexsort((distance, component))  # first of each component: its place nearest to the largest one
    first = order[np.unique(component[order], return_index=True)[1]]
    first = first[distance[first] > 0]  # the largest component itself is at distance 0
    return np.c_[first, largest[nearest[first]]]


GENERATORS: dict[str, Callable[[Topology, int], Plan]] = {
    "star": star,
    "ring": ring,
    "metro": metro,
    "geometric": geometric,
    "waxman": waxman,
    "cities": cities,
}
