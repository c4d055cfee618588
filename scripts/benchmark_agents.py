"""Measures the speed of worlds with AI agents: steps of the vector environment, and a world of 10,000 agents.

    python scripts/benchmark_agents.py [--quick]

Steps are those of `EdgeVectorEnv` on one thread, decided by the least `agent_cost` (routing: the world's own router),
which is not timed. Figures are medians over turns, routing taking its turn beside the others, so the ratios hold on a
busy machine.
"""

import argparse
import resource
import statistics
import time

import numpy as np
from edge_baselines.placement import SOLVERS, Limits

import edge_gym
from edge_gym.agency import Agency
from edge_gym.envs.batch import Batch
from edge_gym.envs.vector import EdgeVectorEnv
from edge_gym.kernel.build import World
from edge_gym.kernel.observe import ROUTER
from edge_gym.kernel.observe_agents import AGENT_COST, IS_MIGRATION, IS_PLACEMENT

CONTENDERS = {
    "routing/stationary": {},
    "placement/metro-16": {},
    "migration/commute-16": {},
    "joint/region-16": {},
}


class Contender:
    """A vector environment that goes on for ever, and the seconds of its steps."""

    def __init__(self, name: str, n_envs: int) -> None:
        task, scenario = name.split("/")
        self.env = EdgeVectorEnv(task=task, scenario=scenario, num_envs=n_envs, copy=False)
        self.obs, info = self.env.reset(seed=0)
        self.mask, self.agents = info["action_mask"], task != "routing"
        self.spent: list[float] = []

    def turn(self, length: int) -> None:
        """Play `length` steps; the seconds of one step of one world are noted."""
        seconds = 0.0
        for _ in range(length):
            actions = self.choose()
            began = time.perf_counter()
            self.obs, _, _, _, info = self.env.step(actions)
            seconds += time.perf_counter() - began
            self.mask = info["action_mask"]
        self.spent.append(seconds / length / len(self.mask))

    def choose(self) -> np.ndarray:
        """The world's own router for requests; for agents the least cost, which includes staying."""
        routed = self.obs[:, :, ROUTER].argmax(axis=1)
        if not self.agents:
            return np.where(self.mask[np.arange(len(routed)), routed], routed, self.mask.shape[1] - 1)
        cost = np.where(self.mask, self.obs[:, :, AGENT_COST], np.inf)
        about_agent = (self.obs[:, 0, IS_PLACEMENT] + self.obs[:, 0, IS_MIGRATION]) > 0
        return np.where(about_agent, cost.argmin(axis=1), routed)


def measure_steps(n_envs: int, turns: int, length: int) -> None:
    """Steps a second of each contender, and its time over that of routing."""
    contenders = {name: Contender(name, n_envs) for name in CONTENDERS}
    for contender in contenders.values():
        contender.turn(2 * length)
        contender.spent.clear()
    for _ in range(turns):
        for contender in contenders.values():
            contender.turn(length)
    base = np.array(contenders["routing/stationary"].spent)
    for name, contender in contenders.items():
        own = np.array(contender.spent)
        per_s, ratio = 1 / statistics.median(own), np.median(own / base)
        print(f"B = {n_envs}: {name:24s} {per_s:10,.0f} steps/s, {ratio:.2f} x routing")


def measure_large() -> None:
    """1,000 nodes and 10,000 agents: building, reset (the world places them all), memory; and 50 agents placed."""
    began = time.perf_counter()
    world = World(edge_gym.preset("metro-1000", "placement").with_overrides(at_start=200, lifetime_mean_s=1e6))
    batch = Batch(world, 1, "placement")
    built_s = time.perf_counter() - began
    obs, row = batch.empty_obs(), np.ones(1, bool)
    batch.reset(row, obs)  # compiles, and stops at the first agent
    problem = Agency(batch).assignment(0).problem
    batch.order["asks"] = 0
    began = time.perf_counter()
    batch.reset(row, obs)
    reset_s = time.perf_counter() - began
    n_agents = int((batch.state.agent["serial"] >= 0).sum())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"1,000 nodes, {n_agents:,} agents: built in {built_s:.1f} s, whole episode in {reset_s:.1f} s, {peak:.2f} GiB"
    )
    for name in ("greedy", "aco"):
        SOLVERS[name](problem, Limits(evaluations=None, seconds=0.1), 0)
        began = time.perf_counter()
        found = SOLVERS[name](problem, Limits(evaluations=None, seconds=0.8), 0)
        took = time.perf_counter() - began
        print(f"an application of {len(found.home)} agents by {name}: {took:.3f} s, cost {found.cost:.3f}")


def main() -> None:
    """Print everything."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the turns")
    turns = 4 if parser.parse_args().quick else 40
    measure_large()
    measure_steps(64, turns, 200)
    measure_steps(1024, turns, 20)


if __name__ == "__main__":
    main()
