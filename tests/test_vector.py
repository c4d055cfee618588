"""The vector environment: the three autoreset modes, masks of the info, buffers, saved states, wrong arguments."""

import pickle
import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from edge_gym.checks import fingerprint
from edge_gym.envs.batch import episode_seed
from edge_gym.envs.single import EdgeEnv
from edge_gym.envs.vector import EdgeVectorEnv
from edge_gym.errors import ClosedEnv, EdgeGymInputError, EpisodeOver, InvalidAction, ResetNeeded
from edge_gym.scenario import Change

# Nodes leave, so episodes have different lengths: the rows do not end together.
WORLD = {
    "scenario": "overload",
    "n_nodes": 4,
    "queue_capacity": 1,
    "n_requests": 12,
    "age_s": 0.2,
    "load": 3.0,
    "timeline": tuple(
        Change(time_s=0.02 + 0.02 * k, node=n, what="alive", value=v)
        for k in range(20)
        for n, v in ((k % 3, 0), (k % 3, 1))
    ),
}
SEEDS = [11, 12, 13, 14, 15]
INFO_KEYS = {"action_mask", "reward_terms", "dt_s", "time_s", "seed", "events"}


def first_legal(mask):
    return mask.argmax(axis=-1)


def single_episodes(seed, n):
    """What a single environment returns over `n` episodes: a list of steps for each, the reset first."""
    env = EdgeEnv(**WORLD)
    episodes = []
    for k in range(n):
        obs, info = env.reset(seed=seed if k == 0 else None)
        steps, truncated = [(obs, 0.0, False, info)], False
        while not truncated:
            obs, reward, _, truncated, info = env.step(int(first_legal(info["action_mask"])))
            steps.append((obs, reward, truncated, info))
        episodes.append(steps)
    return episodes


@pytest.fixture(scope="module")
def alone():
    episodes = {seed: single_episodes(seed, 7) for seed in SEEDS}
    assert len({len(steps) for steps in (e[0] for e in episodes.values())}) > 1, "rows should end at different steps"
    return episodes


def same(step, obs, reward, truncated, info, b):
    """Row `b` of a vector step is what the single environment returned."""
    assert np.array_equal(step[0], obs[b])
    assert step[1] == reward[b] and step[2] == truncated[b]
    for key in ("dt_s", "time_s", "seed", "events"):
        assert step[3][key] == info[key][b], key
    assert np.array_equal(step[3]["action_mask"], info["action_mask"][b])
    assert step[3]["reward_terms"] == {k: v[b] for k, v in info["reward_terms"].items() if k[0] != "_"}


def make(mode="next_step", n=5, **more):
    return EdgeVectorEnv(n, autoreset_mode=mode, **{**WORLD, **more})


def play(env, n_steps):
    """First legal choices for some steps; hashes of everything returned."""
    hashes = []
    for _ in range(n_steps):
        hashes.append(fingerprint(env.step(first_legal(env.action_masks()))))
    return hashes


# --- the three modes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ignored", ["decline", "illegal", "outside"])
def test_vector_fm_01_next_step_begins_anew_in_the_step_after_the_end(alone, ignored):
    """The step that ends shows the last state; the next one ignores its action, pays 0 and shows the new episode."""
    env = make("next_step")
    obs, info = env.reset(seed=SEEDS)
    place = dict.fromkeys(range(len(SEEDS)), (0, 0))  # episode, step
    ends = np.zeros(len(SEEDS), bool)
    reward = np.zeros(len(SEEDS))
    for _ in range(75):
        for b, (episode, k) in place.items():
            same(alone[SEEDS[b]][episode][k], obs, reward, ends, info, b)
        actions = first_legal(info["action_mask"])
        if ends.any():
            assert info["action_mask"][ends].sum() == ends.sum(), "after the end only declining is legal"
            actions[ends] = {"decline": 4, "illegal": 0, "outside": -99}[ignored]
        begins = ends
        obs, reward, terminated, ends, info = env.step(actions)
        assert not terminated.any()
        assert (reward[begins] == 0).all() and not ends[begins].any() and (info["dt_s"][begins] == 0).all()
        place = {b: (e + 1, 0) if begins[b] else (e, k + 1) for b, (e, k) in place.items()}
    assert min(episode for episode, _ in place.values()) >= 2


