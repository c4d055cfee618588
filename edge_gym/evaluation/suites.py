"""Suites: comparisons as data, so that everybody runs the same worlds, policies and seeds under one name.

A suite is a YAML or JSON file: shipped ones are in `edge_gym/data/suites`, and a path does as well as a name. What a
suite means never changes under one revision: its revision and the hash of its file are part of a run's identity.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_gym.bounds import BOUNDS
from edge_gym.errors import EdgeGymInputError, nearest
from edge_gym.evaluation.compare import MIN_EPISODES
from edge_gym.evaluation.deciders import Deciders, check_for_sites
from edge_gym.evaluation.shards import MAX_EPISODES, Shard, plan
from edge_gym.evaluation.splits import TEST
from edge_gym.fields import NAME_PATTERN, REQUIRED, check, number, part, text
from edge_gym.files import decode_utf8, read_bytes
from edge_gym.policy import make_policy, task_of
from edge_gym.scenario import Scenario
from edge_gym.scenario.io import build_strictly, file_format, to_plain
from edge_gym.scenario.presets import resolve
from edge_gym.tasks import get_task

VERSION = 1  # of the format
FOLDER = Path(__file__).parent.parent / "data" / "suites"
MAX_BYTES = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A scenario of a suite."""

    scenario: str = text(REQUIRED, "name of a preset, or path of a file")
    name: str | None = text(None, "name in results; null: that of the scenario", NAME_PATTERN)
    set: dict = dataclasses.field(default_factory=dict, metadata={"help": "fields that are changed, as with --set"})
    by_site: Deciders | None = part(None, "the sites decide, and how; null: one controller does")

    def __post_init__(self) -> None:
        check(self)

    def resolve(self, task: str) -> Scenario:
        """The scenario with its changes.

        Raises:
            EdgeGymInputError: Unknown scenario or field, or a value out of range.
        """
        changes = {key: tuple(value) if isinstance(value, list) else value for key, value in self.set.items()}
        return resolve(self.scenario, get_task(task).worlds, **changes, **({"name": self.name} if self.name else {}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The same policies on the same seeds of some worlds."""

    task: str = text(REQUIRED, "name of a task")
    worlds: tuple[World, ...] = part(REQUIRED, "where", 1, 1000)
    policies: tuple[str, ...] = part(REQUIRED, "names of policies and bounds", 1, 1000)
    first_seed: int = number(TEST.first, TEST.first, TEST.last - MAX_EPISODES, "seed", "of the first episode")
    episodes: int = number(MIN_EPISODES, 1, MAX_EPISODES, "episodes", "for each policy and world")
    least_episodes: int = number(MIN_EPISODES, 1, MAX_EPISODES, "episodes", "fewer are no result of the suite")

    def __post_init__(self) -> None:
        check(self)
        if self.episodes < self.least_episodes:
            allowed = f">= least_episodes = {self.least_episodes}"
            raise EdgeGymInputError("episodes", self.episodes, allowed, "Cell")


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """What is compared under one name."""

    version: int = number(VERSION, VERSION, VERSION, "version of this format", "version of this format")
    name: str = text(REQUIRED, "name of the suite", NAME_PATTERN)
    revision: int = number(REQUIRED, 1, 1_000_000, "revision", "grows with every change of what is compared")
    description: str = text(REQUIRED, "what it is for")
    cells: tuple[Cell, ...] = part(REQUIRED, "what is run", 1, 1000)

    def __post_init__(self) -> None:
        check(self)

    @property
    def identity(self) -> dict[str, Any]:
        """What makes two suites the same: name, revision, and a hash of everything in it."""
        canonical = json.dumps(to_plain(self), sort_keys=True, separators=(",", ":"), allow_nan=False)
        digest = hashlib.sha256(canonical.encode()).hexdigest()
        return {"name": self.name, "revision": self.revision, "sha256": digest}


def suite_names() -> list[str]:
    """Names of the shipped suites."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def suite_text(suite: str | Path) -> str:
    """The text of a suite's file.

    Args:
        suite: Name of a shipped one, or the path of a file (with a separator or a known suffix).

    Raises:
        EdgeGymInputError: There is none.
    """
    path = _path(suite)
    return decode_utf8(read_bytes(path, MAX_BYTES), path.name)


def load_suite(suite: str | Path) -> Suite:
    """A suite by name or path, checked but for what its tasks, scenarios and policies are.

    Raises:
        EdgeGymInputError: One error, or `InputErrors` with all errors of the file; each says file, line and field.
    """
    path = _path(suite)
    return build_strictly(Suite, suite_text(path), file_format(path), path.name, "a suite", VERSION)


def _path(suite: str | Path) -> Path:
    names = suite_names()
    if isinstance(suite, str) and suite in names:
        return FOLDER / f"{suite}.yaml"
    if isinstance(suite, Path) or (isinstance(suite, str) and (set(suite) & {"/", os.sep} or Path(suite).suffix)):
        return Path(suite)
    allowed = f"one of {', '.join(names)}, or the path of a file"
    raise EdgeGymInputError("suite", suite, allowed, hint=nearest(str(suite), names))


def suite_cells(
    suite: Suite, episodes: int | None = None, also: Sequence[str] = (), batch_size: int = 64
) -> list[list[Shard]]:
    """The plan of each cell of a suite.

    Args:
        suite: What is compared.
        episodes: For each policy and world, instead of the suite's own number.
        also: Policies to compare too, each in the cells whose task it decides.
        batch_size: Worlds at the same time.

    Raises:
        EdgeGymInputError: A task, scenario or policy that does not exist or fit; two worlds of a task with one name;
            a policy of `also` that fits nowhere.
    """
    cells, taken, used = [], set(), set()
    for k, cell in enumerate(suite.cells):
        where = f"suite {suite.name}"
        alone = all(world.by_site is None for world in cell.worlds)
        more = [name for name in also if name not in cell.policies and _fits(name, cell.task, alone)]
        try:
            worlds = [world.resolve(cell.task) for world in cell.worlds]
            by_site = [world.by_site for world in cell.worlds]
            seeds = range(cell.first_seed, cell.first_seed + (episodes or cell.episodes))
            shards = plan([*cell.policies, *more], cell.task, worlds, seeds, batch_size, {}, by_site)
        except EdgeGymInputError as error:
            raise error.moved(f"cells[{k}]", f"{where}: {error.where}" if error.where else where) from None
        for name in {shard.scenario.name for shard in shards}:
            if (cell.task, name) in taken:
                allowed = f"the only world of {cell.task} with this name: give it another"
                raise EdgeGymInputError(f"cells[{k}].worlds.name", name, allowed, where)
            taken.add((cell.task, name))
        used |= {shard.policy for shard in shards}
        cells.append(shards)
    for name in also:
        if name not in used:
            raise EdgeGymInputError("also", name, f"a policy that decides a task of suite {suite.name}")
    return cells


def _fits(name: str, task: str, alone: bool) -> bool:
    """Whether a policy plays a task; where it is not `alone`, for a site.

    A bound does not say for which worlds it is, so it belongs in the suite.
    """
    if name in BOUNDS:
        return False
    policy = make_policy(name)
    try:
        if alone:
            task_of(policy, task)
        else:
            check_for_sites(policy, name, task)
    except EdgeGymInputError:
        return False
    return True
