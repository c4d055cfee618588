"""The work of an evaluation, cut into shards: planned and checked here, run anywhere."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from edge_gym.bounds import BOUNDS, load_bound
from edge_gym.envs.common import check_seed, resolve_task
from edge_gym.errors import EdgeGymError, EdgeGymInputError, printable, show
from edge_gym.evaluation.deciders import Deciders, check_for_sites, check_task
from edge_gym.evaluation.metrics import METRICS, check_episode, episode_metrics
from edge_gym.evaluation.results import CELL
from edge_gym.evaluation.rollout import roll_out
from edge_gym.evaluation.sites import roll_out_sites
from edge_gym.evaluation.splits import check_unseen
from edge_gym.plugins import load_plugins
from edge_gym.policy import POLICIES, Policy, is_privileged, make_policy, task_of
from edge_gym.scenario import Scenario
from edge_gym.scenario.io import fingerprint
from edge_gym.tasks import TASKS, Task, get_task

NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_.-]")
SHARD = 50  # seeds run together; part of what random policies draw, so never derived from the machine
MAX_EPISODES = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One policy on some seeds of one scenario: the unit of work and of resuming.

    Attributes:
        task: Name of the task.
        variant: The task itself, for worker processes, if it was registered by another package or script; else None.
        scenario: The world.
        fingerprint: Of the scenario.
        policy: Name of the policy.
        target: What the registry has under its name, for worker processes; None if the registry finds it itself.
        given: The policy itself, if the caller gave an object.
        privileged: Whether the policy sees what only an oracle may see.
        identity: What else makes two runs of the policy the same, as plain values, or None.
        decides: The task whose decisions the policy takes: that of the shard, or "metacontrol" on the same worlds;
            "bound" if it is no policy but a bound.
        seeds: Seeds of the worlds.
        batch_size: How many worlds run at the same time.
        training: If it was trained: the recipe and the seed of the training; else None.
        by_site: How the sites decide; None: one controller decides for all.
    """

    task: str
    variant: Task | None = None
    scenario: Scenario
    fingerprint: str
    policy: str
    target: Any
    given: Policy | None
    privileged: bool
    identity: Any
    decides: str
    seeds: tuple[int, ...]
    batch_size: int
    training: Mapping[str, Any] | None = None
    by_site: Deciders | None = None

    @property
    def bound(self) -> bool:
        """Whether it is no policy but a bound."""
        return self.decides == "bound"

    @property
    def key(self) -> str:
        """Name of its file: what it is, hashed."""
        named = json.dumps([self.task, self.scenario.name, self.fingerprint, self.policy, self.seeds])
        return hashlib.sha256(named.encode()).hexdigest()[:24]

    @property
    def same(self) -> dict[str, Any]:
        """What all its rows have in common."""
        return {
            "task": self.task,
            "scenario": self.scenario.name,
            "scenario_fingerprint": self.fingerprint,
            "policy": self.policy,
            "privileged": self.privileged,
            "bound": self.bound,
        }

    @property
    def label(self) -> str:
        """Its name for files that a policy keeps."""
        return f"{NOT_IN_NAMES.sub('_', self.policy)}.{self.scenario.name}.{self.seeds[0]}"

    def __str__(self) -> str:
        span = f"seeds {self.seeds[0]}..{self.seeds[-1]}"
        kind = "bound" if self.bound else "policy"
        return f"{kind} '{printable(self.policy, 80)}' on {self.task}/{self.scenario.name}, {span}"


