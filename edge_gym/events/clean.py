"""Text from outside, made safe to read and to show: one line, bounded, with nothing in it that cannot be seen."""

from __future__ import annotations

import unicodedata

from ..errors import EdgeGymInputError

LIMIT = 2000  # characters of an announcement that anybody reads

# Seen as nothing, though Unicode counts them as letters or marks. Variation selectors can carry a whole message.
_BLANK = {0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0}
_INVISIBLE = frozenset({*_BLANK, *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)})


def _seen(char: str) -> str:
    """The character itself, a space for any kind of gap, or nothing for what cannot be seen."""
    if char.isprintable():
        return "" if ord(char) in _INVISIBLE else char
    if char.isspace():
        return " "
    return "" if unicodedata.category(char)[0] == "C" else " "


def clean(text: str, limit: int = LIMIT) -> str:
    """Returns the visible part of the first `limit` characters, on one line.

    Gone are control, bidi, zero-width, tag (U+E0000 to U+E007F), private, unassigned and surrogate characters and
    variation selectors; line breaks and other gaps become one space. The text is cut before it is looked at, so the
    work is bounded whatever its length, and characters nobody sees count.

    Args:
        text: Any string.
        limit: Characters of `text` that are looked at, >= 0.

    Returns:
        At most `limit` printable characters.

    Raises:
        EdgeGymInputError: `text` is not a string, or `limit` is not a whole number >= 0.
    """
    if not isinstance(text, str):
        raise EdgeGymInputError("text", text, "a string")
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 0:
        raise EdgeGymInputError("limit", limit, "a whole number >= 0", hint="characters")
    return " ".join("".join(map(_seen, text[:limit])).split())
