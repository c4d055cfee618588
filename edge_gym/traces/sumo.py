"""SUMO's floating car data: `<timestep time><vehicle id x y/></timestep>`, also of persons and containers.

With the option `--fcd-output.geo`, `x` and `y` are longitude and latitude. No attribute says so, but SUMO writes its
options into a comment at the top of the file.
"""

from __future__ import annotations

import os
import re

from edge_gym.errors import EdgeGymInputError
from edge_gym.safe_xml import CHUNK, XmlReader
from edge_gym.traces.cells import SECONDS_FORM, number, seconds_ns
from edge_gym.traces.mobility import MAX_NAME, Mobility, Samples
from edge_gym.traces.text import open_bytes

MOVERS = ("vehicle", "person", "container")
MAX_METRES = 1e8
GEO = re.compile(r'<fcd-output\.geo\s+value="(true|1|yes|on|x|t)"', re.IGNORECASE)


class _Reader(XmlReader):
    root = "fcd-export"

    def __init__(self, where: str, geographic: bool | None):
        super().__init__(where)
        self.samples = Samples()
        self.geographic = geographic
        self._time_ns: int | None = None

    def comment(self, text: str) -> None:
        if self.geographic is None and not self.stack and GEO.search(text):
            self.geographic = True

    def start(self, name: str, attributes: dict[str, str]) -> None:
        if name in MOVERS:
            self._sample(name, attributes)
        elif name == "timestep":
            text = attributes.get("time", "")
            self._time_ns = seconds_ns(text)
            if self._time_ns is None:
                self.refuse("timestep time", text, SECONDS_FORM)

    def _sample(self, name: str, attributes: dict[str, str]) -> None:
        if self._time_ns is None or self.stack[-2] != "timestep":
            self.refuse("element", name, "inside a timestep")
        identity = attributes.get("id", "")
        if not identity.isprintable() or not 0 < len(identity) <= MAX_NAME:
            self.refuse(f"{name} id", identity, f"1 to {MAX_NAME} printable characters")
        east, north = (180.0, 90.0) if self.geographic else (MAX_METRES, MAX_METRES)
        x, y = number(attributes.get("x", ""), -east, east), number(attributes.get("y", ""), -north, north)
        if x is None or y is None:
            key, limit = ("x", east) if x is None else ("y", north)
            allowed = f"a number >= {-limit:g} and <= {limit:g}"
            self.refuse(f"{name} {key}", attributes.get(key, ""), allowed, "degrees" if self.geographic else "metres")
        try:
            self.samples.add(self.samples.number_of(identity), self._time_ns, x, y)
        except EdgeGymInputError as error:
            raise error.moved(where=f"{self.where}:{self.parser.CurrentLineNumber}") from None


def read_sumo(path: str | os.PathLike, geographic: bool | None = None) -> Mobility:
    """Reads floating car data piece by piece; see `read_mobility`."""
    with open_bytes(path) as (stream, name):
        reader = _Reader(name, geographic)
        reader.read(iter(lambda: stream.read(CHUNK), b""))
    return reader.samples.finish("sumo", name, bool(reader.geographic))
