"""From the parts of a scenario that are about AI agents to the tables of the kernel."""

from __future__ import annotations

import math

import numpy as np
from scipy.sparse import csgraph

from edge_gym.network.topology import Network, paths
from edge_gym.scenario import Scenario
from edge_gym.scenario.agents import MOBILITIES, SHAPES
from edge_gym.traces.mobility import read_mobility
from edge_gym.traces.pods import read_pods
from edge_gym.traces.visits import visits

from . import agent_tables as at
from .tables import NEVER, NONE, SECOND

_MONTH_S = 30 * 86_400.0
_MOST_S = 1e9  # of a pod's life
_NEEDS = (0.1, 8.0)  # of a pod, over the mean
_NEIGHBOURS = 3  # nearest sites that count as neighbours of a site, besides those that connect all


def build_agents(
    scenario: Scenario, network: Network, node: np.ndarray, model: np.ndarray, service: np.ndarray, work_s: np.ndarray
) -> dict[str, np.ndarray]:
    """The tables of AI agents by the name of their field in `Params`, all but `size`.

    Args:
        scenario: What is built.
        network: Its network.
        node: (N,) NODE_TYPE.
        model: (M,) MODEL.
        service: (N, M) SERVICE.
        work_s: (N, M) mean nominal work of a request, seconds.
    """
    if not scenario.roles:
        return _nothing()
    stop, track = _tracks(scenario, network)
    pod = _pods(scenario)
    near, hop = _ways(network)
    return {
        "agency": _rules(scenario, len(pod)),
        "blank": np.zeros(1, at.AGENCY),
        "role": _roles(scenario, model),
        "need": _needs(scenario, node, model, service, work_s),
        "host": _hosts(scenario, len(node)),
        "cable": _cables(scenario, network, node),
        "near": near,
        "hop": hop,
        "track": track,
        "stop": stop,
        "pod": pod,
    }


def _nothing() -> dict[str, np.ndarray]:
    return {
        "agency": np.zeros(0, at.AGENCY_RULES),
        "blank": np.zeros(0, at.AGENCY),
        "role": np.zeros(0, at.ROLE),
        "need": np.zeros((0, 0), at.NEED),
        "host": np.zeros(0, at.HOST),
        "cable": np.zeros((0, 0), at.CABLE),
        "near": np.zeros((0, 0), np.int64),
        "hop": np.zeros((0, 0), np.int64),
        "track": np.zeros(0, np.int64),
        "stop": np.zeros(0, at.STOP),
        "pod": np.zeros(0, at.POD),
    }


def _rules(scenario: Scenario, n_pods: int) -> np.ndarray:
    table = np.zeros(1, at.AGENCY_RULES)
    rules, apps, moves, users = table[0], scenario.applications, scenario.migration, scenario.mobility
    rules["at_start"] = apps.at_start
    rules["n_applications"] = apps.n_applications or NEVER
    rules["arrival_per_s"] = apps.applications_per_s
    rules["n_pods"] = n_pods
    rules["lifetime_s"] = apps.lifetime_mean_s
    rules["most_agents"] = apps.most_agents
    rules["most_waiting"] = apps.most_waiting
    rules["need_sigma"] = math.sqrt(math.log1p(apps.need_cv**2))
    rules["shape"] = SHAPES.index(apps.shape)
    rules["load_limit"] = apps.load_limit
    rules["mobility"] = MOBILITIES.index(users.kind)
    rules["dwell_s"] = users.dwell_mean_s
    rules["hop_s"] = users.hop_s
    rules["full"] = moves.mode == "full"
    for name in ("review", "pause", "ping_pong", "after_move"):
        rules[f"{name}_ns"] = round(getattr(moves, f"{name}_s") * SECOND)
    for name in ("overload", "startup_s", "state_bytes", "bytes_per_message", "bytes_per_token", "context_tokens"):
        rules[name] = getattr(moves, name)
    for name in ("export_s", "export_s_per_byte", "import_s", "import_s_per_byte"):
        rules[name] = getattr(moves, name)
    rules["usd_per_byte_s"] = scenario.prices.storage_usd_per_gb_month / 1e9 / _MONTH_S
    rules["usd_per_byte"] = scenario.prices.traffic_usd_per_gb / 1e9
    stays = [apps.lifetime_mean_s, scenario.horizon_s]
    if users.kind != "none":
        stays.append(users.dwell_mean_s)
    rules["stay_s"] = min(stays)
    return table


def _roles(scenario: Scenario, model: np.ndarray) -> np.ndarray:
    table = np.zeros(len(scenario.roles), at.ROLE)
    models = [w.model for w in scenario.workloads]
    shares = np.array([role.share for role in scenario.roles])
    table["cumulative_share"] = np.cumsum(shares / shares.sum())
    for r, role in enumerate(scenario.roles):
        row = table[r]
        row["model"] = models.index(role.model)
        kind = model[row["model"]]
        row["rate_per_s"] = role.rate_per_s
        row["memory_bytes"] = role.memory_bytes
        row["image_bytes"] = role.image_bytes
        row["peer_bytes"] = role.peer_bytes
        row["peer_rounds"] = role.peer_rounds
        row["prompt"] = kind["probe_prompt"]
        row["units"] = kind["probe_units"]
        up = kind["up_bytes"] + kind["up_bytes_per_token"] * kind["probe_prompt"]
        row["request_bytes"] = up + kind["down_bytes"] + kind["down_bytes_per_unit"] * kind["probe_units"]
    return table


