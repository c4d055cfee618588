"""Sites and users of the EUA data set: points on the globe."""

from __future__ import annotations

import os
from array import array
from typing import NamedTuple
from xml.sax.saxutils import escape

import numpy as np

from edge_gym.errors import MISSING, EdgeGymInputError, printable
from edge_gym.traces.cells import number
from edge_gym.traces.text import Table, open_table
from edge_gym.traces.visits import nearest_site

SITE_COLUMNS = ("SITE_ID", "LATITUDE", "LONGITUDE", "NAME")
USER_COLUMNS = ("Latitude", "Longitude")
MAX_SITES = 1_000_000
MAX_LINKED = 1000
MAX_USERS = 20_000_000


class Sites(NamedTuple):
    """Sites in the order of the file.

    Attributes:
        ids: `SITE_ID` of each, no two equal.
        names: `NAME` of each; several may have the same.
        xy: Longitude and latitude in degrees, float64, (n_sites, 2).
    """

    ids: tuple[str, ...]
    names: tuple[str, ...]
    xy: np.ndarray


def read_sites(path: str | os.PathLike) -> Sites:
    """Reads sites from a CSV file with the columns SITE_ID, LATITUDE, LONGITUDE and NAME; others are ignored.

    Raises:
        EdgeGymInputError: Names file and line, column and value.
    """
    ids: dict[str, str] = {}
    xy = array("d")
    with open_table(path, SITE_COLUMNS) as table:
        for identity, latitude, longitude, name in table:
            if not identity.strip() or identity in ids or len(ids) >= MAX_SITES:
                raise table.wrong(SITE_COLUMNS[0], identity, f"given, by no other row, in at most {MAX_SITES} rows")
            ids[identity] = name.strip()
            xy.extend(_point(table, latitude, longitude, SITE_COLUMNS[1:3]))
    _check_any(ids, "sites", table)
    return Sites(tuple(ids), tuple(ids.values()), np.frombuffer(xy).reshape(-1, 2))


def read_users(path: str | os.PathLike) -> np.ndarray:
    """Reads users from a CSV file with the columns Latitude and Longitude; others are ignored.

    Returns:
        Longitude and latitude in degrees, float64, (n_users, 2).

    Raises:
        EdgeGymInputError: Names file and line, column and value.
    """
    xy = array("d")
    with open_table(path, USER_COLUMNS) as table:
        for latitude, longitude in table:
            if len(xy) >= 2 * MAX_USERS:
                raise table.wrong("rows", MISSING, f"at most {MAX_USERS}")
            xy.extend(_point(table, latitude, longitude, USER_COLUMNS))
    _check_any(xy, "users", table)
    return np.frombuffer(xy).reshape(-1, 2)


def user_share(site_xy: np.ndarray, user_xy: np.ndarray) -> np.ndarray:
    """Returns the share of the users whose nearest site each is, (n_sites,), sums to 1; both in degrees as above."""
    counts = np.bincount(nearest_site(user_xy, site_xy, True), minlength=len(site_xy))
    return counts / counts.sum()


def sites_graphml(sites: Sites, share: np.ndarray) -> str:
    """Returns the sites as a network in GraphML, for `topology.kind: graphml`.

    The data set has no links, so every site is linked to every other; the delay follows from the distance, as it does
    for every link without one (`network.graphml`). Users attach in proportion to `share`.

    Raises:
        EdgeGymInputError: There are more than `MAX_LINKED` sites.
    """
    n = len(sites.ids)
    if n > MAX_LINKED:
        raise EdgeGymInputError("sites", n, f"<= {MAX_LINKED}, each linked to every other", hint="cut out a region")
    kinds = {"label": "string", "Latitude": "double", "Longitude": "double", "weight": "double"}
    keys = "".join(f'  <key id="{k}" for="node" attr.name="{k}" attr.type="{kind}"/>\n' for k, kind in kinds.items())
    # A site that is nobody's nearest keeps a weight, too small to matter: a network has no sites without one.
    cells = zip(sites.names, sites.xy.tolist(), np.maximum(share, 1e-9).tolist(), strict=True)
    nodes = "".join(
        f'    <node id="{k}"><data key="label">{escape(printable(name, 200))}</data><data key="Latitude">{y!r}</data>'
        f'<data key="Longitude">{x!r}</data><data key="weight">{weight!r}</data></node>\n'
        for k, (name, (x, y), weight) in enumerate(cells)
    )
    edges = "".join(f'    <edge source="{u}" target="{v}"/>\n' for u in range(n) for v in range(u + 1, n))
    head = '<?xml version="1.0" encoding="utf-8"?>\n<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n'
    return f'{head}{keys}  <graph edgedefault="undirected">\n{nodes}{edges}  </graph>\n</graphml>\n'


def _point(table: Table, latitude: str, longitude: str, columns: tuple[str, ...]) -> tuple[float, float]:
    """Returns longitude and latitude."""
    y, x = number(latitude, -90, 90), number(longitude, -180, 180)
    if y is None:
        raise table.wrong(columns[0], latitude, "a number >= -90 and <= 90", "degrees")
    if x is None:
        raise table.wrong(columns[1], longitude, "a number >= -180 and <= 180", "degrees")
    return x, y


def _check_any(found, what: str, table: Table) -> None:
    if not len(found):
        raise EdgeGymInputError(what, MISSING, "at least one", table.lines.name, "the file has a header only")
