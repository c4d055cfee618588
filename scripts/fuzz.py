"""Long fuzzing of every parser; prints what came of it. A finding names the case, which can be run alone.

python scripts/fuzz.py --cases 100000 --seed 1
python scripts/fuzz.py --parsers graphml,transcript --cases 1000
python scripts/fuzz.py --parsers graphml --seed 3 --first 1234 --cases 1     # one case again
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from fuzz import Count, fuzz, peak_mib, share
from fuzz_parsers import parsers


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; 1 if there are findings."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=100_000, help="of all parsers together (default 100000)")
    parser.add_argument("--seed", type=int, default=0, help="default 0")
    parser.add_argument("--first", type=int, default=0, help="number of the first case of each parser (default 0)")
    parser.add_argument("--parsers", help="names with commas between them (default: all)")
    options = parser.parse_args(arguments)
    known = parsers()
    wanted = options.parsers.split(",") if options.parsers else [one.name for one in known]
    for name in wanted:
        if name not in {one.name for one in known}:
            parser.error(f"no parser '{name}'; there are: {', '.join(one.name for one in known)}")
    chosen = [one for one in known if one.name in wanted]
    print(f"{'parser':24}{'cases':>8}{'valid':>8}{'refused':>9}{'findings':>9}{'slowest ms':>12}{'ms a case':>11}")
    total = Count()
    with tempfile.TemporaryDirectory() as folder:
        for one, cases in zip(chosen, share(chosen, options.cases), strict=True):
            count = fuzz(one, cases, options.seed, Path(folder), options.first)
            show(one.name, count)
            for name in ("cases", "valid", "refused", "seconds"):
                setattr(total, name, getattr(total, name) + getattr(count, name))
            total.slowest_s = max(total.slowest_s, count.slowest_s)
            total.findings += count.findings
    show("all", total)
    print(f"seed {options.seed}; at most {peak_mib():.0f} MiB of memory, {total.seconds:.0f} s")
    return 1 if total.findings else 0


def show(name: str, count: Count) -> None:
    """One row of the table, and the findings of a parser."""
    each = 1e3 * count.seconds / max(count.cases, 1)
    figures = f"{count.cases:8}{count.valid:8}{count.refused:9}{len(count.findings):9}"
    print(f"{name:24}{figures}{1e3 * count.slowest_s:12.1f}{each:11.2f}", flush=True)
    for finding in count.findings[:20] if name != "all" else ():
        print(f"    {finding}")


if __name__ == "__main__":
    raise SystemExit(main())
