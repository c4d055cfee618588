"""Engines: where a shard runs changes nothing, a process that is lost is replaced, and nothing is left behind."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from typing import NamedTuple

import pytest

from edge_gym import policy
from edge_gym.errors import EdgeGymError, EdgeGymInputError
from edge_gym.evaluation import shards, workers
from edge_gym.evaluation.engine_processes import Processes
from edge_gym.evaluation.evaluate import evaluate
from edge_gym.evaluation.execution import RETRIES, Execution, Lost, dispatch

SMALL = {"scenario": "stationary", "n_nodes": 4, "n_requests": 40}
FILES = ("episodes.jsonl", "summary.json")


class FirstLegal:
    def reset(self, n_envs, seed):
        pass

    def act(self, obs, action_mask, context):
        return action_mask.argmax(axis=1)


class Slow(FirstLegal):
    def act(self, obs, action_mask, context):
        time.sleep(0.02)
        return super().act(obs, action_mask, context)


@pytest.fixture(autouse=True)
def policies(monkeypatch):
    monkeypatch.setattr(policy, "POLICIES", {**policy.POLICIES, "t_slow": Slow})
    monkeypatch.setattr(shards, "POLICIES", policy.POLICIES)


class Part(NamedTuple):
    """Stands for a shard in the tests of the scheduler alone."""

    name: str


class Script:
    """An engine that does what the test says: for each name, what its attempts come to (None: it hangs)."""

    def __init__(self, script):
        self.script = {name: list(results) for name, results in script.items()}
        self.began, self.stopped, self.most, self.open = [], [], 0, {}
        self.closed = 0

    def start(self, shard):
        ticket = len(self.began)
        self.began.append(shard.name)
        self.open[ticket] = self.script[shard.name].pop(0)
        self.most = max(self.most, len(self.open))
        return ticket

    def wait(self, tickets, timeout_s):
        assert set(tickets) == set(self.open)
        for ticket in tickets:
            if self.open[ticket] is not None:
                return [(ticket, self.open.pop(ticket))]
        time.sleep(timeout_s)
        return []

    def stop(self, ticket):
        self.stopped.append(self.began[ticket])
        del self.open[ticket]

    def close(self):
        self.closed += 1


def fates(script, **execution):
    engine = Script(script)
    found = list(dispatch([Part(name) for name in script], engine, Execution(**execution)))
    assert engine.closed == 1 and not engine.open
    return {done.shard.name: done for done in found}, engine


DONE = ([{"seed": 1}], {"total_s": 1.0})


def test_lost_shards_are_tried_again_and_then_listed():
    """RUN-21."""
    found, engine = fates({"a": [Lost("gone"), DONE], "b": [Lost("gone")] * (1 + RETRIES), "c": [DONE]})
    assert found["a"].error is None and found["a"].attempts == 2 and found["a"].rows == DONE[0]
    assert found["b"].attempts == 1 + RETRIES and "gone, 3 times in a row" in str(found["b"].error)
    assert found["c"].attempts == 1 and engine.most == 1


def test_what_fails_by_itself_is_not_tried_again():
    found, _ = fates({"a": [EdgeGymError("no luck")], "b": [DONE]}, n_workers=2)
    assert found["a"].attempts == 1 and str(found["a"].error) == "no luck" and found["b"].rows


def test_what_hangs_is_stopped_and_tried_again():
    found, engine = fates({"a": [None, DONE], "b": [DONE]}, n_workers=2, shard_timeout_s=0.05)
    assert engine.stopped == ["a"] and found["a"].attempts == 2 and found["a"].error is None


def test_no_more_at_once_than_allowed():
    _, engine = fates({name: [DONE] for name in "abcdefg"}, n_workers=3)
    assert engine.most == 3 and engine.began == list("abcdefg")


def test_leaving_early_closes_the_engine():
    engine = Script({"a": [DONE], "b": [DONE]})
    going = dispatch([Part("a"), Part("b")], engine, Execution())
    next(going)
    going.close()
    assert engine.closed == 1


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"n_workers": 0}, "n_workers"),
        ({"n_workers": True}, "n_workers"),
        ({"engine": "rey"}, "did you mean 'ray'"),
        ({"address": "auto"}, "address"),
        ({"shard_timeout_s": 0}, "shard_timeout_s"),
        ({"shard_timeout_s": float("nan")}, "shard_timeout_s"),
        ({"shard_timeout_s": "1"}, "shard_timeout_s"),
    ],
)
def test_values_are_checked(wrong, words):
    with pytest.raises(EdgeGymInputError, match=words):
        Execution(**wrong)


def test_the_longest_begin_first(monkeypatch):
    names = ["jsq", "oracle", "clairvoyant"]
    planned = shards.plan(names, "routing", ["toy2", "stationary"], [1000], 64, {})
    began = []

    class Records(Script):
        def start(self, shard):
            began.append((shard.policy, shard.scenario.name))
            self.began.append(shard)
            self.open[len(self.began) - 1] = DONE
            return len(self.began) - 1

    monkeypatch.setattr(workers, "_engine", lambda todo, execution: Records({}))
    assert len(list(workers.run_all(planned, set(), Execution(keep_going=True)))) == 6
    assert began[0] == ("clairvoyant", "stationary") and began[-1] == ("jsq", "toy2")
    assert began.index(("oracle", "stationary")) < began.index(("jsq", "stationary"))


def test_a_killed_worker_is_replaced_by_hand(monkeypatch):
    """The process engine alone: kill what runs, and what waits idle; both are seen and nothing is left."""
    before = set(multiprocessing.active_children())
    planned = shards.plan(["t_slow"], "routing", "stationary", [1], 64, {"n_nodes": 4, "n_requests": 40})
    engine = Processes(planned)
    ticket = engine.start(planned[0])
    (worker,) = set(multiprocessing.active_children()) - before
    os.kill(worker.pid, signal.SIGKILL)
    ((_, result),) = engine.wait([ticket], 60.0)
    assert isinstance(result, Lost)
    ticket = engine.start(planned[0])
    ((_, result),) = engine.wait([ticket], 60.0)
    assert result[0][0]["seed"] == 1  # a fresh one did it
    (worker,) = set(multiprocessing.active_children()) - before
    os.kill(worker.pid, signal.SIGKILL)
    worker.join(10.0)
    ticket = engine.start(planned[0])
    ((_, result),) = engine.wait([ticket], 60.0)
    assert isinstance(result, Lost)
    ticket = engine.start(planned[0])
    assert engine.wait([ticket], 0.0) == []  # nothing yet, and the time is over
    engine.stop(ticket)
    engine.close()
    engine.close()
    assert set(multiprocessing.active_children()) == before


def test_without_ray_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(EdgeGymInputError, match=r"\.\[ray\]"):
        evaluate("jsq", seeds=[1000], engine="ray", **SMALL)


def run_with_ray(tmp_path, code):
    """In a process of its own: Ray changes signals, the environment and threads of whoever starts it."""
    pytest.importorskip("ray")
    script = tmp_path / "job.py"
    script.write_text(code)
    surroundings = {**os.environ, "HOME": str(tmp_path)}  # where Ray keeps the token its parts know each other by
    return subprocess.run(
        [sys.executable, str(script), str(tmp_path)], capture_output=True, text=True, timeout=280, env=surroundings
    )


SAME = """
import sys
from pathlib import Path
from edge_gym.evaluation import shards, workers
from edge_gym.evaluation.evaluate import evaluate

