"""The packages of the extra `llm`, asked for where they are first needed."""

from __future__ import annotations

from importlib.util import find_spec

from edge_gym.errors import MISSING, EdgeGymInputError

NEEDED = ("openai", "pydantic")


def require_extra(packages: tuple[str, ...] = NEEDED, extra: str = "llm") -> None:
    """Refuses to go on without the packages of an extra.

    Raises:
        EdgeGymInputError: Says what to type.
    """
    for package in packages:
        if find_spec(package) is None:
            hint = f"pip install -c constraints.txt -e '.[{extra}]'"
            raise EdgeGymInputError(package, MISSING, "installed to ask a language model", hint=hint)
