"""Text from outside on its way into a prompt: kept readable, but unable to look like anything else than quoted text."""

from __future__ import annotations

import unicodedata

MAX_CHARS = 2000
LOOKALIKES = str.maketrans({"<": "\u2039", ">": "\u203a", '"': "\u201d", "`": "\u2019", "\\": "/"})


def as_data(text: str, limit: int = MAX_CHARS) -> str:
    """Returns `text` as one quoted line of at most `limit` characters, quotes included.

    Controls, line breaks, invisible and bidirectional characters, tags, private and unassigned characters are dropped
    or become a space; angle brackets, quotes and backslashes become look-alikes, so that the text can neither
    end its quotation nor close a section of the prompt. This is hygiene: what protects is that whatever the
    model makes of the text passes the same checks.
    """
    kept = []
    for char in str(text)[: 4 * limit]:
        category = unicodedata.category(char)
        if category[0] == "Z" or category == "Cc":
            kept.append(" ")
        elif category[0] != "C":
            kept.append(char)
    line = " ".join("".join(kept).translate(LOOKALIKES).split())
    room = max(0, limit - 2)
    return f'"{line if len(line) <= room else line[: max(0, room - 3)] + "..."}"'