if __name__ == "__main__":
    shards.SHARD = 3
    out, job = Path(sys.argv[1]), {"scenario": "stationary", "n_nodes": 4, "n_requests": 40, "seeds": range(1000, 1007)}
    names = ["jsq", "thompson", "oracle"]
    evaluate(names, n_workers=2, out=out / "processes", **job)
    evaluate(names, n_workers=2, engine="ray", out=out / "ray", **job)
    import ray
    assert not ray.is_initialized()
"""


@pytest.mark.slow
def test_ray_gives_the_same_bytes(tmp_path):
    done = run_with_ray(tmp_path, SAME)
    assert done.returncode == 0, done.stderr[-3000:]
    for name in FILES:
        one, two = ((tmp_path / engine / name).read_bytes() for engine in ("processes", "ray"))
        assert one == two and one.count(b"\n") >= 21


LOST = """
import os, signal
from pathlib import Path
from edge_gym.evaluation.execution import Execution, dispatch
from edge_gym.evaluation.engine_ray import Ray
from edge_gym.evaluation import engine_ray, shards

def dies(shard):
    os.kill(os.getpid(), signal.SIGKILL)

def hangs(shard):
    import time
    time.sleep(1000)

def family(root):
    parent = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        words = path.read_text().rpartition(")")[2].split()
        parent[int(path.parent.name)] = int(words[1])
    found = {root}
    while more := {pid for pid, above in parent.items() if above in found} - found:
        found |= more
    return found

def listening():
    tables = [Path("/proc/net/tcp"), Path("/proc/net/tcp6")]
    lines = [line.split() for table in tables for line in table.read_text().splitlines()[1:]]
    where = {f"socket:[{words[9]}]": words[1].partition(":")[0] for words in lines if words[3] == "0A"}
    links = [str(os.readlink(one)) for pid in family(os.getpid()) for one in Path(f"/proc/{pid}/fd").glob("*")
             if one.is_symlink()]
    return {where[link] for link in links if link in where}

planned = shards.plan(["jsq"], "routing", "toy2", [1000], 64, {})
if Path("/proc/net/tcp").exists():
    engine = Ray(1, None)
    found = listening()
    engine.close()
    assert found and all(address.endswith("0100007F") for address in found), found
for what, words, timeout in ((dies, "its task was lost", 60.0), (hangs, "longer than 3 s", 3.0)):
    engine_ray.answer = what
    engine = Ray(1, None)
    (done,) = dispatch(planned, engine, Execution(engine="ray", shard_timeout_s=timeout, keep_going=True))
    assert words in str(done.error) and done.attempts == 3, done
assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"
"""


@pytest.mark.slow
def test_ray_replaces_what_is_lost_and_listens_to_this_machine_only(tmp_path):
    done = run_with_ray(tmp_path, LOST)
    assert done.returncode == 0, done.stderr[-3000:]


def test_an_object_runs_here_only():
    with pytest.raises(EdgeGymInputError, match="other processes can import"):
        evaluate(FirstLegal(), seeds=[1000], keep_going=True, **SMALL)
