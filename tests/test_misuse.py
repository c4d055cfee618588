"""MIS rows of the reliability list: what a caller does wrong is named, and changes nothing."""

import copy
import dataclasses
import pickle
import threading

import gymnasium
import numpy as np
import pytest

from edge_gym import preset
from edge_gym.checks import Player, fingerprint
from edge_gym.envs import single as single_module
from edge_gym.envs.single import EdgeEnv
from edge_gym.envs.vector import EdgeVectorEnv
from edge_gym.errors import ClosedEnv, EdgeGymInputError, EpisodeOver, InvalidAction, ResetNeeded

# A full queue masks nodes out soon.
TIGHT = {"scenario": "overload", "n_nodes": 3, "queue_capacity": 0, "load": 4.0, "n_requests": 60}


def running(steps=4, **more):
    """An environment in the middle of an episode."""
    env = EdgeEnv(**{"scenario": "toy2", **more})
    player = Player(env, 1)
    player.play(steps)
    return env


def state(env):
    return fingerprint(env.get_state())


# --- MIS-01: step at the wrong time --------------------------------------------------------------------------------


def test_mis_01_step_before_reset():
    env = EdgeEnv(scenario="toy2")
    before = state(env)
    with pytest.raises(ResetNeeded, match=r"call reset\(\) before step\(\)"):
        env.step(0)
    assert state(env) == before
    with pytest.raises(gymnasium.error.ResetNeeded):
        gymnasium.make("edge_gym/Routing-v0").step(0)


def test_mis_01_step_after_the_end():
    env = EdgeEnv(scenario="toy2", n_requests=3)
    env.reset(seed=1)
    ends = [env.step(0)[3] for _ in range(3)]
    assert ends == [False, False, True]
    before = state(env)
    for action in (0, 2, -1, None):
        with pytest.raises(EpisodeOver, match=r"over: call reset\(\)"):
            env.step(action)
    assert state(env) == before
    env.reset()
    env.step(0)


def test_mis_01_step_and_reset_after_close():
    env = running()
    env.close()
    before = state(env)
    for call in (lambda: env.step(0), env.reset, lambda: env.reset(seed=3)):
        with pytest.raises(ClosedEnv, match="closed; make a new one"):
            call()
    assert state(env) == before


def test_mis_01_errors_are_caught_by_their_families():
    assert issubclass(EpisodeOver, ResetNeeded) and issubclass(ResetNeeded, RuntimeError)
    assert issubclass(InvalidAction, ValueError) and issubclass(ClosedEnv, RuntimeError)


# --- MIS-02: malformed actions -------------------------------------------------------------------------------------


class Hostile:
    """Something that cannot even be shown."""

    def __repr__(self):
        raise RuntimeError("no")

    def __index__(self):
        return 0

    def __int__(self):
        return 0


MALFORMED = {
    "-1": -1,
    "n": 3,
    "99": 99,
    "2**63": 2**63,
    "10**5000": 10**5000,
    "2.5": 2.5,
    "1.0": 1.0,
    "nan": float("nan"),
    "inf": float("inf"),
    "none": None,
    "str": "0",
    "words": "gate all\nnodes" * 100,
    "bytes": b"0",
    "true": True,
    "numpy true": np.bool_(True),
    "numpy float": np.float64(1.0),
    "numpy -1": np.int64(-1),
    "numpy uint64 2**64-1": np.uint64(2**64 - 1),
    "0-d array of float": np.array(1.0),
    "0-d array of bool": np.array(True),
    "array (1,)": np.array([0]),
    "array (1, 1)": np.array([[0]]),
    "array (2,)": np.array([0, 1]),
    "empty array": np.array([], int),
    "array of objects": np.array(None),
    "list": [0],
    "tuple": (0,),
    "empty": (),
    "dict": {"site_0": 0},
    "empty dict": {},
    "set": {0},
    "complex": 1 + 0j,
    "object": object(),
    "hostile": Hostile(),
    "type": int,
    "space": gymnasium.spaces.Discrete(3),
}


