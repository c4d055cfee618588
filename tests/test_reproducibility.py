"""REP rows of the reliability list: the same seed gives the same bytes, whatever happens around it."""

import copy
import os
import pickle
import random
import subprocess
import sys
import time
from functools import partial

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, SyncVectorEnv

from edge_gym import checks
from edge_gym.checks import Player, fingerprint
from edge_gym.envs.batch import episode_seed
from edge_gym.envs.single import EdgeEnv
from edge_gym.envs.vector import EdgeVectorEnv
from edge_gym.privileged import Privileged
from edge_gym.registration import TABLE
from edge_gym.scenario import Change
from edge_gym.scenario.presets import PRESETS

ROUTING = "edge_gym/Routing-v0"
# Everything at once: bursts, short queues, unknown factors, old telemetry, nodes that slow down, leave and join.
ROUGH = {
    "scenario": "overload",
    "n_nodes": 5,
    "queue_capacity": 2,
    "bias_sigma": 0.5,
    "age_s": 0.3,
    "forecast_cv": 0.5,
    "timeline": (
        Change(time_s=1.0, node=0, what="speed", value=0.3),
        Change(time_s=2.0, node=1, what="alive", value=0),
        Change(time_s=3.0, node=1, what="alive", value=1),
    ),
}
MIXED = {
    "scenario": "mixed", "n_nodes": 4, "semantic_gap_mean_s": 4.0, "chatter_gap_s": 5.0, "up_mean_s": 6.0,
    "drift_gap_mean_s": 4.0, "age_s": 0.1,
}  # fmt: skip
WORLDS = {
    "toy2": {"scenario": "toy2"},
    "stationary": {"scenario": "stationary", "n_requests": 40},
    "rough": {**ROUGH, "n_requests": 40},
    "azure": {"scenario": "azure", "n_nodes": 4, "n_requests": 40},
    "mixed": {**MIXED, "n_requests": 40},
    "control": {**MIXED, "n_requests": 60, "task": "metacontrol", "tick_s": 2.0, "max_calls_a_turn": 3},
}
every_world = pytest.mark.parametrize("world", WORLDS)


def maker(world):
    return partial(gymnasium.make, f"edge_gym:{ROUTING}", **WORLDS[world])


# --- REP-01, REP-02: two instances, and a third --------------------------------------------------------------------


def _determinism_cases():
    for name in TABLE:
        yield pytest.param(name, {}, 10_000, id=name)
    for name in PRESETS:
        if name.startswith("routing/"):
            if name not in ("routing/stationary", "routing/metro1000"):  # the default; and 10,000 steps of 108 kB
                short = {} if name == "routing/toy2" else {"n_requests": 200}
                yield pytest.param(ROUTING, {"scenario": name, **short}, 5 * 201, id=name)
        elif name not in ("placement/metro-1000", "placement/global-120"):  # large ones
            task = name.partition("/")[0]
            yield pytest.param(f"edge_gym/{task.title()}-v0", {"scenario": name, "horizon_s": 20.0}, 600, id=name)
    yield pytest.param(ROUTING, {**ROUGH, "n_requests": 200}, 5 * 220, id="rough")


@pytest.mark.parametrize(("name", "arguments", "n_steps"), list(_determinism_cases()))
def test_rep_01_rep_02_instances_with_one_seed_are_equal_and_the_next_seed_differs(name, arguments, n_steps):
    checks.check_determinism(partial(gymnasium.make, name, **arguments), n_steps)


def test_rep_02_seeds_differ_from_the_first_episode_on():
    hashes = [Player(EdgeEnv(**WORLDS["stationary"]), seed).play(39) for seed in range(8)]
    for k, column in enumerate(zip(*hashes, strict=True)):
        assert len(set(column)) == len(column), f"two of the seeds agree at step {k}"


# --- REP-03: single, Sync, Async and own vector environments ------------------------------------------------------


class Chooser:
    """Random legal choices of one row, the same whatever else is in the batch."""

    def __init__(self, seed):
        self.rng = np.random.default_rng([int(seed), 3])

    def __call__(self, mask):
        return int(np.where(mask, self.rng.random(len(mask)), -1.0).argmax())