def test_vector_fm_01_same_step_shows_the_new_episode_and_keeps_the_last_state(alone):
    """`obs` begins the new episode, the reward is the last one of the old, `final_obs` and `final_info` its end."""
    env = make("same_step")
    obs, info = env.reset(seed=SEEDS)
    assert "final_obs" not in info
    episode, k, ends_seen = np.zeros(len(SEEDS), int), np.zeros(len(SEEDS), int), 0
    for _ in range(75):
        obs, reward, terminated, truncated, info = env.step(first_legal(info["action_mask"]))
        assert not terminated.any()
        k += 1
        assert ("final_obs" in info) == ("final_info" in info) == bool(truncated.any())
        for b, seed in enumerate(SEEDS):
            step = alone[seed][episode[b]][k[b]]
            if not truncated[b]:
                same(step, obs, reward, truncated, info, b)
                continue
            ends_seen += 1
            same(step, info["final_obs"], reward, truncated, info["final_info"], b)
            assert all(np.array_equal(info["final_info"]["_" + key], truncated) for key in INFO_KEYS)
            assert np.array_equal(info["_final_obs"], truncated) and np.array_equal(info["_final_info"], truncated)
            episode[b], k[b] = episode[b] + 1, 0
            first = alone[seed][episode[b]][0]
            assert np.array_equal(first[0], obs[b]) and first[3]["time_s"] == info["time_s"][b]
            assert np.array_equal(first[3]["action_mask"], info["action_mask"][b])
            assert first[3]["seed"] == info["seed"][b] == episode_seed(seed, episode[b])
            # The reward is that of the step, and so are its terms and its time.
            assert {t: v[b] for t, v in info["reward_terms"].items() if t[0] != "_"} == step[3]["reward_terms"]
            assert info["dt_s"][b] == step[3]["dt_s"]
    assert ends_seen >= 10


def test_vector_fm_01_disabled_waits_for_the_reset_mask(alone):
    env = make("disabled")
    obs, info = env.reset(seed=SEEDS)
    k, truncated = 0, np.zeros(len(SEEDS), bool)
    while not truncated.any():
        obs, reward, _, truncated, info = env.step(first_legal(info["action_mask"]))
        k += 1
    over = truncated.copy()
    assert over.any() and not over.all()
    for b, seed in enumerate(SEEDS):
        same(alone[seed][0][k], obs, reward, truncated, info, b)

    before = fingerprint(env.get_state())
    with pytest.raises(EpisodeOver, match=rf"row {over.argmax()} .*reset_mask"):
        env.step(first_legal(info["action_mask"]))
    assert fingerprint(env.get_state()) == before

    options = {"reset_mask": over.copy()}
    shown, again = env.reset(options=options)
    assert options["reset_mask"].tolist() == over.tolist(), "the options were written to"
    for b, seed in enumerate(SEEDS):
        expected = alone[seed][1][0] if over[b] else alone[seed][0][k]
        assert np.array_equal(shown[b], expected[0]), "rows that are not reset show their state as it was"
        assert np.array_equal(again["action_mask"][b], expected[3]["action_mask"])
        assert again["time_s"][b] == expected[3]["time_s"] and again["seed"][b] == expected[3]["seed"]
    obs, reward, _, truncated, info = env.step(first_legal(again["action_mask"]))
    for b, seed in enumerate(SEEDS):
        same(alone[seed][int(over[b])][1 if over[b] else k + 1], obs, reward, truncated, info, b)