@pytest.mark.parametrize("illegal", ["raise", "decline"])
@pytest.mark.parametrize("what", MALFORMED)
def test_mis_02_mis_04_malformed_actions_name_the_space_and_change_nothing(what, illegal):
    env = running(illegal=illegal)
    twin = env.clone()
    before = state(env)
    with pytest.raises(InvalidAction, match=r"^action = .{1,200}Discrete\(3\)$") as caught:
        env.step(MALFORMED[what])
    assert len(str(caught.value)) < 200 and str(caught.value).isprintable()
    assert state(env) == before
    assert fingerprint(env.step(1)) == fingerprint(twin.step(1))


@pytest.mark.parametrize("value", [0, [0], 0.0])
def test_mis_02_tensors_are_refused(value):
    torch = pytest.importorskip("torch")
    env = running()
    before = state(env)
    with pytest.raises(InvalidAction, match=r"tensor.*Discrete\(3\)"):
        env.step(torch.tensor(value))
    assert state(env) == before


@pytest.mark.parametrize("value", [1.0, True, 3])
def test_mis_02_zero_dimensional_arrays_of_other_kinds_or_values_are_refused(value):
    env = running()
    before = state(env)
    with pytest.raises(InvalidAction, match=r"Discrete\(3\)"):
        env.step(np.array(value))
    assert state(env) == before


def test_mis_02_a_zero_dimensional_integer_array_is_what_predict_returns():
    env, twin = running(), running()
    assert fingerprint(env.step(np.array(1))) == fingerprint(twin.step(1))


@pytest.mark.parametrize("kind", [int, np.int8, np.int16, np.int32, np.int64, np.uint8, np.uint32, np.uint64, np.intp])
def test_mis_02_integers_of_every_kind_are_accepted(kind):
    env, twin = running(), running()
    for _ in range(2):
        assert fingerprint(env.step(kind(1))) == fingerprint(twin.step(1))


def test_mis_02_through_the_wrappers_of_make():
    env = gymnasium.make("edge_gym/Routing-v0", scenario="toy2")
    env.reset(seed=1)
    before = state(env.unwrapped)
    for action in (-1, 3, 2.5, float("nan"), None, "gate all"):
        with pytest.raises(InvalidAction):
            env.step(action)
    assert state(env.unwrapped) == before


# --- MIS-03: masked actions ----------------------------------------------------------------------------------------


def _to_a_masked_node(env):
    """Sends everything to the first legal node until some node is masked out; that node."""
    env.reset(seed=1)
    while env.action_masks().all():
        env.step(int(env.action_masks().argmax()))
    return int((~env.action_masks()).argmax())


def test_mis_03_a_masked_choice_raises_and_changes_nothing():
    env = EdgeEnv(**TIGHT)
    masked = _to_a_masked_node(env)
    before = state(env)
    for _ in range(3):
        with pytest.raises(InvalidAction, match=rf"action = {masked}: is masked out in Discrete\(4\); legal now: .*3$"):
            env.step(masked)
    assert state(env) == before


def test_mis_03_a_masked_choice_counts_as_declining_if_asked_to():
    lenient, declining = EdgeEnv(illegal="decline", **TIGHT), EdgeEnv(illegal="decline", **TIGHT)
    masked = _to_a_masked_node(lenient)
    assert _to_a_masked_node(declining) == masked
    rejected = int(lenient.batch.state.world[0]["rejected"])
    *moment, info = lenient.step(masked)
    *expected, expected_info = declining.step(3)
    assert info.pop("invalid_action") is True and expected_info.pop("invalid_action") is False
    assert fingerprint([moment, info]) == fingerprint([expected, expected_info])
    assert state(lenient) == state(declining)
    assert lenient.batch.state.world[0]["rejected"] == rejected + 1
    assert lenient.step(int(lenient.action_masks().argmax()))[-1]["invalid_action"] is False


