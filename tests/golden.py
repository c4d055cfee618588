"""Golden traces: short episodes of every task and preset by a fixed rule, and the hashes of all that they show.

`exact` covers every float: it is the same on the same kind of processor with the same versions of what computes.
`events` covers what is whole (times in nanoseconds, choices, masks, counts, words): it is the same on every platform.
The figures beside them are there to see where two traces part. `scripts/make_golden.py` writes the files,
`tests/test_golden.py` compares.
"""

import hashlib
import platform
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edge_gym.envs.batch import Batch
from edge_gym.envs.common import resolve_task
from edge_gym.envs.sites_batch import SITE_TASKS, make_sites_batch, site_rules
from edge_gym.kernel.tables import COMPLETED
from edge_gym.registration import PARALLEL_TABLE, TABLE
from edge_gym.scenario.presets import PRESETS
from edge_gym.tasks import SHIPPED, get_task

FOLDER = Path(__file__).parent / "data" / "golden"
SEEDS = (1, 2, 3)
REQUESTS = 400  # of episodes without agents: long enough for regimes, short enough for their end to be seen
DECISIONS = {"routing": 700, "placement": 70, "migration": 150, "joint": 700, "metacontrol": 200}  # at most
SPARE = {"routing/metro1000": 100, "placement/metro-1000": 20, "placement/global-120": 60}  # where each is dear
CONTROLLED = ("mixed", "churn", "semantic", "drift", "composite")  # played by MetaControl too
BY_SITE = {"routing": ("stationary", "mixed", "overload"), "placement": ("metro-16",), "migration": ("commute-16",)}


class Case(NamedTuple):
    """One episode for each seed: the task's name, a preset, and whether the sites decide."""

    task: str
    preset: str
    by_site: bool

    @property
    def version(self) -> str:
        """The id whose number has to rise when the trace changes."""
        return PARALLEL_TABLE[get_task(self.task).id] if self.by_site else get_task(self.task).id


def every_case() -> list[Case]:
    """Each preset by its own task; those with regimes by MetaControl; and by site."""
    found = [Case(*name.split("/"), False) for name in PRESETS if name.split("/")[0] in SHIPPED]
    found += [Case("metacontrol", name, False) for name in CONTROLLED]
    return found + [Case(task, name, True) for task, names in BY_SITE.items() for name in names]


def versions() -> list[str]:
    """Every id and module that must have golden traces."""
    shipped = [name for name, task in TABLE.items() if task in SHIPPED]
    return [*shipped, *(module for name, module in PARALLEL_TABLE.items() if TABLE[name] in SITE_TASKS)]


def made_on() -> dict[str, str]:
    """What `exact` depends on."""
    packages = {name: version_of(name) for name in ("numpy", "numba", "llvmlite")}
    return {"system": platform.system(), "machine": platform.machine(), **packages}


def path_of(version: str) -> Path:
    """The file of an id or a module, as in Routing-v0.json and routing_v0.json."""
    return FOLDER / f"{version.replace('.', '/').split('/')[-1]}.json"


def trace(case: Case) -> dict[str, dict[str, Any]]:
    """Plays a case; for each seed the hashes and a few figures."""
    fields = {"n_requests": REQUESTS} if get_task(case.task).worlds == "routing" else {}
    task, world = resolve_task(case.task, case.preset, fields)
    n = len(SEEDS)
    batch = make_sites_batch(task, world, n, site_rules(world)) if case.by_site else Batch(world, n, task)
    batch.roots[:] = SEEDS
    obs, over = batch.empty_obs(), np.zeros(n, bool)
    batch.reset(~over, obs)
    notes, world_of = [_Note() for _ in SEEDS], np.arange(batch.n_rows) // (batch.n_rows // n)
    for k in range(SPARE.get(f"{case.task}/{case.preset}", DECISIONS[case.task])):
        actions, running = choose(batch.mask, k, batch.noop, task.control), np.flatnonzero(~over)
        for b in running:
            notes[b].see(obs, batch.mask, actions, world_of == b)
        out = batch.step(actions, over, obs)
        rows, log = batch.ended()
        for b in running:
            notes[b].hear(batch, b, out, world_of == b, log[world_of[rows] == b])
        over |= out.done[:: batch.n_rows // n]
        if over.all():
            break
    return {str(seed): note.summary() for seed, note in zip(SEEDS, notes, strict=True)}


def choose(mask: np.ndarray, k: int, noop: int, control: bool) -> np.ndarray:
    """Legal choices in turn, the last one (to decline) seldom; a controller lets time pass every other time."""
    chosen = np.empty(len(mask), np.int64)
    for b, row in enumerate(mask):
        legal = np.flatnonzero(row)
        legal = legal[:-1] if len(legal) > 1 and k % 11 else legal
        chosen[b] = legal[(5 * k + 3 * b) % len(legal)]
    return np.full(len(mask), noop) if control and k % 2 else chosen


class _Note:
    """What is noted of one world."""

    def __init__(self) -> None:
        self.exact, self.events = hashlib.sha256(), hashlib.sha256()
        self.decisions = self.ended = self.completed = self.latency_ns = self.messages = 0
        self.over = False
        self.clock_ns: list[int] = []

    def see(self, obs: np.ndarray, mask: np.ndarray, actions: np.ndarray, mine: np.ndarray) -> None:
        self.exact.update(obs[mine].tobytes())
        self.events.update(mask[mine].tobytes() + actions[mine].astype("<i8").tobytes())
        self.decisions += 1

    def hear(self, batch: Batch, b: int, out: Any, mine: np.ndarray, log: np.ndarray) -> None:
        for part in (out.reward, out.terms, out.dt_s, out.time_s):
            self.exact.update(np.ascontiguousarray(part[mine]).tobytes())
        world = batch.state.world[b]
        news = batch.state.news[b, : world["news_count"]]
        self.events.update("".join(event.text for event in batch.events(b)).encode())
        for table in (log, news):
            for name in table.dtype.names:
                whole = table[name].dtype.kind in "iu"
                (self.events if whole else self.exact).update(table[name].tobytes())
        self.events.update(int(world["now_ns"]).to_bytes(8, "little") + out.done[mine].tobytes())
        self.ended += len(log)
        self.completed += int((log["outcome"] == COMPLETED).sum())
        self.latency_ns += int(log["latency_ns"].sum())
        self.messages += len(news)
        self.over = bool(out.done[mine].all())
        if self.decisions % 50 == 0 or self.over:
            self.clock_ns.append(int(world["now_ns"]))

    def summary(self) -> dict[str, Any]:
        self.exact.update(self.events.digest())
        names = ("decisions", "ended", "completed", "latency_ns", "messages", "over", "clock_ns")
        hashes = {"exact": self.exact.hexdigest(), "events": self.events.hexdigest()}
        return {**hashes, **{name: getattr(self, name) for name in names}}
