"""Shards in processes of this machine, each with its own pipe, so that one can be killed without the others."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from multiprocessing import connection, resource_tracker
from typing import Any, NamedTuple

import numpy as np

from edge_gym.envs.batch import Batch
from edge_gym.envs.common import resolve_task
from edge_gym.envs.sites_batch import make_sites_batch
from edge_gym.evaluation.execution import Answer, Lost, answer
from edge_gym.evaluation.shards import Shard

GRACE_S = 5.0  # for a process that is done to end by itself
MAIN = "began by running a script again that lacks: if __name__ == '__main__'"


class _Worker(NamedTuple):
    """A process that waits for shards, and our end of its pipe."""

    process: Any
    pipe: Any


class Processes:
    """Worker processes, started when they are needed and used again; see `edge_gym.evaluation.execution.Engine`."""

    def __init__(self, todo: Sequence[Shard]) -> None:
        for shard in {(shard.decides, shard.by_site is None): shard for shard in todo if not shard.bound}.values():
            _warm_up(shard)
        self._context = multiprocessing.get_context("spawn")
        self._idle: list[_Worker] = []
        self._busy: dict[int, _Worker] = {}
        self._tickets = 0

    def start(self, shard: Shard) -> int:
        """See `Engine`."""
        self._tickets += 1
        worker = self._busy[self._tickets] = self._idle.pop() if self._idle else self._begin()
        try:
            worker.pipe.send(shard)
        except OSError:  # it died while it was idle; what we wait for next is its end
            self._kill(worker)
        return self._tickets

    def wait(self, tickets: Sequence[int], timeout_s: float) -> list[tuple[int, Answer | Lost]]:
        """See `Engine`."""
        dead = [ticket for ticket in tickets if self._busy[ticket].pipe.closed]
        by_pipe = {self._busy[ticket].pipe: ticket for ticket in tickets if ticket not in dead}
        ready = [by_pipe[pipe] for pipe in connection.wait(list(by_pipe), 0.0 if dead else timeout_s)]
        return [(ticket, self._receive(self._busy.pop(ticket))) for ticket in (*dead, *ready)]

    def stop(self, ticket: int) -> None:
        """See `Engine`."""
        self._kill(self._busy.pop(ticket))

    def close(self) -> None:
        """See `Engine`."""
        for worker in self._busy.values():
            worker.process.kill()
        for worker in (*self._idle, *self._busy.values()):
            worker.pipe.close()
        for worker in (*self._idle, *self._busy.values()):
            worker.process.join(GRACE_S)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
        self._idle, self._busy = [], {}

    def _begin(self) -> _Worker:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_work, args=(theirs,), daemon=True)
        with _deaf():
            process.start()
        theirs.close()  # so that its end, and nothing else, ends the pipe
        return _Worker(process, ours)

    def _receive(self, worker: _Worker) -> Answer | Lost:
        try:
            found = worker.pipe.recv()
        except (EOFError, OSError):
            self._kill(worker)
            return Lost(f"a worker process died (killed, out of memory, or {MAIN})")
        self._idle.append(worker)
        return found

    def _kill(self, worker: _Worker) -> None:
        worker.pipe.close()
        worker.process.kill()
        worker.process.join()


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """What is started here does not hear Ctrl-C while it starts; one that comes to us meanwhile comes afterwards."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    resource_tracker.ensure_running()  # it would undo what follows
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _work(pipe: Any) -> None:
    """Leave Ctrl-C to the parent, use one thread, and go when the parent is gone, however it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # torch reads it when a policy first imports it
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.sentinel,), daemon=True).start()
    while True:
        try:
            shard = pipe.recv()
        except (EOFError, OSError):
            return
        pipe.send(answer(shard))


def _follow(sentinel: int) -> None:
    connection.wait([sentinel])
    os._exit(1)


def _warm_up(shard: Shard) -> None:
    """Compile the kernel once here, so that the workers find it in the cache instead of all compiling it."""
    task, world = resolve_task(shard.task, shard.scenario, {})
    batch: Batch
    if shard.by_site is None:
        batch = Batch(world, 1, shard.decides)
    else:
        batch = make_sites_batch(task, world, 1, shard.by_site.rules(world))
    batch.reset(np.ones(1, bool), batch.empty_obs())
    batch.step(np.full(batch.n_rows, batch.noop), np.zeros(1, bool))