def test_mis_03_the_key_is_only_there_if_asked_for():
    assert "invalid_action" not in running().step(0)[-1]
    env = EdgeEnv(scenario="toy2", illegal="decline")
    assert "invalid_action" not in env.reset(seed=1)[1]
    assert env.step(0)[-1]["invalid_action"] is False


def test_mis_03_always_illegal_play_declines_everything_and_never_breaks():
    env = EdgeEnv(illegal="decline", **TIGHT)
    env.reset(seed=2)
    invalid, truncated = 0, False
    while not truncated:
        mask = env.action_masks()
        *_, truncated, info = env.step(int(mask.argmin()) if not mask.all() else 0)
        invalid += info["invalid_action"]
    world = env.batch.state.world[0]
    assert invalid > 10 and world["rejected"] == invalid
    assert world["arrived"] == 60 == world["completed"] + world["rejected"]


@pytest.mark.parametrize("illegal", ["ignore", "", None, True, 1, "RAISE"])
def test_mis_03_unknown_ways_to_treat_them_are_refused(illegal):
    with pytest.raises(EdgeGymInputError, match="illegal = .*must be one of raise, decline"):
        EdgeEnv(illegal=illegal)


# --- MIS-05: what was returned is overwritten ----------------------------------------------------------------------


def test_mis_05_overwriting_spaces_has_no_effect_inside_or_on_others():
    expected = Player(EdgeEnv(scenario="toy2"), 1).play(30)
    env = EdgeEnv(scenario="toy2")
    env.observation_space.low[...] = 7
    env.observation_space.high[...] = 8
    assert Player(env, 1).play(30) == expected
    other = EdgeEnv(scenario="toy2")
    assert other.observation_space.high.max() == 1.0 and Player(other, 1).play(30) == expected
    assert other.reset(seed=1)[0] in other.observation_space


def test_mis_05_overwriting_masks_and_saved_states_has_no_effect_inside():
    for env in (running(), EdgeVectorEnv(2, scenario="toy2")):
        if isinstance(env, EdgeVectorEnv):
            env.reset(seed=1)
        before = state(env)
        env.action_masks()[...] = False
        for table in env.get_state().values():
            if isinstance(table, np.ndarray):
                table[...] = np.zeros(1, table.dtype)[0]
        assert state(env) == before
        assert env.action_masks().all()


def test_mis_05_a_restored_state_is_not_tied_to_what_was_given():
    env = running()
    saved = env.get_state()
    other = EdgeEnv(scenario="toy2")
    other.set_state(saved)
    held = fingerprint(saved)
    expected = fingerprint(env.step(0))
    for table in env.get_state().values():
        assert isinstance(table, np.ndarray | str)
    assert fingerprint(other.step(0)) == expected
    assert fingerprint(saved) == held


# --- MIS-06: reset -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unknown": 1}, r"options\['unknown'\] = 1: must be absent"),
        ({"reset_mask": np.ones(1, bool)}, r"options\['reset_mask'\]"),
        ({3: 4}, r"options\[3\]"),
        ([], r"options = \[\]: must be a dict or None"),
        ("seed", "options = 'seed'"),
        (0, "options = 0"),
        (np.ones(2), "options = array"),
    ],
)
def test_mis_06_reset_options_are_refused_by_name_and_change_nothing(options, message):
    env = running()
    before = state(env)
    for seed in (None, 3):
        with pytest.raises(EdgeGymInputError, match=message):
            env.reset(seed=seed, options=options)
    assert state(env) == before
    assert env.reset(options={})[1]["seed"] == running().reset(options=None)[1]["seed"]


WRONG_SEEDS = [-1, 2**63, 10**5000, 1.0, float("nan"), "1", True, [1], np.array(1), np.bool_(True), {}]


@pytest.mark.parametrize("seed", WRONG_SEEDS, ids=lambda seed: type(seed).__name__)
def test_mis_06_wrong_seeds_are_refused_by_name_and_change_nothing(seed):
    env = running()
    before = state(env)
    with pytest.raises(EdgeGymInputError, match=r"seed = .*must be an int in 0 \.\.\. 2\*\*63 - 1"):
        env.reset(seed=seed)
    assert state(env) == before
    env.step(0)


