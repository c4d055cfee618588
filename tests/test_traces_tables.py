"""EUA sites and users, pings between cities, pods: columns by name, rules, errors with line and column."""

import contextlib
import gzip
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from processor_time import takes_at_most

from edge_gym.errors import EdgeGymInputError
from edge_gym.network.topology import build_topology
from edge_gym.scenario import Topology
from edge_gym.traces.eua import Sites, read_sites, read_users, sites_graphml, user_share
from edge_gym.traces.pings import matrix_text, read_pings, read_servers
from edge_gym.traces.pods import read_pods

DATA = Path(__file__).parent / "data"
SITES = 'SITE_ID,LATITUDE,LONGITUDE,NAME,STATE\n7,-37.8,144.95,"Tower A, roof",VIC\n9,-37.81,144.97,<B> & C,VIC\n'
USERS = "Latitude,Longitude\n-37.801,144.951\n-37.8,144.94\n-37.82,144.98\n-37.8,144.95\n"
SERVERS = (
    '"id","name","title","latitude","longitude"\n"0","A","a","1","2",,,\n"5","B","b","1","2"\n"8","C","c","1","2",""\n'
)
PINGS = "source,destination,timestamp,min,avg,max,mdev\n"
POD = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time\n"
POD_ROWS = "p0,8000,1024,1,250,,LS,Running,110,160,111\np1,500,1,8,1000,V100,BE,Pending,100,,\n"


