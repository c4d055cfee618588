"""Write the golden traces that are not there yet: `python scripts/make_golden.py`.

What is there is never overwritten: a trace that changes is a change of an environment, which needs a new version in the
id (or in the name of the PettingZoo module) and a line in CHANGELOG.md that names it. Then the new version's file is
new, and that of the old one can be deleted. `--drop NAME` makes a file anew, for a version that nobody has had yet.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import golden  # noqa: E402


def refusals(version: str, old: dict[str, Any], new: dict[str, Any], changelog: str) -> list[str]:
    """Why the traces of a version must not be written; empty if they may.

    Args:
        version: Id or module.
        old: Traces by preset, as they were written before.
        new: As they are now.
        changelog: Its text.
    """
    found = [f"{version}, {name}: has changed" for name in old if name in new and old[name] != new[name]]
    found += [f"{version}, {name}: is gone" for name in old if name not in new]
    if not old and version.rsplit(".", 1)[-1] not in changelog:
        found.append(f"{version}: CHANGELOG.md does not name it")
    return found


def write(path: Path, version: str, traces: dict[str, Any]) -> None:
    """One line for each seed, so that a difference shows in few lines."""
    about = json.dumps({"version": version, "made_on": golden.made_on()})
    lines = [about[:-1] + ', "traces": {']
    for i, (name, seeds) in enumerate(traces.items()):
        lines.append(f"{json.dumps(name)}: {{")
        lines += [f"{json.dumps(seed)}: {json.dumps(found)}," for seed, found in seeds.items()]
        lines[-1] = lines[-1][:-1]
        lines.append("}" if i == len(traces) - 1 else "},")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*lines, "}}"]) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drop", nargs="*", default=[], metavar="NAME", help="files to make anew, as in Routing-v0")
    args = parser.parse_args()
    changelog, problems = (ROOT / "CHANGELOG.md").read_text(), []
    for version in golden.versions():
        path = golden.path_of(version)
        dropped = path.stem in args.drop
        old = json.loads(path.read_text())["traces"] if path.exists() and not dropped else {}
        new = {case.preset: golden.trace(case) for case in golden.every_case() if case.version == version}
        problems += (refused := refusals(version, old, new, changelog))
        if not refused and old != new:
            write(path, version, new)
            print(f"{path.relative_to(ROOT)}: {len(new)} presets, {len(new) - len(old)} of them new")
    print("\n".join(problems), file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
