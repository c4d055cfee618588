"""What can be said in a scenario: the phrases, and what the shipped parser makes of each of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from edge_gym.events.parser import read
from edge_gym.events.phrases import ACTIVITIES, STAGES, Phrase, phrases, render

from . import tables

_NODE, _ONSET_S, _DURATION_S = "rtx_4090-7", 20.0, 40.0  # any would do: the reading does not depend on them
_SPEEDS = (0.7, 0.3, 0.1)  # mild, strong, severe


def build_phrases(levels: Sequence[str], style: str) -> tuple[tuple[Phrase, ...], np.ndarray, np.ndarray]:
    """The phrases of a scenario, and the tables of the kernel about them.

    Args:
        levels: Notification levels of the semantic events, of drift and of churn.
        style: Wording, one of `edge_gym.events.phrases.STYLES`.

    Returns:
        All phrases, by number; (K,) PHRASE; (3, stages, activities) RUN, empty where nothing is said.
    """
    said: list[Phrase] = []
    run = np.zeros((len(levels), len(STAGES), len(ACTIVITIES)), tables.RUN)
    for regime, level in enumerate(levels):
        for phrase in phrases(level, style):
            row = run[regime, phrase.stage, max(phrase.activity, 0)]
            if row["count"] == 0:
                row["first"] = len(said)
            row["count"] += 1
            said.append(phrase)
    table = np.zeros(max(len(said), 1), tables.PHRASE)
    for k, phrase in enumerate(said):
        table[k] = _reading(phrase)
    return tuple(said), table, run


@cache
def _reading(phrase: Phrase) -> tuple:
    """How the parser reads a phrase, at each severity; the same in every world, and reading them all takes 0.2 s."""
    readings = [read(render(phrase, _NODE, _ONSET_S, _DURATION_S, speed), (_NODE,)) for speed in _SPEEDS]
    first = readings[0]
    return (
        first.stage,
        first.foreground,
        first.onset_s is not None,
        first.duration_s is not None,
        first.node == _NODE,
        first.slowdown == 1.0 / _SPEEDS[0],
        [reading.slowdown for reading in readings],
    )
