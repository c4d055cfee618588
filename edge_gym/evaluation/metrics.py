"""Metrics of one episode from its log, line by line as in `docs/metrics.md`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from edge_gym.errors import EdgeGymError
from edge_gym.kernel.tables import (
    COMPLETED,
    DROPPED,
    REJECTED,
    SECOND,
    STUTTER_FOREGROUND,
    STUTTER_GAP,
    TERMS,
    TOKENS,
    UNFINISHED,
)
from edge_gym.scenario import RewardWeights

TOLERANCE = 1e-9  # relative, between the rewards and what the log says

COUNTER = re.compile(r"[a-z][a-z0-9_]{0,30}(\.[a-z0-9_]{1,60})+")

# Every metric of an episode, in the order of the page.
METRICS = (
    "latency_mean_s",
    "latency_p50_s",
    "latency_p95_s",
    "latency_p99_s",
    "served_latency_mean_s",
    "ttft_mean_s",
    "ttft_p95_s",
    "tpot_mean_s",
    "slo_attainment",
    "goodput_per_s",
    "stutter_share",
    "stutter_foreground_share",
    "stutter_gap_share",
    "healthy_masked_share",
    "tool_calls",
    "interventions",
    "rejected",
    "dropped",
    "unfinished",
    "drop_share",
    "requests",
    "retries_mean",
    "jain_sites",
    "energy_j",
    "energy_j_per_request",
    "cost_usd",
    "imbalance_mean",
    "makespan_s",
    "return",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Episode:
    """What is left of an episode.

    Attributes:
        log: (n,) `edge_gym.kernel.tables.LOG`, every request that arrived, in the order in which they ended.
        terms: (8,) float64, the unweighted reward terms, summed.
        reward: Summed reward.
        arrived: Requests that arrived, as the world counted them.
        makespan_s: Simulated seconds from the beginning to the end.
        masked_s: Time integral of the share of the pool's capacity that was healthy and closed.
        calls: Tool calls of a controller of the fast path.
        interventions: Calls the guards refused, and gates they opened.
        counters: What the policy counted itself, by names with a dot, as in `llm.calls`.
    """

    log: np.ndarray
    terms: np.ndarray
    reward: float
    arrived: int
    makespan_s: float
    masked_s: float = 0.0
    calls: int = 0
    interventions: int = 0
    counters: Mapping[str, float] = field(default_factory=dict)


def episode_metrics(episode: Episode, model_kind: np.ndarray) -> dict[str, float | int | None]:
    """Metrics of one episode.

    Args:
        episode: The episode.
        model_kind: (M,) what each model produces (`kernel.tables.TOKENS` for an LLM).

    Returns:
        A flat dict with the keys `METRICS`, None where there is nothing to take a mean of; then the policy's counters.
    """
    log, n, makespan_s = episode.log, len(episode.log), episode.makespan_s
    total = {name: -float(value) for name, value in zip(TERMS, episode.terms, strict=True)}
    completed = log["outcome"] == COMPLETED
    in_time = completed & (log["late"] == 0)
    stuttered = {bits: completed & (log["stutter"] & bits != 0) for bits in (1, 2, 3)}
    llm = log[completed & (model_kind[log["model"]] == TOKENS)]
    latency_s = log["latency_ns"] / SECOND
    ttft_s = (llm["first_ns"] - llm["arrive_ns"]) / SECOND
    tpot_s = (llm["finish_ns"] - llm["first_ns"]) / SECOND / np.maximum(llm["units"], 1)
    count = {outcome: int((log["outcome"] == outcome).sum()) for outcome in (REJECTED, DROPPED, UNFINISHED)}
    return {
        "latency_mean_s": _mean(latency_s),
        "latency_p50_s": _quantile(latency_s, 0.50),
        "latency_p95_s": _quantile(latency_s, 0.95),
        "latency_p99_s": _quantile(latency_s, 0.99),
        "served_latency_mean_s": _mean((log["finish_ns"] - log["arrive_ns"])[completed] / SECOND),
        "ttft_mean_s": _mean(ttft_s),
        "ttft_p95_s": _quantile(ttft_s, 0.95),
        "tpot_mean_s": _mean(tpot_s),
        "slo_attainment": _share(in_time.sum(), n),
        "goodput_per_s": _share(in_time.sum(), makespan_s),
        "stutter_share": _share(stuttered[STUTTER_GAP | STUTTER_FOREGROUND].sum(), n),
        "stutter_foreground_share": _share(stuttered[STUTTER_FOREGROUND].sum(), n),
        "stutter_gap_share": _share(stuttered[STUTTER_GAP].sum(), n),
        "healthy_masked_share": _share(episode.masked_s, makespan_s),
        "tool_calls": episode.calls,
        "interventions": episode.interventions,
        "rejected": count[REJECTED],
        "dropped": count[DROPPED],
        "unfinished": count[UNFINISHED],
        "drop_share": _share(n - completed.sum(), n),
        "requests": n,
        "retries_mean": _mean(log["retries"]),
        "jain_sites": jain(latency_s, log["site"]),
        "energy_j": total["energy"],
        "energy_j_per_request": _share(total["energy"], n),
        "cost_usd": total["cost"],
        "imbalance_mean": _share(total["imbalance"], makespan_s),
        "makespan_s": makespan_s,
        "return": episode.reward,
        **_checked(episode.counters),
    }


def _checked(counters: Mapping[str, float]) -> dict[str, float]:
    """Counters whose names cannot be taken for those of metrics; whole numbers as such."""
    for name, value in counters.items():
        if not COUNTER.fullmatch(name) or not np.isfinite(value):
            raise EdgeGymError(
                f"a policy counts {name!r} = {value!r}: must be a finite number, named as in 'llm.calls'"
            )
    return {name: int(value) if value == int(value) else float(value) for name, value in counters.items()}


def jain(latency_s: np.ndarray, site: np.ndarray) -> float | None:
    """Jain's fairness index of the sites' mean latencies, 1/m ... 1; None without requests.

    Args:
        latency_s: (n,) seconds.
        site: (n,) site of each request.
    """
    if len(site) == 0:
        return None
    count = np.bincount(site)
    mean = np.bincount(site, latency_s)[count > 0] / count[count > 0]
    squares = len(mean) * float((mean**2).sum())
    return float(mean.sum()) ** 2 / squares if squares > 0 else 1.0


def check_episode(episode: Episode, weights: RewardWeights) -> None:
    """Compare the rewards with what the log alone says; a difference is a bug of edge_gym.

    Args:
        episode: The episode.
        weights: Of the reward terms.

    Raises:
        EdgeGymError: A request is missing or there twice, or a reward term or the return does not follow from the log.
    """
    log, terms = episode.log, dict(zip(TERMS, episode.terms.tolist(), strict=True))
    if len(log) != episode.arrived or len(np.unique(log["id"])) != episode.arrived:
        raise EdgeGymError(f"{episode.arrived} requests arrived, the log has {len(log)}: please report this")
    served = log["outcome"] == COMPLETED
    from_log = {
        "latency": -sum(log["latency_ns"].tolist()) / SECOND,  # Python integers: exact
        "slo_miss": -int((log["late"] | ~served).sum()),
        "drop": -int((~served).sum()),
        "stutter": -int((log["stutter"][served] != 0).sum()),
    }
    expected = sum(getattr(weights, name) * value for name, value in {**terms, **from_log}.items())
    pairs = [(name, terms[name], value) for name, value in from_log.items()]
    for name, rewarded, value in [*pairs, ("return", episode.reward, expected)]:
        if abs(rewarded - value) > TOLERANCE * max(1.0, abs(value)):
            raise EdgeGymError(f"{name} is {rewarded!r} by the rewards and {value!r} by the log: please report this")


def _mean(values: np.ndarray) -> float | None:
    return float(values.mean()) if len(values) else None


def _quantile(values: np.ndarray, q: float) -> float | None:
    return float(np.quantile(values, q)) if len(values) else None


def _share(part: float, whole: float) -> float | None:
    return float(part / whole) if whole else None
