"""What each part of the E3-Agent is worth: one thing changed at a time, everything else and the worlds the same.

python scripts/ablations.py                                    # the defaults below
python scripts/ablations.py --scenarios semantic --episodes 50

Each cell is the mean latency over that of `e3_rules` as shipped, with the 95 % interval of the paired bootstrap; beside
it, where users can be in the foreground, the share of requests that stuttered for it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
from edge_baselines.e3.rules import Rules, RuleSettings
from rich.console import Console
from rich.progress import track
from rich.table import Table

import edge_gym
from edge_gym.evaluation.stats import ratio_interval
from edge_gym.policy import Policy, make_policy

OFF = float("inf")
AGES_S = (0.5, 2.0, 10.0)
BUDGETS = (1, 5, 50)
# Name, settings of the rules (or the name of another policy), overrides of the scenario.
VARIANTS: tuple[tuple[str, dict[str, Any] | str, dict[str, Any]], ...] = (
    ("e3_rules as shipped", {}, {}),
    ("no controller (e3_fast)", "e3_fast", {}),
    ("no gating", {"gates": False}, {}),
    ("no calibration", {"probes": 0}, {}),
    ("router configured: exploration 0.5 for 20 s", {"explore_s": 20.0}, {}),
    ("no optimism, c = 0", {}, {"router.exploration": 0.0}),
    ("optimism c = 1", {}, {"router.exploration": 1.0}),
    ("no forgetting", {}, {"router.forgetting": 1.0}),
    ("fast forgetting, 0.9", {}, {"router.forgetting": 0.9}),
    ("no straying: all surprise is the model's", {}, {"router.trend_sigma": 0.0}),
    ("inflicted delay not counted", {}, {"router.congestion": 0.0}),
    *((f"telemetry {age:g} s old", {}, {"telemetry.age_s": age}) for age in AGES_S),
    ("calls an episode: 0", {"max_calls": 0}, {}),
    *((f"calls an episode: {calls}", {"max_calls": calls}, {}) for calls in BUDGETS),
    ("text paraphrased (held out)", {}, {"semantic.style": "held_out"}),
    ("text missing", {}, {"semantic.notification": "none"}),
    ("told only that something changed", {}, {"semantic.notification": "something"}),
    ("told what changed, no words to read", {}, {"semantic.notification": "what"}),
    ("half of the announcements false (fewer real events)", {}, {"semantic.false_share": 0.5}),
    ("the same text to a heuristic (sect_events)", "sect_events", {}),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenarios", default="coldstart,semantic,churn,drift,mixed", help="presets, by commas")
    parser.add_argument("--episodes", type=int, default=100, help="default 100")
    parser.add_argument("--seed", type=int, default=1000, help="first seed (default 1000, the test seeds)")
    options = parser.parse_args(arguments)
    seeds, scenarios = range(options.seed, options.seed + options.episodes), options.scenarios.split(",")
    table = Table(title=f"latency over that of e3_rules as shipped, {len(seeds)} episodes from seed {options.seed}")
    table.add_column("variant")
    for scenario in scenarios:
        table.add_column(scenario, justify="right")
    usual: dict[str, np.ndarray] = {}
    rows = track(VARIANTS, description="ablations", console=Console(stderr=True), transient=True)
    for name, settings, overrides in rows:
        cells = []
        for scenario in scenarios:
            latency, stutter = play(settings, scenario, seeds, overrides)
            cells.append(cell(latency, usual.setdefault(scenario, latency), stutter))
        table.add_row(name, *cells)
    Console(width=None if Console().is_terminal else 200).print(table)
    return 0


def play(
    settings: dict[str, Any] | str, scenario: str, seeds: range, overrides: dict[str, Any]
) -> tuple[np.ndarray, float]:
    """Mean latency of each episode, seconds, and the share of requests that stuttered for a user in the foreground."""
    policy: Policy = make_policy(settings) if isinstance(settings, str) else Rules(RuleSettings(**settings))
    results = edge_gym.evaluate([policy], scenario=scenario, seeds=seeds, **overrides)
    latency = np.array([row["latency_mean_s"] for row in results.rows])
    return latency, float(np.mean([row["stutter_foreground_share"] for row in results.rows]))


def cell(latency: np.ndarray, usual: np.ndarray, stutter: float) -> str:
    """One cell of the table."""
    found = ratio_interval(latency[None], usual)
    ratio, low, high = (float(figure[0]) for figure in found)
    shown = f"{ratio:.3f} [{low:.3f}, {high:.3f}]"
    return f"{shown} {stutter:.1%}" if stutter > 0 else shown


if __name__ == "__main__":
    raise SystemExit(main())
