"""`edge-gym bench`: check the arguments, run the comparison, print it."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_gym.errors import MISSING, EdgeGymInputError, printable
from edge_gym.evaluation.deciders import Deciders, as_deciders
from edge_gym.evaluation.execution import MAX_WORKERS, SHARD_TIMEOUT_S, Execution
from edge_gym.evaluation.shards import MAX_EPISODES
from edge_gym.evaluation.splits import TEST, splits_of
from edge_gym.policy import is_privileged, make_policy
from edge_gym.scenario import Scenario
from edge_gym.scenario.parse import parse, scalar
from edge_gym.scenario.presets import resolve
from edge_gym.tasks import get_task

if TYPE_CHECKING:
    from rich.console import Console

    from edge_gym.evaluation.results import Results

DIGITS = re.compile(r"[0-9]{1,19}")  # unlike int(), only ASCII
FEW = 10  # episodes below which the intervals deserve a warning


def run(options: argparse.Namespace) -> int:
    """Run the command; everything is checked before anything is written.

    Returns:
        0, or 1 if a part of a suite failed.
    """
    from edge_gym.cli.llm import environment
    from edge_gym.evaluation.evaluate import evaluate

    check_folder(options)
    if options.suite is not None:
        from edge_gym.cli.suite import bench_suite

        return bench_suite(options)
    if options.also is not None:
        raise EdgeGymInputError("--also", options.also, "used with --suite; else say --policies")
    options.task = given(options.task, "routing")
    episodes = whole_number("--episodes", given(options.episodes, "20"), 1, MAX_EPISODES)
    seed = whole_number("--seed", given(options.seed, str(TEST.first)), 0, 2**63 - episodes)
    execution, by_site = how(options), deciders(options)
    with environment(options):
        results = evaluate(
            usual_policies(options.task, by_site)
            if options.policies is None
            else names("--policies", options.policies),
            task=options.task,
            scenario=scenarios(options),
            seeds=range(seed, seed + episodes),
            n_workers=execution.n_workers,
            engine=execution.engine,
            address=execution.address,
            shard_timeout_s=execution.shard_timeout_s,
            batch_size=whole_number("--batch-size", options.batch_size, 1, MAX_EPISODES),
            out=options.out,
            resume=options.resume,
            overwrite=options.overwrite,
            progress=execution.progress,
            by_site=by_site,
        )
    show(options, results)
    console = wide_console()
    if episodes < FEW:
        console.print(f"Only {episodes} episode(s): too few for the intervals to mean much.", markup=False)
    for split in splits_of((seed, seed + episodes - 1)):
        if split is not TEST:
            text = f"Seeds of the split '{split.name}' ({split.first} ... {split.last}) are for {split.use}."
            console.print(text, markup=False)
    return 0


def check_folder(options: argparse.Namespace) -> None:
    """What is said about an older run must make sense before it is looked for."""
    if options.resume and options.overwrite:
        allowed = "given alone: --resume goes on with the older run, --overwrite replaces it"
        raise EdgeGymInputError("--resume or --overwrite", MISSING, allowed)
    if options.out is None and (options.resume or options.overwrite):
        flag = "--resume" if options.resume else "--overwrite"
        raise EdgeGymInputError("--out", MISSING, f"given with {flag}: the folder of the older run")


def deciders(options: argparse.Namespace) -> Deciders | None:
    """How the arguments want the sites to decide; None: one controller does."""
    if options.by_site is None:
        return None
    try:
        return as_deciders(parse_settings(names("--by-site", options.by_site), "--by-site"))
    except EdgeGymInputError as error:
        field = error.field.replace("by_site", "--by-site", 1)
        raise EdgeGymInputError(field, error.value, error.allowed, error.where, error.hint) from None


def usual_policies(task: str, by_site: Deciders | None) -> list[str]:
    """The policies that are compared unless others are named: a few of the task, those that sites can have."""
    policies = list(get_task(task).policies)
    return policies if by_site is None else [name for name in policies if not is_privileged(make_policy(name))]


def given(argument: str | None, default: str) -> str:
    """An argument, which may be empty and is wrong then, or its default."""
    return default if argument is None else argument


def how(options: argparse.Namespace, keep_going: bool = False) -> Execution:
    """How the arguments want the work to be run."""
    workers, timeout = min(os.cpu_count() or 1, MAX_WORKERS), options.shard_timeout
    if options.workers is not None:
        workers = whole_number("--workers", options.workers, 1, MAX_WORKERS)
    return Execution(
        n_workers=workers,
        engine=options.engine,
        address=options.address,
        shard_timeout_s=SHARD_TIMEOUT_S if timeout is None else whole_number("--shard-timeout", timeout, 1, 10**9),
        keep_going=keep_going,
        progress=not options.quiet,
    )


def show(options: argparse.Namespace, results: Results) -> None:
    """Print the tables, what they say, and where everything is."""
    from edge_gym.cli.llm import asked
    from edge_gym.evaluation.compare import lines
    from edge_gym.evaluation.report import print_leaderboard, warning

    console, rows = wide_console(), results.table_rows()
    if rows:
        print_leaderboard(console, rows)
    for world in dict.fromkeys((row["task"], row["scenario"], row["scenario_fingerprint"]) for row in results.rows):
        if text := warning(*world):
            console.print(printable(text), markup=False)
    for comparison in results.comparisons():
        for line in lines(comparison):
            console.print(printable(line), markup=False)
    answers = list(asked(rows))
    for line in answers:
        console.print(line, markup=False, soft_wrap=True)
    if options.llm not in (None, "off") and not answers and not results.failures:
        print(
            f"edge-gym: --llm {printable(options.llm)} changed nothing: none of the policies asks a language model",
            file=sys.stderr,
        )
    if options.out is not None:
        console.print(f"Results are in {printable(options.out, 300)}", markup=False, soft_wrap=True)


def wide_console() -> Console:
    """Stdout; a file or a pipe has room for whole lines."""
    from rich.console import Console

    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = 160
    return console


def scenarios(options: argparse.Namespace) -> list[Scenario]:
    """The scenarios that the arguments ask for."""
    settings = parse_settings(options.set)
    found = []
    for name in names("--scenario", given(options.scenario, get_task(options.task).scenario)):
        scenario = resolve(name, get_task(options.task).worlds)
        if options.trace is not None:
            scenario = with_trace(scenario, options.trace)
        found.append(scenario.with_overrides(**settings) if settings else scenario)
    return found


def with_trace(scenario: Scenario, path: str) -> Scenario:
    """The scenario with arrivals and lengths from a trace file, for its language models.

    A trace of prompts and answers says nothing about images, so the other models ask for nothing. AI agents would:
    their worlds are refused. Results name the trace behind the scenario.
    """
    if scenario.roles:
        allowed = "left out with AI agents: a trace goes with worlds of requests alone, such as those of routing"
        raise EdgeGymInputError("--trace", path, allowed, f"{scenario.task}/{scenario.name}")
    workloads = tuple(w for w in scenario.workloads if scenario.model(w.model).kind == "llm")
    if not workloads:
        raise EdgeGymInputError("--trace", path, "used with a scenario that has a language model", scenario.name)
    name = f"{scenario.name}-{re.sub(r'[^A-Za-z0-9_-]+', '-', Path(path.rpartition(':')[2]).stem)}"[:60]
    changes = {"workloads": workloads, "arrivals_kind": "trace", "trace_path": str(Path(path))}
    return replace(scenario, name=name).with_overrides(**changes)


def parse_settings(settings: Sequence[str], flag: str = "--set") -> dict[str, Any]:
    """`field=value` arguments as overrides; a value is read as in a YAML scenario file."""
    found: dict[str, Any] = {}
    for text in settings:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise EdgeGymInputError(flag, text, f"FIELD=VALUE, as in {flag} name=0.9")
        if name in found:
            raise EdgeGymInputError(flag, text, f"given once for each field: {name} was {found[name]!r}")
        found[name] = _list_of(name, value, flag) if value.startswith("[") else scalar(value)
    return found


def _list_of(name: str, value: str, flag: str) -> tuple[Any, ...]:
    data, _ = parse(f"value: {value}", "yaml", f"{flag} {name}")
    return tuple(data["value"])


def names(flag: str, text: str) -> list[str]:
    """Names between commas."""
    found = [name.strip() for name in text.split(",")]
    if not all(found):
        raise EdgeGymInputError(flag, text, "names with single commas between them")
    return found


def whole_number(flag: str, text: str, least: int, most: int) -> int:
    """A number written in ASCII digits."""
    if not DIGITS.fullmatch(text) or not least <= int(text) <= most:
        raise EdgeGymInputError(flag, text, f"a whole number in {least} ... {most}")
    return int(text)
