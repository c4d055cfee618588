"""JSON as a model may write it: one object, exactly as the standard says, or refused with a short reason."""

from __future__ import annotations

from typing import Any

from edge_gym.errors import EdgeGymInputError, printable
from edge_gym.scenario.parse import parse

MAX_CHARS = 2**20
MAX_REASON = 500  # characters


class RefusedJson(ValueError):
    """The text is not one strict JSON object; the message is short and safe to show to a model."""


def parse_object(text: str) -> dict[str, Any]:
    """Returns the object that `text` is.

    Nothing is repaired. Refused are duplicate keys, NaN, Infinity, numbers that are not finite or have more than 400
    digits, nesting beyond 32, anything before or after the object, and whatever is not an object.

    Raises:
        RefusedJson: With a reason of at most 500 characters that repeats at most 80 characters of the text.
    """
    if not isinstance(text, str):
        raise RefusedJson(f"must be a string that holds a JSON object, found {type(text).__name__}")
    if len(text) > MAX_CHARS:
        raise RefusedJson(f"must have at most {MAX_CHARS} characters, found {len(text)}")
    try:
        value, _ = parse(text, "json", "JSON")
    except EdgeGymInputError as error:
        raise RefusedJson(printable(str(error), MAX_REASON)) from None
    if not isinstance(value, dict):
        kinds = {type(None): "null", list: "a list", str: "a string", bool: "true or false"}
        raise RefusedJson(f"must be a JSON object, found {kinds.get(type(value), 'a number')}")
    return value
