"""The tools of a language model that polishes assignments: schemas, what is refused, and what the calls become."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edge_baselines.antllm import prompt
from edge_baselines.antllm.case import BETTER, PARTS, Case
from edge_baselines.llm.tools import Call, Tool, nearest_names
from edge_baselines.placement import Ants
from edge_gym.kernel.tables import NONE

MAX_MOVES = 32  # in one call
ANTS, RHO, Q0 = (5, 10, 20, 40), (0.02, 0.05, 0.1, 0.2, 0.5), (0.0, 0.25, 0.5, 0.75, 0.9)
SPREAD, FOCUS, EVALUATIONS = (0.03, 0.1, 0.3, 1.0), (0, 2, 4, 8, 16), (0, 1000, 2000, 5000, 10_000)


@dataclass(frozen=True)
class Search:
    """Another search that the model wants: settings of the ants, and evaluations (0: none)."""

    settings: Ants
    evaluations: int


@functools.cache
def tools() -> tuple[Tool, ...]:
    """The six tools; made when first used, since only then pydantic is needed."""
    from edge_baselines.llm.arguments import Arguments, one_of, several

    class Move(Arguments):
        """One agent and its new node."""

        agent: str
        node: str

    class ProposeMoves(Arguments):
        """Arguments of `propose_moves`."""

        moves: several(Move, MAX_MOVES)  # type: ignore[valid-type]

    class Swap(Arguments):
        """Arguments of `swap`."""

        agent: str
        other: str

    class SetSearch(Arguments):
        """Arguments of `set_search`."""

        ants: one_of(*ANTS) | None = None  # type: ignore[valid-type]
        evaporation: one_of(*RHO) | None = None  # type: ignore[valid-type]
        exploitation: one_of(*Q0) | None = None  # type: ignore[valid-type]
        spread: one_of(*SPREAD) | None = None  # type: ignore[valid-type]
        focus: one_of(*FOCUS) | None = None  # type: ignore[valid-type]
        evaluations: one_of(*EVALUATIONS) | None = None  # type: ignore[valid-type]

    class GetNode(Arguments):
        """Arguments of `get_node`."""

        node: str

    class GetAgent(Arguments):
        """Arguments of `get_agent`."""

        agent: str

    class Finish(Arguments):
        """Arguments of `finish`."""

        reason: str

    moves = f"Move agents to nodes, up to {MAX_MOVES}, all from where they are in the best solution."
    search = (
        "Search again from the best solution, after your moves. ants: sent out in each iteration; evaporation: share "
        "of the pheromone replaced; exploitation: chance to take the best choice at once; spread: how much dearer "
        "nodes still get a chance; focus: agents that an ant places anew (0: all); evaluations: how long (0: not)."
    )
    return (
        Tool("propose_moves", moves, ProposeMoves, writes=True),
        Tool("swap", "Exchange the nodes of two agents.", Swap, writes=True),
        Tool("set_search", search, SetSearch, writes=True),
        Tool("get_node", "Figures of a node, in the best solution.", GetNode, writes=False),
        Tool("get_agent", "Figures of an agent, in the best solution.", GetAgent, writes=False),
        Tool("finish", "Nothing more to do. Say why in a few words.", Finish, writes=True, ends=True),
    )


def read_answer(calls: Sequence[Call], case: Case, best: np.ndarray) -> tuple[np.ndarray, str | None]:
    """The assignment that the moves and exchanges of an answer make of the best one.

    Args:
        calls: Of one answer.
        case: The application.
        best: (G,) where its moves start.

    Returns:
        (G,) homes, and what is wrong with the calls in words for the model, or None. Checked are names, who may
        be moved, contradictions and whether a node takes such an agent at all; not yet whether all fit, and the cost.
    """
    home, moved = best.copy(), {}
    for call in calls:
        arguments, name = call.arguments, call.tool.name
        for what in ("agent", "other"):
            wrong = _unknown(getattr(arguments, what, None), case.agent, "agent", "a", len(case.free))
            if wrong is not None:
                return home, wrong
        wrong = _unknown(getattr(arguments, "node", None), case.node, "node", "n", len(case.node_names))
        if name == "propose_moves":
            wrong = wrong or _move(arguments.moves, case, home, moved)
        elif name == "swap":
            wrong = wrong or _swap(case, home, moved, case.agent(arguments.agent), case.agent(arguments.other))
        elif name == "set_search" and not arguments.model_fields_set:
            wrong = "set_search needs at least one setting"
        if wrong is not None:
            return home, wrong
    if sum(call.tool.name == "set_search" for call in calls) > 1:
        return home, "only one set_search in an answer"
    return home, None


def check(calls: Sequence[Call], case: Case, best: np.ndarray) -> str | None:
    """What is wrong with calls that fit their schemas, or None: names, capacities, and whether they make it better."""
    home, wrong = read_answer(calls, case, best)
    if wrong is not None or (home == best).all():
        return wrong
    wrong = case.wrong_with(home)
    if wrong is not None:
        return wrong
    before, after = case.costs(best), case.costs(home)
    if is_better(after.total, before.total):
        return None
    old, new = before.parts(), after.parts()
    worse = max(PARTS, key=lambda part: new[part] - old[part])
    return (
        f"not better: it would cost {after.total:.6g}, {after.total - before.total:.4g} more than the best "
        f"({before.total:.6g}); most of that by {worse}: {new[worse] - old[worse]:+.4g}"
    )


def is_better(cost: float, than: float) -> bool:
    """Whether a cost is lower than another by more than rounding."""
    return cost < than - BETTER * abs(than)


def search_of(calls: Sequence[Call]) -> Search | None:
    """The search that an answer asks for, or None."""
    for call in calls:
        if call.tool.name == "set_search":
            given = call.arguments.model_dump(exclude_unset=True)
            evaluations = given.pop("evaluations", None)
            evaluations = EVALUATIONS[2] if evaluations is None else int(evaluations)
            names = {"ants": "n_ants", "evaporation": "rho", "exploitation": "q0", "spread": "spread", "focus": "focus"}
            fields: dict[str, Any] = {names[name]: value for name, value in given.items() if value is not None}
            fields |= {name: int(fields[name]) for name in ("n_ants", "focus") if name in fields}
            return Search(replace(Ants(), **fields), evaluations) if evaluations else None
    return None


def answer_read(call: Call, case: Case, best: np.ndarray) -> str:
    """The answer to `get_node` or `get_agent`."""
    costs = case.costs(best)
    if call.tool.name == "get_agent":
        g = case.agent(call.arguments.agent)
        assert g is not None
        line = prompt.agent_line(case, best, costs, g, case.prices(best, g))
        return f"{prompt.AGENT_HEADINGS}\n{line}"
    n = case.node(call.arguments.node)
    assert n is not None
    return f"{prompt.NODE_HEADINGS}\n{prompt.node_line(case, best, costs, n)}"


def _unknown(name: str | None, number, what: str, letter: str, end: int) -> str | None:
    if name is None or number(name) is not None:
        return None
    names = ", ".join(nearest_names(name, [f"{letter}{k}" for k in range(min(end, 1000))])) or "none similar"
    return f"there is no such {what}; they are {letter}0 to {letter}{end - 1}; the most similar are: {names}"


def _move(moves: Sequence, case: Case, home: np.ndarray, moved: dict[int, int]) -> str | None:
    for move in moves:
        wrong = _unknown(move.agent, case.agent, "agent", "a", len(case.free))
        wrong = wrong or _unknown(move.node, case.node, "node", "n", len(case.node_names))
        if wrong is not None:
            return wrong
        g, n = case.agent(move.agent), case.node(move.node)
        assert g is not None and n is not None
        if moved.setdefault(g, n) != n:
            return f"two different nodes for a{g}"
        wrong = _may_go(case, g, n)
        if wrong is not None:
            return wrong
        home[g] = n
    return None


def _swap(case: Case, home: np.ndarray, moved: dict[int, int], g: int | None, other: int | None) -> str | None:
    assert g is not None and other is not None
    if g == other or home[g] == NONE or home[other] == NONE:
        return f"a{g} and a{other} cannot be exchanged: both must live somewhere, and be two"
    if g in moved or other in moved:
        return f"two different nodes for a{g if g in moved else other}"
    n, k = int(home[g]), int(home[other])
    wrong = _may_go(case, g, k) or _may_go(case, other, n)
    if wrong is None:
        home[g], home[other] = k, n
        moved[g], moved[other] = k, n
    return wrong


def _may_go(case: Case, g: int, n: int) -> str | None:
    if not case.free[g]:
        return f"a{g} is not to be moved now"
    return None if case.problem.own[g, n] < np.inf else f"a{g} cannot live on n{n}"
