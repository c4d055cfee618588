"""A recording as plain JSON for the page: columns instead of rows, changes instead of samples, whole numbers.

Times are in `TICK_S`. What came from outside (names, texts) is cut and freed of control characters here, and the page
shows it as text only.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_gym.errors import printable
from edge_gym.evaluation.recording import Recording
from edge_gym.events.phrases import STAGES
from edge_gym.kernel.tables import SECOND, TERMS
from edge_gym.render import clean
from edge_gym.surface import LEVELS

TICK_S = 1e-4
MAX_CELLS = 400_000  # samples x nodes
MAX_LINKS = 3000
MAX_TEXT = 500  # characters of a message
STATES = ("queued", "running", "outstanding", "agents", "alive", "gate", "foreground")
COLUMNS = ("id", "node", "model", "site", "outcome", "late", "stutter", "prompt", "units", "retries")
INSTANTS = ("arrive_ns", "dispatch_ns", "start_ns", "first_ns", "finish_ns", "latency_ns")
SHOWN = ("latency_mean_s", "latency_p95_s", "slo_attainment", "drop_share", "stutter_share", "tool_calls")


def replay_data(found: Recording, notes: dict[str, str]) -> dict[str, Any]:
    """What the page knows.

    Args:
        found: The episode.
        notes: Labelled lines about where it comes from.

    Returns:
        Dicts, lists, strings and numbers.
    """
    keep = _thinned(found)
    time_s = found.time_s[keep]
    return {
        "tick_s": TICK_S,
        "about": {
            "task": found.task,
            "scenario": clean(found.scenario.name),
            "policy": clean(found.policy),
            "privileged": found.privileged,
            "seed": str(found.seed),  # beyond 2**53 JavaScript would round it
            "notes": {clean(name): printable(text, 300) for name, text in notes.items()},
        },
        "metrics": {**{name: found.metrics.get(name) for name in SHOWN}, **_agent_metrics(found)},
        "names": _names(found),
        "map": _map(found),
        "time": _ticks(time_s),
        "nodes": {name: _steps(found.nodes[name][keep]) for name in STATES}
        | {
            "speed": _steps(np.round(1000 * found.nodes["speed"][keep]).astype(int)),
            "resident": _resident(found, keep),
        },
        "requests": _requests(found),
        "messages": [_message(found, k) for k in range(len(found.messages))],
        "changes": [
            [_tick(row["time_s"]), int(row["node"]), int(row["alive"]), round(1000 * float(row["speed"]))]
            for row in found.changes
        ],
        "calls": [
            [_tick(call.time_s), call.node, printable(call.text, 120), int(call.refused), printable(call.reason, 300)]
            for call in found.calls
        ],
        "rewards": _rewards(found),
        **_agents(found),
    }


def _tick(seconds: float) -> int:
    """Whole ticks; -1 for never."""
    return round(float(seconds) / TICK_S) if np.isfinite(seconds) else -1


def _ticks(seconds: np.ndarray) -> list[int]:
    return np.where(np.isfinite(seconds), np.round(seconds / TICK_S), -1).astype(np.int64).tolist()


def _thinned(found: Recording) -> np.ndarray:
    """Numbers of the samples that are kept: all, unless that would be too many."""
    samples, nodes = found.nodes.shape
    every = -(-samples * nodes // MAX_CELLS)
    return np.unique(np.r_[0:samples:every, samples - 1])


def _steps(table: np.ndarray) -> list[list[int]]:
    """For each node the changes of a column, flat: sample number, value, sample number, value ..."""
    found = []
    for column in table.T:
        at = np.flatnonzero(np.r_[True, column[1:] != column[:-1]])
        found.append(np.stack([at, column[at].astype(np.int64)], axis=1).ravel().tolist())
    return found


def _resident(found: Recording, keep: np.ndarray) -> list[list[int]]:
    """Models that are loading or resident as bits: model m is bit 2 m (loading) or 2 m + 1 (resident)."""
    table = found.resident[keep].astype(np.int64)
    models = min(table.shape[2], 15)  # 30 bits, which JavaScript can take apart
    bits = (1 << (2 * np.arange(models))) * np.where(table[..., :models] == 2, 2, table[..., :models] == 1)
    return _steps(bits.sum(axis=2))


def _names(found: Recording) -> dict[str, Any]:
    world, types = found.world, found.scenario.pool.device_types
    return {
        "nodes": [clean(name) for name in world.node_names],
        "types": [clean(types[n % len(types)]) for n in range(world.n_nodes)],
        "slots": world.params.node["slots"].tolist(),
        "models": [clean(name) for name in world.model_names],
        "deadlines": _ticks(world.params.model["deadline_ns"] / SECOND),
        "sites": [clean(name, 24) for name in world.network.site_names],
        "roles": [clean(role.name) for role in found.scenario.roles],
        "gates": list(LEVELS),
        "terms": list(TERMS),
        "weights": [getattr(found.scenario.weights, name) for name in TERMS],
    }


def _map(found: Recording) -> dict[str, Any]:
    network = found.world.network
    plan = network.plan
    links = np.stack([plan.link_u, plan.link_v], axis=1)[:MAX_LINKS] if len(plan.link_u) else np.zeros((0, 2), int)
    points = {"places": plan.xy, "sites": network.site_xy, "nodes": network.node_xy}
    return {
        **{name: np.round(xy, 4).tolist() for name, xy in points.items()},
        "links": links.astype(int).tolist(),
    }


def _requests(found: Recording) -> dict[str, list[int]]:
    order = np.argsort(found.requests["arrive_ns"], kind="stable")
    log = found.requests[order]
    columns = {name: log[name].astype(np.int64).tolist() for name in COLUMNS}
    for name in INSTANTS:
        never = log[name] > found.time_s[-1] * SECOND if name != "latency_ns" else np.zeros(len(log), bool)
        columns[name.removesuffix("_ns")] = _ticks(np.where(never, np.inf, log[name] / SECOND))
    delay_s = found.world.network.delay_s[log["site"], np.maximum(log["node"], 0)]
    return {**columns, "delay": _ticks(np.where(log["node"] >= 0, delay_s, np.inf))}


def _message(found: Recording, k: int) -> list[Any]:
    message = found.messages[k]
    reading = message.reading
    stage = STAGES[reading.stage]
    return [
        _tick(message.time_s),
        message.node,
        printable(message.text, MAX_TEXT),
        stage if reading.node is not None else "nothing",
        round(reading.slowdown, 2),
        int(reading.foreground),
        reading.onset_s,
        reading.duration_s,
    ]


def _rewards(found: Recording) -> dict[str, Any]:
    """Summed terms over time, at most some hundred times."""
    total = np.cumsum(found.terms, axis=0)
    at = np.unique(np.linspace(0, len(total) - 1, 300).astype(int))
    return {"time": _ticks(found.reward_time_s[at]), "terms": [[float(f"{v:.6g}") for v in row] for row in total[at]]}


def _agents(found: Recording) -> dict[str, Any]:
    names = ("serial", "application", "role", "model")
    agents = [[*(int(a[name]) for name in names), _tick(a["seen_s"]), _tick(a["gone_s"])] for a in found.agents]
    moves = [
        [*m[["serial", "source", "target"]].item(), _tick(m["begin_s"]), _tick(m["end_s"]), float(m["bytes"])]
        for m in found.moves
    ]
    users = [[_tick(u["time_s"]), int(u["application"]), int(u["site"])] for u in found.users]
    return {"agents": agents, "moves": moves, "users": users}


def _agent_metrics(found: Recording) -> dict[str, Any]:
    wanted = ("agents.placed", "agents.moves", "agents.downtime_mean_s", "cost_usd")
    return {name: found.metrics.get(name) for name in wanted} if len(found.agents) else {}