@pytest.mark.parametrize("seed", [0, 2**63 - 1, np.int64(7), np.uint64(2**63 - 1)])
def test_mis_06_the_whole_range_of_seeds_is_accepted(seed):
    info = EdgeEnv(scenario="toy2").reset(seed=seed)[1]
    assert info["seed"] == int(seed) and type(info["seed"]) is int


# --- MIS-07: the scenario is frozen --------------------------------------------------------------------------------


def test_mis_07_a_scenario_cannot_be_changed_after_construction():
    scenario = preset("toy2")
    env = EdgeEnv(scenario=scenario)
    for frozen, field in (
        (scenario, "n_requests"),
        (env.world.scenario, "horizon_s"),
        (scenario.pool, "n_nodes"),
        (scenario.arrivals, "rate_per_s"),
        (scenario.workloads[0], "deadline_s"),
        (scenario.workloads[0].units, "mean"),
        (scenario.devices[0], "slots"),
        (scenario.services[0], "per_unit_s"),
        (scenario.weights, "latency"),
    ):
        with pytest.raises(dataclasses.FrozenInstanceError, match=field):
            setattr(frozen, field, 1)
    for values in (
        scenario.workloads,
        scenario.devices,
        scenario.services,
        scenario.timeline,
        scenario.pool.device_types,
    ):
        assert isinstance(values, tuple)


def test_mis_07_two_environments_of_one_scenario_share_nothing_that_moves():
    scenario = preset("toy2")
    one, two = EdgeEnv(scenario=scenario), EdgeEnv(scenario=scenario)
    expected = Player(EdgeEnv(scenario="toy2"), 1).play(30)
    Player(one, 5).play(13)
    assert Player(two, 1).play(30) == expected == Player(one, 1).play(30)
    assert not np.shares_memory(one.batch.state.node, two.batch.state.node)


# --- MIS-09: pickle ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_mis_09_environments_are_pickled_in_mid_episode(protocol):
    env = running(**TIGHT)
    twin = pickle.loads(pickle.dumps(env, protocol))
    assert state(twin) == state(env)
    for _ in range(10):
        action = int(env.action_masks().argmax())
        assert fingerprint(env.step(action)) == fingerprint(twin.step(action))


@pytest.mark.parametrize("kind", ["single", "vector"])
@pytest.mark.parametrize("state", [None, b"x", [], 3])
def test_mis_09_what_is_no_state_is_refused(kind, state):
    env = EdgeEnv() if kind == "single" else EdgeVectorEnv(2)
    with pytest.raises(EdgeGymInputError, match="must be what get_state returned"):
        env.set_state(state)


@pytest.mark.parametrize("phase", ["new", "over", "closed"])
def test_mis_09_environments_are_pickled_at_every_time(phase):
    env = EdgeEnv(scenario="toy2", n_requests=1)
    error = {"new": ResetNeeded, "over": EpisodeOver, "closed": ClosedEnv}[phase]
    if phase == "over":
        env.reset(seed=1)
        env.step(0)
    if phase == "closed":
        env.close()
    for twin in (pickle.loads(pickle.dumps(env)), copy.deepcopy(env)):
        with pytest.raises(error):
            twin.step(0)


@pytest.mark.parametrize("phase", ["closed", "Running", None, 3])
def test_mis_09_a_state_of_no_known_phase_is_refused_and_changes_nothing(phase):
    env = running()
    saved = {**env.get_state(), "phase": phase}
    env.step(0)
    before = state(env)
    with pytest.raises(EdgeGymInputError, match="phase"):
        env.set_state(saved)
    assert state(env) == before


def test_mis_09_errors_survive_pickle():
    """Worker processes send them home."""
    env = running()
    for call in (lambda: env.step(-1), lambda: env.reset(seed=-1), lambda: env.reset(options={"a": 1})):
        with pytest.raises(ValueError) as caught:
            call()
        again = pickle.loads(pickle.dumps(caught.value))
        assert type(again) is type(caught.value) and str(again) == str(caught.value)


