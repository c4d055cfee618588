"""Plant known defects one by one in a copy of the project, and count those that the tests notice.

    python scripts/planted_defects.py --out runs/defects.jsonl          # goes on where it was stopped
    python scripts/planted_defects.py --only agents "warm-up ignored"   # a file of scripts/defects, or names of defects

The defects are in `scripts/defects/*.yaml`: a text that stands once in a file, what to put in its place, and what that
breaks. A defect is killed when a test fails. Only the test files named beside it are run, in that order, until one
fails: first as plain Python (`plain`: the kernel need not be compiled, which takes a minute a defect), then compiled.
The golden traces are not among them: they notice any change, right or wrong. A test that fails without any defect would
kill them all, so every list of tests is run once as it is first.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "scripts" / "defects"
KERNEL = "edge_gym/kernel/"
KILLED, SURVIVED, BROKEN = "killed", "survived", "broken"
FAILED, PASSED, NO_TESTS = 1, 0, 5  # exit statuses of pytest
UNNAMED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


class Defect(NamedTuple):
    """One planted defect and the tests that should notice it."""

    name: str
    group: str
    file: str
    old: str
    new: str
    breaks: str
    stages: tuple[tuple[bool, tuple[str, ...]], ...]  # compiled or not, and the arguments of pytest


def read_defects(folder: Path = FOLDER) -> list[Defect]:
    """Every defect, in the order of the files."""
    found = []
    for path in sorted(folder.glob("*.yaml")):
        document = yaml.safe_load(path.read_text())
        for one in document["defects"]:
            first, in_kernel = tuple(one.get("first", ())), one["file"].startswith(KERNEL)
            plain, compiled = tuple(document["plain"]), tuple(one.get("compiled", document["compiled"]))
            stages = [(not in_kernel, first), (False, plain if in_kernel else ()), (True, compiled)]
            stages = tuple(stage for stage in stages if stage[1])
            texts = {key: one[key] for key in ("name", "file", "old", "new", "breaks")}
            found.append(Defect(group=path.stem, stages=stages, **texts))
    return found


def plant(root: Path, defect: Defect) -> None:
    """Put the defect into a copy of the project.

    Raises:
        ValueError: The text does not stand there exactly once.
    """
    path = root / defect.file
    text = path.read_text()
    if text.count(defect.old) != 1:
        raise ValueError(f"{defect.name}: its text stands {text.count(defect.old)} times in {defect.file}")
    path.write_text(text.replace(defect.old, defect.new))


def copy_project(target: Path) -> None:
    """Copy what belongs to the project, as it is now."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    for name in names:
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)  # with its time, by which Numba knows what it compiled


def run_tests(root: Path, compiled: bool, arguments: tuple[str, ...], cache: str, limit_s: float) -> tuple[str, str]:
    """Run tests in a copy of the project until one fails.

    Returns:
        KILLED, SURVIVED or BROKEN, and the first test that failed (or the end of what pytest said).
    """
    paths = os.pathsep.join(str(root / name) for name in (".", "baselines", "agents"))
    environment = {**os.environ, "PYTHONPATH": paths, "EDGE_GYM_CACHE_DIR": cache, "PYTHONDONTWRITEBYTECODE": "1"}
    environment["NUMBA_DISABLE_JIT"] = "0" if compiled else "1"
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--tb=no", *arguments]
    # Seconds a test: a plain one that hangs ends soon; a compiled one may compile for as long as it takes.
    command.append(f"--timeout={limit_s:.0f}" if compiled else "--timeout=150")
    try:
        done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=limit_s)
    except subprocess.TimeoutExpired:
        return KILLED, f"nothing within {limit_s:.0f} s"
    failed = UNNAMED.search(done.stdout)
    if done.returncode == FAILED and failed:
        return KILLED, failed[1]
    if done.returncode in (PASSED, NO_TESTS):
        return SURVIVED, ""
    return BROKEN, (done.stdout + done.stderr)[-300:]