def _needs(
    scenario: Scenario, node: np.ndarray, model: np.ndarray, service: np.ndarray, work_s: np.ndarray
) -> np.ndarray:
    """What an agent of each role takes of each node: share of its throughput, seconds of work, price of that share."""
    table = np.zeros((len(scenario.roles), len(node)), at.NEED)
    types = scenario.pool.device_types
    usd_per_s = np.array([scenario.device(types[n % len(types)]).price_usd_per_hour for n in range(len(node))]) / 3600.0
    models = [w.model for w in scenario.workloads]
    for r, role in enumerate(scenario.roles):
        m = models.index(role.model)
        throughput = node["slots"] / (1.0 + (node["slots"] - 1) * service[:, m]["crowding"])
        used = service[:, m]["supported"] == 1
        table[r]["work_s"] = np.where(used, work_s[:, m], 0.0)
        table[r]["load"] = np.where(used, role.rate_per_s * work_s[:, m] / throughput, 0.0)
        table[r]["usd_per_s"] = table[r]["load"] * usd_per_s * scenario.prices.compute_margin
    return table


def _hosts(scenario: Scenario, n_nodes: int) -> np.ndarray:
    table = np.zeros(n_nodes, at.HOST)
    types = scenario.pool.device_types
    for n in range(n_nodes):
        device = scenario.device(types[n % len(types)])
        table[n] = (device.storage_bytes, device.nic_bytes_per_s, 1.0 / device.storage_bytes_per_s)
    return table


def _cables(scenario: Scenario, network: Network, node: np.ndarray) -> np.ndarray:
    """Round trip, time a byte takes and its price between any two nodes; nothing at all on the node itself."""
    table = np.zeros((len(node), len(node)), at.CABLE)
    delay_s, bandwidth = network.node_delay_s(), network.node_bandwidth()
    types = scenario.pool.device_types
    nic = np.array([scenario.device(types[n % len(types)]).nic_bytes_per_s for n in range(len(node))])
    apart = np.isfinite(delay_s) & ~np.eye(len(node), dtype=bool)
    narrow = np.minimum(np.minimum(bandwidth, nic), nic[:, None])
    table["rtt_s"] = np.where(np.isfinite(delay_s), np.where(apart, 2.0 * delay_s, 0.0), 1e6)
    table["s_per_byte"] = np.where(apart, 1.0 / np.where(apart, narrow, 1.0), 0.0)
    table["usd_per_byte"] = (node["home"] != node["home"][:, None]) * scenario.prices.traffic_usd_per_gb / 1e9
    return table


def _ways(network: Network) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours of each site, and the next site on the way to another: users go from neighbour to neighbour."""
    n_sites = len(network.site_names)
    if network.plan.measured_s is None:
        far = paths(network.plan, network.plan.site_place, network.plan.site_place)[0]
    else:
        far = np.linalg.norm(network.site_xy[:, None] - network.site_xy[None], axis=2)
    far = np.where(np.isfinite(far), far, 1e3) + 1e-6  # users walk where no cable goes; no two sites are one
    np.fill_diagonal(far, np.inf)
    linked = np.zeros(far.shape, bool)
    nearest = np.argsort(far, axis=1, kind="stable")[:, : min(_NEIGHBOURS, n_sites - 1)]
    linked[np.arange(n_sites)[:, None], nearest] = True
    tree = csgraph.minimum_spanning_tree(np.where(np.isfinite(far), far, 0.0)).toarray() > 0.0
    linked |= linked.T | tree | tree.T
    _, before = csgraph.dijkstra(np.where(linked, far, 0.0), directed=False, return_predecessors=True)
    hop = np.where(before >= 0, before.T, np.arange(n_sites)[:, None])  # the one before s on the way from t
    near = np.full((n_sites, max(int(linked.sum(axis=1).max()), 1)), NONE, np.int64)
    for s in range(n_sites):
        found = np.flatnonzero(linked[s])
        near[s, : len(found)] = found
    return near, hop.astype(np.int64)


def _tracks(scenario: Scenario, network: Network) -> tuple[np.ndarray, np.ndarray]:
    """The ways of recorded users: their stops, and where those of each begin. Their area is laid over the network's."""
    path = scenario.mobility.mobility_path
    if path is None:
        return np.zeros(0, at.STOP), np.zeros(0, np.int64)
    recorded = read_mobility(path)
    xy = np.c_[recorded.x, recorded.y]
    low, site_low = xy.min(axis=0), network.site_xy.min(axis=0)
    span = np.maximum(np.ptp(xy, axis=0), 1e-12)
    site_xy = low + (network.site_xy - site_low) / np.maximum(np.ptp(network.site_xy, axis=0), 1e-12) * span
    found = visits(recorded, site_xy)
    stop = np.zeros(len(found.user), at.STOP)
    stop["time_ns"] = np.rint(found.time_s * SECOND)
    stop["site"] = found.site
    return stop, np.searchsorted(found.user, np.arange(int(found.user.max()) + 2)).astype(np.int64)


def _pods(scenario: Scenario) -> np.ndarray:
    """Recorded arrivals; the needs of an application are as the GPUs (else the cores) its pod asked for."""
    apps = scenario.applications
    if apps.pods_path is None:
        return np.zeros(0, at.POD)
    pods = read_pods(apps.pods_path)
    asked = pods.gpu if pods.gpu.any() else pods.cpu
    table = np.zeros(len(pods.time_ns), at.POD)
    scale = 1.0
    if apps.applications_per_s > 0.0 and pods.time_ns[-1] > 0:
        scale = len(table) / apps.applications_per_s / (pods.time_ns[-1] / SECOND)
    table["time_ns"] = np.rint(pods.time_ns * scale)
    table["lifetime_ns"] = np.rint(np.minimum(pods.duration_s, _MOST_S) * SECOND)
    table["need"] = np.clip(asked / max(float(asked.mean()), 1e-12), *_NEEDS)
    return table
