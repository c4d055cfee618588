"""The report in a real browser: no request, no complaint, tables that sort, legible on a phone and at night."""

import json

import pytest
from browser import opened, require_browser

from edge_gym.evaluation.evaluate import evaluate
from edge_gym.report.content import make_report
from edge_gym.report.page import html_page
from edge_gym.report.run_data import read_run

require_browser()
EVIL = "<img src=x onerror=alert(1)>\"'</title></style></script><script>alert(2)</script><svg onload=alert(3)>"
BOARD = "#regime-1 table"
# The least contrast of text on a tinted cell: the tint is laid over the background of the page.
TINTED = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (rgb) => rgb.map((v) => v / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const page = parse(getComputedStyle(document.body).backgroundColor);
  const contrast = (cell, colour) => {
    const [r, g, b, alpha] = parse(getComputedStyle(cell).backgroundColor);
    const back = [r, g, b].map((v, k) => alpha * v + (1 - alpha) * page[k]);
    const [x, y] = [light(back), light(parse(colour).slice(0, 3))];
    return (Math.max(x, y) + 0.05) / (Math.min(x, y) + 0.05);
  };
  const cells = [...document.querySelectorAll("td[style]")];
  const inks = (cell) => [cell, ...cell.querySelectorAll("small")].map((part) => getComputedStyle(part).color);
  return Math.min(...cells.flatMap((cell) => inks(cell).map((ink) => contrast(cell, ink))));
}"""


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("page") / "run"
    names = ["jsq", "sect_blind", "sect_static", "e3_fast", "e3_rules", "oracle", "clairvoyant"]
    evaluate(names, seeds=range(1000, 1006), scenario=["toy2", "stationary"], n_requests=40, out=folder)
    return folder / "report.html"


def column(page, number):
    return page.tab.locator(f"{BOARD} tbody tr > :nth-child({number})").evaluate_all(
        "cells => cells.map(cell => [cell.dataset.v === undefined ? null : Number(cell.dataset.v), cell.textContent])"
    )


def test_nothing_is_asked_for_and_nothing_is_complained_of(report):
    with opened(report) as page:
        page.tab.mouse.wheel(0, 20_000)
        page.tab.wait_for_timeout(200)
        assert page.complaints == [] and page.requests == [] and page.dialogs == []
        assert page.tab.locator("figure svg").count() > 10


def test_a_click_on_a_heading_sorts_and_another_one_reverses(report):
    with opened(report) as page:
        before = [name for _, name in column(page, 1)]
        heading = page.tab.locator(f"{BOARD} th", has_text="P95 s")
        number = heading.evaluate("cell => cell.cellIndex + 1")
        heading.locator("button").click()
        up = [value for value, _ in column(page, number)]
        assert heading.get_attribute("aria-sort") == "ascending"
        known = [value for value in up if value == value and value is not None]
        assert known == sorted(known) and len(known) == 6 and up[: len(known)] == known  # a bound has none: last
        heading.locator("button").press("Enter")  # the keyboard does the same
        down = [value for value, _ in column(page, number)]
        assert heading.get_attribute("aria-sort") == "descending"
        assert down[: len(known)] == known[::-1]
        page.tab.locator(f"{BOARD} th", has_text="policy").locator("button").click()
        names = [name.lower() for _, name in column(page, 1)]
        assert sorted(names) == names and sorted(names) == sorted(name.lower() for name in before)
        assert page.tab.locator(f"{BOARD} th[aria-sort]").count() == 1 and page.complaints == []


def test_every_link_of_the_navigation_leads_somewhere(report):
    with opened(report) as page:
        targets = page.tab.locator("nav a").evaluate_all("links => links.map(link => link.hash)")
        assert len(targets) == len(set(targets)) >= 6
        assert all(page.tab.locator(f"section{target}").count() == 1 for target in targets)
        page.tab.locator("nav a").last.click()
        page.tab.wait_for_selector("nav a[href='#manifest'][aria-current]")


@pytest.mark.parametrize("where", ["policy", "scenario"])
def test_markup_in_names_makes_no_element(report, tmp_path, where):
    """SEC-12."""
    folder = tmp_path / "run"
    folder.mkdir()
    old = {"policy": "sect_blind", "scenario": "toy2"}[where]
    rows = [json.loads(line) for line in (report.parent / "episodes.jsonl").read_text().splitlines()]
    for row in rows:
        row[where] = EVIL if row[where] == old else row[where]
    (folder / "episodes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    manifest = json.loads((report.parent / "manifest.json").read_text()) | {"command": EVIL, "platform": EVIL}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    (folder / "page.html").write_text(html_page(make_report(read_run(folder))))
    count = "[...document.querySelectorAll('*')].map(e => e.tagName).sort().join()"
    with opened(folder / "page.html") as page:
        assert page.dialogs == [] and page.complaints == [] and page.requests == []
        assert page.tab.locator("img, iframe, main script").count() == 0 and page.tab.locator("script").count() == 1
        assert page.tab.locator("[onerror], [onload]").count() == 0
        assert "onerror" in page.tab.locator("body").inner_text()
        kinds = set(page.tab.evaluate(count).split(","))
    with opened(report) as page:
        assert kinds == set(page.tab.evaluate(count).split(","))


@pytest.mark.parametrize("dark", [False, True])
def test_it_reads_well_on_a_phone_by_day_and_at_night(report, dark):
    with opened(report, width=375, height=700, dark=dark) as page:
        assert page.overflow() <= 0
        assert page.background() < 60 if dark else page.background() > 200
        for what in ("main p", "figcaption", ".caption", "td:not([style])", "tbody th", "thead th", "nav a", "dd"):
            assert page.contrast(what) >= 4.5, what
        assert page.tab.evaluate(TINTED) >= 4.5
        texts = page.tab.locator("figure svg text")
        heights = texts.evaluate_all("texts => texts.map(text => text.getBoundingClientRect().height)")
        assert min(heights) >= 9  # pixels from the top of a letter to the bottom
        inks = texts.evaluate_all("texts => [...new Set(texts.map(text => getComputedStyle(text).fill))]")
        assert inks == [page.tab.evaluate("getComputedStyle(document.body).color")]
