"""From a drawing by matplotlib to an SVG that lives in a page: themed by its CSS, the same bytes every time."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

from edge_gym.report.styles import GRID, INK, MUTED, VARIABLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_IN, HEIGHT_IN = 4.9, 3.1  # at 375 px the letters are still 10 px high
STYLE = {
    "svg.fonttype": "none",
    "font.size": 9.0,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.formatter.useoffset": False,
    "axes.formatter.use_mathtext": False,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "text.parse_math": False,
    "path.simplify": True,
    "path.simplify_threshold": 0.4,
    "figure.constrained_layout.use": True,
}
UNUSED = re.compile(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", re.S)
SIZE = re.compile(r'<svg[^>]*?viewBox="([^"]*)"[^>]*>', re.S)
TAG = re.compile(r"<[^>]*>", re.S)  # a text has no angle brackets left
IDS = re.compile(r' id="([^"]*)"')
FONT = re.compile(r"font: ([\d.]+)px [^;\"]*|font-family: [^;\"]*;?")
COLOUR = re.compile("|".join(VARIABLES))
LONG = re.compile(r"(\d+\.\d\d)\d+")


class Figure(NamedTuple):
    """A figure of the page.

    Attributes:
        name: Unique in the page, in letters, digits and hyphens.
        svg: Markup of the drawing.
        caption: What to see, the units, how many.
        alt: The finding in words, for those who do not see the drawing.
        policies: Whose styles the key explains.
    """

    name: str
    svg: Markup
    caption: str
    alt: str
    policies: tuple[str, ...] = ()


def available() -> bool:
    """Whether matplotlib is installed."""
    from importlib.util import find_spec

    return find_spec("matplotlib") is not None


def draw(name: str, paint: Callable[[Axes], None], height_in: float = HEIGHT_IN) -> Markup:
    """An SVG of what `paint` draws on a pair of axes; `name` keeps its ids apart from those of other figures."""
    with _quiet(name):
        from matplotlib.backends.backend_svg import FigureCanvasSVG
        from matplotlib.figure import Figure as Canvas

        figure = Canvas(figsize=(WIDTH_IN, height_in))
        figure.patch.set_visible(False)
        axes = figure.add_subplot()
        axes.patch.set_visible(False)
        paint(axes)
        out = io.StringIO()
        FigureCanvasSVG(figure).print_svg(out, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    return _for_page(out.getvalue())


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    """Own settings, whatever the user has in a matplotlibrc; a name in a script the font lacks is no warning."""
    import matplotlib as mpl

    with warnings.catch_warnings(), mpl.rc_context():
        warnings.simplefilter("ignore")
        mpl.rcdefaults()
        mpl.rcParams.update({**STYLE, "svg.hashsalt": name})
        yield


def _for_page(text: str) -> Markup:
    """Without what a file needs and a page does not: fonts and colours come from its CSS, ids must not clash."""
    text = UNUSED.sub("", text)
    text = SIZE.sub(r'<svg viewBox="\1" aria-hidden="true" focusable="false">', text, count=1)
    used = set(re.findall(r"#([\w-]+)[\")]", text))
    text = TAG.sub(lambda tag: _tag(tag[0], used), text)
    return Markup(text.strip())


def _tag(tag: str, used: set[str]) -> str:
    tag = IDS.sub(lambda found: found[0] if found[1] in used else "", tag)
    tag = FONT.sub(lambda found: f"font-size: {found[1]}px" if found[1] else "", tag)
    tag = COLOUR.sub(lambda found: VARIABLES[found[0]], tag)
    return LONG.sub(r"\1", tag)
