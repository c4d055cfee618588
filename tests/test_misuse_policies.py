"""MIS rows about policies and many environments: who breaks the rules is named, and reaches nothing hidden."""

import dataclasses
import os
import threading
import time

import numpy as np
import pytest

from edge_gym import checks
from edge_gym.cli.main import main
from edge_gym.envs.batch import Batch
from edge_gym.envs.common import resolve_task
from edge_gym.envs.single import EdgeEnv
from edge_gym.envs.vector import EdgeVectorEnv
from edge_gym.errors import EdgeGymError, EdgeGymInputError
from edge_gym.evaluation.evaluate import evaluate
from edge_gym.evaluation.rollout import Turn
from edge_gym.kernel.build import World as Built
from edge_gym.kernel.tables import Params, State
from edge_gym.policy import POLICIES

SMALL = {"scenario": "toy2", "n_requests": 10}


class FirstLegal:
    """The least that a policy is."""

    name = "first_legal"

    def reset(self, n_envs, seed):
        pass

    def act(self, obs, action_mask, context):
        return action_mask.argmax(axis=1)


def acts(answer):
    """A policy whose choices are what `answer` makes of observation, mask and context."""
    policy = FirstLegal()
    policy.act = answer
    return policy


def rows(policy, **more):
    return [{**row, "policy": ""} for row in evaluate(policy, seeds=range(3), **{**SMALL, **more}).rows]


# --- MIS-10: what a policy must not do ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda obs, mask, context: None, "returned NoneType of shape"),
        (lambda obs, mask, context: 0, "must be 3 integers"),
        (lambda obs, mask, context: [0, 0], "must be 3 integers"),
        (lambda obs, mask, context: [[0], [0], [0]], "of shape (3, 1)"),
        (lambda obs, mask, context: [0.0, 0.0, 0.0], "dtype float64"),
        (lambda obs, mask, context: np.full(3, np.nan), "dtype float64"),
        (lambda obs, mask, context: [True, True, True], "dtype bool"),
        (lambda obs, mask, context: ["0", "0", "0"], "dtype <U1"),
        (lambda obs, mask, context: [0, [1], 0], "must be 3 integers"),
        (lambda obs, mask, context: np.full(3, -1), "chose -1 in row 0: legal now are"),
        (lambda obs, mask, context: np.full(3, 99), "chose 99 in row 0"),
        (lambda obs, mask, context: np.full(3, 2**64 - 1, np.uint64), "chose 18446744073709551615 in row 0"),
        (lambda obs, mask, context: (_ for _ in ()).throw(KeyError("x")), "failed in act: KeyError: 'x'"),
        (lambda obs, mask, context: 1 / 0, "failed in act: ZeroDivisionError"),
        (lambda obs, mask, context: obs.nothing, "failed in act: AttributeError"),
        (lambda obs, mask: [0, 0, 0], "failed in act: TypeError"),
        (object(), "failed in act: TypeError"),
    ],
)
def test_mis_10_a_policy_that_breaks_the_rules_is_named(answer, words, tmp_path):
    """Its run ends with an error that says who, where and what; nothing is taken for a result."""
    with pytest.raises(EdgeGymError) as caught:
        evaluate(acts(answer), seeds=range(3), out=tmp_path / "run", **SMALL)
    assert "policy 'first_legal'" in str(caught.value) and words in str(caught.value)
    assert not isinstance(caught.value, EdgeGymInputError)
    assert not (tmp_path / "run" / "episodes.jsonl").exists() and not list((tmp_path / "run" / "shards").iterdir())


def test_mis_10_a_plan_for_another_step_is_checked_where_it_is_carried_out():
    """Choices that were legal when the policy saw them first, and are masked out by now."""
    first = []

    def late(obs, mask, context):
        first.append(mask.argmax(axis=1))
        return first[0]

    with pytest.raises(EdgeGymError, match=r"chose \d in row \d: legal now are"):
        evaluate(acts(late), seeds=range(3), scenario="overload", n_nodes=3, queue_capacity=0, load=4.0, n_requests=60)