def test_vector_disabled_resets_running_rows_with_seeds_of_their_own(alone):
    env = make("disabled")
    env.reset(seed=SEEDS)
    play(env, 3)
    mask = np.array([True, False, True, False, False])
    _, info = env.reset(seed=[101, 102, 103, 104, 105], options={"reset_mask": mask})
    assert info["seed"].tolist() == [101, 12, 103, 14, 15]
    _, info = env.reset(options={"reset_mask": mask})
    assert info["seed"].tolist() == [episode_seed(101, 1), 12, episode_seed(103, 1), 14, 15]


def test_vector_the_mode_is_declared_and_is_a_member():
    for mode in AutoresetMode:
        for spelling in (mode, mode.name, mode.name.lower()):
            assert EdgeVectorEnv(1, scenario="toy2", autoreset_mode=spelling).metadata["autoreset_mode"] is mode
    assert EdgeVectorEnv(1, scenario="toy2").metadata["autoreset_mode"] is AutoresetMode.NEXT_STEP


CONTROL = {
    "task": "metacontrol",
    "scenario": "mixed",
    "n_nodes": 4,
    "n_requests": 30,
    "semantic_gap_mean_s": 4.0,
    "tick_s": 3.0,
    "max_calls_a_turn": 2,
}


def turn_by_turn(mask, k):
    """Tool calls that differ from step to step and row to row, two in three of them the end of the turn."""
    columns = mask.shape[-1] // (CONTROL["n_nodes"] + 1)
    calls = np.where(mask, (np.arange(mask.shape[-1]) * 7919 + 104_729 * k) % 997, -1).argmax(axis=-1)
    return np.where(k % 3 == 0, calls, CONTROL["n_nodes"] * columns)


@pytest.fixture(scope="module")
def controlled():
    """What a single environment returns over seven episodes of each seed, under `turn_by_turn`."""
    episodes = {}
    for seed in SEEDS:
        env = EdgeEnv(**CONTROL)
        episodes[seed] = []
        for k in range(7):
            obs, info = env.reset(seed=seed if k == 0 else None)
            steps, truncated = [(obs, 0.0, False, info)], False
            while not truncated:
                call = int(turn_by_turn(info["action_mask"], len(steps)))
                obs, reward, _, truncated, info = env.step(call)
                steps.append((obs, reward, truncated, info))
            episodes[seed].append(steps)
    assert len({len(e[0]) for e in episodes.values()}) > 1, "rows should end at different steps"
    assert any(step[3]["events"] for e in episodes.values() for step in e[0]), "nothing was said"
    return episodes


@pytest.mark.parametrize("mode", [mode.name.lower() for mode in AutoresetMode])
def test_vector_control_rows_are_the_single_environment_in_every_mode(controlled, mode):
    env = EdgeVectorEnv(len(SEEDS), autoreset_mode=mode, **CONTROL)
    obs, info = env.reset(seed=SEEDS)
    at = [(0, 0)] * len(SEEDS)  # episode and step of each row
    reward, ends, finals = np.zeros(len(SEEDS)), np.zeros(len(SEEDS), bool), 0
    while min(episode for episode, _ in at) < 3:
        for b, (episode, k) in enumerate(at):
            if k or mode != "same_step":  # there, the reward at the beginning is that of the end before
                same(controlled[SEEDS[b]][episode][k], obs, reward, ends, info, b)
            else:
                assert np.array_equal(controlled[SEEDS[b]][episode][0][0], obs[b])
        if mode == "disabled" and ends.any():
            obs, info = env.reset(options={"reset_mask": ends.copy()})
            reward = np.where(ends, 0.0, reward)
            at = [(e + 1, 0) if ends[b] else (e, k) for b, (e, k) in enumerate(at)]
            ends = np.zeros(len(SEEDS), bool)
            for b, (_, k) in enumerate(at):  # rows that go on show their state, not their last reward
                assert k or np.array_equal(controlled[SEEDS[b]][at[b][0]][0][0], obs[b])
        steps = np.array([k + 1 for _, k in at])
        actions = np.array([turn_by_turn(mask, k) for mask, k in zip(info["action_mask"], steps, strict=True)])
        was_over = ends
        obs, reward, _, ends, info = env.step(actions)
        at = [(e + 1, 0) if was_over[b] else (e, k + 1) for b, (e, k) in enumerate(at)]
        if mode == "same_step":
            for b in np.flatnonzero(ends):
                episode, k = at[b]
                same(controlled[SEEDS[b]][episode][k], info["final_obs"], reward, ends, info["final_info"], b)
                at[b], finals = (episode + 1, 0), finals + 1
            ends = np.zeros(len(SEEDS), bool)
    assert mode != "same_step" or finals >= 10


