"""The report of a run: right figures, the same bytes every time, and a folder from a stranger is only data."""

import base64
import csv
import hashlib
import io
import json
import re
import shutil
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from edge_gym import policy
from edge_gym.cli.main import main
from edge_gym.errors import EdgeGymError, EdgeGymInputError
from edge_gym.evaluation import shards
from edge_gym.evaluation.evaluate import evaluate
from edge_gym.report import content, styles
from edge_gym.report.content import make_report
from edge_gym.report.page import TEMPLATES, html_page
from edge_gym.report.plain import csv_table, markdown
from edge_gym.report.played import NODE, Episode, Mark
from edge_gym.report.run_data import read_run
from edge_gym.report.series import around_changes, cumulated, onsets, regret, rolling_mean
from edge_gym.report.write import report_text

EVIL = "<img src=x onerror=alert(1)>\"'&{{7*7}}</script><svg onload=alert(2)>"
DRIFT = {"scenario": ["drift", "toy2"], "n_requests": 300}


class First:
    """The first legal choice."""

    def reset(self, n_envs, seed):
        pass

    def act(self, obs, action_mask, context):
        return action_mask.argmax(axis=1)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "run"
    names = ["jsq", "sect_blind", "sect_static", "oracle", "clairvoyant"]
    evaluate(names, seeds=range(1000, 1006), scenario=["toy2", "stationary"], n_requests=40, out=folder)
    return folder


@pytest.fixture
def copy(run_folder, tmp_path):
    return shutil.copytree(run_folder, tmp_path / "copy")


