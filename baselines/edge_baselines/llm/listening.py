"""A controller that asks nobody and keeps what it would have asked; for `edge-gym prompt`."""

from __future__ import annotations

from typing import Any

from edge_baselines.llm.breaker import Breaker
from edge_baselines.llm.client import Outcome
from edge_baselines.llm.pipeline import Advisor
from edge_baselines.llm.session import Session
from edge_baselines.llm.settings import LlmSettings
from edge_baselines.llm.transcript import Transcript


class Enough(Exception):
    """All questions that were wanted have been kept."""


class Listening(Session):
    """Goes before a controller in the list of bases; then it decides without a model, and each question is kept.

    Args:
        wanted: So many questions; the last one ends the rollout with an error.

    Attributes:
        bodies: The requests.
    """

    def __init__(self, wanted: int) -> None:
        super().__init__(self.settings(mode="live"), LlmSettings.from_env(allow_unpriced=True), self)
        self.wanted = wanted
        self.bodies: list[dict[str, Any]] = []

    def attempt(self, body: dict[str, Any], seconds: float, tag: str = "") -> Outcome:
        """In place of a client: no answer, at once."""
        self.bodies.append(body)
        if len(self.bodies) == self.wanted:
            raise Enough
        return Outcome(None, "refusal", "nobody was asked", 0.0)

    def _open(self, transcript: Transcript) -> Advisor:
        advisor = super()._open(transcript)
        advisor.breaker = Breaker(in_a_row=10**9, window=10**9)  # listening never fails
        return advisor
