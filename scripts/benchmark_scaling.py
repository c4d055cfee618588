"""What a second worker brings: efficiency from one to several processes, the median of paired runs.

python scripts/benchmark_scaling.py                    # 1 and 2 workers, five pairs; only on a quiet machine
python scripts/benchmark_scaling.py --workers 4 --engine ray

Each pair runs the same plan with one worker and with several, one after the other, in an order that alternates. The
processes are started within the time; the compiled kernel comes from its cache. Efficiency is time with one worker over
workers x time with several.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Sequence

from edge_gym.evaluation.execution import Execution
from edge_gym.evaluation.shards import Shard, plan
from edge_gym.evaluation.workers import run_all

AIM = 0.85


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit status: 1 if the aim is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", type=int, default=2, help="default 2")
    parser.add_argument("--engine", default="processes", help="processes (default) or ray")
    parser.add_argument("--pairs", type=int, default=5, help="default 5")
    parser.add_argument("--episodes", type=int, default=1600, help="of each of two policies (default 1600)")
    parser.add_argument("--scenario", default="mixed", help="default mixed")
    options = parser.parse_args(arguments)
    seeds = range(1000, 1000 + options.episodes)
    shards = plan(["sect_watchdog", "e3_fast"], "routing", options.scenario, seeds, 64, {})
    seconds(shards[:1], 1, options.engine)  # compiles what is not compiled yet
    found = []
    for k in range(options.pairs):
        order = (1, options.workers) if k % 2 == 0 else (options.workers, 1)
        took = {workers: seconds(shards, workers, options.engine) for workers in order}
        found.append(took[1] / (options.workers * took[options.workers]))
        print(f"pair {k}: {took[1]:.1f} s and {took[options.workers]:.1f} s, efficiency {found[-1]:.2f}", flush=True)
    median = statistics.median(found)
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    words = f"{options.engine}, {options.workers} workers, {os.cpu_count()} cores, load now {load:.1f}"
    print(f"median efficiency {median:.2f} (aim {AIM}); {words}")
    return 0 if median >= AIM else 1


def seconds(shards: Sequence[Shard], workers: int, engine: str) -> float:
    """Wall-clock seconds of a plan, each part in a worker process."""
    began = time.perf_counter()
    for _ in run_all(shards, set(), Execution(n_workers=workers, engine=engine, keep_going=True)):
        pass
    return time.perf_counter() - began


if __name__ == "__main__":
    raise SystemExit(main())
