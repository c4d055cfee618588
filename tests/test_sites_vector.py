"""The vectorised form: rows are the sites of worlds, and each world is the parallel environment bit for bit."""

import numpy as np
import pytest
from sites_play import Sites, preset, random_legal

from edge_gym import routing_v0
from edge_gym.envs.sites import SitesVectorEnv
from edge_gym.errors import EdgeGymInputError, InvalidAction
from edge_gym.kernel.tables import TERMS
from edge_gym.scenario import Change

SMALL = {"scenario": "churn", "n_nodes": 5, "n_sites": 3, "n_requests": 30, "age_s": 0.2, "up_mean_s": 4.0}
SLOT_S = 0.3
SEEDS = [11, 12, 13]


def choose(mask, rng):
    weight = rng.random(mask.shape[-1]) * mask
    weight[-1] *= 0.02
    return int(weight.argmax())


def alone(seed, rng, n_episodes):
    """Every step of the parallel environment, over several episodes."""
    env = routing_v0.parallel_env(slot_s=SLOT_S, **SMALL)
    steps = []
    for k in range(n_episodes):
        obs, infos = env.reset(seed=seed if k == 0 else None)
        steps.append((obs, None, False, infos))
        while env.agents:
            actions = {agent: choose(infos[agent]["action_mask"], rng) for agent in env.agents}
            obs, rewards, _, truncated, infos = env.step(actions)
            steps.append((obs, rewards, truncated["site_0"], infos))
    return steps


def same(step, obs, reward, truncated, info, b):
    """The rows of world `b` are what the parallel environment returned."""
    for s in range(3):
        row, agent = 3 * b + s, f"site_{s}"
        assert step[0][agent]["observation"].tobytes() == obs[row].tobytes()
        assert (step[0][agent]["action_mask"] == info["action_mask"][row]).all()
        mine = step[3][agent]
        for key in ("dt_s", "time_s", "seed", "events", "active"):
            assert mine[key] == info[key][row], key
        assert mine["reward_terms"] == {name: info["reward_terms"][name][row] for name in TERMS}
        if step[1] is not None:
            assert step[1][agent] == reward[row] and step[2] == truncated[row]