def test_mis_10_what_a_policy_keeps_or_overwrites_changes_nothing():
    expected, kept = rows(FirstLegal()), []

    def meddle(obs, mask, context):
        choices = mask.argmax(axis=1)
        for array in (obs, mask, context.time_s, context.dt_s, context.begun, context.active, context.ended_row):
            array[...] = np.logical_not(array) if array.dtype == bool else 77
        context.ended[...] = np.zeros(1, context.ended.dtype)[0]
        kept.append((obs, mask, context, obs.copy(), mask.copy()))
        return choices

    assert rows(acts(meddle)) == expected
    assert len(kept) == 10
    for obs, mask, _, as_left, mask_as_left in kept:  # nor does the world write into what it has handed out
        assert (obs == as_left).all() and (mask == mask_as_left).all()
    with pytest.raises(dataclasses.FrozenInstanceError):
        kept[0][2].time_s = 0


def test_mis_10_others_go_on_where_one_fails(monkeypatch, tmp_path, capsys):
    """In a suite a policy that fails is listed and not scored."""
    monkeypatch.setitem(POLICIES, "t_fails", "test_misuse_policies:Fails")
    (tmp_path / "s.yaml").write_text(
        "version: 1\nname: s\nrevision: 1\ndescription: d\n"
        "cells:\n- task: routing\n  episodes: 2\n  least_episodes: 1\n"
        "  worlds: [{scenario: toy2, set: {n_requests: 5}}]\n  policies: [t_fails, jsq]\n"
    )
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([os.path.dirname(__file__), os.environ.get("PYTHONPATH", "")]))
    code = main(["bench", "--suite", str(tmp_path / "s.yaml"), "--workers", "1", "--quiet"])
    out, err = capsys.readouterr()
    assert code == 1 and "jsq" in out and "t_fails" not in out
    assert "t_fails" in err and "no luck" in err and "Traceback" not in err


class Fails(FirstLegal):
    """Raises when asked."""

    name = "t_fails"

    def act(self, obs, action_mask, context):
        raise RuntimeError("no luck")


@pytest.mark.slow
def test_mis_10_a_policy_that_sleeps_is_stopped(monkeypatch, tmp_path):
    monkeypatch.setitem(POLICIES, "t_sleeps", "test_misuse_policies:Sleeps")
    monkeypatch.setattr("edge_gym.evaluation.execution.RETRIES", 0)
    monkeypatch.syspath_prepend(os.path.dirname(__file__))
    began = time.monotonic()
    found = evaluate("t_sleeps", seeds=range(2), keep_going=True, shard_timeout_s=15, **SMALL)
    assert time.monotonic() - began < 100 and found.rows == []
    assert "took longer than 15 s" in found.failures[0]["reason"]


class Sleeps(FirstLegal):
    """Thinks for an hour."""

    name = "t_sleeps"

    def act(self, obs, action_mask, context):
        time.sleep(3600)


# --- MIS-11: what a policy can reach ---------------------------------------------------------------------------------

HIDDEN = (Batch, Built, State, Params, Turn, np.random.Generator, np.random.RandomState)


def reached(value, limit=100_000):
    """Everything that attributes, items and the bases of arrays lead to, without what Python itself is made of."""
    seen, todo = {}, [(value, "")]
    while todo and len(seen) < limit:
        item, path = todo.pop()
        if id(item) in seen or isinstance(item, int | float | str | bytes | bool | type | None):
            continue
        seen[id(item)] = (item, path)
        if isinstance(item, dict):
            todo += [(entry, f"{path}[{key!r}]") for key, entry in item.items()]
        elif isinstance(item, list | tuple | set | frozenset):
            todo += [(entry, f"{path}[{k}]") for k, entry in enumerate(item)]
        if isinstance(item, np.ndarray):
            todo.append((item.base, f"{path}.base"))
        elif not callable(item) or hasattr(item, "__dict__"):
            names = [name for name in dir(item) if not name.startswith("__")]
            todo += [(getattr(item, name, None), f"{path}.{name}") for name in names]
    return seen.values()


class Watcher(FirstLegal):
    """Keeps what it is given at each of the first decisions."""

    def __init__(self, task, **attributes):
        self.tasks, self.given = (task,), []
        self.__dict__.update(attributes)

    def act(self, obs, action_mask, context):
        if len(self.given) < 3:
            self.given.append((obs, action_mask, context))
        return action_mask.shape[1] - 1 - action_mask[:, ::-1].argmax(axis=1)


def play(task, scenario, **attributes):
    """A watcher, and the turn it played."""
    watcher = Watcher(task, **attributes)
    where = "routing" if task == "metacontrol" else task
    world = resolve_task(where, scenario, {"horizon_s": 30.0} if scenario is None else {"n_requests": 30})[1]
    turn = Turn(world, watcher, "watcher", [1, 2], np.ones(2, bool), where)
    turn.run(None)
    assert watcher.given
    return watcher, turn


