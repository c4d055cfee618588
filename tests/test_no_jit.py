"""The kernel runs unchanged with NUMBA_DISABLE_JIT=1 and does the same bit for bit, oracle look-ahead included."""

import pytest
from without_jit import both_ways

# Prints, for each world, the hash of everything the agent and the oracle saw at each step.
PLAY = """
import json
import gymnasium, numba
import edge_gym
from edge_gym.checks import Player, fingerprint
from edge_gym.privileged import Privileged
from edge_gym.scenario import Change

def control(**arguments):
    player = Player(gymnasium.make("edge_gym/MetaControl-v0", **arguments), 7)
    return [fingerprint(player.step()) for _ in range(120)]

def play(**arguments):
    env = gymnasium.make("edge_gym/Routing-v0", **arguments)
    player, oracle = Player(env, 7), Privileged(env.unwrapped.batch)
    hashes = [fingerprint(player.last)]
    while not player.last.over:
        hashes.append(fingerprint(list(oracle.foresee())))
        hashes.append(fingerprint(player.step()))
    hashes += [fingerprint(player.step()), fingerprint(player.step())]  # the next episode
    return hashes

rough = (
    Change(time_s=1.0, node=0, what="speed", value=0.3),
    Change(time_s=2.0, node=1, what="alive", value=0),
    Change(time_s=3.0, node=1, what="alive", value=1),
    Change(time_s=4.0, node=2, what="alive", value=0),
)
busy = {"semantic_gap_mean_s": 3.0, "drift_gap_mean_s": 3.0, "chatter_gap_s": 3.0, "up_mean_s": 5.0, "age_s": 0.2}
small = {"n_nodes": 4, "n_requests": 30}
print(json.dumps({
    "disabled": bool(numba.config.DISABLE_JIT),
    "toy2": play(scenario="toy2"),
    "stationary": play(scenario="stationary", **small),
    "rough": play(scenario="overload", timeline=rough, bias_sigma=0.5, age_s=0.2, forecast_cv=0.5, drain_s=5, **small),
    "trace": play(scenario="azure", **small),
    "mixed": play(scenario="mixed", **busy, **small),
    "control": control(scenario="mixed", max_calls_a_turn=3, tick_s=2.0, **busy, **small),
}))
"""


@pytest.fixture(scope="module")
def both() -> tuple[dict, dict]:
    return both_ways(PLAY)


def test_rep_the_uncompiled_run_is_uncompiled(both):
    assert [run["disabled"] for run in both] == [False, True]


@pytest.mark.parametrize("world", ["toy2", "stationary", "rough", "trace", "mixed", "control"])
def test_rep_uncompiled_equals_compiled_bit_for_bit(both, world):
    compiled, plain = both[0][world], both[1][world]
    assert len(compiled) == len(plain) > 20
    differ = [k for k, (a, b) in enumerate(zip(compiled, plain, strict=True)) if a != b]
    assert not differ, f"{world}: first differs at entry {differ[0]} of {len(plain)}"
