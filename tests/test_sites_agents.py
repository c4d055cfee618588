"""Placement and Migration where the sites decide: the worlds of the single environment, split by the users' sites."""

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
    in_turn = {"slot_s": 0.0, "view": "central", "reward": "shared"}
    env, single = MODULES[task].parallel_env(**in_turn, **WORLDS[task]), EdgeEnv(task=task, **WORLDS[task])
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
    env = MODULES[task].parallel_env(slot_s=0.0, view="central", **weights, **WORLDS[task])
    single = EdgeEnv(task=task, **weights, **WORLDS[task])
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


@pytest.mark.parametrize("task", MODULES)
def test_terms_of_sites_that_decide_at_once_add_up(task):
    """In slots, on books of their own: every site's latency is that of its requests, and the sum that of the world."""
    often = {"applications_per_s": 3.0} if task == "placement" else {}
    env = MODULES[task].parallel_env(slot_s=1.0, heartbeat_s=3.0, **WORLDS[task], **often)
    _, infos = env.reset(seed=3)
    rng, n_sites, together = np.random.default_rng(0), env.batch.n_sites, 0
    paid, spent = np.zeros(n_sites), np.zeros(n_sites)
    np.add.at(spent, env.batch.ended()[0], env.batch.ended()[1]["latency_ns"] / SECOND)
    while env.agents:
        together = max(together, sum(info["active"] for info in infos.values()))
        idle = [agent for agent in env.agents if not infos[agent]["active"]]
        assert all(infos[agent]["action_mask"].sum() == 1 for agent in idle)
        obs, _, _, _, infos = env.step({agent: choose(infos[agent]["action_mask"], rng) for agent in env.agents})
        assert all(env.observation_space(agent).contains(obs[agent]) for agent in obs)
        assert env.state_space.contains(env.state())
        paid -= [infos[agent]["reward_terms"]["latency"] for agent in infos]
        rows, log = env.batch.ended()
        np.add.at(spent, rows, log["latency_ns"] / SECOND)
    assert paid == pytest.approx(spent, rel=1e-9) and together > 1


def test_wrong_arguments_are_refused_by_name():
    for name in ("slot_s", "heartbeat_s"):
        with pytest.raises(EdgeGymInputError, match=name):
            migration_v0.parallel_env(**{name: -1.0})
    with pytest.raises(EdgeGymInputError, match="view"):
        placement_v0.parallel_env(view="mine")
    with pytest.raises(EdgeGymInputError, match="task"):
        SitesVectorEnv(1, task="joint")
