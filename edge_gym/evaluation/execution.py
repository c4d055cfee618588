"""How shards are run: how many at once, on which engine, how long, and what happens to those that fail."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol

from edge_gym.errors import EdgeGymError, EdgeGymInputError, install_extra, nearest
from edge_gym.evaluation.shards import Shard, run_shard

ENGINES = ("processes", "ray")
SHARD_TIMEOUT_S = 4 * 3600.0  # a shard is minutes of work; what takes longer than this hangs
RETRIES = 2  # of a shard whose process was killed or hung, each in a fresh process
MAX_WORKERS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """How shards are run; nothing here changes a result.

    Attributes:
        n_workers: Shards at the same time, 1 ... 1024.
        engine: One of `ENGINES`.
        address: Of a running cluster, for the engine "ray"; None: one on this machine, for this run alone.
        shard_timeout_s: Wall-clock seconds after which the process of a shard is taken for hung; > 0.
        keep_going: A shard that fails is listed, and the others go on; else the first failure ends the run.
        progress: Show a progress bar on stderr.

    Raises:
        EdgeGymInputError: A value is not allowed.
    """

    n_workers: int = 1
    engine: str = "processes"
    address: str | None = None
    shard_timeout_s: float = SHARD_TIMEOUT_S
    keep_going: bool = False
    progress: bool = False

    def __post_init__(self) -> None:
        whole = isinstance(self.n_workers, int) and not isinstance(self.n_workers, bool)
        if not whole or not 1 <= self.n_workers <= MAX_WORKERS:
            raise EdgeGymInputError("n_workers", self.n_workers, f"an int in 1 ... {MAX_WORKERS}")
        if self.engine not in ENGINES:
            hint = nearest(str(self.engine), ENGINES)
            raise EdgeGymInputError("engine", self.engine, f"one of {', '.join(ENGINES)}", hint=hint)
        if self.engine == "ray" and find_spec("ray") is None:
            allowed = "used where the extra 'ray' is installed"
            raise EdgeGymInputError("engine", "ray", allowed, hint=install_extra("ray"))
        if self.address is not None and self.engine != "ray":
            raise EdgeGymInputError("address", self.address, "left out unless the engine is ray")
        seconds = self.shard_timeout_s
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds < float("inf"):
            raise EdgeGymInputError("shard_timeout_s", seconds, "a number of seconds > 0")

    @property
    def here(self) -> bool:
        """Whether everything runs in this process, where policies may be objects and nothing can be killed alone."""
        return self.engine == "processes" and self.n_workers == 1 and not self.keep_going


class Done(NamedTuple):
    """What became of a shard."""

    shard: Shard
    rows: list[dict[str, Any]]
    timing: dict[str, Any]
    error: EdgeGymError | None = None  # then there are neither rows nor timing
    attempts: int = 1


class Lost(NamedTuple):
    """The process of a shard is gone."""

    reason: str


Answer = tuple[list[dict[str, Any]], dict[str, Any]] | EdgeGymError


class Engine(Protocol):
    """Where shards run. A ticket stands for a shard that was started."""

    def start(self, shard: Shard) -> Any:
        """Begin a shard in a process that does nothing else; returns its ticket."""
        ...

    def wait(self, tickets: Sequence[Any], timeout_s: float) -> list[tuple[Any, Answer | Lost]]:
        """Those that ended, at least one of them unless the time is over before."""
        ...

    def stop(self, ticket: Any) -> None:
        """Break a shard off, whatever it is doing."""
        ...

    def close(self) -> None:
        """Break everything off and free what was taken; may be called twice."""
        ...


def answer(shard: Shard) -> Answer:
    """What a worker returns for a shard: it never raises."""
    try:
        return run_shard(shard)
    except EdgeGymError as error:
        return error


def dispatch(todo: Sequence[Shard], engine: Engine, execution: Execution) -> Iterator[Done]:
    """Run shards on an engine and yield each when its fate is known.

    Args:
        todo: What to run, in the order in which to begin.
        engine: Where; closed at the end.
        execution: How many at once and how long.
    """
    waiting = deque((shard, 1) for shard in todo)
    running: dict[Any, tuple[Shard, int, float]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < execution.n_workers:
                shard, attempt = waiting.popleft()
                running[engine.start(shard)] = (shard, attempt, time.monotonic() + execution.shard_timeout_s)
            left = min(ends for _, _, ends in running.values()) - time.monotonic()
            found: list[tuple[Any, Answer | Lost]] = engine.wait(list(running), max(left, 0.0))
            for ticket in [] if found else [t for t, (_, _, ends) in running.items() if ends <= time.monotonic()]:
                engine.stop(ticket)
                found.append((ticket, Lost(f"it took longer than {execution.shard_timeout_s:g} s")))
            for ticket, result in found:
                shard, attempt, _ = running.pop(ticket)
                if isinstance(result, Lost) and attempt <= RETRIES:
                    waiting.append((shard, attempt + 1))
                else:
                    yield _done(shard, attempt, result)
    finally:
        engine.close()


def _done(shard: Shard, attempt: int, result: Answer | Lost) -> Done:
    if isinstance(result, Lost):
        result = EdgeGymError(f"{shard}: {result.reason}, {attempt} times in a row")
    if isinstance(result, EdgeGymError):
        return Done(shard, [], {}, result, attempt)
    return Done(shard, *result, None, attempt)
