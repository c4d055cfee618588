"""The compiled parts of the baselines do the same with NUMBA_DISABLE_JIT=1: solvers, bounds, and who looks ahead."""

import pytest
from edge_baselines.placement import SOLVERS
from without_jit import both_ways

# Prints, for each of them, what it found in a small world or problem.
PLAY = """
import json, sys
sys.path.insert(0, sys.argv[1])
import numba
from edge_baselines.exact import milp
from edge_baselines.placement import SOLVERS, Limits
from edge_gym.evaluation.evaluate import evaluate
from problems import random_problem

def solved(name):
    found = [SOLVERS[name](random_problem(seed, 8, 5, room=room), Limits(evaluations=500), seed)
             for seed, room in ((1, 1.6), (2, 0.6))]
    return [[one.home.tolist(), one.cost, one.evaluations] for one in found]

def proven():
    found = [milp.solve_exact(random_problem(seed, 4, 3, n_models=2, room=1.2), 600.0) for seed in (1, 2)]
    return [[one.home.tolist(), one.cost, one.status] for one in found]

def played(names, task, scenario, **fields):
    return [[row["policy"], row["latency_mean_s"]] for row in evaluate(names, task, scenario, [1], **fields).rows]

print(json.dumps({
    "disabled": bool(numba.config.DISABLE_JIT),
    **{name: solved(name) for name in SOLVERS},
    "exact": proven(),
    "routing": played(("oracle", "lookahead", "clairvoyant"), "routing", "churn", n_nodes=3, n_requests=8),
    "migration": played(("myopic", "follow_bound"), "migration", "commute-16", n_nodes=4, horizon_s=20.0),
}))
"""


@pytest.fixture(scope="module")
def both() -> tuple[dict, dict]:
    return both_ways(PLAY)


def test_one_run_of_the_baselines_is_uncompiled(both):
    assert [run["disabled"] for run in both] == [False, True]
    assert set(both[0]) == {"disabled", "exact", "routing", "migration", *SOLVERS}


@pytest.mark.parametrize("name", [*SOLVERS, "exact", "routing", "migration"])
def test_uncompiled_baselines_find_the_same(both, name):
    compiled, plain = both[0][name], both[1][name]
    assert compiled and compiled == plain
