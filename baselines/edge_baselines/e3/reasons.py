"""Why the rules make a tool call, in words for people who watch (`edge-gym replay`); nothing is decided here."""

from __future__ import annotations

import numpy as np

CAUTION, CLOSED = 1, 2


def why_gates(moved: list[int], wanted: np.ndarray, announced: np.ndarray, end_s: np.ndarray) -> list[str]:
    """Why each of these gates is moved.

    Args:
        moved: Numbers of nodes.
        wanted: (N,) the gates they get.
        announced: (N,) the gates that the messages call for.
        end_s: (N,) simulated seconds until which what was announced lasts.
    """
    return [_why_gate(int(wanted[n]), int(announced[n]), float(end_s[n])) for n in moved]


def _why_gate(level: int, announced: int, end_s: float) -> str:
    until = f" until {end_s:.1f} s" if np.isfinite(end_s) else ""
    if level == CLOSED:
        return f"by what was said, its user needs it or it is very slow{until}"
    if level == CAUTION and announced == CAUTION:
        return f"by what was said, there is trouble, to come or perhaps still there{until}"
    if level == CAUTION:
        return "it has joined, and is not yet found sound"
    return "what was said is over, or it was found sound"


def why_probe(cold: bool) -> str:
    """Why a node is measured; `cold`: in the first turn."""
    if cold:
        return "nothing has been measured yet"
    return "it is new, its trouble is over, or it was found slow and has been silent since"
