"""RUN-09: as long as one likes, worlds drawn at random, their workers killed, a model that keeps failing.

python scripts/chaos_soak.py --minutes 1440       # a day; one line of JSON at the end, one a round with --verbose
python scripts/chaos_soak.py --minutes 1 --seed 7

Each round draws a preset and makes it rough: churn, drift, events and chatter every few seconds, up to three times the
load. Three controllers play it here, then again in two processes that are killed at random moments: every figure must
be the same. In worlds of requests a language model at the controls fails at every third request of its own. The log
must account for every reward (`evaluate` sees to that), no process may be left, memory must stay.
"""

from __future__ import annotations

import argparse
import json
import logging
import multiprocessing
import random
import sys
import threading
import time
from collections import Counter
from typing import Any

from edge_baselines.e3.llm import E3Llm
from edge_baselines.e3.llm_settings import AskSettings
from edge_baselines.e3.stand_in import stand_in
from edge_baselines.llm.settings import LlmSettings
from edge_baselines.llm.stub.faults import chaos
from edge_baselines.llm.stub.in_process import InProcess
from llm_chaos import NAMES
from soak_memory import resident_mib

from edge_gym.evaluation.evaluate import evaluate

ROUTERS = ("random", "jsq", "p2c", "sect_watchdog", "d_ucb", "thompson", "breaker:jsq", "peak_ewma", "e3_rules",
           "e3_random_tools", "learned_routing", "oracle")  # fmt: skip
TASKS = {
    "routing": (("stationary", "overload", "bursty", "semantic", "churn", "drift", "mixed", "residency"), ROUTERS),
    "placement": (("campus-8", "metro-16"), ("random", "greedy", "best_fit", "learned_placement", "local_search")),
    "migration": (("commute-16", "roam-24", "failing-16"), ("random", "never", "myopic", "lyapunov", "wary:myopic")),
}
WARM_SHARE = 0.2  # of the time, after which memory is looked at: until then things are loaded for the first time
MOST_KILLS = 2  # a round: a shard is tried three times


def main() -> int:
    """The command; returns the exit status: 1 if anything was not as it must be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=1.0, help="how long rounds are begun (default 1)")
    parser.add_argument("--seed", type=int, default=0, help="of all that is drawn (default 0)")
    parser.add_argument("--verbose", action="store_true", help="a line a round")
    options = parser.parse_args()
    logging.getLogger("edge_gym.llm").setLevel(logging.ERROR)
    draw, began, total, first_mib = random.Random(options.seed), time.monotonic(), Counter(), 0.0
    while time.monotonic() - began < 60 * options.minutes:
        found = one_round(draw)
        total.update({name: value for name, value in found.items() if isinstance(value, int)}, rounds=1)
        if time.monotonic() - began > WARM_SHARE * 60 * options.minutes:
            first_mib = first_mib or resident_mib()
        if options.verbose:
            print(json.dumps(found), flush=True)
    found = {**total, "grown_mib": round(resident_mib() - first_mib, 1), "seconds": round(time.monotonic() - began)}
    print(json.dumps(found))
    return int(bool(total["rows_that_differ"] or total["processes_left"]))


def one_round(draw: random.Random) -> dict[str, Any]:
    """One world, played in peace, under fire, and by a model that fails."""
    task = draw.choice(("routing", *TASKS))
    presets, policies = TASKS[task]
    world, rough = draw.choice(presets), roughness(draw, task)
    names, first = draw.sample(policies, 3), draw.randrange(1000, 10**6)
    seeds = range(first, first + draw.randint(2, 6))
    quiet = evaluate(names, task, world, seeds, **rough).rows
    rows, kills = under_fire(draw, names, task, world, seeds, rough)
    asked: Counter = Counter()
    if task == "routing":
        asked = failing_model(draw, world, seeds, rough)
    return {
        "task": task,
        "world": world,
        "policies": names,
        "episodes": 2 * len(quiet),
        "kills": kills,
        "rows_that_differ": len(quiet) - sum(row == other for row, other in zip(quiet, rows, strict=True)),
        "processes_left": len(multiprocessing.active_children()),
        "llm_decisions": int(asked["llm.decisions"]),
        "llm_fallbacks": int(asked["llm.fallbacks"]),
    }


def roughness(draw: random.Random, task: str) -> dict[str, Any]:
    """Fields of the scenario."""
    rough = {
        "churn_share": draw.random(),
        "up_mean_s": draw.uniform(2, 30),
        "down_mean_s": draw.uniform(1, 10),
        "drift_gap_mean_s": draw.uniform(2, 30),
        "semantic_gap_mean_s": draw.uniform(2, 30),
        "chatter_gap_s": draw.uniform(2, 30),
        "age_s": draw.choice((0.0, 0.2, 2.0)),
    }
    return rough | ({"load": draw.uniform(0.3, 3.0), "n_requests": draw.randint(50, 500)} if task == "routing" else {})


def under_fire(draw: random.Random, names, task, world, seeds, rough) -> tuple[list[dict[str, Any]], int]:
    """Rows of two workers that are killed at random moments, and how many were."""
    over, kills = threading.Event(), []
    pauses = [draw.uniform(0.1, 4.0) for _ in range(MOST_KILLS)]

    def kill() -> None:
        for pause in pauses:
            if over.wait(pause):
                return
            if workers := multiprocessing.active_children():
                victim = min(workers, key=lambda worker: worker.pid or 0)
                victim.kill()
                kills.append(victim.pid)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    try:
        rows = evaluate(names, task, world, seeds, n_workers=2, **rough).rows
    finally:
        over.set()
        killer.join()
    return rows, len(kills)


def failing_model(draw: random.Random, world: str, seeds: range, rough: dict[str, Any]) -> Counter:
    """What was counted where a model, which fails at every third request, has the controls."""
    settings = LlmSettings(model="stub-1", allow_unpriced=True, backoff_s=0.001, deadline_s=5.0)
    client = InProcess(chaos(0.3, draw.randrange(10**6), stand_in(), NAMES), 0.2)
    policy = E3Llm(AskSettings(mode="live", gap_s=0.0), settings, client)
    policy.name = "e3_llm"  # type: ignore[attr-defined]
    counted: Counter = Counter()
    for row in evaluate([policy], "routing", world, seeds, **rough).rows:
        counted.update({name: value for name, value in row.items() if name.startswith("llm.") and value})
    return counted


if __name__ == "__main__":
    sys.exit(main())
