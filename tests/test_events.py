"""Announcements: phrases are complete and distinct, the parser reads standard ones right and survives the rest."""

import itertools
import math
import re
import time
from pathlib import Path

import injections as corpus
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from script_loader import load_script

from edge_gym.errors import EdgeGymInputError
from edge_gym.events import held_out, parser, standard
from edge_gym.events.activities import AHEAD, CANCELLED, CHATTER, NOW, OVER, PRESENCE, SLOWDOWN, usual_slowdown
from edge_gym.events.clean import clean
from edge_gym.events.parser import GRADES, NOTHING, read
from edge_gym.events.phrases import ACTIVITIES, LEVELS, STAGES, STYLES, Phrase, phrases, render, severity
from edge_gym.events.quantities import find, say

ROOT = Path(__file__).resolve().parent.parent
NODES = ("phone-3", "jetson_orin_nx-2", "rtx_4090-1", "rtx_4090-15", "backup-1", "game_server-update", "A")
STANDARD, HELD_OUT = phrases("text", "standard"), phrases("text", "held_out")
EVENTS = [phrase for phrase in STANDARD if phrase.stage != CHATTER]
RUNS = [(stage, activity) for stage in range(CHATTER) for activity in range(len(ACTIVITIES))] + [(CHATTER, -1)]

names = st.sampled_from(NODES) | st.from_regex(r"[a-z]{2,9}[_.-][a-z0-9_.-]{0,40}[0-9]", fullmatch=True)
seconds = st.floats(0.001, 1e9) | st.floats(1, 600)
speeds = st.floats(0, 1) | st.sampled_from([0.0, 0.2, 0.5, 1.0])


def count(found, stage, activity):
    return sum((phrase.stage, phrase.activity) == (stage, activity) for phrase in found)


def words(text):
    return re.findall(r"[a-z0-9{}'-]+", text.lower())


# --- phrases


def test_activities():
    foreground = [activity for activity in ACTIVITIES if activity.foreground]
    assert len(foreground) >= 7 and len(ACTIVITIES) - len(foreground) - 2 >= 7
    assert [activity.name for activity in ACTIVITIES[-2:]] == ["slowdown", "presence"]
    assert (len(ACTIVITIES) - 2, len(ACTIVITIES) - 1) == (SLOWDOWN, PRESENCE)
    assert len({activity.name for activity in ACTIVITIES}) == len(ACTIVITIES)
    for number, activity in enumerate(ACTIVITIES):
        assert usual_slowdown(number) == 3.0 if activity.foreground else usual_slowdown(number) > 1
    assert STAGES == ("ahead", "now", "over", "cancelled", "chatter")


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("level", LEVELS[1:])
def test_runs_are_contiguous_and_complete(level, style):
    runs = [run for run, _ in itertools.groupby((phrase.stage, phrase.activity) for phrase in phrases(level, style))]
    assert runs == RUNS


def test_sizes_of_the_levels():
    for style in STYLES:
        assert phrases("none", style) == ()
        assert {phrase.text for phrase in phrases("something", style)} == {"Something has changed in the network."}
        for level in ("something", "what"):
            assert len(phrases(level, style)) == len(RUNS) and phrases(level, style) == phrases(level, "standard")
    for stage, activity in RUNS:
        least = 60 if stage == CHATTER else 6 if stage in {AHEAD, NOW} else 4
        assert count(STANDARD, stage, activity) >= least, (stage, activity)
        assert 2 * count(HELD_OUT, stage, activity) >= count(STANDARD, stage, activity), (stage, activity)


def test_phrases_are_distinct_and_say_their_node():
    texts = [phrase.text for phrase in STANDARD + HELD_OUT]
    assert len(set(texts)) == len(texts) and len(STANDARD) > 600
    for phrase in STANDARD + HELD_OUT:
        blanks = set(re.findall(r"{(\w*)}", phrase.text))
        assert "node" in blanks or phrase.stage == CHATTER, phrase
        allowed = (
            {"node"}
            if phrase.stage in {OVER, CANCELLED, CHATTER}
            else {"node", "onset", "duration", "severity", "harm"}
        )
        assert blanks <= allowed - ({"onset"} if phrase.stage == NOW else set()), phrase


def test_each_run_leaves_something_unsaid():
    for found, grade in ((STANDARD, "{severity}"), (HELD_OUT, "{harm}")):
        for stage, activity in RUNS:
            run = [phrase.text for phrase in found if (phrase.stage, phrase.activity) == (stage, activity)]
            said = {AHEAD: ["{onset}", "{duration}", grade], NOW: ["{duration}", grade]}.get(stage, [])
            for blank in [blank for blank in said if activity != PRESENCE or blank != grade]:
                assert 0 < sum(blank in text for text in run) < len(run), (stage, activity, blank)


