"""Metrics that only worlds with AI agents have, line by line as in `docs/metrics.md`."""

from __future__ import annotations

import numpy as np

from edge_gym.kernel.tables import SECOND

# In the order of the page; all are summed or averaged over an episode.
AGENT_METRICS = (
    "agents.wait_mean_s",
    "agents.transfer_mean_s",
    "agents.processing_mean_s",
    "agents.utilisation",
    "agents.utilisation_hosts",
    "agents.balance",
    "agents.cost_compute_usd",
    "agents.cost_storage_usd",
    "agents.cost_communication_usd",
    "agents.placed",
    "agents.refused",
    "agents.lost",
    "agents.handovers",
    "agents.moves",
    "agents.ping_pongs",
    "agents.aborted",
    "agents.downtime_mean_s",
    "agents.moved_bytes",
    "agents.prefill_tokens",
    "agents.cold_starts",
    "agents.late_after_move",
)


def agent_metrics(agency: np.void, n_nodes: int) -> dict[str, float | int]:
    """Metrics of one episode by name.

    Args:
        agency: AGENCY row of the world when the episode is over.
        n_nodes: N.
    """
    served = max(int(agency["served"]), 1)
    seconds = max(float(agency["booked_ns"]) / SECOND, 1e-9)
    load, square, hosts = (float(agency[f"{name}_s"]) for name in ("load", "square", "hosts"))
    resumed = int(agency["resumed"])
    values = (
        agency["wait_ns"] / SECOND / served,
        agency["transfer_ns"] / SECOND / served,
        agency["process_ns"] / SECOND / served,
        load / seconds / n_nodes,
        load / hosts if hosts > 0 else 0.0,
        load * load / (seconds * square * n_nodes) if square > 0 else 1.0,
        *agency["usd"],
        *(int(agency[name]) for name in ("placed", "refused", "lost", "handovers", "moves", "ping_pongs", "aborted")),
        agency["downtime_ns"] / SECOND / resumed if resumed > 0 else 0.0,
        *(agency[name] for name in ("moved_bytes", "prefill_tokens", "cold_starts", "late_after_move")),
    )
    return {name: float(value) for name, value in zip(AGENT_METRICS, values, strict=True)}
