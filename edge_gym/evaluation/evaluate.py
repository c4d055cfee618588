"""Every policy on the same worlds: the one function that runs a comparison and gathers its rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from edge_gym.errors import EdgeGymInputError
from edge_gym.evaluation.provenance import about_run, kernel_hash
from edge_gym.evaluation.report import html_page
from edge_gym.evaluation.results import Results
from edge_gym.evaluation.run_folder import RunFolder
from edge_gym.evaluation.shards import MAX_EPISODES, Shard, check_sendable, plan, preflight
from edge_gym.evaluation.workers import run_all
from edge_gym.files import file_sha256
from edge_gym.policy import Policy
from edge_gym.scenario import Scenario

MAX_WORKERS = 1024


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
    **overrides: Any,
) -> Results:
    """Run every policy on the same worlds.

    The rows do not depend on `n_workers`, `batch_size` or the order of `policies` and `seeds`.

    Args:
        policies: Names (`edge_gym.policy.policy_names`, `edge_gym.bounds.BOUNDS`), or objects; objects only with one
            worker.
        task: Name of the task.
        scenario: Preset name, file or `Scenario`; or a list of these with different names.
        seeds: One world for each, 0 ... 2**63 - 1.
        n_workers: Processes.
        batch_size: Worlds that run at the same time in a process; at most 50 are of use. Fewer save memory.
        out: Folder for results; nothing is written without.
        resume: Go on with the unfinished run in `out`.
        overwrite: Replace the older run in `out`.
        progress: Show a progress bar on stderr.
        **overrides: Fields of the scenario.

    Returns:
        Rows for each scenario, policy (in the order given) and seed (ascending).

    Raises:
        EdgeGymInputError: An argument is not valid; nothing has run or been written.
        EdgeGymError: A policy failed or chose illegally; finished shards in `out` can be resumed.
    """
    _check_range("n_workers", n_workers, MAX_WORKERS)
    _check_range("batch_size", batch_size, MAX_EPISODES)
    shards = plan(policies, task, scenario, seeds, batch_size, overrides)
    if n_workers > 1:
        check_sendable(shards)
    if out is None:
        if resume or overwrite:
            raise EdgeGymInputError("out", None, "a folder when resume or overwrite is true")
        preflight(shards)
        return _gather(shards, n_workers, progress, None)
    identity, scenarios = _identity(shards)
    run_folder = RunFolder(out, identity, resume, overwrite)  # refuses before anybody is asked anything
    preflight(shards)
    with run_folder as folder:
        about = about_run(scenarios)
        folder.write_manifest(about, finished=False)
        results = _gather(shards, n_workers, progress, folder)
        folder.write_results(results, html_page(results.summary()["rows"], _notes(shards, about)))
        folder.write_manifest(about, finished=True)
        return results


def _gather(shards: list[Shard], n_workers: int, progress: bool, folder: RunFolder | None) -> Results:
    """Run what is not finished yet, and put everything in the order of the plan."""
    done: dict[str, Any] = {}
    if folder is not None and folder.resume:
        loaded = {shard.key: folder.load(shard.key, shard.seeds) for shard in shards}
        done = {key: found for key, found in loaded.items() if found is not None}
    for shard, rows, timing in run_all(shards, set(done), n_workers, progress):
        done[shard.key] = (rows, timing)
        if folder is not None:
            folder.store(shard.key, rows, timing)
    ordered = [done[shard.key] for shard in shards]
    return Results([row for rows, _ in ordered for row in rows], [timing for _, timing in ordered])


def _check_range(field: str, value: Any, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise EdgeGymInputError(field, value, f"an int in 1 ... {most}")


def _identity(shards: list[Shard]) -> tuple[dict[str, Any], list[Scenario]]:
    """What makes two runs the same run, and the scenarios."""
    from edge_gym import __version__

    scenarios = {shard.scenario.name: shard for shard in shards}
    one = [shard for shard in shards if shard.policy == shards[0].policy and shard.scenario is shards[0].scenario]
    identity = {
        "edge_gym": __version__,
        "kernel": kernel_hash(),
        "task": shards[0].task,
        "scenarios": {name: shard.fingerprint for name, shard in scenarios.items()},
        "policies": [_named(shard) for shard in {shard.policy: shard for shard in shards}.values()],
        "seeds": [seed for shard in one for seed in shard.seeds],
    }
    return identity, [shard.scenario for shard in scenarios.values()]


def _named(shard: Shard) -> Any:
    """The policy's name, with all that makes it the same policy."""
    name = _with_file(shard.policy)
    return name if shard.identity is None else {"name": name, **shard.identity}


def _with_file(policy: str) -> str:
    """The name; if it names a file ("ppo:path"), with a hash of that file, which may change between two runs."""
    argument = policy.partition(":")[2]
    return f"{policy}@{file_sha256(argument)[:16]}" if argument and Path(argument).is_file() else policy


def _notes(shards: list[Shard], about: dict[str, Any]) -> Iterator[tuple[str, str]]:
    identity, _ = _identity(shards)
    seeds = identity["seeds"]
    yield "episodes", f"{len(seeds)} for each policy, seeds {seeds[0]} to {seeds[-1]}"
    yield from (("scenario", f"{name} ({digest})") for name, digest in identity["scenarios"].items())
    yield "command", about["command"]
    yield "versions", ", ".join(f"{name} {version}" for name, version in about["versions"].items())
