"""What a model may do: named tools with closed arguments, and how its calls are read."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edge_baselines.llm.strict_json import MAX_REASON, RefusedJson, parse_object
from edge_gym.errors import EdgeGymInputError, printable, show

if TYPE_CHECKING:
    import pydantic

MAX_CALLS = 16  # in one answer
SAME_CALLS = 3  # so many identical calls are a loop
MAX_MISTAKES = 3  # of one call, shown to the model


@dataclass(frozen=True)
class Tool:
    """Something that a model may call.

    Attributes:
        name: The exact name.
        description: For the model.
        arguments: A pydantic model, strict and with `extra="forbid"`; each field's description is shown to the model.
        writes: True if the call changes something and so belongs to the plan; False if it only asks for information.
        ends: True if nothing may come after the call.

    Raises:
        EdgeGymInputError: If the arguments are not strict or accept unknown fields.
    """

    name: str
    description: str
    arguments: type[pydantic.BaseModel]
    writes: bool
    ends: bool = False

    def __post_init__(self) -> None:
        config = self.arguments.model_config
        if config.get("strict") is not True or config.get("extra") != "forbid":
            allowed = 'a pydantic model with ConfigDict(strict=True, extra="forbid")'
            raise EdgeGymInputError("arguments", self.arguments, allowed, f"tool {self.name}")


@dataclass(frozen=True)
class Call:
    """One valid call: the tool, and its arguments as an instance of the tool's model."""

    tool: Tool
    arguments: Any

    def canonical(self) -> str:
        """The arguments as JSON with sorted keys; never the model's own text."""
        return json.dumps(self.arguments.model_dump(mode="json", exclude_unset=True), sort_keys=True)


class RefusedCalls(ValueError):
    """The calls of an answer are refused, all of them. `fault` is the name, the message is for the model."""

    def __init__(self, fault: str, reason: str):
        super().__init__(printable(reason, MAX_REASON))
        self.fault = fault


def openai_schema(tools: Sequence[Tool]) -> list[dict[str, Any]]:
    """Returns the tools in the form of the chat-completions API."""
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.arguments.model_json_schema(),
            },
        }
        for tool in tools
    ]


def read_calls(raw: Sequence[tuple[str, str]], tools: Sequence[Tool], before: Iterable[Call] = ()) -> list[Call]:
    """Returns the calls of an answer if every single one is valid.

    Args:
        raw: Name and arguments (JSON text) of each call, as the model wrote them.
        tools: What it may call; names must match exactly.
        before: Calls that this decision already carried out. The third identical call is a loop.

    Raises:
        RefusedCalls: If a call is wrong, or there are more than 16: a part of a plan is not a plan.
    """
    if len(raw) > MAX_CALLS:
        raise RefusedCalls("too_many_calls", f"at most {MAX_CALLS} calls in one answer are accepted, found {len(raw)}")
    by_name = {tool.name: tool for tool in tools}
    calls = [_read_call(name, text, by_name) for name, text in raw]
    ends = [call for call in calls[:-1] if call.tool.ends]
    if ends:
        raise RefusedCalls("bad_arguments", f"nothing may come after {ends[0].tool.name}")
    counts = Counter(f"{call.tool.name} {call.canonical()}" for call in (*before, *calls))
    repeated = [key for key, times in counts.items() if times >= SAME_CALLS]
    if repeated:
        raise RefusedCalls("loop", f"the same call {SAME_CALLS} times: {repeated[0][:200]}")
    return calls


def _read_call(name: str, text: str, by_name: dict[str, Tool]) -> Call:
    if name not in by_name:
        raise RefusedCalls("unknown_tool", f"there is no tool {show(name)}; the tools are {', '.join(by_name)}")
    import pydantic

    tool = by_name[name]
    try:
        # Back to text: only in its JSON mode does pydantic's strictness know that JSON has no tuples and no enums.
        arguments = tool.arguments.model_validate_json(json.dumps(parse_object(text)))
    except RefusedJson as error:
        raise RefusedCalls("bad_arguments", f"arguments of {name}: {error}") from None
    except pydantic.ValidationError as error:
        found = error.errors(include_url=False, include_context=False)
        mistakes = [f"{'.'.join(map(str, e['loc']))[:60]} = {show(e['input'])}: {e['msg'][:100]}" for e in found]
        raise RefusedCalls("bad_arguments", f"arguments of {name}: {'; '.join(mistakes[:MAX_MISTAKES])}") from None
    return Call(tool, arguments)


def nearest_names(name: str, known: Iterable[str], at_most: int = 5) -> list[str]:
    """Returns the known names most similar to `name`, best first; for the reasons that a check gives."""
    return difflib.get_close_matches(str(name)[:200], list(known), n=at_most, cutoff=0.3)