def test_rep_03_every_world_is_the_parallel_environment_bit_for_bit():
    expected = [alone(seed, np.random.default_rng(seed), 2) for seed in SEEDS]
    env = SitesVectorEnv(3, slot_s=SLOT_S, **SMALL)
    assert env.num_envs == 9 and env.batch.n_worlds == 3
    rngs = [np.random.default_rng(seed) for seed in SEEDS]
    obs, info = env.reset(seed=SEEDS)
    reward = truncated = np.zeros(9)
    over = np.zeros(9, bool)
    for k in range(min(map(len, expected))):
        for b in range(3):
            same(expected[b][k], obs, reward, truncated, info, b)
        actions = [env.world.n_nodes if over[row] else choose(info["action_mask"][row], rngs[row // 3])
                   for row in range(9)]  # fmt: skip
        obs, reward, terminated, truncated, info = env.step(np.array(actions))
        over = truncated
        assert not terminated.any() and (truncated.reshape(3, 3).all(1) == truncated.reshape(3, 3).any(1)).all()
    assert len({len(steps) for steps in expected}) > 1, "the worlds should not end together"


def test_same_step_reset_gives_the_last_observation_and_goes_on():
    later, env = (SitesVectorEnv(2, slot_s=SLOT_S, autoreset_mode=m, **SMALL) for m in ("next_step", "same_step"))
    rng, other = np.random.default_rng(0), np.random.default_rng(0)
    obs, info = env.reset(seed=3)
    _, told = later.reset(seed=3)
    for _ in range(400):
        actions = np.array([choose(mask, rng) for mask in info["action_mask"]])
        obs, reward, _, truncated, info = env.step(actions)
        last, paid, _, ended, told = later.step(np.array([choose(mask, other) for mask in told["action_mask"]]))
        assert (ended == truncated).all() and (paid == reward).all()
        if truncated.any():
            break
    assert truncated.any()
    assert info["final_obs"][truncated].tobytes() == last[truncated].tobytes()
    assert (info["time_s"][truncated] < info["final_info"]["time_s"][truncated]).all()
    assert (info["seed"][truncated] != info["final_info"]["seed"][truncated]).all()
    assert info["active"].reshape(2, 3).any(axis=1).all(), "a world that goes on asks somebody"


def test_central_books_ask_one_site_at_a_time():
    env = SitesVectorEnv(2, slot_s=SLOT_S, view="central", scenario="overload", n_sites=3, n_requests=40, load=2.0)
    _, info = env.reset(seed=3)
    rng = np.random.default_rng(0)
    for _ in range(60):
        active = info["active"].reshape(2, 3)
        assert (active.sum(axis=1) <= 1).all()
        _, _, _, truncated, info = env.step(np.array([choose(mask, rng) for mask in info["action_mask"]]))
        if truncated.any():
            break
    assert env.batch.state.panel["refused"].sum() == 0


def test_idle_rows_may_only_decline_and_are_checked():
    env = SitesVectorEnv(2, slot_s=SLOT_S, **SMALL)
    _, info = env.reset(seed=3)
    idle = ~info["active"]
    assert (info["action_mask"][idle].sum(axis=1) == 1).all() and info["action_mask"][idle, -1].all()
    actions = np.full(6, 5)
    actions[idle.argmax()] = 0
    with pytest.raises(InvalidAction, match="masked out"):
        env.step(actions)


def test_reset_masks_are_about_worlds():
    env = SitesVectorEnv(2, slot_s=SLOT_S, autoreset_mode="disabled", **SMALL)
    env.reset(seed=3)
    with pytest.raises(EdgeGymInputError, match="all sites of a world"):
        env.reset(options={"reset_mask": np.arange(6) == 0})
    with pytest.raises(EdgeGymInputError, match="seed"):
        env.reset(seed=[1, 2, 3, 4, 5, 6])
    _, before = env.reset(options={"reset_mask": np.zeros(6, bool) | (np.arange(6) > 2)})
    assert before["seed"].tolist()[:3] == [before["seed"][0]] * 3 != before["seed"].tolist()[3:]


def test_saved_states_go_on_alike():
    env = SitesVectorEnv(2, slot_s=SLOT_S, **SMALL)
    rng = np.random.default_rng(0)
    _, info = env.reset(seed=3)
    for _ in range(15):
        _, _, _, _, info = env.step(np.array([choose(mask, rng) for mask in info["action_mask"]]))
    saved, twin = env.get_state(), SitesVectorEnv(2, slot_s=SLOT_S, **SMALL)
    twin.set_state(saved)
    actions = np.array([choose(mask, rng) for mask in info["action_mask"]])
    mine, other = env.step(actions), twin.step(actions)
    assert mine[0].tobytes() == other[0].tobytes() and (mine[1] == other[1]).all()


def test_nothing_that_is_still_to_come_is_seen():
    """Future perturbation: what happens from 8 s on changes nothing of what sites saw before, and something after."""
    plain = {"scenario": "mixed", "n_nodes": 5, "n_sites": 3, "n_requests": 60, "age_s": 0.2}
    at_s = 4.0
    changes = tuple(Change(time_s=at_s, node=n, what="speed", value=0.2) for n in range(5))
    name = plain.pop("scenario")
    one, two = Sites(preset(name, **plain), slot_s=0.2), Sites(preset(name, timeline=changes, **plain), slot_s=0.2)
    rngs = [np.random.default_rng(1), np.random.default_rng(1)]
    early, differs = 0, False
    while not one.over.all() and not two.over.all() and not differs:
        if max(one.batch.time_s[0], two.batch.time_s[0]) < at_s:
            assert one.obs.tobytes() == two.obs.tobytes()
            early += 1
        else:
            differs = one.obs.tobytes() != two.obs.tobytes()
        one.advance(random_legal(one, rngs[0]))
        two.advance(random_legal(two, rngs[1]))
    assert early > 10 and differs
