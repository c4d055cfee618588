"""`edge-gym bench --suite`: a comparison that is data, with what it will take before and what it took after."""

from __future__ import annotations

import argparse
import sys
import time

from edge_gym.cli.bench import how, names, show, whole_number, wide_console
from edge_gym.cli.llm import environment
from edge_gym.errors import EdgeGymInputError, printable
from edge_gym.evaluation.evaluate import run_plan
from edge_gym.evaluation.pilot import estimate_s
from edge_gym.evaluation.shards import MAX_EPISODES, Shard
from edge_gym.evaluation.suites import load_suite, suite_cells

# What a suite says itself.
NOT_WITH = ("task", "scenario", "policies", "seed", "trace", "set", "by_site")


def bench_suite(options: argparse.Namespace) -> int:
    """Run a suite.

    Returns:
        0, or 1 if a part of it failed; then the rest has been run all the same.
    """
    for name in NOT_WITH:
        if getattr(options, name) not in (None, []):
            allowed = "left out with --suite, which says it; for another comparison write another suite"
            raise EdgeGymInputError(f"--{name.replace('_', '-')}", getattr(options, name), allowed)
    suite, execution = load_suite(options.suite), how(options, keep_going=True)
    episodes = None if options.episodes is None else whole_number("--episodes", options.episodes, 1, MAX_EPISODES)
    also = names("--also", options.also) if options.also is not None else []
    batch_size = whole_number("--batch-size", options.batch_size, 1, MAX_EPISODES)
    cells = suite_cells(suite, episodes, also, batch_size)
    console = wide_console()
    title = f"Suite {suite.name}, revision {suite.revision}"

    def before(shards: list[Shard], done: set[str]) -> None:
        if options.quiet:
            return
        n_seeds = sum(len(shard.seeds) for shard in shards if shard.key not in done)
        console.print(f"{title}: {n_seeds:,} episodes to run in {len(shards) - len(done)} parts.", markup=False)
        if n_seeds:
            seconds = estimate_s(shards, done, execution)
            console.print(f"About {minutes(seconds)} with {execution.n_workers} worker(s), by a pilot.", markup=False)

    began = time.monotonic()
    with environment(options):
        results = run_plan(
            cells, execution, options.out, options.resume, options.overwrite, suite.identity, before=before
        )
    show(options, results)
    if episodes is not None and episodes < max(cell.least_episodes for cell in suite.cells):
        console.print(
            f"{episodes} episodes are fewer than the suite asks for: no result of {suite.name}.", markup=False
        )
    if not options.quiet:
        console.print(f"{title}, took {minutes(time.monotonic() - began)}.", markup=False)
    for failure in results.failures:
        print(f"failed after {failure['attempts']} attempt(s): {printable(failure['reason'])}", file=sys.stderr)
    return 1 if results.failures else 0


def minutes(seconds: float) -> str:
    """A span of time in the unit that people would use."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
