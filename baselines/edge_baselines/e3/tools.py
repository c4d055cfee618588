"""The tools of a language model at the controls: their schemas, what is refused, and the actions that calls become."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Literal

import numpy as np

from edge_baselines.e3 import prompt
from edge_baselines.llm.tools import Call, Tool, nearest_names
from edge_gym.kernel import observe_control as seen
from edge_gym.surface import EXPLORATIONS, FORGETTINGS, LEVELS, MAX_PROBES, Surface

CLOSED = len(LEVELS) - 1
CLOSE = 1e-4  # settings so close are the same: the observation is a float32


@functools.cache
def tools() -> tuple[Tool, ...]:
    """The five tools; made when first used, since only then pydantic is needed."""
    from edge_baselines.llm.arguments import Arguments, one_of, whole

    class SetRiskGate(Arguments):
        """Arguments of `set_risk_gate`."""

        node: str
        level: Literal["open", "caution", "closed"]

    class ConfigureRouter(Arguments):
        """Arguments of `configure_router`."""

        exploration: one_of(*EXPLORATIONS) | None = None  # type: ignore[valid-type]
        forgetting: one_of(*FORGETTINGS) | None = None  # type: ignore[valid-type]

    class Calibrate(Arguments):
        """Arguments of `calibrate`."""

        node: str
        model: str
        probes: whole(1, MAX_PROBES)  # type: ignore[valid-type]

    class GetStatus(Arguments):
        """Arguments of `get_status`."""

        node: str | None = None

    class Finish(Arguments):
        """Arguments of `finish`."""

        reason: str

    gates = (
        "Open a node's gate, set it to caution (the router adds a penalty), or close it (used only as a last resort)."
    )
    router = "How much the router tries uncertain nodes (exploration), how long it remembers (forgetting); one or both."
    return (
        Tool("set_risk_gate", gates, SetRiskGate, writes=True),
        Tool("configure_router", router, ConfigureRouter, writes=True),
        Tool("calibrate", "Measure a node with probe requests for a model; they occupy it.", Calibrate, writes=True),
        Tool("get_status", "Figures of one node, or of all: changes nothing.", GetStatus, writes=False),
        Tool("finish", "Nothing more to do. Say why in a few words.", Finish, writes=True, ends=True),
    )


def check(calls: Sequence[Call], b: int, obs: np.ndarray, surface: Surface) -> str | None:
    """What is wrong with calls that fit their schemas, in world `b` as it is now.

    Args:
        calls: Of one answer.
        b: Row of the batch.
        obs: (N + 1, F), its observation.
        surface: Its controls.

    Returns:
        The reason in words for the model, or None. Checked are names, whether nodes are there, contradictions,
        and the world's guards, on a copy of the world.
    """
    said: dict[str, object] = {}
    for call in calls:
        wrong = _wrong_name(call, surface) or _wrong_call(call, obs, surface) or _contradiction(call, said)
        if wrong is not None:
            return wrong
    actions = to_actions(calls, surface, obs)
    k = surface.first_refused(b, actions)
    return None if k is None else f"{surface.describe(actions[k])} is refused: {_guard(actions, k, obs, surface)}"


def to_actions(calls: Sequence[Call], surface: Surface, obs: np.ndarray) -> list[int]:
    """The actions of MetaControl that these calls are, in order; what changes nothing is left out."""
    gates, router = [prompt.gate_of(row) for row in obs[:-1]], prompt.router_settings(obs)
    setters = {"exploration": surface.set_exploration, "forgetting": surface.set_forgetting}
    actions: list[int] = []
    for call in calls:
        arguments, name = call.arguments, call.tool.name
        if name == "set_risk_gate":
            n, level = surface.nodes.index(arguments.node), LEVELS.index(arguments.level)
            if gates[n] != level:
                gates[n] = level
                actions.append(surface.set_risk_gate(n, level))
        elif name == "calibrate":
            action = surface.calibrate(surface.nodes.index(arguments.node), surface.models.index(arguments.model))
            actions += [action] * arguments.probes
        elif name == "configure_router":
            for setting, setter in setters.items():
                wanted = getattr(arguments, setting)
                if wanted is not None and abs(wanted - router[setting]) > CLOSE:
                    router[setting] = wanted
                    actions.append(setter(wanted))
    return actions


def _wrong_name(call: Call, surface: Surface) -> str | None:
    for what, known in (("node", surface.nodes), ("model", surface.models)):
        given = getattr(call.arguments, what, None)
        if given is not None and given not in known:
            names = ", ".join(nearest_names(given, known)) or "none similar"
            return f"there is no such {what}; the most similar are: {names}"
    return None


def _wrong_call(call: Call, obs: np.ndarray, surface: Surface) -> str | None:
    arguments, name = call.arguments, call.tool.name
    if call.tool.writes and hasattr(arguments, "node") and obs[surface.nodes.index(arguments.node), seen.ALIVE] == 0:
        return f"{arguments.node} is not there now"
    if name == "configure_router" and arguments.exploration is None and arguments.forgetting is None:
        return "configure_router needs exploration or forgetting"
    return None


def _contradiction(call: Call, said: dict[str, object]) -> str | None:
    """Two different values for one thing in one answer; `said` holds those of the calls before."""
    given: dict[str, object] = {}
    if call.tool.name == "set_risk_gate":
        given = {f"the gate of {call.arguments.node}": call.arguments.level}
    elif call.tool.name == "configure_router":
        given = {name: value for name, value in call.arguments if value is not None}
    clash = next((name for name, value in given.items() if said.setdefault(name, value) != value), None)
    return None if clash is None else f"two different values for {clash}"


def _guard(actions: Sequence[int], k: int, obs: np.ndarray, surface: Surface) -> str:
    """Which guard refuses action `k`, in words."""
    guards, alive = surface.guards, int(obs[:-1, seen.ALIVE].sum())
    if k >= prompt.calls_left(obs, surface):
        return f"only {prompt.calls_left(obs, surface)} tool calls may be made now"
    if _is_probe(actions[k], surface):
        return f"no memory for that model, or more than {guards.max_probes} probes at the node"
    closings = {surface.set_risk_gate(n, CLOSED) for n in range(len(surface.nodes))}
    openings = {surface.set_risk_gate(n, level): n for n in range(len(surface.nodes)) for level in range(CLOSED)}
    anew = sum(action in closings for action in actions[: k + 1])
    freed = sum(prompt.gate_of(obs[openings[a]]) == CLOSED for a in actions[:k] if a in openings)
    closed = sum(prompt.gate_of(row) == CLOSED for row in obs[:-1]) + anew - freed
    if closed > int(guards.max_gated_share * alive):
        return f"at most {guards.max_gated_share:.0%} of the {alive} live nodes may be closed"
    if anew > max(int(guards.max_gated_a_turn * alive), 1):
        return f"at most {guards.max_gated_a_turn:.0%} of the {alive} live nodes (or one) may be closed in one turn"
    return "it is the last open node for a model"


def _is_probe(action: int, surface: Surface) -> bool:
    return surface.describe(action).startswith("calibrate")
