"""`antllm` and `antllm_migration` that ask nobody and keep what they would have asked; for `edge-gym prompt`."""

from __future__ import annotations

from edge_baselines.antllm.migrate import AntLlmMigration
from edge_baselines.antllm.place import AntLlm
from edge_baselines.llm.listening import Listening


class PlacementListener(Listening, AntLlm):
    """The ants place, and each question is kept."""


class MigrationListener(Listening, AntLlmMigration):
    """The ants move, and each question is kept."""
