"""Recorded requests and a network of one's own: python own_trace_and_topology.py [rows] [episodes]

Both files are written here, so that they can be seen; docs/data.md says what else is read. Ten seconds.
"""

import csv
import sys
import tempfile
from datetime import datetime, timedelta
from pathlib import Path

import networkx as nx
import numpy as np

import edge_gym
from edge_gym.scenario import Topology

rows = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
episodes = int(sys.argv[2]) if len(sys.argv) > 2 else 10


def write_network(path):
    """Two offices with users, a server room and a far data centre: roles, one-way delays, bandwidths."""
    graph = nx.Graph()
    for name, role in (("north", "both"), ("south", "both"), ("basement", "node"), ("far", "node")):
        graph.add_node(name, label=name, role=role)
    for ends, delay_s, width in (("north basement", 0.001, 1e8), ("south basement", 0.002, 1e8)):
        graph.add_edge(*ends.split(), delay_s=delay_s, bandwidth_bytes_per_s=width)
    graph.add_edge("basement", "far", delay_s=0.04, bandwidth_bytes_per_s=1e9)
    nx.write_graphml(graph, path)


def write_requests(path):
    """Bursts of questions: when, tokens of the prompt, tokens of the answer."""
    rng, now = np.random.default_rng(0), datetime(2025, 1, 6, 9)
    with path.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["TIMESTAMP", "ContextTokens", "GeneratedTokens"])
        for row in range(rows):
            now += timedelta(seconds=rng.exponential(0.1 if row // 100 % 2 else 0.5))
            table.writerow([now.isoformat(" ", "microseconds"), rng.integers(50, 2000), rng.integers(10, 300)])


with tempfile.TemporaryDirectory() as folder:
    network, requests = Path(folder, "network.graphml"), Path(folder, "requests.csv")
    write_network(network), write_requests(requests)
    scenario = edge_gym.preset("azure").with_overrides(
        name="our-offices",
        n_nodes=8,
        topology=Topology(kind="graphml", path=str(network)),
        trace_path=str(requests),
        trace_start="random",
        n_requests=min(rows, 500),
        load=None,  # its own clock
    )
    seeds = range(1000, 1000 + episodes)
    print(edge_gym.evaluate(["nearest", "jsq", "sect_watchdog", "oracle"], "routing", scenario, seeds))
