"""Placement and Migration where the sites decide: the worlds of the single environment, split by the users' sites."""

from functools import partial

import numpy as np
import pytest
from sites_play import run_checkers

from edge_gym import migration_v0, placement_v0
from edge_gym.checks import fingerprint
from edge_gym.envs.single import EdgeEnv
from edge_gym.envs.sites import SitesVectorEnv
from edge_gym.errors import EdgeGymInputError
from edge_gym.kernel.tables import SECOND

MODULES = {"placement": placement_v0, "migration": migration_v0}
WORLDS = {
    "placement": {"scenario": "campus-8", "horizon_s": 12.0},
    "migration": {"scenario": "commute-16", "horizon_s": 12.0, "n_nodes": 8},
}


def choose(mask, rng):
    return int(rng.choice(np.flatnonzero(mask)))


@pytest.mark.parametrize("task", MODULES)
def test_the_site_of_the_user_decides_and_the_world_is_that_of_the_single_environment(task):
    env, single = MODULES[task].parallel_env(reward="shared", **WORLDS[task]), EdgeEnv(task=task, **WORLDS[task])
    obs, infos = env.reset(seed=3)
    seen, info = single.reset(seed=3)
    rng, sites, steps = np.random.default_rng(0), set(), 0
    while env.agents:
        active = [agent for agent in env.agents if infos[agent]["active"]]
        assert len(active) == (single.batch.state.world[0]["subject_kind"] != 0)
        for agent in env.agents:
            mine = obs[agent]["observation"]
            assert env.observation_space(agent).contains(obs[agent])
            if agent in active:
                assert mine.tobytes() == seen.tobytes() and (infos[agent]["action_mask"] == info["action_mask"]).all()
            else:
                assert infos[agent]["action_mask"].sum() == 1 and (mine[:, 0] == 0).all()
        if active:
            state, subject = single.batch.state, single.batch.state.world[0]["subject"]
            assert active == [f"site_{state.app[0, state.agent[0, subject]['app']]['site']}"]
        sites.update(active)
        actions = {agent: choose(infos[agent]["action_mask"], rng) for agent in env.agents}
        choice = actions[active[0]] if active else env.world.n_nodes
        obs, rewards, _, truncated, infos = env.step(actions)
        seen, reward, _, over, info = single.step(choice)
        assert set(rewards.values()) == {reward} and set(truncated.values()) == {over}
        assert env.state_space.contains(env.state())
        for agent in truncated:
            assert {k: infos[agent][k] for k in ("dt_s", "time_s", "reward_terms", "seed", "events")} == {
                k: info[k] for k in ("dt_s", "time_s", "reward_terms", "seed", "events")
            }
        steps += 1
    assert over and steps > 10 and len(sites) > 1


@pytest.mark.parametrize("task", MODULES)
def test_every_site_is_paid_for_the_requests_that_entered_there(task):
    """The terms of the sites add up to those of one controller, and each site's latency to that of its requests."""
    weights = {"weights.migration": 0.5, "weights.cost": 10.0, "weights.slo_miss": 0.3, "weights.energy": 1e-3}
    env, single = (
        make(**weights, **WORLDS[task]) for make in (MODULES[task].parallel_env, partial(EdgeEnv, task=task))
    )
    _, infos = env.reset(seed=3)
    single.reset(seed=3)
    rng, paid, spent, different = np.random.default_rng(0), np.zeros(env.batch.n_sites), np.zeros(env.batch.n_sites), 0
    np.add.at(spent, env.batch.ended()[0], env.batch.ended()[1]["latency_ns"] / SECOND)
    while env.agents:
        active = [agent for agent in env.agents if infos[agent]["active"]]
        actions = {agent: choose(infos[agent]["action_mask"], rng) for agent in env.agents}
        _, rewards, _, _, infos = env.step(actions)
        _, reward, _, _, info = single.step(actions[active[0]] if active else env.world.n_nodes)
        assert sum(rewards.values()) == pytest.approx(reward, rel=1e-9, abs=1e-9)
        for term, value in info["reward_terms"].items():
            parts = [infos[agent]["reward_terms"][term] for agent in infos]
            assert sum(parts) == pytest.approx(value, rel=1e-9, abs=1e-9), term
        different += len(set(rewards.values())) > 1
        paid -= [infos[agent]["reward_terms"]["latency"] for agent in infos]
        rows, log = env.batch.ended()
        np.add.at(spent, rows, log["latency_ns"] / SECOND)
    assert different > 2
    assert paid == pytest.approx(spent, rel=1e-9)


@pytest.mark.parametrize("task", MODULES)
def test_api_02_the_checkers_of_pettingzoo_find_nothing(task):
    run_checkers(MODULES[task], 200, **WORLDS[task])


@pytest.mark.parametrize("task", MODULES)
def test_rows_of_a_vector_are_the_parallel_environment(task):
    env, one = SitesVectorEnv(2, task=task, **WORLDS[task]), MODULES[task].parallel_env(**WORLDS[task])
    many, info = env.reset(seed=[5, 3])
    obs, infos = one.reset(seed=3)
    rng, n_sites = np.random.default_rng(0), env.batch.n_sites
    for _ in range(25):
        actions = np.array([choose(mask, rng) for mask in info["action_mask"]])
        assert many[n_sites:].tobytes() == np.stack([obs[agent]["observation"] for agent in one.agents]).tobytes()
        many, _, _, _, info = env.step(actions)
        obs, _, _, _, infos = one.step({f"site_{s}": int(actions[n_sites + s]) for s in range(n_sites)})
        assert [infos[agent]["active"] for agent in infos] == info["active"][n_sites:].tolist()
        if not one.agents:
            break


def test_looking_changes_nothing():
    def play(look):
        env, rng = migration_v0.parallel_env(**WORLDS["migration"]), np.random.default_rng(0)
        _, infos = env.reset(seed=1)
        seen = []
        for _ in range(15):
            if look:
                env.state(), env.render(), env.batch.active
            found = env.step({agent: choose(infos[agent]["action_mask"], rng) for agent in env.agents})
            infos = found[4]
            seen.append(fingerprint(list(found)))
        return seen

    assert play(False) == play(True)


def test_what_only_routing_has_is_refused_by_name():
    for name in ("slot_s", "heartbeat_s", "view"):
        with pytest.raises(EdgeGymInputError, match=name):
            migration_v0.parallel_env(**{name: 1.0})
    with pytest.raises(EdgeGymInputError, match="task"):
        SitesVectorEnv(1, task="joint")
