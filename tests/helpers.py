"""Small worlds for the tests, a loop that plays them, and the statistical rule of the validation tests."""

from __future__ import annotations

import datetime
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edge_gym.devices import DeviceType, ModelType, Service
from edge_gym.envs.batch import Batch, Outcome
from edge_gym.kernel.build import World
from edge_gym.kernel.tables import COMPLETED, LOG, SECOND
from edge_gym.scenario import Arrivals, Law, Pool, Scenario, Topology, Workload

REPLICATIONS = 120  # rows of one batch
Z = 3.5  # a mean may be off by so many standard errors
FINE = 1000  # mean units of the service laws: rounding to whole units does not show
_RAW = np.dtype((np.void, LOG.itemsize))
NO_NETWORK = Topology(kind="star", link_delay_s=0.0, access_delay_s=0.0)


def service_law(kind: str = "exponential", cv: float = 1.0) -> Law:
    """A law of mean `FINE`, so far from its bounds that clipping does not show."""
    return Law(kind=kind, mean=FINE, cv=cv, maximum=1e7)


def two_point_law(scv: int) -> Law:
    """Mean `FINE` and this squared coefficient of variation: a in k of k + 1 cases, else b, where (1 - a)^2 k = scv."""
    k, a = {4: (9, 1 / 3), 10: (40, 1 / 2)}[scv]
    return Law(kind="empirical", mean=FINE, values=(a * FINE,) * k + ((1 + (1 - a) * k) * FINE,))


def queue_scenario(
    rate_per_s: float,
    *,
    law: Law | None = None,
    service_s: float = 1.0,
    slots: int = 1,
    gain: float = 1.0,
    queue_capacity: int = 2000,
    n_nodes: int = 1,
    n_requests: int = 10_000,
    device: dict[str, Any] | None = None,
    **more: Any,
) -> Scenario:
    """Equal nodes without a network, one model of mean work `service_s`, Poisson arrivals: a textbook queue."""
    figures = {"memory_bytes": 1000, "storage_bytes_per_s": 1e9, "nic_bytes_per_s": 1e9, **(device or {})}
    law = law or service_law()
    arrivals = more.pop("arrivals", None) or Arrivals(rate_per_s=rate_per_s)
    fields: dict[str, Any] = {
        "name": "queue",
        "devices": (DeviceType(name="server", slots=slots, **figures),),
        "models": (ModelType(name="work", weights_bytes=1),),
        "services": (Service(device="server", model="work", per_unit_s=service_s / law.mean, gain=gain),),
        "pool": Pool(device_types=("server",), n_nodes=n_nodes, queue_capacity=queue_capacity),
        "workloads": (Workload(model="work", prompt_tokens=Law(mean=0.0), units=law, deadline_s=1e6),),
        "arrivals": arrivals,
        "topology": NO_NETWORK,
        "horizon_s": 3e9,
        "n_requests": n_requests,
        "drain_s": 1e7,
    }
    return Scenario(**{**fields, **more})


def write_trace(path: Path, rows: Iterable[tuple[float, int, int]]) -> str:
    """Writes (seconds, prompt tokens, units) in the format of the Azure trace; the first row must be at 0."""
    start = datetime.datetime(2023, 11, 16)
    lines = ["TIMESTAMP,ContextTokens,GeneratedTokens"]
    for seconds, prompt, units in rows:
        whole, ns = divmod(round(seconds * SECOND), SECOND)
        lines.append(f"{start + datetime.timedelta(seconds=whole)}.{ns:09d},{prompt},{units}")
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def trace_arrivals(path: Path, rows: Iterable[tuple[float, int, int]]) -> Arrivals:
    """Exactly these requests, once, at exactly these times."""
    return Arrivals(kind="trace", trace_path=write_trace(path, rows), on_trace_end="stop")


class Step(NamedTuple):
    """What one step of a batch returned, and which requests ended in it."""

    out: Outcome
    row: np.ndarray
    log: np.ndarray


class Game:
    """A batch that is stepped by hand.

    Attributes:
        batch: The worlds.
        obs: The last observations.
        over: (B,) bool.
    """

    def __init__(self, world: World | Scenario, seeds: Iterable[int]) -> None:
        roots = np.array(list(seeds), np.uint64)
        self.batch = Batch(world if isinstance(world, World) else World(world), len(roots))
        self.batch.roots[:] = roots
        self.obs = self.batch.empty_obs()
        self.over = np.zeros(len(roots), bool)
        self.rows = np.arange(len(roots))
        self.batch.reset(~self.over, self.obs)

    def advance(self, actions: np.ndarray) -> Outcome:
        """One decision in every row that is not over."""
        assert (self.batch.mask[self.rows, actions] | self.over).all(), "an illegal action"
        out = self.batch.step(actions, self.over, self.obs)
        self.over = self.over | out.done
        return out

    def step(self, action: int) -> Step:
        """The same decision in every row; all rows must be alike."""
        out = self.advance(np.full(len(self.rows), action, np.int64))
        return Step(out, *self.batch.ended())

    @property
    def decline(self) -> int:
        return self.batch.world.n_nodes

    def column(self, k: int, n: int = 0, row: int = 0) -> float:
        """One figure of the last observation."""
        return float(self.obs[row, n, k])


