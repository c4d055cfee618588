"""Placement solvers at equal time and at equal evaluations: cost above the best that any of them found, in percent.

    python scripts/placement_quality.py [--seeds 10] [--sizes 24x40,120x400,1000x50] [--out FILE.json]

"aco_off" is "aco" without its pheromone: what the trail itself is worth.
"""

import argparse
import json
import sys
from functools import partial
from pathlib import Path

import numpy as np
from edge_baselines.placement import SOLVERS, Ants, Limits
from edge_baselines.placement.ants import solve_by_ants

from edge_gym.kernel.assignment import all_fit, empty_use, total

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from problems import random_problem

# Nodes x agents: room (so that an agent is small against a node), seconds, evaluations.
SIZES = {"24x40": (1.6, 0.1, 20_000), "120x400": (1.6, 2.0, 20_000), "1000x50": (40.0, 1.0, 100_000)}
COMPARED = {
    **{name: SOLVERS[name] for name in ("greedy", "regret", "fgd_by_need", "local_search")},
    **{name: SOLVERS[name] for name in ("grasp", "annealing", "genetic", "acs", "mmas")},
    "aco_off": partial(solve_by_ants, settings=Ants(pheromone=False)),
    "aco": SOLVERS["aco"],
}


def compare(size: str, limits: Limits, seeds: range) -> dict[str, dict[str, float]]:
    """Mean and greatest cost above the best found, percent, seconds and evaluations, by solver."""
    n_nodes, n_agents = (int(part) for part in size.split("x"))
    costs = {name: [] for name in COMPARED}
    spent = {name: [] for name in COMPARED}
    for seed in seeds:
        problem = random_problem(seed, n_agents, n_nodes, room=SIZES[size][0])
        for name, solve in COMPARED.items():
            found = solve(problem, limits, seed)
            assert all_fit(problem, empty_use(problem), found.home)
            costs[name].append(total(problem, found.home))
            spent[name].append((found.elapsed_s, found.evaluations))
    best = np.min(list(costs.values()), axis=0)
    rows = {}
    for name in COMPARED:
        above = 100.0 * (np.array(costs[name]) / best - 1.0)
        seconds, evaluations = np.mean(spent[name], axis=0)
        rows[name] = {"mean": above.mean(), "max": above.max(), "seconds": seconds, "evaluations": evaluations}
        wins = np.array(costs[name]) < np.array(costs["grasp"]) * (1.0 - 1e-9)
        losses = np.array(costs[name]) > np.array(costs["grasp"]) * (1.0 + 1e-9)
        rows[name] |= {"beats_grasp": int(wins.sum()), "loses_to_grasp": int(losses.sum())}
    return rows


def main() -> None:
    """Compare, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="problems, from seed 600")
    parser.add_argument("--sizes", default=",".join(SIZES))
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    for solve in COMPARED.values():  # compile, for lists shorter and as long as there are nodes
        for n_nodes in (5, 60):
            solve(random_problem(0, 6, n_nodes, room=n_nodes), Limits(evaluations=500), 0)
    results = {}
    for size in args.sizes.split(","):
        _, seconds, evaluations = SIZES[size]
        for limits in (Limits(seconds=seconds), Limits(evaluations=evaluations)):
            label = f"{size} {seconds:g} s" if limits.seconds else f"{size} {evaluations} evaluations"
            results[label] = rows = compare(size, limits, range(600, 600 + args.seeds))
            print(f"\n{label:28} mean %  max %  beats/loses to grasp  seconds  evaluations")
            for name, row in rows.items():
                against = f"{row['beats_grasp']}/{row['loses_to_grasp']}"
                figures = f"{row['mean']:6.3f} {row['max']:6.3f} {against:>21} {row['seconds']:8.3f}"
                print(f"{name:28} {figures} {row['evaluations']:12.0f}", flush=True)
    if args.out:
        args.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