def _moment(obs, reward, truncated, info, b=None):
    """What one row saw, in one form for all kinds of environments."""
    mine = (lambda value: value) if b is None else (lambda value: value[b])
    # A cost of nothing is -0.0 after a step, 0.0 in a row that was not stepped.
    terms = {key: 0.0 + float(mine(value)) for key, value in info["reward_terms"].items() if key[0] != "_"}
    return fingerprint(
        [
            np.asarray(mine(obs)),
            float(mine(reward)),
            bool(mine(truncated)),
            np.asarray(mine(info["action_mask"])),
            float(mine(info["dt_s"])),
            float(mine(info["time_s"])),
            int(mine(info["seed"])),
            [[time_s, text] for time_s, text in mine(info["events"])],
            terms,
        ]
    )


def play_single(world, seed, n_steps):
    """A row played alone, with the next-step reset of the vector environments."""
    env, choose = maker(world)(), Chooser(seed)
    obs, info = env.reset(seed=seed)
    hashes, truncated = [_moment(obs, 0.0, False, info)], False
    for _ in range(n_steps):
        action = choose(info["action_mask"])
        if truncated:
            (obs, info), reward, truncated = env.reset(), 0.0, False
        else:
            obs, reward, _, truncated, info = env.step(action)
        hashes.append(_moment(obs, reward, truncated, info))
    return hashes


def play_vector(env, seeds, n_steps):
    """Every row by its seed."""
    choosers = [Chooser(seed) for seed in seeds]
    obs, info = env.reset(seed=list(seeds))
    zeros = np.zeros(len(seeds))
    hashes = [[_moment(obs, zeros, zeros, info, b)] for b in range(len(seeds))]
    for _ in range(n_steps):
        actions = [choose(info["action_mask"][b]) for b, choose in enumerate(choosers)]
        obs, reward, _, truncated, info = env.step(np.array(actions))
        for b, row in enumerate(hashes):
            row.append(_moment(obs, reward, truncated, info, b))
    env.close()
    return dict(zip(seeds, hashes, strict=True))


SEEDS = (5, 2**62 + 1, 17, 3, 2**63 - 1)
STEPS = 130


@pytest.fixture(scope="module")
def alone():
    """Each seed of each world, played alone."""
    return {world: {seed: play_single(world, seed, STEPS) for seed in SEEDS} for world in WORLDS}


@every_world
@pytest.mark.parametrize("size", [1, 2, 5])
def test_rep_03_own_rows_equal_the_single_environment(alone, world, size):
    for seeds in (SEEDS[:size], SEEDS[::-1][:size]):
        rows = play_vector(EdgeVectorEnv(size, **WORLDS[world]), seeds, STEPS)
        assert all(rows[seed] == alone[world][seed] for seed in seeds)


@every_world
def test_rep_03_rows_in_another_order_and_among_many(alone, world):
    order = [*range(100, 120), *SEEDS, *range(200, 230)]
    random.Random(1).shuffle(order)
    rows = play_vector(EdgeVectorEnv(len(order), **WORLDS[world]), order, STEPS)
    assert all(rows[seed] == alone[world][seed] for seed in SEEDS)


@every_world
def test_rep_03_buffers_in_turn_show_the_same(alone, world):
    rows = play_vector(EdgeVectorEnv(len(SEEDS), copy=False, **WORLDS[world]), SEEDS, STEPS)
    assert rows == alone[world]


@every_world
def test_rep_03_sync_rows_equal_the_single_environment(alone, world):
    rows = play_vector(SyncVectorEnv([maker(world)] * len(SEEDS)), SEEDS, STEPS)
    assert rows == alone[world]


@pytest.mark.parametrize(("context", "shared"), [("fork", True), ("fork", False), ("spawn", True)])
def test_rep_03_async_rows_equal_the_single_environment(alone, context, shared):
    seeds = SEEDS[:2]
    env = AsyncVectorEnv([maker("rough")] * 2, context=context, shared_memory=shared)
    rows = play_vector(env, seeds, STEPS)
    assert all(rows[seed] == alone["rough"][seed] for seed in seeds)