def plan(
    policies: Any,
    task: str,
    scenario: Any,
    seeds: Iterable[int],
    batch_size: int,
    overrides: dict[str, Any],
    by_site: Deciders | Sequence[Deciders | None] | None = None,
) -> list[Shard]:
    """Checked work in its final order: by scenario, policy and seed.

    Args:
        policies: As in `evaluate`, as is what follows.
        task: See there.
        scenario: See there.
        seeds: See there.
        batch_size: See there.
        overrides: Fields of the scenario.
        by_site: How the sites decide, in all scenarios or in each; None: one controller decides.
    """
    worlds = _check_seeds(seeds)
    given = [scenario] if scenario is None or isinstance(scenario, str | Path | Scenario) else list(scenario)
    if not given:
        raise EdgeGymInputError("scenario", given, "at least one scenario")
    scenarios = [resolve_task(task, one, overrides)[1].scenario for one in given]
    _check_unique("scenario", [one.name for one in scenarios], "a file says its own name: give it another")
    ways = list(by_site) if isinstance(by_site, Sequence) else [by_site] * len(scenarios)
    if any(way is not None for way in ways):
        check_task(task)
    entries = [_entry(policy, task) for policy in ([policies] if _is_one(policies) else policies)]
    if not entries:
        raise EdgeGymInputError("policies", entries, "at least one policy")
    _check_unique("policies", [entry.name for entry in entries])
    for entry in entries:
        if any(way is not None for way in ways):
            _check_for_sites(entry, task)
        check_unseen(entry.name, entry.trained_on, worlds)
    variant = None if get_task(task).decides == task else get_task(task)
    chunks = [worlds[first : first + SHARD] for first in range(0, len(worlds), SHARD)]
    return [
        Shard(
            task=task,
            variant=variant,
            scenario=one,
            fingerprint=digest,
            policy=entry.name,
            target=entry.target,
            given=entry.given,
            privileged=entry.privileged,
            identity=entry.identity,
            decides=entry.decides,
            seeds=chunk,
            batch_size=int(batch_size),
            training=entry.training,
            by_site=way,
        )
        for one, digest, way in [(one, fingerprint(one), way) for one, way in zip(scenarios, ways, strict=True)]
        for entry in entries
        for chunk in chunks
    ]


