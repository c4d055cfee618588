"""What it costs that every site decides for itself, from a run of the suite `multiagent`, as Markdown.

edge-gym bench --suite multiagent --out runs/multiagent
python scripts/price_of_decentralisation.py runs/multiagent

Worlds whose names differ in their end alone are compared: the cost of each other one (mean latency; with AI agents
minus the return) over that of the one that ends with "-central", of the same policy on the same seeds, so that waiting
for the slot is no part of the ratio. The intervals are paired over the seeds (95 %); policies that draw, such as
`random` and `p2c`, draw otherwise for every site than for all.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import numpy as np

from edge_gym.errors import EdgeGymInputError
from edge_gym.evaluation.compare import cost_of
from edge_gym.evaluation.finished_run import FinishedRun
from edge_gym.evaluation.sites import REFUSED_SHARE
from edge_gym.evaluation.stats import ratio_interval

CENTRAL = "-central"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", help="the folder of a run of the suite")
    run = FinishedRun(parser.parse_args(arguments).run)
    cells: dict[tuple[str, str], dict[str, list[dict]]] = {}
    for row in run.rows:
        cells.setdefault((row["task"], row["scenario"]), {}).setdefault(row["policy"], []).append(row)
    yardsticks = [(task, name) for task, name in cells if name.endswith(CENTRAL)]
    if not yardsticks:
        raise EdgeGymInputError("run", str(run.path), f"a run with a world whose name ends with '{CENTRAL}'")
    for task, name in yardsticks:
        print(table(task, name.removesuffix(CENTRAL), cells))
    return 0


def table(task: str, stem: str, cells: dict[tuple[str, str], dict[str, list[dict]]]) -> str:
    """The table of a world: a row for each policy, three columns for each other way to decide in it."""
    central = cells[task, stem + CENTRAL]
    ways = [name for other, name in cells if other == task and name.startswith(f"{stem}-") and name != stem + CENTRAL]
    heads = ["policy", "central"]
    for way in ways:
        heads += [f"{way.removeprefix(stem + '-')} / central", "P99", "refused"]
    episodes = len(next(iter(central.values())))
    lines = [f"`{task}`, `{stem}`, {episodes} episodes:", "", f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for policy, rows in central.items():
        line = [f"`{policy}`", f"{costs(rows).mean():.3f}"]
        for way in ways:
            line += compared(rows, cells[task, way][policy])
        lines.append(f"| {' | '.join(line)} |")
    return "\n".join([*lines, ""])


def compared(central: list[dict], own: list[dict]) -> tuple[str, str, str]:
    """What the table says of one pair."""
    ratio = ratio_interval(costs(own)[None], costs(central))
    tails = [np.mean([row["latency_p99_s"] for row in rows]) for rows in (own, central)]
    refused = np.mean([row.get(REFUSED_SHARE, 0.0) for row in own])
    value, low, high = (side[0] for side in ratio)
    return f"{value:.3f} [{low:.3f}, {high:.3f}]", f"{tails[0] / tails[1]:.2f}", f"{refused:.2%}"


def costs(rows: list[dict]) -> np.ndarray:
    """(S,) what each episode cost."""
    return np.array([cost_of(row) for row in rows], float)


if __name__ == "__main__":
    raise SystemExit(main())
