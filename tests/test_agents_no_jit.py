"""Worlds with AI agents run unchanged with NUMBA_DISABLE_JIT=1 and do the same bit for bit."""

import pytest
from without_jit import both_ways

# Prints, for each task, the hash of everything that was seen at each step, and of the placement problems.
PLAY = """
import json, sys
sys.path.insert(0, sys.argv[1])
import numba
from agent_toys import busy_world
from edge_gym.agency import Agency
from edge_gym.checks import Player, fingerprint
from edge_gym.envs.single import EdgeEnv
from edge_gym.scenario import Arrivals

def play(task, steps, **more):
    env = EdgeEnv(task=task, scenario=busy_world(task=task, **more))
    player, agency = Player(env, 3), Agency(env.batch)
    hashes = [fingerprint(player.last)]
    for _ in range(steps):
        if agency.is_agent(0):
            found = agency.assignment(0)
            hashes.append(fingerprint([*found.problem, found.terms, found.home, agency.roster(0).tobytes()]))
        hashes.append(fingerprint(player.step()))
    return hashes

churn = {"churn_share": 0.7, "up_mean_s": 4.0, "down_mean_s": 2.0}
print(json.dumps({
    "disabled": bool(numba.config.DISABLE_JIT),
    "placement": play("placement", 60, mobility_kind="waypoint", **churn),
    "migration": play("migration", 60, mode="full", mobility_kind="commute", **churn),
    "joint": play("joint", 150, arrivals=Arrivals(rate_per_s=3.0), age_s=0.2, bias_sigma=0.3, **churn),
}))
"""


@pytest.fixture(scope="module")
def both() -> tuple[dict, dict]:
    return both_ways(PLAY)


def test_the_uncompiled_run_is_uncompiled(both):
    assert [run["disabled"] for run in both] == [False, True]


@pytest.mark.parametrize("task", ["placement", "migration", "joint"])
def test_uncompiled_equals_compiled_bit_for_bit(both, task):
    compiled, plain = both[0][task], both[1][task]
    assert len(compiled) == len(plain) > 60
    differ = [k for k, (a, b) in enumerate(zip(compiled, plain, strict=True)) if a != b]
    assert not differ, f"{task}: first differs at entry {differ[0]} of {len(plain)}"
