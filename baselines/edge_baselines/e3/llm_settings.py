"""When `e3_llm` asks a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge_baselines.llm import asking
from edge_baselines.llm.asking import Asking
from edge_baselines.llm.settings import LlmSettings
from edge_gym.fields import number


@dataclass(frozen=True, kw_only=True)
class AskSettings(Asking):
    """When a model is asked, and where what it says is kept.

    Raises:
        EdgeGymInputError: If a field is out of range, or a mode needs a folder that is not given.
    """

    gap_s: float = number(2.0, 0.0, 1e6, "s", "simulated; shortest time between two questions of an episode")
    every_s: float | None = number(None, 0.0, 1e6, "s", "simulated; ask at the next turn after so long")
    memory_s: float = number(60.0, 0.0, 1e6, "s", "simulated; messages so old are still shown")
    messages: int = number(15, 1, 1000, "messages", "at most so many are shown")
    slow: float = number(2.5, 1.0, 1e6, "", "a node believed so many times slower than its prior is a reason to ask")
    overdue: float = number(3.0, 1.0, 1e6, "", "and one whose oldest request takes so many times as long as expected")
    full: int = number(64, 0, 100_000, "nodes", "of larger clusters only the nodes with messages or trouble are shown")


def from_env(environment: Mapping[str, str] | None = None) -> tuple[AskSettings, LlmSettings]:
    """Settings from the variables EDGE_GYM_LLM_<FIELD> (`edge_baselines.llm.asking.from_env`)."""
    return asking.from_env(AskSettings, environment)
