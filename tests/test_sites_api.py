"""The PettingZoo environment: its checkers, and what they do not look at."""

import copy
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
from pettingzoo.test import parallel_seed_test, seed_test
from sites_play import run_checkers

from edge_gym import routing_v0
from edge_gym.checks import fingerprint
from edge_gym.errors import ClosedEnv, EdgeGymInputError, EpisodeOver, InvalidAction, ResetNeeded

SMALL = {
    "scenario": "mixed",
    "n_nodes": 5,
    "n_requests": 60,
    "age_s": 0.2,
    "queue_capacity": 1,
    "semantic_gap_mean_s": 4.0,
    "up_mean_s": 4.0,
    "down_mean_s": 2.0,
}
INFO = {"action_mask", "active", "reward_terms", "dt_s", "time_s", "events", "seed"}


def random_actions(infos, rng):
    return {agent: int(rng.choice(np.flatnonzero(info["action_mask"]))) for agent, info in infos.items()}


def rollout(env, seed, steps, policy_seed=0, look=lambda env: None):
    """Fingerprints of everything that random legal play returns, over as many episodes as it takes."""
    rng = np.random.default_rng(policy_seed)
    obs, infos = env.reset(seed=seed)
    seen = [fingerprint([obs, infos])]
    for _ in range(steps):
        look(env)
        if not env.agents:
            obs, infos = env.reset()
            seen.append(fingerprint([obs, infos]))
            continue
        obs, rewards, terminated, truncated, infos = env.step(random_actions(infos, rng))
        seen.append(fingerprint([obs, rewards, terminated, truncated, infos]))
    return seen


@pytest.mark.parametrize("slot_s", [0.0, 0.2])
def test_api_02_the_checkers_of_pettingzoo_find_nothing(slot_s):
    run_checkers(routing_v0, 1000, slot_s=slot_s, **SMALL)
    parallel_seed_test(lambda: routing_v0.parallel_env(slot_s=slot_s, illegal="decline", **SMALL))
    seed_test(lambda: routing_v0.env(slot_s=slot_s, **SMALL), num_cycles=100)


@pytest.mark.parametrize("slot_s", [0.0, 0.2])
def test_api_02_500_steps_are_equal_in_two_environments_and_not_for_another_seed(slot_s):
    first, second, other = (routing_v0.parallel_env(slot_s=slot_s, **SMALL) for _ in range(3))
    seen = rollout(first, 3, 500)
    assert seen == rollout(second, 3, 500)
    assert seen[:100] != rollout(other, 4, 99)
    assert seen == rollout(first, 3, 500), "reset(seed) begins the same sequence again"


def test_api_08_sites_are_constant_and_every_dict_has_them_all():
    env = routing_v0.parallel_env(slot_s=0.2, **SMALL)
    names = [f"site_{s}" for s in range(4)]
    assert env.possible_agents == names and all(re.fullmatch("[a-z]+_[0-9]+", name) for name in names)
    obs, infos = env.reset(seed=1)
    rng, dead_rows, idle = np.random.default_rng(0), 0, 0
    over = False
    while not over:
        assert env.agents == names and list(obs) == list(infos) == names
        for agent in names:
            assert env.observation_space(agent).contains(obs[agent])
            assert set(infos[agent]) == INFO
            mask = obs[agent]["action_mask"]
            assert (mask == infos[agent]["action_mask"]).all() and mask[-1] == 1
            if not infos[agent]["active"]:
                idle += 1
                assert mask.sum() == 1 and obs[agent]["observation"][0, 0] == 0
            dead = obs[agent]["observation"][:-1, 8] == 0
            dead_rows += dead.sum()
            assert (mask[:-1][dead] == 0).all()
        found = env.step(random_actions(infos, rng))
        obs, rewards, terminated, truncated, infos = found
        assert all(list(part) == names for part in found)
        assert all(np.isfinite(rewards[agent]) for agent in names)
        assert not any(terminated.values()) and len(set(truncated.values())) == 1
        over = truncated["site_0"]
    assert dead_rows > 0 and idle > 0
    assert env.agents == []
    with pytest.raises(EpisodeOver):
        env.step({})


def test_rep_08_looking_changes_nothing():
    plain = rollout(routing_v0.parallel_env(slot_s=0.2, **SMALL), 5, 150)

    def look(env):
        state = env.state()
        assert env.state_space.contains(state) and state.dtype == np.float32
        assert env.render() and repr(env) and (state == env.state()).all()
        for agent in env.agents:
            assert env.observation_space(agent) is env.observation_space(agent)
            assert env.action_space(agent) is env.action_space(agent)

    watched = rollout(routing_v0.parallel_env(slot_s=0.2, render_mode="ansi", **SMALL), 5, 150, look=look)
    assert plain == watched


