"""Formulas as MathML, which browsers draw by themselves: no script, no fonts, no network."""

from __future__ import annotations

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml


def _write(translator, node: nodes.Node, block: bool) -> None:
    tex = node.astext().replace(r"\dots", r"\ldots")  # which docutils does not know
    translator.body.append(tex2mathml(tex, as_block=block))
    raise nodes.SkipNode


def setup(app):
    """Adds the renderer `mathml` to Sphinx."""
    app.add_html_math_renderer(
        "mathml",
        inline_renderers=(lambda translator, node: _write(translator, node, block=False), None),
        block_renderers=(lambda translator, node: _write(translator, node, block=True), None),
    )
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
