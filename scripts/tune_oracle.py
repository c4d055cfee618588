"""The oracle's weight of inflicted delay: mean latency on the tune seeds, relative to the best weight."""

import numpy as np
from edge_baselines.oracle import Oracle

import edge_gym

WEIGHTS = (1.0, 2.0, 3.0, 4.0, 6.0)
SCENARIOS = ("stationary", "overload", "bursty", "metro64")
SEEDS = range(500, 520)


def make(weight: float):
    """A maker of oracles with that weight, for the registry."""
    return lambda: Oracle(weight)


if __name__ == "__main__":
    names = [f"oracle_{weight:g}" for weight in WEIGHTS]
    for name, weight in zip(names, WEIGHTS, strict=True):
        edge_gym.register_policy(name, make(weight))
    table = []
    for scenario in SCENARIOS:
        rows = edge_gym.evaluate([*names, "sect_watchdog"], "routing", scenario, SEEDS).summary()["rows"]
        mean = {row["policy"]: row["metrics"]["latency_mean_s"]["mean"] for row in rows}
        best = min(mean[name] for name in names)
        table.append([mean[name] / best for name in [*names, "sect_watchdog"]])
    print("policy", *SCENARIOS, "average")
    for name, row in zip([*names, "sect_watchdog"], np.array(table).T, strict=True):
        print(name, *(f"{x:.3f}" for x in row), f"{row.mean():.3f}")
