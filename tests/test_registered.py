"""API rows of the reliability list, for every registered id and a few worlds of each kind."""

import copy
import json
import math
import os
import pickle
import subprocess
import sys
from functools import partial

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import EnvSpec
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from gymnasium.wrappers import FlattenObservation, TimeLimit

from edge_gym import checks
from edge_gym.checks import Player, fingerprint
from edge_gym.envs.single import EdgeEnv
from edge_gym.envs.vector import EdgeVectorEnv
from edge_gym.errors import ClosedEnv, EpisodeOver, InvalidAction, ResetNeeded
from edge_gym.registration import TABLE
from edge_gym.scenario import Change

ROUTING = "edge_gym/Routing-v0"
CONTROL = "edge_gym/MetaControl-v0"
# Short queues, unknown factors, old telemetry, nodes that slow down, leave and join: many masked choices and retries.
ROUGH = {
    "scenario": "overload",
    "n_nodes": 5,
    "queue_capacity": 2,
    "n_requests": 200,
    "bias_sigma": 0.5,
    "age_s": 0.3,
    "forecast_cv": 0.5,
    "drain_s": 20.0,
    "max_retries": 1,
    "timeline": (
        Change(time_s=5.0, node=0, what="speed", value=0.3),
        Change(time_s=10.0, node=1, what="alive", value=0),
        Change(time_s=20.0, node=1, what="alive", value=1),
        Change(time_s=30.0, node=2, what="alive", value=0),
    ),
}
# Everything at once, and a controller that is asked often.
BUSY = {
    "scenario": "mixed",
    "n_nodes": 5,
    "n_requests": 300,
    "age_s": 0.2,
    "forecast_cv": 0.5,
    "tick_s": 1.0,
    "cooldown_s": 0.1,
    "calls_per_s": 20.0,
    "semantic_gap_mean_s": 5.0,
    "duration_mean_s": 5.0,
}
CASES = [
    *(pytest.param(name, {}, id=name) for name in TABLE),
    pytest.param(ROUTING, ROUGH, id="rough"),
    pytest.param(CONTROL, ROUGH, id="control rough"),
    pytest.param(ROUTING, BUSY, id="busy"),
    pytest.param(CONTROL, BUSY, id="control busy"),
    pytest.param(ROUTING, {"scenario": "toy2"}, id="toy2"),
    pytest.param(ROUTING, {"scenario": "azure", "n_requests": 300, "n_nodes": 6}, id="azure"),
    pytest.param(ROUTING, {"scenario": "metro64"}, id="metro64"),
]
every_world = pytest.mark.parametrize(("name", "arguments"), CASES)
every_id = pytest.mark.parametrize("name", list(TABLE))


def maker(name, arguments=None, **more):
    return partial(gymnasium.make, name, **(arguments or {}), **more)


def noop_of(name, arguments):
    """The action that changes nothing: to decline, or to finish the turn."""
    return gymnasium.make(name, **arguments).unwrapped.batch.noop


def random_choices(rng, mask):
    """A random legal choice for each row."""
    return np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=1)


def finish(env, choose=None):
    """Plays an episode that has begun; all that `step` returned."""
    steps = []
    while not steps or not (steps[-1][2] or steps[-1][3]):
        mask = env.unwrapped.action_masks()
        steps.append(env.step(int(mask.argmax()) if choose is None else choose(mask)))
    return steps


# --- API-01, API-03, API-07: spaces, types, masks --------------------------------------------------------------------


@every_id
def test_api_01_gymnasium_check_env_without_a_warning(name):
    check_env(gymnasium.make(name, illegal="decline").unwrapped, skip_render_check=True)


def test_api_01_gymnasium_check_env_where_every_first_choice_is_legal():
    check_env(gymnasium.make(ROUTING, illegal="raise").unwrapped, skip_render_check=True)


@every_world
def test_api_01_gymnasium_check_env_of_other_worlds(name, arguments):
    check_env(gymnasium.make(name, illegal="decline", **arguments).unwrapped, skip_render_check=True)


