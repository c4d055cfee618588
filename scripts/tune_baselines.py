"""Find the settings of the baselines: the same budget for every policy, on seeds that no table uses.

python scripts/tune_baselines.py                      tunes all, writes baselines/edge_baselines/settings.json
python scripts/tune_baselines.py --policies d_ucb     tunes one, keeps the others as they are in the file
python scripts/tune_baselines.py --scenarios drift --draws 8 --out trial.json

The first draw of each policy is its published settings. Of the rest, half are drawn from the declared space and half
around the best so far. The least mean of `latency / latency of sect_static` over the scenarios wins. A draw that was
evaluated before, by the same code on the same worlds, is read from `--cache`: a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import operator
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import edge_baselines
import numpy as np
from edge_baselines.tuned import CLASSES, SETTINGS_FILE
from rich.console import Console
from rich.table import Table

import edge_gym
from edge_gym.envs.common import resolve_task
from edge_gym.evaluation.provenance import kernel_hash
from edge_gym.files import atomic_write
from edge_gym.scenario.io import fingerprint

SCENARIOS = "coldstart,semantic,churn,drift,mixed,stationary"
SEARCH_SEED = 20  # of the search itself; the worlds have their own seeds
REFERENCE = "sect_static"  # it has no settings
STEP = 0.15  # standard deviation of a local draw, over the width of the space


class Range(NamedTuple):
    """Values of a setting between two ends, uniform or log-uniform."""

    low: float
    high: float
    log: bool = False

    def at(self, place: float) -> float:
        """The value at `place`, 0 ... 1 of the way, to three digits."""
        if self.log:
            return float(f"{math.exp(math.log(self.low) + place * math.log(self.high / self.low)):.3g}")
        return float(f"{self.low + place * (self.high - self.low):.3g}")

    def place(self, value: float) -> float:
        """The inverse of `at`."""
        if self.log:
            return math.log(max(value, self.low) / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


class Options(NamedTuple):
    """Values of a setting out of a list."""

    values: tuple[str, ...]

    def at(self, place: float) -> str:
        """The value at `place`, 0 ... 1."""
        return self.values[min(int(place * len(self.values)), len(self.values) - 1)]

    def place(self, value: str) -> float:
        """The middle of the places of `value`."""
        return (self.values.index(value) + 0.5) / len(self.values)


COST = {"inflicted_weight": Range(0, 5), "overdue_power": Range(0, 1.5)}
ARM = {"prior_weight": Range(0.05, 3, log=True), **COST}
SPACES: dict[str, dict[str, Range | Options]] = {
    "sect_ewma": {"trust": Range(0.5, 1.5), "inflicted_weight": Range(0, 5)},
    "sect_watchdog": COST,
    "sect_events": {"stream_power": Range(0, 1.5), **COST},
    "peak_ewma": {"decay_s": Range(0.3, 100, log=True), "default_s": Range(0.01, 100, log=True)},
    "d_ucb": {"memory_s": Range(3, 300, log=True), "optimism": Range(0, 0.5), **ARM},
    "sw_ucb": {"window_s": Range(3, 300, log=True), "optimism": Range(0, 0.5), **ARM},
    "thompson": {"memory_s": Range(3, 300, log=True), "noise": Range(0, 0.5), **ARM},
    "linucb": {
        "optimism": Range(0, 1),
        "state_sd": Range(0.1, 2, log=True),
        "offset_sd": Range(0.05, 1, log=True),
        "noise_sd": Range(0.01, 0.5, log=True),
        "state_memory_s": Range(2, 200, log=True),
        "offset_memory_s": Range(50, 10_000, log=True),
        **COST,
    },
    "latency_list": {"buffer": Range(0, 10), "ttl_s": Range(1, 3600, log=True), "cooldown_s": Range(0, 20)},
    "headroom": {
        "strategy": Options(("least", "most")),
        "first_blend": Range(0, 1),
        "first_share": Range(0.02, 0.9, log=True),
        "explore": Range(0, 0.05),
        "margin": Range(0, 0.9),
        "overdue_power": Range(0, 1.5),
    },
    "dynamo": {"prefill_weight": Range(0.1, 1000, log=True), "temperature": Range(0, 2)},
    "breaker": {
        "overdue_limit": Range(1.5, 50, log=True),
        "slowdown_limit": Range(1.5, 50, log=True),
        "base_s": Range(0.5, 30, log=True),
        "max_ejected": Range(0, 0.5),
        "ejection": Options(("mask", "penalty")),
        "penalty": Range(1, 10, log=True),
        "start_penalty": Range(1, 10),
        "start_s": Range(0, 20),
    },
}
# What is tuned first is wrapped by what is tuned later: the breaker is tuned around the tuned `sect_watchdog`.
WRAPS = {"breaker": "sect_watchdog"}


class Judge:
    """Scores settings, and remembers every score on disk.

    Args:
        scenarios: Names of presets, or files.
        seeds: Of the worlds.
        cache: File of the scores.
    """

    def __init__(self, scenarios: Sequence[str], seeds: range, cache: Path) -> None:
        self.scenarios = {name: resolve_task("routing", name, {})[1].scenario for name in scenarios}
        self.seeds, self.cache = seeds, cache
        self.known: dict[str, float] = json.loads(cache.read_text()) if cache.is_file() else {}
        self.code = code_hash()

    def score(self, policy: Any, key: Any) -> list[float]:
        """Latency over that of the reference, for each scenario. `key` says what `policy` is."""
        return [self._latency(policy, key, name) / self._latency(REFERENCE, REFERENCE, name) for name in self.scenarios]

    def _latency(self, policy: Any, key: Any, name: str) -> float:
        scenario = self.scenarios[name]
        what = [key, fingerprint(scenario), self.seeds.start, self.seeds.stop, self.code]
        digest = hashlib.sha256(json.dumps(what).encode()).hexdigest()[:24]
        if digest not in self.known:
            rows = edge_gym.evaluate([policy], "routing", scenario, self.seeds).rows
            self.known[digest] = float(np.mean([row["latency_mean_s"] for row in rows]))
            self.cache.parent.mkdir(parents=True, exist_ok=True)
            atomic_write(self.cache, json.dumps(self.known))
        return self.known[digest]


def code_hash() -> str:
    """Hash of the kernel and of the baselines' sources: a score belongs to them."""
    digest = hashlib.sha256(kernel_hash().encode())
    for path in sorted(Path(edge_baselines.__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def published(name: str) -> dict[str, Any]:
    """The settings of the class itself, those that are tuned."""
    policy = CLASSES[name]()
    return {setting: getattr(policy, setting) for setting in SPACES[name]}


def proposals(name: str, draws: int, best: Callable[[], dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Settings to try: published, then drawn from the space, then around the best so far."""
    rng = np.random.default_rng([SEARCH_SEED, *name.encode()])
    space = SPACES[name]
    yield published(name)
    for k in range(1, draws):
        if k < (draws + 1) // 2:
            places = rng.random(len(space))
        else:
            here = np.array([space[setting].place(value) for setting, value in best().items()])
            places = np.clip(here + STEP * rng.standard_normal(len(space)), 0.0, 1.0)
        yield {setting: one.at(place) for (setting, one), place in zip(space.items(), places, strict=True)}


def tune(name: str, draws: int, judge: Judge, around: dict[str, Any], say: Callable[[str], None]) -> dict[str, Any]:
    """The best settings of one policy with its scores; `around` are the settings of the policy it wraps."""
    tried: list[tuple[float, list[float], dict[str, Any]]] = []

    def best() -> tuple[float, list[float], dict[str, Any]]:
        return min(tried, key=operator.itemgetter(0))

    for k, settings in enumerate(proposals(name, draws, lambda: best()[2])):
        scores = judge.score(make(name, settings, around), [name, settings, around])
        tried.append((float(np.mean(scores)), scores, settings))
        say(f"{name}: {k + 1} of {draws}, best {best()[0]:.4f}")
    mean, scores, settings = best()
    return {"settings": settings, "score": mean, "scores": scores, "published": tried[0][0]}


def make(name: str, settings: dict[str, Any], around: dict[str, Any]) -> Any:
    """The policy with these settings."""
    policy = CLASSES[name](**settings)
    if name in WRAPS:
        policy.wrap(CLASSES[WRAPS[name]](**around))
    policy.name = name
    return policy


def table(found: dict[str, dict[str, Any]], scenarios: Sequence[str]) -> Table:
    """Published against tuned."""
    out = Table(title="mean latency over that of sect_static, tune seeds", title_justify="left")
    for heading in ("policy", "published", "tuned", *scenarios, "settings"):
        out.add_column(heading)
    for name, one in sorted(found.items(), key=lambda item: item[1]["score"]):
        figures = (one["published"], one["score"], *one["scores"])
        settings = ", ".join(f"{key}={value}" for key, value in one["settings"].items())
        out.add_row(name, *(f"{x:.3f}" for x in figures), settings)
    return out


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenarios", default=SCENARIOS, help=f"presets, by commas (default {SCENARIOS})")
    parser.add_argument("--policies", default=",".join(SPACES), help="which to tune (default: all)")
    parser.add_argument("--draws", type=int, default=24, help="settings tried for each policy (default 24)")
    parser.add_argument("--seed", type=int, default=500, help="first seed of the worlds (default 500)")
    parser.add_argument("--episodes", type=int, default=20, help="worlds of each scenario (default 20)")
    parser.add_argument("--out", type=Path, default=SETTINGS_FILE, help="file of the settings")
    parser.add_argument("--cache", type=Path, default=Path("runs/tune_baselines.json"), help="file of the scores")
    options = parser.parse_args(arguments)
    scenarios, names = options.scenarios.split(","), options.policies.split(",")
    unknown = sorted(set(names) - set(SPACES))
    if unknown or options.draws < 1 or options.episodes < 1:
        parser.error(f"unknown policies {unknown}" if unknown else "--draws and --episodes must be at least 1")
    began = time.monotonic()
    judge = Judge(scenarios, range(options.seed, options.seed + options.episodes), options.cache)
    file = json.loads(options.out.read_text()) if options.out.is_file() else {"settings": {}}
    found: dict[str, dict[str, Any]] = {}
    for name in (n for n in SPACES if n in names):
        around = file["settings"].get(WRAPS.get(name, ""), {})
        found[name] = tune(name, options.draws, judge, around, progress(began))
        file["settings"][name] = found[name]["settings"]
        file.setdefault("found_by", {})[name] = about(options, found[name])
        atomic_write(options.out, json.dumps(file, indent=1) + "\n")
    print(file=sys.stderr)
    Console(width=None if sys.stdout.isatty() else 240).print(table(found, scenarios))
    print(f"wrote {os.path.relpath(options.out)} in {time.monotonic() - began:.0f} s")
    return 0


def progress(began: float) -> Callable[[str], None]:
    """Says where the search is, on one line of a terminal."""
    end = "" if sys.stderr.isatty() else "\n"
    start = "\r\033[K" if sys.stderr.isatty() else ""
    return lambda text: print(f"{start}{time.monotonic() - began:4.0f} s  {text}", end=end, file=sys.stderr, flush=True)


def about(options: argparse.Namespace, one: dict[str, Any]) -> dict[str, Any]:
    """Where the settings of one policy come from."""
    return {
        "command": f"python scripts/tune_baselines.py --scenarios {options.scenarios} --draws {options.draws} "
        f"--seed {options.seed} --episodes {options.episodes}",
        "objective": f"mean over the scenarios of mean latency over that of {REFERENCE}",
        "published": round(one["published"], 4),
        "tuned": round(one["score"], 4),
    }


if __name__ == "__main__":
    sys.exit(main())