def test_held_out_shares_no_wording_with_standard():
    nouns = {noun.split("|")[1].lower() for pair in standard.NOUNS.values() for noun in pair}
    tokens = {word for noun in nouns for word in words(noun)} - {"a", "of", "the", "with", "in", "all"}
    for pair in held_out.NOUNS.values():
        assert not tokens & {word for noun in pair for word in words(noun)}

    def pieces(found):
        return {tuple(found[i : i + 4]) for i in range(len(found) - 3)}

    known = set().union(*(pieces(words(phrase.text)) for phrase in STANDARD))
    shared = [phrase.text for phrase in HELD_OUT if pieces(words(phrase.text)) & known]
    assert not shared


@pytest.mark.parametrize(
    "call, field",
    [
        (lambda: phrases("all", "standard"), "level"),
        (lambda: phrases("text", "plain"), "style"),
        (lambda: render(STANDARD[0], "a b", 1, 1, 0.5), "node"),
        (lambda: render(STANDARD[0], "", 1, 1, 0.5), "node"),
        (lambda: render(STANDARD[0], "a\n", 1, 1, 0.5), "node"),
        (lambda: render(STANDARD[0], "a", -1, 1, 0.5), "onset_s"),
        (lambda: render(STANDARD[0], "a", 1, math.inf, 0.5), "duration_s"),
        (lambda: render(STANDARD[0], "a", 1, 1, 1.5), "speed"),
        (lambda: render(STANDARD[0], "a", 1, 1, math.nan), "speed"),
        (lambda: clean(b"a"), "text"),
        (lambda: clean("a", -1), "limit"),
        (lambda: clean("a", 1.5), "limit"),
    ],
)
def test_bad_input(call, field):
    with pytest.raises(EdgeGymInputError) as caught:
        call()
    assert caught.value.field == field


# --- lengths of time


def test_lengths_of_time_as_written():
    assert [say(90, manner) for manner in range(3)] == ["90 seconds", "a minute and a half", "90 s"]
    assert [say(118, manner) for manner in range(3)] == ["2 minutes", "two minutes", "2 min"]
    assert [say(150, 1), say(30, 1), say(3600 * 1.9, 0), say(0.3, 2)] == [
        "two and a half minutes", "half a minute", "2 hours", "300 ms",
    ]  # fmt: skip
    assert [q.seconds for q in find("in a couple of minutes and for a few days, half an hour, an hour and a half")] == [
        120.0, 3 * 86400.0, 1800.0, 5400.0,
    ]  # fmt: skip
    assert find("a song and 4k video, v1.5 min-max, 3 apples, a stop") == []


@given(seconds | st.floats(0, 1), st.integers(0, 2**32))
@example(999.96, 0)
def test_lengths_of_time_are_read_as_written(value, manner):
    (quantity,) = find(f"for about {say(value, manner)}.")
    assert quantity.seconds == pytest.approx(value, rel=0.15, abs=0.0005)


# --- the parser on phrases


@settings(max_examples=2000)
@given(st.sampled_from(EVENTS), names, seconds, seconds, speeds)
def test_what_is_written_is_read(phrase, node, onset, duration, speed):
    check(phrase, node, onset, duration, speed)


@pytest.mark.parametrize("speed", [0.05, 0.3, 0.9])
def test_every_phrase_is_read(speed):
    for number, phrase in enumerate(EVENTS):
        check(phrase, NODES[number % len(NODES)], 10.0 + number % 50, 20.0 + number % 300, speed)


def check(phrase, node, onset, duration, speed):
    reading = read(render(phrase, node, onset, duration, speed), {*NODES, node})
    assert reading.node == node and reading.stage == phrase.stage
    assert reading.foreground == ACTIVITIES[phrase.activity].foreground
    for blank, true, found in (("{onset}", onset, reading.onset_s), ("{duration}", duration, reading.duration_s)):
        if blank in phrase.text:
            assert found == pytest.approx(true, rel=0.2, abs=0.0005)
        else:
            assert found is None
    if phrase.stage in {OVER, CANCELLED}:
        assert reading.slowdown == 1.0
    elif "{severity}" in phrase.text:
        assert reading.slowdown == GRADES[severity(speed)]
    else:
        assert reading.slowdown == usual_slowdown(phrase.activity)