class Elements(HTMLParser):
    """All elements of a page, and the text outside style and script."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text = [], ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        if self.tags and self.tags[-1][0] not in ("style", "script"):
            self.text += data


def test_the_page_needs_nothing_else(run_folder):
    page = (run_folder / "report.html").read_text("utf-8")
    tags = Elements(page).tags
    assert [attrs for tag, attrs in tags if tag == "script"] == [{}]
    links = [attrs[name] for _, attrs in tags for name in ("src", "href", "xlink:href") if name in attrs]
    assert links and all(link.startswith("#") or link == "data:," for link in links)
    assert not {name for _, attrs in tags for name in attrs if name.startswith("on")}
    assert "url(" not in re.sub(r"url\(#\w+\)", "", page) and "@import" not in page
    (policy_text,) = (attrs["content"] for _, attrs in tags if "Content-Security-Policy" in attrs.values())
    script = (TEMPLATES / "page.js").read_bytes()
    digest = base64.b64encode(hashlib.sha256(script).digest()).decode()
    assert policy_text.startswith("default-src 'none';") and f"script-src 'sha256-{digest}'" in policy_text
    assert f"<script>{script.decode()}</script>" in page
    ids = [attrs["id"] for _, attrs in tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert {link[1:] for link in links if link.startswith("#")} <= set(ids)


def test_the_drawings_are_well_formed_and_follow_the_theme(run_folder):
    pytest.importorskip("matplotlib")
    report = make_report(read_run(run_folder))
    figures = [one for part in (*report.overalls, *report.regimes) for one in part.figures]
    assert {"overall-ratio", "overall-profile", "time-and-quality", "regime-1-paired", "regime-2-quantiles"} <= {
        one.name for one in figures
    }
    for one in figures:
        ElementTree.fromstring(str(one.svg).replace("xlink:href", "href"))
        assert "currentColor" in one.svg and "var(--muted)" in one.svg
        assert not re.search(r"(fill|stroke): #(?!ffffff)", one.svg), "a colour that dark mode cannot change"
        assert one.caption and one.alt and "nan" not in one.alt


def test_the_same_folder_gives_the_same_bytes(run_folder):
    for format, name in (("html", "report.html"), ("md", "report.md"), ("csv", "leaderboard.csv")):
        assert report_text(run_folder, format) == (run_folder / name).read_text("utf-8")


def test_figures_are_those_of_the_rows(run_folder):
    rows = [json.loads(line) for line in (run_folder / "episodes.jsonl").read_text().splitlines()]
    summary = json.loads((run_folder / "summary.json").read_text())

    def mean(name):
        return np.mean([r["latency_mean_s"] for r in rows if (r["scenario"], r["policy"]) == ("toy2", name)])

    report = make_report(read_run(run_folder))
    (overall,) = report.overalls
    by_policy = {line[0].policy: line for line in overall.ratios.rows}
    assert list(by_policy) == [one["policy"] for one in summary["aggregates"][0]["policies"]]
    assert "clairvoyant" not in by_policy  # a bound is no policy
    column = [heading.text for heading in overall.ratios.headings].index("toy2")
    for name, line in by_policy.items():
        assert line[column].value == pytest.approx(mean(name) / mean("oracle"))
    board = {line[0].text: line for line in report.regimes[0].leaderboard.rows}
    assert {"oracle*", "clairvoyant* (bound)"} < set(board)
    assert board["jsq"][1].value == pytest.approx(mean("jsq"))
    fair = ("jsq", "sect_blind", "sect_static")
    assert report.findings[0].best == min(fair, key=mean) == summary["comparisons"][0]["best"]
    notices = " ".join(report.findings[0].notices)
    assert "at least 100" in notices and "is not the preset of that name" in notices  # 40 requests
    lines = list(csv.DictReader(io.StringIO(csv_table(report))))
    wanted = ("toy2", "jsq", "latency_mean_s")
    (found,) = (line for line in lines if (line["scenario"], line["policy"], line["metric"]) == wanted)
    assert float(found["mean"]) == pytest.approx(mean("jsq"))


def test_what_each_policy_may_see(run_folder):
    report = make_report(read_run(run_folder))
    heads = [heading.text for heading in report.sees.headings]
    table = {line[0].policy: dict(zip(heads, [cell.text for cell in line], strict=True)) for line in report.sees.rows}
    assert table["oracle"]["true state"] == "yes" and table["jsq"]["true state"] == "no"
    assert table["clairvoyant"]["decides"] == "nothing: a bound"
    assert "routing" in table["jsq"]["decides"] and "books" in table["sect_blind"]["what it is"]


def test_an_argument_behind_a_colon_is_not_read(monkeypatch):
    """A folder of a stranger may name any file."""
    from edge_gym.report import sees

    opened = []
    monkeypatch.setattr("edge_agents.learned.load", lambda path: opened.append(path), raising=False)
    row = sees._sees("learned:/etc/passwd", False, False)
    assert row.policy == "learned:/etc/passwd" and opened == []


@pytest.mark.parametrize("where", ["scenario", "policy"])
def test_names_are_text_wherever_they_come_from(copy, where):
    """SEC-12, SEC-13: no element, no attribute, no template, no Markdown, no formula."""
    lines = (copy / "episodes.jsonl").read_text().splitlines()
    old = "stationary" if where == "scenario" else "sect_blind"
    rows = [json.loads(line) for line in lines]
    times = json.loads((copy / "timing.json").read_text())
    for row in (*rows, *times["rows"]):
        if row[where] == old:
            row[where] = EVIL
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest |= {"command": EVIL, "versions": {EVIL: EVIL}, "git": EVIL, "platform": [EVIL], "cpu_count": {EVIL: 1}}
    (copy / "episodes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (copy / "timing.json").write_text(json.dumps(times))
    (copy / "manifest.json").write_text(json.dumps(manifest))
    report = make_report(read_run(copy))
    page = html_page(report)
    found = Elements(page)
    known = {"img", "iframe", "object", "a"} & {tag for tag, _ in found.tags}
    assert known == {"a"} and sum(tag == "script" for tag, _ in found.tags) == 1
    assert not {name for _, attrs in found.tags for name in attrs if name.startswith("on")}
    assert EVIL[:20] in found.text and "49" not in re.findall(r"\{\{.*?\}\}", page)
    ids = [attrs["id"] for _, attrs in found.tags if "id" in attrs]
    assert len(ids) == len(set(ids)) and all(re.fullmatch(r"[\w-]+", name) for name in ids)
    assert "<img" not in markdown(report)


def test_a_name_is_no_formula_in_a_spreadsheet(copy):
    text = (copy / "episodes.jsonl").read_text().replace('"policy": "jsq"', '"policy": "=1+1|cmd"')
    (copy / "episodes.jsonl").write_text(text)
    cells = {line[2] for line in csv.reader(io.StringIO(csv_table(make_report(read_run(copy)))))}
    assert "'=1+1|cmd" in cells and not any(cell.startswith(("=", "+", "-", "@")) for cell in cells)


def damage(name, change):
    def apply(folder):
        path = folder / name
        path.write_bytes(change(path.read_bytes()))

    return apply


def in_row(**fields):
    def change(data):
        first, _, rest = data.decode().partition("\n")
        return f"{json.dumps(json.loads(first) | fields)}\n{rest}".encode()

    return damage("episodes.jsonl", change)


def in_manifest(**fields):
    return damage("manifest.json", lambda data: json.dumps(json.loads(data) | fields).encode())


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (damage("manifest.json", lambda _: b"{"), "must be JSON"),
        (damage("manifest.json", lambda _: b"[" * 100_000), "must be JSON"),
        (damage("manifest.json", lambda _: b"\xff\xfe"), "must be JSON"),
        (in_manifest(kind="other"), "edge_gym evaluation"),
        (in_manifest(failures=[{"task": 1}]), "failures"),
        (in_manifest(failures="all"), "failures"),
        (in_manifest(trainings={"jsq": 3}), "trainings"),
        (damage("episodes.jsonl", lambda _: b""), "with episodes"),
        (damage("episodes.jsonl", lambda data: data + b"{}\n"), "task"),
        (damage("episodes.jsonl", lambda data: data + b"7\n"), "a JSON object"),
        (damage("episodes.jsonl", lambda data: data[: len(data) // 2]), "JSON"),
        (damage("episodes.jsonl", lambda data: data + data), "seed"),
        (damage("episodes.jsonl", lambda data: data.partition(b"\n")[2]), "seed"),
        (in_row(latency_mean_s="1"), "number or null"),
        (in_row(latency_mean_s=1e300), "latency_mean_s"),
        (in_row(latency_mean_s=10**400), "number or null"),
        (in_row(latency_mean_s=float("nan")), "NaN is no JSON"),
        (in_row(latency_mean_s=True), "latency_mean_s = True"),
        (in_row(seed=True), "seed = True"),
        (in_row(policy="x" * 5000), "policy"),
        (in_row(scenario=""), "scenario"),
        (in_row(__proto__=1.0), "__proto__"),
        (in_row(privileged="no"), "privileged = 'no'"),
        (damage("timing.json", lambda _: b"[]"), "timing.json"),
        (damage("timing.json", lambda _: b'{"rows": [{"task": "a"}]}'), "scenario"),
        (lambda folder: (folder / "episodes.jsonl").unlink(), "readable file"),
        (shutil.rmtree, "folder of an evaluation"),
    ],
)
def test_a_folder_that_is_not_right_is_refused(copy, harm, words, capsys):
    before = (copy / "report.html").read_bytes()
    harm(copy)
    with pytest.raises(EdgeGymInputError) as caught:
        read_run(copy)
    assert words in str(caught.value)
    assert main(["report", str(copy), "--recordings", "0"]) == 2
    assert capsys.readouterr().err.startswith("edge-gym")
    if copy.exists():
        assert (copy / "report.html").read_bytes() == before


def test_what_failed_is_listed_and_not_scored(copy):
    reason = "out of <b>luck</b>"
    one = {"task": "routing", "scenario": "toy2", "policy": "jsq", "first_seed": 1000, "episodes": 6, "attempts": 3}
    in_manifest(finished=False, failures=[one | {"reason": reason}])(copy)
    report = make_report(read_run(copy))
    assert report.failures.rows[0][-1].text == reason and reason not in html_page(report)
    assert "jsq" not in [line[0].policy for line in report.regimes[0].leaderboard.rows]
    assert "jsq" in [line[0].policy for line in report.regimes[1].leaderboard.rows]


def test_without_matplotlib_there_is_a_report_that_says_so(run_folder, monkeypatch):
    monkeypatch.setattr(content, "available", lambda: False)
    page = html_page(make_report(read_run(run_folder)))
    assert "<figure" not in page and "<code>plot</code>" in page and "<table" in page


def test_the_smallest_runs(tmp_path):
    evaluate("oracle", seeds=[1000], scenario="toy2", out=tmp_path / "a")
    evaluate(["jsq", "clairvoyant"], seeds=[1000], scenario="toy2", out=tmp_path / "b")
    assert "Nothing but privileged" in (tmp_path / "a" / "report.html").read_text()
    page = (tmp_path / "b" / "report.html").read_text()
    assert "No verdict" in page and "nan" not in Elements(page).text.split()


@pytest.fixture(scope="module")
def drift_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report") / "drift"
    names = ["sect_static", "e3_fast", "e3_rules", "oracle"]
    evaluate(names, seeds=range(1000, 1003), scenario="drift", n_nodes=4, n_requests=300, load=0.5, out=folder)
    return folder


def test_episodes_are_played_again(drift_folder, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    out = tmp_path / "page.html"
    assert main(["report", str(drift_folder), "--recordings", "2", "--out", str(out)]) == 0
    first = out.read_bytes()
    report = make_report(read_run(drift_folder), recordings=2)
    assert html_page(report).encode() == first  # nothing depends on when or where
    (part,) = report.regimes
    names = {one.name.removeprefix("regime-1-") for one in part.figures}
    assert {"survival", "episode", "regret", "adaptation", "leaving", "paired", "quantiles"} == names
    (oracle,) = (line for line in part.phases.rows if line[0].policy == "oracle")
    assert [cell.value for cell in oracle[1:]] == [1.0] * 4
    (variants,) = ([line[0].policy for line in table.rows] for table in report.families)
    assert sorted(variants) == ["e3_fast", "e3_rules"]


def test_an_episode_that_differs_is_refused(drift_folder, tmp_path):
    folder = shutil.copytree(drift_folder, tmp_path / "copy")
    in_row(latency_mean_s=1.25)(folder)
    with pytest.raises(EdgeGymError, match="not the episode that was evaluated"):
        make_report(read_run(folder), recordings=1)
    make_report(read_run(folder), recordings=0)


def test_a_scenario_that_differs_is_refused(drift_folder, tmp_path):
    folder = shutil.copytree(drift_folder, tmp_path / "copy")
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["scenarios"][0]["n_requests"] += 1
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(EdgeGymInputError, match="the one that was evaluated"):
        make_report(read_run(folder), recordings=1)


def episode(arrive, latency, node, marks=(), step=(), cost=()):
    as_array = [np.array(values, float) for values in (arrive, latency)]
    steps = [np.array(values, float) for values in (step, cost)]
    return Episode(1, *as_array, np.array(node), *steps, tuple(marks))


def test_series_by_hand():
    mine = episode([1, 2, 4], [3.0, 1.0, 5.0], [0, 1, 0], step=[2.5, 6.0], cost=[10.0, 1.0])
    theirs = episode([1, 2, 4], [1.0, 1.0, 1.0], [0, 0, 0])
    times = np.array([0.5, 1.0, 3.0, 9.0])
    rolling = rolling_mean(mine, times, 2.5)
    assert np.isnan(rolling[[0, 3]]).all() and rolling[1:3].tolist() == [3.0, 2.0]
    assert cumulated(mine, times, agents=False).tolist() == [0.0, 3.0, 4.0, 9.0]
    assert cumulated(mine, times, agents=True).tolist() == pytest.approx([2.0, 4.0, 10 + 1 / 7, 11.0])
    assert regret([mine], [theirs], times).tolist() == [[0.0, 2.0, 2.0, 6.0]]


def test_around_changes_by_hand():
    marks = [Mark(10.0, 1, NODE, "slows"), Mark(11.0, 0, "message", "hello"), Mark(1.0, 0, NODE, "too early")]
    one = episode([8.5, 9.5, 10.5, 11.5, 40.0], [1.0, 3.0, 8.0, 2.0, 9.0], [1, 1, 1, 0, 0], marks)
    edges = np.array([-2.0, 0.0, 2.0, 4.0])
    latency, share, changes = around_changes([one, one], edges)
    assert changes == 2 and onsets(one, 2.0, 4.0) == [(10.0, 1)]
    assert latency.tolist()[:2] == [2.0, 5.0] and np.isnan(latency[2])
    assert share.tolist()[:2] == [1.0, 0.5]


def test_policies_look_different():
    found = styles.assign([f"p{k}" for k in range(32)] + ["oracle", "bound"], {"oracle"}, {"bound"})
    assert len(set(found.values())) == 34
    assert found["oracle"].colour == styles.INK and found["p0"].colour != found["p1"].colour


def test_a_policy_without_a_name_in_the_registry_is_reported_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(policy, "POLICIES", {**policy.POLICIES, "t_first": First})
    monkeypatch.setattr(shards, "POLICIES", policy.POLICIES)
    evaluate("t_first", seeds=range(1000, 1002), scenario="toy2", out=tmp_path / "run")
    monkeypatch.undo()
    report = make_report(read_run(tmp_path / "run"), recordings=1)
    assert report.sees.rows[0][1].text == "not known here"
    assert any("Not played again: t_first" in notice for notice in report.regimes[0].notices)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--format", "htm"], "did you mean 'html'?"),
        (["--recordings", "1000"], "--recordings = '1000'"),
        (["--recordings", "-1"], "--recordings"),
        (["--out", "/nowhere/at/all.html"], "--out"),
    ],
)
def test_mistakes_are_named(run_folder, arguments, words, capsys):
    assert main(["report", str(run_folder), *arguments]) == 2
    assert words in capsys.readouterr().err
