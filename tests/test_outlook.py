"""The columns about those of an application still to come, against a slow rollout of the public problem."""

import numpy as np
import pytest
from agent_toys import AgentGame, busy_world
from helpers import RandomLegal

import edge_gym
from edge_gym.agency import Agency, Assignment
from edge_gym.kernel.assignment import empty_use, fits, price_of, take
from edge_gym.kernel.build import World
from edge_gym.kernel.observe import decode_time
from edge_gym.kernel.observe_agents import AGENT_COST, IS_PLACEMENT, OUTLOOK, RESERVED_THEN, UNPLACED
from edge_gym.kernel.tables import NONE


def slow_rollout(found: Assignment, choice: int) -> tuple[float, np.ndarray]:
    """Cost rate of the subject at a choice and of all to come, the dearest to decline first; and load of each node."""
    problem, g = found.problem, found.subject
    n_agents, n_nodes = problem.own.shape
    use, home, cost = empty_use(problem), np.full(n_agents, NONE, np.int64), 0.0
    for k in range(g):
        home[k] = found.home[k]
        if home[k] != NONE:
            take(problem, use, k, home[k])
    for k in [g, *sorted(range(g + 1, n_agents), key=lambda k: -problem.refuse[k])]:
        nodes = [n for n in range(n_nodes) if fits(problem, use, k, n)] if k != g else [choice] * (choice < n_nodes)
        prices = {n: price_of(problem, use, home, k, n) for n in nodes}
        best = min(prices, key=prices.__getitem__, default=NONE)
        if best == NONE or (k != g and prices[best] >= problem.refuse[k]):
            cost += problem.refuse[k]
            continue
        cost += prices[best]
        home[k] = best
        take(problem, use, k, best)
    return cost, problem.load_before + use.load


@pytest.mark.parametrize(("preset", "apart"), [("campus-8", 3), ("metro-16", 5)])
def test_outlook_is_a_rollout_of_the_public_problem(preset, apart):
    game = AgentGame(World(edge_gym.preset(preset, "placement").with_overrides(n_applications=8)), [3], "placement")
    agency, choose, looked, same = Agency(game.batch), RandomLegal([3]), 0, []
    while not game.over[0]:
        obs, mask = game.obs[0].astype(float), game.batch.mask[0].copy()
        if obs[0, IS_PLACEMENT] == 1.0 and game.steps % apart == 0:
            legal = np.flatnonzero(mask)
            found = agency.assignment(0)
            costs, loads = zip(*(slow_rollout(found, n) for n in legal.tolist()), strict=True)
            above = np.array(costs) - min(costs)
            assert obs[legal, OUTLOOK] == pytest.approx(above / (1.0 + above), abs=2e-6)
            assert (obs[~mask, OUTLOOK] == 1.0).all()
            for n, load in zip(legal[:-1], loads, strict=False):
                same.append(abs(obs[n, RESERVED_THEN] - min(load[n], 1.0)) < 1e-6)
            looked += obs[0, UNPLACED] > 0.0
        game.step(choose(game.obs, game.batch.mask))
    assert looked > 5
    assert np.mean(same) > 0.97, "they may differ between nodes of equal price, by rounding"


def test_outlook_of_the_last_agent_is_its_own_cost():
    game = AgentGame(World(edge_gym.preset("campus-8", "placement").with_overrides(n_applications=4)), [1], "placement")
    looked, choose = 0, RandomLegal([1])
    while not game.over[0]:
        obs, mask = game.obs[0], game.batch.mask[0]
        if obs[0, IS_PLACEMENT] == 1.0 and obs[0, UNPLACED] == 0.0:
            cost = decode_time(obs[mask, AGENT_COST])
            above = cost - cost.min()
            assert obs[mask, OUTLOOK] == pytest.approx(above / (1.0 + above), abs=1e-4)
            looked += 1
        game.step(choose(game.obs, game.batch.mask))
    assert looked >= 4


@pytest.mark.parametrize("task", ["placement", "migration", "joint"])
def test_outlook_where_nodes_leave(task):
    """The best row shows 0, what is not legal 1, also where several agents have lost their homes."""
    game = AgentGame(World(busy_world(task=task, churn_share=0.7, up_mean_s=5.0, down_mean_s=2.0)), range(3), task)
    choose, asked = RandomLegal(range(3)), 0
    while not game.over.all():
        for b in np.flatnonzero(~game.over):
            kinds, mask = game.obs[b, 0, IS_PLACEMENT : IS_PLACEMENT + 2], game.batch.mask[b]
            if kinds.any():
                assert game.obs[b, mask, OUTLOOK].min() == 0.0 and game.obs[b, mask, OUTLOOK].max() < 1.0
                assert (game.obs[b, ~mask, OUTLOOK] == 1.0).all()
                asked += 1
        game.step(choose(game.obs, game.batch.mask))
    assert asked > 50