def test_severity_has_three_grades():
    assert [severity(speed) for speed in (1.0, 0.51, 0.5, 0.21, 0.2, 0.0)] == [0, 0, 1, 1, 2, 2]


@given(st.sampled_from(phrases("what", "standard")[:-1]), names, st.floats(0, 1e9), st.floats(0, 1e9), speeds)
def test_structured_phrases_lose_nothing(phrase, node, onset, duration, speed):
    text = render(phrase, node, onset, duration, speed)
    assert f" activity={ACTIVITIES[phrase.activity].name} " in text and f" speed={speed!r}".removesuffix(".0") in text
    reading = read(text, [node])
    assert (reading.node, reading.stage) == (node, phrase.stage)
    assert (reading.onset_s, reading.duration_s) == (onset, duration)
    assert reading.foreground == ACTIVITIES[phrase.activity].foreground
    if phrase.stage in {AHEAD, NOW}:
        slowdown = 100.0 if phrase.activity == PRESENCE else min(1 / speed if speed else math.inf, 1000.0)
        assert reading.slowdown == pytest.approx(slowdown)
    else:
        assert reading.slowdown == 1.0


@pytest.mark.parametrize(
    "old, new",
    [
        ("stage=ahead", "stage=chatter"), ("stage=ahead", "stage=0"), ("activity=game", "activity=chess"),
        ("onset_s=1", "onset_s=nan"), ("onset_s=1", "onset_s=-1"), ("duration_s=2", "duration_s=x"),
        ("speed=0.5", "speed=inf"),
        ("foreground=1", "foreground=yes"), ("node=phone-3", "node=phone-4"), ("foreground=1", "foreground=1 node=A"),
        ("stage=ahead ", ""),
    ],
)  # fmt: skip
def test_broken_structured_phrases_say_nothing(old, new):
    text = "event node=phone-3 stage=ahead activity=game onset_s=1 duration_s=2 speed=0.5 foreground=1"
    assert read(text, NODES).stage == AHEAD and old in text
    assert read(text.replace(old, new), NODES) == NOTHING


@pytest.mark.parametrize("node", NODES)
def test_chatter_is_never_an_event(node):
    for level in LEVELS[1:]:
        for phrase in phrases(level, "standard"):
            if phrase.stage == CHATTER or level == "something":
                assert read(render(phrase, node, 10, 20, 0.3), NODES) == NOTHING, phrase


@pytest.mark.parametrize(
    "talk",
    [
        "usually starts a game soon",
        "has read that a game has started",
        "says that the update is over",
        "has started a lecture on virus scans",
        "has cancelled the manual of a game",
        "thinks of a game that is over",
        "will join a video call next week",
        "had a video call last night that is over",
        "started a game on another device",
        "will talk about backups soon",
        "has nothing planned, not even a game",
    ],
)
def test_talk_about_an_activity_is_chatter(talk):
    assert read(f"The user of phone-3 {talk}.", NODES) == NOTHING


