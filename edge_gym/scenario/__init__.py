"""Scenarios: frozen, checked descriptions of worlds; their files; the presets."""

from edge_gym.scenario.definition import Scenario
from edge_gym.scenario.parts import (
    Arrivals,
    Change,
    Churn,
    Control,
    Drift,
    Law,
    Pool,
    RewardWeights,
    Router,
    Semantic,
    Telemetry,
    Topology,
    Workload,
)

__all__ = [
    "Arrivals",
    "Change",
    "Churn",
    "Control",
    "Drift",
    "Law",
    "Pool",
    "RewardWeights",
    "Router",
    "Scenario",
    "Semantic",
    "Telemetry",
    "Topology",
    "Workload",
]
