"""Worlds small enough for paper: exactly these requests, and what is shown of them in seconds."""

import numpy as np
import pytest
from helpers import Game, queue_scenario, trace_arrivals

from edge_gym.devices import DeviceType
from edge_gym.kernel import random
from edge_gym.kernel.build import World
from edge_gym.kernel.observe import decode_time
from edge_gym.kernel.tables import SECOND
from edge_gym.scenario import Law, Pool, Scenario, Topology, Workload


def ns(seconds: float) -> int:
    return round(seconds * SECOND)


def shown_s(game: Game, column: int, n: int = 0) -> float:
    """Seconds that a time column of the last observation shows for node `n`."""
    return float(decode_time(game.obs[0, n, column]))


def about(seconds: float):
    """An observed time: single precision on a logarithmic scale."""
    return pytest.approx(seconds, rel=5e-6, abs=1e-9)


def seed_of(scenario: Scenario, models: list[int]) -> int:
    """The first seed with which the requests ask for these models in this order."""
    cumulative = World(scenario).params.model["cumulative_share"]
    for seed in range(8000):
        key = np.uint64(random.stream_key(np.uint64(seed), random.MODEL, 0))  # compiled, it is a plain integer
        drawn = (np.searchsorted(cumulative, random.uniform(key, i), side="right") for i in range(len(models)))
        if all(m == model for m, model in zip(drawn, models, strict=True)):
            return seed
    raise LookupError("no such seed")


def one_node(
    tmp_path, rows, models, services, *, slots=1, memory=1000, storage=1e9, network=(0.0, 0.0, 1e9), **more
) -> Scenario:
    """One node and exactly these requests; every request is one unit where nothing else is said."""
    link_delay_s, access_delay_s, bandwidth = network
    device = DeviceType(
        name="node", memory_bytes=memory, storage_bytes_per_s=storage, nic_bytes_per_s=2 * bandwidth, slots=slots
    )
    one = Law(kind="constant", mean=1.0)
    fields = {
        "n_requests": len(rows),
        "horizon_s": 1000.0,
        "arrivals": trace_arrivals(tmp_path / "t.csv", [(r, 0, 1) if np.isscalar(r) else r for r in rows]),
        "devices": (device,),
        "models": models,
        "services": services,
        "workloads": tuple(Workload(model=m.name, prompt_tokens=Law(), units=one, deadline_s=100.0) for m in models),
        "pool": Pool(device_types=("node",), n_nodes=1, queue_capacity=5, preload=more.pop("preload", "all_that_fit")),
        "topology": Topology(
            link_delay_s=link_delay_s, access_delay_s=access_delay_s, link_bandwidth_bytes_per_s=bandwidth
        ),
    }
    return queue_scenario(1.0, **{**fields, **more})
