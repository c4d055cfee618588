"""SEC-12 and SEC-13: names and texts of strangers stay text in pages, tables, spreadsheets and terminals."""

import csv
import html
import io
import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from refusals import finished_run

from edge_gym.cli.bench import wide_console
from edge_gym.cli.main import main
from edge_gym.errors import printable
from edge_gym.evaluation.evaluate import evaluate
from edge_gym.evaluation.recording import record
from edge_gym.evaluation.replay_data import replay_data
from edge_gym.evaluation.replay_html import replay_page
from edge_gym.evaluation.report import print_leaderboard
from edge_gym.report.write import report_text


@pytest.fixture(scope="module")
def run_before(tmp_path_factory):
    return finished_run(tmp_path_factory.mktemp("before") / "earlier")


# ---- SEC-12: markup in pages

PAYLOADS = [
    "<script>alert(1)</script>", "</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>",
    "\"><svg onload=alert(1)>", "'><iframe src=javascript:alert(1)>", "<svg/onload=alert(1)//", "</title><b>x</b>",
    "</style><style>*{display:none}</style>", "<!--", "--><b>x</b>", "<![CDATA[<b>]]>",
    "<a href=javascript:alert(1)>x</a>",
    "{{7*7}}", "{% for x in y %}", "${7*7}", "<%= 7*7 %>", "&lt;script&gt;", "&#60;script&#62;", "\\u003cscript\\u003e",
    "<base href=//evil>", "<meta http-equiv=refresh content=0>", "<object data=x>", "<form action=//evil><input>",
    "<math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>",
    "<noscript><p title=\"</noscript><img>\">",
    "javascript:alert(1)", "\" autofocus onfocus=alert(1) x=\"", "<details open ontoggle=alert(1)>", "</textarea><b>",
    "<template><script>alert(1)</script></template>", "<x\x00y>", "\u2028<script>\u2029",
]  # fmt: skip
CALM = "a calm name"


class Elements(HTMLParser):
    """Every element with the names of its attributes, and all text that is no script or style."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.found, self.text, self.links = [], [], []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        names = sorted(name for name, _ in attrs)
        self.found.append((tag, *names))
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "action", "data")]

    def handle_data(self, data):
        self.text.append(data)

    @property
    def tags(self):
        return sorted(entry[0] for entry in self.found)

    @property
    def attributes(self):
        """Classes apart: a wide cell has one."""
        return {(entry[0], name) for entry in self.found for name in entry[1:] if name != "class"}


def with_names(folder, target, text):
    """A copy of a run in which the policy, the scenario, a failure and what made it are called `text`."""
    shutil.copytree(folder, target)
    rows = [json.loads(line) for line in (folder / "episodes.jsonl").read_text().splitlines()]
    for row in rows:
        row["scenario"] = text
        row["policy"] = text if row["policy"] == "random" else row["policy"]
    (target / "episodes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = json.loads((folder / "manifest.json").read_text())
    failure = {
        "task": text,
        "scenario": text,
        "policy": text,
        "first_seed": 1,
        "episodes": 1,
        "attempts": 1,
        "reason": text,
    }
    found |= {"command": text, "platform": text, "git": text, "versions": {text: text}, "failures": [failure]}
    (target / "manifest.json").write_text(json.dumps(found))
    (target / "timing.json").unlink()
    return target


@pytest.fixture(scope="module")
def calm(run_before, tmp_path_factory):
    folder = with_names(run_before, tmp_path_factory.mktemp("calm") / "run", CALM)
    return Elements(report_text(folder, "html"))


def words(text):
    """Letters and digits alone: what is left of a payload however it is escaped or cut."""
    return re.sub(r"[^a-z0-9]", "", html.unescape(text).lower())


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_SEC_12_markup_makes_no_element_in_a_report(payload, run_before, calm, tmp_path):
    folder = with_names(run_before, tmp_path / "run", payload)
    page = Elements(report_text(folder, "html"))
    assert page.tags == calm.tags, "an element more or less"
    assert page.attributes <= calm.attributes, "an attribute that no element had"
    assert not any(link.strip().lower().startswith(("javascript:", "data:text", "//")) for link in page.links)
    assert words(payload)[:10] in words("".join(page.text)), "it is shown, as text"


@pytest.fixture(scope="module")
def recording():
    return record("semantic", "jsq", 3, n_requests=40)


@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_SEC_12_markup_makes_no_element_in_a_replay(payload, recording):
    def page(text):
        messages = tuple(message._replace(text=text) if hasattr(message, "_replace") else replace(message, text=text)
                         for message in recording.messages)  # fmt: skip
        named = replace(recording, policy=text, messages=messages)
        return Elements(replay_page(replay_data(named, {"run": text, text: text})))

    evil, calm = page(payload), page(CALM)
    assert recording.messages and evil.found == calm.found
    told = json.loads("".join(text for text in evil.text if text.startswith('{"tick_s"')))
    assert told["about"]["notes"]["run"] == printable(payload, 300), "it is there, as data"


# ---- SEC-13: spreadsheets, terminals and Markdown

INJECTIONS = [
    "=cmd|'/C calc'!A0", "+1+1", "-2+3", "@SUM(1)", "\t=1", "\r=1", "=HYPERLINK(\"http://127.0.0.1\")",
    "\x1b]0;title\x07",
    "\x1b[2J\x1b[31m", "\u202eevil\u202c", "a\nb,c", "\x9b31m",
]  # fmt: skip


@pytest.mark.parametrize("payload", INJECTIONS, ids=range(len(INJECTIONS)))
def test_SEC_13_names_are_data_in_tables_terminals_and_markdown(payload, run_before, tmp_path, capsys):
    folder = with_names(run_before, tmp_path / "run", payload)
    rows = list(csv.reader(io.StringIO(report_text(folder, "csv"))))
    assert len({len(row) for row in rows}) == 1 and rows
    for row in rows:
        assert not any(re.match(r"[=+@\t\r]", cell) for cell in row)
        assert not any(cell.startswith("-") and not re.fullmatch(r"-[\d.e+-]+", cell) for cell in row)
        assert all(cell.isprintable() for cell in row)
    text = report_text(folder, "md")
    assert all(line.isprintable() for line in text.split("\n"))

    class Named:
        """A policy with such a name."""

        name = payload

        def reset(self, n_envs, seed):
            pass

        def act(self, obs, action_mask, context):
            return action_mask.argmax(axis=1)

    results = evaluate(Named(), scenario="toy2", seeds=range(2), n_requests=3)
    print_leaderboard(wide_console(), results.table_rows())
    out = capsys.readouterr().out
    assert all(line.isprintable() for line in out.split("\n"))
    assert main(["replay", str(folder), "--policy", payload + "?"]) == 2
    assert all(line.isprintable() for line in capsys.readouterr().err.split("\n"))
