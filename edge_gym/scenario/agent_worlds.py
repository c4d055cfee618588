"""The worlds of the presets with AI agents, built when asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from edge_gym.scenario.agents import AgentRole, Applications, Migration, Mobility
from edge_gym.scenario.definition import Scenario
from edge_gym.scenario.parts import Arrivals, Churn, Law, Pool, RewardWeights, Topology, Workload
from edge_gym.scenario.worlds import EDGE_MIX, METRO_MIX

# What applications are made of: agents that reason, look things up, watch, and sometimes draw.
_SMALL = AgentRole(name="small", model="bert-large", rate_per_s=0.08, image_bytes=5e7, peer_bytes=2e5, peer_rounds=3.0)
CREW = (
    replace(
        _SMALL, name="reasoner", model="llama3.1-8b", share=0.6, memory_bytes=5e8, image_bytes=1e8, peer_rounds=6.0
    ),
    replace(_SMALL, name="reader", share=0.2),
    replace(_SMALL, name="watcher", model="retinanet", share=0.15),
    replace(_SMALL, name="painter", model="sdxl", share=0.05, rate_per_s=0.005, memory_bytes=5e8, image_bytes=2e8),
)
# What follows a user about: somebody to talk to, who answers briefly, and eyes that look at frame after frame.
COMPANIONS = (
    AgentRole(name="companion", model="llama3.1-8b", share=0.5, rate_per_s=0.05, memory_bytes=5e8, image_bytes=1e8),
    AgentRole(name="lookout", model="retinanet", share=0.5, rate_per_s=0.4, memory_bytes=2e8, image_bytes=5e7),
)
# What stands at the sites of a region: small machines.
SITE_MIX = ("jetson_agx_orin", "rtx_2000e_ada", "jetson_orin_nx", "l4")
# A dollar weighs as 20,000 request-seconds: then what an agent costs and how long its users wait are alike in size.
WEIGHTS = RewardWeights(latency=1.0, cost=20_000.0)


def crew_workloads() -> tuple[Workload, ...]:
    """Returns the models that the agents of an application call; who reasons writes at length."""
    asked = Law(kind="lognormal", mean=800.0, cv=0.8, minimum=1.0, maximum=16_000.0)
    answers = Law(kind="lognormal", mean=512.0, cv=0.8, minimum=1.0, maximum=4096.0)
    return (
        Workload(model="llama3.1-8b", prompt_tokens=asked, units=answers, deadline_s=60.0),
        Workload.default("bert-large", deadline_s=3.0),
        Workload.default("retinanet", deadline_s=3.0),
        Workload.default("sdxl", deadline_s=60.0),
    )


def companion_workloads() -> tuple[Workload, ...]:
    """Returns the models that companions call: answers of a few sentences, and one frame at a time."""
    brief = Law(kind="lognormal", mean=64.0, cv=0.6, minimum=1.0, maximum=512.0)
    asked = Law(kind="lognormal", mean=120.0, cv=0.6, minimum=1.0, maximum=2048.0)
    talk = Workload(model="llama3.1-8b", prompt_tokens=asked, units=brief, deadline_s=10.0)
    return talk, Workload.default("retinanet", deadline_s=1.0)


def metro_16() -> Scenario:
    """16 nodes of 8 kinds on a metro tree with 4 sites; every 2.5 s an application of 8 agents comes for 24 s or so."""
    return Scenario(
        name="metro-16",
        task="placement",
        pool=Pool(device_types=EDGE_MIX, n_nodes=16),
        workloads=crew_workloads(),
        arrivals=Arrivals(kind="none"),
        topology=Topology(kind="metro", n_sites=4, branching=2),
        weights=WEIGHTS,
        roles=CREW,
        applications=Applications(
            applications_per_s=0.4,
            n_applications=40,
            lifetime_mean_s=24.0,
            most=32,
            size=Law(mean=8.0),
            most_agents=8,
            need_cv=0.3,
        ),
        horizon_s=600.0,
    )


def campus_8() -> Scenario:
    """8 nodes around 2 sites of a campus; every 3 s an application of 3 to 6 agents comes for 24 s or so."""
    size = Law(kind="uniform", low=3.0, high=6.0, minimum=1.0)
    apps = replace(metro_16().applications, applications_per_s=1 / 3, size=size, most_agents=6)
    return replace(
        metro_16(),
        name="campus-8",
        pool=Pool(device_types=EDGE_MIX, n_nodes=8),
        topology=Topology(kind="ring", n_sites=2, link_delay_s=0.0005),
        applications=apps,
    )


def global_24() -> Scenario:
    """24 nodes in 24 cities of the world; every 20 s an application of 40 agents comes, and stays for a minute."""
    return replace(
        metro_16(),
        name="global-24",
        pool=Pool(device_types=METRO_MIX, n_nodes=24),
        topology=Topology(kind="cities", n_sites=24),
        applications=Applications(
            applications_per_s=1 / 20,
            n_applications=10,
            lifetime_mean_s=60.0,
            most=16,
            size=Law(mean=40.0),
            most_agents=40,
            need_cv=0.3,
        ),
        horizon_s=3600.0,
    )


def global_120() -> Scenario:
    """120 nodes in 24 cities; every minute an application of 400 agents comes, and stays for two."""
    apps = replace(
        global_24().applications,
        applications_per_s=1 / 60,
        n_applications=3,
        lifetime_mean_s=120.0,
        size=Law(mean=400.0),
        most=6,
        most_agents=400,
    )
    pool = Pool(device_types=METRO_MIX, n_nodes=120)
    return replace(global_24(), name="global-120", pool=pool, applications=apps)


def metro_1000() -> Scenario:
    """1,000 nodes and 24 sites of a metro; 10 applications of 50 agents, one every 6 s."""
    return replace(
        metro_16(),
        name="metro-1000",
        pool=Pool(device_types=METRO_MIX, n_nodes=1000),
        topology=Topology(kind="metro", n_sites=24),
        applications=Applications(
            applications_per_s=1 / 6,
            n_applications=10,
            lifetime_mean_s=60.0,
            most=200,
            size=Law(mean=50.0),
            most_agents=50,
            need_cv=0.3,
        ),
    )


def commute_16() -> Scenario:
    """48 users of two agents each commute between two of 8 sites of a region, half a minute at each end."""
    return Scenario(
        name="commute-16",
        task="migration",
        pool=Pool(device_types=SITE_MIX, n_nodes=16),
        workloads=companion_workloads(),
        arrivals=Arrivals(kind="none"),
        topology=Topology(kind="metro", n_sites=8, branching=2, link_delay_s=0.01, link_bandwidth_bytes_per_s=1.25e7),
        weights=RewardWeights(latency=1.0, cost=2000.0),
        roles=COMPANIONS,
        applications=Applications(at_start=48, most=48, size=Law(mean=2.0), most_agents=2, need_cv=0.3),
        mobility=Mobility(kind="commute", dwell_mean_s=30.0, hop_s=5.0),
        migration=Migration(review_s=10.0),
        horizon_s=180.0,
    )


def roam_24() -> Scenario:
    """72 users of two agents each travel between 24 cities of the world, to any other, by way of those between."""
    apps = replace(commute_16().applications, at_start=72, most=72)
    return replace(
        commute_16(),
        name="roam-24",
        pool=Pool(device_types=SITE_MIX, n_nodes=24),
        topology=Topology(kind="cities", n_sites=24, link_bandwidth_bytes_per_s=1.25e7),
        applications=apps,
        mobility=Mobility(kind="waypoint", dwell_mean_s=40.0, hop_s=10.0),
    )


def failing_16() -> Scenario:
    """`commute-16` with users who drift from site to site, on nodes half of which fail for 15 s, a minute apart."""
    return replace(
        commute_16(),
        name="failing-16",
        mobility=Mobility(kind="markov", dwell_mean_s=30.0),
        churn=Churn(share=0.5, up_mean_s=60.0, down_mean_s=15.0),
    )


def region_16() -> Scenario:
    """Requests at a third of capacity, applications that come and go, and users who commute: everything at once."""
    talk, look = companion_workloads()
    apps = Applications(
        at_start=16,
        applications_per_s=0.2,
        n_applications=40,
        lifetime_mean_s=80.0,
        most=48,
        size=Law(mean=4.0),
        most_agents=4,
        need_cv=0.3,
    )
    return replace(
        commute_16(),
        name="region-16",
        task="joint",
        workloads=(replace(talk, share=0.7), replace(look, share=0.3)),
        arrivals=Arrivals(load=0.3),
        applications=apps,
        horizon_s=120.0,
    )


AGENT_WORLDS: dict[str, dict[str, Callable[[], Scenario]]] = {
    "placement": {
        "metro-16": metro_16,
        "campus-8": campus_8,
        "global-24": global_24,
        "global-120": global_120,
        "metro-1000": metro_1000,
    },
    "migration": {"commute-16": commute_16, "roam-24": roam_24, "failing-16": failing_16},
    "joint": {"region-16": region_16},
}
