"""Run tests again and again, and say which do not always pass.

python scripts/find_flakes.py --times 50                 # files with clocks, workers, threads, sockets, kills
python scripts/find_flakes.py --times 50 --all           # the whole tier: hours
python scripts/find_flakes.py tests/test_suites.py       # these

Everything else in the tests is drawn from fixed seeds. A line for each repeat is added to `--out`, so that repeats of
several days count together as long as the commit is the same.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESTLESS = re.compile(r"monotonic|perf_counter|\bsleep|Thread|socket|multiprocessing|n_workers|\bkill\(")
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


def main() -> int:
    """The command; returns the exit status: 1 if a test did not pass every time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", help="files of tests (default: those with clocks, workers, sockets)")
    parser.add_argument("--all", action="store_true", help="the whole tier")
    parser.add_argument("--times", type=int, default=50, help="repeats in all, those in the file included (default 50)")
    parser.add_argument("--pytest", default="-n 2", help="arguments of pytest (default: -n 2)")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "flakes.jsonl", help="a line for each repeat")
    options = parser.parse_args()
    paths = ["tests"] if options.all else options.paths or restless()
    commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    key = {"commit": commit, "paths": paths}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    lines = options.out.read_text().splitlines() if options.out.exists() else []
    known = [one for one in map(json.loads, lines) if {name: one[name] for name in key} == key]
    for k in range(len(known), options.times):
        known.append({**key, **one_run(paths, options.pytest.split())})
        with options.out.open("a") as file:
            file.write(json.dumps(known[-1]) + "\n")
        print(f"{k + 1}: {known[-1]['last']}", *known[-1]["failed"], sep="\n   ", flush=True)
    often = Counter(name for one in known for name in one["failed"])
    print(f"{len(paths)} paths, {len(known)} repeats, {len(often)} tests that did not pass every time")
    for name, times in often.most_common():
        print(f"  {name}: failed {times} of {len(known)} times")
    return int(any(one["status"] for one in known))


def restless() -> list[str]:
    """Files of tests whose source speaks of something that is not drawn from a seed."""
    paths = sorted((ROOT / "tests").glob("test_*.py"))
    return [str(path.relative_to(ROOT)) for path in paths if RESTLESS.search(path.read_text(encoding="utf-8"))]


def one_run(paths: list[str], arguments: list[str]) -> dict[str, object]:
    """What came of running them once."""
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", *arguments, *paths]
    began = time.monotonic()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    last = (done.stdout.strip() or done.stderr.strip()).rpartition("\n")[2]
    found = {"status": done.returncode, "failed": FAILED.findall(done.stdout), "last": last}
    why = {"output": done.stdout[-20_000:]} if done.returncode else {}
    return {**found, "seconds": round(time.monotonic() - began, 1), **why}


if __name__ == "__main__":
    sys.exit(main())
