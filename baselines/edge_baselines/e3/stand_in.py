"""A stand-in for a sensible model: it reads the situation with the shipped parser, and answers by the rules.

For tests and demonstrations of everything around a model. It sees nothing but the text of the prompt.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from edge_baselines.e3.rules import CLOSED, Rules, blank
from edge_baselines.llm.stub.plays import Play, events_of, scripted, situation_of
from edge_baselines.llm.stub.replies import Calls
from edge_gym.events.parser import read
from edge_gym.surface import LEVELS

TIME = re.compile(r"Time: ([0-9.]+) s")
NODES = re.compile(r"<nodes>\n(.*?)</nodes>", re.DOTALL)
EVENT = re.compile(r"([0-9.]+) s \| [^|]* \| \"(.*)\"")
ANEW, SHARE = 0.25, 0.5  # of the live nodes closed anew, and in all: the guards of the presets


def stand_in() -> Play:
    """Plays the rules, from the text alone."""
    rules = Rules()

    def answer(request: dict[str, Any]) -> Calls:
        text = situation_of(request)
        time, nodes = TIME.search(text), NODES.search(text)
        if time is None or nodes is None:
            return [("finish", {"reason": "nothing to see"})]
        cells = [line.split(" | ") for line in nodes[1].splitlines() if " | " in line]
        rows = {row[0]: row for row in cells if row[2:3] and row[2] in LEVELS}
        names = list(rows)
        belief = blank(len(names))
        for said, words in EVENT.findall(events_of(request)):
            reading = read(words, names)
            if reading.node is not None:
                rules.note(belief, names.index(reading.node), reading, float(said), float(said))
        return _calls(rows, rules.wanted(belief, float(time[1])))

    return scripted(answer)


def _calls(rows: dict[str, list[str]], wanted: np.ndarray) -> Calls:
    """The gates that differ from what is wanted, as far as the guards allow; openings first."""
    alive = {name for name, row in rows.items() if row[1] == "yes"}
    closed = sum(row[2] == LEVELS[CLOSED] for row in rows.values())
    calls, anew = [], 0
    for name, level in sorted(zip(rows, wanted, strict=True), key=lambda pair: int(pair[1])):
        if name not in alive or rows[name][2] == LEVELS[level]:
            continue
        closed -= rows[name][2] == LEVELS[CLOSED]
        if level == CLOSED:
            if anew + 1 > max(int(ANEW * len(alive)), 1) or closed + 1 > int(SHARE * len(alive)):
                continue
            anew, closed = anew + 1, closed + 1
        calls.append(("set_risk_gate", {"node": name, "level": LEVELS[level]}))
    return [*calls[:15], ("finish", {"reason": "done"})]
