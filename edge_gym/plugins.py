"""Names that other packages add: policies, bounds, scenarios and tasks.

A package names a module of its own in the entry-point group `edge_gym.plugins`; importing that module registers its
names (`register_policy`, `register_bound`, `register_scenario`, `register_task`). All plugins are loaded together, once
in each process, when a name is asked for that is not known without them: `import edge_gym` loads none.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from edge_gym.errors import EdgeGymInputError, nearest, printable

GROUP = "edge_gym.plugins"
TARGET = re.compile(r"\w+(\.\w+)*:\w+")

_lock = threading.RLock()  # a plugin may itself ask for names while it is being loaded
_findings: dict[str, str] | None = None
_origins: dict[tuple[str, str], str] = {}


def load_plugins() -> dict[str, str]:
    """Load every plugin of this process, unless that has been done.

    Returns:
        Each plugin, "name (distribution version)", and why it could not be loaded; "" if it was.
    """
    global _findings
    with _lock:
        if _findings is None:
            _findings = {}
            for entry in sorted(entry_points(group=GROUP), key=lambda entry: (entry.name, entry.value)):
                _findings[_shown(entry)] = _load(entry)
        return dict(_findings)


def _load(entry: EntryPoint) -> str:
    try:
        found = entry.load()
        if callable(found):
            found()
    except (Exception, SystemExit) as error:  # somebody else's mistake must not take our own names away
        return printable(f"{type(error).__name__}: {error}")
    return ""


def _shown(entry: EntryPoint) -> str:
    if entry.dist is None:
        return f"{entry.name} ({entry.value})"
    return f"{entry.name} ({entry.dist.name} {entry.dist.version})"


def add_name(kind: str, table: dict[str, Any], name: str, entry: Any, others: Iterable[str] = ()) -> None:
    """Put `entry` into the registry `table`; remembers which package the caller of the caller is.

    Args:
        kind: "policy", "bound", "scenario" or "task".
        table: The registry.
        name: A new name, or one that means the same already.
        entry: What it means.
        others: Names of another kind that it must not be mistaken for.

    Raises:
        EdgeGymInputError: The name is taken by something else, or could not be given in a list.
    """
    if not isinstance(name, str) or not name or set(name) & set(":, \t\n"):
        raise EdgeGymInputError("name", name, "a name without colons, commas or blanks", f"register_{kind}")
    if name in others or (name in table and table[name] != entry):
        hint = f"it comes from {origin(kind, name) or 'edge_gym'}"
        raise EdgeGymInputError("name", name, "a name that is not taken", f"register_{kind}", hint)
    if name not in table:
        table[name] = entry
        _origins[kind, name] = str(sys._getframe(2).f_globals.get("__name__", "")).partition(".")[0]


def check_target(kind: str, target: Any) -> None:
    """Refuse what nothing can be made of later.

    Args:
        kind: "policy" or "bound".
        target: What is to be registered.

    Raises:
        EdgeGymInputError: It is neither "package.module:attribute" nor a callable.
    """
    if not (callable(target) or (isinstance(target, str) and TARGET.fullmatch(target))):
        hint = "" if isinstance(target, str) or kind == "bound" else "the class, or a function that makes one"
        raise EdgeGymInputError("target", target, "'package.module:attribute' or a callable", f"register_{kind}", hint)


def origin(kind: str, name: str) -> str:
    """The package (or `__main__`) that registered a name, "" for those of edge_gym itself."""
    return _origins.get((kind, name), "")


def advice(name: str, names: Iterable[str]) -> str:
    """What to say about an unknown name: the nearest one, and which plugins are broken, as it may be one of theirs."""
    broken = [plugin for plugin, problem in load_plugins().items() if problem]
    problem = f"could not load plugin {', '.join(broken)}: edge-gym doctor" if broken else ""
    return "; ".join(filter(None, (nearest(name, names), problem)))
