"""Networks: by hand, against networkx, large, and from files nobody trusts (BAD-26 to BAD-31, SEC-07, SEC-08)."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from processor_time import takes_at_most

from edge_gym.errors import EdgeGymInputError
from edge_gym.network.cities import CITIES, great_circle_km
from edge_gym.network.generators import GENERATORS
from edge_gym.network.topology import build_topology
from edge_gym.scenario import Topology

GRAPHML = """<?xml version="1.0" encoding="utf-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
  <key attr.name="LinkSpeedRaw" attr.type="double" for="edge" id="d1" />
  <key attr.name="latency" attr.type="double" for="edge" id="d2" />
  <key attr.name="label" attr.type="string" for="node" id="d3" />
  <key attr.name="Latitude" attr.type="double" for="node" id="d4" />
  <key attr.name="Longitude" attr.type="double" for="node" id="d5" />
  <key attr.name="role" attr.type="string" for="node" id="d6" />
  <graph edgedefault="undirected">
    <node id="0"><data key="d3">Alpha</data><data key="d6">site</data></node>
    <node id="1"><data key="d3">Beta</data><data key="d6">transit</data></node>
    <node id="2"><data key="d3">Gamma</data><data key="d6">both</data></node>
    <edge source="0" target="1"><data key="d1">8e9</data><data key="d2">0.001</data></edge>
    <edge source="1" target="2"><data key="d1">8e6</data><data key="d2">0.002</data></edge>
    <edge source="0" target="2"><data key="d2">0.004</data></edge>
    <edge source="2" target="0"><data key="d2">0.5</data></edge>
    <edge source="1" target="1" />
  </graph>
