"""Find the settings of the policies that migrate agents: the same budget for each, on seeds that no table uses.

python scripts/tune_movers.py                       tunes all, writes movers_settings.json beside the policies
python scripts/tune_movers.py --policies lyapunov   tunes one, keeps the others as they are in the file

The search is that of `tune_baselines.py`: first the published settings, then half of the draws from the declared space
and half around the best so far. The least mean of `return / return of never` over the scenarios wins (returns are
negative). `never` and `myopic` have no settings.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from edge_baselines.agents.movers_tuned import CLASSES, SETTINGS_FILE
from tune_baselines import SEARCH_SEED, STEP, Range

import edge_gym
from edge_gym.files import atomic_write

SCENARIOS = "commute-16,roam-24,failing-16"
REFERENCE = "never"
SKI = {"patience": Range(0.01, 10, log=True), "ahead_s": Range(0, 40)}
SPACES: dict[str, dict[str, Range]] = {
    "hysteresis": {"threshold_s": Range(0, 0.5), "margin": Range(0, 0.5), "dwell_s": Range(0, 40)},
    "ski_rental": SKI,
    "ski_rental_random": SKI,
    "work_function": {"move_weight": Range(0.01, 10, log=True)},
    "distance_mdp": {
        "slot_s": Range(1, 20, log=True),
        "discount": Range(0.5, 0.98),
        "own_weight": Range(0, 2),
        "move_weight": Range(0.1, 10, log=True),
    },
    "lyapunov": {"v": Range(1, 1000, log=True), "budget": Range(1e-5, 1e-1, log=True)},
    "horizon_milp": {
        "slots": Range(3, 6),
        "slot_s": Range(2, 20, log=True),
        "replan_s": Range(4, 20, log=True),
        "move_weight": Range(0.1, 10, log=True),
    },
}


def returns(policy: Any, scenario: str, seeds: range) -> float:
    """Mean return of a policy."""
    rows = edge_gym.evaluate([policy], "migration", scenario, seeds).rows
    return float(np.mean([row["return"] for row in rows]))


def settings_of(policy: Any, names: Sequence[str]) -> dict[str, float]:
    """The present settings of a policy."""
    return {name: getattr(policy, name) for name in names}


def tune(name: str, draws: int, scenarios: Sequence[str], seeds: range, reference: dict[str, float]) -> dict[str, Any]:
    """The best settings of one policy, with its scores."""
    rng, space = np.random.default_rng([SEARCH_SEED, *name.encode()]), SPACES[name]
    tried: list[tuple[float, list[float], dict[str, float]]] = []
    for k in range(draws):
        if k == 0:
            policy = CLASSES[name]()
        else:
            places = rng.random(len(space))
            if k >= (draws + 1) // 2:
                best = min(tried, key=lambda one: one[0])[2]
                here = np.array([space[setting].place(value) for setting, value in best.items()])
                places = np.clip(here + STEP * rng.standard_normal(len(space)), 0.0, 1.0)
            policy = CLASSES[name](**{key: one.at(p) for (key, one), p in zip(space.items(), places, strict=True)})
        policy.name = name
        scores = [returns(policy, one, seeds) / reference[one] for one in scenarios]
        tried.append((float(np.mean(scores)), scores, settings_of(policy, list(space))))
        print(f"{name}: {k + 1} of {draws}, {tried[-1][0]:.4f} {tried[-1][2]}", file=sys.stderr, flush=True)
    mean, scores, settings = min(tried, key=lambda one: one[0])
    return {"settings": settings, "score": mean, "scores": scores, "published": tried[0][0]}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenarios", default=SCENARIOS, help=f"presets, by commas (default {SCENARIOS})")
    parser.add_argument("--policies", default=",".join(SPACES), help="which to tune (default: all)")
    parser.add_argument("--draws", type=int, default=16, help="settings tried for each policy (default 16)")
    parser.add_argument("--seed", type=int, default=500, help="first seed of the worlds (default 500)")
    parser.add_argument("--episodes", type=int, default=4, help="worlds of each scenario (default 4)")
    parser.add_argument("--out", type=Path, default=SETTINGS_FILE, help="file of the settings")
    options = parser.parse_args(arguments)
    scenarios, names = options.scenarios.split(","), options.policies.split(",")
    unknown = sorted(set(names) - set(SPACES))
    if unknown or options.draws < 1 or options.episodes < 1:
        parser.error(f"unknown policies {unknown}" if unknown else "--draws and --episodes must be at least 1")
    began, seeds = time.monotonic(), range(options.seed, options.seed + options.episodes)
    file = json.loads(options.out.read_text()) if options.out.is_file() else {"settings": {}, "found_by": {}}
    reference = {one: returns(REFERENCE, one, seeds) for one in scenarios}
    for name in (n for n in SPACES if n in names):
        found = tune(name, options.draws, scenarios, seeds, reference)
        file["settings"][name] = found["settings"]
        file["found_by"][name] = {
            "command": f"python scripts/tune_movers.py --scenarios {options.scenarios} --draws {options.draws} "
            f"--seed {options.seed} --episodes {options.episodes}",
            "objective": f"mean over the scenarios of return over that of {REFERENCE}",
            "published": round(found["published"], 4),
            "tuned": round(found["score"], 4),
            "by_scenario": {one: round(x, 4) for one, x in zip(scenarios, found["scores"], strict=True)},
        }
        atomic_write(options.out, json.dumps(file, indent=1) + "\n")
    print(f"wrote {os.path.relpath(options.out)} in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
