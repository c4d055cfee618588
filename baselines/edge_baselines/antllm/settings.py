"""When `antllm` and `antllm_migration` ask a model, and how long the ants search."""

from __future__ import annotations

from dataclasses import dataclass

from edge_baselines.llm.asking import Asking
from edge_gym.fields import flag, number


@dataclass(frozen=True, kw_only=True)
class AntSettings(Asking):
    """When a model is asked about an application, and what it is shown.

    Raises:
        EdgeGymInputError: If a field is out of range, or a mode needs a folder that is not given.
    """

    evaluations: int = number(2000, 1, 10**9, "evaluations", "of the ant colony, for each application")
    questions: int = number(2, 0, 100, "questions", "about an application that is placed, at most")
    worth: float = number(
        0.02, 0.0, 1.0, "share", "of the cost that must be above a bound that nothing beats, or nobody is asked"
    )
    always: bool = flag(False, "ask about a placement although waiting costs more than a question may gain")
    agents_shown: int = number(16, 1, 10_000, "agents", "of larger applications only those that cost most")
    nodes_shown: int = number(16, 1, 10_000, "nodes", "of more nodes only those in use and the cheapest others")
    pause_s: float = number(5.0, 0.0, 1e6, "s", "simulated; between two questions about migration in an episode")
    handovers: int = number(8, 1, 10**6, "handovers", "in `recent_s`: so many are a reason to ask about migration")
    recent_s: float = number(10.0, 0.0, 1e6, "s", "simulated; how long a handover counts")
    hold_s: float = number(30.0, 0.0, 1e6, "s", "simulated; advice about migration that is older is dropped")
