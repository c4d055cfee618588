"""Round-trip times between cities, as WonderNetwork published them, to a matrix of one-way delays.

The delay between two cities is half the round trip: the mean of all rows of a direction (column `avg`, milliseconds),
then the mean of both directions, or the one that was measured. A pair that was never measured gets the shortest path
over pairs that were. The matrix is symmetric, with zeros on the diagonal.
"""

from __future__ import annotations

import csv
import io
import os
from array import array
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csgraph

from edge_gym.errors import MISSING
from edge_gym.traces.cells import number
from edge_gym.traces.text import Table, open_lines, open_table

SERVER_COLUMNS = ("id", "name")
PING_COLUMNS = ("source", "destination", "avg")
MAX_SERVERS = 1000
MAX_RTT_MS = 60_000
MAX_ID = 100


@dataclass(eq=False, frozen=True, kw_only=True)
class Pings:
    """Delays between cities.

    Attributes:
        names: Of the cities.
        delay_s: One-way seconds, float64, (n, n), symmetric; inf where nothing connects two cities.
        n_rows: Rows that were used.
        n_skipped: Rows without an average (every packet was lost), of a city with itself, or of a city that is not
            in the file of servers.
        n_filled: Pairs of cities that were not measured in any direction.
    """

    names: tuple[str, ...]
    delay_s: np.ndarray
    n_rows: int
    n_skipped: int
    n_filled: int


def read_pings(path: str | os.PathLike, servers: str | os.PathLike | None = None) -> Pings:
    """Reads pings.

    Args:
        path: CSV file with the columns source, destination and avg, gzipped if it ends with .gz.
        servers: CSV file with the columns id and name. Only its cities count, so a shorter file chooses among them.
            Without it all cities count and are called by their ids.

    Raises:
        EdgeGymInputError: Names file and line, column and value.
    """
    names = {} if servers is None else read_servers(servers)
    index = {identity: i for i, identity in enumerate(names)}
    total_ms, counts = array("d", bytes(8 * MAX_SERVERS**2)), array("q", bytes(8 * MAX_SERVERS**2))
    n_rows = n_skipped = 0
    with open_table(path, PING_COLUMNS) as table:
        for source, destination, text in table:
            if servers is None:
                _learn(index, (source, destination), table)
            u, v = index.get(source), index.get(destination)
            if u is None or v is None or u == v or not text.strip():
                n_skipped += 1
                continue
            rtt_ms = number(text, 0, MAX_RTT_MS)
            if rtt_ms is None:
                raise table.wrong(PING_COLUMNS[2], text, f"a number >= 0 and <= {MAX_RTT_MS}, or empty", "ms")
            total_ms[u * MAX_SERVERS + v] += rtt_ms
            counts[u * MAX_SERVERS + v] += 1
            n_rows += 1
        if not n_rows:
            raise table.wrong("rows", MISSING, "at least one between two of the servers")
    n = len(index)
    square = MAX_SERVERS, MAX_SERVERS
    sums, numbers = np.frombuffer(total_ms).reshape(square), np.frombuffer(counts, np.int64).reshape(square)
    delay_s, n_filled = _delays(sums[:n, :n], numbers[:n, :n])
    return Pings(
        names=tuple(names.values()) or tuple(index),
        delay_s=delay_s,
        n_rows=n_rows,
        n_skipped=n_skipped,
        n_filled=n_filled,
    )


def read_servers(path: str | os.PathLike) -> dict[str, str]:
    """Returns id -> name from a CSV file with these columns; others and empty cells at the end of rows are ignored."""
    names: dict[str, str] = {}
    with open_lines(path) as lines:
        table = Table(lines).select(SERVER_COLUMNS)
        for identity, name in table:
            if not 0 < len(identity) <= MAX_ID or identity in names or len(names) >= MAX_SERVERS:
                raise table.wrong("id", identity, f"given, by no other row, in at most {MAX_SERVERS} rows")
            if not name.strip() or not name.isprintable() or len(name) > MAX_ID or name in names.values():
                raise table.wrong("name", name, f"1 to {MAX_ID} printable characters that no other row has")
            names[identity] = name
        if not names:
            raise table.wrong("rows", MISSING, "at least one", "the file has a header only")
    return names


def matrix_text(pings: Pings) -> str:
    """Returns the delays as `topology.kind: matrix` reads them: a site and a node in each city."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["site", *pings.names])
    for name, row in zip(pings.names, pings.delay_s.tolist(), strict=True):
        writer.writerow([name, *(f"{value:.9g}" if np.isfinite(value) else "" for value in row)])
    return buffer.getvalue()


def _learn(index: dict[str, int], identities: tuple[str, str], table: Table) -> None:
    for identity in identities:
        if identity not in index:
            if not 0 < len(identity) <= MAX_ID or not identity.isprintable() or len(index) >= MAX_SERVERS:
                allowed = f"an id of 1 to {MAX_ID} printable characters, one of at most {MAX_SERVERS}"
                raise table.wrong("source or destination", identity, allowed)
            index[identity] = len(index)


def _delays(total_ms: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, int]:
    """Returns one-way seconds, and how many pairs were not measured."""
    measured = counts > 0
    rtt_ms = np.divide(total_ms, counts, out=np.zeros(counts.shape), where=measured)
    directions = measured + measured.T.astype(int)
    direct = np.divide(rtt_ms + rtt_ms.T, 2000.0 * directions, out=np.full(counts.shape, np.inf), where=directions > 0)
    missing = directions == 0
    graph = csgraph.csgraph_from_dense(direct, null_value=np.inf)
    delay_s = np.where(missing, csgraph.shortest_path(graph, directed=False), direct)
    np.fill_diagonal(delay_s, 0.0)
    return delay_s, int(np.triu(missing, 1).sum())
