"""Worlds whose sites decide for themselves, stepped by hand for the tests."""

from __future__ import annotations

import warnings
from types import ModuleType
from typing import Any

import numpy as np
from helpers import trace_arrivals
from pettingzoo.test import api_test, parallel_api_test

from edge_gym.devices import DeviceType, ModelType, Service
from edge_gym.envs.batch import Outcome
from edge_gym.envs.common import resolve_task
from edge_gym.envs.sites_batch import SitesBatch, site_rules
from edge_gym.kernel.build import World
from edge_gym.scenario import Law, Pool, Scenario, Telemetry, Topology, Workload

DELAY_S = 0.010  # one way between a site and a node
WORK_S = 1.0  # of a request, alone on a node


class Sites:
    """A batch of such worlds.

    Attributes:
        batch: The worlds.
        obs: The last observations.
        over: (B,) bool.
    """

    def __init__(self, world: World | Scenario, seeds: Any = (1,), slot_s: float = 0.1, **rules: Any) -> None:
        world = world if isinstance(world, World) else World(world)
        roots = np.array(list(seeds), np.uint64)
        self.batch = SitesBatch(world, len(roots), site_rules(world, slot_s, rules.pop("heartbeat_s", None), **rules))
        self.batch.roots[:] = roots
        self.obs = self.batch.empty_obs()
        self.over = np.zeros(len(roots), bool)
        self.decline = world.n_nodes
        self.batch.reset(~self.over, self.obs)

    def step(self, *actions: int) -> Outcome:
        """One step; missing actions decline."""
        given = [*actions, *[self.decline] * (self.batch.n_rows - len(actions))]
        return self.advance(np.array(given, np.int64))

    def advance(self, actions: np.ndarray) -> Outcome:
        """One step in every world that is not over."""
        over = np.repeat(self.over, self.batch.n_sites)
        assert (self.batch.mask[np.arange(len(actions)), actions] | over).all(), "an illegal action"
        out = self.batch.step(actions, self.over, self.obs)
        self.over = self.over | out.done[:: self.batch.n_sites]
        return out

    @property
    def asked(self) -> list[int]:
        """Rows that have something to decide."""
        return np.flatnonzero(self.batch.active).tolist()


def random_legal(sites: Sites, rng: np.random.Generator, declines: float = 0.02) -> np.ndarray:
    """A legal choice at random for every row."""
    weight = rng.random(sites.batch.mask.shape)
    weight[:, -1] *= declines
    return np.where(sites.batch.mask, weight, -1.0).argmax(axis=1)


def preset(name: str, **overrides: Any) -> World:
    """A preset of Routing, made ready to run."""
    return resolve_task("routing", name, overrides)[1]


def hand_world(path: Any, arrivals: list[tuple[float, int, int]], n_nodes: int = 2, **more: Any) -> World:
    """Equal nodes that serve one request at a time in `WORK_S` a unit, `DELAY_S` from both of two sites.

    Args:
        path: Where the trace is written.
        arrivals: (seconds, prompt tokens, units); the first at 0. The seed says at which site each enters.
        n_nodes: How many.
        **more: Fields of the scenario.
    """
    figures = {"memory_bytes": 1000, "storage_bytes_per_s": 1e9, "nic_bytes_per_s": 1e12}
    fields: dict[str, Any] = {
        "name": "hand",
        "devices": (DeviceType(name="server", slots=1, **figures),),
        "models": (ModelType(name="work", weights_bytes=1),),
        "services": (Service(device="server", model="work", per_unit_s=WORK_S, gain=1.0),),
        "pool": Pool(device_types=("server",), n_nodes=n_nodes, queue_capacity=3),
        "workloads": (Workload(model="work", prompt_tokens=Law(mean=0.0), units=Law(mean=1.0), deadline_s=100.0),),
        "arrivals": trace_arrivals(path, arrivals),
        "topology": Topology(kind="star", n_sites=2, link_delay_s=0.0, access_delay_s=DELAY_S),
        "telemetry": Telemetry(),
        "horizon_s": 1000.0,
        "n_requests": len(arrivals),
    }
    return World(Scenario(**{**fields, **more}))


def run_checkers(module: ModuleType, num_cycles: int, **arguments: Any) -> None:
    """PettingZoo's own checks; a warning is a failure but for those about observations that are dictionaries."""
    usual = ("Observation is not", "Observation space for each agent probably should be")
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        parallel_api_test(module.parallel_env(**arguments), num_cycles=num_cycles)
        api_test(module.env(**arguments), num_cycles=num_cycles)
    texts = [str(warning.message) for warning in found]
    assert [text for text in texts if not text.startswith(usual)] == []
