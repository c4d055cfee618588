"""With one site that decides at once, the worlds of many deciders are the single environment, bit for bit."""

import numpy as np
import pytest
from sites_play import Sites, preset

from edge_gym.envs.batch import Batch

WORLDS = {
    "stationary": {"scenario": "stationary"},
    "mixed": {
        "scenario": "mixed",
        "semantic_gap_mean_s": 3.0,
        "drift_gap_mean_s": 3.0,
        "chatter_gap_s": 3.0,
        "up_mean_s": 5.0,
        "age_s": 0.2,
    },
    "churn": {"scenario": "churn", "up_mean_s": 4.0, "down_mean_s": 4.0, "age_s": 0.1, "max_retries": 1},
    "drift": {"scenario": "drift", "drift_gap_mean_s": 4.0},
    "overload": {"scenario": "overload", "queue_capacity": 1, "forecast_cv": 0.5, "drain_s": 2.0},
}
N_REQUESTS = 120


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("view", ["own", "central"])
def test_one_site_that_decides_at_once_is_the_single_world_bit_for_bit(name, view):
    arguments = dict(WORLDS[name])
    world = preset(arguments.pop("scenario"), n_sites=1, n_nodes=6, n_requests=N_REQUESTS, **arguments)
    single, sites = Batch(world, 1), Sites(world, [5], slot_s=0.0, view=view)
    single.roots[:] = 5
    obs = single.empty_obs()
    single.reset(np.ones(1, bool), obs)
    rng, steps, done = np.random.default_rng(3), 0, False
    while not done:
        assert obs.tobytes() == sites.obs.tobytes(), f"step {steps}"
        assert (single.mask == sites.batch.mask).all(), f"step {steps}"
        weight = rng.random(single.mask.shape[1]) * single.mask[0]
        weight[-1] *= 0.02
        action = np.array([weight.argmax()])
        alone, together = single.step(action, np.zeros(1, bool), obs), sites.advance(action)
        for field in ("reward", "terms", "dt_s", "time_s", "seed", "done"):
            assert getattr(alone, field).tobytes() == getattr(together, field).tobytes(), f"step {steps}: {field}"
        assert single.ended()[1].tobytes() == sites.batch.ended()[1].tobytes(), f"step {steps}"
        assert single.events(0) == sites.batch.events(0), f"step {steps}"
        steps, done = steps + 1, bool(alone.done[0])
    assert obs.tobytes() == sites.obs.tobytes()
    assert steps >= N_REQUESTS
    counts = ("arrived", "completed", "rejected", "dropped", "decisions", "latency_total_ns")
    assert all(single.state.world[0][name] == sites.batch.state.world[0][name] for name in counts)
