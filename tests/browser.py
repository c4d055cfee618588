"""Pages in a real browser: opened without a network, with everything noted that a page must not do.

    with opened(path, width=375, dark=True) as page:
        page.tab.click("#play")
        assert not page.complaints and not page.requests

Needs playwright (extra "browser") and a chromium: `require_browser()` skips a test where either is missing.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]
# Luminance and contrast as in WCAG 2.2, of the computed colours of an element and of what is behind it.
CONTRAST = """(selector) => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => rgb.slice(0, 3).map((v) => v / 255)
    .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const behind = (element) => {
    const colour = parse(getComputedStyle(element).backgroundColor);
    return colour.length > 3 && colour[3] === 0 && element.parentElement ? behind(element.parentElement) : colour;
  };
  return [...document.querySelectorAll(selector)].filter((e) => e.textContent.trim()).map((e) => {
    const [a, b] = [light(parse(getComputedStyle(e).color)), light(behind(e))];
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  });
}"""


@dataclass
class Page:
    """A page in the browser.

    Attributes:
        tab: The playwright page.
        complaints: Errors and warnings of the console, and exceptions.
        requests: Every address it asked for, but its own file and data.
        dialogs: Every dialog it opened.
    """

    tab: Any
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def contrast(self, selector: str) -> float:
        """The least contrast between text and what is behind it, 1 ... 21, among the elements that match."""
        found = self.tab.evaluate(CONTRAST, selector)
        assert found, f"nothing matches {selector}"
        return min(found)

    def background(self) -> float:
        """Mean of the red, green and blue of the page's background, 0 ... 255."""
        text = self.tab.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(float(part) for part in text[text.index("(") + 1 : -1].split(",")[:3]) / 3

    def overflow(self) -> int:
        """Pixels by which the page is wider than the window."""
        return self.tab.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")


def executable() -> str | None:
    """A chromium of this machine, or None."""
    given = os.environ.get("EDGE_GYM_CHROMIUM")
    return given or next((found for name in NAMES if (found := shutil.which(name))), None)


def require_browser() -> None:
    """Skip the test, or the module, where no browser can be driven."""
    pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra 'browser')")
    if executable() is None:
        pytest.skip("no chromium was found (EDGE_GYM_CHROMIUM may name one)", allow_module_level=True)


@contextlib.contextmanager
def opened(path: Path, width: int = 1280, height: int = 900, dark: bool = False, fragment: str = "") -> Iterator[Page]:
    """A file in a fresh browser without a network.

    Args:
        path: The page.
        width: Of the window.
        height: Of the window.
        dark: What the person is said to prefer.
        fragment: What follows the number sign in the address.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable(), args=FLAGS)
        try:
            scheme = "dark" if dark else "light"
            context = browser.new_context(
                viewport={"width": width, "height": height}, color_scheme=scheme, offline=True
            )
            page = Page(context.new_page())
            address = path.resolve().as_uri() + (f"#{fragment}" if fragment else "")
            page.tab.on("console", lambda m: page.complaints.append(m.text) if m.type in ("error", "warning") else None)
            page.tab.on("pageerror", lambda error: page.complaints.append(str(error)))
            page.tab.on("dialog", lambda dialog: (page.dialogs.append(dialog.message), dialog.dismiss()))
            page.tab.on("request", lambda r: page.requests.append(r.url) if _outside(r.url, address) else None)
            page.tab.goto(address)
            yield page
        finally:
            browser.close()


def _outside(url: str, address: str) -> bool:
    return not url.startswith("data:") and url.partition("#")[0] != address.partition("#")[0]
