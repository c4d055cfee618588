"""Measures speed: contenders take turns on the same worlds and the same actions, so the ratios hold on a busy machine.

python scripts/benchmark_speed.py            # some minutes
python scripts/benchmark_speed.py --quick    # under a minute
Figures are medians over the turns. Nothing is judged here.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from reference import c_loop
from reference.simpy_model import Model as SimpyModel
from rich.console import Console
from rich.table import Table

from edge_gym.envs.batch import Batch
from edge_gym.envs.common import resolve_task
from edge_gym.envs.links import log_links
from edge_gym.envs.single import EdgeEnv
from edge_gym.envs.vector import EdgeVectorEnv
from edge_gym.kernel import step as kernel
from edge_gym.kernel.build import World
from edge_gym.kernel.observe import COLUMNS, ROUTER
from edge_gym.kernel.tables import OUTCOME
from edge_gym.policy import Context, Policy
from edge_gym.scenario.presets import preset

OUTSTANDING = [column.name for column in COLUMNS].index("outstanding")
SIZES = {16: 256, 64: 64, 256: 16, 1024: 4}  # nodes -> worlds: as many nodes in all
ENDLESS = {"n_requests": 10**9, "horizon_s": 1e7}  # no episode ends while it is measured

Play = Callable[[np.ndarray], None]  # plays a tape of actions (T, B)


class Figures:
    """Named figures in the order they were found."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, float, str]] = []

    def add(self, name: str, value: float, unit: str) -> None:
        self.rows.append((name, float(value), unit))

    def show(self) -> None:
        table = Table(title="Speed (medians of interleaved turns, one run)")
        table.add_column("figure")
        table.add_column("value", justify="right")
        table.add_column("unit")
        for name, value, unit in self.rows:
            table.add_row(name, f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}", unit)
        Console(width=100).print(table)
        for name, value, unit in self.rows:
            print(name, f"{value:.6g}", unit)


class Driver:
    """Makes the tapes, outside of what is timed: each world takes the next legal choice in turn."""

    def __init__(self, world: World, n_worlds: int, roots: np.ndarray, with_c: bool) -> None:
        self.n, self.at = world.n_nodes, 0
        self.loop = c_loop.CLoop(world, n_worlds) if with_c else None
        if self.loop is not None:
            self.loop.reset(roots)
            self.mask = self.loop.mask
        else:
            self.batch, self.play = kernel_alone(world, n_worlds, roots)
            self.mask = self.batch.mask

    def tape(self, length: int) -> np.ndarray:
        """The next `length` actions of every world, (T, B)."""
        actions = np.empty((length, len(self.mask)), np.int64)
        for t in range(length):
            turn = (self.at + np.arange(self.n)) % self.n
            self.at += 1
            legal = self.mask[:, turn]
            actions[t] = np.where(legal.any(axis=1), turn[legal.argmax(axis=1)], self.n)
            if self.loop is not None:
                self.loop.step(actions[t])
            else:
                self.play(actions[t : t + 1])
        return actions


def take_turns(plays: dict[str, Play], driver: Driver, length: int, turns: int, warm_up: int) -> dict[str, float]:
    """Seconds per step of one world for each contender, over the same actions, turn by turn."""
    names = list(plays)
    tape = driver.tape(warm_up)
    for play in plays.values():
        play(tape)
    found: dict[str, list[float]] = {name: [] for name in names}
    gc.collect()
    gc.disable()
    try:
        for turn in range(turns):
            tape = driver.tape(length)
            for k in range(len(names)):
                name = names[(turn + k) % len(names)]
                began = time.perf_counter()
                plays[name](tape)
                found[name].append((time.perf_counter() - began) / tape.size)
    finally:
        gc.enable()
    return {name: statistics.median(values) for name, values in found.items()}


def single_env(world: World, root: int) -> tuple[EdgeEnv, Play]:
    env = EdgeEnv(scenario=world.scenario)
    env.reset(seed=root)

    def play(tape: np.ndarray) -> None:
        for action in tape[:, 0].tolist():
            env.step(action)

    return env, play


def vector_env(world: World, roots: np.ndarray, copy: bool) -> tuple[EdgeVectorEnv, Play]:
    env = EdgeVectorEnv(len(roots), scenario=world.scenario, copy=copy)
    env.reset(seed=[int(root) for root in roots])

    def play(tape: np.ndarray) -> None:
        for actions in tape:
            env.step(actions)

    return env, play


