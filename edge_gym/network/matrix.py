"""A measured delay matrix from a CSV file.

    site,edge_a,edge_b
    berlin,0.0021,0.0180
    munich,0.0175,

The header names the nodes, a row gives one-way seconds from a site to each node; an empty cell means unreachable.
"""

from __future__ import annotations

import csv
import io
import math
import os
from pathlib import Path

import numpy as np

from edge_gym.errors import MISSING, EdgeGymInputError
from edge_gym.files import decode_utf8, locate, read_bytes
from edge_gym.network.generators import Plan, circle, make_plan
from edge_gym.scenario.parse import FLOAT
from edge_gym.scenario.parts import MAX_NODES, Topology

MAX_BYTES = 64 * 2**20
MAX_DELAY_S = 1e3
MAX_SITES = 10_000


def matrix_plan(topology: Topology, n_nodes: int) -> Plan:
    """Reads a delay matrix; its columns must be exactly the nodes of the pool.

    Raises:
        EdgeGymInputError: Names file and line, column and value.
    """
    path = topology.path or ""
    return _plan(topology, *read_matrix(path, n_nodes), Path(locate(path)).name)


def read_matrix(path: str | os.PathLike, n_nodes: int | None = None) -> tuple[list[str], list[str], np.ndarray]:
    """Reads a delay matrix.

    Args:
        path: The file.
        n_nodes: How many columns there must be; None for any number.

    Returns:
        Names of sites and of nodes, and one-way seconds, (n_sites, n_nodes), inf where unreachable.

    Raises:
        EdgeGymInputError: Names file and line, column and value.
    """
    real = locate(path)
    name = Path(real).name
    rows = csv.reader(io.StringIO(decode_utf8(read_bytes(real, MAX_BYTES), name), newline=""))
    sites: dict[str, None] = {}
    values = []
    try:
        header = next(rows, [])
        nodes = header[1:]
        _check_header(header, len(nodes) if n_nodes is None else n_nodes, name)
        for row in rows:
            where = f"{name}:{rows.line_num}"
            if len(row) != len(header):
                raise EdgeGymInputError("row", MISSING, f"{len(header)} cells", where, f"found {len(row)}")
            if row[0] in sites or not row[0].strip():
                raise EdgeGymInputError("site", row[0], "a name that no other row has", where)
            if len(sites) >= MAX_SITES:
                raise EdgeGymInputError("sites", MISSING, f"at most {MAX_SITES}", where)
            sites[row[0]] = None
            values.append([delay(cell, column, where) for cell, column in zip(row[1:], nodes, strict=True)])
    except csv.Error as error:
        raise EdgeGymInputError("row", MISSING, "valid CSV", f"{name}:{rows.line_num}", str(error)) from None
    if not values:
        raise EdgeGymInputError("rows", MISSING, "at least one site", name, "the file has a header only")
    return list(sites), nodes, np.array(values)


def _plan(topology: Topology, sites: list[str], nodes: list[str], delay_s: np.ndarray, name: str) -> Plan:
    """Places are the sites, then the nodes; a link joins each pair with a delay, and nothing else is known."""
    n_sites = len(sites)
    site, node = np.nonzero(np.isfinite(delay_s))
    links = np.c_[site, n_sites + node, delay_s[site, node]]
    xy = np.r_[circle(n_sites, 0.25), circle(len(nodes))]
    places = range(n_sites, n_sites + len(nodes))
    plan = make_plan(topology, [*sites, *nodes], xy, links, range(n_sites), places)
    plan.measured_s, plan.where = delay_s, name
    return plan


def _check_header(header: list[str], n_nodes: int, name: str) -> None:
    nodes = header[1:]
    if len(nodes) > MAX_NODES or len(nodes) != n_nodes:
        hint = f"found {len(nodes)}; the separator is a comma"
        raise EdgeGymInputError("header", header, f"a label and pool.n_nodes = {n_nodes} node names", f"{name}:1", hint)
    if len(set(nodes)) < len(nodes) or not all(n.strip() for n in nodes):
        raise EdgeGymInputError("header", header, "names that differ and are not empty", f"{name}:1")


def delay(cell: str, column: str, where: str) -> float:
    """Returns the delay in a cell in seconds, inf for an empty one."""
    if not cell.strip():
        return math.inf
    if len(cell) > 40 or not FLOAT.fullmatch(cell.strip()) or not 0 <= float(cell) <= MAX_DELAY_S:
        raise EdgeGymInputError(f"column {column}", cell, f"a number >= 0 and <= {MAX_DELAY_S:g}", where, "s")
    return float(cell)
