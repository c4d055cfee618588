"""Arguments of tools: the strict base class, and a choice among numbers. Imports pydantic, as defining tools does."""

from __future__ import annotations

from typing import Annotated, Any

import pydantic


class Arguments(pydantic.BaseModel):
    """Fields exactly as declared: no conversion, nothing unknown, nothing missing."""

    model_config = pydantic.ConfigDict(strict=True, extra="forbid")


def one_of(*values: float) -> Any:
    """Returns the annotation of a number that must be one of `values`.

    An enum would not do: pydantic finds `True` in it where it holds 1.
    """

    def check(value: float) -> float:
        if value not in values:
            raise ValueError(f"must be one of {', '.join(f'{v:g}' for v in values)}")
        return value

    schema = {"type": "number", "enum": list(values)}
    return Annotated[float, pydantic.AfterValidator(check), pydantic.WithJsonSchema(schema)]


def whole(least: int, most: int) -> Any:
    """Returns the annotation of a whole number in `least` ... `most`."""
    return Annotated[int, pydantic.Field(ge=least, le=most)]


def several(of: Any, most: int) -> Any:
    """Returns the annotation of a list of 1 ... `most` items of a type."""
    return Annotated[list[of], pydantic.Field(min_length=1, max_length=most)]
