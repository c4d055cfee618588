"""Statistics of a file of any known kind, for `edge-gym data inspect`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import sparse
from scipy.sparse import csgraph

from edge_gym.errors import EdgeGymInputError
from edge_gym.network.cities import EARTH_RADIUS_KM
from edge_gym.network.generators import Plan
from edge_gym.network.graphml import graphml_plan, position
from edge_gym.network.graphml_reader import read_graphml
from edge_gym.network.matrix import read_matrix
from edge_gym.scenario.parts import Topology
from edge_gym.traces.eua import read_sites, read_users
from edge_gym.traces.mobility import Mobility, read_mobility
from edge_gym.traces.pings import read_pings, read_servers
from edge_gym.traces.pods import read_pods
from edge_gym.traces.recognise import TITLES, recognise
from edge_gym.traces.requests import read_trace
from edge_gym.traces.statistics import arrivals, quantiles, rounded
from edge_gym.traces.visits import visits

MAX_DIAMETER_PLACES = 3000  # all pairs of places: 72 MB


def describe(path: str | os.PathLike, sites: str | os.PathLike | None = None) -> dict[str, Any]:
    """Says what a file is and describes its content.

    Args:
        path: A file or folder of any kind in `TITLES`.
        sites: EUA sites, to count the handovers in trajectories given in degrees.

    Returns:
        `kind`, `title` and, by kind, figures with their units in the name; nested where a figure has quantiles.

    Raises:
        EdgeGymInputError: The kind is not known, or something in the file is wrong.
    """
    kind = recognise(path)
    if sites is None:
        figures = _KINDS[kind](path)
    elif _KINDS[kind] is _mobility:
        figures = _mobility(path, sites)
    else:
        raise EdgeGymInputError("--sites", str(sites), "used with trajectories", hint=f"this is: {TITLES[kind]}")
    return rounded({"kind": kind, "title": TITLES[kind], **figures})


def _requests(path: str | os.PathLike) -> dict[str, Any]:
    trace = read_trace(path)
    return {
        **arrivals(trace.time_ns),
        "prompt_tokens": quantiles(trace.prompt_tokens),
        "units": quantiles(trace.units),
        "reordered": trace.n_reordered,
        "raised_to_one_unit": trace.n_raised,
        "failed_left_out": trace.n_failed,
        "sha256": trace.sha256,
    }


def _pods(path: str | os.PathLike) -> dict[str, Any]:
    pods = read_pods(path)
    return {
        **arrivals(pods.time_ns),
        "duration_s": quantiles(pods.duration_s),
        "memory_bytes": quantiles(pods.memory_bytes),
        "cpu": quantiles(pods.cpu),
        "gpu": quantiles(pods.gpu),
        "not_deleted": pods.n_running,
    }


def _pings(path: str | os.PathLike) -> dict[str, Any]:
    pings = read_pings(path)
    n = len(pings.names)
    one_way = pings.delay_s[np.triu_indices(n, 1)]
    return {
        "rows": pings.n_rows,
        "skipped": pings.n_skipped,
        "cities": n,
        "pairs": n * (n - 1) // 2,
        "pairs_filled": pings.n_filled,
        "one_way_delay_s": quantiles(one_way[np.isfinite(one_way)]),
    }


def _servers(path: str | os.PathLike) -> dict[str, Any]:
    return {"cities": len(read_servers(path))}


def _sites(path: str | os.PathLike) -> dict[str, Any]:
    xy = read_sites(path).xy
    return {"sites": len(xy), **_box(xy[:, 0], xy[:, 1], True)}


def _users(path: str | os.PathLike) -> dict[str, Any]:
    xy = read_users(path)
    return {"users": len(xy), **_box(xy[:, 0], xy[:, 1], True)}


def _mobility(path: str | os.PathLike, sites: str | os.PathLike | None = None) -> dict[str, Any]:
    mobility = read_mobility(path)
    first = np.flatnonzero(np.r_[True, np.diff(mobility.user) != 0])
    last = np.r_[first[1:], len(mobility.user)] - 1
    user_hours = float((mobility.time_s[last] - mobility.time_s[first]).sum()) / 3600
    figures = {
        "samples": len(mobility.user),
        "users": len(first),
        "span_s": float(mobility.time_s.max()),
        "user_hours": user_hours,
        **_box(mobility.x, mobility.y, mobility.geographic),
        "repeated_left_out": mobility.n_repeated,
        "off_the_globe_left_out": mobility.n_dropped,
    }
    return figures if sites is None else {**figures, **_handovers(mobility, sites, user_hours)}


def _handovers(mobility: Mobility, path: str | os.PathLike, user_hours: float) -> dict[str, Any]:
    if not mobility.geographic:
        raise EdgeGymInputError("--sites", str(path), "used with trajectories in degrees", hint="these are in metres")
    sites = read_sites(path)
    seen = visits(mobility, sites.xy)
    n = len(seen.user) - len(np.unique(seen.user))
    return {
        "sites": len(sites.ids),
        "sites_visited": len(np.unique(seen.site)),
        "handovers": n,
        "handovers_per_user_hour": n / user_hours if user_hours else None,
    }


def _box(x: np.ndarray, y: np.ndarray, geographic: bool) -> dict[str, Any]:
    """The smallest rectangle around all points, and its area; on the globe that of the zone between its meridians."""
    west, east, south, north = float(x.min()), float(x.max()), float(y.min()), float(y.max())
    if geographic:
        height = np.sin(np.radians(north)) - np.sin(np.radians(south))
        area_km2 = float(EARTH_RADIUS_KM**2 * np.radians(east - west) * height)
    else:
        area_km2 = (east - west) * (north - south) / 1e6
    sides = {"west": west, "east": east, "south": south, "north": north}
    return {**{f"{side}_{'deg' if geographic else 'm'}": at for side, at in sides.items()}, "area_km2": area_km2}


def _graphml(path: str | os.PathLike) -> dict[str, Any]:
    reader = read_graphml(path)
    plan = graphml_plan(Topology(kind="graphml", path=str(path)), 1)
    loops = sum(edge.ends is not None and edge.ends[0] == edge.ends[1] for edge in reader.edges)
    return {
        "places": len(reader.vertices),
        "links": len(plan.link_u),
        "parallel_links_merged": len(reader.edges) - loops - len(plan.link_u),
        "loops_left_out": loops,
        "places_without_coordinates": sum(position(v, reader.where) is None for v in reader.vertices.values()),
        "sites": len(plan.site_place),
        "link_delay_s": quantiles(plan.link_delay_s),
        **_connected(plan),
    }


def _matrix(path: str | os.PathLike) -> dict[str, Any]:
    sites, nodes, delay_s = read_matrix(path)
    known = np.isfinite(delay_s)
    return {
        "sites": len(sites),
        "nodes": len(nodes),
        "unreachable_pairs": int((~known).sum()),
        "delay_s": quantiles(delay_s[known]),
    }


def _connected(plan: Plan) -> dict[str, Any]:
    """Components, and the longest of all shortest delays within one (None for a large network)."""
    n = len(plan.names)
    graph = sparse.csr_array((plan.link_delay_s, (plan.link_u, plan.link_v)), shape=(n, n))
    components = int(csgraph.connected_components(graph, directed=False)[0])
    diameter_s = None
    if n <= MAX_DIAMETER_PLACES:
        delay_s = csgraph.dijkstra(graph, directed=False)
        diameter_s = float(delay_s[np.isfinite(delay_s)].max())
    return {"components": components, "diameter_s": diameter_s}


_KINDS: dict[str, Callable[..., dict[str, Any]]] = {
    "azure": _requests,
    "burstgpt": _requests,
    "mooncake": _requests,
    "pods": _pods,
    "pings": _pings,
    "servers": _servers,
    "sites": _sites,
    "users": _users,
    "sumo": _mobility,
    "geolife": _mobility,
    "graphml": _graphml,
    "matrix": _matrix,
}
