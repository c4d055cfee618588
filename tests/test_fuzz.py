"""SEC-18: 10,000 damaged files over every parser: each is read or refused, nothing else, fast and without a trace."""

import signal

import fuzz
import pytest
from fuzz import Finding, Parser, one, peak_mib, share
from fuzz import fuzz as run_cases
from fuzz_parsers import parsers

from edge_gym.errors import EdgeGymInputError

CASES, SEED = 10_000, 1
PARSERS = parsers()
NUMBERS = dict(zip((parser.name for parser in PARSERS), share(PARSERS, CASES), strict=True))


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_SEC_18_damaged_files_are_read_or_refused(parser, tmp_path):
    before = peak_mib()
    count = run_cases(parser, NUMBERS[parser.name], SEED, tmp_path)
    assert count.findings == []
    assert count.cases == count.valid + count.refused == NUMBERS[parser.name]
    assert peak_mib() - before < 1024


def test_SEC_18_there_are_enough_cases_and_files():
    assert sum(NUMBERS.values()) >= CASES and sum(len(parser.seeds) for parser in PARSERS) >= 20


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.name)
def test_the_undamaged_files_are_read(parser, tmp_path, monkeypatch):
    """A parser that refuses everything would pass the test above."""
    monkeypatch.chdir(tmp_path)
    for seed in parser.seeds:
        if parser.name == "command line" and seed.startswith((b"bench", b"report")):
            continue  # these are told something that cannot be
        parser.read(seed, tmp_path)


def other(parser, read):
    return Parser(parser, (b'{"a": 1}',), read)


def refuse(_data, _folder):
    raise EdgeGymInputError("a", 1, "2")


def fail(_data, _folder):
    raise KeyError("b")


def mumble(_data, _folder):
    raise EdgeGymInputError("", 1, "")


def write(_data, folder):
    (folder / "new").touch()


def hang(_data, _folder):
    while True:
        pass


@pytest.mark.parametrize(
    ("read", "words"),
    [(fail, "KeyError"), (mumble, "what is allowed"), (write, "wrote \\['new'\\]"), (hang, "more than 0.1 s")],
)
def test_what_is_found(read, words, tmp_path, monkeypatch):
    """The fuzzer sees each kind of failure that it is there for."""
    monkeypatch.setattr(fuzz, "LIMIT_S", 0.1)
    with fuzz._limited(), pytest.raises(Finding, match=words):
        one(other("x", read), 0, 0, tmp_path)
    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0, 0) and not list(tmp_path.iterdir())


def test_the_same_case_is_the_same_damage(tmp_path):
    seen = []
    parser = Parser("x", PARSERS[0].seeds, lambda data, _: seen.append(data))
    run_cases(parser, 5, 7, tmp_path, first=3)
    run_cases(parser, 1, 7, tmp_path, first=5)
    assert seen[5] == seen[2] and len({*seen}) == 5
    assert run_cases(other("x", refuse), 4, 0, tmp_path).refused == 4
