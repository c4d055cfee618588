"""The placement solvers: what they give fits, costs what it says, is the optimum where that is known, and repeats."""

import itertools
from dataclasses import replace

import numba
import numpy as np
import pytest
from edge_baselines.placement import SOLVERS, Ants, Grasp, Limits, repair
from edge_baselines.placement.ants import solve_by_ants
from edge_baselines.placement.candidates import prices_now
from edge_baselines.placement.grasp import solve_by_grasp
from edge_baselines.placement.local_search import exchange_change
from edge_baselines.placement.settings import MMAS
from edge_baselines.placement.solution import UNLIMITED
from edge_baselines.placement.state import new_state, settle
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import random_problem

from edge_gym.errors import EdgeGymInputError
from edge_gym.kernel.assignment import all_fit, empty_use, price_of, take, total

SEARCHES = ["local_search", "grasp", "annealing", "genetic", "acs", "mmas", "aco"]
SOME = Limits(evaluations=400)


def check(problem, solution):
    """It fits, and costs what it says."""
    assert solution.home.shape == problem.refuse.shape and solution.home.dtype == np.int64
    assert all_fit(problem, empty_use(problem), solution.home)
    assert solution.cost == pytest.approx(total(problem, solution.home), rel=1e-12)


def optimum(problem):
    """The least cost, by looking at every assignment."""
    best = np.inf
    nodes = range(-1, problem.own.shape[1])
    for home in itertools.product(nodes, repeat=problem.own.shape[0]):
        home = np.array(home, np.int64)
        cost = total(problem, home)
        if cost < best and all_fit(problem, empty_use(problem), home):
            best = cost
    return best


@pytest.mark.parametrize("name", SOLVERS)
@pytest.mark.parametrize("size", [(12, 8, 1.6), (30, 6, 0.5), (9, 40, 8.0), (1, 5, 4.0), (7, 1, 1.2)])
def test_it_fits_and_costs_what_it_says(name, size):
    n_agents, n_nodes, room = size
    for seed in range(3):
        problem = random_problem(seed, n_agents, n_nodes, room=room)
        check(problem, SOLVERS[name](problem, SOME, seed))


@pytest.mark.parametrize("name", SOLVERS)
def test_who_fits_nowhere_is_refused(name):
    problem = random_problem(1, 10, 5)
    problem.own[3] = np.inf
    solution = SOLVERS[name](problem, SOME, 0)
    check(problem, solution)
    assert solution.home[3] == -1
    problem.own[:] = np.inf
    solution = SOLVERS[name](problem, SOME, 0)
    check(problem, solution)
    assert (solution.home == -1).all()


def test_the_optimum_of_tiny_problems():
    names = ["aco", "annealing", "grasp"]
    reached = dict.fromkeys(names, 0)
    for seed in range(200):
        problem = random_problem(seed, 4, 3, n_models=2, room=1.6 if seed % 2 else 0.8)
        least = optimum(problem)
        for name in [*names, "genetic"]:
            cost = SOLVERS[name](problem, Limits(evaluations=1500), seed).cost
            assert cost >= least * (1 - 1e-12), (name, seed)
            if name in reached:
                reached[name] += cost <= least * (1 + 1e-9)
    assert min(reached.values()) >= 190, reached


@pytest.mark.parametrize("name", SEARCHES)
def test_it_repeats_improves_and_keeps_to_its_budget(name):
    problem = random_problem(5, 24, 12)
    limits = Limits(evaluations=1000)
    one, two = (SOLVERS[name](problem, limits, 7) for _ in range(2))
    assert (one.home == two.home).all()
    assert (one.cost, one.evaluations, one.history) == (two.cost, two.evaluations, two.history)
    assert one.evaluations <= 1000
    if name != "local_search":
        assert one.evaluations >= 900
        other = SOLVERS[name](problem, limits, 8)
        assert (one.home != other.home).any() or one.history != other.history
    costs = [cost for _, cost in one.history]
    assert costs == sorted(costs, reverse=True) and costs[-1] == one.cost
    assert [at for at, _ in one.history] == sorted(at for at, _ in one.history)


@pytest.mark.parametrize("name", SEARCHES)
def test_time_is_kept(name):
    problem = random_problem(5, 60, 20)
    SOLVERS[name](problem, SOME, 0)
    # On a busy machine somebody else may have the processor just then.
    assert any(SOLVERS[name](problem, Limits(seconds=0.05), seed).elapsed_s < 0.1 for seed in range(20))


def test_every_search_improves_on_greedy():
    problem = random_problem(9, 60, 20)
    greedy = SOLVERS["greedy"](problem, SOME, 0).cost
    for name in SEARCHES:
        assert SOLVERS[name](problem, Limits(evaluations=6000), 0).cost < greedy * 0.99, name


