"""Kill a benchmark again and again at random moments, resume it each time, and see that nothing of it shows.

python scripts/chaos_bench.py                       # 20 kills; prints whether the results are the same to the byte
python scripts/chaos_bench.py --kills 5 --workers 2

The command line is killed with SIGKILL, as by a power cut or the kernel; its worker processes must go by themselves.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

FILES = ("episodes.jsonl", "summary.json")
CELL = """
  - task: {task}
    worlds: [{worlds}]
    policies: [{policies}]
    episodes: {episodes}
    least_episodes: 1
"""
CELLS = (
    ("routing", "{scenario: stationary}, {scenario: drift}", "random, sect_watchdog, thompson, oracle"),
    ("placement", "{scenario: campus-8}", "random, greedy"),
)
GO_S = 120.0  # for what was started by a killed run to be gone
# Small shards: the more there are, the more moments in which something could go wrong.
COMMAND = (
    "from edge_gym.evaluation import shards; shards.SHARD = {size}; from edge_gym.cli.main import main; main({words})"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20, help="default 20")
    parser.add_argument("--episodes", type=int, default=300, help="of each policy and scenario (default 300)")
    parser.add_argument("--workers", type=int, default=2, help="processes (default 2)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default 0)")
    parser.add_argument("--folder", type=Path, help="where the runs are kept (default: a temporary one)")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        suite = folder / "chaos.yaml"
        cells = [CELL.format(task=t, worlds=w, policies=p, episodes=options.episodes) for t, w, p in CELLS]
        head = "version: 1\nname: chaos\nrevision: 1\ndescription: To be killed.\ncells:"
        suite.write_text(head + "".join(cells), encoding="utf-8")
        began = time.monotonic()
        if run(suite, folder / "whole", options).wait() != 0:
            parser.error("the run that nobody interrupts failed")
        took_s = time.monotonic() - began
        parts = finished(folder / "whole")
        done = kill_and_resume(suite, folder / "killed", options, parts)
        same = [(folder / "whole" / name).read_bytes() == (folder / "killed" / name).read_bytes() for name in FILES]
    for name, equal in zip(FILES, same, strict=True):
        print(f"{name}: {'identical' if equal else 'DIFFERENT'} after {options.kills} kills")
    print(f"parts of {parts} finished at each kill: {done}; uninterrupted: {took_s:.0f} s")
    return 0 if all(same) else 1


def run(suite: Path, out: Path, options: argparse.Namespace, *more: str) -> subprocess.Popen:
    """Begin or resume the benchmark."""
    words = ["bench", "--suite", str(suite), "--out", str(out), "--quiet", "--workers", str(options.workers), *more]
    command = COMMAND.format(size=max(options.episodes // 10, 1), words=words)
    return subprocess.Popen([sys.executable, "-c", command], stdout=subprocess.DEVNULL, start_new_session=True)


def kill_and_resume(suite: Path, out: Path, options: argparse.Namespace, parts: int) -> list[int]:
    """How many of the parts were finished at each kill; afterwards the run is complete.

    The moments follow what is finished, not the clock, so that a busy machine does not put all of them into the start.
    """
    moments, found = random.Random(options.seed), [0]
    child = run(suite, out, options)
    for _ in range(options.kills):
        wanted = found[-1] + moments.randint(0, 2 * parts // (options.kills + 1))
        while finished(out) < min(wanted, parts) and child.poll() is None:
            time.sleep(0.02)
        time.sleep(moments.uniform(0.0, 1.0))
        child.kill()
        child.wait()
        found.append(finished(out))
        wait_for_orphans(child.pid)
        child = run(suite, out, options, "--resume") if out.exists() else run(suite, out, options)
    if child.wait() != 0:
        raise SystemExit(f"the last resume ended with {child.returncode}")
    return found[1:]


def finished(out: Path) -> int:
    """How many parts of a run are finished."""
    return len(list((out / "shards").glob("*.jsonl")))


def wait_for_orphans(session: int) -> None:
    """Wait until no process of a session is left; where /proc is missing, believe it.

    Raises:
        SystemExit: Some outlive the run that began them.
    """
    ends = time.monotonic() + GO_S
    while session in sessions():
        if time.monotonic() > ends:
            raise SystemExit(f"processes of session {session} outlive the killed run by {GO_S:g} s")
        time.sleep(0.05)


def sessions() -> set[int]:
    """The sessions of all processes that run."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _, _, session = path.read_text().rpartition(")")[2].split()[:4]
            if state not in "ZX":  # gone, but nobody has asked for its exit status yet
                found.add(int(session))
        except (OSError, ValueError, IndexError):
            continue
    return found


if __name__ == "__main__":
    raise SystemExit(main())
