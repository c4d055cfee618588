"""The optimum of placement by integer programming and the Lagrangian bound, against trying everything."""

import numpy as np
import pytest
from edge_baselines.exact import lagrange, milp, relaxed_node, relaxed_tree
from edge_baselines.exact.brute import solve_by_trying
from edge_baselines.exact.crowding import crowd_alone
from edge_baselines.exact.ruin import improved
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_gym.errors import EdgeGymInputError
from edge_gym.kernel.assignment import KNOTS, all_fit, crowd, empty_use, link_children, total
from edge_gym.kernel.tables import NONE
from tests.problems import random_problem

N_SMALL = 200


def small_problem(seed):
    """At most 5 agents and 4 nodes; each kind of limit decides in some of them."""
    rng = np.random.default_rng(seed)
    n_agents, n_nodes = int(rng.integers(1, 6)), int(rng.integers(1, 5))
    problem = random_problem(seed, n_agents, n_nodes, n_models=2, room=float(rng.uniform(0.4, 3.0)))
    kind = seed % 8
    if kind == 1:  # the weights fit once or twice, so it matters who shares them
        problem = problem._replace(memory_free=rng.uniform(1.0, 2.2, n_nodes) * problem.weights.mean())
    elif kind == 2:  # talk is all that costs
        problem = problem._replace(talk_delay=100.0 * problem.talk_delay, own=0.01 * problem.own)
    elif kind == 3:
        problem = problem._replace(load_before=rng.choice(KNOTS[:8], n_nodes) + rng.choice([-1e-9, 0.0, 1e-9], n_nodes))
    elif kind == 4:
        problem = problem._replace(storage_free=rng.uniform(0.5, 2.0, n_nodes) * problem.storage.mean())
    elif kind == 5:
        problem = problem._replace(traffic_free=rng.uniform(0.5, 2.0, n_nodes) * problem.traffic.mean())
    elif kind == 6:  # to be refused is cheap, and so is a full node
        problem = problem._replace(refuse=problem.own.min(axis=1, initial=1e3) * rng.uniform(0.5, 3.0, n_agents))
        problem = problem._replace(crowd_weight=0.05)
    elif kind == 7:  # several trees, and no crowding at all
        problem = forest(problem, rng)._replace(crowd_weight=0.0)
    return problem._replace(load_before=np.maximum(problem.load_before, 0.0))


def forest(problem, rng):
    parent = np.where(rng.random(len(problem.parent)) < 0.5, NONE, problem.parent)
    child_at, child = np.zeros_like(problem.child_at), np.zeros_like(problem.child)
    link_children(parent, child_at, child)
    return problem._replace(parent=parent, child_at=child_at, child=child)


@pytest.fixture(scope="module")
def optima():
    return [solve_by_trying(small_problem(seed)) for seed in range(N_SMALL)]


def test_the_small_problems_are_of_all_kinds(optima):
    n_refused = [int((home == NONE).sum()) for home, _ in optima]
    assert sum(n > 0 for n in n_refused) > 30
    assert sum(n == 0 for n in n_refused) > 30
    shared = [len(home) - len(set(home)) for home, _ in optima]
    assert sum(n > 1 for n in shared) > 20


def test_milp_finds_the_optimum(optima):
    for seed, (_, least) in enumerate(optima):
        problem = small_problem(seed)
        exact = milp.solve_exact(problem, 300.0)  # the first one compiles
        assert exact.status == "optimal", seed
        assert exact.cost == pytest.approx(least, rel=1e-6), seed
        assert exact.bound <= least * (1 + 1e-12), seed
        assert all_fit(problem, empty_use(problem), exact.home), seed
        assert total(problem, exact.home) == exact.cost


def test_milp_alone_finds_the_optimum(optima, monkeypatch):
    """With a bound that says nothing the integer program must hold everything itself."""

    def know_nothing(problem, seconds, start=None, gap=0.0):
        nobody = np.full(len(problem.parent), NONE)
        floor = problem.crowd_weight * crowd_alone(problem)
        return lagrange.Relaxed(-1e9, nobody, float(problem.refuse.sum()), floor, 0.0)

    monkeypatch.setattr(milp, "relax", know_nothing)
    for seed in range(0, N_SMALL, 3):
        exact = milp.solve_exact(small_problem(seed), 30.0)
        assert exact.cost == pytest.approx(optima[seed][1], rel=1e-6), seed
        rounding = 1e-6 * small_problem(seed).refuse.sum()
        assert exact.bound == pytest.approx(optima[seed][1], abs=rounding), seed


def test_lagrangian_bound_holds(optima):
    distance = []
    for seed, (_, least) in enumerate(optima):
        relaxed = lagrange.relax(small_problem(seed), 5.0, max_steps=100)
        assert relaxed.bound <= least * (1 + 1e-12), seed
        assert relaxed.cost >= least * (1 - 1e-12), seed
        assert all_fit(small_problem(seed), empty_use(small_problem(seed)), relaxed.home), seed
        distance.append(1 - relaxed.bound / least)
    assert np.mean(distance) < 0.05