def kernel_alone(world: World, n_worlds: int, roots: np.ndarray) -> tuple[Batch, Play]:
    """The compiled call and the least that must be told to it; buffers are kept."""
    batch = Batch(world, n_worlds)
    obs, out = batch.empty_obs(), np.zeros(n_worlds, OUTCOME)
    batch.roots[:] = roots
    batch.reset(np.ones(n_worlds, bool), obs)
    batch.order["todo"] = kernel.STEP

    def play(tape: np.ndarray) -> None:
        action = batch.order["action"]
        for actions in tape:
            action[:] = actions
            batch.run(obs, out)

    return batch, play


def plain_c(world: World, n_worlds: int, roots: np.ndarray) -> tuple[c_loop.CLoop, Play]:
    loop = c_loop.CLoop(world, n_worlds)
    loop.reset(roots)

    def play(tape: np.ndarray) -> None:
        for actions in tape:
            loop.step(actions)

    return loop, play


def roots_of(n: int) -> np.ndarray:
    return np.arange(1, n + 1, dtype=np.uint64) * np.uint64(1_000_003)


def measure_batches(figures: Figures, quick: bool, with_c: bool) -> None:
    """B = 1, 64, 1024 at N = 16: the views, the kernel alone and the C loop."""
    world = resolve_task("routing", "stationary", dict(ENDLESS))[1]
    for b in (1, 64, 1024):
        roots = roots_of(b)
        plays: dict[str, Play] = {}
        if b == 1:
            plays["single_env"] = single_env(world, int(roots[0]))[1]
        plays["vector_env"] = vector_env(world, roots, True)[1]
        plays["vector_env_copy_false"] = vector_env(world, roots, False)[1]
        batch, plays["kernel"] = kernel_alone(world, b, roots)
        loop = None
        if with_c:
            loop, plays["c_loop"] = plain_c(world, b, roots)
        length = max((4_000 if quick else 20_000) // b, 6 if quick else 20)
        took = take_turns(plays, Driver(world, b, roots, with_c), length, 5 if quick else 15, 100 if quick else 400)
        for name, seconds in took.items():
            figures.add(f"{name}_N16_B{b}", 1.0 / seconds, "steps/s")
        for name in took:
            if name != "c_loop" and with_c:
                figures.add(f"{name}_over_c_N16_B{b}", took[name] / took["c_loop"], "time ratio")
        if loop is not None:
            same = np.array_equal(loop.mask, batch.mask) and bool(np.abs(loop.obs - last_obs(batch)).max() <= 1e-6)
            figures.add(f"same_worlds_as_c_N16_B{b}", same, "0 or 1")


def last_obs(batch: Batch) -> np.ndarray:
    obs = batch.empty_obs()
    batch.observe(np.ones(batch.n_worlds, bool), obs)
    return obs


def measure_sizes(figures: Figures, quick: bool, with_c: bool) -> None:
    """N = 16 ... 1024: time of a step and the exponent of its growth."""
    found: dict[str, dict[int, float]] = {}
    for n, b in SIZES.items():
        world = resolve_task("routing", "stationary", {**ENDLESS, "n_nodes": n})[1]
        roots = roots_of(b)
        plays = {"vector_env": vector_env(world, roots, True)[1], "kernel": kernel_alone(world, b, roots)[1]}
        if with_c:
            plays["c_loop"] = plain_c(world, b, roots)[1]
        length = max((40_000 if quick else 200_000) // (n * b), 4)
        driver = Driver(world, b, roots, with_c)
        for name, seconds in take_turns(plays, driver, length, 5 if quick else 15, (2 if quick else 12) * n).items():
            found.setdefault(name, {})[n] = seconds
    sizes = list(SIZES)
    for name, of in found.items():
        for n in sizes:
            figures.add(f"{name}_step_N{n}_B{SIZES[n]}", of[n] * 1e6, "us/step")
        slope = np.polyfit(np.log(sizes), np.log([of[n] for n in sizes]), 1)[0]
        figures.add(f"{name}_growth_exponent_N16_to_N1024", slope, "(1: as N)")
        for a, z in zip(sizes, sizes[1:], strict=False):
            figures.add(f"{name}_growth_N{a}_to_N{z}", of[z] / of[a] / (z / a), "(1: as N)")


def measure_regimes(figures: Figures, quick: bool) -> None:
    """What regimes cost the kernel: the same number of decisions at the same load, stationary and mixed in turns."""
    b, found = 1024, {}
    regimes = {part: getattr(preset("mixed"), part) for part in ("semantic", "drift", "churn")}
    worlds = {
        "stationary": resolve_task("routing", "stationary", {**ENDLESS, "load": 0.5})[1],
        "mixed": resolve_task("routing", "stationary", {**ENDLESS, "load": 0.5, **regimes})[1],
    }
    length, turns, warm_up = (10, 5, 60) if quick else (40, 15, 200)
    players = {name: pick_player(world, roots_of(b), warm_up) for name, world in worlds.items()}
    for turn in range(turns):
        for name in list(players)[:: 1 if turn % 2 else -1]:
            found.setdefault(name, []).append(players[name](length) / (length * b))
    for name, values in found.items():
        figures.add(f"kernel_{name}_load_0.5_N16_B{b}", 1e6 * statistics.median(values), "us/step")
    ratios = [mixed / still for mixed, still in zip(found["mixed"], found["stationary"], strict=True)]
    figures.add(f"kernel_mixed_over_stationary_N16_B{b}", statistics.median(ratios), "time ratio, paired")


def pick_player(world: World, roots: np.ndarray, warm_up: int) -> Callable[[int], float]:
    """Plays by the world's own router, kernel alone; seconds in the kernel, choosing not counted."""
    batch = Batch(world, len(roots))
    obs, out = batch.empty_obs(), np.zeros(len(roots), OUTCOME)
    batch.roots[:] = roots
    batch.reset(np.ones(len(roots), bool), obs)
    batch.order["todo"] = kernel.STEP

    def play(length: int) -> float:
        took = 0.0
        for _ in range(length):
            batch.order["action"] = obs[..., ROUTER].argmax(axis=1)
            began = time.perf_counter()
            batch.run(obs, out)
            took += time.perf_counter() - began
        return took

    play(warm_up)
    return play


def measure_simpy(figures: Figures, quick: bool) -> None:
    """Whole loops with join-shortest-queue: choosing counts on every side. SimPy makes no observation."""
    overrides = {**ENDLESS, "preload": "all_that_fit"}
    world = resolve_task("routing", "stationary", overrides)[1]
    n, requests = world.n_nodes, 2_000 if quick else 10_000
    model = SimpyModel(world, 1)
    single = EdgeEnv(scenario=world.scenario)
    state = {"obs": single.reset(seed=1)[0], "mask": single.action_masks()}
    vectors = {b: EdgeVectorEnv(b, scenario=world.scenario) for b in (64, 1024)}
    last = {b: env.reset(seed=1) for b, env in vectors.items()}

    def play_single(steps: int) -> None:
        obs, mask = state["obs"], state["mask"]
        for _ in range(steps):
            key = np.where(mask[:-1], obs[:-1, OUTSTANDING], 2.0)
            choice = int(key.argmin())
            obs, _, _, _, info = single.step(choice if mask[choice] else n)
            mask = info["action_mask"]
        state["obs"], state["mask"] = obs, mask

    def play_vector(b: int, steps: int) -> None:
        obs, info = last[b]
        for _ in range(max(steps // b, 1)):
            mask = info["action_mask"]
            key = np.where(mask[:, :-1], obs[:, :-1, OUTSTANDING], 2.0)
            choice = np.where(mask[:, :-1].any(axis=1), key.argmin(axis=1), n)
            obs, _, _, _, info = vectors[b].step(choice)
        last[b] = obs, info

    plays: dict[str, tuple[Callable[[int], object], int]] = {
        "simpy_jsq": (model.run, requests),
        "single_env_jsq": (play_single, requests),
        "vector_env_jsq_B64": (lambda steps: play_vector(64, steps), 64 * (requests // 16)),
        "vector_env_jsq_B1024": (lambda steps: play_vector(1024, steps), 1024 * (requests // 128)),
    }
    found: dict[str, list[float]] = {name: [] for name in plays}
    for turn in range(4 if quick else 10):
        for name, (play, steps) in plays.items():
            began = time.perf_counter()
            play(steps)
            if turn:  # the first turn fills the queues
                found[name].append((time.perf_counter() - began) / steps)
    took = {name: statistics.median(values) for name, values in found.items()}
    for name, seconds in took.items():
        figures.add(f"{name}_N16", 1.0 / seconds, "steps/s")
    for name in list(took)[1:]:
        figures.add(f"{name}_over_simpy_N16", took["simpy_jsq"] / took[name], "speed ratio")


def in_subprocess(code: str, cache: str) -> list[float]:
    """Runs code in a fresh interpreter; the numbers it prints."""
    env = {**os.environ, "EDGE_GYM_CACHE_DIR": cache}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    return [float(word) for word in done.stdout.split()]


IMPORT = "import time; t = time.perf_counter(); import edge_gym; print(time.perf_counter() - t)"
FIRST_STEP = """
import time
began = time.perf_counter()
from edge_gym.envs.single import EdgeEnv
env = EdgeEnv(scenario="stationary")
env.reset(seed=1)
env.step(0)
print(time.perf_counter() - began)
began = time.perf_counter()
env.step(0)
print(time.perf_counter() - began)
"""


def measure_start(figures: Figures, quick: bool) -> None:
    """Importing, and the way to the first step with an empty and with a full cache."""
    with tempfile.TemporaryDirectory(prefix="edge_gym_cold_") as cache:
        figures.add("first_step_cold_compile", in_subprocess(FIRST_STEP, cache)[0], "s (import, make, reset, step)")
        warm = [in_subprocess(FIRST_STEP, cache)[0] for _ in range(2 if quick else 7)]
        figures.add("first_step_warm_cache", statistics.median(warm), "s (import, make, reset, step)")
        imports = [in_subprocess(IMPORT, cache)[0] for _ in range(3 if quick else 11)]
        figures.add("import_edge_gym", statistics.median(imports), "s")


def measure_policies(figures: Figures, quick: bool) -> None:
    """Time of `policy.act` in a batch of 1024 worlds, each policy in the worlds it leads to; `e3_fast` also alone."""
    if importlib.util.find_spec("edge_baselines") is None:
        return
    from edge_gym.errors import EdgeGymError
    from edge_gym.policy import POLICIES, is_privileged, make_policy, task_of

    world = resolve_task("routing", "stationary", dict(ENDLESS))[1]
    for name in sorted(POLICIES, key=lambda name: name != "sect_watchdog"):
        try:
            policy = make_policy(name)
            decides = task_of(policy)
        except EdgeGymError:
            continue  # what it needs is not installed, or it decides no requests
        if is_privileged(policy) or decides != "routing":
            continue
        for b in (1024, 1) if name == "e3_fast" else (1024,):
            steps = (12 if quick else 60) * (1 if b > 1 else 50)
            figures.add(f"decide_{name}_N16_B{b}", 1e6 * decision_s(policy, world, b, steps), "us/decision")


def decision_s(policy: Policy, world: World, b: int, steps: int) -> float:
    """Median seconds of `policy.act` for one of `b` worlds."""
    batch = Batch(world, b)
    batch.roots[:] = roots_of(b)
    obs, skip, begun = batch.empty_obs(), np.zeros(b, bool), np.ones(b, bool)
    batch.reset(begun, obs)
    policy.reset(b, 1)
    context = Context(
        time_s=np.zeros(b), dt_s=np.zeros(b), begun=begun, active=~skip, ended_row=np.zeros(0, np.int64),
        ended=batch.ended()[1][:0], n_models=len(world.params.model), links=log_links(world),
    )  # fmt: skip
    took = []
    for k in range(steps):
        began = time.perf_counter()
        actions = policy.act(obs, batch.mask, context)
        elapsed = time.perf_counter() - began
        if k >= 2:
            took.append(elapsed / b)
        out = batch.step(np.asarray(actions, np.int64), skip, obs)
        row, log = batch.ended()
        context = replace(context, time_s=batch.time_s, dt_s=out.dt_s, begun=skip, ended_row=row, ended=log)
    return statistics.median(took)


def surroundings(with_c: bool) -> str:
    cpu = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), cpu)
    except OSError:
        pass
    parts = [
        f"CPU {cpu} x {os.cpu_count()}",
        f"{platform.system()} {platform.machine()}",
        f"Python {platform.python_version()}",
    ]
    for name in ("edge-gym", "numpy", "numba", "gymnasium", "simpy"):
        try:
            parts.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            parts.append(f"{name} not installed")
    parts.append(f"{c_loop.compiler_version()}, {' '.join(c_loop.FLAGS)}" if with_c else "no C compiler")
    if hasattr(os, "getloadavg"):
        parts.append(f"load average {os.getloadavg()[0]:.2f}")
    return "; ".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer and shorter turns")
    quick = parser.parse_args().quick
    try:
        c_loop.library()
        with_c = True
    except c_loop.NoCompiler as error:
        print(f"without the C loop: {error}", file=sys.stderr)
        with_c = False
    print(surroundings(with_c), flush=True)
    figures = Figures()
    measure_start(figures, quick)
    measure_batches(figures, quick, with_c)
    measure_sizes(figures, quick, with_c)
    measure_regimes(figures, quick)
    measure_simpy(figures, quick)
    measure_policies(figures, quick)
    figures.show()


if __name__ == "__main__":
    main()
