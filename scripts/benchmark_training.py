"""Measures how fast PPO trains: decisions a second, from the worlds to the optimiser.

    python scripts/benchmark_training.py [--quick] [--threads 2]

Routing on `stationary` (16 nodes), with the settings below, which are those for speed: one pass over each rollout, no
wider a network than it needs. Each network takes its turn beside the others, and figures are medians over the turns.
On a machine that others use too, decisions a second are too low; decisions for each second that a core really worked
are less so (times the threads: what an idle machine would do at best).
"""

import argparse
import statistics
import time

import torch
from edge_agents.configs import PPOConfig
from edge_agents.networks import NetworkSpec, build
from edge_agents.ppo import PPO
from edge_agents.worlds import Worlds
from rich.console import Console
from rich.table import Table

from edge_gym.scenario.presets import resolve

N_WORLDS, STEPS, MINIBATCH, EPOCHS = 512, 64, 4096, 1
CONTENDERS = {"mlp": 64, "deepsets": 64, "attention": 32}  # kind: width
PARTS = ("env", "policy", "update")


class Contender:
    """A learner that goes on for ever, and what its updates took."""

    def __init__(self, kind: str, hidden: int, threads: int) -> None:
        scenario = resolve("stationary")
        worlds = Worlds("routing", [scenario] * threads, N_WORLDS // threads, seed=0)
        rows = worlds.n_rows if kind == "mlp" else 0
        network = build(NetworkSpec(kind=kind, n_features=worlds.obs.shape[2], hidden=hidden, rows=rows))
        config = PPOConfig(
            rollout_steps=STEPS, minibatch=MINIBATCH, epochs=EPOCHS, total_steps=10**9, target_kl=0.0, threads=threads
        )
        self.learner = PPO(config, network, worlds, seed=0)
        self.rates: list[float] = []
        self.core_rates: list[float] = []
        self.learner.update()
        self.learner.update()
        for part in PARTS:
            self.learner.seconds[part] = 0.0

    def turn(self) -> None:
        """One update."""
        before, began, worked = self.learner.env_steps, time.perf_counter(), time.process_time()
        self.learner.update()
        decisions = self.learner.env_steps - before
        self.rates.append(decisions / (time.perf_counter() - began))
        self.core_rates.append(decisions / (time.process_time() - worked))

    def shares(self) -> list[str]:
        """Of the wall time of all turns."""
        total = sum(self.learner.seconds.values())
        return [f"{self.learner.seconds[part] / total:.0%}" for part in PARTS]


def main() -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="3 turns instead of 15")
    parser.add_argument("--threads", type=int, default=2, help="default 2")
    options = parser.parse_args()
    torch.set_num_threads(1)  # the learner has threads of its own, which share more than single products
    contenders = {kind: Contender(kind, hidden, options.threads) for kind, hidden in CONTENDERS.items()}
    for _ in range(3 if options.quick else 15):
        for contender in contenders.values():
            contender.turn()
    table = Table(title=f"{N_WORLDS} worlds x {STEPS} steps, minibatch {MINIBATCH}, epochs {EPOCHS}")
    for head in ("network", "width", "decisions/s", "by core second", *PARTS):
        table.add_column(head, justify="right")
    for kind, contender in contenders.items():
        rates = [f"{statistics.median(found):,.0f}" for found in (contender.rates, contender.core_rates)]
        table.add_row(kind, str(CONTENDERS[kind]), *rates, *contender.shares())
    Console().print(table)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
