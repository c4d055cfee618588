"""Write the documentation pages that are made from the code: tasks, presets, fields, controllers, checks.

python scripts/make_docs.py                      writes them
python scripts/make_docs.py --check              exits with 1 if a page on disk differs
python scripts/make_docs.py --timing runs/x      takes the cost of a decision from a run for the page of controllers
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from docs_checked import checked_page
from docs_fields import fields_page
from docs_gallery import COSTS, gallery_page

from edge_gym.scenario import Scenario
from edge_gym.scenario.presets import PRESETS
from edge_gym.tasks import TASKS, get_task
from edge_gym.tasks.task import Task

SITES = ("routing_v0", "placement_v0", "migration_v0")
DOCS = Path(__file__).resolve().parent.parent / "docs"


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing, exit with 1 if a page differs")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of the pages")
    parser.add_argument("--timing", type=Path, nargs="+", default=[], help="run folders on the idle machine")
    options = parser.parse_args(arguments)
    if options.timing:
        COSTS.write_text(json.dumps(decision_costs(options.timing), indent=1) + "\n", encoding="utf-8")
    wrong = [name for name, text in pages().items() if not is_current(options.docs / name, text)]
    for name in wrong:
        if options.check:
            print(f"docs/{name} is out of date: run python scripts/make_docs.py", file=sys.stderr)
            continue
        path = options.docs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pages()[name].encode())
        print(f"wrote docs/{name}")
    return 1 if options.check and wrong else 0


@cache
def pages() -> dict[str, str]:
    """Text of every page, by path under docs/."""
    tasks = {f"tasks/{name}.md": task_page(get_task(name)) for name in TASKS}
    sites = {f"tasks/{name}.md": sites_page(name) for name in SITES}
    gallery = note("the registry of policies") + gallery_page()
    checked = note("docs/checks.yaml and the tests") + checked_page()
    fields = note("the fields of the scenario") + fields_page()
    others = {"presets.md": presets_page(), "fields.md": fields, "gallery.md": gallery, "checked.md": checked}
    return {**tasks, **sites, **others}


def decision_costs(runs: Sequence[Path]) -> dict[str, object]:
    """Microseconds of a decision by policy and task, over all scenarios of the runs, and what machine they are from."""
    spent: dict[str, dict[str, list[float]]] = {}
    for run in runs:
        for row in json.loads((run / "timing.json").read_text(encoding="utf-8"))["rows"]:
            total = spent.setdefault(row["policy"], {}).setdefault(row["task"], [0.0, 0.0])
            total[0] += row["decide_s"]
            total[1] += row["decisions"]
    us = {
        name: {task: round(1e6 * seconds / number, 3) for task, (seconds, number) in by_task.items() if number}
        for name, by_task in spent.items()
    }
    names = ", ".join(f"`{run.name}`" for run in runs)
    return {"made_by": f"mean over the decisions of the runs {names}, 50 worlds at a time", "us": us}


def is_current(path: Path, text: str) -> bool:
    """Whether the file holds exactly this text."""
    return path.is_file() and path.read_bytes() == text.encode()


def task_page(task: Task) -> str:
    """The docstring of a task with the table of its columns."""
    rows = [
        (f"{k}", f"`{c.name}`", c.unit, c.scaling, f"[{c.low:g}, {c.high:g}]", c.text)
        for k, c in enumerate(task.columns)
    ]
    columns = table(("index", "name", "unit", "scaling", "range", "meaning"), rows)
    return note("the docstring of the task") + task.page.replace("{columns}", columns).strip() + "\n"


def sites_page(name: str) -> str:
    """The docstring of a task that the sites decide."""
    page = import_module(f"edge_gym.{name}").__doc__ or ""
    return note(f"the docstring of edge_gym.{name}") + page.strip() + "\n"


def presets_page() -> str:
    """A table of the presets."""
    heads = ("name", "nodes", "sites", "models", "arrivals", "load", "requests", "telemetry age", "what it is")
    worlds = {name: (" ".join((build.__doc__ or "").split()), build()) for name, build in PRESETS.items()}
    rows = [preset_row(name, *world) for name, world in worlds.items() if not world[1].roles]
    agents = [agents_row(name, *world) for name, world in worlds.items() if world[1].roles]
    agent_heads = ("name", "nodes", "sites", "roles", "applications", "agents", "users", "requests", "what it is")
    text = (
        "# Presets\n\nNamed scenarios. A short name (without the task) will do where the task is known; any field can "
        "be overridden:\n`gym.make(\"edge_gym/Routing-v0\", scenario=\"stationary\", n_nodes=32, load=0.7)`.\n"
        "*Load* is the arrival rate over the largest rate any routing could sustain at nominal speed.\n\n"
    )  # fmt: skip
    more = "\n\nWith AI agents:\n\n" + table(agent_heads, agents) + "\n"
    return note("the presets") + text + table(heads, rows) + more


def agents_row(name: str, summary: str, scenario: Scenario) -> tuple[str, ...]:
    """Cells of one preset with agents."""
    apps, nodes, sites = scenario.applications, scenario.pool.n_nodes, scenario.topology.n_sites
    come = [f"{apps.at_start} at the start"] if apps.at_start else []
    come += [f"{apps.applications_per_s:.3g}/s"] if apps.applications_per_s else []
    roles = ", ".join(role.name for role in scenario.roles)
    plain = scenario.arrivals.kind if scenario.arrivals.load is None else f"load {scenario.arrivals.load:g}"
    size = f"{apps.size.mean:g}" if apps.size.kind == "constant" else f"{apps.size.low:g} to {apps.size.high:g}"
    return f"`{name}`", f"{nodes:,}", f"{sites}", roles, ", ".join(come), size, scenario.mobility.kind, plain, summary


def preset_row(name: str, summary: str, scenario: Scenario) -> tuple[str, ...]:
    """Cells of one preset."""
    arrivals = scenario.arrivals
    load = f"{arrivals.load:g}" if arrivals.load is not None else "-"
    if arrivals.rate_per_s is not None:
        load = f"{arrivals.rate_per_s:g} requests/s"
    models = ", ".join(workload.model for workload in scenario.workloads)
    nodes, sites = scenario.pool.n_nodes, scenario.topology.n_sites
    requests = "no limit" if scenario.n_requests is None else f"{scenario.n_requests:,}"
    age = f"{scenario.telemetry.age_s:g} s"
    return f"`{name}`", f"{nodes:,}", f"{sites}", models, arrivals.kind, load, requests, age, summary


def note(source: str) -> str:
    """A comment that keeps people from editing the page."""
    return f"<!-- Made by scripts/make_docs.py from {source}; do not edit. -->\n\n"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; pipes in cells are escaped."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


if __name__ == "__main__":
    sys.exit(main())