@every_id
def test_api_01_gymnasium_check_env_with_its_render_modes(name, monkeypatch):
    monkeypatch.setattr("edge_gym.window.has_screen", lambda: True)  # the window is then drawn in memory
    check_env(gymnasium.make(name, illegal="decline").unwrapped)


@every_id
def test_api_01_stable_baselines_check_env(name):
    checker = pytest.importorskip("stable_baselines3.common.env_checker")
    checker.check_env(FlattenObservation(gymnasium.make(name, illegal="decline")), warn=True)


@every_world
def test_api_03_20000_random_steps_stay_in_their_spaces(name, arguments):
    env = gymnasium.make_vec(name, num_envs=50, **arguments)
    low, high = env.single_observation_space.low, env.single_observation_space.high
    assert np.isfinite(low).all() and np.isfinite(high).all()
    rng = np.random.default_rng(3)
    noop = noop_of(name, arguments)
    obs, info = env.reset(seed=3)
    ends = masked = 0
    for k in range(420):
        assert obs.dtype == np.float32 and obs.shape == env.observation_space.shape
        assert ((obs >= low) & (obs <= high)).all(), f"step {k}: outside its bounds in {np.argwhere(~(obs >= low))[:3]}"
        if k % 40 == 0:
            assert obs in env.observation_space
            assert all(row in env.single_observation_space for row in obs)
        actions = random_choices(rng, info["action_mask"])
        if name == CONTROL:
            actions[rng.random(50) < 0.5] = noop  # or hardly any time would pass
        obs, reward, terminated, truncated, info = env.step(actions)
        assert reward.dtype == np.float64 and reward.shape == (50,) and np.isfinite(reward).all()
        assert terminated.dtype == truncated.dtype == bool and terminated.shape == truncated.shape == (50,)
        assert not terminated.any()
        assert info["action_mask"].dtype == bool and info["action_mask"][:, noop].all()
        ends += int(truncated.sum())
        masked += int((~info["action_mask"]).sum())
        assert json.dumps(info, allow_nan=False, default=lambda value: value.tolist())
    if "n_requests" in arguments or arguments.get("scenario") == "toy2":
        assert ends >= (20 if name == CONTROL else 50), "the fuzz should see many ends of episodes"
    if arguments is ROUGH:
        assert masked > 10_000, "the fuzz should see many masked choices"


@every_world
def test_api_03_api_07_single_environment_spaces_types_and_masks(name, arguments):
    checks.check_spaces_and_masks(maker(name, arguments), n_steps=1000, probes=4)


def test_api_07_every_choice_is_taken_or_refused_as_the_mask_says():
    """In random states: what is masked in is accepted, what is masked out raises and leaves every byte as it was."""
    env = EdgeEnv(**ROUGH)
    player = Player(env, 11)
    taken = refused = 0
    for _ in range(400):
        while player.last.over:
            player.step()
        saved = env.get_state()
        before = fingerprint(saved)
        for action, legal in enumerate(player.mask):
            if legal:
                env.step(action)
                env.set_state(saved)
                taken += 1
            else:
                with pytest.raises(InvalidAction, match=rf"action = {action}: .*legal now"):
                    env.step(action)
                refused += 1
            assert fingerprint(env.get_state()) == before
        player.step()
    assert taken > 400 and refused > 400


def test_api_07_the_mask_is_the_one_of_the_state_the_agent_sees():
    """A queue of one on a single slot: the node is masked out while it is full, and legal again once it is not."""
    env = EdgeEnv(scenario="toy2", n_nodes=1, queue_capacity=1, rate_per_s=100.0, n_requests=4)
    _, info = env.reset(seed=1)
    legal = [info["action_mask"].tolist()]
    for _ in range(3):
        obs, *_, info = env.step(int(info["action_mask"].argmax()))
        legal.append(info["action_mask"].tolist())
        assert info["action_mask"].tolist() == obs[:, 7].astype(bool).tolist()
    assert legal == [[True, True], [True, True], [False, True], [False, True]]


# --- API-04: aliasing ------------------------------------------------------------------------------------------------


