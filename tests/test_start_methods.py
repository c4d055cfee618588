"""RUN-22, REP-06: however processes are started, and with or without vector instructions, figures are the same."""

import json
import os
import subprocess
import sys
from pathlib import Path

import golden
import numpy as np
import pytest

TESTS = Path(__file__).resolve().parent

# A script as a user writes it; the default start method is that of the system, or set before anything else.
PLAY = """
import json, multiprocessing, sys
from functools import partial
import gymnasium
from gymnasium.vector import AsyncVectorEnv
from edge_gym import evaluate
from edge_gym.checks import fingerprint

def main(method):
    found = {}
    if method != "alone":
        multiprocessing.set_start_method(method)
    workers = 1 if method == "alone" else 2
    rows = evaluate(["jsq", "round_robin"], scenario="toy2", seeds=range(60), n_workers=workers).rows
    found["rows"] = fingerprint(rows)
    make = partial(gymnasium.make, "edge_gym/Routing-v0", scenario="toy2")
    if method == "alone":
        env = gymnasium.vector.SyncVectorEnv([make] * 2)
    else:
        env = AsyncVectorEnv([make] * 2, context=method)
    obs, info = env.reset(seed=[1, 2])
    seen = [fingerprint(obs)]
    for k in range(25):
        obs, reward, _, over, info = env.step(info["action_mask"].argmax(axis=1))
        seen.append(fingerprint([obs, reward, over]))
    env.close()
    found["steps"] = fingerprint(seen)
    print(json.dumps(found))

if __name__ == "__main__":
    main(sys.argv[1])
"""


def python(*words, **more):
    """What a child prints, as JSON."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(TESTS), *sys.path]), **more}
    words = [sys.executable, "-W", "ignore", *words]
    done = subprocess.run(words, capture_output=True, text=True, timeout=280, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def script(tmp_path_factory):
    path = tmp_path_factory.mktemp("play") / "play.py"
    path.write_text(PLAY)
    return str(path)


@pytest.fixture(scope="module")
def alone(script):
    return python(script, "alone")


# Threads matter where a process with threads is forked.
@pytest.mark.parametrize(("method", "threads"), [("fork", "1"), ("fork", "2"), ("spawn", "1"), ("forkserver", "1")])
def test_run_22_every_start_method_gives_the_same(method, threads, script, alone):
    assert python(script, method, OMP_NUM_THREADS=threads, NUMBA_NUM_THREADS=threads) == alone


TRACE = """
import json, golden, numpy
features = numpy._core._multiarray_umath.__cpu_features__
names = ("stationary", "mixed", "bursty", "metro64")
traces = {name: golden.trace(golden.Case("routing", name, False)) for name in names}
print(json.dumps({"on": sorted(name for name, on in features.items() if on), "traces": traces}))
"""


def test_rep_06_without_vector_instructions_the_events_are_the_same():
    """NumPy without the instructions beyond its baseline: no time, choice or count differs, not even an observation."""
    dispatched = np._core._multiarray_umath.__cpu_dispatch__
    known = np._core._multiarray_umath.__cpu_features__
    off = [name for name in dispatched if known.get(name)]
    if not off:
        pytest.skip("this processor has nothing to switch off")
    plain = python("-c", TRACE, NPY_DISABLE_CPU_FEATURES=" ".join(off))
    assert not set(off) & set(plain["on"]), "they should be off"
    written = json.loads(golden.path_of("edge_gym/Routing-v0").read_text())["traces"]
    for name, seeds in plain["traces"].items():
        assert {seed: one["events"] for seed, one in seeds.items()} == {
            seed: one["events"] for seed, one in written[name].items()
        }
    assert plain["traces"] == python("-c", TRACE)["traces"]
