"""How a controller that asks a language model is run: what the command line and the environment set, and budgets."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from edge_baselines.llm.budget import BudgetLimits, Limits
from edge_baselines.llm.settings import API_KEY, LlmSettings
from edge_baselines.llm.transcript import MODES
from edge_gym.errors import MISSING, EdgeGymInputError, nearest
from edge_gym.fields import check, choice, flag, number, text
from edge_gym.files import file_sha256
from edge_gym.scenario.parse import scalar

PREFIX = "EDGE_GYM_LLM_"
DEADLINE_S = 5.0  # nobody acts while a silent model is waited for: `scripts/llm_chaos.py` shows what 30 s cost
# One run may have several controllers and has one environment: what only another of them knows is no mistake.
CONTROLLERS = ("edge_baselines.e3.llm_settings:AskSettings", "edge_baselines.antllm.settings:AntSettings")


@dataclass(frozen=True, kw_only=True)
class Asking:
    """What every controller needs to know before it asks; each adds when it asks.

    Raises:
        EdgeGymInputError: If a field is out of range, or a mode needs a folder that is not given.
    """

    mode: str = choice("off", MODES, "of the transcripts; off never asks: the rules decide everything")
    transcript: str = text("", "folder of the transcripts, one file for each policy, scenario and first seed")
    refresh: bool = flag(False, "with record: set older transcripts aside")
    calls: int | None = number(None, 0, 10**9, "calls", "requests to the model in each episode")
    calls_a_decision: int | None = number(None, 0, 10**9, "calls", "requests to the model in each decision")
    calls_a_run: int = number(10_000, 0, 10**9, "calls", "requests to the model by each process of a run")
    dollars: float | None = number(None, 0.0, 1e9, "dollars", "spent by each process of a run")

    def __post_init__(self) -> None:
        check(self)
        if self.mode in ("record", "replay") and not self.transcript:
            hint = f"--transcript FOLDER, or {PREFIX}TRANSCRIPT"
            raise EdgeGymInputError("transcript", MISSING, f"given for mode {self.mode}", type(self).__name__, hint)

    def limits(self) -> BudgetLimits:
        """The budgets."""
        return BudgetLimits(
            decision=Limits(calls=self.calls_a_decision),
            episode=Limits(calls=self.calls),
            run=Limits(calls=self.calls_a_run, dollars=self.dollars),
        )


Settings = TypeVar("Settings", bound=Asking)


def from_env(cls: type[Settings], environment: Mapping[str, str] | None = None) -> tuple[Settings, LlmSettings]:
    """Settings from the variables EDGE_GYM_LLM_<FIELD>, for every field of both classes; the rest are defaults.

    Raises:
        EdgeGymInputError: A variable is out of range, or none of that name is known to any controller.
    """
    environment = os.environ if environment is None else environment
    known: dict[str, type] = {PREFIX + f.name.upper(): c for c in (cls, LlmSettings) for f in _fields(c)}
    found: dict[type, dict[str, Any]] = {cls: {}, LlmSettings: {"deadline_s": DEADLINE_S}}
    for name, value in environment.items():
        if not name.startswith(PREFIX) or name == API_KEY or not value:
            continue
        if name not in known:
            _check_name(name)
            continue
        owner, field = known[name], name.removeprefix(PREFIX).lower()
        is_text = next(f for f in _fields(owner) if f.name == field).type == "str"
        found[owner][field] = value if is_text else scalar(value)
    return _made(cls, found[cls], environment), _made(LlmSettings, found[LlmSettings], environment)


def _made(cls: Any, values: dict[str, Any], environment: Mapping[str, str]) -> Any:
    """The settings; what is wrong with one is said of its variable."""
    try:
        return cls(**values)
    except EdgeGymInputError as error:
        name = PREFIX + error.field.upper()
        if name not in environment:
            raise
        raise EdgeGymInputError(name, error.value, error.allowed, "environment", error.hint) from None


def identity(ask: Asking, llm: LlmSettings) -> dict[str, Any]:
    """What makes two runs the same run, as plain values without secrets; for a replay, also what the files hold."""
    plain = {**dataclasses.asdict(ask), **dataclasses.asdict(llm)}
    del plain["refresh"]
    if ask.mode == "off":
        return {"mode": "off"}
    if ask.mode == "replay":
        plain["transcripts"] = _digest(Path(ask.transcript))
    return plain


def _check_name(name: str) -> None:
    """A variable that this controller does not know must be one of another."""
    classes: list[Any] = [LlmSettings]
    for target in CONTROLLERS:
        module, _, attribute = target.partition(":")
        classes.append(getattr(import_module(module), attribute))
    names = {PREFIX + f.name.upper() for c in classes for f in _fields(c)}
    if name not in names:
        raise EdgeGymInputError(name, MISSING, "the name of a setting", "environment", nearest(name, names))


def _digest(folder: Path) -> str:
    """Hash of the transcripts in a folder.

    Raises:
        EdgeGymInputError: There are none.
    """
    files = sorted(folder.glob("*.jsonl")) if os.path.isdir(folder) else []
    if not files:
        raise EdgeGymInputError("transcript", str(folder), "a folder with transcripts", "replay", "record them first")
    named = "".join(f"{path.name} {file_sha256(path)}\n" for path in files)
    return hashlib.sha256(named.encode()).hexdigest()[:16]


def _fields(cls: Any) -> tuple[dataclasses.Field[Any], ...]:
    return dataclasses.fields(cls)