@every_world
def test_api_04_what_is_returned_is_nobody_elses(name, arguments):
    checks.check_no_aliasing(maker(name, arguments))


@pytest.mark.parametrize("mode", list(AutoresetMode))
def test_api_04_vector_returns_are_nobody_elses(mode):
    def play(spoilt):
        env = EdgeVectorEnv(3, autoreset_mode=mode, **ROUGH)
        rng = np.random.default_rng(4)
        moment = (*env.reset(seed=4), None, None, None)
        hashes, kept = [], []
        for _ in range(260):
            mask = env.action_masks()
            hashes.append(fingerprint(moment))
            if spoilt:
                for value in moment:
                    checks.spoil(value)
            kept.append(moment)
            actions = random_choices(rng, mask)
            asked = actions.copy()
            if mode is AutoresetMode.DISABLED and env._done.any():
                moment = (*env.reset(options={"reset_mask": env._done.copy()}), None, None, None)
            else:
                moment = env.step(actions)
            assert np.array_equal(actions, asked), "the actions were written to"
        if not spoilt:
            assert [fingerprint(moment) for moment in kept] == hashes, "a returned value changed later"
        return hashes

    assert play(spoilt=False) == play(spoilt=True)


def test_api_04_vector_parts_of_one_return_do_not_share_memory():
    env = EdgeVectorEnv(2, scenario="toy2", autoreset_mode="same_step")
    env.reset(seed=1)
    for _ in range(10):
        obs, reward, terminated, truncated, info = env.step(np.array([2, 2]))
    final = info["final_info"]
    arrays = [obs, reward, terminated, truncated, info["final_obs"]]
    arrays += [info[key] for key in ("action_mask", "dt_s", "time_s", "seed")]
    arrays += [final[key] for key in ("action_mask", "dt_s", "time_s", "seed")]
    arrays += [info["reward_terms"]["latency"], final["reward_terms"]["latency"]]
    before = [fingerprint(a) for a in arrays]
    for k, array in enumerate(arrays):
        old = array.copy()
        array[...] = 1 if array.dtype == bool else 99
        others = [fingerprint(a) for a in arrays]
        assert others[:k] + others[k + 1 :] == before[:k] + before[k + 1 :], f"array {k} shares memory with another"
        array[...] = old


# --- API-05, API-06: how an episode ends -----------------------------------------------------------------------------


@pytest.mark.parametrize("n_requests", [1, 2, 37])
def test_api_05_exactly_n_requests_then_truncated_never_terminated(n_requests):
    env = gymnasium.make(ROUTING, n_requests=n_requests)
    env.reset(seed=5)
    steps = finish(env)
    assert [step[3] for step in steps] == [False] * (n_requests - 1) + [True]
    assert not any(step[2] for step in steps)
    obs, _, _, _, info = steps[-1]
    assert not obs[:, 0].any(), "the last observation has no request"
    assert info["action_mask"].tolist() == [False] * (len(obs) - 1) + [True]


@pytest.mark.parametrize("offset_ns", [-1, 0, 1])
def test_api_05_arrivals_stop_exactly_at_the_horizon(offset_ns):
    """The 20th request arrives at the horizon itself, a nanosecond after it (too late), a nanosecond before it."""
    env = gymnasium.make(ROUTING, n_requests=50)
    _, info = env.reset(seed=6)
    arrivals = [info["time_s"], *(step[4]["time_s"] for step in finish(env)[:-1])]
    horizon_s = (round(arrivals[19] * 1e9) + offset_ns) / 1e9
    env = gymnasium.make(ROUTING, n_requests=50, horizon_s=horizon_s)
    env.reset(seed=6)
    steps = finish(env)
    assert len(steps) == (20 if offset_ns >= 0 else 19)
    assert [step[3] for step in steps] == [False] * (len(steps) - 1) + [True]
    assert not any(step[2] for step in steps)


