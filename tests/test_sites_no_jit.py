"""Worlds whose sites decide run unchanged with NUMBA_DISABLE_JIT=1, and do the same bit for bit."""

import pytest
from without_jit import both_ways

PLAY = """
import json
import numba
import numpy as np
from edge_gym import migration_v0, placement_v0, routing_v0
from edge_gym.checks import fingerprint

def play(module=routing_v0, **arguments):
    env, rng = module.parallel_env(**arguments), np.random.default_rng(5)
    obs, infos = env.reset(seed=7)
    hashes = []
    while env.agents:
        actions = {agent: int(rng.choice(np.flatnonzero(info["action_mask"]))) for agent, info in infos.items()}
        found = env.step(actions)
        infos = found[4]
        hashes.append(fingerprint([list(found), env.state()]))
    return hashes

busy = {"semantic_gap_mean_s": 3.0, "drift_gap_mean_s": 3.0, "up_mean_s": 4.0, "down_mean_s": 2.0, "age_s": 0.2}
small = {"n_nodes": 4, "n_requests": 40}
print(json.dumps({
    "disabled": bool(numba.config.DISABLE_JIT),
    "mixed": play(scenario="mixed", slot_s=0.25, **busy, **small),
    "at once": play(scenario="mixed", slot_s=0.0, heartbeat_s=0.3, **busy, **small),
    "refused": play(scenario="overload", queue_capacity=0, load=3.0, slot_s=0.25, **small),
    "central": play(scenario="churn", view="central", reward="shared", slot_s=0.25, **small),
    "placement": play(placement_v0, scenario="campus-8", horizon_s=9.0, applications_per_s=1.5, slot_s=0.5,
                      up_mean_s=4.0, churn_share=0.5),
    "migration": play(migration_v0, scenario="commute-16", horizon_s=9.0, n_nodes=8, slot_s=0.25, heartbeat_s=2.0,
                      dwell_mean_s=8.0),
}))
"""


@pytest.fixture(scope="module")
def both() -> tuple[dict, dict]:
    return both_ways(PLAY)


def test_rep_the_uncompiled_run_of_the_sites_is_uncompiled(both):
    assert [run["disabled"] for run in both] == [False, True]


@pytest.mark.parametrize("world", ["mixed", "at once", "refused", "central", "placement", "migration"])
def test_rep_uncompiled_sites_equal_compiled_ones_bit_for_bit(both, world):
    compiled, plain = both[0][world], both[1][world]
    assert len(compiled) == len(plain) > 15
    differ = [k for k, (a, b) in enumerate(zip(compiled, plain, strict=True)) if a != b]
    assert not differ, f"{world}: first differs at entry {differ[0]} of {len(plain)}"
