"""Every policy on the same worlds: the one function that runs a comparison and gathers its rows."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from edge_gym.errors import EdgeGymInputError, printable
from edge_gym.evaluation.deciders import as_deciders
from edge_gym.evaluation.execution import SHARD_TIMEOUT_S, Done, Execution
from edge_gym.evaluation.provenance import about_run, kernel_hash
from edge_gym.evaluation.results import Results
from edge_gym.evaluation.run_folder import RunFolder
from edge_gym.evaluation.shards import MAX_EPISODES, Shard, check_sendable, plan, preflight
from edge_gym.evaluation.workers import run_all
from edge_gym.files import file_sha256
from edge_gym.policy import Policy
from edge_gym.scenario.io import to_plain


def evaluate(
    policies: str | Policy | Sequence[str | Policy],
    task: str = "routing",
    scenario: Any = None,
    seeds: Iterable[int] = range(1000, 1020),
    *,
    n_workers: int = 1,
    batch_size: int = 64,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    progress: bool = False,
    engine: str = "processes",
    address: str | None = None,
    shard_timeout_s: float = SHARD_TIMEOUT_S,
    keep_going: bool = False,
    by_site: Any = None,
    **overrides: Any,
) -> Results:
    """Run every policy on the same worlds.

    The rows do not depend on `n_workers`, `batch_size`, `engine` or the order of `policies` and `seeds`.

    Args:
        policies: Names (`edge_gym.policy.policy_names`, `edge_gym.bounds.BOUNDS`), or objects; objects only with one
            worker, and only if it does not keep going.
        task: Name of the task.
        scenario: Preset name, file or `Scenario`; or a list of these with different names.
        seeds: One world for each, 0 ... 2**63 - 1.
        n_workers: Processes.
        batch_size: Worlds that run at the same time in a process; at most 50 are of use. Fewer save memory.
        out: Folder for results; nothing is written without.
        resume: Go on with the unfinished run in `out`.
        overwrite: Replace the older run in `out`.
        progress: Show a progress bar on stderr.
        engine: "processes" of this machine, or "ray".
        address: Of a running Ray cluster; None: with the engine "ray", one is started here.
        shard_timeout_s: Wall-clock seconds after which the worker process of a shard is taken for hung; like one
            that was killed it is tried again in a fresh process, twice.
        keep_going: A policy that fails is listed in `Results.failures` and not scored, and the others go on.
        by_site: How the sites decide: `Deciders`, or a mapping with any of its fields `slot_s`, `heartbeat_s` and
            `view`; None: one controller decides for all (docs/multiagent.md).
        **overrides: Fields of the scenario.

    Returns:
        Rows for each scenario, policy (in the order given) and seed (ascending).

    Raises:
        EdgeGymInputError: An argument is not valid; nothing has run or been written.
        EdgeGymError: A policy failed or chose illegally; finished shards in `out` can be resumed.
    """
    execution = Execution(
        n_workers=n_workers,
        engine=engine,
        address=address,
        shard_timeout_s=shard_timeout_s,
        keep_going=keep_going,
        progress=progress,
    )
    shards = plan(policies, task, scenario, seeds, check_batch_size(batch_size), overrides, as_deciders(by_site))
    return run_plan([shards], execution, out, resume, overwrite)


def run_plan(
    cells: Sequence[list[Shard]],
    execution: Execution,
    out: str | Path | None = None,
    resume: bool = False,
    overwrite: bool = False,
    suite: dict[str, Any] | None = None,
    before: Callable[[list[Shard], set[str]], None] | None = None,
) -> Results:
    """Run what was planned, in a folder or without one.

    Args:
        cells: The plan of each cell, in order; no two with the same task and scenario.
        execution: How.
        out: As in `evaluate`, as are `resume` and `overwrite`.
        resume: See there.
        overwrite: See there.
        suite: What identifies the suite that the cells are of; None: there is one cell and no suite.
        before: Called with the plan and the keys of what is finished already, when everything has been checked.
    """
    shards = [shard for cell in cells for shard in cell]
    if not execution.here:
        check_sendable(shards)
    if out is None:
        if resume or overwrite:
            raise EdgeGymInputError("out", None, "a folder when resume or overwrite is true")
        preflight(shards)
        return _gather(shards, execution, None, before)
    scenarios = [shard.scenario for shard in {(shard.task, shard.scenario.name): shard for shard in shards}.values()]
    run_folder = RunFolder(out, _identity(cells, suite), resume, overwrite)  # refuses before anybody is asked anything
    preflight(shards)
    with run_folder as folder:
        about = about_run(scenarios)
        folder.write_manifest(about, finished=False)
        results = _gather(shards, execution, folder, before)
        folder.write_results(results)
        about |= {"failures": results.failures} if results.failures else {}
        about |= {"trainings": dict(results.trainings)} if results.trainings else {}
        folder.write_manifest(about, finished=not results.failures)
        if results.scored:
            from edge_gym.report.write import write_reports

            write_reports(folder.path)
        return results


def _gather(
    shards: list[Shard],
    execution: Execution,
    folder: RunFolder | None,
    before: Callable[[list[Shard], set[str]], None] | None,
) -> Results:
    """Run what is not finished yet, and put everything in the order of the plan."""
    done: dict[str, Any] = {}
    if folder is not None and folder.resume:
        loaded = {shard.key: folder.load(shard) for shard in shards}
        done = {key: found for key, found in loaded.items() if found is not None}
    if before is not None:
        before(shards, set(done))
    failed: dict[str, Done] = {}
    for found in run_all(shards, set(done), execution):
        if found.error is not None:
            failed[found.shard.key] = found
            continue
        done[found.shard.key] = (found.rows, found.timing)
        if folder is not None:
            folder.store(found.shard.key, found.rows, found.timing)
    ordered = [done[shard.key] for shard in shards if shard.key in done]
    return Results(
        [row for rows, _ in ordered for row in rows],
        [timing for _, timing in ordered],
        [_failure(failed[shard.key]) for shard in shards if shard.key in failed],
        {shard.policy: shard.training for shard in shards if shard.training is not None},
    )


def _failure(found: Done) -> dict[str, Any]:
    """What a summary says of a shard that failed."""
    shard = found.shard
    return {
        "task": shard.task,
        "scenario": shard.scenario.name,
        "policy": shard.policy,
        "first_seed": shard.seeds[0],
        "episodes": len(shard.seeds),
        "attempts": found.attempts,
        "reason": printable(str(found.error), 500),
    }


def check_batch_size(batch_size: Any) -> int:
    """How many worlds run at the same time, as an int in 1 ... `MAX_EPISODES`."""
    if isinstance(batch_size, bool) or not isinstance(batch_size, int) or not 1 <= batch_size <= MAX_EPISODES:
        raise EdgeGymInputError("batch_size", batch_size, f"an int in 1 ... {MAX_EPISODES}")
    return batch_size


def _identity(cells: Sequence[list[Shard]], suite: dict[str, Any] | None) -> dict[str, Any]:
    """What makes two runs the same run."""
    from edge_gym import __version__

    software = {"edge_gym": __version__, "kernel": kernel_hash()}
    if suite is None:
        return {**software, **_cell_identity(cells[0])}
    return {**software, "suite": suite, "cells": [_cell_identity(shards) for shards in cells]}


def _cell_identity(shards: list[Shard]) -> dict[str, Any]:
    decided = {shard.scenario.name: to_plain(shard.by_site) for shard in shards if shard.by_site is not None}
    one = [shard for shard in shards if shard.policy == shards[0].policy and shard.scenario is shards[0].scenario]
    return {
        "task": shards[0].task,
        "scenarios": {shard.scenario.name: shard.fingerprint for shard in shards},
        "policies": [_named(shard) for shard in {shard.policy: shard for shard in shards}.values()],
        "seeds": [seed for shard in one for seed in shard.seeds],
        "by_site": decided,
    }


def _named(shard: Shard) -> Any:
    """The policy's name, with all that makes it the same policy."""
    name = _with_file(shard.policy)
    return name if shard.identity is None else {"name": name, **shard.identity}


def _with_file(policy: str) -> str:
    """The name; if it names a file ("learned:FILE"), with a hash of that file, which may change between two runs."""
    argument = policy.partition(":")[2]
    return f"{policy}@{file_sha256(argument)[:16]}" if argument and os.path.isfile(argument) else policy