def test_vector_control_rows_refuse_what_is_masked_out_and_change_nothing():
    env = EdgeVectorEnv(len(SEEDS), **CONTROL)
    _, info = env.reset(seed=SEEDS)
    refused = 0
    for k in range(1, 40):
        before = fingerprint(env.get_state())
        for action in range(env.single_action_space.n):
            if info["action_mask"][2, action] or env._done[2]:  # what is over begins anew whatever is asked
                continue
            refused += 1
            with pytest.raises(InvalidAction, match=rf"actions\[2\] = {action}: is masked out"):
                env.step(np.where(np.arange(len(SEEDS)) == 2, action, env.batch.noop))
        assert fingerprint(env.get_state()) == before
        info = env.step(turn_by_turn(info["action_mask"], k))[-1]
    assert refused > 300


# --- info ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [mode.name.lower() for mode in AutoresetMode])
@pytest.mark.parametrize("illegal", ["raise", "decline"])
def test_vector_each_info_key_has_its_mask(mode, illegal):
    env = make(mode, illegal=illegal)
    infos = [env.reset(seed=1)[1]]
    for _ in range(11):
        infos.append(env.step(first_legal(env.action_masks()))[-1])

    def check(info):
        keys = {key for key in info if key[0] != "_"}
        assert {key for key in info if key[0] == "_"} == {"_" + key for key in keys}
        for key in keys:
            assert info["_" + key].dtype == bool and info["_" + key].shape == (len(SEEDS),)
            if isinstance(info[key], dict):
                check(info[key])
            else:
                assert isinstance(info[key], np.ndarray) and len(info[key]) == len(SEEDS)
        return keys

    for k, info in enumerate(infos):
        assert check(info) - {"final_obs", "final_info"} == INFO_KEYS | (
            {"invalid_action"} if illegal == "decline" and k else set()
        )
        assert all(info["_" + key].all() for key in INFO_KEYS)


def test_vector_gymnasium_statistics_wrapper_counts_the_episodes(alone):
    """A wrapper of Gymnasium's that reads the mode, the flags and the masks of the info."""
    env = gymnasium.wrappers.vector.RecordEpisodeStatistics(make("next_step"))
    _, info = env.reset(seed=SEEDS)
    returns = {b: [] for b in range(len(SEEDS))}
    for _ in range(75):
        _, _, _, truncated, info = env.step(first_legal(info["action_mask"]))
        for b in np.flatnonzero(truncated):
            assert info["_episode"][b]
            returns[b].append((info["episode"]["r"][b], info["episode"]["l"][b]))
    for b, seed in enumerate(SEEDS):
        assert len(returns[b]) >= 2
        for found, steps in zip(returns[b], alone[seed], strict=False):
            assert found[0] == pytest.approx(sum(step[1] for step in steps), rel=1e-6)
            assert found[1] == len(steps) - 1


# --- buffers -------------------------------------------------------------------------------------------------------


def test_vector_copy_false_observations_are_valid_until_the_step_after_the_next():
    fresh, env = make(), make(copy=False)
    kept = [fresh.reset(seed=1)[0]]
    shown = [env.reset(seed=1)[0]]
    for _ in range(40):
        actions = first_legal(fresh.action_masks())
        kept.append(fresh.step(actions)[0])
        shown.append(env.step(actions)[0])
        assert np.array_equal(shown[-1], kept[-1]) and np.array_equal(shown[-2], kept[-2])
    assert len({id(obs) for obs in shown}) == 2 and len({id(obs) for obs in kept}) == 41
    assert not np.shares_memory(shown[-1], shown[-2])


