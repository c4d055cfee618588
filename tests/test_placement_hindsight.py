"""Learning to place from hindsight: the costs by brute force, the learner, and that it goes on exactly."""

import itertools

import edge_agents.placement_hindsight as hindsight
import numpy as np
import pytest
import torch
from edge_agents.compiled.placement_costs import hindsight_costs
from edge_agents.networks import NetworkSpec, build
from edge_agents.saved_state import from_bytes, to_bytes
from edge_agents.worlds import Worlds
from problems import random_problem

import edge_gym
from edge_gym.errors import EdgeGymInputError
from edge_gym.kernel.assignment import all_fit, empty_use, total

CAMPUS = edge_gym.preset("campus-8", "placement")
SMALL = hindsight.PlacementHindsightConfig(steps=12, keep=500, minibatch=64, minibatches=4, total_steps=4000)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def small(anchor=(), seed=0, scenarios=(CAMPUS,), config=SMALL):
    worlds = Worlds("placement", scenarios, 4, seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build(NetworkSpec(n_features=worlds.obs.shape[2], hidden=8, heads=2, anchor=anchor))
    return hindsight.PlacementHindsight(config, network, worlds, seed)


def weights(learner):
    return torch.cat([tensor.flatten() for tensor in learner.network.state_dict().values()])


# Costs ---------------------------------------------------------------------------------------------------------------


def least_cost(problem, fixed):
    """By brute force: the least cost rate of an assignment that begins with `fixed`, inf if there is none."""
    n_nodes, free = len(problem.load_limit), len(problem.refuse) - len(fixed)
    least = np.inf
    for rest in itertools.product(range(-1, n_nodes), repeat=free):
        home = np.array([*fixed, *rest], np.int64)
        if all_fit(problem, empty_use(problem), home):
            least = min(least, total(problem, home))
    return least


def some_home(problem, seed):
    """An assignment drawn at random, agent by agent among the nodes where it fits."""
    rng, home = np.random.default_rng(seed), np.full(len(problem.refuse), -1, np.int64)
    for g in range(len(home)):
        for n in rng.permutation(len(problem.load_limit)):
            home[g] = n
            if all_fit(problem, empty_use(problem), home):
                break
            home[g] = -1
    return home


def costs_of(problem, home, n_rounds):
    found = np.empty((len(home), len(problem.load_limit) + 1))
    hindsight_costs(problem, empty_use(problem), home, n_rounds, found)
    return found


def test_placement_hindsight_costs():
    """Never less than brute force, most often the same; of the last agent, always."""
    same = []
    for seed in range(10):
        problem = random_problem(seed, 4, 3)
        home = some_home(problem, seed)
        kept = home.copy()
        found = costs_of(problem, home, 3)
        assert np.array_equal(home, kept)
        for g, n in np.ndindex(found.shape):
            truth = least_cost(problem, (*home[:g], n if n < 3 else -1))
            assert np.isnan(found[g, n]) == np.isinf(truth), (seed, g, n)
            if np.isfinite(truth):
                assert found[g, n] >= truth * (1 - 1e-9), (seed, g, n)
                same.append(found[g, n] <= truth * (1 + 1e-9))
                assert same[-1] or g < len(home) - 1, (seed, g, n)
    assert np.mean(same) > 0.75


def test_placement_hindsight_makes_room():
    """A node that later agents have filled is still a choice: they give way."""
    problem = random_problem(1, 3, 2)
    problem.load[:], problem.load_before[:], problem.load_limit[:] = 0.4, 0.0, 0.9
    problem.own[:] = [[1.0, 2.0], [1.0, 2.0], [1.0, 2.0]]
    for room in (problem.memory_free, problem.storage_free, problem.traffic_free):
        room[:] = 1e18
    problem.refuse[:] = 100.0
    found = costs_of(problem, np.array([1, 0, 0]), 1)
    assert found[0, 0] == pytest.approx(least_cost(problem, (0,)))
    assert found[0, 0] < found[0, 1] < found[0, 2]


def test_placement_hindsight_normalised():
    problem = random_problem(3, 4, 3)
    one = hindsight.Application(0, problem, (4, 2), 4)
    home = some_home(problem, 3)
    for choice in home:
        assert not one.done
        one.note(np.ones((4, 2)), np.ones(4, bool), 3 if choice < 0 else choice)
    assert one.done and np.array_equal(one.home, home)
    found, raw = one.costs(2), costs_of(problem, home, 2)
    assert np.nanmin(found, 1) == pytest.approx(0.0)
    np.testing.assert_allclose(found, (raw - np.nanmin(raw, 1, keepdims=True)) * 4 / np.nanmin(raw))


# The learner ---------------------------------------------------------------------------------------------------------


def test_placement_hindsight_learns():
    """From nothing, without an anchor: much better within some hundred decisions."""
    learner = small()
    first = learner.update()["regret/mean"]
    for _ in range(40):
        learner.update()
    last = np.mean([learner.update()["regret/mean"] for _ in range(4)])
    assert last < 0.5 * first, (first, last)


def test_placement_hindsight_follows_whole_applications():
    """What is kept has a known cost for what was done, and unknown ones where the mask says so."""
    learner = small(scenarios=(CAMPUS, edge_gym.preset("metro-16", "placement")))
    for _ in range(3):
        learner.update()
    cost, mask = learner._cost[: learner._held], learner._mask[: learner._held]
    assert learner._held > 50
    assert cost[~mask].isnan().all()
    known = cost.masked_fill(cost.isnan(), np.inf)
    assert (known.amin(1) == 0).all() and (cost[~cost.isnan()] <= learner.config.most_regret).all()


def test_placement_hindsight_goes_on_exactly():
    """2 N updates are N, saved in the middle of applications, and N by a fresh learner."""
    straight = small()
    for _ in range(3):
        straight.update()
    assert any(one is not None for one in straight._open)
    saved = to_bytes(straight.get_state())
    expected = [straight.update() for _ in range(3)]
    fresh = small()
    fresh.set_state(from_bytes(saved))
    assert [fresh.update() for _ in range(3)] == expected
    assert torch.equal(weights(fresh), weights(straight)) and fresh.env_steps == straight.env_steps


def test_placement_hindsight_refuses_other_tasks():
    worlds = Worlds("routing", [edge_gym.preset("stationary")], 2, 0)
    network = build(NetworkSpec(n_features=worlds.obs.shape[2], hidden=8))
    with pytest.raises(EdgeGymInputError, match="placement"):
        hindsight.PlacementHindsight(SMALL, network, worlds, 0)


# What is shipped -----------------------------------------------------------------------------------------------------


def test_the_shipped_controller_is_better_than_greedy():
    """The mean return of campus-8, which is small and soon played."""
    names = ("learned_placement", "greedy")
    rows = [edge_gym.evaluate(name, "placement", CAMPUS, range(504, 524)).rows for name in names]
    mine, greedy = (np.mean([row["return"] for row in found]) for found in rows)
    assert mine > greedy
