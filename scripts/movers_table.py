"""Print the table of the policies that migrate agents, as Markdown: means over 20 test episodes of each preset.

python scripts/movers_table.py                          all of them, and the bound
python scripts/movers_table.py --policies never,myopic  some of them
python scripts/movers_table.py --against myopic         each beside this one on the same worlds, with its 95 % interval;
                                                        of several learned:FILE also the mean, over trainings and worlds
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np
from edge_baselines.agents.movers_tuned import CLASSES

import edge_gym
from edge_gym.evaluation.results import Results
from edge_gym.evaluation.stats import crossed_ratio_interval, ratio_interval

SCENARIOS = "commute-16,roam-24,failing-16"
POLICIES = ",".join(["never", "always_follow", "random", "myopic", *CLASSES])
BOUND = "follow_bound"
FIGURES = {
    "return": ("return", 1.0, 0),
    "latency s": ("latency_mean_s", 1.0, 4),
    "in time %": ("slo_attainment", 100.0, 2),
    "moves": ("agents.moves", 1.0, 0),
    "ping-pongs": ("agents.ping_pongs", 1.0, 0),
    "downtime s": ("agents.downtime_mean_s", 1.0, 2),
    "cost USD": ("cost_usd", 1.0, 4),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenarios", default=SCENARIOS, help=f"presets, by commas (default {SCENARIOS})")
    parser.add_argument("--policies", default=POLICIES, help=f"by commas (default {POLICIES})")
    parser.add_argument("--seed", type=int, default=1000, help="first seed of the worlds (default 1000)")
    parser.add_argument("--episodes", type=int, default=20, help="worlds of each scenario (default 20)")
    parser.add_argument("--against", default="", help="a policy to compare the returns with, on the same worlds")
    options = parser.parse_args(arguments)
    seeds = range(options.seed, options.seed + options.episodes)
    heads = [*FIGURES, "return / bound", "latency / bound", "ping-pong % of moves", "ms a decision"]
    heads += [f"return / {options.against} [95 %]"] if options.against else []
    print("| scenario | policy |", " | ".join(heads), "|")
    print("|---" * (len(heads) + 2) + "|")
    for scenario in options.scenarios.split(","):
        least = _means(edge_gym.evaluate([BOUND], "migration", scenario, seeds))
        print(f"| {scenario} | {BOUND} | {least['return']:.0f} | {least['latency_mean_s']:.4f} |", flush=True)
        other = edge_gym.evaluate([options.against], "migration", scenario, seeds) if options.against else None
        trained = []
        for policy in options.policies.split(","):
            found = edge_gym.evaluate([policy], "migration", scenario, seeds)
            mean = _means(found)
            cells = [f"{mean[name] * factor:.{digits}f}" for name, factor, digits in FIGURES.values()]
            cells += [f"{mean[name] / least[name]:.3f}" for name in ("return", "latency_mean_s")]
            decision_us = found.table_rows()[0]["metrics"]["decision_us"]["mean"]
            cells += [
                f"{100.0 * mean['agents.ping_pongs'] / max(mean['agents.moves'], 1.0):.1f}",
                f"{decision_us / 1e3:.3f}",
            ]
            cells += [_beside(found, other)] if other else []
            print(f"| {scenario} | {policy} |", " | ".join(cells), "|", flush=True)
            trained += [_costs(found)] if policy.startswith("learned:") else []
        if other and len(trained) > 1:
            ratio = _shown(*crossed_ratio_interval(np.array(trained), _costs(other)))
            print(f"| {scenario} | mean of {len(trained)} trainings | {ratio} |", flush=True)
    return 0


def _costs(results: Results) -> np.ndarray:
    """(S,) minus the return of each world."""
    return -np.array([row["return"] for row in results.rows])


def _beside(found: Results, other: Results) -> str:
    """Ratio of the mean costs (below 1 is better) with its paired bootstrap interval."""
    value, low, high = ratio_interval(_costs(found)[None], _costs(other))
    return _shown(value[0], low[0], high[0])


def _shown(value: float, low: float, high: float) -> str:
    return f"{value:.4f} [{low:.4f}, {high:.4f}]"


def _means(results: Results) -> dict[str, float]:
    """Mean of each metric that every row has."""
    names = [name for name in results.rows[0] if all(isinstance(row.get(name), int | float) for row in results.rows)]
    return {name: float(np.mean([row[name] for row in results.rows])) for name in names}


if __name__ == "__main__":
    sys.exit(main())
