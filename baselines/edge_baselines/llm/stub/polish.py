"""The play `polish`: a rule that improves placements by what the prompt of `antllm` shows. It is no model.

First a cheaper node or, failing that, an agent to its peer; if that was refused or there is none, another search.
"""

from __future__ import annotations

import re
from typing import Any

from edge_baselines.llm.stub.plays import Play, said_by_user, scripted
from edge_baselines.llm.stub.replies import Calls

SECTION = "<{0}>[^\n]*\n(.*?)</{0}>"
OPTION = re.compile(r"(n\d+) ([0-9.e+-]+)")
LINK = re.compile(r"(a\d+) - (a\d+) \| (n\d+) - (n\d+) \|")
SEARCH = ("set_search", {"ants": 20, "focus": 8, "evaluations": 5000})
FINISH = ("finish", {"reason": "done"})
CHEAPER = 0.9999  # figures in the prompt are rounded


def polish() -> Play:
    """Plays a patient clerk who tries the obvious and then has the ants search on."""

    def answer(request: dict[str, Any]) -> Calls:
        said = said_by_user(request)
        text, refused = said[0], len(said) > 1
        if "your search" in _section(text, "before"):
            return [FINISH]
        move = None if refused else _cheaper(text) or _closer(text)
        return [SEARCH if move is None else ("propose_moves", {"moves": [move]}), FINISH]

    return scripted(answer)


def _section(text: str, name: str) -> str:
    found = re.search(SECTION.format(name), text, re.DOTALL)
    return found[1] if found else ""


def _cheaper(text: str) -> dict[str, str] | None:
    """The move that gains most by the prices shown."""
    best, most = None, 0.0
    for line in _section(text, "agents").splitlines():
        cells = line.split(" | ")
        options = OPTION.findall(cells[-1])
        if not re.match(r"a\d", line) or not options:
            continue
        here = float(cells[-2])
        node, price = options[0]
        if node != cells[-3] and float(price) < CHEAPER * here and here - float(price) > most:
            best, most = {"agent": cells[0], "node": node}, here - float(price)
    return best


def _closer(text: str) -> dict[str, str] | None:
    """The agent of the most expensive link to the node of its peer."""
    for agent, _, node, peer in LINK.findall(_section(text, "links")):
        if node != peer:
            return {"agent": agent, "node": peer}
    return None
