"""Ask a model that keeps failing, thousands of times, with the world in the loop: python scripts/llm_chaos.py

Each request draws a fault with the given probability, out of all that the stub can play but the final ones (a refused
key): after those nothing is asked any more, and nothing would be tried. The breaker is as in any run.
Prints what was counted, and the mean latency beside that of the rules on the same worlds.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections import Counter

import numpy as np
from edge_baselines.e3.llm import E3Llm
from edge_baselines.e3.llm_settings import AskSettings
from edge_baselines.e3.stand_in import stand_in
from edge_baselines.llm.settings import LlmSettings
from edge_baselines.llm.stub.faults import FAULTS, chaos
from edge_baselines.llm.stub.in_process import InProcess

from edge_gym.evaluation.evaluate import evaluate

AT_ONCE = 10  # episodes of a controller
FINAL = ("quota", "status_401", "status_403", "status_404", "status_410")
NAMES = [name for name in FAULTS if name not in FINAL]


def one_round(first_seed: int, probability: float, deadline_s: float) -> list[dict]:
    """Rows of the model and of the rules for `AT_ONCE` worlds."""
    asks = {"model": "stub-1", "allow_unpriced": True, "backoff_s": 0.001, "stream": first_seed % 20 == 0}
    settings = LlmSettings(**asks, deadline_s=deadline_s)
    policy = E3Llm(AskSettings(mode="live", gap_s=0.0), settings,
                   InProcess(chaos(probability, first_seed, stand_in(), NAMES), 0.2))  # fmt: skip
    policy.name = "e3_llm"  # type: ignore[attr-defined]
    return evaluate([policy, "e3_rules"], "routing", "semantic", range(first_seed, first_seed + AT_ONCE)).rows


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description="A failing model at the controls.")
    parser.add_argument("--decisions", type=int, default=20_000)
    parser.add_argument("--probability", type=float, default=0.3)
    parser.add_argument("--deadline", type=float, default=5.0, help="seconds, of a decision")
    parser.add_argument("--seed", type=int, default=1000)
    options = parser.parse_args()
    logging.getLogger("edge_gym.llm").setLevel(logging.ERROR)
    counters: Counter[str] = Counter()
    latency_s: dict[str, list[float]] = {"e3_llm": [], "e3_rules": []}
    began, first = time.monotonic(), options.seed
    while counters["llm.decisions"] < options.decisions:
        for row in one_round(first, options.probability, options.deadline):
            latency_s[row["policy"]].append(row["latency_mean_s"])
            counters.update({name: value for name, value in row.items() if name.startswith("llm.")})
        first += AT_ONCE
    for name, value in sorted(counters.items()):
        if value:
            print(f"{name:24} {value:,.6g}")
    difference = np.subtract(latency_s["e3_llm"], latency_s["e3_rules"])
    half = 1.96 * difference.std(ddof=1) / np.sqrt(len(difference))
    print(f"{len(difference)} episodes without a crash in {time.monotonic() - began:.0f} s; mean latency "
          f"{np.mean(latency_s['e3_llm']):.3f} s, rules {np.mean(latency_s['e3_rules']):.3f} s, "
          f"difference {difference.mean():+.4f} +- {half:.4f} s")  # fmt: skip
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