@pytest.mark.parametrize(
    ("task", "scenario", "attributes"),
    [
        ("routing", "churn", {}),
        ("routing", "semantic", {"wants_links": True}),
        ("metacontrol", "semantic", {}),
        pytest.param("placement", None, {}, marks=pytest.mark.slow),
    ],
)
def test_mis_11_no_attribute_leads_to_the_simulator(task, scenario, attributes):
    watcher, turn = play(task, scenario, **attributes)
    moving = [table for table in turn.batch.state if table.size]
    rules = [table for table in turn.batch.world.params if isinstance(table, np.ndarray) and table.size]
    for item, path in reached(watcher.given):
        assert not isinstance(item, HIDDEN), f"{path} is a {type(item).__name__}"
        if isinstance(item, np.ndarray) and item.size:
            assert not any(np.may_share_memory(item, table) for table in (*moving, *rules)), (
                f"{path} is the world's own"
            )


def test_mis_11_the_tool_finds_what_there_is_to_find():
    """A privileged policy does reach the worlds: the same search says so."""
    watcher, _ = play("routing", "churn", privileged=True)
    assert any(isinstance(item, Batch) for item, _ in reached(watcher.given))
    _, turn = play("routing", "churn")
    assert any(isinstance(item, State) for item, _ in reached([{"a": turn}]))


def test_mis_11_what_agents_and_environments_return_is_plain():
    env = EdgeEnv(scenario="semantic", n_requests=30)
    moments = [env.reset(seed=1)]
    for _ in range(20):
        moments.append(env.step(int(env.action_masks().argmax())))
    tables = [table for table in env.batch.state if table.size]
    for item, path in reached(moments):
        assert not isinstance(item, HIDDEN), path
        assert not isinstance(item, np.ndarray) or not any(np.may_share_memory(item, table) for table in tables)


# --- MIS-12: a reward that is no number -------------------------------------------------------------------------------


@pytest.mark.parametrize("reward", [float("nan"), float("inf"), None, "1", np.float32(1)])
def test_mis_12_a_subclass_with_a_reward_that_is_no_number_is_named(reward):
    class Wayward(EdgeEnv):
        def step(self, action):
            obs, _, *rest = super().step(action)
            return obs, reward, *rest

    with pytest.raises(AssertionError, match=r"Wayward.*reward .* is not a finite float"):
        checks.check_spaces_and_masks(lambda: Wayward(**SMALL), n_steps=5)


# --- MIS-08 and MIS-15: threads, and many environments ----------------------------------------------------------------


def test_mis_08_each_thread_has_policies_and_worlds_of_its_own():
    expected = rows(FirstLegal())
    found = {}

    def job(k):
        found[k] = [{**row, "policy": ""} for row in evaluate(FirstLegal(), seeds=range(3), **SMALL).rows]

    threads = [threading.Thread(target=job, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(found.values()) == [expected] * 4


def test_mis_15_more_worlds_than_memory_are_refused_with_an_estimate():
    with pytest.raises(EdgeGymInputError, match=r"100000 worlds x 1000 nodes need \d+ GiB") as caught:
        EdgeVectorEnv(100_000, scenario="metro1000")
    assert "GiB of tables" in str(caught.value)


def test_mis_15_many_environments_hold_what_they_need_and_nothing_global_grows():
    envs = [EdgeEnv(**SMALL) for _ in range(500)]
    size = sum(table.nbytes for table in envs[0].batch.state)
    assert size * 100_000 < 16 * 2**30, "10^5 of the small ones would not fit into memory"
    assert len({id(env.world) for env in envs}) == 1
    tables = [env.batch.state.node for env in envs[:20]]
    assert not any(np.may_share_memory(a, b) for k, a in enumerate(tables) for b in tables[:k])
    first, last = envs[0], envs[-1]
    expected = [checks.fingerprint(first.reset(seed=5)), *(checks.fingerprint(first.step(0)) for _ in range(5))]
    for env in envs[1:-1]:
        env.reset(seed=7)
        env.step(1)
    assert [checks.fingerprint(last.reset(seed=5)), *(checks.fingerprint(last.step(0)) for _ in range(5))] == expected
