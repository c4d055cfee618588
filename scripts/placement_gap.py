"""How far placement policies are from the best known or proven plan, agent by agent in the world, on the same problems.

    python scripts/placement_gap.py [--presets metro-16,global-24] [--policies greedy,local_search,aco:seconds=0.1]
        [--seed 1000] [--episodes 200] [--bound SECONDS] [--known FILE]

The middle application of each episode, as the world is when greedy has placed all before it, is placed by every policy
in a copy of that world. The gap is to the proven bound if `--bound` gives the exact solver seconds for each problem,
otherwise to the cheapest plan that ant colony, GRASP (each 0.3 s) or any of the policies found. Mean, 95 % bootstrap
interval, median, largest; then milliseconds a decision, one world at a time. `--known` is a JSON file of the cheapest
costs: what is in it is not searched again, and what is found is added. Several controllers from files (learned:FILE)
also get a row with their mean, whose interval is over controllers and problems, both resampled; beside the rule
`rollout` also the difference, paired over the problems.
"""

import argparse
import json
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
from edge_baselines.exact.milp import solve_exact
from edge_baselines.placement import SOLVERS, Limits

import edge_gym
from edge_gym.agency import Agency
from edge_gym.envs.batch import Batch
from edge_gym.envs.common import resolve_task
from edge_gym.kernel.assignment import Problem, total
from edge_gym.kernel.tables import NONE
from edge_gym.policy import Context, Policy, make_policy

SEARCH_S = 0.3
DRAWS = 4_000  # of the bootstrap


class Posed(NamedTuple):
    """A problem and the world that poses it."""

    problem: Problem
    tables: dict[str, np.ndarray]  # of `Batch.state`, one world


class Arena:
    """One world in which policies place.

    Args:
        preset: Name of the scenario.
    """

    def __init__(self, preset: str) -> None:
        task, self.world = resolve_task("placement", edge_gym.preset(preset, "placement"), {})
        self.batch = Batch(self.world, 1, task)
        self.agency = Agency(self.batch)
        self.obs = self.batch.empty_obs()
        self.never = np.zeros(1, bool)

    def choose(self, policy: Policy, begun: bool = False) -> int:
        """What a policy does now."""
        context = Context(
            time_s=self.batch.time_s,
            dt_s=np.zeros(1),
            begun=np.array([begun]),
            active=np.ones(1, bool),
            ended_row=np.zeros(0, np.int64),
            ended=self.batch.ended()[1][:0],
            n_models=len(self.world.params.model),
            events=[()],
            agency=self.agency,
        )
        return int(policy.act(self.obs, self.batch.mask.copy(), context)[0])

    def step(self, choice: int) -> bool:
        """Do it; whether the episode is over."""
        return bool(self.batch.step(np.array([choice]), self.never, self.obs).done[0])

    def pose(self, seed: int) -> Posed:
        """The middle application of an episode."""
        middle = self.world.scenario.applications.n_applications // 2
        self.batch.roots[:], self.batch.episodes[:] = seed, 0
        self.batch.reset(~self.never, self.obs)
        greedy = make_policy("greedy")
        greedy.reset(1, seed)
        while self.agency.member(0) != (middle, 0):
            if self.step(self.choose(greedy)):
                raise RuntimeError(f"episode {seed} ends before application {middle}")
        tables = {name: table.copy() for name, table in self.batch.state._asdict().items()}
        return Posed(self.agency.assignment(0).problem, tables)

    def place(self, posed: Posed, policy: Policy) -> tuple[np.ndarray, float]:
        """Where a policy puts the agents, NONE for those refused, and seconds it took in all."""
        for name, table in self.batch.state._asdict().items():
            table[...] = posed.tables[name]
        self.batch.observe(~self.never, self.obs)
        policy.reset(1, 0)
        home, spent = np.full(len(posed.problem.refuse), NONE, np.int64), 0.0
        for g in range(len(home)):
            began = time.perf_counter()
            choice = self.choose(policy, begun=g == 0)
            spent += time.perf_counter() - began
            home[g] = choice if choice < self.world.n_nodes else NONE
            self.step(choice)
        return home, spent