# --- MIS-13: render modes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["Human", "ANSI", "", "rgb", 3, True, ["ansi"]])
def test_mis_13_unknown_render_modes_list_the_known_ones(mode):
    with pytest.raises(EdgeGymInputError, match="render_mode = .*must be one of None, ansi, rgb_array"):
        EdgeEnv(render_mode=mode)
    with pytest.raises(EdgeGymInputError, match="render_mode = .*must be one of None, ansi, rgb_array"):
        EdgeVectorEnv(2, render_mode=mode)


def test_mis_13_without_a_render_mode_there_is_no_picture():
    assert running().render() is None
    env = EdgeVectorEnv(2, scenario="toy2")
    env.reset(seed=1)
    assert env.render() is None


@pytest.mark.parametrize("n_rows", [None, 2])
def test_mis_13_frames_are_what_the_mode_says(n_rows):
    for mode, kind in (("ansi", str), ("rgb_array", np.ndarray)):
        if n_rows is None:
            frames = [running(render_mode=mode).render()]
        else:
            env = EdgeVectorEnv(n_rows, scenario="toy2", render_mode=mode)
            env.reset(seed=1)
            frames = env.render()
            assert isinstance(frames, tuple) and len(frames) == n_rows
        for frame in frames:
            assert isinstance(frame, kind) and len(frame) > 0
            if kind is np.ndarray:
                assert frame.dtype == np.uint8 and frame.ndim == 3 and frame.shape[2] == 3


# --- MIS-14: interrupted -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ["before the world runs", "after it ran"])
@pytest.mark.parametrize("call", ["step", "reset"])
def test_mis_14_an_interrupt_leaves_the_world_before_or_after_the_step_never_between(call, moment, monkeypatch):
    """The compiled step cannot be interrupted; Python raises on its way in or out. A reset makes all good."""
    env, twin = running(), running()
    before = state(env)
    run = single_module.EdgeEnv._run

    def interrupted(self, obs):
        if moment == "after it ran":
            run(self, obs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(single_module.EdgeEnv, "_run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            env.step(0) if call == "step" else env.reset(seed=4)
    if moment == "after it ran":
        twin.step(0) if call == "step" else twin.reset(seed=4)
    if call == "step":
        assert state(env) == (before if moment == "before the world runs" else state(twin))
        assert fingerprint(env.step(1)) == fingerprint(twin.step(1)), "it goes on from where the world is"
    assert Player(env, 9).play(25) == Player(EdgeEnv(scenario="toy2"), 9).play(25)


def test_mis_14_an_interrupt_after_the_last_step_is_not_another_step(monkeypatch):
    """The world is over, the caller was not told: what follows must not be garbage."""
    env = EdgeEnv(scenario="toy2", n_requests=2)
    env.reset(seed=1)
    env.step(0)
    run = single_module.EdgeEnv._run

    def interrupted(self, obs):
        run(self, obs)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(single_module.EdgeEnv, "_run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            env.step(0)
    counted = env.batch.state.world[["arrived", "completed", "rejected"]].tolist()
    obs, reward, terminated, truncated, info = env.step(int(env.action_masks().argmax()))
    assert (reward, terminated, truncated) == (0.0, False, True) and obs in env.observation_space
    assert env.batch.state.world[["arrived", "completed", "rejected"]].tolist() == counted
    assert info["dt_s"] == 0.0


def test_mis_08_environments_of_their_own_run_in_threads():
    """One environment belongs to one thread; many at once, sharing the built world, do not disturb each other."""
    expected = {seed: Player(EdgeEnv(scenario="toy2"), seed).play(200) for seed in range(4)}
    found = {}
    threads = [
        threading.Thread(
            target=lambda seed=seed: found.update({seed: Player(EdgeEnv(scenario="toy2"), seed).play(200)})
        )
        for seed in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == expected
