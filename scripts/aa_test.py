"""Does the harness find differences where there are none? Each controller against its own copy (BEN-08).

python scripts/aa_test.py                                  # 1,000 episodes, 200 repeats of 100 of them
python scripts/aa_test.py --policies p2c --scenario mixed

A copy has another name, and therefore draws other numbers; the worlds are the same. Each repeat draws episodes with
replacement and asks for a verdict as the leaderboard does. Prints how often it is "no difference", and how often the
same test would say so at the level 0.05.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

import edge_gym
from edge_gym.evaluation.compare import LEVEL, SAME, compare
from edge_gym.policy import POLICIES, register_policy

USUAL = 0.05
ENOUGH = 0.95


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit status: 1 if a controller differs from its copy too often."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--policies", default="random,p2c,thompson", help="that draw numbers (default random,p2c,thompson)"
    )
    parser.add_argument("--scenario", default="coldstart", help="of routing (default coldstart)")
    parser.add_argument("--episodes", type=int, default=1000, help="in all (default 1000)")
    parser.add_argument("--each", type=int, default=100, help="of a repeat (default 100)")
    parser.add_argument("--repeats", type=int, default=200, help="default 200")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    options = parser.parse_args(arguments)
    names = options.policies.split(",")
    for name in names:
        register_policy(f"{name}_copy", POLICIES[name])
    seeds = range(1000, 1000 + options.episodes)
    both = [one for name in names for one in (name, f"{name}_copy")]
    rows = edge_gym.evaluate(both, scenario=options.scenario, seeds=seeds, n_workers=options.workers).rows
    fine = True
    for name in names:
        own = {one: [row for row in rows if row["policy"] == one] for one in (name, f"{name}_copy")}
        same, usual = shares(list(own.values()), options.each, options.repeats)
        fine &= same >= ENOUGH
        print(
            f"{name}: no difference from its copy in {same:.1%} of {options.repeats} repeats of {options.each}", end=" "
        )
        print(f"episodes at {LEVEL:g} (at {USUAL:g}: {usual:.1%})")
    return 0 if fine else 1


def shares(pair: Sequence[Sequence[dict]], each: int, repeats: int, seed: int = 0) -> tuple[float, float]:
    """Share of repeats with the verdict "no difference", and with a p-value of at least `USUAL`.

    Args:
        pair: Rows of a controller and of its copy, in the order of the seeds.
        each: Episodes of a repeat.
        repeats: How many.
        seed: Of the draws.
    """
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(repeats):
        drawn = rng.integers(len(pair[0]), size=each).tolist()
        (verdict,) = compare([rows[k] for rows in pair for k in drawn], {})["pairs"]
        found.append((verdict["verdict"] == SAME, verdict["p"] >= USUAL))
    same, usual = np.mean(found, axis=0)
    return float(same), float(usual)


if __name__ == "__main__":
    raise SystemExit(main())
