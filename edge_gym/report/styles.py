"""How a policy looks on every figure of a page: colour, dash and marker, so that no distinction is by colour alone.

The hues are those of Okabe and Ito (2008), "Color Universal Design", darkened where they would be faint on white. A
figure holds them as they are here; the page replaces them by CSS variables, which have other values in dark mode.
"""

from __future__ import annotations

from typing import Any, NamedTuple

INK, MUTED, GRID = "#0b0c0d", "#6a6b6d", "#d0d1d3"
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b0568a", "#c78800", "#3a9bd9", "#7a5cc0", "#8a6d5a")
DASHES = ("", "6 2", "2 2", "7 2 2 2")
MARKERS = "osD^vPX<"
VARIABLES = {
    INK: "currentColor",
    MUTED: "var(--muted)",
    GRID: "var(--grid)",
    **{colour: f"var(--p{k})" for k, colour in enumerate(COLOURS)},
}
PATHS = {  # of the markers in the key of a figure, around 0 0
    "o": "M-3.2 0a3.2 3.2 0 1 0 6.4 0a3.2 3.2 0 1 0-6.4 0z",
    "s": "M-3-3h6v6h-6z",
    "D": "M0-4l4 4l-4 4l-4-4z",
    "^": "M0-4l4 7h-8z",
    "v": "M0 4l4-7h-8z",
    "P": "M-1.3-4h2.6v2.7h2.7v2.6h-2.7v2.7h-2.6v-2.7h-2.7v-2.6h2.7z",
    "X": "M-4-2.4l1.6-1.6l2.4 2.4l2.4-2.4l1.6 1.6l-2.4 2.4l2.4 2.4l-1.6 1.6l-2.4-2.4l-2.4 2.4l-1.6-1.6l2.4-2.4z",
    "<": "M-4 0l7-4v8z",
}


class Style(NamedTuple):
    """Colour (hexadecimal), dash pattern (as in SVG; "" is solid), marker (a key of `PATHS`)."""

    colour: str
    dash: str
    marker: str

    @property
    def variable(self) -> str:
        """The colour as the page writes it."""
        return VARIABLES[self.colour]

    @property
    def path(self) -> str:
        """The marker as an SVG path."""
        return PATHS[self.marker]

    @property
    def line(self) -> dict[str, Any]:
        """Keywords for a line of matplotlib."""
        dash = tuple(float(length) / 1.6 for length in self.dash.split())
        return {"color": self.colour, "linestyle": (0, dash) if dash else "-", "linewidth": 1.6}


def assign(policies: list[str], privileged: set[str], bounds: set[str]) -> dict[str, Style]:
    """A style for each policy, in their order: references in ink and grey, the others in colours."""
    found, number = {}, 0
    for policy in policies:
        if policy in bounds:
            found[policy] = Style(MUTED, "2 2", "v")
        elif policy in privileged:
            found[policy] = Style(INK, "6 2", "D")
        else:
            markers = (number + number // len(MARKERS)) % len(MARKERS)
            dash = DASHES[(number + number // len(COLOURS)) % len(DASHES)]
            found[policy] = Style(COLOURS[number % len(COLOURS)], dash, MARKERS[markers])
            number += 1
    return found
