"""Print finished runs as one Markdown table: `python scripts/results_table.py runs/a runs/b`.

A cell is the mean latency in seconds with its 95 % paired interval, and the ratio to the oracle on the same worlds.
"""

import json
import sys
from pathlib import Path


def rows_of(folder: str) -> list[dict]:
    """The rows of a run's summary."""
    return json.loads((Path(folder) / "summary.json").read_text())["rows"]


def cell(row: dict, oracle: dict) -> str:
    """Mean latency, interval, ratio to the oracle."""
    latency = row["metrics"]["latency_mean_s"]
    ratio = latency["mean"] / oracle["metrics"]["latency_mean_s"]["mean"]
    return f"{latency['mean']:.2f} [{latency['lo']:.2f}, {latency['hi']:.2f}] ({ratio:.2f})"


def main(folders: list[str]) -> None:
    """One column for each run, ordered by the first run's mean latency; `*` marks what is privileged."""
    runs = [{row["policy"]: row for row in rows_of(folder)} for folder in folders]
    names = [next(iter(run.values()))["scenario"] for run in runs]
    print("| policy | " + " | ".join(f"`{name}`" for name in names) + " |")
    print("|---" * (len(runs) + 1) + "|")
    for policy in sorted(runs[0], key=lambda p: runs[0][p]["metrics"]["latency_mean_s"]["mean"]):
        mark = "* (bound)" if runs[0][policy]["bound"] else "*" if runs[0][policy]["privileged"] else ""
        cells = [cell(run[policy], run["oracle"]) for run in runs]
        print(f"| `{policy}`{mark} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main(sys.argv[1:])