def test_vector_copy_false_final_observations_are_kept():
    env = make("same_step", copy=False)
    env.reset(seed=SEEDS)
    finals = []
    for _ in range(60):
        info = env.step(first_legal(env.action_masks()))[-1]
        if "final_obs" in info:
            finals.append((info["final_obs"], info["final_obs"].copy()))
    assert len(finals) >= 4
    assert all(np.array_equal(now, then) for now, then in finals)


# --- saved states --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["next_step", "same_step"])
@pytest.mark.parametrize("moment", [0, 5, 20, 21, 22, 23, 24])
def test_vector_state_goes_on_exactly_in_itself_and_in_another(mode, moment):
    env = make(mode)
    env.reset(seed=SEEDS)
    play(env, moment)
    state = env.get_state()
    held = fingerprint(state)
    expected = play(env, 40)
    assert fingerprint(state) == held, "the saved state must not follow the environment"
    other = make(mode)
    for one in (env, other):
        one.set_state(state)
        assert play(one, 40) == expected
    assert fingerprint(state) == held


def test_run_15_vector_state_goes_on_exactly_in_another_process(tmp_path):
    """Saved here by pickle, in mid-episode and with a row that has just ended; gone on with there."""
    env = make()
    env.reset(seed=SEEDS)
    while not env._done.any():
        play(env, 1)
    single = EdgeEnv(**WORLD)
    single.reset(seed=3)
    for _ in range(5):
        single.step(int(first_legal(single.action_masks())))
    path = tmp_path / "state.pickle"
    path.write_bytes(pickle.dumps((WORLD, env.get_state(), single.get_state())))
    code = f"""
import pickle
from edge_gym.checks import fingerprint
from edge_gym.envs.single import EdgeEnv
from edge_gym.envs.vector import EdgeVectorEnv
world, vector_state, single_state = pickle.load(open({str(path)!r}, "rb"))
env = EdgeVectorEnv({len(SEEDS)}, **world)
env.set_state(vector_state)
for _ in range(30):
    print(fingerprint(env.step(env.action_masks().argmax(axis=1))))
single = EdgeEnv(**world)
single.set_state(single_state)
for _ in range(5):
    print(fingerprint(single.step(int(single.action_masks().argmax()))))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr[-2000:]
    expected = play(env, 30)
    expected += [fingerprint(single.step(int(first_legal(single.action_masks())))) for _ in range(5)]
    assert done.stdout.split() == expected


@pytest.mark.parametrize(
    ("spoil", "field"),
    [
        (lambda s: s.pop("done"), "state.done"),
        (lambda s: s.update(begun=np.ones(3, bool)), "state.begun"),
        (lambda s: s.update(done=np.zeros(5, np.int8)), "state.done"),
        (lambda s: s.pop("node"), "state.node"),
        (lambda s: s.update(job=s["job"][:, :-1]), "state.job"),
        (lambda s: s.update(due=s["due"].astype(float)), "state.due"),
        (lambda s: s.update(scenario=np.array("0123")), "state.scenario"),
        (lambda s: s.pop("scenario"), "state.scenario"),
    ],
)
def test_vector_a_state_that_does_not_fit_changes_nothing(spoil, field):
    env = make()
    env.reset(seed=1)
    state = env.get_state()
    play(env, 3)
    before = fingerprint(env.get_state())
    spoil(state)
    with pytest.raises(EdgeGymInputError, match=field):
        env.set_state(state)
    assert fingerprint(env.get_state()) == before


def test_vector_a_state_of_another_size_or_world_changes_nothing():
    env = make()
    env.reset(seed=1)
    before = fingerprint(env.get_state())
    single = EdgeEnv(**WORLD)
    single.reset(seed=1)
    for other in (make(n=2), make(n_requests=13), single):
        if isinstance(other, EdgeVectorEnv):
            other.reset(seed=1)
        with pytest.raises(EdgeGymInputError, match="state"):
            env.set_state(other.get_state())
    assert fingerprint(env.get_state()) == before
    with pytest.raises(EdgeGymInputError, match="state"):
        single.set_state(env.get_state())


# --- seeds ---------------------------------------------------------------------------------------------------------


def test_vector_a_list_of_seeds_gives_each_row_its_own(alone):
    for seeds in (SEEDS, tuple(SEEDS), np.array(SEEDS), np.array(SEEDS, np.uint64)):
        obs, info = make().reset(seed=seeds)
        assert info["seed"].tolist() == SEEDS
        assert all(np.array_equal(obs[b], alone[seed][0][0][0]) for b, seed in enumerate(SEEDS))


@pytest.mark.parametrize(
    "seed",
    [
        -1,
        2**63,
        1.0,
        True,
        "1",
        [1, 2],
        [1] * 6,
        [1, 2, 3, 4, -5],
        [1, 2, 3, 4, 5.0],
        [[1]] * 5,
        np.array(3),
        np.ones(5),
        {},
    ],
    ids=str,
)
def test_vector_wrong_seeds_are_refused_and_change_nothing(seed):
    env = make()
    env.reset(seed=SEEDS)
    play(env, 2)
    before = fingerprint(env.get_state())
    with pytest.raises(EdgeGymInputError, match="seed"):
        env.reset(seed=seed)
    assert fingerprint(env.get_state()) == before


# --- wrong arguments -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_envs": 0}, "num_envs = 0: must be an int >= 1"),
        ({"num_envs": -3}, "num_envs = -3"),
        ({"num_envs": 2.0}, "num_envs = 2.0"),
        ({"num_envs": True}, "num_envs = True"),
        ({"num_envs": None}, "num_envs = None"),
        (
            {"autoreset_mode": "sometimes"},
            "autoreset_mode = 'sometimes': must be one of next_step, same_step, disabled",
        ),
        ({"autoreset_mode": None}, "autoreset_mode = None"),
        ({"illegal": "ignore"}, "illegal = 'ignore': must be one of raise, decline"),
        ({"render_mode": "human"}, "render_mode = 'human': must be one of None, ansi, rgb_array"),
        ({"task": "routin"}, "task = 'routin': .*did you mean 'routing'"),
        ({"scenario": "stationry"}, "scenario = 'stationry': .*did you mean 'stationary'"),
        ({"scenario": 3}, "scenario = 3"),
        ({"n_node": 3}, "n_node: .*n_nodes"),
        ({"n_nodes": 0}, "n_nodes = 0"),
    ],
)
def test_vector_wrong_arguments_name_the_field_and_what_is_allowed(arguments, message):
    with pytest.raises(EdgeGymInputError, match=message):
        EdgeVectorEnv(**{"num_envs": 2, **arguments})


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"reset_mask": np.zeros(5, bool)}, r"options\['reset_mask'\]"),
        ({"reset_mask": np.ones(4, bool)}, r"options\['reset_mask'\]"),
        ({"reset_mask": np.ones(5, int)}, r"options\['reset_mask'\]"),
        ({"reset_mask": None}, r"options\['reset_mask'\]"),
        ({"reset_mask": "all"}, r"options\['reset_mask'\]"),
        ({"reset_masks": np.ones(5, bool)}, r"options\['reset_masks'\]"),
        ([], "options"),
        ("reset_mask", "options"),
    ],
)
def test_vector_mis_06_wrong_reset_options_name_the_field_and_change_nothing(options, field):
    env = make("disabled")
    env.reset(seed=1)
    before = fingerprint(env.get_state())
    with pytest.raises(EdgeGymInputError, match=field):
        env.reset(options=options)
    assert fingerprint(env.get_state()) == before


def test_vector_the_first_reset_must_begin_every_row():
    env = make("disabled")
    with pytest.raises(EdgeGymInputError, match="first reset"):
        env.reset(seed=1, options={"reset_mask": np.array([True, False, False, False, False])})
    with pytest.raises(ResetNeeded, match=r"reset\(\)"):
        env.step(np.zeros(5, int))


def test_vector_mis_01_closed():
    env = make()
    env.reset(seed=1)
    env.close()
    env.close()
    for call in (env.reset, lambda: env.step(np.zeros(5, int)), lambda: env.set_state({})):
        with pytest.raises(ClosedEnv, match="closed"):
            call()


@pytest.mark.parametrize(
    "actions",
    [
        [0, 0, 0, 0],
        [0] * 6,
        [[0]] * 5,
        0,
        None,
        "00000",
        [0, 0, 0, 0, -1],
        [0, 0, 0, 0, 5],
        [0, 0, 0, 0, 2**63 - 1],
        [0, 0, 0, 0, 2**64 - 1],
        [0, 0, 0, 0, 2**70],
        [0, 0, 0, 0, None],
        [0, 0, 0, 0, [0]],
        np.zeros(5),
        np.full(5, np.nan),
        np.zeros(5, bool),
        np.zeros((5, 1), int),
        np.zeros((0,), int),
        np.full(5, 2**64 - 1, np.uint64),
        dict.fromkeys(range(5), 0),
        {"agent_0": 0},
        (),
        object(),
    ],
    ids=lambda actions: type(actions).__name__,  # the same in every worker of xdist
)
@pytest.mark.parametrize("illegal", ["raise", "decline"])
def test_vector_mis_02_malformed_actions_name_the_space_and_change_nothing(actions, illegal):
    env = make(illegal=illegal)
    env.reset(seed=1)
    play(env, 2)
    before = fingerprint(env.get_state())
    with pytest.raises(InvalidAction, match=r"Discrete\(5\)"):
        env.step(actions)
    assert fingerprint(env.get_state()) == before


@pytest.mark.parametrize("kind", [list, tuple, np.int8, np.int32, np.uint8, np.uint64, "strided"])
def test_vector_integers_of_every_kind_are_accepted_and_not_written_to(kind):
    expected, env = make(), make()
    for one in (expected, env):
        one.reset(seed=1)
    for _ in range(30):
        choices = first_legal(expected.action_masks())
        if kind == "strided":
            actions = np.repeat(choices, 2)[::2]
        else:
            actions = (
                kind(choices.tolist()) if isinstance(kind, type) and kind in (list, tuple) else choices.astype(kind)
            )
        held = fingerprint(list(np.asarray(actions)))
        assert fingerprint(expected.step(choices)) == fingerprint(env.step(actions))
        assert fingerprint(list(np.asarray(actions))) == held


def test_vector_mis_03_one_masked_choice_refuses_the_whole_step_or_declines_in_that_row_alone():
    for mode in ("next_step", "same_step"):
        strict, lenient, legal = make(mode), make(mode, illegal="decline"), make(mode)
        for env in (strict, lenient, legal):
            env.reset(seed=2)
        invalid_seen = 0
        for _ in range(60):
            mask = legal.action_masks()
            wanted = np.array([0, 1, 2, 3, 0])
            over = legal._done
            invalid = ~mask[np.arange(5), wanted] & ~over
            allowed = np.where(invalid, 4, wanted)
            if invalid.any():
                before = fingerprint(strict.get_state())
                with pytest.raises(InvalidAction, match=rf"actions\[{invalid.argmax()}\] = .*legal now"):
                    strict.step(wanted)
                assert fingerprint(strict.get_state()) == before
            invalid_seen += invalid.sum()
            *rest, info = lenient.step(wanted)
            assert np.array_equal(info.pop("invalid_action"), invalid) and info.pop("_invalid_action").all()
            expected = fingerprint(list(legal.step(allowed)))
            assert fingerprint([*rest, info]) == expected == fingerprint(list(strict.step(allowed)))
        assert invalid_seen > 50
