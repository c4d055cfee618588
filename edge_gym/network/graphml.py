"""Networks from GraphML files, such as those of the Internet Topology Zoo.

Attributes understood. Vertices: `label`, `role` (site, node, both or transit; without any role every vertex is both),
`Latitude` and `Longitude` (degrees), `weight` (users). Edges: `delay_s` or `latency` (seconds), `latency_ms`,
`bandwidth_bytes_per_s`, `LinkSpeedRaw` (bits/s). The delay
of a link without one follows from the coordinates of its ends; without those it is `link_delay_s`.
"""

from __future__ import annotations

import numpy as np

from edge_gym.errors import MISSING, EdgeGymInputError
from edge_gym.network.cities import fibre_delay_s, map_xy
from edge_gym.network.generators import Plan, circle, make_plan
from edge_gym.network.graphml_reader import Element, read_graphml
from edge_gym.scenario.parse import FLOAT
from edge_gym.scenario.parts import Topology

ROLES = ("site", "node", "both", "transit")


def graphml_plan(topology: Topology, n_nodes: int) -> Plan:
    """Reads a GraphML file; the nodes of the pool are dealt in turn to the vertices with a role for them.

    Parallel edges are merged into the one with the smallest delay (then the largest bandwidth), loops are left out, and
    directions are ignored.

    Raises:
        EdgeGymInputError: Names file, line and element.
    """
    reader = read_graphml(topology.path or "")
    vertices, where = reader.vertices, reader.where
    index = {name: i for i, name in enumerate(vertices)}
    coordinates = [position(v, where) for v in vertices.values()]
    links: dict[tuple[int, int], tuple[float, float]] = {}
    for edge in reader.edges:
        u, v = sorted(index[name] for name in edge.ends or ())
        ends = u, v
        if ends[0] == ends[1]:
            continue
        delay_s, width = _delay_s(edge, ends, coordinates, topology, where), _bandwidth(edge, topology, where)
        known = links.get(ends)
        if known is None or (delay_s, -width) < (known[0], -known[1]):
            links[ends] = (delay_s, width)
    sites, hosts = _roles(vertices, where)
    plan = make_plan(
        topology,
        [v.data.get("label") or name for name, v in vertices.items()],
        _positions(coordinates),
        [(u, v, delay_s) for (u, v), (delay_s, _) in links.items()],
        sites,
        np.resize(hosts, n_nodes),
        share=[_number(v, ("weight",), where, 1e-9, 1e12) or 1.0 for v in (list(vertices.values())[i] for i in sites)],
    )
    plan.link_bandwidth = np.array([width for _, width in links.values()])
    plan.where = where
    return plan


def _number(element: Element, names: tuple[str, ...], where: str, low: float, high: float) -> float | None:
    """Returns the first of the named attributes that is there as a number in [low, high], or None."""
    for name in names:
        text = element.data.get(name)
        if text:
            if len(text) > 400 or not FLOAT.fullmatch(text) or not low <= float(text) <= high:
                allowed = f"a number >= {low:g} and <= {high:g}"
                raise EdgeGymInputError(name, text, allowed, f"{where}:{element.line}")
            return float(text)
    return None


def position(vertex: Element, where: str) -> tuple[float, float] | None:
    """Returns latitude and longitude of a vertex in degrees, None unless it has both."""
    latitude = _number(vertex, ("Latitude", "latitude", "lat"), where, -90, 90)
    longitude = _number(vertex, ("Longitude", "longitude", "lon"), where, -180, 180)
    return None if latitude is None or longitude is None else (latitude, longitude)


def _delay_s(edge: Element, ends: tuple[int, int], coordinates: list, topology: Topology, where: str) -> float:
    seconds = _number(edge, ("delay_s", "latency"), where, 0, 1e3)
    if seconds is not None:
        return seconds
    milliseconds = _number(edge, ("latency_ms",), where, 0, 1e6)
    if milliseconds is not None:
        return milliseconds / 1e3
    a, b = coordinates[ends[0]], coordinates[ends[1]]
    return fibre_delay_s(a, b) if a and b else topology.link_delay_s


def _bandwidth(edge: Element, topology: Topology, where: str) -> float:
    width = _number(edge, ("bandwidth_bytes_per_s",), where, 1e-3, 1e15)
    if width is not None:
        return width
    bits = _number(edge, ("LinkSpeedRaw",), where, 1e-2, 1e16)
    return topology.link_bandwidth_bytes_per_s if bits is None else bits / 8


def _roles(vertices: dict[str, Element], where: str) -> tuple[list[int], list[int]]:
    """Returns the vertices where users attach, and those where nodes stand."""
    roles = [v.data.get("role") or None for v in vertices.values()]
    for vertex, role in zip(vertices.values(), roles, strict=True):
        if role is not None and role not in ROLES:
            raise EdgeGymInputError("role", role, f"one of {', '.join(ROLES)}", f"{where}:{vertex.line}")
    if not any(roles):
        return list(range(len(roles))), list(range(len(roles)))
    found = {word: [i for i, role in enumerate(roles) if role in (word, "both")] for word in ("site", "node")}
    for word, places in found.items():
        if not places:
            raise EdgeGymInputError("role", MISSING, f"{word} or both for at least one vertex", where)
    return found["site"], found["node"]


def _positions(coordinates: list) -> np.ndarray:
    """Returns positions that fill the picture; a vertex without coordinates goes onto a circle around it."""
    xy = circle(len(coordinates), 0.5)
    known = np.array([map_xy(*c) for c in coordinates if c])
    if len(known):
        low, size = known.min(axis=0), max(float(np.ptp(known, axis=0).max()), 1e-9)
        xy[[i for i, c in enumerate(coordinates) if c]] = 0.05 + 0.9 * (known - low) / size
    return xy
