"""How good the learned controllers are: five trainings of each against the policies nobody trained, on the test seeds.

python scripts/results_learned.py routing      # the regimes; one file of docs/results-learned for each of these words
python scripts/results_learned.py grid --episodes 50 --out runs/learned-grid    # the worlds of the suite generalisation
python scripts/results_learned.py meta --checkpoints 'runs/train/meta-?/best.safetensors'    # the controls
python scripts/results_learned.py composite --checkpoints 'runs/train/composite-?/best.safetensors'    # cost = -return

The checkpoints are those that scripts/train_routing.sh leaves in runs/train. Runs are kept under --out and resumed.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import edge_gym
from edge_gym.evaluation.stats import RESAMPLES, SEED, holm
from edge_gym.evaluation.suites import load_suite
from edge_gym.scenario import Scenario
from edge_gym.scenario.presets import resolve

REGIMES = ("stationary", "coldstart", "semantic", "churn", "drift", "mixed", "residency")
BASELINES = (
    "sect_watchdog",
    "sect_breaker",
    "d_ucb",
    "sw_ucb",
    "thompson",
    "linucb",
    "sect_events",
    "e3_fast",
    "e3_rules",
)
CONTROLLED = ("coldstart", "semantic", "churn", "drift", "mixed")
CONTROLLERS = ("e3_random_tools", "e3_fast", "e3_rules")
QUICK = ("sect_watchdog", "linucb", "e3_fast", "e3_rules")
ORACLE = "oracle"


class Figures(NamedTuple):
    """Mean latency of each episode, or another cost."""

    learned: np.ndarray  # (T, S) trainings, episodes
    others: dict[str, np.ndarray]  # (S,) each
    oracle: np.ndarray  # (S,)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("routing", "grid", "composite", "meta"))
    parser.add_argument("--checkpoints", default="runs/train/routing-?/best.safetensors", help="glob, one each")
    parser.add_argument("--episodes", type=int, default=200, help="default 200")
    parser.add_argument("--seed", type=int, default=1000, help="first seed (default 1000, the test seeds)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--out", type=Path, default=Path("runs/learned"), help="folder of the runs")
    parser.add_argument("--page", type=Path, help="Markdown file to write (default: standard output)")
    options = parser.parse_args(arguments)
    paths = sorted(str(path) for path in Path().glob(options.checkpoints))
    if not paths:
        parser.error(f"no checkpoint is found at {options.checkpoints}")
    names = {"routing": BASELINES, "meta": CONTROLLERS}.get(options.what, QUICK)
    presets = {"routing": REGIMES, "meta": CONTROLLED, "composite": ("composite",)}
    if options.what == "grid":
        scenarios = [world.resolve("routing") for world in load_suite("generalisation").cells[0].worlds]
    else:
        scenarios = [resolve(name, "routing") for name in presets[options.what]]
    found = {scenario.name: figures(scenario, paths, names, options) for scenario in scenarios}
    text = "\n".join(table(found, names) + significance(found))
    if options.page:
        options.page.write_text(text + "\n", encoding="utf-8")
    print(text)
    return 0


def figures(scenario: Scenario, paths: list[str], names: Sequence[str], options: Any) -> Figures:
    """Run or resume one cell: the trainings and everybody else on the same worlds."""
    folder = options.out / scenario.name
    learned = costs([f"learned:{path}" for path in paths], scenario, folder / "learned", options)
    others = costs([*names, ORACLE], scenario, folder / "others", options)
    return Figures(np.stack(list(learned.values())), others, others.pop(ORACLE))


def costs(policies: list[str], scenario: Any, out: Path, options: Any) -> dict[str, np.ndarray]:
    """Mean latency, or minus the return, of each episode (S,) for each policy, in the order of the seeds."""
    seeds = range(options.seed, options.seed + options.episodes)
    out.parent.mkdir(parents=True, exist_ok=True)
    edge_gym.evaluate(
        policies, scenario=scenario, seeds=seeds, n_workers=options.workers, out=out, resume=out.exists(), progress=True
    )
    found: dict[str, list[float]] = {}
    for line in (out / "episodes.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        cost = -row["return"] if options.what == "composite" else row["latency_mean_s"]
        found.setdefault(row["policy"], []).append(cost)
    return {name: np.array(values) for name, values in found.items()}


def ratios(x: np.ndarray, oracle: np.ndarray) -> np.ndarray:
    """Ratio of means to the oracle in every bootstrap resample (R,), of trainings and of episodes.

    Args:
        x: (T, S) one row a training; (1, S) of what nobody trained.
        oracle: (S,).
    """
    rng = np.random.default_rng(SEED)
    episodes = rng.multinomial(len(oracle), np.full(len(oracle), 1.0 / len(oracle)), RESAMPLES) / len(oracle)
    rng = np.random.default_rng(SEED + 1)
    trainings = rng.multinomial(len(x), np.full(len(x), 1.0 / len(x)), RESAMPLES) / len(x)
    return np.einsum("rt,ts,rs->r", trainings, x, episodes) / (episodes @ oracle)


def table(found: dict[str, Figures], names: Sequence[str]) -> list[str]:
    """Ratio to the oracle of every policy in every cell."""
    lines = ["| policy | " + " | ".join(f"`{label}`" for label in found) + " |", "|---" * (len(found) + 1) + "|"]
    for name in ("learned", *names):
        row = []
        for cell in found.values():
            x = cell.learned if name == "learned" else cell.others[name][None]
            low, high = np.quantile(ratios(x, cell.oracle), (0.025, 0.975))
            row.append(f"{x.mean() / cell.oracle.mean():.3f} [{low:.3f}, {high:.3f}]")
        lines.append(f"| `{name}` | " + " | ".join(row) + " |")
    lines.append("| trainings, each | " + " | ".join(each(cell) for cell in found.values()) + " |")
    lines.append("| `oracle`* | " + " | ".join(f"{cell.oracle.mean():.3f}" for cell in found.values()) + " |")
    return lines


def each(cell: Figures) -> str:
    """Ratio to the oracle of every training."""
    return ", ".join(f"{ratio:.3f}" for ratio in cell.learned.mean(1) / cell.oracle.mean())


def significance(found: dict[str, Figures]) -> list[str]:
    """Against the best of the others in each cell: the difference, and its significance after Holm."""
    lines = [
        "",
        "| cell | best of the others | learned over it | 95 % interval | p (Holm, all others) |",
        "|---|---|---|---|---|",
    ]
    for label, cell in found.items():
        drawn = ratios(cell.learned, cell.oracle)
        over = {name: drawn / ratios(x[None], cell.oracle) for name, x in cell.others.items()}
        p_values = holm(np.array([(1.0 + (share >= 1.0).sum()) / (1.0 + RESAMPLES) for share in over.values()]))
        best = min(cell.others, key=lambda name: cell.others[name].mean())
        low, high = np.quantile(over[best], (0.025, 0.975))
        value = cell.learned.mean() / cell.others[best].mean()
        lines.append(f"| `{label}` | `{best}` | {value:.3f} | [{low:.3f}, {high:.3f}] | {p_values.max():.4f} |")
    return lines


if __name__ == "__main__":
    raise SystemExit(main())
