"""Variants of scenarios to train in, so that a controller does not learn one world by heart (domain randomisation).

What is varied: the load, which devices there are and how many, how strongly nodes drift, leave and are used by others,
and how far their software is from the prior. The ranges are ours; they surround the presets, which are what is tested.

Reference: Tobin et al., Domain Randomization for Transferring Deep Neural Networks from Simulation to the Real World
(IROS 2017).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from edge_gym.envs.common import resolve_task
from edge_gym.errors import EdgeGymInputError
from edge_gym.scenario import Scenario
from edge_gym.scenario.agent_worlds import SITE_MIX
from edge_gym.scenario.worlds import METRO_MIX

LOAD = (0.5, 1.3)  # times the scenario's own
SIZES = (0.25, 0.5, 1.0)  # times the number of nodes: small worlds cost little, and larger ones are told by the rows
STRENGTH = (0.5, 1.5)  # times the share of the nodes, and the spread of their software
PACE = (0.5, 2.0)  # times the mean times between events
TRIES = 20  # of a draw that makes no valid scenario
_STREAM = 0x646F6D61  # sets these draws apart from others with the same seed
_EDGE = tuple(dict.fromkeys((*METRO_MIX, *SITE_MIX)))  # what an operator would put at the edge


def randomised(scenarios: Sequence[Scenario], seed: int, variants: int = 8) -> list[Scenario]:
    """Draw variants of each scenario.

    Args:
        scenarios: What is varied.
        seed: Of the draws: the same seed, the same variants.
        variants: Of each scenario, at least 1.

    Returns:
        `variants` for each scenario, in order, under names of their own; each is valid and can be built.

    Raises:
        EdgeGymInputError: None of `TRIES` draws made a world that can be built.
    """
    rng = np.random.default_rng([_STREAM, seed])
    return [_one_that_works(scenario, k, rng) for scenario in scenarios for k in range(variants)]


def _one_that_works(scenario: Scenario, k: int, rng: np.random.Generator) -> Scenario:
    error: EdgeGymInputError | None = None
    for _ in range(TRIES):
        try:
            found = replace(_drawn(scenario, rng), name=f"{scenario.name[:56]}-v{k}")
            resolve_task(found.task, found, {})
            return found
        except EdgeGymInputError as refused:
            error = refused
    raise EdgeGymInputError("randomise", scenario.name, "used with a scenario that has valid variants", "", str(error))


def _drawn(scenario: Scenario, rng: np.random.Generator) -> Scenario:
    n_nodes = max(1, round(scenario.pool.n_nodes * float(rng.choice(SIZES))))
    load, size = float(rng.uniform(*LOAD)), n_nodes / scenario.pool.n_nodes
    pool = replace(scenario.pool, n_nodes=n_nodes, device_types=_devices(scenario, n_nodes, rng))
    arrivals = _scaled(scenario.arrivals, load=load, rate_per_s=load * size)
    apps = scenario.applications
    if scenario.roles:  # users, and room for them, come with the nodes
        most = max(1, round(apps.most * size))
        apps = _scaled(replace(apps, most=most, at_start=0), applications_per_s=load * size)
        apps = replace(apps, at_start=min(most, round(scenario.applications.at_start * min(load, 1.0) * size)))
    return replace(
        scenario,
        pool=pool,
        arrivals=arrivals,
        applications=apps,
        timeline=tuple(change for change in scenario.timeline if change.node < n_nodes),
        bias_sigma=min(2.0, scenario.bias_sigma * float(rng.uniform(*STRENGTH))),
        drift=_regime(scenario.drift, "gap_mean_s", rng),
        churn=_regime(scenario.churn, "up_mean_s", rng),
        semantic=_regime(scenario.semantic, "gap_mean_s", rng),
    )


def _devices(scenario: Scenario, n_nodes: int, rng: np.random.Generator) -> tuple[str, ...]:
    """A device for each node: the scenario's own or common at the edge, and able to hold and serve all its models.

    A scenario of own models may have no such device; then its pool stays.
    """
    own = scenario.pool.device_types
    models = [scenario.model(workload.model) for workload in scenario.workloads]

    def serves_all(name: str) -> bool:
        room = scenario.device(name).memory_bytes
        return all(scenario.service(name, model.name) and model.weights_bytes <= room for model in models)

    able = [name for name in dict.fromkeys((*own, *_EDGE)) if serves_all(name)]
    return tuple(str(name) for name in rng.choice(able, n_nodes)) if len(able) > 1 else own


def _regime(part: Any, pace: str, rng: np.random.Generator) -> Any:
    """Another share of the nodes, at another pace; what the scenario does not have stays away."""
    share = min(1.0, part.share * float(rng.uniform(*STRENGTH)))
    return replace(part, share=share, **{pace: getattr(part, pace) * float(np.exp(rng.uniform(*np.log(PACE))))})


def _scaled(part: Any, **factors: float) -> Any:
    """Fields times factors; those that are not given stay so."""
    given = {field.name: getattr(part, field.name) for field in dataclasses.fields(part)}
    return replace(part, **{name: given[name] * by for name, by in factors.items() if given[name] is not None})
