"""Run shards here or on an engine, with a progress bar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from edge_gym.evaluation.execution import Done, Engine, Execution, dispatch
from edge_gym.evaluation.shards import Shard, run_shard

if TYPE_CHECKING:
    from rich.progress import Progress


def run_all(shards: Sequence[Shard], done: set[str], execution: Execution) -> Iterator[Done]:
    """Run every shard whose key is not in `done`, and yield each when its fate is known.

    Raises:
        EdgeGymError: A shard failed, and the execution does not keep going; the others are not waited for.
    """
    todo = [shard for shard in shards if shard.key not in done]
    with _bar(execution.progress) as bar:
        total = sum(len(shard.seeds) for shard in shards)
        job = bar.add_task("episodes", total=total, completed=total - sum(len(shard.seeds) for shard in todo))
        alone = execution.engine == "processes" and not execution.keep_going and len(todo) <= 1
        if execution.here or alone:
            for shard in todo:
                yield Done(shard, *run_shard(shard, lambda ended: bar.advance(job, ended)))
            return
        # The longest first: one that begins last and is long keeps a single worker busy at the end.
        todo.sort(key=effort, reverse=True)
        for found in dispatch(todo, _engine(todo, execution), execution):
            bar.advance(job, len(found.shard.seeds))
            if found.error is not None and not execution.keep_going:
                raise found.error
            yield found


def effort(shard: Shard) -> float:
    """About how long a shard takes beside others, in no unit: who looks into the future or knows all takes longest."""
    scenario = shard.scenario
    length = (scenario.n_requests or 20.0 * (scenario.horizon_s or 0.0)) * len(shard.seeds)
    return length * scenario.pool.n_nodes * (50.0 if shard.bound else 10.0 if shard.privileged else 1.0)


def _engine(todo: Sequence[Shard], execution: Execution) -> Engine:
    if execution.engine == "ray":
        from edge_gym.evaluation.engine_ray import Ray

        return Ray(min(execution.n_workers, max(len(todo), 1)), execution.address)
    from edge_gym.evaluation.engine_processes import Processes

    return Processes(todo)


def _bar(progress: bool) -> Progress:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(None),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), disable=not progress, transient=True)
