"""The worlds of the presets with AI agents, built when asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from edge_gym.scenario.agents import AgentRole, Applications, Migration, Mobility
from edge_gym.scenario.definition import Scenario
from edge_gym.scenario.parts import Arrivals, Churn, Law, Pool, RewardWeights, Topology, Workload
from edge_gym.scenario.worlds import EDGE_MIX

# What an application is made of: agents that talk, read, look, and sometimes draw.
ROLES = (
    AgentRole(name="assistant", model="llama3.1-8b", share=0.4, rate_per_s=0.02, memory_bytes=1e9, image_bytes=1e9),
    AgentRole(name="reader", model="bert-large", share=0.3, rate_per_s=0.1, memory_bytes=3e8, image_bytes=4e8),
    AgentRole(name="watcher", model="retinanet", share=0.25, rate_per_s=0.05, memory_bytes=4e8, image_bytes=6e8),
    AgentRole(name="painter", model="sdxl", share=0.05, rate_per_s=0.002, memory_bytes=1e9, image_bytes=2e9),
)
WEIGHTS = RewardWeights(latency=1.0, cost=20_000.0)


def workloads() -> tuple[Workload, ...]:
    """Returns the models that agents call; their shares matter to requests without an agent alone."""
    return (
        Workload.default("llama3.1-8b", share=0.5, deadline_s=30.0),
        Workload.default("bert-large", share=0.25, deadline_s=1.0),
        Workload.default("retinanet", share=0.2, deadline_s=1.0),
        Workload.default("sdxl", share=0.05, deadline_s=90.0),
    )


def placement_metro_16() -> Scenario:
    """16 nodes of 8 kinds on a metro tree with 4 sites; applications of 8 agents come every 30 s and stay for 2 min."""
    return Scenario(
        name="metro-16",
        task="placement",
        pool=Pool(device_types=EDGE_MIX, n_nodes=16, preload="none"),
        workloads=workloads(),
        arrivals=Arrivals(kind="none"),
        topology=Topology(kind="metro", n_sites=4, branching=2),
        weights=WEIGHTS,
        roles=ROLES,
        applications=Applications(
            applications_per_s=1 / 30,
            n_applications=20,
            lifetime_mean_s=120.0,
            most=16,
            size=Law(mean=8.0),
            most_agents=8,
            need_cv=0.4,
        ),
        horizon_s=900.0,
    )


AGENT_WORLDS: dict[str, dict[str, Callable[[], Scenario]]] = {
    "placement": {"metro-16": placement_metro_16},
    "migration": {
        "x": lambda: replace(
            placement_metro_16(),
            task="migration",
            mobility=Mobility(kind="markov", dwell_mean_s=30.0),
            migration=Migration(review_s=20.0),
            churn=Churn(share=0.3, up_mean_s=100.0, down_mean_s=20.0),
        )
    },
    "joint": {
        "x": lambda: replace(
            placement_metro_16(),
            task="joint",
            arrivals=Arrivals(load=0.3),
            mobility=Mobility(kind="commute", dwell_mean_s=30.0),
            migration=Migration(review_s=20.0),
        )
    },
}
