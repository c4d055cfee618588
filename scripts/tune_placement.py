"""Tune the metaheuristics of placement: as many trials for each, on problems that three presets pose on tune seeds.

    python scripts/tune_placement.py [--trials 24] [--seeds 2] [--solvers aco,grasp] --out FILE.json

Trial 0 is the settings as they are. The score is the mean over the problems of the cost at equal time, over the cost
of greedy. Nothing is changed by itself: who reads the file edits `edge_baselines/placement/settings.py`.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from edge_baselines.agents.problems import problems_of
from edge_baselines.placement import SOLVERS, Anneal, Ants, Genetic, Grasp, Limits
from edge_baselines.placement.anneal import solve_by_annealing
from edge_baselines.placement.ants import solve_by_ants
from edge_baselines.placement.genetic import solve_by_genes
from edge_baselines.placement.grasp import solve_by_grasp

import edge_gym
from edge_gym.kernel.assignment import Problem
from edge_gym.kernel.build import World

TUNE_SEEDS = range(500, 520)
# Which of the problems of each seed, and seconds for each.
PRESETS = {"global-24": (4, 0.1), "global-120": (2, 2.0), "metro-1000": (5, 1.0)}

NEAR = {"n_near": (8, 16, 32, 64, 128), "n_exchange": (4, 8, 16, 32, 64, 128), "groups": (False, True)}
LOT = {"spread": (0.01, 0.03, 0.1, 0.3, 1.0), "q0": (0.0, 0.3, 0.5, 0.7, 0.9, 0.98)}
SPACES = {
    "grasp": (solve_by_grasp, Grasp(), NEAR | LOT),
    "annealing": (
        solve_by_annealing,
        Anneal(),
        NEAR
        | {"accept": (0.02, 0.1, 0.3, 0.5, 0.8), "cooling": (1e-4, 1e-3, 1e-2), "cycles": (1, 2, 3, 5, 8)}
        | {"exchange": (0.2, 0.5, 0.8)},
    ),
    "genetic": (
        solve_by_genes,
        Genetic(),
        {"n_near": NEAR["n_near"], "population": (30, 100, 300), "crossover": (0.5, 0.9, 1.0)}
        | {"mutation": (0.003, 0.01, 0.05), "subtree": (0.0, 0.5, 1.0), "tournament": (2, 3, 5)},
    ),
    "aco": (
        solve_by_ants,
        Ants(),
        NEAR
        | LOT
        | {"rule": ("acs", "mmas"), "n_ants": (1, 3, 10), "focus": (2, 4, 8, 16), "rho": (0.02, 0.1, 0.3)}
        | {"patience": (50, 200, 1000)},
    ),
}


def score(solve: Callable, settings, problems: Sequence[tuple[Problem, float]]) -> float:
    """Mean cost over that of greedy, at equal time. Every problem comes with its seconds."""
    ratios = []
    for seed, (problem, seconds) in enumerate(problems):
        greedy = SOLVERS["greedy"](problem, Limits(evaluations=1), seed).cost
        ratios.append(solve(problem, Limits(seconds=seconds), seed, settings=settings).cost / greedy)
    return float(np.mean(ratios))


def tune(name: str, problems: Sequence[tuple[Problem, float]], trials: int, seed: int) -> dict:
    """Random search over the space of a solver. Returns the best settings, its score and all trials, best first."""
    solve, base, space = SPACES[name]
    rng = np.random.default_rng(seed)
    rows = []
    for trial in range(trials):
        drawn = {key: values[rng.integers(len(values))] for key, values in space.items()} if trial else {}
        settings = replace(base, **drawn)
        rows.append({"score": score(solve, settings, problems), "trial": trial, "settings": asdict(settings)})
    rows.sort(key=lambda row: row["score"])
    return {"best": rows[0]["settings"], "score": rows[0]["score"], "trials": rows}


def main() -> None:
    """Tune, print and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--seeds", type=int, default=2, help="problems of each preset, at most 20")
    parser.add_argument("--solvers", default=",".join(SPACES))
    parser.add_argument("--time-scale", type=float, default=1.0, help="multiplies the seconds of each preset")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    problems = []
    for preset, (which, seconds) in PRESETS.items():
        world = World(edge_gym.preset(preset, "placement"))
        for found in problems_of(world, TUNE_SEEDS[: args.seeds]):
            problems.append((found[which], seconds * args.time_scale))
    results = {}
    for name in args.solvers.split(","):
        score(SPACES[name][0], SPACES[name][1], problems[:1] + problems[-1:])  # compile
        results[name] = tune(name, problems, args.trials, seed=0)
        print(f"{name}: {results[name]['score']:.5f} of greedy with {results[name]['best']}", flush=True)
    args.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
