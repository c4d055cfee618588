"""Run shards here or in worker processes, with a progress bar."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import connection
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_gym.envs.batch import Batch
from edge_gym.envs.common import resolve_task
from edge_gym.errors import EdgeGymError
from edge_gym.evaluation.shards import Shard, run_shard

if TYPE_CHECKING:
    from rich.progress import Progress

Finished = tuple[Shard, list[dict[str, Any]], dict[str, Any]]


def run_all(shards: list[Shard], done: set[str], n_workers: int, progress: bool) -> Iterator[Finished]:
    """Run every shard whose key is not in `done`, and yield each when it is finished.

    Raises:
        EdgeGymError: A shard failed; the others are not waited for.
    """
    todo = [shard for shard in shards if shard.key not in done]
    with _bar(progress) as bar:
        total = sum(len(shard.seeds) for shard in shards)
        job = bar.add_task("episodes", total=total, completed=total - sum(len(shard.seeds) for shard in todo))
        if n_workers == 1 or len(todo) <= 1:
            for shard in todo:
                yield shard, *run_shard(shard, lambda ended: bar.advance(job, ended))
        else:
            for found in _in_processes(todo, min(n_workers, len(todo))):
                bar.advance(job, len(found[0].seeds))
                yield found


def _in_processes(todo: list[Shard], n_workers: int) -> Iterator[Finished]:
    for shard in {shard.decides: shard for shard in todo if not shard.bound}.values():
        _warm_up(shard)
    others = set(multiprocessing.active_children())
    pool = ProcessPoolExecutor(n_workers, multiprocessing.get_context("spawn"), _begin_worker)
    waiting = {}
    try:
        waiting = {pool.submit(run_shard, shard): shard for shard in todo}
        for future in as_completed(waiting):
            shard = waiting[future]
            try:
                yield shard, *future.result()
            except BrokenProcessPool as error:
                reason = "a worker process died (killed, or out of memory)"
                raise EdgeGymError(f"{_unfinished(waiting)}: {reason}") from error
        pool.shutdown()
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for child in set(multiprocessing.active_children()) - others:
            child.terminate()
        raise


def _unfinished(waiting: dict[Any, Shard]) -> str:
    """Some shard that may have been running when a worker died."""
    left = [shard for future, shard in waiting.items() if not future.done() or future.exception() is not None]
    return f"{left[0]} or another of {len(left)} shards" if len(left) > 1 else str(left[0])


def _warm_up(shard: Shard) -> None:
    """Compile the kernel once here, so that the workers find it in the cache instead of all compiling it."""
    batch = Batch(resolve_task(shard.task, shard.scenario, {})[1], 1, shard.decides)
    batch.reset(np.ones(1, bool), batch.empty_obs())
    batch.step(np.array([batch.noop]), np.zeros(1, bool))


def _begin_worker() -> None:
    """Leave Ctrl-C to the parent, use one thread, and go when the parent is gone, however it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # torch reads it when a policy first imports it
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.sentinel,), daemon=True).start()


def _follow(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


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