def test_any_prices_give_a_bound(optima):
    rng = np.random.default_rng(0)
    for seed in range(N_SMALL):
        problem = small_problem(seed)
        halves = lagrange.Halves(problem, lagrange.may_live(problem))
        prices = rng.exponential(rng.choice([0.01, 0.1, 1.0, 10.0]), problem.own.shape)
        for max_visits in (1, 1000):
            assert halves.bound(prices, max_visits) <= optima[seed][1] * (1 + 1e-12)


def test_a_node_takes_the_best_set():
    rng = np.random.default_rng(1)
    for seed in range(60):
        problem = random_problem(seed, 9, 3, n_models=3, room=1.0)
        may = lagrange.may_live(problem)
        prices = rng.exponential(0.5, problem.own.shape)
        taken = np.empty(9, np.int64)
        for n in range(3):
            best, best_with_0 = 0.0, -np.inf
            for bits in range(2**9):
                home = np.where((bits >> np.arange(9)) & 1, n, NONE)
                there = home == n
                if may[there, n].all() and all_fit(problem, empty_use(problem), home):
                    before = problem.load_before[n]
                    crowding = crowd(before + problem.load[there, n].sum()) - crowd(before)
                    value = prices[there, n].sum() - problem.crowd_weight * crowding
                    best = max(best, value)
                    best_with_0 = max(best_with_0, value) if there[0] else best_with_0
            assert relaxed_node.fill(problem, n, prices, may, -1, 10_000, taken)[0] == pytest.approx(best, abs=1e-9)
            assert relaxed_node.fill(problem, n, prices, may, -1, 2, taken)[0] >= best - 1e-12
            if may[0, n]:
                forced, _ = relaxed_node.fill(problem, n, prices, may, 0, 10_000, taken)
                assert forced == pytest.approx(best_with_0, abs=1e-9)


def test_the_tree_is_solved_exactly():
    rng = np.random.default_rng(2)
    for seed in range(30):
        problem = forest(random_problem(seed, 5, 3), rng)
        free = problem._replace(
            load_limit=np.full(3, np.inf), memory_free=np.full(3, np.inf), storage_free=np.full(3, np.inf)
        )
        free = free._replace(traffic_free=np.full(3, np.inf), crowd_weight=0.0, refuse=0.1 * free.refuse)
        prices = rng.exponential(0.1, (5, 3))
        home, least = solve_by_trying(free._replace(own=free.own + prices))
        below, to_parent, wished = np.zeros((5, 4)), np.zeros((5, 4)), np.zeros(5, np.int64)
        may = np.isfinite(free.own)
        assert relaxed_tree.up(free, prices, may, below, to_parent) == pytest.approx(least)
        relaxed_tree.down(free, below, wished)
        assert wished.tolist() == home.tolist()
        at_best = np.empty((5, 4))
        relaxed_tree.at_best(free, below, to_parent, at_best)
        for g in range(5):
            for n in range(3):
                own = np.where(np.arange(3) == n, free.own[g] + prices[g], np.inf)
                only = free._replace(own=free.own + prices, refuse=free.refuse.copy())
                only.own[g], only.refuse[g] = own, 1e6
                expected = solve_by_trying(only)[1]
                assert at_best[g, n] == pytest.approx(expected if may[g, n] else np.inf)


def test_the_two_bounds_agree_on_middle_sizes():
    for seed in range(3):
        problem = random_problem(seed, 12, 6)
        exact = milp.solve_exact(problem, 30.0)
        relaxed = lagrange.relax(problem, 10.0, max_steps=500)
        assert exact.status == "optimal"
        assert relaxed.bound <= exact.cost
        assert exact.bound <= relaxed.cost
        assert relaxed.bound > 0.9 * exact.cost
        assert milp.bound(problem, 30.0) == (pytest.approx(exact.cost, rel=1e-5), True)


@pytest.fixture(scope="module")
def with_bound():
    problem = random_problem(5, 30, 10)
    return problem, milp.solve_exact(problem, 4.0).bound


@settings(max_examples=60)
@given(seed=st.integers(0, 2**31 - 1), n_rounds=st.integers(0, 300))
def test_nothing_that_fits_beats_the_bound(with_bound, seed, n_rounds):
    problem, bound = with_bound
    wished = np.random.default_rng(seed).integers(-1, 10, 30)
    home, cost = improved(problem, wished, n_rounds, seed)
    assert all_fit(problem, empty_use(problem), home)
    assert cost >= bound


def test_a_start_is_never_lost():
    problem = random_problem(3, 20, 8)
    start, cost = improved(problem, np.full(20, NONE), 5000, 1)
    assert milp.solve_exact(problem, 1.0, start=start).cost <= cost


def test_what_cannot_be_asked():
    problem = random_problem(0, 4, 3)
    with pytest.raises(EdgeGymInputError, match="seconds"):
        milp.solve_exact(problem, 0.0)
    with pytest.raises(EdgeGymInputError, match="gap"):
        milp.solve_exact(problem, 1.0, gap=-1.0)
    with pytest.raises(EdgeGymInputError, match="start"):
        milp.solve_exact(problem, 1.0, start=np.zeros(3, np.int64))
    with pytest.raises(EdgeGymInputError, match="G"):
        solve_by_trying(random_problem(0, 20, 10))