def judge(defect: Defect | None, stages: tuple, folder: Path, cache: str, limit_s: float) -> dict[str, Any]:
    """What the tests say of a copy with this defect, or of one without.

    Args:
        defect: What to plant.
        stages: What to run.
        folder: Where the copy goes. One that is used again finds what was compiled there and has not changed.
        cache: Where compiled code is kept; that of a kernel with a defect is thrown away.
        limit_s: Seconds for each stage.
    """
    began = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    copy_project(folder)
    with tempfile.TemporaryDirectory(prefix="planted-") as spoilt:
        if defect is not None:
            plant(folder, defect)
            cache = spoilt if defect.file.startswith(KERNEL) else cache
        verdict, by = SURVIVED, ""
        for compiled, arguments in stages:
            verdict, by = run_tests(folder, compiled, arguments, cache, limit_s)
            if verdict != SURVIVED:
                break
    return {"verdict": verdict, "by": by, "compiled": compiled, "seconds": round(time.monotonic() - began, 1)}


def identity(value: Any) -> str:
    """By which a result is found again: it counts only for exactly this defect and these tests."""
    return json.dumps(value, sort_keys=True)


def run_all(defects: list[Defect], out: Path, jobs: int, cache: str, limit_s: float) -> dict[str, dict[str, Any]]:
    """The results of all defects by identity; those in the file are not run again, new ones are added to it."""
    known = {}
    if out.exists():
        known = {entry["identity"]: entry for entry in map(json.loads, out.read_text().splitlines())}
    out.parent.mkdir(parents=True, exist_ok=True)

    folders: SimpleQueue[Path] = SimpleQueue()
    for k in range(jobs):
        folders.put(Path(cache) / f"project-{out.stem}-{k}")

    def work(item: tuple[str, Defect | None, tuple]) -> None:
        key, defect, stages = item
        folder = folders.get()
        try:
            found = judge(defect, stages, folder, cache, limit_s)
        finally:
            folders.put(folder)
        if defect is None and found["verdict"] != SURVIVED:
            raise SystemExit(f"without any defect: {found['by']}, in {stages}")
        known[key] = {"identity": key, "name": "-" if defect is None else defect.name, **found}
        with out.open("a") as file:
            file.write(json.dumps(known[key]) + "\n")
        print(f"{known[key]['name']}: {found['verdict']} {found['by']} ({found['seconds']} s)", flush=True)

    stages = dict.fromkeys(stage for defect in defects for stage in defect.stages if not stage[0])
    as_it_is = [(identity(stage), None, (stage,)) for stage in stages]
    todo = [*as_it_is, *((identity(defect), defect, defect.stages) for defect in defects)]
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for _ in pool.map(work, [item for item in todo if item[0] not in known]):
                pass
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return known


def print_table(defects: list[Defect], known: dict[str, dict[str, Any]]) -> int:
    """Print a line for each defect, then the count. Returns how many were not killed."""
    print("\n| group | defect | what it breaks | verdict | by |\n|---|---|---|---|---|")
    results = [(defect, known[identity(defect)]) for defect in defects]
    for defect, found in results:
        how = "" if found["compiled"] else " (plain)"
        print(f"| {defect.group} | {defect.name} | {defect.breaks} | {found['verdict']} | {found['by']}{how} |")
    killed = sum(found["verdict"] == KILLED for _, found in results)
    print(f"\n{killed} of {len(results)} killed ({100 * killed / max(len(results), 1):.1f} %)")
    return len(results) - killed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/planted_defects.jsonl"), help="results, one a line")
    parser.add_argument("--only", nargs="*", default=[], help="groups (files of scripts/defects) or names of defects")
    parser.add_argument("--jobs", type=int, default=1, help="defects at once; each needs a core and about 1 GB")
    parser.add_argument("--limit-s", type=float, default=900.0, help="of one list of tests; longer counts as killed")
    parser.add_argument("--cache", default=tempfile.gettempdir() + "/planted-cache", help="of what is not changed")
    parser.add_argument("--list", action="store_true", help="list the defects and run nothing")
    args = parser.parse_args()
    defects = [one for one in read_defects() if not args.only or {one.name, one.group} & set(args.only)]
    if args.list:
        print("\n".join(f"{one.group}: {one.name} ({one.file}) breaks {one.breaks}" for one in defects))
        return
    known = run_all(defects, args.out, args.jobs, args.cache, args.limit_s)
    sys.exit(1 if print_table(defects, known) else 0)


if __name__ == "__main__":
    main()