def test_what_was_returned_is_not_written_again():
    env = routing_v0.parallel_env(slot_s=0.2, **SMALL)
    obs, infos = env.reset(seed=1)
    before = fingerprint([obs, infos])
    _, later = obs, env.step(random_actions(infos, np.random.default_rng(0)))
    assert fingerprint([obs, infos]) == before
    assert fingerprint([later[0], later[4]]) != before


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda env: pickle.loads(pickle.dumps(env))])
def test_copies_go_on_alike_and_apart(copied):
    env = routing_v0.parallel_env(slot_s=0.2, **SMALL)
    rng = np.random.default_rng(0)
    _, infos = env.reset(seed=1)
    for _ in range(10):
        *_, infos = env.step(random_actions(infos, rng))
    twin = copied(env)
    for _ in range(10):
        actions = random_actions(infos, rng)
        mine, other = env.step(actions), twin.step(actions)
        infos = mine[4]
        assert fingerprint(list(mine)) == fingerprint(list(other))


@pytest.mark.parametrize(
    "actions",
    [None, {}, {"site_0": 5}, dict.fromkeys(["site_0", "site_1", "site_2", "site_3", "site_4"], 5), "all"],
)
def test_actions_that_are_not_one_for_each_site_are_refused_and_change_nothing(actions):
    _refused(actions)


@pytest.mark.parametrize("action", [-1, 6, 1.0, None, True, "0", np.array([5]), float("nan")])
def test_malformed_actions_are_refused_and_change_nothing(action):
    _refused({"site_0": 5, "site_1": 5, "site_2": action, "site_3": 5})


def test_an_idle_site_may_only_decline():
    env = routing_v0.parallel_env(slot_s=0.2, **SMALL)
    _, infos = env.reset(seed=1)
    idle = next(agent for agent in env.agents if not infos[agent]["active"])
    _refused({agent: 0 if agent == idle else 5 for agent in env.agents})


def _refused(actions):
    env, twin = (routing_v0.parallel_env(slot_s=0.2, **SMALL) for _ in range(2))
    for one in (env, twin):
        _, infos = one.reset(seed=1)
    with pytest.raises(InvalidAction):
        env.step(actions)
    legal = random_actions(infos, np.random.default_rng(0))
    assert fingerprint(list(env.step(legal))) == fingerprint(list(twin.step(legal)))


def test_illegal_actions_can_be_taken_as_declining():
    env, twin = (routing_v0.parallel_env(slot_s=0.2, illegal="decline", **SMALL) for _ in range(2))
    for one in (env, twin):
        one.reset(seed=1)
    one, other = env.step(dict.fromkeys(env.agents, 0)), twin.step(dict.fromkeys(env.agents, 5))
    infos = one[4]
    assert [info["invalid_action"] for info in infos.values()].count(True) >= 1
    assert not any(info["invalid_action"] for info in other[4].values())


@pytest.mark.parametrize(
    ("field", "value"),
    [("slot_s", -0.1), ("slot_s", float("nan")), ("slot_s", "1"), ("slot_s", 1e-9), ("slot_s", True),
     ("heartbeat_s", 0), ("heartbeat_s", 1e9), ("reward", "mine"), ("view", "all"), ("illegal", "ignore"),
     ("render_mode", "human"), ("n_nodes", 0)],
)  # fmt: skip
def test_arguments_out_of_range_are_refused_by_name(field, value):
    with pytest.raises(EdgeGymInputError, match=field):
        routing_v0.parallel_env(**{field: value})


@pytest.mark.parametrize(
    ("field", "words"),
    [("slot", "did you mean 'slot_s'"), ("heartbeat", "did you mean 'heartbeat_s'"), ("views", "did you mean 'view'"),
     ("rendermode", "did you mean 'render_mode'"), ("n_node", "did you mean 'n_nodes'")],
)  # fmt: skip
def test_names_that_are_none_are_told_the_arguments_first(field, words):
    with pytest.raises(EdgeGymInputError, match=f"{field}: must be .*{words}"):
        routing_v0.parallel_env(**{field: 1})


def test_phases_are_guarded():
    env = routing_v0.parallel_env(**SMALL)
    with pytest.raises(ResetNeeded):
        env.step({})
    with pytest.raises(ResetNeeded):
        env.state()
    env.close()
    env.close()
    with pytest.raises(ClosedEnv):
        env.reset(seed=1)
    with pytest.raises(EdgeGymInputError, match="seed"):
        routing_v0.parallel_env(**SMALL).reset(seed=-1)


@pytest.mark.parametrize("first", ["edge_gym", "pettingzoo"])
def test_pettingzoo_makes_it_by_its_id(first):
    code = f"""
import {first}, warnings
warnings.simplefilter("error")
import edge_gym, pettingzoo
from edge_gym import routing_v0
from edge_gym.registration import register_parallel
register_parallel()
for kind in ("parallel", "aec"):
    env = pettingzoo.make(kind, "edge_gym/Routing-v0", scenario="stationary", n_sites=3)
    print(len(env.possible_agents))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["3", "3"], done.stderr[-2000:]
