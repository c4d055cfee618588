"""Lines and branches that the tests reach: the whole tier, then parts of it with the kernel as plain Python.

python scripts/measure_coverage.py                 # both passes, then the table; exit 1 below a limit
python scripts/measure_coverage.py --only-report   # the table of the last measurement

Compiled code is invisible to coverage, so the second pass runs without compiling: the worked cases, conservation, the
regimes, the solvers. Processes that tests start are followed. Data is kept in `runs/coverage`.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "runs" / "coverage"
PLAIN = (
    "by_hand", "agents_by_hand", "sites_by_hand", "edges_by_hand", "control", "router", "outlook", "degenerate",
    "conservation", "control_conservation", "agents_conservation", "sites_conservation", "agents_exogenous",
    "placement_hindsight", "semantic",
)  # fmt: skip
# Tests that measure memory, or what a process may write: coverage needs both itself.
LEFT_OUT = (
    "tests/test_traces_azure.py::test_bad_43_a_million_rows_are_streamed",
    "tests/test_writes.py::test_run_18_a_full_disk_is_named_with_path_need_and_room_and_what_was_there_stays",
)
# What is compiled, and what reads or guards against what others wrote.
KERNEL = ("edge_gym/kernel/*", "*/placement/_*", "agents/edge_agents/compiled/*")
GUARDS = (
    "edge_gym/scenario/parse.py", "edge_gym/scenario/io.py", "edge_gym/scenario/overrides.py", "edge_gym/safe_xml.py",
    "edge_gym/scenario/parts.py", "edge_gym/scenario/definition.py", "edge_gym/scenario/agents.py", "edge_gym/files.py",
    "edge_gym/network/graphml*.py", "edge_gym/network/matrix.py", "edge_gym/traces/*.py", "edge_gym/events/parser.py",
    "edge_gym/events/clean.py", "edge_gym/devices.py", "edge_gym/errors.py", "edge_gym/kernel/guards.py",
    "edge_gym/evaluation/suites.py", "edge_gym/evaluation/finished_run.py", "edge_gym/evaluation/claimed_folder.py",
    "edge_gym/evaluation/run_folder.py", "edge_gym/evaluation/splits.py", "edge_gym/report/run_data.py",
    "agents/edge_agents/checkpoint.py", "agents/edge_agents/saved_state.py", "*/llm/strict_json.py",
    "*/llm/completions.py", "*/llm/arguments.py", "*/llm/tools.py", "*/llm/untrusted.py", "*/llm/budget.py",
    "*/testbed/frames.py", "*/e3/tools.py", "*/antllm/tools.py",
)  # fmt: skip
AREAS = {  # name: patterns, least share of branches
    "everything": (("*",), 0.90),
    "the kernel": (KERNEL, 0.90),
    "parsers and guards": (GUARDS, 0.95),
}


def main() -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only-report", action="store_true", help="measure nothing anew")
    parser.add_argument("--pytest", default="-n 2 -q", help="arguments of pytest (default: -n 2 -q)")
    parser.add_argument("--files", type=int, default=20, help="how many of the files with most gaps to list (20)")
    options = parser.parse_args()
    failed = 0 if options.only_report else measure(options.pytest.split())
    found = FOLDER / "coverage.json"
    run(["coverage", "json", "--quiet", "--ignore-errors", "-o", str(found)])  # some tests delete what they ran
    files = json.loads(found.read_text())["files"]
    low = show(files, options.files)
    return int(bool(failed or low))


def measure(arguments: list[str]) -> int:
    """Both passes; returns how many had a test that failed."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    run(["coverage", "erase"])
    pytest = ["pytest", "--cov", "--cov-report=", "-p", "no:cacheprovider", *arguments]
    pytest += [f"--deselect={name}" for name in LEFT_OUT]
    first = run(pytest)
    second = run([*pytest, "--cov-append", *(f"tests/test_{name}.py" for name in PLAIN)], NUMBA_DISABLE_JIT="1")
    return (first != 0) + (second != 0)


def run(words: list[str], **environment: str) -> int:
    """A module of this Python, its data in the folder; returns its exit status."""
    env = {**os.environ, "COVERAGE_FILE": str(FOLDER / "data"), **environment}
    return subprocess.run([sys.executable, "-m", *words], cwd=ROOT, env=env, check=False).returncode


def show(files: dict[str, dict[str, Any]], n_files: int) -> list[str]:
    """Print the areas and the files with the most gaps; returns the areas below their limit."""
    table, low = Table("", "files", "lines", "branches", "both", "at least"), []
    for area, (patterns, limit) in AREAS.items():
        its = {name: one for name, one in files.items() if any(fnmatch.fnmatch(name, p) for p in patterns)}
        sums = [one["summary"] for one in its.values()]
        lines = share(sums, "covered_lines", "num_statements")
        branches = share(sums, "covered_branches", "num_branches")
        both = sum(s["covered_lines"] + s["covered_branches"] for s in sums)
        both /= sum(s["num_statements"] + s["num_branches"] for s in sums)
        low += [area] * (branches < limit)
        table.add_row(area, str(len(its)), *(f"{x:.1%}" for x in (lines, branches, both)), f"{limit:.0%}")
    gaps = Table("file", "branches missed", "lines missed")
    order = sorted(files, key=lambda name: -files[name]["summary"]["missing_branches"])
    for name in order[:n_files]:
        its = files[name]["summary"]
        gaps.add_row(name, f"{its['missing_branches']} of {its['num_branches']}", str(its["missing_lines"]))
    Console(width=120).print(gaps, table)
    return low


def share(sums: list[dict[str, int]], part: str, whole: str) -> float:
    """Of sums over files."""
    return sum(s[part] for s in sums) / max(sum(s[whole] for s in sums), 1)


if __name__ == "__main__":
    sys.exit(main())
