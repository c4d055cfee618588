"""The flags of `edge-gym bench` for policies that ask a language model, and what it says of the asking afterwards.

The flags become variables of the environment while the command runs: worker processes inherit them, and a policy finds
its settings in one place, whoever set them.
"""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator, Sequence
from typing import Any

from edge_gym.errors import EdgeGymInputError, printable

PREFIX = "EDGE_GYM_LLM_"
FLAGS = {
    "MODE": "--llm",
    "TRANSCRIPT": "--transcript",
    "CALLS": "--llm-calls",
    "THINKING_S": "--llm-thinking",
    "THINKING_S_PER_TOKEN": "--llm-thinking",
    "REFRESH": "--refresh",
    "ALLOW_UNPRICED": "--allow-unpriced",
}


@contextlib.contextmanager
def environment(options: argparse.Namespace) -> Iterator[None]:
    """The environment with what the flags say; as it was afterwards."""
    before = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
    given = _variables(options)
    os.environ.update({PREFIX + name: value for name, value in given.items()})
    try:
        yield
    except EdgeGymInputError as error:
        name = error.field.removeprefix(PREFIX)
        if name == error.field or name not in given:
            raise
        raise EdgeGymInputError(FLAGS[name], error.value, error.allowed, "", error.hint) from None
    finally:
        for name in [name for name in os.environ if name.startswith(PREFIX) and name not in before]:
            del os.environ[name]
        os.environ.update(before)


def _variables(options: argparse.Namespace) -> dict[str, str]:
    """Variables, without their prefix, for the flags that were given; the policy checks the values."""
    found = {"MODE": options.llm, "TRANSCRIPT": options.transcript, "CALLS": options.llm_calls}
    if options.llm_thinking is not None:
        parts = options.llm_thinking.split(",")
        if len(parts) > 2 or not all(parts):
            raise EdgeGymInputError("--llm-thinking", options.llm_thinking, "one or two numbers, as in 1.5,0.01")
        found |= dict(zip(("THINKING_S", "THINKING_S_PER_TOKEN"), parts, strict=False))
    found |= {"REFRESH": "true"} if options.refresh else {}
    found |= {"ALLOW_UNPRICED": "true"} if options.allow_unpriced else {}
    for name, value in found.items():
        if value is not None and not value.isprintable():
            raise EdgeGymInputError(FLAGS[name], value, "printable text")
    return {name: value for name, value in found.items() if value is not None}


def asked(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """A line for each policy and scenario with a language model.

    Args:
        rows: Summary rows.
    """
    for row in rows:
        mean = {name: entry["mean"] for name, entry in row["metrics"].items() if name.startswith("llm.")}
        decisions = mean.pop("llm.decisions", 0.0)
        if "llm.fallbacks" not in mean:
            continue
        name = f"{printable(row['policy'], 60)} on {row['scenario']}"
        fallbacks = mean.pop("llm.fallbacks")
        if decisions == 0:
            yield f"{name}: nothing to ask a language model."
            continue
        why = ", ".join(f"{key.removeprefix('llm.')} {value:.3g}" for key, value in mean.items() if value)
        yield f"{name}: the rules decided {fallbacks / decisions:.0%} of {decisions:.3g} decisions an episode ({why})."
        if mean.get("llm.off"):
            yield "No model was asked; --llm live, record or replay does."
