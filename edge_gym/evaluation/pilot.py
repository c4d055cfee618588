"""How long a run will take, from short runs of its parts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from edge_gym.errors import EdgeGymInputError
from edge_gym.evaluation.execution import Execution
from edge_gym.evaluation.shards import Shard
from edge_gym.evaluation.workers import run_all
from edge_gym.scenario import Scenario
from edge_gym.scenario.io import fingerprint

PART = 20  # an episode of the pilot is so much shorter, and all worlds of a shard play it, as they will in the run
LEAST_REQUESTS = 20
PASSES = 2  # the first in a process also loads compiled code


def estimate_s(shards: Sequence[Shard], done: set[str], execution: Execution) -> float:
    """Wall-clock seconds that the shards not done yet will about take.

    Args:
        shards: The plan.
        done: Keys of what is finished.
        execution: How they are run; the pilot is run in the same way.
    """
    todo = [shard for shard in shards if shard.key not in done]
    seeds: dict[tuple[str, str, str], int] = {}
    for shard in todo:
        seeds[_part(shard)] = seeds.get(_part(shard), 0) + len(shard.seeds)
    pilots = [_shorter(shard) for shard in {_part(shard): shard for shard in reversed(todo)}.values()]
    factor = {_part(pilot): times for pilot, times in pilots}
    quiet = dataclasses.replace(execution, keep_going=True, progress=False)
    took: dict[tuple[str, str, str], float] = {}
    for found in run_all([pilot for pilot, _ in pilots] * PASSES, set(), quiet):
        if found.error is None:  # what fails takes no time
            part, seconds = _part(found.shard), found.timing["total_s"] / len(found.shard.seeds)
            took[part] = min(took.get(part, seconds), seconds)
    total = sum(took[part] * factor[part] * seeds[part] for part in took)
    return total / min(execution.n_workers, max(len(todo), 1))


def _part(shard: Shard) -> tuple[str, str, str]:
    return shard.task, shard.scenario.name, shard.policy


def _shorter(shard: Shard) -> tuple[Shard, float]:
    """The shard in shorter episodes, and how many times shorter they are."""
    scenario = _shorter_scenario(shard.scenario)
    if scenario is None:
        return dataclasses.replace(shard, seeds=shard.seeds[:1]), 1.0
    short = dataclasses.replace(shard, scenario=scenario, fingerprint=fingerprint(scenario))
    if shard.scenario.n_requests is not None and scenario.n_requests is not None:
        return short, shard.scenario.n_requests / scenario.n_requests
    return short, shard.scenario.horizon_s / scenario.horizon_s


def _shorter_scenario(scenario: Scenario) -> Scenario | None:
    requests = scenario.n_requests
    try:
        if requests is None:
            return scenario.with_overrides(horizon_s=scenario.horizon_s / PART)
        return scenario.with_overrides(n_requests=min(requests, max(requests // PART, LEAST_REQUESTS)))
    except EdgeGymInputError:  # its timeline is longer
        return None