def run_shard(shard: Shard, on_end: Callable[[int], None] | None = None) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Run one shard; its rows, and its timing.

    Raises:
        EdgeGymError: Something went wrong; names policy and seeds.
    """
    if shard.variant is not None:
        TASKS.setdefault(shard.task, shard.variant)
    try:
        found = _bound(shard, on_end) if shard.bound else _play(shard, on_end)
    except EdgeGymInputError as error:
        raise error.moved(where=f"{shard}: {error.where}" if error.where else str(shard)) from error
    except Exception as error:
        reason = str(error) if isinstance(error, EdgeGymError) else f"{type(error).__name__}: {error}"
        raise EdgeGymError(f"{shard}: {printable(reason)}") from error
    same = shard.same
    rows = [{**same, "seed": seed, **metrics} for seed, metrics in zip(shard.seeds, found.metrics, strict=True)]
    timing = {
        **{key: same[key] for key in CELL},
        "first_seed": shard.seeds[0],
        "episodes": len(rows),
        "decisions": found.decisions,
        "decide_s": found.decide_s,
        "total_s": found.total_s,
    }
    return rows, timing


class _Found(NamedTuple):
    """Metrics of each seed, and what they took."""

    metrics: list[dict[str, float | int | None]]
    decisions: int
    decide_s: float
    total_s: float


def _play(shard: Shard, on_end: Callable[[int], None] | None) -> _Found:
    if isinstance(shard.target, str) or callable(shard.target):
        POLICIES.setdefault(shard.policy.partition(":")[0], shard.target)
    policy = make_policy(shard.policy) if shard.given is None else shard.given
    world = resolve_task(shard.task, shard.scenario, {})[1]
    with _begun(policy, shard.label):
        if shard.by_site is None:
            found = roll_out(world, policy, shard.policy, shard.seeds, shard.batch_size, on_end, shard.task)
        else:
            rules = shard.by_site.rules(world)
            found = roll_out_sites(world, policy, shard.policy, shard.seeds, rules, shard.task, on_end)
    for episode in found.episodes:
        check_episode(episode, shard.scenario.weights)
    metrics = [episode_metrics(episode, world.params.model["kind"]) for episode in found.episodes]
    return _Found(metrics, found.decisions, found.decide_s, found.total_s)


def _bound(shard: Shard, on_end: Callable[[int], None] | None) -> _Found:
    bound, began = load_bound(shard.policy, shard.target), time.perf_counter()
    metrics = []
    for seed in shard.seeds:
        found = bound(shard.scenario, seed)
        unknown = sorted(set(map(str, found)) - set(METRICS))
        if unknown:
            raise EdgeGymError(f"it returned {show(unknown)}: must be metrics, any of {', '.join(METRICS)}")
        metrics.append({**dict.fromkeys(METRICS), **found})
        if on_end is not None:
            on_end(1)
    return _Found(metrics, 0, 0.0, time.perf_counter() - began)


@contextlib.contextmanager
def _begun(policy: Policy, label: str) -> Iterator[None]:
    """Tell a policy that keeps something open when its episodes begin and end."""
    begin, close = getattr(policy, "begin_shard", None), getattr(policy, "close", None)
    if begin is not None:
        begin(label)
    try:
        yield
    finally:
        if begin is not None and close is not None:
            close()


def preflight(shards: list[Shard]) -> None:
    """Let each policy that depends on something outside say so before anything runs.

    Raises:
        EdgeGymError: It cannot be used.
    """
    for shard in {shard.policy: shard for shard in shards if not shard.bound}.values():
        policy = make_policy(shard.policy) if shard.given is None else shard.given
        check = getattr(policy, "preflight", None)
        if check is not None:
            check()


def check_sendable(shards: list[Shard]) -> None:
    """Worker processes make the policies themselves, so they need names that mean something there."""
    import pickle  # noqa: S403 - nothing is loaded

    for shard in shards:
        try:
            if shard.given is not None:
                raise TypeError("it is an object")
            pickle.dumps(shard.target)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            allowed = "the name of a policy that other processes can import, when n_workers > 1"
            raise EdgeGymInputError("policies", shard.policy, allowed, hint=str(error)) from None


class _Entry(NamedTuple):
    """A policy or a bound that is to be run; what the attributes mean is said at `Shard`."""

    name: str
    target: Any
    given: Policy | None
    privileged: bool
    decides: str
    identity: Any = None
    trained_on: Any = None
    training: Any = None


def _entry(policy: Any, task: str) -> _Entry:
    if isinstance(policy, str) and policy.partition(":")[0] not in {*POLICIES, *BOUNDS}:
        load_plugins()
    if isinstance(policy, str) and policy in BOUNDS:
        load_bound(policy, BOUNDS[policy])
        return _Entry(policy, BOUNDS[policy], None, True, "bound")
    if isinstance(policy, str):
        made, name, target, given = _made(policy), policy, POLICIES.get(policy.partition(":")[0]), None
    elif isinstance(policy, type) or not isinstance(policy, Policy):
        raise EdgeGymInputError("policies", policy, "names or objects with the methods reset and act")
    else:
        made, name, target, given = policy, getattr(policy, "name", type(policy).__name__), None, policy
    if not isinstance(name, str) or not name:
        raise EdgeGymInputError("policies", policy, "policies whose name is a string")
    known = (getattr(made, what, None) for what in ("identity", "trained_on", "training"))
    return _Entry(name, target, given, is_privileged(made), task_of(made, task, name), *known)


def _check_for_sites(entry: _Entry, task: str) -> None:
    if entry.decides == "bound":
        raise EdgeGymInputError("policies", entry.name, "a policy: where the sites decide there are no bounds")
    check_for_sites(make_policy(entry.name) if entry.given is None else entry.given, entry.name, task)


def _made(name: str) -> Policy:
    try:
        return make_policy(name)
    except EdgeGymError:
        raise
    except Exception as error:  # whatever its constructor makes of what stands behind the colon
        hint = f"{type(error).__name__}: {error}"
        raise EdgeGymInputError("policies", name, "a policy that can be made", hint=hint) from error


def _is_one(policies: Any) -> bool:
    return isinstance(policies, str) or not isinstance(policies, Iterable)


def _check_seeds(seeds: Iterable[int]) -> tuple[int, ...]:
    if isinstance(seeds, str) or not isinstance(seeds, Iterable):
        raise EdgeGymInputError("seeds", seeds, "several integers, as in range(20) or [7]")
    found = []
    for seed in seeds:
        if len(found) == MAX_EPISODES:
            raise EdgeGymInputError("seeds", f"more than {MAX_EPISODES}", f"at most {MAX_EPISODES} seeds")
        found.append(check_seed(seed))
    if not found:
        raise EdgeGymInputError("seeds", found, "at least one seed")
    _check_unique("seeds", found)
    return tuple(sorted(found))


def _check_unique(field: str, values: Sequence[Any], hint: str = "") -> None:
    seen: set[Any] = set()
    for value in values:
        if value in seen:
            raise EdgeGymInputError(field, value, "given once only", hint=hint)
        seen.add(value)
