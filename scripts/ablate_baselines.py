"""What the parts of the baselines are worth: variants of the tuned policies, mean latency over that of sect_watchdog.

python scripts/ablate_baselines.py      prints a Markdown table: ratio with its 95 % paired interval, seeds 520 to 549
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from edge_baselines import tuned
from edge_baselines.breaker import Breaker

import edge_gym
from edge_gym.evaluation.stats import ratio_interval

SCENARIOS = "coldstart,churn,drift,stationary,overload,metro64"
REFERENCE = "sect_watchdog"


def variants() -> dict[str, Any]:
    """Policies by the words for them; the first is the reference."""
    linucb, watchdog = tuned.settings_of("linucb"), tuned.settings_of("sect_watchdog")
    ewma = tuned.settings_of("sect_ewma")
    never = {"overdue_limit": 1e6, "slowdown_limit": 1e6}
    return {
        REFERENCE: tuned.sect_watchdog(),
        "sect_watchdog, no inflicted delay": tuned.sect_watchdog(inflicted_weight=0.0),
        "sect_watchdog, overdue ignored": tuned.sect_watchdog(overdue_power=0.0),
        "sect_ewma": tuned.sect_ewma(),
        "sect_ewma, inflicted delay as sect_watchdog": tuned.sect_ewma(inflicted_weight=watchdog["inflicted_weight"]),
        "sect_watchdog, inflicted delay as sect_ewma": tuned.sect_watchdog(inflicted_weight=ewma["inflicted_weight"]),
        "linucb": tuned.linucb(),
        "linucb, one memory": tuned.linucb(offset_memory_s=linucb["state_memory_s"]),
        "linucb, node state alone": tuned.linucb(offset_sd=0.0, slope_sd=0.0),
        "linucb, offsets alone": tuned.linucb(state_sd=0.0),
        "linucb, no slopes": tuned.linucb(slope_sd=0.0),
        "linucb, no optimism": tuned.linucb(optimism=0.0),
        "linucb, overdue ignored": tuned.linucb(overdue_power=0.0),
        "linucb, no inflicted delay": tuned.linucb(inflicted_weight=0.0),
        "d_ucb": tuned.d_ucb(),
        "d_ucb, no optimism": tuned.d_ucb(optimism=0.0),
        "thompson": tuned.thompson(),
        "headroom": tuned.headroom(),
        "breaker": tuned.breaker(),
        "breaker, as published (mask, 30 s)": Breaker(),
        "breaker, 30 % at most": Breaker(max_ejected=0.3),
        "breaker, 5 s": Breaker(base_s=5.0),
        "breaker, slow start 10 s": Breaker(start_s=10.0),
        "breaker, penalty instead of mask": Breaker(ejection="penalty"),
        "breaker, slow start alone": Breaker(start_s=10.0, **never),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenarios", default=SCENARIOS, help=f"presets, by commas (default {SCENARIOS})")
    parser.add_argument("--seed", type=int, default=520, help="first seed (default 520)")
    parser.add_argument("--episodes", type=int, default=30, help="worlds of each scenario (default 30)")
    options = parser.parse_args(arguments)
    scenarios = options.scenarios.split(",")
    policies = variants()
    for name, policy in policies.items():
        policy.name = name
    columns = [
        column(policies, scenario, range(options.seed, options.seed + options.episodes)) for scenario in scenarios
    ]
    print("| variant | " + " | ".join(f"`{scenario}`" for scenario in scenarios) + " |")
    print("|---" * (len(scenarios) + 1) + "|")
    for k, name in enumerate(policies):
        print(f"| {name} | " + " | ".join(cells[k] for cells in columns) + " |")
    return 0


def column(policies: dict[str, Any], scenario: str, seeds: range) -> list[str]:
    """Ratio and interval of every policy on one scenario."""
    rows = edge_gym.evaluate(list(policies.values()), "routing", scenario, seeds, progress=True).rows
    latency = np.array([[row["latency_mean_s"] for row in rows if row["policy"] == name] for name in policies])
    found = zip(*ratio_interval(latency, latency[0]), strict=True)
    return [f"{mean:.3f} [{low:.3f}, {high:.3f}]" for mean, low, high in found]


if __name__ == "__main__":
    sys.exit(main())
