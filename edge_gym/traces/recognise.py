"""What a file is, by its first few thousand bytes, never by its name."""

from __future__ import annotations

import contextlib
import csv
import os
from pathlib import Path
from typing import NoReturn
from xml.parsers import expat

from edge_gym.errors import MISSING, EdgeGymInputError
from edge_gym.traces import azure, burstgpt, eua, geolife, mooncake, pings, pods
from edge_gym.traces.text import open_bytes

HEAD = 2**16  # bytes
# kind -> (what it is, columns that a CSV file of this kind has); the first whose columns are all there wins
CSV_KINDS = {
    "azure": ("Azure LLM request trace", azure.COLUMNS),
    "burstgpt": ("BurstGPT request trace", burstgpt.COLUMNS),
    "pods": ("Alibaba GPU pods", pods.COLUMNS),
    "pings": ("pings between cities", pings.PING_COLUMNS),
    "sites": ("EUA sites", eua.SITE_COLUMNS),
    "servers": ("cities of a ping matrix", (*pings.SERVER_COLUMNS, "latitude")),
    "users": ("EUA users", eua.USER_COLUMNS),
}
XML_KINDS = {"graphml": ("graphml", "GraphML network"), "fcd-export": ("sumo", "SUMO trajectories")}
TITLES = {
    **{kind: title for kind, (title, _) in CSV_KINDS.items()},
    **dict(XML_KINDS.values()),
    "mooncake": "Mooncake request trace",
    "geolife": "GeoLife trajectories",
    "matrix": "matrix of one-way delays",
}


def recognise(path: str | os.PathLike) -> str:
    """Returns the kind of a file or folder, a key of `TITLES`.

    Raises:
        EdgeGymInputError: It is of no known kind, or cannot be read.
    """
    if os.path.isdir(path):
        geolife.plt_files(Path(path))
        return "geolife"
    with open_bytes(path) as (stream, name):
        head = stream.read(HEAD)
    kind = _xml_kind(head) or _text_kind(head.decode("utf-8-sig", "replace"))
    if kind is None:
        raise EdgeGymInputError("", MISSING, f"one of: {', '.join(sorted(TITLES.values()))}", name, "see docs/data.md")
    return kind


def _text_kind(text: str) -> str | None:
    lines = text.splitlines()
    if not lines:
        return None
    if lines[0].strip() == geolife.FIRST_LINE:
        return "geolife"
    if lines[0].lstrip().startswith("{"):
        return "mooncake" if all(f'"{member}"' in lines[0] for member in mooncake.MEMBERS) else None
    with contextlib.suppress(csv.Error, StopIteration):
        rows = csv.reader(lines)
        header = [name.strip() for name in next(rows)]
        names = {name.casefold() for name in header}
        for kind, (_, columns) in CSV_KINDS.items():
            if names.issuperset(column.casefold() for column in columns):
                return kind
        # A matrix has no fixed names, but its first row is as long as the header and all numbers after a name.
        row = next(rows)
        if len(row) == len(header) > 1 and all(not cell.strip("0123456789.eE+- ") for cell in row[1:]):
            return "matrix"
    return None


def _xml_kind(head: bytes) -> str | None:
    """Returns the kind by the outermost element, also in UTF-16; what else is wrong with the file, its reader finds."""

    class Found(Exception):
        pass

    def start(tag: str, *_: object) -> NoReturn:
        raise Found(tag.rpartition(" ")[2])

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler = start
    parser.StartDoctypeDeclHandler = start  # its name is that of the outermost element; no reader takes such a file
    try:
        parser.Parse(head, False)
    except Found as found:
        return XML_KINDS.get(str(found), (None, ""))[0]
    except (expat.ExpatError, ValueError, LookupError):
        return None
    return None
