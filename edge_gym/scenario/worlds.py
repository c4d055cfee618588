"""The worlds of the presets, built when asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

from edge_gym.devices import DeviceType, ModelType, Service
from edge_gym.scenario.definition import Scenario
from edge_gym.scenario.parts import (
    Arrivals,
    Churn,
    Drift,
    Law,
    Pool,
    RewardWeights,
    Semantic,
    Telemetry,
    Topology,
    Workload,
)

# Device types that an operator would really mix, each able to hold the whole model mix in memory.
EDGE_MIX = (
    "jetson_agx_orin",
    "l4",
    "jetson_orin_nx",
    "rtx_2000e_ada",
    "t4",
    "strix_halo",
    "apple_m1_pro",
    "rtx_4090",
)
# A wider choice: among them devices that lack figures for some models, or the memory.
METRO_MIX = (
    *EDGE_MIX,
    "jetson_xavier_nx",
    "a2",
    "arc_pro_b60",
    "jetson_agx_xavier",
    "snapdragon_8_elite",
    "cloud_ai_100",
    "arc_140t",
    "l40s",
)


def model_mix() -> tuple[Workload, ...]:
    """Returns the shared mix: mostly chat, some language encoding and detection, few images."""
    return (
        Workload.default("llama3.1-8b", share=0.5, deadline_s=30.0),
        Workload.default("bert-large", share=0.25, deadline_s=1.0),
        Workload.default("retinanet", share=0.2, deadline_s=1.0),
        Workload.default("sdxl", share=0.05, deadline_s=90.0),
    )


@cache
def stationary() -> Scenario:
    """16 nodes of 8 kinds on a metro tree with 4 sites; Poisson at 70 % of capacity; only lengths are uncertain."""
    return Scenario(
        name="stationary",
        pool=Pool(device_types=EDGE_MIX, n_nodes=16, preload="all_that_fit"),
        workloads=model_mix(),
        arrivals=Arrivals(load=0.7),
        topology=Topology(kind="metro", n_sites=4, branching=2),
        telemetry=Telemetry(forecast_cv=0.4),
        n_requests=2000,
    )


def overload() -> Scenario:
    """`stationary` with bursts at 130 % of capacity: something has to give."""
    arrivals = Arrivals(kind="mmpp", load=1.3, burst_ratio=4.0, burst_share=0.3, burst_mean_s=10.0)
    return replace(stationary(), name="overload", arrivals=arrivals)


def bursty() -> Scenario:
    """`stationary` with the same mean rate in bursts of eight times the calm rate."""
    arrivals = Arrivals(kind="mmpp", load=0.7, burst_ratio=8.0, burst_share=0.15, burst_mean_s=5.0)
    return replace(stationary(), name="bursty", arrivals=arrivals)


def diurnal() -> Scenario:
    """`stationary` with a day of two minutes: between 10 % and 130 % of capacity."""
    arrivals = Arrivals(kind="diurnal", load=0.7, period_s=120.0, amplitude=0.85)
    return replace(stationary(), name="diurnal", arrivals=arrivals, n_requests=4000)


def azure() -> Scenario:
    """Chat requests from a trace file on 16 nodes. The shipped sample is MADE UP; set `trace_path` to the real one."""
    return replace(
        stationary(),
        name="azure",
        workloads=(Workload.default("llama3.1-8b", deadline_s=30.0),),
        arrivals=Arrivals(kind="trace", load=0.7, trace_path="edge_gym:sample_azure_trace.csv", trace_start="random"),
    )


def metro64() -> Scenario:
    """64 nodes of 16 kinds, 8 sites, unknown software stacks (sigma 0.3) and telemetry that is half a second old."""
    return replace(
        stationary(),
        name="metro64",
        pool=Pool(device_types=METRO_MIX, n_nodes=64),
        topology=Topology(kind="metro", n_sites=8),
        telemetry=Telemetry(age_s=0.5, forecast_cv=0.3),
        bias_sigma=0.3,
        n_requests=4000,
    )


def metro1000() -> Scenario:
    """`metro64` at the size of a large operator: 1,000 nodes and 24 sites."""
    return replace(
        metro64(),
        name="metro1000",
        pool=Pool(device_types=METRO_MIX, n_nodes=1000),
        topology=Topology(kind="metro", n_sites=24),
        n_requests=10_000,
    )


def coldstart() -> Scenario:
    """`stationary` at half load with unknown software stacks (sigma 0.5) and nothing measured yet; 300 requests."""
    return replace(stationary(), name="coldstart", arrivals=Arrivals(load=0.5), bias_sigma=0.5, n_requests=300)


def drift() -> Scenario:
    """`stationary` at half load; every node slows down by 2 to 10 times now and then, or nearly stops; unannounced."""
    slow = Drift(share=1.0, gap_mean_s=40.0, hold_mean_s=15.0, ramp_s=4.0)
    return replace(stationary(), name="drift", arrivals=Arrivals(load=0.5), drift=slow, bias_sigma=0.3)


def churn() -> Scenario:
    """`stationary` at half load; half of the nodes leave for 15 s after a minute each time, and join as strangers."""
    come_and_go = Churn(share=0.5, up_mean_s=60.0, down_mean_s=15.0)
    return replace(stationary(), name="churn", arrivals=Arrivals(load=0.5), churn=come_and_go, bias_sigma=0.3)


def semantic() -> Scenario:
    """`stationary` at half load; users of all nodes play or update for 20 s, a minute apart, and most of it is said."""
    users = Semantic(share=1.0, gap_mean_s=60.0, lead_mean_s=4.0, duration_mean_s=20.0)
    return replace(stationary(), name="semantic", arrivals=Arrivals(load=0.5), semantic=users, bias_sigma=0.3)


def mixed() -> Scenario:
    """`semantic`, `drift` and `churn` at once, each half as frequent, with unknown software stacks (sigma 0.5)."""
    users = Semantic(share=0.5, gap_mean_s=60.0, lead_mean_s=4.0, duration_mean_s=20.0)
    slow = Drift(share=0.5, gap_mean_s=40.0, hold_mean_s=15.0, ramp_s=4.0)
    come_and_go = Churn(share=0.25, up_mean_s=60.0, down_mean_s=15.0)
    parts = {"semantic": users, "drift": slow, "churn": come_and_go}
    return replace(stationary(), name="mixed", arrivals=Arrivals(load=0.5), bias_sigma=0.5, **parts)


def composite() -> Scenario:
    """`mixed`, where a late request costs ten seconds, stutter as much, and a hundred joules one."""
    weights = RewardWeights(latency=1.0, slo_miss=10.0, stutter=10.0, energy=0.01)
    return replace(mixed(), name="composite", weights=weights)


def residency() -> Scenario:
    """16 nodes of 24 GB, and everybody asks for four generative models of 35 GB together: loading takes seconds."""
    return replace(
        stationary(),
        name="residency",
        pool=Pool(device_types=("l4", "rtx_4090"), n_nodes=16, preload="popular"),
        workloads=(
            Workload.default("llama3.1-8b", share=0.4, deadline_s=30.0),
            Workload.default("gptj-6b", share=0.25, deadline_s=30.0),
            Workload.default("qwen3.6-27b", share=0.15, deadline_s=60.0),
            Workload.default("sdxl", share=0.1, deadline_s=90.0),
            Workload.default("bert-large", share=0.1, deadline_s=5.0),
        ),
        arrivals=Arrivals(load=0.5),
        bias_sigma=0.3,
    )


def ood(build: Callable[[], Scenario]) -> Callable[[], Scenario]:
    """The same preset with everything said in paraphrases that no parser, prompt or policy was written for."""

    def held_out() -> Scenario:
        scenario = build()
        return replace(scenario, name=f"{scenario.name}-ood", semantic=replace(scenario.semantic, style="held_out"))

    held_out.__doc__ = f"`{build.__name__}` in paraphrases that no parser, prompt or policy was written for."
    return held_out


@cache
def paper() -> Scenario:
    """What the paper presets share: 300 requests at a fifth of capacity, software close to the prior."""
    return replace(
        stationary(),
        arrivals=Arrivals(load=0.2),
        telemetry=Telemetry(forecast_cv=0.2),
        bias_sigma=0.1,
        n_requests=300,
    )


def paper_coldstart() -> Scenario:
    """300 requests; software factors of sigma 0.7 and nothing measured yet. Calibrated, see docs/regimes.md."""
    return replace(paper(), name="paper-coldstart", bias_sigma=0.7)


def paper_semantic() -> Scenario:
    """300 requests; users of half of the nodes play or update for 40 s, again and again. Calibrated."""
    users = Semantic(
        share=0.45,
        gap_mean_s=20.0,
        lead_mean_s=6.0,
        duration_mean_s=40.0,
        foreground_share=0.45,
        foreground_low=0.02,
        foreground_high=0.1,
        background_low=0.1,
        background_high=0.4,
        late_share=0.05,
        false_share=0.05,
        contradict_share=0.02,
    )
    return replace(paper(), name="paper-semantic", semantic=users)


def paper_churn() -> Scenario:
    """300 requests; half of the nodes leave every 25 s and are slow for 40 s when they are back. Calibrated."""
    come_and_go = Churn(share=0.5, up_mean_s=25.0, down_mean_s=5.0, slow_start_s=40.0, slow_start_speed=0.12)
    return replace(paper(), name="paper-churn", churn=come_and_go)


def paper_drift() -> Scenario:
    """300 requests; an eighth of the nodes become 3 to 7 times slower and stay so, unannounced. Calibrated."""
    slow = Drift(
        share=0.13,
        gap_mean_s=5.0,
        hold_mean_s=200.0,
        ramp_s=0.0,
        speed_low=0.15,
        speed_high=0.3,
        outage_share=0.0,
    )
    return replace(paper(), name="paper-drift", drift=slow)


def toy2() -> Scenario:
    """Small enough for paper: nodes of 1 s and 2 s, one request at a time, no network delay, 10 requests at 1/s."""
    constant = Law(kind="constant", mean=1.0)
    device = DeviceType(name="fast", memory_bytes=10**9, storage_bytes_per_s=1e9, nic_bytes_per_s=1e9, slots=1)
    return Scenario(
        name="toy2",
        devices=(device, replace(device, name="slow")),
        models=(ModelType(name="toy", weights_bytes=10**6),),
        services=(
            Service(device="fast", model="toy", per_unit_s=1.0),
            Service(device="slow", model="toy", per_unit_s=2.0),
        ),
        pool=Pool(device_types=("fast", "slow"), n_nodes=2, queue_capacity=10, preload="all_that_fit"),
        workloads=(Workload(model="toy", prompt_tokens=Law(mean=0.0), units=constant, deadline_s=10.0),),
        arrivals=Arrivals(rate_per_s=1.0),
        topology=Topology(kind="star", link_delay_s=0.0, access_delay_s=0.0),
        n_requests=10,
    )


_STILL = (stationary, overload, toy2, metro64, metro1000, bursty, diurnal, azure)
_REGIMES = (coldstart, semantic, churn, drift, mixed, residency, composite)
_PAPER = (paper_coldstart, paper_semantic, paper_churn, paper_drift)
ROUTING: dict[str, Callable[[], Scenario]] = {
    **{build.__name__.replace("_", "-"): build for build in _STILL + _REGIMES},
    **{f"{build.__name__}-ood": ood(build) for build in (semantic, mixed)},
    **{build.__name__.replace("_", "-"): build for build in _PAPER},
}