</graphml>
"""


def write(tmp_path, text, name="net.graphml"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


@pytest.fixture
def graphml(tmp_path):
    def build(text=GRAPHML, n_nodes=2, **options):
        path = write(tmp_path, text)
        return build_topology(Topology(kind="graphml", path=path, access_delay_s=0.0, **options), n_nodes)

    return build


@pytest.mark.parametrize("n_nodes", [1, 2, 3, 50])
@pytest.mark.parametrize("n_sites", [1, 2, 5])
@pytest.mark.parametrize("kind", GENERATORS)
def test_generators_agree_with_networkx(kind, n_sites, n_nodes):
    net = build_topology(Topology(kind=kind, n_sites=n_sites, access_delay_s=0.25), n_nodes)
    assert net.delay_s.shape == net.bandwidth.shape == (n_sites, n_nodes)
    assert net.site_xy.shape == (n_sites, 2) and net.node_xy.shape == (n_nodes, 2)
    for array in (net.site_xy, net.node_xy):
        assert array.min() >= 0 and array.max() <= 1
    assert net.site_share.sum() == pytest.approx(1) and len(net.site_names) == n_sites
    assert (net.bandwidth > 0).all() and np.isfinite(net.bandwidth).all()
    for s, place in enumerate(net.plan.site_place):
        reference = nx.single_source_dijkstra_path_length(net.graph, int(place), weight="delay_s")
        expected = [reference[int(p)] + 0.25 for p in net.plan.node_place]
        np.testing.assert_allclose(net.delay_s[s], expected, rtol=1e-12)
    between = net.node_delay_s()
    np.testing.assert_allclose(between, between.T, rtol=1e-12)
    assert between.shape == (n_nodes, n_nodes) and (np.diag(between) == 0).all()


@pytest.mark.parametrize("kind", GENERATORS)
def test_the_same_description_gives_the_same_network(kind):
    first, again = (build_topology(Topology(kind=kind, n_sites=3, seed=7), 40) for _ in range(2))
    np.testing.assert_array_equal(first.delay_s, again.delay_s)
    other = build_topology(Topology(kind=kind, n_sites=3, seed=8), 40)
    assert (kind in ("metro", "geometric", "waxman")) == (not np.array_equal(first.delay_s, other.delay_s))


def test_star_ring_and_metro_by_hand():
    star = build_topology(Topology(kind="star", link_delay_s=0.003, access_delay_s=0.001), 2)
    np.testing.assert_allclose(star.delay_s, [[0.007, 0.007]])
    ring = build_topology(Topology(kind="ring", n_sites=4, link_delay_s=0.003, access_delay_s=0.0), 4)
    np.testing.assert_allclose(ring.delay_s[0], [0, 0.003, 0.006, 0.003])
    metro = build_topology(
        Topology(
            kind="metro", n_sites=4, branching=2, link_delay_s=0.001, access_delay_s=0, link_bandwidth_bytes_per_s=5
        ),
        20,
    )
    # site_0: its own place 0, its hub 1 ms, its neighbour 2 ms, the core 3 ms, the other hub 5 ms, the far sites 6 ms
    assert sorted(set(np.round(metro.delay_s[0], 9))) == [0.0, 0.001, 0.002, 0.003, 0.005, 0.006]
    assert metro.graph.number_of_edges() == 4 + 2
    assert set(metro.bandwidth.ravel()) == {5.0}
    assert metro.node_bandwidth().max() == 5.0


def test_no_delay_at_all_is_no_delay():
    net = build_topology(Topology(kind="star", link_delay_s=0.0, access_delay_s=0.0), 3)
    assert (net.delay_s == 0).all() and (net.bandwidth == 1.25e8).all()


def test_cities_are_as_far_as_they_are():
    place = {c.name: (c.latitude, c.longitude) for c in CITIES}
    assert len(place) == len(CITIES) == 24
    assert great_circle_km(place["new_york"], place["london"]) == pytest.approx(5570, rel=0.01)
    net = build_topology(Topology(kind="cities", n_sites=2, access_delay_s=0.0), 2)
    assert net.delay_s[0, 0] == 0 and 0.04 < net.delay_s[0, 1] < 0.06  # Frankfurt to New York, one way
    with pytest.raises(EdgeGymInputError, match="<= 24"):
        build_topology(Topology(kind="cities", n_sites=25), 2)


@pytest.mark.parametrize("kind", GENERATORS)
def test_run_14_ten_thousand_nodes_take_less_than_ten_seconds(kind):
    with takes_at_most(10):
        net = build_topology(Topology(kind=kind, n_sites=16), 10_000)
    assert np.isfinite(net.delay_s).all()


def test_degree_is_about_what_was_asked_for():
    for kind in ("geometric", "waxman"):
        graph = build_topology(Topology(kind=kind, degree=8.0), 2000).graph
        assert 2 * graph.number_of_edges() / 2000 == pytest.approx(8, rel=0.1)


def test_limits_are_refused_before_the_work():
    for topology, n_nodes in (
        (Topology(kind="ring", n_sites=1000), 100_000),
        (Topology(kind="waxman"), 20_001),
    ):
        with pytest.raises(EdgeGymInputError, match="<="):
            build_topology(topology, n_nodes)
    with pytest.raises(EdgeGymInputError, match="10000"):
        build_topology(Topology(kind="star"), 10_001).node_delay_s()


# ---- files


def test_graphml_by_hand(graphml):
    net = graphml(n_nodes=3)
    assert net.site_names == ("Alpha", "Gamma")
    # only Gamma hosts nodes; Alpha - Beta - Gamma takes 3 ms at 1 MB/s, the merged direct link would take 4 ms
    np.testing.assert_allclose(net.delay_s, [[0.003] * 3, [0.0] * 3])
    np.testing.assert_allclose(net.bandwidth, [[1e6] * 3, [1.25e8] * 3])
    assert net.graph.number_of_edges() == 3


def test_graphml_without_delays_uses_coordinates_or_the_default(graphml):
    text = """<graphml><key id="a" for="node" attr.name="Latitude" attr.type="double"/>
      <key id="o" for="node" attr.name="Longitude" attr.type="double"/><graph>
      <node id="x"><data key="a">0</data><data key="o">0</data></node>
      <node id="y"><data key="a">0</data><data key="o">90</data></node><node id="z"/>
      <edge source="x" target="y"/><edge source="y" target="z"/></graph></graphml>"""
    net = graphml(text, n_nodes=3, link_delay_s=0.007)
    assert net.delay_s[0, 1] == pytest.approx(1.5 * 10_007.5 / 199_861.6, rel=1e-3)
    assert net.delay_s[1, 2] == pytest.approx(0.007)


def test_utf_16_graphml_is_read(graphml):
    assert graphml(GRAPHML.replace("utf-8", "utf-16").encode("utf-16")).site_names == ("Alpha", "Gamma")


def test_graphml_passes_over_what_other_programs_add(graphml):
    """As in the older Topology Zoo files: drawings by yEd, ids of keys that differ from file to file, a stray mark."""
    ours = ' xmlns:y="http://www.yworks.com/xml/graphml">\n  <key for="node" id="d50" yfiles.type="nodegraphics"/>"'
    text = GRAPHML.replace(">\n", ours + "\n", 2).replace(ours + "\n", ">\n", 1)
    drawing = f'<data key="d50"><y:edge><y:node>{"x" * 10_000}</y:node><y:data key="none">9</y:data></y:edge></data>'
    text = text.replace('<node id="1">', f'<node id="1">{drawing}').replace("d3", "d77")
    net = graphml(text, n_nodes=3)
    assert net.site_names == ("Alpha", "Gamma") and net.graph.number_of_edges() == 3
    assert [net.plan.names[i] for i in range(3)] == ["Alpha", "Beta", "Gamma"]


BOMB = '<!DOCTYPE g [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
HEAD = '<?xml version="1.0" encoding="utf-8"?>'


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param((HEAD, HEAD + BOMB), "DOCTYPE and ENTITY", id="BAD-30-entities"),
        pytest.param(
            (HEAD, HEAD + '<!DOCTYPE g SYSTEM "file:///etc/passwd">'), "DOCTYPE and ENTITY", id="BAD-30-external"
        ),
        pytest.param((HEAD, HEAD + "<!DOCTYPE graphml>"), "DOCTYPE and ENTITY", id="BAD-30-doctype"),
        pytest.param(('target="2"', 'target="7"'), ":14: edge end = '7': must be a declared node", id="BAD-25"),
        pytest.param(
            ('<node id="1">', '<node id="0">'),
            "node id = '0': must be given once (first on line 10)",
            id="BAD-31-duplicate",
        ),
        pytest.param(("0.001", "NaN"), ":13: latency = 'NaN'", id="BAD-31-nan"),
        pytest.param(("8e6", "-8e6"), "LinkSpeedRaw = '-8e6'", id="BAD-27-negative"),
        pytest.param(("8e6", "0"), "LinkSpeedRaw = '0'", id="BAD-27-zero"),
        pytest.param(("8e6", "1e999"), "LinkSpeedRaw = '1e999'", id="BAD-27-overflow"),
        pytest.param(('attr.type="double" for="edge" id="d1"', 'for="edge" id="d1"'), "attr.type", id="BAD-31-type"),
        pytest.param(('<node id="1">', '<node id="&lt;script&gt;">'), "printable characters", id="BAD-31-html"),
        pytest.param(('key="d3">Beta', 'key="d9">Beta'), "declared by a key", id="BAD-31-key"),
        pytest.param((">transit<", ">client<"), "role = 'client'", id="BAD-31-role"),
        pytest.param(("</graph>", ""), "must be valid XML", id="BAD-31-syntax"),
        pytest.param(("<graph ", "<graph><graph "), "one graph", id="BAD-31-nested"),
    ],
)
def test_bad_graphml(graphml, change, words):
    assert change[0] in GRAPHML
    with pytest.raises(EdgeGymInputError) as caught:
        graphml(GRAPHML.replace(*change, 1))
    assert words in str(caught.value)
    assert str(caught.value).startswith("net.graphml")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "valid XML", id="BAD-01"),
        pytest.param("<graphml><graph/></graphml>", "at least one", id="BAD-31-no-nodes"),
        pytest.param("<svg/>", "must be graphml", id="BAD-31-other"),
        pytest.param("<graphml>" + "<a>" * 100_000, "nested at most 32", id="BAD-30-deep"),
        pytest.param('<?xml version="1.0" encoding="ebcdic-xx"?><graphml/>', "ncoding", id="BAD-02"),
        pytest.param("<?php x ?><graphml/>", "without instructions", id="BAD-30-instruction"),
    ],
)
def test_bad_xml(graphml, text, words):
    with pytest.raises(EdgeGymInputError) as caught:
        graphml(text)
    assert words in str(caught.value)


def test_bad_29_no_site(graphml):
    with pytest.raises(EdgeGymInputError, match="site or both"):
        graphml(GRAPHML.replace(">site<", ">node<").replace(">both<", ">node<"))


def test_bad_28_disconnected(graphml):
    text = '<graphml><graph><node id="a"/><node id="b"/><node id="c"/><edge source="a" target="b"/></graph></graphml>'
    with pytest.raises(EdgeGymInputError) as caught:
        graphml(text, n_nodes=3)
    assert "2 components of 2, 1 places" in str(caught.value) and "allow_disconnected" in str(caught.value)
    net = graphml(text, n_nodes=3, allow_disconnected=True)
    assert np.isinf(net.delay_s[0, 2]) and net.bandwidth[0, 2] == 0 and np.isfinite(net.delay_s[0, 1])


MATRIX = "site,edge_a,edge_b\nberlin,0.0021,0.0180\nmunich,0.0175,0.002\n"


@pytest.fixture
def matrix(tmp_path):
    def build(text=MATRIX, n_nodes=2, **options):
        path = write(tmp_path, text, "net.csv")
        return build_topology(Topology(kind="matrix", path=path, access_delay_s=0.0, **options), n_nodes)

    return build


def test_matrix_by_hand(matrix):
    net = matrix()
    np.testing.assert_array_equal(net.delay_s, [[0.0021, 0.018], [0.0175, 0.002]])
    assert net.site_names == ("berlin", "munich")
    np.testing.assert_allclose(net.node_delay_s(), [[0, 0.0175 + 0.002], [0.0175 + 0.002, 0]])
    assert net.graph.number_of_edges() == 4


def test_measured_delays_stand_even_where_a_detour_is_faster(matrix):
    assert matrix("s,a,b\nx,9,1\ny,1,1\n").delay_s[0, 0] == 9  # x-b-y-a would take 3


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "net.csv:1: header", id="BAD-01"),
        pytest.param("site,a,b\n", "at least one site", id="BAD-41-header-only"),
        pytest.param("site;a;b\nx;1;2\n", "separator is a comma", id="BAD-41-delimiter"),
        pytest.param("site,a,b,c\nx,1,2,3\n", "pool.n_nodes = 2 node names", id="BAD-41-count"),
        pytest.param("site,a,a\nx,1,2\n", "names that differ", id="BAD-19-columns"),
        pytest.param(MATRIX + "berlin,1,1\n", "net.csv:4: site = 'berlin'", id="BAD-19-rows"),
        pytest.param(MATRIX + "bonn,1\n", "net.csv:4: row: must be 3 cells (found 2)", id="BAD-41-ragged"),
        pytest.param(MATRIX.replace("0.0021", "-1"), "net.csv:2: column edge_a = '-1'", id="BAD-27-negative"),
        pytest.param(MATRIX.replace("0.0021", "nan"), "column edge_a = 'nan'", id="BAD-27-nan"),
        pytest.param(MATRIX.replace("0.0021", "1e999"), "column edge_a = '1e999'", id="BAD-42-overflow"),
        pytest.param(MATRIX.replace("0.0021", "1_0"), "column edge_a = '1_0'", id="BAD-42-underscore"),
        pytest.param(MATRIX.replace("0.0180", ""), "allow_disconnected", id="BAD-28"),
    ],
)
def test_bad_matrix(matrix, text, words):
    with pytest.raises(EdgeGymInputError) as caught:
        matrix(text)
    assert words in str(caught.value)


def test_empty_cells_are_unreachable_when_allowed(matrix):
    assert np.isinf(matrix(MATRIX.replace("0.0180", ""), allow_disconnected=True).delay_s[0, 1])


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=30), st.floats(0, 1), st.sampled_from(["graphml", "matrix"]))
def test_fuzz_files(graphml, matrix, noise, where, kind):
    text = (GRAPHML if kind == "graphml" else MATRIX).encode()
    start = int(where * len(text))
    try:
        net = (graphml if kind == "graphml" else matrix)(text[:start] + noise + text[start + len(noise) // 2 :])
    except EdgeGymInputError:
        return
    assert np.isfinite(net.delay_s).all()