def reference(problem: Problem, bound_s: float) -> float:
    """The proven bound, or the cheapest plan of two searches."""
    limits = Limits(evaluations=None, seconds=SEARCH_S)
    found = min((SOLVERS[name](problem, limits, 0) for name in ("aco", "grasp")), key=lambda one: one.cost)
    return solve_exact(problem, bound_s, start=found.home).bound if bound_s else found.cost


def interval(values: np.ndarray) -> tuple[float, float]:
    """95 % percentile bootstrap of the mean of (controllers, problems)."""
    rng = np.random.default_rng(0)
    columns = rng.integers(0, values.shape[1], (DRAWS, values.shape[1]))
    rows = rng.integers(0, len(values), (DRAWS, len(values)))
    means = values[rows[:, :, None], columns[:, None, :]].mean((1, 2))
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def table(
    preset: str, names: list[str], seeds: range, bound_s: float, known: dict[str, float] | None = None
) -> list[str]:
    """Rows for the policies.

    Args:
        preset: Name of the scenario.
        names: Of the policies.
        seeds: Of the episodes.
        bound_s: Seconds of the exact solver, 0: two searches instead.
        known: What those found earlier, by preset and seed; what is found now is added.
    """
    known = {} if known is None else known
    arena = Arena(preset)
    policies = [make_policy(name) for name in names]
    cost, ms = np.zeros((len(names), len(seeds))), np.zeros((len(names), len(seeds)))
    best = np.zeros(len(seeds))
    for k, seed in enumerate(seeds):
        posed = arena.pose(seed)
        for i, policy in enumerate(policies):
            if k == 0:
                arena.place(posed, policy)  # compile
            home, spent = arena.place(posed, policy)
            cost[i, k], ms[i, k] = total(posed.problem, home), 1e3 * spent / len(home)
        key = f"{preset} {seed}"
        best[k] = reference(posed.problem, bound_s) if bound_s or key not in known else known[key]
        if not bound_s:
            best[k] = known[key] = min(best[k], float(cost[:, k].min()))
    gap = 100.0 * (cost / best - 1.0)
    rows = [line(name, gap[i : i + 1], ms[i : i + 1]) for i, name in enumerate(names)]
    trained = [i for i, name in enumerate(names) if name.startswith("learned:")]
    if len(trained) > 1:
        rows.append(line(f"learned, mean of {len(trained)}", gap[trained], ms[trained]))
        if "rollout" in names:  # where they begin
            less = gap[trained] - gap[names.index("rollout")]
            low, high = interval(less)
            rows.append(f"\nlearned less `rollout`, percentage points: {less.mean():.3f} [{low:.3f}, {high:.3f}]")
    return rows


def line(name: str, gap: np.ndarray, ms: np.ndarray) -> str:
    """A row of the table, of (controllers, problems)."""
    low, high = interval(gap)
    spread = f"{gap.mean():.2f} [{low:.2f}, {high:.2f}] | {np.median(gap):.2f} | {gap.max():.2f}"
    return f"| `{name}` | {spread} | {np.median(ms):.3f} |"


def main() -> None:
    """Print a table for each preset."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", default="metro-16,global-24")
    parser.add_argument("--policies", default="greedy,local_search,aco:seconds=0.1")
    parser.add_argument("--seed", type=int, default=1000)
    parser.add_argument("--episodes", type=int, default=200)
    parser.add_argument("--bound", type=float, default=0.0, help="seconds of the exact solver for each problem")
    parser.add_argument("--known", type=Path, help="JSON file of the cheapest costs")
    options = parser.parse_args()
    known = json.loads(options.known.read_text()) if options.known and options.known.exists() else {}
    for preset in options.presets.split(","):
        seeds = range(options.seed, options.seed + options.episodes)
        print(f"\n### {preset}: {len(seeds)} problems\n")
        print("| policy | gap % | median | largest | ms a decision |", "|---|---|---|---|---|", sep="\n")
        print("\n".join(table(preset, options.policies.split(","), seeds, options.bound, known)), flush=True)
        if options.known:
            options.known.write_text(json.dumps(known))


if __name__ == "__main__":
    main()
