"""The one family of errors that edge_gym raises on purpose.

An input error says where, which field, which value, what is allowed and, where it helps, a hint:

    scenario.yaml:41: pool.n_nodes = -4: must be >= 1 and <= 100000 (nodes)
"""

from __future__ import annotations

import difflib
import reprlib
from collections.abc import Iterable
from typing import Any

MAX_ECHO = 80  # characters of a value shown in a message
MAX_ERRORS = 20  # errors of one file shown together


class _Missing:
    """The type of `MISSING`; pickles to the same single object."""

    def __repr__(self) -> str:
        return "MISSING"

    def __reduce__(self) -> str:
        return "MISSING"


MISSING = _Missing()  # stands for "there is no value to show" (a key that is not there, an empty file)


def install_extra(extra: str) -> str:
    """Returns the command that installs an extra, as in the README; the constraints pin torch."""
    return f"pip install -c constraints.txt -e '.[{extra}]'"


def printable(text: str, limit: int = 1000) -> str:
    """Returns `text` on one line, controls, bidi marks and surrogates escaped, cut to `limit` characters."""
    clean = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text[: limit + 1])
    return clean if len(clean) <= limit else clean[: limit - 3] + "..."


def show(value: Any, limit: int = MAX_ECHO) -> str:
    """Returns a short, safe representation of any value, at most `limit` characters long."""
    shortener = reprlib.Repr()
    shortener.maxstring = shortener.maxother = shortener.maxlong = limit
    try:
        return printable(shortener.repr(value), limit)
    except Exception:  # a repr may raise anything, and an integer of 5,000 digits does
        return f"<{type(value).__name__}>"


def nearest(name: str, names: Iterable[str]) -> str:
    """Returns "did you mean 'x'?" for the most similar of `names`, or "" when none is similar."""
    wanted = str(name)[:200].lower()  # difflib is quadratic in the length
    by_lower = {str(n).lower(): str(n) for n in names}
    close = difflib.get_close_matches(wanted, by_lower, n=1, cutoff=0.6)
    return f"did you mean '{by_lower[close[0]]}'?" if close else ""


class EdgeGymError(Exception):
    """Base of every error that edge_gym raises on purpose."""


class EdgeGymInputError(EdgeGymError, ValueError):
    """Something given to edge_gym is not acceptable.

    Attributes:
        field: Path of the field, for example `pool.n_nodes`.
        value: The offending value, or `MISSING`.
        allowed: What is accepted; completes the words "must be".
        where: File and line, or the class, or "".
        hint: What to try instead, or the unit, or "".
    """

    def __init__(self, field: str, value: Any, allowed: str, where: str = "", hint: str = ""):
        self.field, self.value, self.allowed, self.where, self.hint = field, value, allowed, where, hint
        super().__init__(self._message())

    def _message(self) -> str:
        parts = [printable(self.where, 300)] if self.where else []
        if self.field or self.value is not MISSING:
            shown = printable(self.field, 200)
            parts.append(shown if self.value is MISSING else f"{shown} = {show(self.value)}")
        text = ": ".join([*parts, f"must be {printable(self.allowed)}"])
        return f"{text} ({printable(self.hint, 300)})" if self.hint else text

    def moved(self, prefix: str = "", where: str = "") -> EdgeGymInputError:
        """Returns the same error seen from further out: field path under `prefix`, and another `where`."""
        joint = "." if prefix and self.field and not self.field.startswith("[") else ""
        return EdgeGymInputError(prefix + joint + self.field, self.value, self.allowed, where or self.where, self.hint)

    def __reduce__(self) -> tuple[type, tuple]:
        return type(self), (self.field, self.value, self.allowed, self.where, self.hint)


class InputErrors(EdgeGymInputError):
    """All input errors of one file, at most `MAX_ERRORS` of them in the message.

    Attributes:
        errors: The single errors, in the order of the file. The other attributes are those of the first.
    """

    def __init__(self, errors: Iterable[EdgeGymInputError]):
        self.errors = tuple(errors)
        first = self.errors[0]
        super().__init__(first.field, first.value, first.allowed, first.where, first.hint)

    def _message(self) -> str:
        lines = [str(error) for error in self.errors[:MAX_ERRORS]]
        if len(self.errors) > MAX_ERRORS:
            lines.append("... and more")
        return "\n".join(lines)

    def __reduce__(self) -> tuple[type, tuple]:
        return type(self), (self.errors,)


class InvalidAction(EdgeGymError, ValueError):
    """An action outside the action space, or not legal now. The state is as it was."""


class ResetNeeded(EdgeGymError, RuntimeError):
    """`step` was called before `reset`."""


class EpisodeOver(ResetNeeded):
    """`step` was called after the end of the episode."""


class ClosedEnv(EdgeGymError, RuntimeError):
    """The environment was used after `close`."""


class Unavailable(EdgeGymError):
    """Something outside this machine that a run needs cannot be used; found before the run began."""
