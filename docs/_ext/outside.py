"""Links to Markdown files of the project outside docs/ lead to the file itself, which the site brings along."""

from __future__ import annotations

import re
from pathlib import Path

LINK = re.compile(r"\]\((\.\./[^)#\s]+\.md)\)")


def _mend(app, name: str, source: list[str]) -> None:
    docs = Path(app.srcdir)
    folder = (docs / name).parent

    def as_file(link: re.Match) -> str:
        target = (folder / link[1]).resolve()
        inside = target.is_relative_to(docs)
        return link[0] if inside else f"](path:{link[1]})"

    source[0] = LINK.sub(as_file, source[0])


def setup(app):
    """Looks at each page as it is read."""
    app.connect("source-read", _mend)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