@pytest.fixture
def write(tmp_path):
    def do(text, name="t.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return do


# ---- EUA


def test_sites_and_users_by_hand(write):
    sites, users = read_sites(write(SITES)), read_users(write(USERS, "u.csv"))
    assert sites.ids == ("7", "9") and sites.names == ("Tower A, roof", "<B> & C")
    np.testing.assert_array_equal(sites.xy, [[144.95, -37.8], [144.97, -37.81]])
    assert users.shape == (4, 2) and users[0].tolist() == [144.951, -37.801]
    assert user_share(sites.xy, users).tolist() == [0.75, 0.25]


@pytest.mark.parametrize(
    ("read", "text", "words"),
    [
        pytest.param(read_sites, "", "the file is empty", id="empty"),
        pytest.param(read_sites, SITES.split("\n")[0] + "\n", "header only", id="header-only"),
        pytest.param(read_sites, SITES.replace("LATITUDE", "LAT"), "missing: LATITUDE", id="column"),
        pytest.param(read_sites, SITES.replace("\n9,", "\n7,"), "t.csv:3: SITE_ID = '7'", id="twice"),
        pytest.param(read_sites, SITES.replace("-37.81", "-97"), "t.csv:3: LATITUDE = '-97'", id="latitude"),
        pytest.param(read_sites, SITES.replace("144.97", "nan"), "t.csv:3: LONGITUDE = 'nan'", id="nan"),
        pytest.param(read_sites, SITES.replace(",VIC\n9", "\n9"), "t.csv:2: row: must be 5 cells", id="short"),
        pytest.param(read_users, USERS + "1,", "t.csv:6: Longitude = ''", id="truncated"),
        pytest.param(read_users, USERS + "1,2,3\n", "found 3", id="long"),
        pytest.param(read_users, "Latitude,Longitude\n", "header only", id="users-header-only"),
    ],
)
def test_bad_sites_and_users(write, read, text, words):
    with pytest.raises(EdgeGymInputError) as caught:
        read(write(text))
    assert words in str(caught.value)


def test_sites_become_a_network_with_the_share_of_their_users(write):
    sites = read_sites(write(SITES))
    path = write(sites_graphml(sites, np.array([1.0, 0.0])), "net.graphml")
    net = build_topology(Topology(kind="graphml", path=str(path), access_delay_s=0.0), 2)
    assert net.site_names == sites.names
    np.testing.assert_allclose(net.site_share, [1, 0], atol=1e-8)
    km = np.hypot(111.19 * 0.01, 111.19 * 0.02 * np.cos(np.radians(37.805)))
    assert net.delay_s[0, 1] == pytest.approx(1.5 * km / 199_861.6, rel=1e-3)


def test_too_many_sites_to_link():
    names = tuple(map(str, range(1001)))
    with pytest.raises(EdgeGymInputError, match="<= 1000"):
        sites_graphml(Sites(names, names, np.zeros((1001, 2))), np.ones(1001))


# ---- pings


def test_pings_by_hand(write):
    rows = "0,5,t,1,10,1,1\n0,5,t,1,14,1,1\n5,0,t,1,20,1,1\n8,5,t,1,6,1,1\n0,0,t,1,1,1,1\n0,77,t,1,1,1,1\n0,8,t,,,,\n"
    pings = read_pings(write(PINGS + rows), write(SERVERS, "s.csv"))
    assert pings.names == ("A", "B", "C")
    # A-B: the mean of 12 and 20, halved; B-C in one direction; A-C was never measured
    np.testing.assert_allclose(pings.delay_s, [[0, 0.008, 0.011], [0.008, 0, 0.003], [0.011, 0.003, 0]], rtol=1e-12)
    assert (pings.n_rows, pings.n_skipped, pings.n_filled) == (4, 3, 1)
    assert read_pings(write(PINGS + rows)).names == ("0", "5", "8", "77")


def test_a_measured_delay_stands_even_where_a_detour_is_faster(write):
    rows = "0,5,t,1,100,1,1\n5,8,t,1,2,1,1\n8,0,t,1,2,1,1\n"
    assert read_pings(write(PINGS + rows), write(SERVERS, "s.csv")).delay_s[0, 1] == 0.05


def test_pings_become_the_matrix_that_a_scenario_reads(write):
    pings = read_pings(DATA / "pings.csv", DATA / "servers.csv")
    path = write(matrix_text(pings), "net.csv")
    net = build_topology(Topology(kind="matrix", path=str(path), access_delay_s=0.0), len(pings.names))
    assert net.site_names == pings.names
    np.testing.assert_allclose(net.delay_s, pings.delay_s, rtol=1e-8)


def test_cities_that_nothing_connects_are_unreachable(write):
    pings = read_pings(write(PINGS + "0,5,t,1,10,1,1\n"), write(SERVERS, "s.csv"))
    assert np.isinf(pings.delay_s[0, 2]) and pings.n_filled == 2
    assert matrix_text(pings) == "site,A,B,C\nA,0,0.005,\nB,0.005,0,\nC,,,0\n"


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.tuples(st.integers(0, 5), st.integers(0, 5)), st.integers(0, 500), min_size=1))
def test_missing_pairs_agree_with_networkx(write, rtt):
    pings = {pair: ms for pair, ms in rtt.items() if pair[0] != pair[1]}
    if not pings:
        return
    servers = "id,name\n" + "".join(f"{k},c{k}\n" for k in range(6))
    rows = "".join(f"{u},{v},{ms}\n" for (u, v), ms in pings.items())
    found = read_pings(write("source,destination,avg\n" + rows), write(servers, "s.csv"))
    graph = nx.Graph()
    graph.add_nodes_from(range(6))
    for u, v in pings:
        both = [pings[pair] for pair in ((u, v), (v, u)) if pair in pings]
        graph.add_edge(u, v, s=np.mean(both) / 2000)
    far = dict(nx.all_pairs_dijkstra_path_length(graph, weight="s"))
    for u in range(6):
        for v in range(6):
            direct = graph[u][v]["s"] if graph.has_edge(u, v) else far[u].get(v, np.inf)
            assert found.delay_s[u, v] == pytest.approx(direct)


@pytest.mark.parametrize(
    ("pings", "servers", "words"),
    [
        pytest.param(PINGS, SERVERS, "at least one between two of the servers", id="header-only"),
        pytest.param(PINGS + "3,4,t,1,2,3,4\n", SERVERS, "at least one between", id="strangers"),
        pytest.param(PINGS + "0,5,t,1,-2,3,4\n", SERVERS, "t.csv:2: avg = '-2'", id="negative"),
        pytest.param(PINGS + "0,5,t,1,1e9,3,4\n", SERVERS, "<= 60000, or empty (ms)", id="ns-for-ms"),
        pytest.param(PINGS + "0,5,t,1,2", SERVERS, "t.csv:2: row: must be 7 cells (found 5)", id="truncated"),
        pytest.param("source,target,avg\n", SERVERS, "missing: destination", id="column"),
        pytest.param(PINGS, SERVERS + "5,D,,,\n", "s.csv:5: id = '5'", id="id-twice"),
        pytest.param(PINGS, SERVERS + "6,B,,,\n", "s.csv:5: name = 'B'", id="name-twice"),
        pytest.param(PINGS, SERVERS + "6,\x1b[1m,,,\n", "printable", id="escape"),
        pytest.param(PINGS, SERVERS + "6,D,,,,x\n", "s.csv:5: row: must be 5 cells (found 6)", id="junk-not-empty"),
        pytest.param(PINGS, "id,name\n", "s.csv:1: rows: must be at least one", id="no-servers"),
    ],
)
def test_bad_pings(write, pings, servers, words):
    with pytest.raises(EdgeGymInputError) as caught:
        read_pings(write(pings), write(servers, "s.csv"))
    assert words in str(caught.value)


