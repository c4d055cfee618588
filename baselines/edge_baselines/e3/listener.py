"""`e3_llm` that asks nobody and keeps what it would have asked; for `edge-gym prompt`."""

from __future__ import annotations

from edge_baselines.e3.llm import E3Llm
from edge_baselines.llm.listening import Listening


class Listener(Listening, E3Llm):
    """The rules decide, and each question is kept."""
