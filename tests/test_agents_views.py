"""The views of worlds with AI agents agree bit for bit, and the world's own rules are those a policy could follow."""

from functools import partial

import numpy as np
import pytest
from agent_books import check_end
from agent_toys import EVERYTHING, AgentGame, always_decline, asking, busy_world, hand_world
from gymnasium.utils.env_checker import check_env
from helpers import RandomLegal

from edge_gym import checks
from edge_gym.checks import fingerprint
from edge_gym.envs.single import EdgeEnv
from edge_gym.envs.vector import EdgeVectorEnv
from edge_gym.kernel.agent_tables import ASK_MIGRATIONS, ASK_PLACEMENTS, ASK_REQUESTS
from edge_gym.kernel.build import World
from edge_gym.kernel.observe import IS_REQUEST, MODEL, ROUTER
from edge_gym.kernel.observe_agents import AGENT_COST, CURRENT, IS_MIGRATION, IS_PLACEMENT, NEED, RATE, UNPLACED
from edge_gym.kernel.tables import LOG, NO_SUBJECT
from edge_gym.scenario import Arrivals, Scenario

TASKS = ("placement", "migration", "joint")
ROUGH = {"churn_share": 0.7, "up_mean_s": 5.0, "down_mean_s": 2.0, "age_s": 0.3, "bias_sigma": 0.3, "queue_capacity": 2}


def rough(task: str = "joint", **more: object) -> Scenario:
    arrivals = Arrivals(rate_per_s=3.0) if task == "joint" else Arrivals(kind="none")
    return busy_world(task=task, arrivals=arrivals, **{**ROUGH, **more})


every_task = pytest.mark.parametrize("task", TASKS)


@every_task
def test_checks_of_environments(task):
    make = partial(EdgeEnv, task=task, scenario=rough(task))
    check_env(make(illegal="decline"), skip_render_check=True)
    checks.check_determinism(make, n_steps=10_000, seeds=(1,))
    checks.check_spaces_and_masks(make, n_steps=700)
    assert checks.check_conservation(make, n_steps=1500)
    checks.check_clone_and_state(make, n_steps=100, moments=(0, 57))
    checks.check_render_has_no_effect(partial(make, render_mode="ansi"), n_steps=100)
    checks.check_no_aliasing(make, n_steps=150)


@every_task
def test_a_row_of_a_vector_is_the_world_alone(task):
    scenario, n_envs = rough(task), 3
    vector = EdgeVectorEnv(n_envs, task=task, scenario=scenario, autoreset_mode="disabled")
    obs, info = vector.reset(seed=5)
    singles, over = [], np.zeros(n_envs, bool)
    for b in range(n_envs):
        env = EdgeEnv(task=task, scenario=scenario)
        alone, _ = env.reset(seed=int(info["seed"][b]))
        assert alone.tobytes() == obs[b].tobytes()
        singles.append(env)
    choose, steps = RandomLegal(range(n_envs)), 0
    while not over.any():
        mask = vector.batch.mask.copy()
        actions = choose(obs, mask)
        obs, reward, _, over, info = vector.step(actions)
        for b, env in enumerate(singles):
            alone, r, _, done, own = env.step(int(actions[b]))
            assert fingerprint((alone, r, done)) == fingerprint((obs[b], float(reward[b]), bool(over[b])))
            assert own["action_mask"].tolist() == info["action_mask"][b].tolist()
        steps += 1
    assert steps > 20


def test_a_row_of_a_batch_does_what_it_does_in_any_batch():
    world = World(rough())
    together = AgentGame(world, range(4)).play(RandomLegal(range(4)))
    for b in range(4):
        alone = AgentGame(world, [b]).play(RandomLegal([b]))
        assert alone.log().tobytes() == together.log(b).tobytes()
        assert alone.terms[0].tobytes() == together.terms[b].tobytes()
        assert alone.row("agency").tobytes() == together.row("agency", b).tobytes()


