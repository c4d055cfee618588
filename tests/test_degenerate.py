"""RUN-13, VAL-21: networks that are hardly any. Unreachable means masked, and nothing shown is ever infinite."""

import networkx as nx
import numpy as np
import pytest
from helpers import Game, RandomLegal
from scipy.sparse.csgraph import dijkstra

from edge_gym.errors import EdgeGymInputError
from edge_gym.kernel.build import World
from edge_gym.network.topology import build_topology
from edge_gym.scenario import Topology
from edge_gym.scenario.presets import preset

GRAPH = """<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><key id="d" for="edge" attr.name="delay_s"
attr.type="double"/><graph edgedefault="undirected">{}</graph></graphml>"""


def from_matrix(tmp_path, *rows):
    """One-way delays between sites and nodes; empty: no connection."""
    path = tmp_path / "net.csv"
    names = ",".join(f"n{k}" for k in range(len(rows[0].split(","))))
    path.write_text("\n".join([f"site,{names}", *(f"s{k},{row}" for k, row in enumerate(rows))]) + "\n")
    return Topology(kind="matrix", path=str(path), allow_disconnected=True)


def from_graph(tmp_path, n_places, links):
    """Places, all of them sites and hosts, and links of 10 ms between them."""
    path = tmp_path / "net.graphml"
    places = "".join(f'<node id="p{k}"/>' for k in range(n_places))
    edges = "".join(f'<edge source="p{a}" target="p{b}"><data key="d">0.01</data></edge>' for a, b in links)
    path.write_text(GRAPH.format(places + edges))
    return Topology(kind="graphml", path=str(path), allow_disconnected=True)


NETWORKS = {  # how many nodes, and the network
    "one node": (1, lambda tmp: Topology(kind="star")),
    "one node for five sites": (1, lambda tmp: Topology(kind="ring", n_sites=5)),
    "no links": (3, lambda tmp: from_graph(tmp, 3, [])),
    "only a loop": (3, lambda tmp: from_graph(tmp, 3, [(0, 0)])),
    "a star without its hub's links": (4, lambda tmp: from_graph(tmp, 5, [(1, 2)])),
    "two halves": (4, lambda tmp: from_graph(tmp, 4, [(0, 1), (2, 3)])),
    "an isolated user": (2, lambda tmp: from_matrix(tmp, "0.01,0.02", ",")),
    "an isolated node": (2, lambda tmp: from_matrix(tmp, "0.01,", "0.02,")),
    "nothing in reach": (2, lambda tmp: from_matrix(tmp, ",", ",")),
    "no delay at all": (3, lambda tmp: Topology(link_delay_s=0.0, access_delay_s=0.0)),
    "a trickle": (2, lambda tmp: Topology(link_bandwidth_bytes_per_s=1.0)),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_run_13_degenerate_networks_are_played_to_the_end(name, tmp_path):
    n_nodes, build = NETWORKS[name]
    scenario = preset("stationary").with_overrides(n_nodes=n_nodes, n_requests=60, drain_s=50.0)
    world = World(scenario.with_overrides(topology=build(tmp_path)))
    game, choose = Game(world, range(4)), RandomLegal(range(4))
    reachable = world.params.link["reachable"] == 1
    while not game.over.all():
        assert np.isfinite(game.obs).all() and game.obs.min() >= 0 and game.obs.max() <= 1
        state = game.batch.state
        for b in np.flatnonzero(~game.over):
            site = state.job[b][state.world["subject"][b]]["site"]
            assert not (game.batch.mask[b, :-1] & ~reachable[site]).any(), "out of reach and yet legal"
        out = game.advance(choose(game.obs, game.batch.mask))
        assert np.isfinite(out.terms).all()
    state = game.batch.state.world
    assert (state["arrived"] == 60).all()
    assert (state["completed"] + state["rejected"] + state["dropped"] == 60).all()
    if not reachable.any():
        assert (state["rejected"] == 60).all()


def test_run_13_a_link_without_bandwidth_is_refused_by_name():
    with pytest.raises(EdgeGymInputError, match="link_bandwidth_bytes_per_s = 0.*>= 1"):
        Topology(link_bandwidth_bytes_per_s=0.0)


@pytest.mark.parametrize("block", range(4))
def test_val_21_delays_are_the_shortest_paths_of_scipy(block):
    """1,000 random networks: what the world uses is what another library's Dijkstra finds."""
    rng = np.random.default_rng(block)
    for _ in range(250):
        kind = ("geometric", "waxman", "metro", "ring")[rng.integers(4)]
        n_sites, n_nodes = int(rng.integers(1, 6)), int(rng.integers(1, 9))
        described = Topology(kind=kind, n_sites=n_sites, seed=int(rng.integers(1000)), access_delay_s=0.0)
        net = build_topology(described, n_nodes)
        places = sorted(net.graph.nodes)
        table = nx.to_scipy_sparse_array(net.graph, nodelist=places, weight="delay_s", format="csr")
        found = dijkstra(table, directed=False, indices=[places.index(int(p)) for p in net.plan.site_place])
        expected = found[:, [places.index(int(p)) for p in net.plan.node_place]]
        np.testing.assert_allclose(net.delay_s, expected, rtol=1e-12)
