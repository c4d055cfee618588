"""The gallery: every registered controller, read from the registry, the classes and the files of settings."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from edge_gym.policy import POLICIES, load_target, make_policy

ROOT = Path(__file__).resolve().parent.parent
COSTS = ROOT / "docs" / "decision_us.json"  # written by `make_docs.py --timing RUN`
NEEDS = {"breaker": "jsq", "wary": "myopic", "together": "e3_fast+greedy+myopic", "learned": None}
SETTINGS = {
    "baselines/edge_baselines/settings.json": "tune_baselines.py",
    "baselines/edge_baselines/agents/movers_settings.json": "tune_movers.py",
}
KINDS = {
    "routing": "Requests: Routing",
    "metacontrol": "The router's own controls: MetaControl",
    "placement": "New agents: Placement",
    "migration": "Agents that may move: Migration",
    "joint": "All of it: Joint",
}
PLACEMENT = "tuned: `tune_placement.py`"
BY_HAND = {  # whose settings are in no file of settings
    **dict.fromkeys(("grasp", "annealing", "genetic", "acs", "mmas", "aco"), PLACEMENT),
    **dict.fromkeys(("e3_fast", "e3_rules", "e3_llm", "e3_agentscope"), "by hand, on tune seeds"),
    "oracle": "tuned: `tune_oracle.py`",
}
# What of the public context a controller reads beside the observation and the mask.
READS = {"events": "messages", "ended": "completions", "agency": "the applications"}


def gallery_page() -> str:
    """The page, without the note on top."""
    rows: dict[str, list[list[str]]] = {kind: [] for kind in KINDS}
    costs = json.loads(COSTS.read_text()) if COSTS.is_file() else {}
    for name in shipped():
        kind, cells = describe(name, costs.get("us", {}))
        rows[kind].append(cells)
    heads = ["name", "what it does", "sees", "settings and weights", "extra"] + (["µs/decision"] if costs else [])
    parts = [INTRODUCTION + (f"\n*µs/decision*: {costs['made_by']}.\n" if costs else "")]
    for kind, title in KINDS.items():
        table = [heads, ["---"] * len(heads), *(row[: len(heads)] for row in rows[kind])]
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in table]
        parts.append(f"## {title}\n\n" + "\n".join(lines))
    return "\n\n".join(part.strip() for part in parts) + "\n"


INTRODUCTION = """# Controllers: a gallery

Every name that `--policies` and `edge_gym.make_policy` know without a plugin. All stand on the same observation and
mask; *sees* is what a controller reads besides: *messages* as text, *completions* one by one, the public figures of
*the applications*, and what only an oracle may see (**privileged**: such rows are marked in results). Messages as the
shipped parser reads them are columns of the observation. Sources and settings: [Baselines](baselines.md); weights:
[Learned](learned.md); how to add one: [Extending](extending.md).
"""


def shipped() -> list[str]:
    """Names that are there without anybody's registering one."""
    return [name for name, target in POLICIES.items() if isinstance(target, str) and target.startswith("edge_")]


def describe(name: str, costs: dict[str, dict[str, float]]) -> tuple[str, list[str]]:
    """The task that it stands under, and its cells; the last is the cost of a decision."""
    target = load_target(name, POLICIES[name])
    argument = NEEDS.get(name, "")
    policy: Any = target if argument is None else make_policy(f"{name}:{argument}" if argument else name)
    kind = type(policy) if argument is not None else target
    tasks = getattr(policy, "tasks", None) or (getattr(policy, "task", "routing"),)
    if not isinstance(tasks, Sequence):
        tasks = ("routing",)  # set when a file has been read
    sees = "**privileged**" if getattr(policy, "privileged", False) else ", ".join(_reads(policy, kind)) or "-"
    called = f"`{name}:...`" if name in NEEDS else f"`{name}`"
    also = f" Also: {', '.join(tasks[1:])}." if len(tasks) > 1 else ""
    cost = ", ".join(f"{us:.3g} ({task})" for task, us in sorted(costs.get(name, {}).items())) or "-"
    return tasks[0], [called, _summary(target, kind) + also, sees, _origin(name, policy), _extra(kind), cost]


def _summary(target: Any, kind: type) -> str:
    """First sentence of the docstring of what the registry names."""
    own = inspect.getdoc(target) if inspect.isfunction(target) else None
    text = " ".join((own or inspect.getdoc(kind) or "").split("\n\n")[0].split())
    return re.split(r"(?<=[^.A-Z][.])\s+(?=[A-Z`])", text.removeprefix("Returns "))[0]


def _sources(kind: type) -> str:
    """Source of a class and its own ancestors."""
    own = [base for base in kind.__mro__ if base.__module__.split(".")[0] in ("edge_baselines", "edge_agents")]
    return "\n".join(inspect.getsource(base) for base in own)


def _reads(policy: Any, kind: type) -> list[str]:
    source = _sources(kind)
    reads = [what for field, what in READS.items() if re.search(rf"\bcontext\.{field}\b", source)]
    return reads + ["delays between nodes"] * bool(getattr(policy, "wants_links", False))


def _origin(name: str, policy: Any) -> str:
    """Where what was chosen for it comes from."""
    if getattr(policy, "training", None):
        return "learned, shipped"
    if name == "learned":
        return "a checkpoint"
    if name in BY_HAND:
        return BY_HAND[name]
    for path, script in SETTINGS.items():
        if name in _settings(path) or (name in ("sect_breaker", "breaker") and "breaker" in _settings(path)):
            return f"tuned: `{script}`"
    return "-"


@cache
def _settings(path: str) -> frozenset[str]:
    return frozenset(json.loads((ROOT / path).read_text())["settings"])


def _extra(kind: type) -> str:
    """The extra that asking a model needs; without one these controllers fall back and need none."""
    module = kind.__module__
    if module.endswith("agentscope"):
        return "agentscope"
    return "llm, to ask a model" if ".antllm" in module or module.endswith("e3.llm") else "-"