class Played(NamedTuple):
    """A batch played to the end.

    Attributes:
        row: (K,) row of the batch in which each request ended.
        log: (K,) log entries, in order of row.
        terms: (B, 8) sums of the reward terms.
        latency_ns: (B,) sums of the latency term, as whole nanoseconds.
        end_ns: (B,) when each world was over.
    """

    row: np.ndarray
    log: np.ndarray
    terms: np.ndarray
    latency_ns: np.ndarray
    end_ns: np.ndarray

    def per_row(self, values: np.ndarray, keep: np.ndarray) -> np.ndarray:
        """Mean of a figure of the requests in each row, over the requests in `keep`."""
        rows, n = self.row[keep], len(self.end_ns)
        return np.bincount(rows, values[keep], n) / np.bincount(rows, minlength=n)

    def of_row(self, b: int) -> np.ndarray:
        """Log entries of one row, by number of the request."""
        mine = self.log[self.row == b]
        return mine[np.argsort(mine["id"], kind="stable")]


Choose = Callable[[np.ndarray, np.ndarray], np.ndarray]


def play(
    world: World | Scenario,
    choose: Choose,
    seeds: Iterable[int],
    each_step: Callable[[Game, Outcome], None] | None = None,
) -> Played:
    """Plays every row to its end.

    Args:
        world: What to play.
        choose: From observations (B, N + 1, F) and masks (B, N + 1) to legal choices (B,).
        seeds: One for each row.
        each_step: Called after every step.
    """
    game = Game(world, seeds)
    n = len(game.over)
    table = game.batch.state.log.view(_RAW).reshape(n, -1)  # copied as raw bytes: field by field is slow
    rows, logs = [], []
    terms, latency_ns = np.zeros((n, 8)), np.zeros(n, np.int64)
    while not game.over.all():
        counts = np.where(game.over, 0, 1)
        out = game.advance(choose(game.obs, game.batch.mask))
        counts *= game.batch.state.world["log_count"]
        wanted = np.arange(counts.max()) < counts[:, None]
        rows.append(wanted.nonzero()[0])
        logs.append(table[:, : wanted.shape[1]][wanted])
        terms += out.terms
        latency_ns -= np.rint(out.terms[:, 0] * SECOND).astype(np.int64)
        if each_step is not None:
            each_step(game, out)
    row, log = np.concatenate(rows), np.concatenate(logs).view(LOG)
    order = np.argsort(row, kind="stable")
    return Played(row[order], log[order], terms, latency_ns, game.batch.state.world["now_ns"].copy())


def first_legal(obs: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The legal node with the smallest number, else decline."""
    return mask.argmax(axis=1)


class RandomLegal:
    """A legal choice at random; `declines` is the weight of declining beside a node's 1.

    Each row has draws of its own, so a row does the same in whatever batch it is.
    """

    def __init__(self, seeds: Iterable[int], declines: float = 0.05) -> None:
        self.rngs = [np.random.default_rng([int(seed), 77]) for seed in seeds]
        self.declines = declines

    def __call__(self, obs: np.ndarray, mask: np.ndarray) -> np.ndarray:
        weight = np.array([rng.random(mask.shape[1]) for rng in self.rngs])
        weight[:, -1] *= self.declines
        return np.where(mask, weight, -1.0).argmax(axis=1)


def served(played: Played, first: int = 0) -> np.ndarray:
    """Which requests were completed, those before number `first` left out as warm-up."""
    return (played.log["outcome"] == COMPLETED) & (played.log["id"] >= first)


def seconds(ns: np.ndarray) -> np.ndarray:
    return ns / SECOND


def z_score(samples: np.ndarray, theory: float) -> tuple[float, float]:
    """Distance of the mean of replications from theory in standard errors, and the standard error."""
    error = samples.std(ddof=1) / math.sqrt(len(samples))
    return (samples.mean() - theory) / error, error


def assert_mean(samples: np.ndarray, theory: float, limit: float, wrong: float | None = None) -> None:
    """The rule: within 3.5 standard errors, each below `limit` of the theory; `wrong` would have been found out."""
    z, error = z_score(samples, theory)
    assert error <= limit * abs(theory), f"standard error {error / abs(theory):.3%} of theory: too loose"
    assert abs(z) <= Z, f"mean {samples.mean():.6g}, theory {theory:.6g}, z = {z:+.2f}"
    if wrong is not None:
        assert abs(z_score(samples, wrong)[0]) > Z, f"z of the planted defect only {z_score(samples, wrong)[0]:+.2f}"
