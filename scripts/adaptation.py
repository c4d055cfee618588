"""How fast each policy copes with one hidden change: a table of adaptation time, detection, false alarms, area lost.

python scripts/adaptation.py                          # the defaults below
python scripts/adaptation.py --policies e3_fast,sect_watchdog --episodes 50

Half-loaded `stationary` with software factors; node 7, one of the two fastest, slows down to a tenth at 40 s and
recovers at 80 s (or leaves, and comes back as a stranger). Nobody is told. Everything is averaged over the episodes.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from rich.console import Console
from rich.progress import track
from rich.table import Table

from edge_gym.envs.common import resolve_task
from edge_gym.evaluation.adaptation import Adaptation, measure
from edge_gym.evaluation.rollout import roll_out
from edge_gym.policy import make_policy
from edge_gym.scenario import Change

POLICIES = "sect_static,sect_watchdog,sect_breaker,sect_events,linucb,e3_fast,e3_rules"
REFERENCE = "oracle"
NODE, AT_S, BACK_S, END_S = 7, 40.0, 80.0, 120.0
CHANGES = {
    "slows to a tenth": (("speed", 0.1), ("speed", 1.0)),
    "leaves": (("alive", 0.0), ("alive", 1.0)),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--policies", default=POLICIES, help=f"by commas (default {POLICIES})")
    parser.add_argument("--episodes", type=int, default=100, help="default 100")
    parser.add_argument("--seed", type=int, default=1000, help="first seed (default 1000, the test seeds)")
    options = parser.parse_args(arguments)
    console = Console(width=None if Console().is_terminal else 140)
    names, seeds = options.policies.split(","), range(options.seed, options.seed + options.episodes)
    for what, (change, back) in CHANGES.items():
        timeline = tuple(
            Change(time_s=time_s, node=NODE, what=kind, value=value)
            for time_s, (kind, value) in ((AT_S, change), (BACK_S, back))
        )
        overrides = {"timeline": timeline, "load": 0.5, "bias_sigma": 0.3, "n_requests": 4000}
        world = resolve_task("routing", "stationary", overrides)[1]
        logs = {
            name: [episode.log for episode in roll_out(world, make_policy(name), name, list(seeds)).episodes]
            for name in track([*names, REFERENCE], description=what, console=Console(stderr=True), transient=True)
        }
        table = Table(title=f"node {NODE} {what} at {AT_S:g} s and is back at {BACK_S:g} s; {len(seeds)} episodes")
        for heading in ("policy", "phase", "adapted s", "detected s", "false alarms", "area lost s", "peak ratio"):
            table.add_column(heading, justify="left" if heading in ("policy", "phase") else "right")
        for name in names:
            for phase, begin_s, end_s in (("change", AT_S, BACK_S), ("recovery", BACK_S, END_S)):
                found = measure(logs[name], logs[REFERENCE], NODE, begin_s, end_s, world.n_nodes)
                table.add_row(name, phase, *cells(found, phase))
        console.print(table)
    return 0


def cells(found: Adaptation, phase: str) -> tuple[str, ...]:
    """A row of the table; detection and false alarms mean nothing when a node recovers."""
    detected = "-" if phase == "recovery" or found.detected_s is None else f"{found.detected_s:g}"
    return (
        f"{found.adapted_s:g}",
        detected,
        "-" if phase == "recovery" else f"{found.false_alarms:.0%}",
        f"{found.area_s:.0f}",
        f"{found.peak:.2f}",
    )


if __name__ == "__main__":
    raise SystemExit(main())
