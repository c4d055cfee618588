"""Runs at their limits, each measured in a process of its own: flat memory, overload, very many nodes, killed writers.

    python scripts/long_runs.py                  # all of them, some minutes
    python scripts/long_runs.py overload huge    # one line of JSON each
    python scripts/long_runs.py memory --steps 1e8

What is printed is what `tests/test_long_runs.py` holds against its limits, there with smaller numbers.
"""

import argparse
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from soak_memory import resident_mib

from edge_gym.envs.single import EdgeEnv
from edge_gym.envs.vector import EdgeVectorEnv

WARM_SHARE = 0.1  # of the steps, after which memory is looked at: pages are touched for the first time until then


def take_turns(mask: np.ndarray, k: int) -> np.ndarray:
    """A legal choice for each row, another one at every step."""
    turn = (k + np.arange(mask.shape[1])) % mask.shape[1]
    return turn[mask[:, turn].argmax(axis=1)]


def memory(steps: float = 2e7, num_envs: int = 64, scenario: str = "mixed") -> dict[str, Any]:
    """RUN-01: resident memory and living objects from an early step to the last."""
    env = EdgeVectorEnv(num_envs, scenario=scenario)
    _, info = env.reset(seed=0)
    points: list[tuple[float, float]] = []
    before: Counter = Counter()
    n_steps, episodes, began = int(steps) // num_envs, 0, time.perf_counter()
    for k in range(n_steps):
        _, _, _, over, info = env.step(take_turns(info["action_mask"], k))
        episodes += int(over.sum())
        if k >= WARM_SHARE * n_steps and k % max(n_steps // 20, 1) == 0:
            gc.collect()
            points.append(((k + 1) * num_envs, resident_mib()))
            before = before or living()
    grown = {name: more for name, count in living().items() if (more := count - before[name]) > 20}
    x, y = np.array(points).T
    return {
        "steps": n_steps * num_envs,
        "episodes": episodes,
        "rss_mib": y[-1],
        "grown_mib": y[-1] - y[0],
        "mib_per_1e7_steps": float(np.polyfit(x / 1e7, y, 1)[0]),
        "objects_grown": grown,
        "seconds": time.perf_counter() - began,
    }


def living() -> Counter:
    """Objects by type."""
    gc.collect()
    return Counter(type(one).__name__ for one in gc.get_objects())


def overload(requests: float = 1e6, load: float = 100.0, num_envs: int = 8) -> dict[str, Any]:
    """RUN-10: requests at many times what can be served; what waits stays within its bounds."""
    env = EdgeVectorEnv(num_envs, scenario="stationary", load=load, n_requests=int(requests / num_envs) + 1)
    limit = int(env.batch.world.params.node["limit"].sum())
    _, info = env.reset(seed=1)
    n_steps, waiting, seconds, first_rss = int(requests) // num_envs, 0, [], 0.0
    for k in range(n_steps):
        actions, began = take_turns(info["action_mask"], k), time.thread_time()  # what others do does not count
        _, _, _, _, info = env.step(actions)
        seconds.append(time.thread_time() - began)
        waiting = max(waiting, int(env.batch.state.world["in_system"].max()))
        if k == n_steps // 10:
            first_rss = resident_mib()
    world, tenth = env.batch.state.world, n_steps // 10
    counts = {name: int(world[name].sum()) for name in ("arrived", "completed", "rejected", "dropped", "in_system")}
    early, late = statistics.median(seconds[:tenth]), statistics.median(seconds[-tenth:])
    return {
        "load": load,
        **counts,
        "most_in_system": waiting,
        "room": limit,
        "grown_mib": resident_mib() - first_rss,
        "step_time_late_over_early": late / early,
    }


def huge(n_nodes: float = 1e4, steps: int = 30) -> dict[str, Any]:
    """RUN-14: a world with very many nodes."""
    EdgeEnv(scenario="toy2").reset(seed=0)  # compiles
    began = time.perf_counter()
    env = EdgeEnv(scenario="metro1000", n_nodes=int(n_nodes))
    built = time.perf_counter()
    _, info = env.reset(seed=1)
    ready = time.perf_counter()
    seconds = []
    for k in range(steps):
        action, at = int(take_turns(info["action_mask"][None], 37 * k)[0]), time.perf_counter()
        _, _, _, _, info = env.step(action)
        seconds.append(time.perf_counter() - at)
    return {
        "nodes": int(n_nodes),
        "build_s": built - began,
        "reset_s": ready - built,
        "median_step_ms": 1e3 * statistics.median(seconds),
        "rss_mib": resident_mib(),
    }


def writers(kills: float = 200) -> dict[str, Any]:
    """RUN-16: every kind of file, its writer killed so often at random moments; each kill is followed by a reading."""
    program = Path(__file__).resolve().parent.parent / "tests" / "killed_writers.py"
    kinds, found = ("checkpoint", "state", "shard", "transcript", "page", "table"), {}
    for kind in kinds:
        with tempfile.TemporaryDirectory() as folder:
            words = [sys.executable, str(program), kind, str(int(kills)), folder]
            done = subprocess.run(words, capture_output=True, text=True, check=False)
        found[kind] = int(done.stdout) if done.returncode == 0 else done.stderr.strip().splitlines()[-1]
    return {"kills_of_each": int(kills), "whole_after": found}


MEASURES = {"memory": memory, "overload": overload, "huge": huge, "writers": writers}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", choices=[*MEASURES, []], help="which (default: all)")
    parser.add_argument("--steps", type=float, help="of `memory` (default 2e7)")
    parser.add_argument("--requests", type=float, help="of `overload` (default 1e6)")
    parser.add_argument("--n-nodes", type=float, help="of `huge` (default 1e4)")
    parser.add_argument("--kills", type=float, help="of `writers` (default 200)")
    args = parser.parse_args()
    names = args.names or list(MEASURES)
    if len(names) > 1:  # each in a process of its own: memory is that of one measure
        for name in names:
            subprocess.run([sys.executable, __file__, name, *sys.argv[1 + len(args.names) :]], check=True)
        return
    key = {"memory": "steps", "overload": "requests", "huge": "n_nodes", "writers": "kills"}[names[0]]
    given = {} if getattr(args, key) is None else {key: getattr(args, key)}
    print(json.dumps({"name": names[0], **MEASURES[names[0]](**given)}), flush=True)


if __name__ == "__main__":
    main()
