"""Scenarios: frozen, checked descriptions of worlds; their files; the presets."""

from edge_gym.scenario.definition import Scenario
from edge_gym.scenario.parts import (
    Arrivals,
    Change,
    Churn,
    Drift,
    Law,
    Pool,
    RewardWeights,
    Telemetry,
    Topology,
    Workload,
)

__all__ = [
    "Arrivals",
    "Change",
    "Churn",
    "Drift",
    "Law",
    "Pool",
    "RewardWeights",
    "Scenario",
    "Telemetry",
    "Topology",
    "Workload",
]