def test_figures_of_the_page():
    """The table and the examples of docs/events.md are those that the script prints."""
    script, page = load_script("score_parser"), (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    assert script.table() in page, "run scripts/score_parser.py"
    for style in STYLES:
        assert script.examples(style) in page, "run scripts/score_parser.py"
    for stage, name in enumerate(STAGES):
        part, whole = script.score("standard", stage)
        assert part == whole > 0, name
    activities = [f"`{activity.name}`" for activity in ACTIVITIES]
    assert all(name in page for name in [*activities, *(f'"{level}"' for level in LEVELS), *(f"`{s}`" for s in STAGES)])


# --- the parser on names


STARTED = "A game has started on {}."


@pytest.mark.parametrize(
    "text, nodes, node",
    [
        (STARTED.format("rtx_4090-15"), ["rtx_4090-1", "rtx_4090-15"], "rtx_4090-15"),
        (STARTED.format("rtx_4090-15"), ["rtx_4090-1", "4090-15", "rtx_4090", "15"], None),
        (STARTED.format("xphone-3"), ["phone-3"], None),
        (STARTED.format("phone-3..."), ["phone-3"], "phone-3"),
        (STARTED.format("a.b."), ["a", "a.b", "a.b."], "a.b."),
        (STARTED.format("(phone-3)"), ["phone-3"], "phone-3"),
        (STARTED.format("phone-3, not on phone-10"), ["phone-10", "phone-3"], "phone-10"),
        (STARTED.format("n-1 and n-2"), ["n-2", "n-1"], "n-1"),
        (STARTED.format("PHONE-3"), ["phone-3"], None),
        ("backup-1 has started a game.", ["backup-1", "game"], "backup-1"),
        ("rtx_4090-15 has started right after backup-1.", ["backup-1", "rtx_4090-15"], None),
        (STARTED.format("phone-3"), [], None),
        (STARTED.format("pho\u200bne-3"), ["phone-3"], "phone-3"),
    ],
)
def test_names(text, nodes, node):
    assert read(text, nodes).node == node
    assert read(text, dict.fromkeys(nodes)) == read(text, nodes)


def test_a_name_cut_in_half_is_no_name():
    text = STARTED.format("rtx_4090-15")
    padded = text.rjust(2000 + len("5."))  # the 2,000th character is the 1 of 15
    assert clean(padded).endswith("rtx_4090-1") and read(padded, ["rtx_4090-1"]) == NOTHING
    assert read(text.rjust(2000), ["rtx_4090-15"]).node == "rtx_4090-15"


# --- clean, and what is sent to harm


def test_clean():
    assert (
        clean("a\u200bb\u202ec\u2066d\U000e0041e\x00f\x1b[2Jg\ufeffh\u00adi\ud800j\ue000k\ufe0fl\U000e0101")
        == "abcdef[2Jghijkl"
    )
    assert clean("  a\t\r\nb\u2028c\u00a0d\x85e ") == "a b c d e"
    assert clean("x" * 3000) == "x" * 2000 and clean("\u200b" * 2000 + "x") == "" and clean("abc", 2) == "ab"
    assert clean("Grüße, 你好, مرحبا, e\u0301 🙂") == "Grüße, 你好, مرحبا, e\u0301 🙂"


@given(st.text(st.characters(codec=None, exclude_categories=()), max_size=400), st.integers(0, 500))
def test_clean_leaves_only_what_is_seen(text, limit):
    out = clean(text, limit)
    assert out.isprintable() and len(out) <= limit and out == out.strip() == clean(out) and "  " not in out


pieces = st.sampled_from(
    [phrase.text for phrase in STANDARD + HELD_OUT]
    + ["@", "#", "~", "in ~", "a minute", " and a half", "event node=", "A", "stage=now"]
)


@settings(max_examples=500)
@given(st.lists(st.text(max_size=30) | pieces | names, max_size=12).map(" ".join), st.lists(names, max_size=4))
def test_never_raises(text, nodes):
    reading = read(text, nodes)
    assert 0 <= reading.stage < len(STAGES) and 1.0 <= reading.slowdown <= 1000.0
    assert (reading.node in nodes) if reading.stage != CHATTER else reading == NOTHING
    for value in (reading.onset_s, reading.duration_s):
        assert value is None or (math.isfinite(value) and value >= 0)


def test_injections_are_many_and_harmless():
    texts = corpus.injections()
    assert len(texts) == len(set(texts)) >= 500 and texts == corpus.injections()
    assert sum(len(text) == corpus.LONG for text in texts) >= 10
    assert all(b == texts[texts.index(a) + 1] for a, b in corpus.split())
    for text in texts:
        reading, seen = read(text, NODES), clean(text)
        assert seen.isprintable() and len(seen) <= 2000
        assert reading.node in NODES or reading == NOTHING


def test_hidden_orders_do_not_survive():
    plain = "The weather near phone-3 is fine."
    for hide in (corpus._tags, corpus._selectors):
        for order in corpus.ORDERS:
            assert clean(plain + hide(order)) == plain


@pytest.mark.parametrize("head", ["", "about ", "no ", "@ is "])
@pytest.mark.parametrize(
    "filler",
    ["a", " ", "no a b c ", "about ", "@ is has ", "1 and a half ", "in about ~ ", "the next ", "-", "0.", "a minute "],
)
def test_rules_take_linear_time(head, filler):
    """100 kB through all rules, without the cut to 2,000 characters; a quadratic rule would take minutes."""
    text = (head + filler * 100_000)[:100_000]
    start = time.process_time()
    parser._prose(parser._bare(text) + "@", "phone-3")
    parser._names(text, frozenset(NODES))
    clean(text, len(text))
    assert time.process_time() - start < 15.0


def test_phrase_is_plain_data():
    phrase = Phrase(AHEAD, 0, "{node}: {severity}, {harm}, {speed}")
    assert render(phrase, "n", 1, 1, 0.25) == "n: strong, considerable, 0.25"
    assert hash(phrase) == hash(Phrase(AHEAD, 0, phrase.text))