@given(st.integers(0, 50), st.data())
@settings(max_examples=60)
def test_repair_makes_anything_fit_and_then_nothing_more(seed, data):
    problem = random_problem(seed, 8, 4, room=data.draw(st.sampled_from([0.4, 1.0, 3.0])))
    home = np.array(data.draw(st.lists(st.integers(-3, 6), min_size=8, max_size=8)), np.int64)
    fixed = repair(problem, home)
    assert all_fit(problem, empty_use(problem), fixed)
    assert (repair(problem, fixed) == fixed).all()
    if all_fit(problem, empty_use(problem), np.where((home < 0) | (home >= 4), -1, home)):
        kept = (home >= 0) & (home < 4)
        assert (fixed[kept] == home[kept]).all()


def test_repair_refuses_what_is_no_assignment():
    problem = random_problem(0, 4, 3)
    for home in (np.zeros(3, np.int64), np.zeros(4)):
        with pytest.raises(EdgeGymInputError, match="home"):
            repair(problem, home)


def test_limits_are_needed():
    for bad in ({}, {"evaluations": 0}, {"seconds": 0.0}, {"evaluations": 1.5}):
        with pytest.raises(EdgeGymInputError):
            Limits(**bad)


@pytest.mark.parametrize("n_near", [5, 50])
def test_ants_without_pheromone_are_greedy_with_restarts(n_near):
    problem = random_problem(3, 20, 12)
    same = {"n_near": n_near, "spread": 0.2, "q0": 0.3, "n_exchange": 4}
    ants = Ants(pheromone=False, focus=0, n_ants=1, patience=1_000_000, **same)
    limits = Limits(evaluations=5000)
    one = solve_by_ants(problem, limits, 4, ants)
    two = solve_by_grasp(problem, limits, 4, Grasp(**same))
    assert (one.home == two.home).all() and one.history == two.history
    with_trail = solve_by_ants(problem, limits, 4, Ants(pheromone=True, focus=0, n_ants=1, **same))
    assert with_trail.history != two.history


@pytest.mark.parametrize("rule", ["acs", "mmas"])
@pytest.mark.parametrize("focus", [0, 4])
def test_pheromone_stays_inside_its_bounds(rule, focus):
    problem = random_problem(3, 20, 12)
    kinds = np.arange(20)
    found = solve_by_ants(problem, Limits(evaluations=4000), 1, Ants(rule=rule, focus=focus, rho=0.3), kinds)
    right = 0.05 ** (1 / 20)
    low = (1 - right) / (5 * right) if rule == "mmas" else 1 / 20  # K = 12: half of it, less one
    assert found.trail.shape == (20, 12)
    assert found.trail.min() >= low * (1 - 1e-12) and found.trail.max() <= 1.0
    assert found.trail.max() > 2 * low


def test_a_warm_start_begins_with_the_trail_that_was_left():
    problem = random_problem(3, 40, 24)
    kinds = np.arange(40)
    limits = Limits(evaluations=6000)
    trail = solve_by_ants(problem, limits, 1, MMAS, kinds).trail
    still = replace(MMAS, rho=0.0)  # nothing is laid, so what comes out is what went in
    assert np.allclose(solve_by_ants(problem, limits, 2, still, kinds, trail).trail, trail)
    assert (solve_by_ants(problem, limits, 2, still, kinds).trail == 1.0).all()
    of_models = solve_by_ants(problem, limits, 1, MMAS).trail
    again = solve_by_ants(problem, limits, 2, still, None, of_models).trail
    assert np.allclose(again, of_models, equal_nan=True)


def test_a_trail_of_other_kinds_is_no_trouble_and_one_of_other_nodes_is():
    problem = random_problem(3, 10, 6)
    first = SOLVERS["aco"](problem, SOME, 0)
    again = SOLVERS["aco"](problem, SOME, 0, trail=first.trail, kinds=np.arange(10))
    check(problem, again)
    with pytest.raises(EdgeGymInputError, match="trail"):
        SOLVERS["aco"](problem, SOME, 0, trail=np.ones((4, 5)))
    with pytest.raises(EdgeGymInputError, match="kinds"):
        SOLVERS["aco"](problem, SOME, 0, kinds=np.arange(9))


@numba.njit
def change_of(problem, state, a, b):
    """Inlined functions have no way in from Python."""
    return exchange_change(problem, state, a, b)


def test_prices_are_those_of_the_world():
    problem = random_problem(2, 30, 10, room=1.2)
    state = new_state(problem, 0)
    settle(problem, state, np.random.default_rng(0).integers(-1, 10, 30))
    prices = prices_now(problem, state, UNLIMITED)
    for g in range(30):
        use, home = empty_use(problem), state.home.copy()
        home[g] = -1
        for other in np.flatnonzero(home >= 0):
            take(problem, use, other, home[other])
        for n in range(10):
            assert prices[g, n] == pytest.approx(price_of(problem, use, home, g, n), rel=1e-11)
    for a, b in itertools.combinations(np.flatnonzero(state.home >= 0), 2):
        after = state.home.copy()
        after[a], after[b] = after[b], after[a]
        change = total(problem, after) - total(problem, state.home)
        if state.home[a] != state.home[b] and np.isfinite(change):
            assert change_of(problem, state, a, b) == pytest.approx(change, abs=1e-9)
