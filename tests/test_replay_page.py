"""The page of a replay in a real browser: it works, asks nobody for anything, and runs nothing that is not its own."""

import re
from collections import Counter

import pytest
from browser import opened, require_browser

from edge_gym.evaluation.recording import record
from edge_gym.evaluation.replay_data import replay_data
from edge_gym.evaluation.replay_html import replay_page

require_browser()

READ = ("h1", "h2", "dt", "dd", "#feed span", "#feed small", "#key span")
TAGS = "() => [...document.querySelectorAll('*')].map((e) => e.tagName)"
INJECTIONS = (
    "</script><script>window.hit = 1; alert(1)</script>",
    "<img src=x onerror=\"window.hit = 1; alert(1)\">",
    "<svg/onload=alert(1)>",
    "<iframe src=javascript:alert(1)></iframe><style>* { display: none }</style>",
    "<!--<script>",
    "\"><a href='javascript:alert(1)'>x</a>",
    "<marquee>\u202eevil\u2028\u0000</marquee>]]>",
)  # fmt: skip


@pytest.fixture(scope="module")
def data():
    return replay_data(record("semantic", "e3_rules", 1000, n_requests=400), {"run": "first"})


@pytest.fixture(scope="module")
def page_file(data, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "replay.html"
    path.write_text(replay_page(data))
    return path


def figures(page):
    return dict(
        zip(page.tab.locator("#now dt").all_inner_texts(), page.tab.locator("#now dd").all_inner_texts(), strict=True)
    )


def picture(page, name):
    """The pixels of a canvas, for comparison."""
    return page.tab.evaluate("(id) => document.getElementById(id).toDataURL()", name)


def test_page_the_slider_moves_time_and_changes_what_is_shown(page_file):
    with opened(page_file) as page:
        assert page.tab.locator("#clock").inner_text() == "0.0 s"
        before, drawn = figures(page), picture(page, "map")
        page.tab.locator("#slider").fill("500")
        assert float(page.tab.locator("#clock").inner_text().split()[0]) > 5
        after = figures(page)
        assert int(after["arrived"]) > int(before["arrived"]) and picture(page, "map") != drawn
        page.tab.locator("#slider").fill("1000")
        assert figures(page)["arrived"] == figures(page)["delivered"] == "400"
        assert not page.complaints and not page.requests and not page.dialogs


def test_page_plays_pauses_and_obeys_the_keyboard(page_file):
    with opened(page_file) as page:
        seconds = lambda: float(page.tab.locator("#clock").inner_text().split()[0])  # noqa: E731
        page.tab.keyboard.press("ArrowRight")
        page.tab.keyboard.press("Shift+ArrowRight")
        assert seconds() == pytest.approx(11.0)
        page.tab.keyboard.press("ArrowLeft")
        assert seconds() == pytest.approx(10.0)
        page.tab.keyboard.press(" ")
        for _ in range(100):
            if seconds() > 11:
                break
            page.tab.wait_for_timeout(50)
        assert seconds() > 11
        assert page.tab.locator("#play").get_attribute("aria-label") == "Pause"
        page.tab.keyboard.press(" ")
        stopped = seconds()
        page.tab.wait_for_timeout(150)
        assert seconds() == stopped
        page.tab.keyboard.press("End")
        assert seconds() > stopped
        page.tab.keyboard.press("Home")
        assert seconds() == 0.0 and not page.complaints


def test_page_tells_the_story_of_a_node_and_of_a_request(page_file, data):
    with opened(page_file, fragment="t=20") as page:
        assert not page.tab.locator("#story").is_visible()
        page.tab.locator("#pick").select_option("3")
        assert page.tab.locator("#story-title").inner_text() == data["names"]["nodes"][3]
        request = page.tab.locator("#story-lines li[data-request]").first
        number = re.search(r"request (\d+)", request.inner_text()).group(1)
        request.click()
        assert page.tab.locator("#story-title").inner_text() == f"request {number}"
        assert "arrives at" in page.tab.locator("#story-lines").inner_text()
        page.tab.locator("#story-close").click()
        assert not page.tab.locator("#story").is_visible() and not page.complaints
        where = page.tab.evaluate("layout.nodes[5]")
        page.tab.locator("#map").click(position={"x": where[0], "y": where[1]})
        assert page.tab.locator("#story-title").inner_text() == data["names"]["nodes"][5]


def test_page_shows_messages_with_their_reading_and_tool_calls(page_file, data):
    with opened(page_file) as page:
        page.tab.keyboard.press("End")
        feed = page.tab.locator("#feed").inner_text()
        assert data["messages"][-1][2][:40] in feed and "read as:" in feed and data["calls"][-1][2] in feed


@pytest.mark.parametrize("text", INJECTIONS)
def test_page_injected_markup_makes_no_node_and_runs_nothing(data, page_file, tmp_path, text):
    dirty = {**data, "about": {**data["about"], "policy": text, "scenario": text, "task": text, "notes": {text: text}}}
    dirty["names"] = {**data["names"], "nodes": [text] * len(data["names"]["nodes"]), "models": [text] * 4,
                      "sites": [text] * len(data["names"]["sites"]), "types": [text] * 16}  # fmt: skip
    dirty["messages"] = [[*row[:2], text, *row[3:]] for row in data["messages"]]
    dirty["calls"] = [[*row[:2], text, row[3], text] for row in data["calls"]]
    path = tmp_path / "dirty.html"
    path.write_text(replay_page(dirty))
    tags = []
    for one in (page_file, path):
        with opened(one, fragment="t=15&node=2") as page:
            page.tab.keyboard.press("End")
            tags.append(Counter(page.tab.evaluate(TAGS)))
            assert page.tab.evaluate("window.hit") is None
            assert not page.dialogs and not page.requests and not page.complaints
            shown = page.tab.locator("#title").inner_text()
    assert tags[0].keys() == tags[1].keys()
    assert {tag: tags[1][tag] for tag in ("SCRIPT", "STYLE", "CANVAS", "H1", "H2", "OL")} == {
        tag: tags[0][tag] for tag in ("SCRIPT", "STYLE", "CANVAS", "H1", "H2", "OL")
    }
    assert text[:8] in shown


def test_page_its_own_policy_stops_any_other_script(page_file, tmp_path):
    path = tmp_path / "added.html"
    path.write_text(
        page_file.read_text().replace(
            "</body>", "<script>window.hit = 1</script><img src='http://127.0.0.1:9/x'></body>"
        )
    )
    with opened(path) as page:
        assert page.tab.evaluate("window.hit") is None
        assert any("Content Security Policy" in complaint for complaint in page.complaints)


@pytest.mark.parametrize("dark", [False, True])
def test_page_fits_a_phone_and_can_be_read(page_file, dark):
    with opened(page_file, width=375, height=800, dark=dark, fragment="t=15&node=2") as page:
        assert page.overflow() == 0
        assert (page.background() < 60) == dark and (page.background() > 200) != dark
        for selector in (
            "h1",
            "h2",
            "dt",
            "dd",
            "#feed span",
            "#feed small",
            "#key span",
            "footer p",
            "#play",
            "label",
        ):
            assert page.contrast(selector) >= 4.5, selector
        assert not page.complaints


def test_page_colours_follow_the_person_while_it_is_open(page_file):
    with opened(page_file, fragment="t=15") as page:
        light = page.background(), picture(page, "map")
        page.tab.emulate_media(color_scheme="dark")
        page.tab.wait_for_timeout(200)
        assert page.background() < 60 < light[0] and picture(page, "map") != light[1]


def test_page_is_small_enough(tmp_path):
    data = replay_data(record("mixed", "e3_rules", 1000), {})
    assert len(data["requests"]["id"]) == 2000 and len(replay_page(data)) < 2_000_000
