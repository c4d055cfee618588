"""Policies about agents: each plays its task legally and the same way twice; what is wrong is said in one line."""

import numpy as np
import pytest
from edge_baselines.agents.problems import problems_of
from edge_baselines.agents.solving import Effort, Solving

import edge_gym
from edge_gym.cli.main import main
from edge_gym.envs.common import resolve_task
from edge_gym.errors import EdgeGymInputError
from edge_gym.evaluation.evaluate import evaluate
from edge_gym.kernel.assignment import all_fit, empty_use
from edge_gym.kernel.build import World
from edge_gym.policy import POLICIES, make_policy
from edge_gym.tasks import TASKS, get_task

PLACERS = (
    "random",
    "nearest",
    "first_fit",
    "best_fit",
    "least_loaded",
    "cheapest",
    "greedy",
    "rollout",
    "fgd",
    "regret",
)
SEARCHERS = ("local_search", "grasp", "annealing", "genetic", "acs", "mmas", "aco")
SHORT = {"n_applications": 4, "horizon_s": 60.0}


def values(results):
    """Rows without names, to compare two runs."""
    return [sorted(row.items(), key=lambda item: item[0]) for row in results.rows]


@pytest.mark.parametrize("name", [*PLACERS, *(f"{name}:evaluations=200" for name in SEARCHERS)])
def test_each_placer_plays_legally_and_the_same_way_twice(name):
    first, second = (evaluate(name, "placement", "campus-8", range(3), **SHORT) for _ in range(2))
    assert values(first) == values(second)
    placed = [row["agents.placed"] + row["agents.refused"] for row in first.rows]
    assert min(placed) >= 3 * 4


@pytest.mark.parametrize("name", ["random", "together:nearest+greedy+random", "together:sect_static+aco+random"])
def test_each_joint_policy_plays(name):
    rows = evaluate(name, "joint", "region-16", range(2), horizon_s=15.0, at_start=4, n_applications=6).rows
    assert all(row["requests"] > 20 and row["agents.placed"] > 0 for row in rows)


def test_the_exact_solver_places_too():
    row = evaluate("exact:seconds=20", "placement", "campus-8", [0], n_applications=2).rows[0]
    assert row["agents.placed"] >= 6


def test_a_row_of_a_batch_is_decided_as_if_it_were_alone():
    together = evaluate("aco:evaluations=100", "placement", "campus-8", [7], **SHORT).rows[0]
    again = evaluate("aco:evaluations=100", "placement", "campus-8", [7], batch_size=1, **SHORT).rows[0]
    assert together == again


def test_a_searcher_follows_its_plan():
    class Noted(Solving):
        def solve(self, b, assignment):
            self.plan = super().solve(b, assignment)
            self.asked = []
            return self.plan

        def act(self, obs, action_mask, context):
            choice = super().act(obs, action_mask, context)
            self.asked.append(int(choice[0]))
            assert self.asked == np.where(self.plan < 0, 8, self.plan)[: len(self.asked)].tolist()
            return choice

    policy = Noted("grasp", Effort(evaluations=200))
    evaluate(policy, "placement", "campus-8", [3], n_applications=3)
    assert len(policy.asked) == len(policy.plan)


def test_problems_of_a_world_can_be_solved():
    world = World(edge_gym.preset("campus-8", "placement").with_overrides(**SHORT))
    for problem in problems_of(world, [1, 2])[0]:
        home = Solving("greedy").solver(problem, Effort().limits(), 0).home
        assert all_fit(problem, empty_use(problem), home)


@pytest.mark.parametrize(
    ("task", "policy", "said"),
    [
        ("placement", "sect_static", "a policy that decides placement"),
        ("routing", "greedy", "a policy that decides routing"),
        ("migration", "aco", "a policy that decides migration"),
        ("joint", "together:jsq", "three names"),
        ("joint", "together:oracle+greedy+random", "not privileged"),
        ("joint", "together:greedy+greedy+random", "policy = 'greedy': must be a policy that decides routing"),
        ("placement", "aco:seconds=soon", "seconds=NUMBER"),
        ("placement", "aco:evaluations=0", "evaluations"),
    ],
)
def test_a_policy_that_does_not_fit_is_refused(task, policy, said):
    with pytest.raises(EdgeGymInputError, match=said):
        evaluate(policy, task, seeds=[0])


@pytest.mark.parametrize("task", [task for task in TASKS if task != "metacontrol"])
def test_every_task_has_defaults_that_run(task):
    found = get_task(task)
    assert set(found.policies) <= set(POLICIES)
    for name in found.policies:
        make_policy(name)
    assert resolve_task(task, None, {})[1].scenario.task == found.worlds


def test_bench_without_names_compares_a_few(capsys):
    assert main(["bench", "--task", "placement", "--episodes", "1", "--quiet", "--set", "n_applications=2"]) == 0
    shown = capsys.readouterr().out
    assert all(name in shown for name in ("greedy", "aco", "return", "USD"))


def test_users_and_arrivals_from_files():
    moving = evaluate(
        "random", "migration", "commute-16", [1], mobility_kind="trace", mobility_path="tests/data/fcd.xml"
    )
    assert moving.rows[0]["agents.handovers"] > 0
    pods = {"pods_path": "tests/data/pods.csv", "horizon_s": 30.0}
    assert evaluate("greedy", "placement", "metro-16", [1], **pods).rows[0]["agents.placed"] > 0
