"""What it costs that every site decides for itself: latency over that of one router that sees everything, as Markdown.

python scripts/price_of_decentralisation.py                       # the defaults below
python scripts/price_of_decentralisation.py --scenarios churn --slots 0.1 --beats 0.5,1,4 --episodes 50
python scripts/price_of_decentralisation.py --scenarios stationary --queue 0     # full nodes refuse

Both decide on the same requests of the same seeds at the same instants, so that waiting for the slot is no part of the
ratio. The intervals are paired over the seeds (95 %); `random` and `p2c` draw otherwise for every site than for all.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from edge_gym.envs.common import resolve_task
from edge_gym.envs.sites_batch import site_rules
from edge_gym.evaluation.metrics import episode_metrics
from edge_gym.evaluation.sites import roll_out_sites
from edge_gym.evaluation.stats import ratio_interval
from edge_gym.kernel.build import World
from edge_gym.policy import make_policy

POLICIES = "random,jsq,p2c,sect_watchdog,linucb,e3_fast,learned_routing"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenarios", default="stationary,mixed", help="presets, by commas (stationary,mixed)")
    parser.add_argument("--policies", default=POLICIES, help=f"by commas ({POLICIES})")
    parser.add_argument("--slots", default="0,0.1,0.5", help="seconds, by commas (0,0.1,0.5)")
    parser.add_argument("--beats", default="1,4", help="seconds between what nodes tell, by commas (1,4)")
    parser.add_argument("--queue", type=int, help="queue capacity of every node (default: the preset's)")
    parser.add_argument("--requests", type=int, default=500, help="requests of an episode (500)")
    parser.add_argument("--episodes", type=int, default=20, help="default 20")
    parser.add_argument("--seed", type=int, default=1000, help="first seed (default 1000, the test seeds)")
    options = parser.parse_args(arguments)
    seeds = list(range(options.seed, options.seed + options.episodes))
    slots, beats = ([float(x) for x in text.split(",")] for text in (options.slots, options.beats))
    fields = {"n_requests": options.requests} | ({} if options.queue is None else {"queue_capacity": options.queue})
    heads = ["policy", "slot s", "central s"]
    for beat_s in beats:
        heads += [f"own / central, told every {beat_s:g} s", "P99", "refused"]
    for scenario in options.scenarios.split(","):
        world = resolve_task("routing", scenario, fields)[1]
        size = f"{world.n_sites} sites, {world.n_nodes} nodes, {len(seeds)} episodes of {options.requests} requests"
        size += "" if options.queue is None else f", queues of {options.queue}"
        print(f"`{scenario}`: {size}, seeds {seeds[0]} to {seeds[-1]}\n\n| {' | '.join(heads)} |")
        print("|" + "---|" * len(heads))
        for name in options.policies.split(","):
            for slot_s in slots:
                central = play(world, name, seeds, site_rules(world, slot_s, view="central"))
                row = [f"`{name}`", f"{slot_s:g}", f"{central['latency_mean_s'].mean():.3f}"]
                for beat_s in beats:
                    row += cells(central, play(world, name, seeds, site_rules(world, slot_s, beat_s)), options.requests)
                print(f"| {' | '.join(row)} |", flush=True)
        print()
    return 0


def play(world: World, name: str, seeds: list[int], rules: np.ndarray) -> dict[str, np.ndarray]:
    """Figures of a policy, (S,) each."""
    episodes = roll_out_sites(world, make_policy(name), name, seeds, rules)
    kind = world.params.model["kind"]
    found = [episode_metrics(episode, kind) for episode in episodes]
    return {key: np.array([row[key] for row in found], float) for key in ("latency_mean_s", "latency_p99_s")} | {
        "refused": np.array([episode.counters["sites.refused"] for episode in episodes])
    }


def cells(central: dict[str, np.ndarray], own: dict[str, np.ndarray], n_requests: int) -> tuple[str, ...]:
    """What the table says of one pair."""
    mean, p99 = (f"latency_{kind}_s" for kind in ("mean", "p99"))
    ratio, tail = (ratio_interval(own[key][None], central[key]) for key in (mean, p99))
    return (
        f"{ratio.value[0]:.3f} [{ratio.low[0]:.3f}, {ratio.high[0]:.3f}]",
        f"{tail.value[0]:.2f}",
        f"{own['refused'].mean() / n_requests:.2%}",
    )


if __name__ == "__main__":
    raise SystemExit(main())
