"""Names for `edge-gym list`: tasks, scenarios and policies with the first line of their documentation."""

from __future__ import annotations

import argparse
import inspect
from collections.abc import Callable, Iterator
from importlib import import_module
from typing import TYPE_CHECKING, Any

from edge_gym.bounds import BOUNDS, load_bound
from edge_gym.cli import listing
from edge_gym.cli.arguments import LISTS
from edge_gym.errors import EdgeGymInputError, nearest
from edge_gym.evaluation.suites import load_suite, suite_names
from edge_gym.plugins import load_plugins, origin
from edge_gym.policy import POLICIES, is_privileged, policy_names
from edge_gym.scenario.presets import PRESETS, scenario_names
from edge_gym.tasks import get_task, task_names

if TYPE_CHECKING:
    from rich.table import Table


def run(options: argparse.Namespace) -> int:
    """Print one list, or without a name those of everything that the other commands take.

    Raises:
        EdgeGymInputError: There is no such list.
    """
    from rich.console import Console

    what = options.what
    if what is not None and what not in LISTS:
        raise EdgeGymInputError("what", what, f"one of {', '.join(LISTS)}", hint=nearest(what, LISTS))

    tables: dict[str, Callable[[], Table]] = {
        "tasks": lambda: _table("Tasks", _tasks()),
        "scenarios": lambda: _table("Scenarios", _scenarios()),
        "policies": lambda: _table("Policies", _policies()),
        "suites": lambda: _table("Suites", _suites()),
        "devices": listing.device_table,
        "models": listing.model_table,
        "services": listing.service_table,
    }
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, 160)
    for name in ("tasks", "scenarios", "policies", "suites") if what is None else (what,):
        console.print(tables[name]())
    if what is None:
        console.print("Also: edge-gym list devices, models, services", markup=False)
    for plugin, problem in load_plugins().items():
        if problem:
            console.print(f"Plugin {plugin} could not be loaded: {problem}", markup=False)
    return 0


def _table(title: str, rows: Iterator[tuple[str, str]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left")
    table.add_column("name", no_wrap=True)
    table.add_column("what it is")
    for name, text in rows:
        table.add_row(Text(name), Text(text))
    return table


def _tasks() -> Iterator[tuple[str, str]]:
    for name in task_names():
        yield name, get_task(name).id + _from("task", name)


def _scenarios() -> Iterator[tuple[str, str]]:
    for name in scenario_names():
        yield name, _summary(PRESETS[name]) + _from("scenario", name)


def _suites() -> Iterator[tuple[str, str]]:
    for name in suite_names():
        yield name, load_suite(name).description


def _policies() -> Iterator[tuple[str, str]]:
    names = policy_names()
    for name, target in BOUNDS.items():
        yield name, _summary(load_bound(name, target)) + " (bound)" + _from("bound", name)
    for name in names:
        target: Any = POLICIES[name]
        try:
            if isinstance(target, str):
                module, _, attribute = target.partition(":")
                target = getattr(import_module(module), attribute)
        except (ImportError, AttributeError) as error:
            yield name, f"not installed: {error}"
            continue
        mark = " (privileged)" if is_privileged(target) else ""
        yield name, _summary(target) + mark + _from("policy", name)


def _from(kind: str, name: str) -> str:
    package = origin(kind, name)
    return f" (from {package})" if package else ""


def _summary(target: Any) -> str:
    return (inspect.getdoc(target) or "").partition("\n")[0]
