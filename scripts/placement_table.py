"""Placement, two tables: how good solvers are on the same problems, and what the policies are worth in the world.

    python scripts/placement_table.py [--seeds 20] [--problems 10] [--presets metro-16,global-24] [--out FILE.md]

First table: problems that the preset poses on test seeds when greedy places; each solver gets the same seconds. The gap
is to the proven optimum, or to the best proven bound where the optimum was not proven (marked ~). "aco_off" is "aco"
without its pheromone. Second table: the policies in the world, with the same seconds for each application.
"""

import argparse
import time
from functools import partial
from pathlib import Path

import numpy as np
from edge_baselines.agents.problems import problems_of
from edge_baselines.agents.solving import Effort, Solving
from edge_baselines.exact.milp import solve_exact
from edge_baselines.placement import SOLVERS, Ants, Limits
from edge_baselines.placement.ants import solve_by_ants

import edge_gym
from edge_gym.kernel.assignment import Problem
from edge_gym.kernel.build import World
from edge_gym.policy import make_policy

# Seconds for an application, and seconds for the exact solver.
EFFORTS = {"metro-16": (0.02, 10.0), "global-24": (0.1, 20.0), "global-120": (2.0, 60.0), "metro-1000": (1.0, 0.0)}
RULES = ("random", "nearest", "first_fit", "best_fit", "least_loaded", "cheapest", "greedy")
SEARCH = ("fgd", "regret", "local_search", "grasp", "annealing", "genetic", "acs", "mmas", "aco")
COMPARED = {
    **{name: SOLVERS[name] for name in ("greedy", *SEARCH)},
    "aco_off": partial(solve_by_ants, settings=Ants(pheromone=False)),
}
FIRST_SEED = 1000


def gaps(problems: list[Problem], seconds: float, exact_s: float) -> list[str]:
    """Rows of the first table: gap mean and largest, percent, and milliseconds for each solver; then the exact one."""
    found = {name: [] for name in COMPARED}
    took, proven, bounds, exact_took = {name: [] for name in COMPARED}, 0, [], []
    for seed, problem in enumerate(problems):
        costs = {}
        for name, solve in COMPARED.items():
            began = time.perf_counter()
            solution = solve(problem, Limits(evaluations=None, seconds=seconds), seed)
            took[name].append(time.perf_counter() - began)
            costs[name] = solution.cost
            if name == "aco":
                start = solution.home
        best = solve_exact(problem, exact_s, start=start)
        proven += best.status == "optimal"
        bounds.append(best.bound)
        exact_took.append(best.elapsed_s)
        for name, cost in costs.items():
            found[name].append(100.0 * (cost - best.bound) / abs(best.bound))
    mark = "" if proven == len(problems) else "~"
    rows = [
        f"| `{name}` | {mark}{np.mean(gap):.2f} | {mark}{np.max(gap):.2f} | {1e3 * np.median(took[name]):.1f} |"
        for name, gap in found.items()
    ]
    return [*rows, f"| exact: {proven} of {len(problems)} proven | 0 | 0 | {1e3 * np.median(exact_took):.0f} |"]


def in_the_world(preset: str, seeds: range, seconds: float) -> list[str]:
    """Rows of the second table."""
    policies = [make_policy(name) for name in RULES]
    for policy, name in zip(policies, RULES, strict=True):
        policy.name = name
    for name in SEARCH:
        policy = Solving(name, Effort(None, seconds), warm=name in ("acs", "mmas", "aco"))
        policy.name = name
        policies.append(policy)
    results = edge_gym.evaluate(policies, "placement", preset, seeds, progress=True)
    lines = []
    for row in results.table_rows():
        m = {name: entry["mean"] for name, entry in row["metrics"].items()}
        low, high = row["metrics"]["return"]["lo"], row["metrics"]["return"]["hi"]
        kinds = ("compute", "storage", "communication")
        spent = " / ".join(f"{1e3 * m[f'agents.cost_{kind}_usd']:.1f}" for kind in kinds)
        parts = " / ".join(f"{m[f'agents.{part}_mean_s']:.2f}" for part in ("transfer", "wait", "processing"))
        cells = (
            f"`{row['policy']}`",
            f"{-m['return']:.0f} [{-high:.0f}, {-low:.0f}]",
            f"{m['latency_mean_s']:.2f}",
            parts,
            f"{1e3 * m['cost_usd']:.1f}",
            spent,
            f"{100 * m['agents.utilisation_hosts']:.0f} %",
            f"{m['agents.balance']:.2f}",
            f"{100 * m['slo_attainment']:.1f} %",
            f"{m['decision_us'] / 1e3:.3f}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def main() -> None:
    """Print both tables for each preset; write them too if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20, help="episodes of the second table, from 1000")
    parser.add_argument("--problems", type=int, default=10, help="of the first table")
    parser.add_argument("--presets", default="metro-16,global-24,global-120")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    lines = []
    for preset in options.presets.split(","):
        seconds, exact_s = EFFORTS[preset]
        world = World(edge_gym.preset(preset, "placement"))
        posed = problems_of(world, range(FIRST_SEED, FIRST_SEED + options.problems))
        problems = [one[len(one) // 2] for one in posed]  # the world is busy by then
        for solve in COMPARED.values():
            solve(problems[0], Limits(evaluations=None, seconds=seconds), 0)  # compile
        solve_exact(problems[0], 1.0)
        lines += ["", f"### {preset}: {seconds:g} s an application", ""]
        if exact_s:
            lines += ["| solver | gap % | largest % | ms |", "|---|---|---|---|", *gaps(problems, seconds, exact_s), ""]
        lines += [
            "| policy | cost (-return) | latency s | transfer / wait / processing s | USD/1000 | compute / storage /"
            " communication | utilisation | balance | in time | ms a decision |",
            "|---|---|---|---|---|---|---|---|---|---|",
            *in_the_world(preset, range(FIRST_SEED, FIRST_SEED + options.seeds), seconds),
        ]
        print("\n".join(lines[-60:]), flush=True)
        if options.out is not None:
            options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
