"""Vertices and edges of a GraphML file, read by a small parser of our own.

Nothing in the file is trusted: no DOCTYPE and no entities, no undeclared or repeated vertex, and a limit on everything.
(networkx reads NaN, invents undeclared vertices and lets entities explode.)

Attributes are found by the name that the `key` elements of the file declare, as their ids differ from file to file.
What other programs add (the drawing that yEd keeps in each vertex of older Topology Zoo files) is passed over.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from edge_gym.errors import MISSING, EdgeGymInputError
from edge_gym.files import locate, read_bytes
from edge_gym.safe_xml import XmlReader, split
from edge_gym.scenario.parts import MAX_NODES

MAX_BYTES = 64 * 2**20
MAX_EDGES = 1_000_000
MAX_TEXT = 4096  # characters of one value
MAX_ID = 200


@dataclass(slots=True)
class Element:
    """A vertex or an edge: its line, its ends (edges only) and its data by attribute name."""

    line: int
    ends: tuple[str, str] | None = None
    data: dict[str, str] = field(default_factory=dict)


class GraphmlReader(XmlReader):
    """Collects vertices and edges.

    Attributes:
        vertices: By id.
        edges: In the order of the file.
    """

    root = "graphml"
    namespace = "http://graphml.graphdrawing.org/"

    def __init__(self, where: str):
        super().__init__(where)
        self.vertices: dict[str, Element] = {}
        self.edges: list[Element] = []
        self._names: dict[str, str] = {}  # id of a key -> name of the attribute, "" for what is passed over
        self._current: Element | None = None
        self._name: str | None = None  # of the attribute whose text is being read
        self._text: list[str] = []
        self._length = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        """Takes the start of an element."""
        if name == "key":
            self._start_key(attributes)
        elif name == "node":
            self._start_node(attributes)
        elif name == "edge":
            self._start_edge(attributes)
        elif name == "data" and self._current is not None:  # not of the graph itself
            self._start_data(attributes)
        elif name == "graph" and self.stack.count("graph") > 1:
            self.refuse("element", name, "one graph without nested graphs")
        elif name in ("hyperedge", "port"):
            self.refuse("element", name, "node or edge")

    def characters(self, text: str) -> None:
        """Takes a piece of text."""
        if self._name:
            self._length += len(text)
            if self._length > MAX_TEXT:
                self.refuse("data", MISSING, f"at most {MAX_TEXT} characters")
            self._text.append(text)

    def end(self, name: str) -> None:
        """Takes the end of an element."""
        if name == "data" and self._name is not None:
            if self._name and self._current is not None:
                self._current.data[self._name] = "".join(self._text).strip()
            self._name = None
        elif name in ("node", "edge"):
            self._current = None

    def _identifier(self, attributes: dict[str, str], key: str) -> str:
        value = attributes.get(key, "")
        if not value or len(value) > MAX_ID or not value.isprintable() or any(c in value for c in "<>&"):
            self.refuse(f"{self.stack[-1]} {key}", value, f"1 to {MAX_ID} printable characters without <, > and &")
        return value

    def _start_key(self, attributes: dict[str, str]) -> None:
        foreign = "yfiles.type" in attributes
        if not foreign and not (attributes.get("attr.name") and attributes.get("attr.type")):
            self.refuse("key", attributes.get("id"), "given with attr.name and attr.type")
        self._names[self._identifier(attributes, "id")] = "" if foreign else attributes["attr.name"]

    def _start_node(self, attributes: dict[str, str]) -> None:
        name = self._identifier(attributes, "id")
        if name in self.vertices:
            self.refuse("node id", name, "given once", f"first on line {self.vertices[name].line}")
        if len(self.vertices) >= MAX_NODES:
            self.refuse("nodes", MISSING, f"at most {MAX_NODES}")
        self._current = self.vertices[name] = Element(self.parser.CurrentLineNumber)

    def _start_edge(self, attributes: dict[str, str]) -> None:
        if len(self.edges) >= MAX_EDGES:
            self.refuse("edges", MISSING, f"at most {MAX_EDGES}")
        ends = self._identifier(attributes, "source"), self._identifier(attributes, "target")
        self._current = Element(self.parser.CurrentLineNumber, ends)
        self.edges.append(self._current)

    def _start_data(self, attributes: dict[str, str]) -> None:
        key = attributes.get("key", "")
        if key not in self._names:
            self.refuse("data key", key, "declared by a key element")
        self._name, self._text, self._length = self._names[key], [], 0


def read_graphml(path: str | os.PathLike) -> GraphmlReader:
    """Reads a GraphML file of at most 64 MiB.

    Raises:
        EdgeGymInputError: Names file, line and element; also for an edge to an undeclared vertex, or no vertex at all.
    """
    real = locate(path)
    reader = GraphmlReader(Path(real).name)
    reader.read(split(read_bytes(real, MAX_BYTES)))
    if not reader.vertices:
        raise EdgeGymInputError("nodes", MISSING, "at least one", reader.where)
    for edge in reader.edges:
        for name in edge.ends or ():
            if name not in reader.vertices:
                raise EdgeGymInputError("edge end", name, "a declared node", f"{reader.where}:{edge.line}")
    return reader
