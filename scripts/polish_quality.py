"""What polishing is worth, against ants that get the same time: python scripts/polish_quality.py

The applications of each world come as `antllm` without a model places them. Each is then placed anew: by the ants,
by the ants and the stub's play `polish` (a rule, no model), by ants that search as long as both computed together,
with as many evaluations, and as long as a model that declares `--thinking` seconds a request would have thought.
Below that, whole episodes: reward with and without asking, with and without thinking time; so also for migration.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from edge_baselines.antllm.case import Case
from edge_baselines.antllm.migrate import AntLlmMigration
from edge_baselines.antllm.place import AntLlm
from edge_baselines.antllm.settings import AntSettings
from edge_baselines.llm.settings import LlmSettings
from edge_baselines.llm.stub.in_process import InProcess
from edge_baselines.llm.stub.polish import polish
from edge_baselines.placement import Limits
from edge_baselines.placement.ants import solve_by_ants

from edge_gym.evaluation.rollout import roll_out
from edge_gym.kernel.build import World
from edge_gym.scenario.presets import resolve

WAYS = ("ants", "polished", "same computing", "same evaluations", "thinking time")


class Collector(AntLlm):
    """Places without a model, and keeps the first cases of each world."""

    most = 0

    def _plan(self, b, case, now_s):
        plan = super()._plan(b, case, now_s)
        worth = case.free.all() and self._is_worth(case, case.cost(plan.home))
        if worth and sum(known == b for known, _ in self.rows) < self.most:
            self.rows.append((b, case))
        return plan

    def reset(self, n_envs, seed):
        """See `AntLlm.reset`."""
        super().reset(n_envs, seed)
        self.rows: list[tuple[int, Case]] = []


def make(cls, mode: str, thinking_s: float, always: bool = True):
    """A policy with the stub, in the same process."""
    llm = LlmSettings(model="stub-1", allow_unpriced=True, thinking_s=thinking_s, deadline_s=60.0)
    return cls(AntSettings(mode=mode, always=always), llm, InProcess(polish(), 0.0))


def costs_of(case: Case, asking: AntLlm, draws: int) -> tuple[list[float], float, int]:
    """Cost by each of `WAYS`, thinking time, and how often a model was asked."""
    asking._counters[0] = asking._begin_episode(0, "llm.accepted", "llm.gained", "llm.stale")
    began = time.perf_counter()
    alone = case.search(asking.ask.evaluations, draws)
    polished, thinking_s = asking._polish(0, case, 0.0, alone, [draws + 1, draws + 2])
    seconds = time.perf_counter() - began
    evaluations = int(alone.evaluations + max(polished.evaluations, 5000.0 * (thinking_s > 0)))
    limits = [Limits(seconds=seconds), Limits(evaluations=evaluations)]
    limits += [Limits(seconds=max(thinking_s, seconds))]
    others = [solve_by_ants(case.problem, limit, draws).cost for limit in limits]
    asked = int(asking.episode_counters(0)["llm.calls"])
    return [alone.cost, polished.cost, *others], thinking_s, asked


def compare(scenario, seeds: range, applications: int, thinking_s: float) -> None:
    """Print the mean cost of each way, over that of the ants, with 95 % intervals over applications."""
    collector = make(Collector, "off", 0.0)
    collector.most = applications
    roll_out(World(scenario), collector, "antllm", list(seeds))
    cases = [case for _, case in collector.rows]
    asking = make(AntLlm, "live", thinking_s)
    asking.reset(1, 0)
    found = [costs_of(case, asking, 1000 + 10 * k) for k, case in enumerate(cases)]
    costs = np.array([row for row, _, _ in found])
    print(f"{scenario.name}: {len(cases)} applications, asked {np.mean([n for *_, n in found]):.2f} times each, "
          f"thinking {np.mean([s for _, s, _ in found]):.2f} s")  # fmt: skip
    for way, ratio in zip(WAYS, (costs / costs[:, :1]).T, strict=True):
        half = 1.96 * ratio.std(ddof=1) / np.sqrt(len(ratio))
        better = float((ratio < 1.0 - 1e-9).mean())
        print(f"  {way:18} {100 * (ratio.mean() - 1):+.4f} % +- {half * 100:.4f} %, better in {better:.0%}")
    ratio = costs[:, 1] / costs[:, 3]
    print(f"  polished over the ants with as many evaluations: {100 * (ratio.mean() - 1):+.4f} %, "
          f"better {np.mean(ratio < 1 - 1e-9):.0%}, worse {np.mean(ratio > 1 + 1e-9):.0%}")  # fmt: skip


def episodes(cls, scenario, seeds: range, thinking_s: float) -> None:
    """Print the reward of whole episodes, and how often a model was asked and gained something."""
    world, rewards, calls = World(scenario), {}, {}
    named = f"thinking {thinking_s:g} s a request"
    ways = {
        "ants alone": ("off", 0.0, True),
        "polished, thinking 0 s": ("live", 0.0, True),
        f"polished, {named}, always": ("live", thinking_s, True),
        f"polished, {named}, where it may pay": ("live", thinking_s, False),
    }
    if cls is AntLlmMigration:  # nothing waits for its answers
        ways = {"ants alone": ("off", 0.0, True), f"advised, {named}": ("live", thinking_s, True)}
    for name, way in ways.items():
        policy = make(cls, *way)
        played = roll_out(world, policy, "antllm", list(seeds)).episodes
        rewards[name] = np.array([episode.reward for episode in played])
        counters = [policy.episode_counters(b) for b in range(len(seeds))]
        calls[name] = [np.mean([c[f"llm.{what}"] for c in counters]) for what in ("calls", "accepted")]
    base = rewards["ants alone"]
    for name, reward in rewards.items():
        difference = reward - base
        half = 1.96 * difference.std(ddof=1) / np.sqrt(len(base))
        print(f"  {name:55} {reward.mean():10.1f}  difference {difference.mean():+9.2f} +- {half:.2f}, "
              f"{calls[name][0]:.1f} requests, {calls[name][1]:.1f} accepted")  # fmt: skip


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description="Polishing against ants that get the same time.")
    parser.add_argument("--scenarios", default="metro-16,global-24")
    parser.add_argument("--migration", default="commute-16,failing-16", help="scenarios of that task")
    parser.add_argument("--seed", type=int, default=500)
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--applications", type=int, default=2, help="of each world")
    parser.add_argument("--thinking", type=float, default=1.5, help="seconds a request, declared")
    options = parser.parse_args()
    seeds = range(options.seed, options.seed + options.episodes)
    for name in filter(None, options.scenarios.split(",")):
        scenario = resolve(name, "placement")
        compare(scenario, seeds, options.applications, options.thinking)
        episodes(AntLlm, scenario, seeds, options.thinking)
    for name in filter(None, options.migration.split(",")):
        print(f"{name}:")
        episodes(AntLlmMigration, resolve(name, "migration"), seeds, options.thinking)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