# --- REP-04, REP-10: hash seeds, time zone, language, clock --------------------------------------------------------

CHILD = """
import gymnasium
from edge_gym.checks import Player, fingerprint
worlds = {"toy2": {}, "overload": {"n_nodes": 5, "n_requests": 50}, "azure": {"n_nodes": 4, "n_requests": 50},
          "metro64": {"n_requests": 50}}
for name, more in worlds.items():
    env = gymnasium.make("edge_gym:edge_gym/Routing-v0", scenario=name, **more)
    print(name, fingerprint(Player(env, 9).play(150)))
"""


def test_rep_04_rep_10_child_processes_with_other_hash_seeds_zones_and_languages():
    zone = {"TZ": "Asia/Kathmandu", "LANG": "C", "LC_ALL": "C"}
    other = {"TZ": "America/St_Johns", "LANG": "tr_TR.UTF-8", "LC_ALL": "tr_TR.UTF-8", "LC_NUMERIC": "de_DE.UTF-8"}
    hash_seeds = [{"PYTHONHASHSEED": seed} for seed in ("0", "1", "2", "random")]
    settings = [*hash_seeds, zone, other, {"NPY_DISABLE_CPU_FEATURES": "AVX2 AVX512F AVX512_SKX"}]
    command = [sys.executable, "-c", CHILD]
    outputs = []
    for pair in (settings[:2], settings[2:4], settings[4:6], settings[6:]):
        children = [
            subprocess.Popen(
                command, env={**os.environ, **setting}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            for setting in pair
        ]
        for child in children:
            out, err = child.communicate(timeout=200)
            assert child.returncode == 0, err[-2000:]
            outputs.append(out)
    assert outputs[0].count("\n") == 4
    assert [setting for setting, out in zip(settings, outputs, strict=True) if out != outputs[0]] == []


@every_world
def test_rep_10_a_clock_that_stands_still_changes_nothing(world, monkeypatch):
    expected = Player(maker(world)(), 4).play(100)
    for name in ("time", "monotonic", "perf_counter", "process_time"):
        monkeypatch.setattr(time, name, lambda: 0.0)
        monkeypatch.setattr(time, f"{name}_ns", lambda: 0)
    assert Player(maker(world)(), 4).play(100) == expected


# --- REP-07 to REP-09: copies, looking, global random numbers ------------------------------------------------------


@every_world
def test_rep_07_copies_made_in_mid_episode_go_on_alike(world):
    checks.check_clone_and_state(maker(world), n_steps=150, moments=(0, 1, 9, 33, 40, 77))


def test_rep_07_copies_begin_the_same_next_episodes():
    """Also with a fresh sequence: the entropy is drawn before the copy is made."""
    env = gymnasium.make(ROUTING, **WORLDS["toy2"])
    env.reset()
    twins = [env, copy.deepcopy(env), pickle.loads(pickle.dumps(env))]
    for _ in range(3):
        assert len({twin.reset()[1]["seed"] for twin in twins}) == 1
    assert Player(twins[0], 6).play(30) == Player(twins[1], 6).play(30) == Player(twins[2], 6).play(30)


@pytest.mark.parametrize("mode", ["next_step", "same_step"])
def test_rep_07_vector_environments_are_copied_too(mode):
    env = EdgeVectorEnv(3, autoreset_mode=mode, **WORLDS["rough"])
    rng = np.random.default_rng(0)
    env.reset(seed=1)

    def go_on(one, rng, n):
        seen = []
        for _ in range(n):
            mask = one.action_masks()
            seen.append(fingerprint(one.step(np.where(mask, rng.random(mask.shape), -1.0).argmax(axis=1))))
        return seen

    go_on(env, rng, 57)
    twins = [copy.deepcopy(env), pickle.loads(pickle.dumps(env))]
    expected = go_on(env, copy.deepcopy(rng), 100)
    assert all(go_on(twin, copy.deepcopy(rng), 100) == expected for twin in twins)


@pytest.mark.parametrize(("render_mode", "n_steps"), [(None, 60), ("ansi", 60), ("rgb_array", 6)])
def test_rep_08_looking_changes_nothing(render_mode, n_steps):
    make = partial(gymnasium.make, ROUTING, render_mode=render_mode, **WORLDS["rough"])
    checks.check_render_has_no_effect(make, n_steps=n_steps)


def _living(env):
    """Every byte of the state, but what is left over in the rows of the slots that nothing runs in."""
    state = env.unwrapped.get_state()
    idle = np.arange(state["slot"].shape[2]) >= state["node"]["running"][..., None]
    state["slot"][idle] = 0
    return fingerprint(state)


@every_world
def test_rep_08_oracle_logs_masks_and_descriptions_change_nothing(world):
    """The look-ahead runs nodes ahead and puts them back: every byte of the state is as it was."""
    env = maker(world)()
    expected = Player(maker(world)(), 8).play(130)
    player = Player(env, 8)
    batch = env.unwrapped.batch
    oracle = Privileged(batch)
    found = [fingerprint(player.last)]
    for _ in range(130):
        before = _living(env)
        for _ in range(2):
            oracle.foresee()
            batch.ended()
            env.unwrapped.action_masks()
            repr(env), str(env.unwrapped.world.scenario)
        assert _living(env) == before
        obs = batch.empty_obs()
        batch.observe(np.ones(1, bool), obs)
        assert np.array_equal(obs[0], player.last.obs), "describing the same decision again gives something else"
        assert _living(env) == before
        found.append(fingerprint(player.step()))
    assert found == expected


def _global_states():
    states = [random.getstate(), np.random.get_state(legacy=False)["state"]]  # noqa: NPY002 - it must stay as it is
    torch = sys.modules.get("torch")
    return fingerprint([repr(state) for state in states] + ([torch.get_rng_state().numpy()] if torch else []))


@every_world
def test_rep_09_global_random_numbers_are_neither_drawn_nor_used(world):
    pytest.importorskip("torch")
    random.seed(1)
    np.random.seed(1)  # noqa: NPY002 - poison
    before = _global_states()
    first = Player(maker(world)(), 4).play(1000)
    vector = EdgeVectorEnv(2, **WORLDS[world])
    vector.reset()
    vector.step(np.array([0, 0]) if vector.action_masks()[:, 0].all() else vector.action_masks().argmax(axis=1))
    assert _global_states() == before
    random.seed(2)
    np.random.seed(2)  # noqa: NPY002 - poison
    sys.modules["torch"].manual_seed(2)
    assert _global_states() != before
    assert Player(maker(world)(), 4).play(1000) == first


# --- what a seed means ---------------------------------------------------------------------------------------------


def _episode(env, obs, info, seed):
    """Plays the episode that has begun with choices of its own seed; its hash without the seed."""
    choose = Chooser(seed)
    seen, truncated = [], False
    while not truncated:
        obs, reward, _, truncated, info = env.step(choose(info["action_mask"]))
        seen.append(_moment(obs, reward, truncated, info))
    return seen


@every_world
def test_seed_of_the_info_begins_that_very_episode_again(world):
    env = maker(world)()
    episodes = {}
    moment = env.reset(seed=21)
    for _ in range(4):
        seed = moment[1]["seed"]
        episodes[seed] = [_moment(moment[0], 0.0, False, moment[1]), *_episode(env, *moment, seed)]
        moment = env.reset()
    assert len(episodes) == 4 and next(iter(episodes)) == 21
    for seed, expected in reversed(episodes.items()):
        other = maker(world)()
        obs, info = other.reset(seed=seed)
        assert info["seed"] == seed and type(info["seed"]) is int
        assert [_moment(obs, 0.0, False, info), *_episode(other, obs, info, seed)] == expected


def test_seed_of_the_info_begins_that_very_episode_again_in_a_vector():
    world = "rough"
    env = EdgeVectorEnv(3, autoreset_mode="same_step", **WORLDS[world])
    _, info = env.reset(seed=30)
    for _ in range(60):  # until every row is in its second episode
        _, _, _, _, info = env.step(env.action_masks().argmax(axis=1))
    seeds = info["seed"]
    assert not set(seeds.tolist()) & set(env.batch.roots.tolist()), "the second episodes have seeds of their own"
    again = EdgeVectorEnv(3, **WORLDS[world])
    obs, info = again.reset(seed=seeds)  # an array as it came
    assert np.array_equal(info["seed"], seeds)
    for b, seed in enumerate(seeds.tolist()):
        single_obs, single_info = maker(world)().reset(seed=seed)
        assert np.array_equal(single_obs, obs[b]) and single_info["seed"] == seed


@pytest.mark.parametrize("mode", ["next_step", "same_step"])
def test_seed_holds_across_autoreset(mode):
    """Every later episode follows from the first seed: in the own vector, in Sync, and in a single environment."""
    env = EdgeVectorEnv(2, autoreset_mode=mode, **WORLDS["toy2"])
    _, info = env.reset(seed=[5, 6])
    seen = [info["seed"].tolist()]
    while len(seen) < 6:
        _, _, _, _, info = env.step(np.array([2, 2]))
        if info["seed"].tolist() != seen[-1]:
            seen.append(info["seed"].tolist())
    expected = [[episode_seed(root, k) for root in (5, 6)] for k in range(6)]
    assert seen == expected
    single = EdgeEnv(**WORLDS["toy2"])
    assert [single.reset(seed=5)[1]["seed"], *(single.reset()[1]["seed"] for _ in range(5))] == [
        row[0] for row in expected
    ]
    assert len({seed for row in expected for seed in row}) == 12


def test_seed_reset_without_one_goes_on_and_with_one_begins_again():
    env = EdgeEnv(**WORLDS["toy2"])
    first = [env.reset(seed=9)[1]["seed"], *(env.reset()[1]["seed"] for _ in range(3))]
    env.step(0)
    assert [env.reset(seed=9)[1]["seed"], *(env.reset()[1]["seed"] for _ in range(3))] == first
    assert len(set(first)) == 4
    vector = EdgeVectorEnv(2, **WORLDS["toy2"])
    rows = [vector.reset(seed=[9, 9])[1]["seed"].tolist(), *(vector.reset()[1]["seed"].tolist() for _ in range(3))]
    assert rows == [[seed, seed] for seed in first]


def test_seed_none_in_a_list_goes_on_with_that_row():
    env = EdgeVectorEnv(2, **WORLDS["toy2"])
    first = env.reset(seed=[9, None])[1]["seed"].tolist()
    assert first[0] == 9
    second = env.reset(seed=[None, 4])[1]["seed"].tolist()
    assert second == [episode_seed(9, 1), 4]


def test_seed_first_reset_without_one_draws_entropy_and_records_it():
    singles = [EdgeEnv(**WORLDS["toy2"]).reset()[1]["seed"] for _ in range(8)]
    vector = EdgeVectorEnv(8, **WORLDS["toy2"]).reset()[1]["seed"].tolist()
    assert len({*singles, *vector}) == 16
    assert all(0 <= seed < 2**63 for seed in (*singles, *vector))
    env = EdgeEnv(**WORLDS["toy2"])
    obs, info = env.reset()
    assert np.array_equal(EdgeEnv(**WORLDS["toy2"]).reset(seed=info["seed"])[0], obs)


def test_seed_of_a_vector_row_does_not_depend_on_the_number_of_rows():
    rows = {n: EdgeVectorEnv(n, **WORLDS["toy2"]).reset(seed=3)[1]["seed"].tolist() for n in (1, 2, 7, 64)}
    assert all(seeds == rows[64][: len(seeds)] for seeds in rows.values())
    assert len(set(rows[64])) == 64


def test_rep_12_seeds_0_to_99_times_16_rows_share_no_stream():
    env = EdgeVectorEnv(16, **WORLDS["toy2"])
    seeds = [seed for base in range(100) for seed in env.reset(seed=base)[1]["seed"].tolist()]
    assert len(set(seeds)) == 1600
    follow = [episode_seed(seed, k) for seed in range(100) for k in range(16)]
    assert len({*follow, *seeds}) == 3200