def test_a_state_put_back_goes_on_as_it_would():
    game = AgentGame(World(rough()), range(3))
    choose = RandomLegal(range(3))
    for _ in range(60):
        game.step(choose(game.obs, game.batch.mask))
    saved, obs = game.batch.get_state(), game.obs.copy()
    runs = []
    for _ in range(2):
        game.batch.set_state(saved)
        game.obs[:] = obs
        chosen, seen = RandomLegal(range(5, 8)), []
        for _ in range(40):
            out = game.step(chosen(game.obs, game.batch.mask))
            seen.append((game.obs.tobytes(), out.mask.tobytes(), out.terms.tobytes()))
        runs.append(seen)
    assert runs[0] == runs[1]


def test_what_describes_the_subject_is_the_same_in_every_row():
    game, agents = AgentGame(World(rough()), range(3)), 0
    choose = RandomLegal(range(3))
    same = [MODEL, IS_PLACEMENT, IS_MIGRATION, NEED, RATE, UNPLACED]
    while not game.over.any():
        for b in range(3):
            assert np.ptp(game.obs[b][:, same], axis=0).max() == 0.0
            kind = game.obs[b, 0, [IS_REQUEST, IS_PLACEMENT, IS_MIGRATION]]
            assert kind.sum() == (game.batch.state.world["subject_kind"][b] != NO_SUBJECT)
            agents += int(kind[1:].sum())
            assert game.batch.mask[b, -1] and game.obs[b, :-1, CURRENT].sum() <= 1
        game.step(choose(game.obs, game.batch.mask))
    assert agents > 100


def test_a_step_without_a_subject_when_the_log_is_full():
    """Thousands of requests and no decision about agents: the world stops to hand over the log, then goes on."""
    calm = hand_world(horizon_s=12_000.0).with_overrides(review_s=0.0)
    game = AgentGame(calm, [1], asking(ASK_PLACEMENTS))
    stops = 0
    while not game.over[0]:
        if game.row("world")["subject_kind"] == NO_SUBJECT:
            stops += 1
            assert game.batch.mask[0].tolist() == [False, False, True] and np.isfinite(game.obs).all()
        game.act(int(game.batch.mask[0].argmax()))
    assert stops >= 1 and len(game.log()) > 5000
    check_end(game, 0)


# --- the world's own rules --------------------------------------------------------------------------------------------


def own_rules(obs: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Requests go where the fast path says, agents where they cost least, and who lives somewhere stays there."""
    routed = obs[..., ROUTER].argmax(axis=1)
    cost = np.where(mask[:, :-1], obs[:, :-1, AGENT_COST], np.inf)
    fits = mask[:, :-1].any(axis=1)
    homes = np.where(fits, cost.argmin(axis=1), mask.shape[1] - 1)
    stays = (obs[:, 0, IS_MIGRATION] == 1.0) & (obs[:, :-1, CURRENT].max(axis=1) == 1.0)
    agent = np.where(stays, mask.shape[1] - 1, homes)
    nothing = obs[:, 0, [IS_REQUEST, IS_PLACEMENT, IS_MIGRATION]].sum(axis=1) == 0.0
    return np.where(nothing, mask.shape[1] - 1, np.where(obs[:, 0, IS_REQUEST] == 1.0, routed, agent))


@pytest.mark.parametrize("churn", [0.0, 0.7])
def test_the_worlds_own_rules_are_a_policy(churn):
    world, seeds = World(rough(churn_share=churn)), range(3)
    every = [ASK_REQUESTS, ASK_PLACEMENTS, ASK_MIGRATIONS, ASK_PLACEMENTS | ASK_MIGRATIONS, EVERYTHING]
    games = [AgentGame(world, seeds, asking(asks)).play(own_rules) for asks in every]
    for b in seeds:
        first = games[0]
        assert len(first.log(b)) > 100 and first.row("agency", b)["placed"] > 10
        for other in games[1:]:
            for name in LOG.names or ():
                assert (other.log(b)[name] == first.log(b)[name]).all(), name
            assert other.row("agency", b)["usd"].tolist() == first.row("agency", b)["usd"].tolist()
            assert other.terms[b] == pytest.approx(first.terms[b], rel=1e-9)
    idle = AgentGame(world, seeds).play(always_decline)
    assert idle.log(0).tobytes() != games[0].log(0).tobytes()
