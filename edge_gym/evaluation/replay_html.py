"""The page of a replay: one file that needs nothing else and can reach nothing else.

Script and style are named by their hashes in the content security policy, so nothing else that might get into the page
can run. All that is known of the episode is JSON in a data block; `page.js` inserts it as text.
"""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

PARTS = Path(__file__).parent / "replay_page"
SCRIPTS = ("data.js", "map.js", "strips.js", "page.js")  # in this order, as one
POLICY = (
    "default-src 'none'; script-src '{script}'; style-src '{style}'; img-src data:; base-uri 'none'; form-action 'none'"
)


def replay_page(data: dict[str, Any]) -> str:
    """The page for what `replay_data` returned."""
    style = (PARTS / "page.css").read_text("utf-8")
    script = "\n".join((PARTS / name).read_text("utf-8") for name in SCRIPTS)
    page = (PARTS / "page.html").read_text("utf-8")
    policy = POLICY.format(script=_hash(script), style=_hash(style))
    # The data come last: nothing in them is taken for a place to fill.
    for mark, text in (("@POLICY@", policy), ("@STYLE@", style), ("@SCRIPT@", script), ("@DATA@", _in_script(data))):
        page = page.replace(mark, text, 1)
    return page


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def _in_script(data: dict[str, Any]) -> str:
    """JSON that cannot end the element it is in: ASCII, and no character that begins or ends markup."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text
