"""The reproduction table of the E3-Agent: every policy on the paper presets and on the standard ones.

python scripts/reproduce_e3.py                       # 200 test episodes, both families; writes docs/results-e3.md
python scripts/reproduce_e3.py --episodes 20 --seed 500 --out runs/try --page -

Runs are kept under --out and resumed. What knows the future is dear, so it is computed for the first episodes only, and
its ratio is to the oracle on those.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import edge_gym
from edge_gym.scenario.presets import resolve

PAPER = ("paper-coldstart", "paper-semantic", "paper-churn", "paper-drift")
STANDARD = ("coldstart", "semantic", "churn", "drift", "mixed")
POLICIES = (
    "round_robin,sect_blind,sect_static,sect_ewma,sect_watchdog,sect_breaker,sect_events,d_ucb,sw_ucb,thompson,linucb,"
    "headroom,dynamo,latency_list,e3_random_tools,e3_fast,e3_rules,oracle"
)
LONG = 1000  # requests of an episode for which knowing the future takes minutes
HEADS = ("policy", "mean s", "P95 s", "P99 s", "x oracle", "in time", "stutter a", "stutter b", "masked", "drops")
BOUNDS = ("clairvoyant", "lookahead")
STATIC = ("round_robin", "sect_blind")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenarios", default=",".join(PAPER + STANDARD), help="presets, by commas")
    parser.add_argument("--policies", default=POLICIES, help="by commas")
    parser.add_argument("--episodes", type=int, default=200, help="default 200")
    parser.add_argument("--bounds", type=int, default=20, help="episodes of what knows the future (default 20)")
    parser.add_argument("--seed", type=int, default=1000, help="first seed (default 1000, the test seeds)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--out", type=Path, default=Path("runs/reproduce-e3"), help="folder of the runs")
    parser.add_argument("--page", default="docs/results-e3.md", help="Markdown page to write; -: standard output")
    options = parser.parse_args(arguments)
    parts = [HEADING.format(episodes=options.episodes, seed=options.seed, bounds=options.bounds)]
    for scenario in options.scenarios.split(","):
        run(options.out / scenario, options.policies.split(","), scenario, options.episodes, options)
        rows = rows_of(options.out / scenario)
        if options.bounds and (resolve(scenario).n_requests or LONG) < LONG:
            run(options.out / f"{scenario}-bound", [*BOUNDS, "oracle"], scenario, options.bounds, options)
            rows += [row for row in rows_of(options.out / f"{scenario}-bound") if row["policy"] in BOUNDS]
        parts.append(section(scenario, rows))
    text = "\n".join(parts)
    if options.page == "-":
        sys.stdout.write(text)
    else:
        Path(options.page).write_text(text, encoding="utf-8")
    return 0


def run(out: Path, policies: list[str], scenario: str, episodes: int, options: Any) -> None:
    """Run or resume one comparison."""
    seeds = range(options.seed, options.seed + episodes)
    edge_gym.evaluate(
        policies, scenario=scenario, seeds=seeds, n_workers=options.workers, out=out, resume=out.exists(), progress=True
    )


def rows_of(folder: Path) -> list[dict[str, Any]]:
    """Rows of the summary of a run."""
    return json.loads((folder / "summary.json").read_text(encoding="utf-8"))["rows"]


def section(scenario: str, rows: list[dict[str, Any]]) -> str:
    """One table, the best first, and what the paper's headline would be here."""
    rows = sorted(rows, key=lambda row: row["metrics"]["latency_mean_s"]["mean"])
    lines = [f"## `{scenario}`", "", "| " + " | ".join(HEADS) + " |", "|---" * len(HEADS) + "|"]
    lines += ["| " + " | ".join(cells(row)) + " |" for row in rows]
    ratio = {row["policy"]: row["metrics"]["latency_ratio_oracle"]["mean"] for row in rows}
    static = [name for name in STATIC if name in ratio]
    if static and "e3_rules" in ratio:
        best = min(static, key=lambda name: ratio[name])
        below = 1.0 - ratio["e3_rules"] / ratio[best]
        side = "below" if below >= 0.0 else "above"
        lines += [
            "",
            f"Best static baseline: `{best}`, {ratio[best]:.2f} times the oracle. `e3_rules` is {abs(below):.0%} "
            f"{side} it and at {ratio['e3_rules']:.3f} of the oracle.",
        ]
    return "\n".join([*lines, ""])


def cells(row: dict[str, Any]) -> tuple[str, ...]:
    """A row of the table."""
    metrics, mark = row["metrics"], "*" if row["privileged"] else ""
    latency, ratio = metrics["latency_mean_s"], metrics["latency_ratio_oracle"]
    shares = ("slo_attainment", "stutter_foreground_share", "stutter_gap_share", "healthy_masked_share", "drop_share")
    return (
        f"`{row['policy']}`{mark}",
        interval(latency),
        *(show(metrics.get(name), "{:.2f}") for name in ("latency_p95_s", "latency_p99_s")),
        interval(ratio),
        *(show(metrics.get(name), "{:.1%}") for name in shares),
    )


def interval(entry: dict[str, Any]) -> str:
    """A mean and its interval; of one episode there is none."""
    known = entry["lo"] is not None
    return f"{entry['mean']:.3f}" + (f" [{entry['lo']:.3f}, {entry['hi']:.3f}]" if known else "")


def show(entry: dict[str, Any] | None, form: str) -> str:
    """A figure, or a dash where there is none."""
    return "-" if entry is None or entry["mean"] is None else form.format(entry["mean"])


HEADING = """<!-- Made by scripts/reproduce_e3.py; do not edit. -->

# E3-Agent: the reproduction table

{episodes} test episodes (seeds {seed} and on), the same worlds for every policy, 95 % paired bootstrap intervals. `*`
sees what no real router can see. `clairvoyant` is a lower bound, no policy, and `lookahead` an achievable schedule that
knows the future (docs/bounds.md); both only where episodes are short, on the first {bounds}. *Stutter a*: share of
requests served while the user of the node was in the foreground; *stutter b*: with a gap between units beyond the
bound; *masked*: healthy capacity that a controller kept closed. What is ours and what is the paper's:
[regimes.md](regimes.md). How every baseline was tuned: [baselines.md](baselines.md).
"""

if __name__ == "__main__":
    raise SystemExit(main())