def test_api_05_scripted_episode_of_toy2_to_the_last_figure():
    """All ten requests to the node of 1 s, one after the other: the return is minus the sum of the times in system."""
    env = gymnasium.make(ROUTING, scenario="toy2")
    _, info = env.reset(seed=7)
    arrivals, total, free_at = [info["time_s"]], 0.0, 0.0
    for k in range(10):
        obs, reward, terminated, truncated, info = env.step(0)
        total += reward
        assert (terminated, truncated) == (False, k == 9)
        if not truncated:
            arrivals.append(info["time_s"])
    latency = 0.0
    for at in arrivals:
        free_at = max(free_at, at) + 1.0
        latency += free_at - at
    assert total == pytest.approx(-latency, rel=0, abs=1e-7)
    assert info["time_s"] == pytest.approx(free_at, rel=0, abs=1e-7), "the world has drained"


@pytest.mark.parametrize(("limit", "expected"), [(1, 1), (9, 9), (30, 30), (31, 30), (1000, 30)])
def test_api_06_the_smallest_time_limit_wins(limit, expected):
    env = gymnasium.make(ROUTING, n_requests=30, max_episode_steps=limit)
    assert env.spec.max_episode_steps == limit
    for seed in (1, None):
        env.reset(seed=seed)
        steps = finish(env)
        assert len(steps) == expected
        assert [(step[2], step[3]) for step in steps] == [(False, False)] * (expected - 1) + [(False, True)]


@pytest.mark.parametrize(("inner", "outer"), [(5, 8), (8, 5), (50, 5), (5, 50)])
def test_api_06_nested_time_limits(inner, outer):
    env = TimeLimit(gymnasium.make(ROUTING, n_requests=20, max_episode_steps=inner), outer)
    env.reset(seed=1)
    assert len(finish(env)) == min(inner, outer, 20)


def test_api_06_a_step_limit_of_the_vector_environment_is_not_ignored():
    with pytest.raises(ValueError, match="max_episode_steps"):
        gymnasium.make_vec(ROUTING, num_envs=2, max_episode_steps=5)
    assert all(gymnasium.spec(name).max_episode_steps is None for name in TABLE)


# --- API-09 to API-12: objects and state -----------------------------------------------------------------------------


@every_world
def test_api_09_spaces_are_the_same_objects_and_bounded(name, arguments):
    single, vector = gymnasium.make(name, **arguments).unwrapped, gymnasium.make_vec(name, num_envs=2, **arguments)
    for env, names in (
        (single, ("observation_space", "action_space")),
        (vector, ("observation_space", "action_space", "single_observation_space", "single_action_space")),
    ):
        before = [getattr(env, space) for space in names]
        env.reset(seed=1)
        env.step(env.action_masks().argmax(axis=-1))
        assert all(getattr(env, space) is kept for space, kept in zip(names, before, strict=True))
    assert single.observation_space == vector.single_observation_space
    assert single.action_space == vector.single_action_space
    assert single.observation_space.is_bounded()
    n_nodes, n_models = single.world.n_nodes, len(single.world.model_names)
    assert single.observation_space.shape == (n_nodes + 1, len(single.task.columns))
    assert single.action_space.n == single.task.n_actions(n_nodes, n_models) == single.action_masks().size


@every_id
def test_api_09_rows_have_the_same_columns_at_every_size(name):
    spaces = [gymnasium.make(name, n_nodes=n).observation_space for n in (2, 16, 33)]
    assert {space.shape[1] for space in spaces} == {spaces[0].shape[1]}
    assert all(np.array_equal(space.low[0], spaces[0].low[-1]) for space in spaces)


@every_id
def test_api_10_step_outside_an_episode(name):
    env = gymnasium.make(name, n_requests=2).unwrapped
    noop = env.batch.noop
    with pytest.raises(ResetNeeded, match=r"reset\(\)"):
        env.step(noop)
    env.reset(seed=1)
    finish(env)
    over = fingerprint(env.get_state())
    for _ in range(2):
        with pytest.raises(EpisodeOver, match=r"reset\(\)"):
            env.step(noop)
    assert fingerprint(env.get_state()) == over
    env.reset()
    env.step(noop)
    env.close()
    env.close()
    for call in (lambda: env.step(noop), env.reset, lambda: env.set_state({})):
        with pytest.raises(ClosedEnv, match="closed"):
            call()