def test_too_many_servers(write):
    rows = "".join(f"{k},c{k}\n" for k in range(1001))
    with pytest.raises(EdgeGymInputError, match="at most 1000"):
        read_servers(write("id,name\n" + rows))
    rows = "".join(f"{k},{k + 1},5\n" for k in range(1001))
    with pytest.raises(EdgeGymInputError, match="at most 1000"):
        read_pings(write("source,destination,avg\n" + rows))


# ---- pods


def test_pods_by_hand(write):
    pods = read_pods(write(POD + POD_ROWS))
    assert pods.time_ns.tolist() == [0, 10 * 10**9] and pods.time_ns.dtype == np.int64
    assert pods.duration_s.tolist() == [60.0, 50.0]  # the first has no deletion: until the end, at 160
    assert pods.memory_bytes.tolist() == [2**20, 2**30]
    assert pods.cpu.tolist() == [0.5, 8.0] and pods.gpu.tolist() == [8.0, 0.25]
    assert pods.n_running == 1


def test_pods_bom_gzip_line_ends_and_order_of_columns_do_not_matter(write):
    plain = read_pods(write(POD + POD_ROWS))
    text = (POD + POD_ROWS).replace("\n", "\r\n")
    lines = [line.split(",") for line in (POD + POD_ROWS).split()]
    turned = "\n".join(",".join(reversed(line)) for line in lines)
    for other in (
        write(b"\xef\xbb\xbf" + text.encode()),
        write(gzip.compress(text.encode()), "t.gz"),
        write(turned, "r"),
    ):
        np.testing.assert_array_equal(read_pods(other).duration_s, plain.duration_s)
        np.testing.assert_array_equal(read_pods(other).gpu, plain.gpu)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param((POD_ROWS, ""), "header only", id="header-only"),
        pytest.param(("cpu_milli", "cpu"), "missing: cpu_milli", id="column"),
        pytest.param((",8000,", ",-8000,"), "t.csv:2: cpu_milli = '-8000'", id="negative"),
        pytest.param((",1024,", ",1.5,"), "t.csv:2: memory_mib = '1.5'", id="fraction"),
        pytest.param((",8,1000", ",eight,1000"), "t.csv:3: num_gpu = 'eight'", id="word"),
        pytest.param((",110,160", ",,160"), "t.csv:2: creation_time = ''", id="no-creation"),
        pytest.param((",110,160", ",110,109"), "t.csv:2: deletion_time = '109'", id="before"),
        pytest.param((",110,160", ",1700000000000,"), "creation_time = '1700000000000'", id="ms-for-s"),
        pytest.param((",100,,\n", ",10"), "t.csv:3: row: must be 11 cells (found 9)", id="truncated"),
    ],
)
def test_bad_pods(write, change, words):
    assert change[0] in POD + POD_ROWS
    with pytest.raises(EdgeGymInputError) as caught:
        read_pods(write((POD + POD_ROWS).replace(*change, 1)))
    assert words in str(caught.value)


# ---- all of them


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=20),
    st.floats(0, 1),
    st.sampled_from([(read_sites, SITES), (read_users, USERS), (read_servers, SERVERS), (read_pods, POD + POD_ROWS)]),
)
def test_fuzz_tables(write, noise, where, kind):
    read, text = kind
    data = text.encode()
    start = int(where * len(data))
    with contextlib.suppress(EdgeGymInputError):
        read(write(data[:start] + noise + data[start + len(noise) // 2 :]))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("read", "header", "row"),
    [
        pytest.param(read_users, "Latitude,Longitude\n", "-37.8,144.95\n", id="users"),
        pytest.param(read_pings, PINGS, "0,5,2020-07-20 00:00:17.000,307.86,308.256,309.32,0.842\n", id="pings"),
        pytest.param(read_pods, POD, POD_ROWS.split("\n")[0] + "\n", id="pods"),
    ],
)
def test_bad_43_a_million_rows(write, read, header, row):
    path = write(header + row * 1_000_000)
    with takes_at_most(30):
        read(path)
