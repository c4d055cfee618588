"""Measures what the views cost: steps a second of the bare batch, of the vector environment, and of the SB3 adapter.

    python scripts/benchmark_sb3.py [--quick]

One thread; all play the choices of the world's own router, which are not timed. They take turns, so the ratios hold on
a busy machine; figures are medians over the turns. Ends of episodes are part of every figure.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
from edge_agents import SB3VecEnv

from edge_gym.envs.vector import EdgeVectorEnv
from edge_gym.kernel.observe import ROUTER
from edge_gym.kernel.step import STEP
from edge_gym.kernel.tables import OUTCOME

Step = Callable[[np.ndarray], np.ndarray]  # actions (B,) -> observations (B, N + 1, F)


class Contender:
    """Somebody who steps B worlds for ever, and the seconds a step took in each turn."""

    def __init__(self, obs: np.ndarray, mask: np.ndarray, step: Step) -> None:
        self.obs, self.mask, self.step = obs, mask, step
        self.spent: list[float] = []

    def turn(self, length: int) -> None:
        """Play `length` steps."""
        seconds, rows = 0.0, np.arange(len(self.obs))
        for _ in range(length):
            routed = self.obs[:, :, ROUTER].argmax(axis=1)
            actions = np.where(self.mask[rows, routed], routed, self.mask.shape[1] - 1)
            began = time.perf_counter()
            self.obs = self.step(actions)
            seconds += time.perf_counter() - began
        self.spent.append(seconds / length)


def bare_batch(n_envs: int, scenario: str) -> Contender:
    """`Batch.run`, which is the kernel and one array of results, and nothing else."""
    env = EdgeVectorEnv(n_envs, scenario=scenario, autoreset_mode="same_step")
    obs, batch, out = env.reset(seed=0)[0], env.batch, np.zeros(n_envs, OUTCOME)

    def step(actions: np.ndarray) -> np.ndarray:
        batch.order["action"], batch.order["todo"] = actions, STEP
        batch.run(obs, out)
        done = out["done"] == 1
        if done.any():
            batch.episodes[done] += 1
            batch.reset(done, obs)
        return obs

    return Contender(obs, batch.mask, step)


def native(n_envs: int, scenario: str) -> Contender:
    """`EdgeVectorEnv` with fresh observations and all of its `info`."""
    env = EdgeVectorEnv(n_envs, scenario=scenario, autoreset_mode="same_step")
    return Contender(env.reset(seed=0)[0], env.batch.mask, lambda actions: env.step(actions)[0])


def adapter(n_envs: int, scenario: str) -> Contender:
    """`SB3VecEnv` with fresh observations."""
    env = SB3VecEnv(n_envs, scenario=scenario)
    env.seed(0)
    return Contender(env.reset(), env.env.batch.mask, lambda actions: env.step(actions)[0])


def measure(scenario: str, n_envs: int, turns: int, length: int) -> None:
    """Print a line for each contender."""
    makers = {"Batch.run": bare_batch, "EdgeVectorEnv": native, "SB3VecEnv": adapter}
    contenders = {name: make(n_envs, scenario) for name, make in makers.items()}
    for contender in contenders.values():
        contender.turn(2 * length)
        contender.spent.clear()
    for _ in range(turns):
        for contender in contenders.values():
            contender.turn(length)
    base = np.array(contenders["Batch.run"].spent)
    for name, contender in contenders.items():
        own = np.array(contender.spent)
        per_s, ratio = n_envs / statistics.median(contender.spent), np.median(own / base)
        print(f"{scenario}, B = {n_envs}: {name:14s} {per_s:10,.0f} env steps/s, {ratio:.2f} x the time of Batch.run")


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the turns")
    turns = 10 if parser.parse_args().quick else 100
    for scenario in ("stationary", "semantic"):
        measure(scenario, 64, turns, 50)
        measure(scenario, 1024, turns, 10)


if __name__ == "__main__":
    main()
