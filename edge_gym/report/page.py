"""The report as one page that needs nothing else: no font, no picture, no request to anywhere."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from edge_gym.errors import printable
from edge_gym.report.content import Report

TEMPLATES = Path(__file__).parent / "templates"


def html_page(report: Report) -> str:
    """The page. Everything is escaped but our own templates, style, script, and what matplotlib drew."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["printable"] = _printable
    script = (TEMPLATES / "page.js").read_text("utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    agents = {one.regime.agents for one in report.findings}
    both = {False: "latency", True: "weighted cost"}
    return environment.get_template("page.html").render(
        **report._asdict(),
        css=Markup((TEMPLATES / "page.css").read_text("utf-8")),
        js=Markup(script),
        script_hash=f"sha256-{digest}",
        sections=list(_sections(report)),
        cost_words=" or ".join(both[kind] for kind in sorted(agents)),
    )


def _printable(text: str) -> str:
    return printable(text, 60)


def _sections(report: Report) -> Iterator[tuple[str, str, bool]]:
    """Anchor, text, and whether it belongs to the one before."""
    yield "summary", "Summary", False
    for overall in report.overalls:
        yield overall.anchor, overall.title, False
    for one in report.regimes:
        yield one.regime.anchor, one.regime.title, True
    if report.families:
        yield "ablations", "Variants of one another", False
    yield "sees", "What each policy may see", False
    if report.failures:
        yield "failures", "Failures", False
    yield "manifest", "How this was made", False
