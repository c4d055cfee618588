"""Networks from GraphML files, read by a small parser of our own.

Nothing in the file is trusted: no DOCTYPE and no entities, no undeclared or repeated vertex, only finite numbers, and a
limit on everything. (networkx reads NaN, invents undeclared vertices and lets entities explode.)

Attributes understood. Vertices: `label`, `role` (site, node, both or transit; without any role every vertex is both),
`Latitude` and `Longitude` (degrees), `weight` (users). Edges: `delay_s` or `latency` (seconds), `latency_ms`,
`bandwidth_bytes_per_s`, `LinkSpeedRaw` (bits/s). The delay
of a link without one follows from the coordinates of its ends; without those it is `link_delay_s`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn
from xml.parsers import expat

import numpy as np

from edge_gym.errors import MISSING, EdgeGymInputError
from edge_gym.files import locate, read_bytes
from edge_gym.network.cities import fibre_delay_s, map_xy
from edge_gym.network.generators import Plan, circle, make_plan
from edge_gym.scenario.parse import FLOAT
from edge_gym.scenario.parts import MAX_NODES, Topology

MAX_BYTES = 64 * 2**20
MAX_EDGES = 1_000_000
MAX_DEPTH = 32
MAX_TEXT = 4096  # characters of one value
MAX_ID = 200
ROLES = ("site", "node", "both", "transit")


@dataclass(slots=True)
class Element:
    """A vertex or an edge: its line, its ends (edges only) and its data by attribute name."""

    line: int
    ends: tuple[str, str] | None = None
    data: dict[str, str] = field(default_factory=dict)


class _Reader:
    """Collects vertices and edges from the events of the XML parser."""

    def __init__(self, where: str):
        self.where = where
        self.vertices: dict[str, Element] = {}
        self.edges: list[Element] = []
        self.keys: dict[str, tuple[str, str]] = {}  # id -> (node, edge or all; name of the attribute)
        self.stack: list[str] = []
        self.current: Element | None = None
        self.key: str | None = None
        self.text: list[str] = []
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartElementHandler = self.start
        self.parser.EndElementHandler = self.end
        self.parser.CharacterDataHandler = self.characters
        self.parser.StartDoctypeDeclHandler = self.declaration
        self.parser.EntityDeclHandler = self.declaration
        self.parser.UnparsedEntityDeclHandler = self.declaration
        self.parser.ProcessingInstructionHandler = lambda target, data: self.refuse("", MISSING, "without instructions")

    def refuse(self, field: str, value: Any, allowed: str, hint: str = "") -> NoReturn:
        raise EdgeGymInputError(field, value, allowed, f"{self.where}:{self.parser.CurrentLineNumber}", hint)

    def declaration(self, *_: Any) -> NoReturn:
        self.refuse("", MISSING, "plain XML", "DOCTYPE and ENTITY declarations are not allowed")

    def read(self, data: bytes) -> None:
        try:
            self.parser.Parse(data, True)
        except expat.ExpatError as error:
            reason = f"column {error.offset + 1}: {expat.ErrorString(error.code)}"
            raise EdgeGymInputError("", MISSING, "valid XML", f"{self.where}:{error.lineno}", reason) from None
        except (ValueError, LookupError) as error:  # an encoding that Python does not know
            if isinstance(error, EdgeGymInputError):
                raise
            raise EdgeGymInputError("encoding", MISSING, "UTF-8 or UTF-16", self.where, str(error)) from None

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        name = tag.rpartition(" ")[2]
        self.stack.append(name)
        if len(self.stack) > MAX_DEPTH:
            self.refuse("", MISSING, f"nested at most {MAX_DEPTH} deep")
        if len(self.stack) == 1 and name != "graphml":
            self.refuse("element", name, "graphml")
        handler = {"key": self.start_key, "node": self.start_node, "edge": self.start_edge, "data": self.start_data}
        if name in handler:
            handler[name](attributes)
        elif name == "graph" and self.stack.count("graph") > 1:
            self.refuse("element", name, "one graph without nested graphs")
        elif name in ("hyperedge", "port"):
            self.refuse("element", name, "node or edge")

    def identifier(self, attributes: dict[str, str], key: str) -> str:
        value = attributes.get(key, "")
        if not value or len(value) > MAX_ID or not value.isprintable() or any(c in value for c in "<>&"):
            self.refuse(f"{self.stack[-1]} {key}", value, f"1 to {MAX_ID} printable characters without <, > and &")
        return value

    def start_key(self, attributes: dict[str, str]) -> None:
        if not attributes.get("attr.name") or not attributes.get("attr.type"):
            self.refuse("key", attributes.get("id"), "given with attr.name and attr.type")
        self.keys[self.identifier(attributes, "id")] = (attributes.get("for", "all"), attributes["attr.name"])

    def start_node(self, attributes: dict[str, str]) -> None:
        name = self.identifier(attributes, "id")
        if name in self.vertices:
            self.refuse("node id", name, "given once", f"first on line {self.vertices[name].line}")
        if len(self.vertices) >= MAX_NODES:
            self.refuse("nodes", MISSING, f"at most {MAX_NODES}")
        self.current = self.vertices[name] = Element(self.parser.CurrentLineNumber)

    def start_edge(self, attributes: dict[str, str]) -> None:
        if len(self.edges) >= MAX_EDGES:
            self.refuse("edges", MISSING, f"at most {MAX_EDGES}")
        ends = self.identifier(attributes, "source"), self.identifier(attributes, "target")
        self.current = Element(self.parser.CurrentLineNumber, ends)
        self.edges.append(self.current)

    def start_data(self, attributes: dict[str, str]) -> None:
        if self.current is None:
            return  # data of the graph itself
        key = attributes.get("key", "")
        if key not in self.keys:
            self.refuse("data key", key, "declared by a key element")
        self.key, self.text = key, []

    def characters(self, text: str) -> None:
        if self.key is not None:
            self.text.append(text)
            if sum(map(len, self.text)) > MAX_TEXT:
                self.refuse("data", MISSING, f"at most {MAX_TEXT} characters")

    def end(self, tag: str) -> None:
        name = self.stack.pop()
        if name == "data" and self.key is not None and self.current is not None:
            self.current.data[self.keys[self.key][1]] = "".join(self.text).strip()
            self.key = None
        elif name in ("node", "edge"):
            self.current = None


def graphml_plan(topology: Topology, n_nodes: int) -> Plan:
    """Reads a GraphML file; the nodes of the pool are dealt in turn to the vertices with a role for them.

    Parallel edges are merged into the one with the smallest delay (then the largest bandwidth), loops are left out, and
    directions are ignored.

    Raises:
        EdgeGymInputError: Names file, line and element.
    """
    path = locate(topology.path or "")
    reader = _Reader(Path(path).name)
    reader.read(read_bytes(path, MAX_BYTES))
    vertices, where = reader.vertices, reader.where
    if not vertices:
        raise EdgeGymInputError("nodes", MISSING, "at least one", where)
    index = {name: i for i, name in enumerate(vertices)}
    coordinates = [_coordinates(v, where) for v in vertices.values()]
    links: dict[tuple[int, int], tuple[float, float]] = {}
    for edge in reader.edges:
        ends = _ends(edge, index, where)
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


def _ends(edge: Element, index: dict[str, int], where: str) -> tuple[int, int]:
    assert edge.ends is not None
    for name in edge.ends:
        if name not in index:
            raise EdgeGymInputError("edge end", name, "a declared node", f"{where}:{edge.line}")
    u, v = sorted(index[name] for name in edge.ends)
    return u, v


def _coordinates(vertex: Element, where: str) -> tuple[float, float] | None:
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
