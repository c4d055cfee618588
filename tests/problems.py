"""Made-up placement problems of any size, in the units of the world."""

import numpy as np

from edge_gym.kernel.assignment import Problem, link_children


def random_problem(seed: int, n_agents: int, n_nodes: int, n_models: int = 4, room: float = 1.6) -> Problem:
    """A problem whose nodes have together about `room` times what the agents need.

    Args:
        seed: Of everything.
        n_agents: G.
        n_nodes: N.
        n_models: M.
        room: Capacity over demand; below 1 some agents must be refused.
    """
    rng = np.random.default_rng(seed)
    speed = rng.lognormal(0.0, 0.6, n_nodes)
    model = rng.integers(n_models, size=n_agents)
    work_s = rng.lognormal(0.0, 0.5, n_models)[model]
    rate = rng.lognormal(-2.0, 0.5, n_agents)
    load = rate[:, None] * work_s[:, None] / speed
    load *= n_nodes / (room * load.mean() * n_agents)
    place = rng.random((n_nodes, 2))
    delay = 0.08 * np.linalg.norm(place[:, None] - place[None], axis=2)
    site = rng.random(2)
    own = rate[:, None] * (work_s[:, None] / speed + 0.16 * np.linalg.norm(place - site, axis=1))
    own += rng.random(n_nodes) * load
    own[rng.random(own.shape) < 0.1] = np.inf
    parent = np.array([-1] + [int(rng.integers(g)) for g in range(1, n_agents)])
    child_at, child = np.zeros(n_agents + 1, np.int64), np.zeros(n_agents, np.int64)
    link_children(parent, child_at, child)
    weights = rng.uniform(1e9, 8e9, n_models)
    memory = rng.uniform(1e8, 1e9, n_agents)
    storage, traffic = rng.uniform(1e9, 5e9, n_agents), rng.uniform(1e3, 1e5, n_agents)
    per_node = n_agents / n_nodes * room * 1.5
    return Problem(
        own=own,
        refuse=rate * 60.0,
        load=load,
        memory=memory,
        storage=storage,
        traffic=traffic,
        model=model.astype(np.int64),
        parent=parent,
        child_at=child_at,
        child=child,
        talk_delay=rate,
        talk_bytes=rate * 2e5,
        rtt_s=2.0 * delay,
        per_byte=delay * 1e-7 + (delay > 0.02) * 1e-9,
        load_before=rng.uniform(0.0, 0.2, n_nodes),
        load_limit=np.full(n_nodes, 0.95),
        memory_free=rng.uniform(0.6, 1.4, n_nodes) * (per_node * memory.mean() + 0.7 * weights.sum()),
        storage_free=rng.uniform(0.6, 1.4, n_nodes) * per_node * storage.mean(),
        traffic_free=rng.uniform(0.6, 1.4, n_nodes) * per_node * traffic.mean(),
        held=(rng.random((n_nodes, n_models)) < 0.2).astype(np.int64),
        weights=weights,
        crowd_weight=1.0,
    )