@every_id
def test_api_10_reset_in_the_middle_of_an_episode(name):
    env = gymnasium.make(name, n_requests=20)
    player = Player(env, 3)
    player.play(7)
    fresh = Player(gymnasium.make(name, n_requests=20), 4).play(50)
    assert Player(env, 4).play(50) == fresh


@every_world
def test_api_11_reset_fully_resets(name, arguments):
    """After many episodes (or the beginning of one), a seed gives what it gives in a new instance."""
    short = {**arguments, "n_requests": 20}
    used = gymnasium.make(name, **short)
    Player(used, 1).play(100 * 21 if arguments is ROUGH and name == ROUTING else 200)
    for seed in (8, 9):
        assert Player(used, seed).play(60) == Player(gymnasium.make(name, **short), seed).play(60)


@every_world
def test_api_12_two_instances_do_not_know_of_each_other(name, arguments):
    make = maker(name, arguments)
    alone = [Player(make(), seed).play(300) for seed in (1, 2)]
    players = [Player(make(), seed) for seed in (1, 2)]
    together = [[fingerprint(player.last)] for player in players]
    for _ in range(300):
        for hashes, player in zip(together, players, strict=True):
            hashes.append(fingerprint(player.step()))
    assert together == alone


def test_api_12_fm_02_metadata_is_not_shared_and_not_written_to():
    before = copy.deepcopy(EdgeEnv.metadata)
    single = EdgeEnv(scenario="toy2")
    envs = [EdgeVectorEnv(2, scenario="toy2", autoreset_mode=mode) for mode in ("next_step", "same_step", "disabled")]
    assert [env.metadata["autoreset_mode"] for env in envs] == list(AutoresetMode)
    assert len({id(env.metadata) for env in envs}) == 3
    for mode in (AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP):
        make = maker(ROUTING, {"scenario": "toy2"})
        gymnasium.vector.SyncVectorEnv([make, make], autoreset_mode=mode).close()
    single.metadata["autoreset_mode"] = "spoilt"  # as the vector environments of Gymnasium 1.2 did
    assert EdgeEnv.metadata == before == EdgeEnv(scenario="toy2").metadata
    assert "autoreset_mode" not in EdgeVectorEnv.metadata


# --- the registry ----------------------------------------------------------------------------------------------------


@every_id
def test_api_spec_survives_json_and_pickle(name):
    env = gymnasium.make(name, n_requests=9, n_nodes=4, illegal="decline")
    expected = Player(env, 1).play(30)
    for spec in (EnvSpec.from_json(env.spec.to_json()), pickle.loads(pickle.dumps(env.spec))):
        again = gymnasium.make(spec)
        assert again.unwrapped.illegal == "decline"
        assert Player(again, 1).play(30) == expected


@every_id
def test_api_make_vec_gives_the_vector_environment_or_gymnasiums(name):
    own = gymnasium.make_vec(name, num_envs=3, n_requests=5, autoreset_mode="same_step")
    assert isinstance(own, EdgeVectorEnv)
    assert own.num_envs == 3 and own.metadata["autoreset_mode"] is AutoresetMode.SAME_STEP
    assert own.spec.id == name
    sync = gymnasium.make_vec(name, num_envs=3, vectorization_mode="sync", n_requests=5)
    assert isinstance(sync, gymnasium.vector.SyncVectorEnv)
    assert sync.single_observation_space == own.single_observation_space
    assert gymnasium.make_vec(own.spec, num_envs=3).num_envs == 3
    for env in (own, sync):
        assert env.reset(seed=1)[0] in env.observation_space
        env.close()


