"""How tight the bound is: mean latency and seconds an episode of bound, lookahead, oracle and the best heuristic."""

import edge_gym

POLICIES = ("clairvoyant", "lookahead", "oracle", "sect_watchdog")
SCENARIOS = ("stationary", "drift", "churn", "coldstart")
SEEDS = range(500, 520)


def main() -> None:
    """One row for each scenario; compiled before the clock starts."""
    edge_gym.evaluate(POLICIES, "routing", "coldstart", [0], n_requests=5)
    print("| scenario |", " | ".join(f"`{name}`" for name in POLICIES), "| bound / lookahead | s an episode |")
    print("|---" * (len(POLICIES) + 3) + "|")
    for scenario in SCENARIOS:
        results = edge_gym.evaluate(POLICIES, "routing", scenario, SEEDS, n_requests=300)
        mean = {row["policy"]: row["metrics"]["latency_mean_s"]["mean"] for row in results.summary()["rows"]}
        took = {timing["policy"]: timing["total_s"] / timing["episodes"] for timing in results.timing}
        cells = [f"{mean[name]:.3f}" for name in POLICIES] + [f"{mean['clairvoyant'] / mean['lookahead']:.2f}"]
        cells.append(", ".join(f"{took[name]:.2f}" for name in POLICIES[:2]))
        print(f"| `{scenario}` |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