def test_api_make_in_the_style_of_rllib():
    """RLlib registers a creator of its own that calls `gymnasium.make`, and asks for the vector entry point."""
    module_id = f"edge_gym:{ROUTING}"
    gymnasium.register(
        "test-creator-v0",
        entry_point=lambda **config: gymnasium.make(module_id, **config),
        vector_entry_point=lambda num_envs, **config: gymnasium.make_vec(module_id, num_envs=num_envs, **config),
    )
    try:
        env = gymnasium.make("test-creator-v0", scenario="toy2")
        assert isinstance(env.unwrapped, EdgeEnv) and len(Player(env, 1).play(11)) == 12
        for mode in ("vector_entry_point", "sync"):
            vector = gymnasium.make_vec("test-creator-v0", num_envs=2, vectorization_mode=mode, scenario="toy2")
            obs, info = vector.reset(seed=1)
            for _ in range(12):  # over the end of an episode, which the next step begins anew
                obs, _, _, truncated, info = vector.step(info["action_mask"].argmax(axis=1))
                assert obs in vector.observation_space
            assert vector.metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP
            vector.close()
    finally:
        del gymnasium.registry["test-creator-v0"]


def test_api_make_imports_the_package_by_itself():
    code = (
        "import gymnasium\n"
        f"env = gymnasium.make('edge_gym:{ROUTING}', scenario='toy2')\n"
        f"vec = gymnasium.make_vec('edge_gym:{ROUTING}', num_envs=2, scenario='toy2')\n"
        "print(env.reset(seed=1)[1]['seed'], vec.reset(seed=[1, 2])[1]['seed'].tolist())\n"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=200, env={**os.environ}
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split("\n")[0] == "1 [1, 2]"


def test_api_registering_twice_changes_nothing():
    from edge_gym.registration import register_all

    before = {name: gymnasium.registry[name] for name in TABLE}
    register_all()
    assert all(gymnasium.registry[name] is before[name] for name in TABLE)


# --- the checks themselves -------------------------------------------------------------------------------------------


@every_world
def test_checks_conservation(name, arguments):
    assert checks.check_conservation(maker(name, arguments)), "the counters of the world were not found"


def test_checks_conservation_is_not_asked_of_strangers():
    assert not checks.check_conservation(lambda: gymnasium.make("FrozenLake-v1"))


class Spoilt(gymnasium.Wrapper):
    """A sound environment with one planted defect."""

    def __init__(self, defect):
        super().__init__(EdgeEnv(**ROUGH))
        self.defect, self.steps, self.last = defect, 0, None
        self.noise = np.random.default_rng()

    @property
    def unwrapped(self):
        return self  # or copies would be made of the sound one inside

    @property
    def batch(self):
        return self.env.batch

    def action_masks(self):
        return self.env.action_masks()

    def reset(self, **arguments):
        obs, info = self.env.reset(**arguments)
        self.steps = 0
        return self._show(obs, info)

    def step(self, action):
        self.steps += 1
        if self.defect == "takes illegal choices" and not self.env.action_masks()[action]:
            action = self.env.action_space.n - 1
        if self.defect == "refuses legal choices" and action == 0:
            raise ValueError("not today")
        obs, reward, terminated, truncated, info = self.env.step(action)
        if self.defect == "random from step 2 on" and self.steps >= 2:
            obs[0, 0] = self.noise.random()
        if self.defect == "out of bounds from step 3 on" and self.steps >= 3:
            obs[1, 2] = 1.5
        if self.defect == "reward is nan":
            reward = float("nan")
        if self.defect == "reward is numpy":
            reward = np.float32(reward)
        if self.defect == "flag is numpy":
            truncated = np.bool_(truncated)
        if self.defect == "info is infinite":
            info["dt_s"] = math.inf
        if self.defect == "loses requests" and self.steps == 5:
            self.env.batch.state.world["in_system"] -= 1
        if self.defect == "latency term is wrong":
            info["reward_terms"]["latency"] -= 1e-8
        obs, info = self._show(obs, info)
        return obs, reward, terminated, truncated, info

    def _show(self, obs, info):
        if self.defect == "one observation array":
            self.last = obs.copy() if self.last is None else self.last
            self.last[...] = obs
            obs = self.last
        if self.defect == "mask without decline":
            info["action_mask"][-1] = False
        if self.defect == "mask of integers":
            info["action_mask"] = info["action_mask"].astype(np.int8)
        if self.defect == "stale mask":
            now = info["action_mask"].copy()
            info["action_mask"] = now if self.last is None else self.last
            self.last = now
        return obs, info

    def render(self):
        if self.defect == "rendering steps the world":
            self.env.batch.state.node["slowdown"] += 0.1
        return None

    @property
    def render_mode(self):
        return "ansi"

    def __deepcopy__(self, memo):
        other = Spoilt(self.defect)
        other.env = copy.deepcopy(self.env, memo)
        other.steps, other.last = self.steps, copy.deepcopy(self.last)
        if self.defect == "copies forget":
            other.env.batch.state.node["slowdown"] = 1.0
            other.env.batch.state.node["evidence"] = 0
        return other


DEFECTS = {
    "random from step 2 on": (checks.check_determinism, "differ, first at step 2"),
    "out of bounds from step 3 on": (checks.check_spaces_and_masks, "step 3: the observation is not in .*1.5 at "),
    "reward is nan": (checks.check_spaces_and_masks, "step 1: reward nan"),
    "reward is numpy": (checks.check_spaces_and_masks, "step 1: reward np.float32"),
    "flag is numpy": (checks.check_spaces_and_masks, "truncated is a bool"),
    "info is infinite": (checks.check_spaces_and_masks, "info is not plain, finite data"),
    "mask without decline": (checks.check_spaces_and_masks, "choice 5, which changes nothing, is not legal"),
    "mask of integers": (checks.check_spaces_and_masks, "the mask is int8"),
    "stale mask": (checks.check_spaces_and_masks, r"action_masks\(\) and info"),
    "takes illegal choices": (checks.check_spaces_and_masks, "is masked out but was accepted"),
    "refuses legal choices": (checks.check_spaces_and_masks, "is legal by the mask but was refused: not today"),
    "loses requests": (checks.check_conservation, "step 5: arrived .* ended .* in the system"),
    "latency term is wrong": (checks.check_conservation, "the terms say"),
    "copies forget": (checks.check_clone_and_state, "the original and its deepcopy, made after"),
    "rendering steps the world": (checks.check_render_has_no_effect, "a run and the same run looked at differ"),
    "one observation array": (checks.check_no_aliasing, "what step 0 returned.* changed in later steps"),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_checks_find_a_planted_defect(defect):
    check, message = DEFECTS[defect]
    with pytest.raises(AssertionError, match=message):
        check(lambda: Spoilt(defect))


def test_checks_find_a_seed_without_effect():
    class Deaf(gymnasium.Wrapper):
        def reset(self, *, seed=None, options=None):
            return self.env.reset(seed=None if seed is None else 5, options=options)

    with pytest.raises(AssertionError, match="seeds 1 and 2 lead to the same trajectory"):
        checks.check_determinism(lambda: Deaf(EdgeEnv(scenario="toy2")), n_steps=50, seeds=(1,))


def test_checks_pass_on_an_environment_of_someone_else():
    """Without masks, counters, clones or saved states."""

    def make():
        return gymnasium.make("CartPole-v1")

    checks.check_determinism(make, n_steps=200)
    checks.check_clone_and_state(make, n_steps=50, moments=(0, 5))
    checks.check_no_aliasing(make, n_steps=50, keep=10)
    checks.check_render_has_no_effect(make, n_steps=50)


def test_checks_fingerprints_tell_values_apart():
    values = [
        1, 1.0, True, "1", None, b"1", 0.0, -0.0, [1], [1, 2], [[1], 2], {"a": 1}, {"a": 1, "b": 2}, {"a": {"b": 2}},
        np.zeros(2), np.zeros((2, 1)), np.zeros(2, np.float32), np.float64(1), np.int64(1), np.bool_(True),
        np.zeros(1, [("a", "i4")]), np.zeros(1, [("b", "i4")]),
    ]  # fmt: skip
    hashes = [fingerprint(value) for value in values]
    same = {(i, j) for i in range(len(values)) for j in range(i) if hashes[i] == hashes[j]}
    assert same == {(17, 1)}, "np.float64 is a float; everything else differs"
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    with pytest.raises(AssertionError, match="object has no canonical form"):
        fingerprint(object())
