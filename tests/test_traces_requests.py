"""BurstGPT and Mooncake: columns by name, documented rules, errors that name line, column and value."""

import contextlib
import gzip
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from processor_time import takes_at_most

from edge_gym.errors import EdgeGymInputError
from edge_gym.traces.requests import read_trace
from edge_gym.traces.text import MAX_LINE

DATA = Path(__file__).parent / "data"
BURST = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
BURST_ROWS = "5,ChatGPT,472,18,490,Conversation log\n45.25,GPT-4,1087,230,1317,API log\n"
MOON = '{"timestamp": 0, "input_length": 6758, "output_length": 500, "hash_ids": [0, 1]}\n'
MOON_ROWS = MOON + '{"timestamp": 3052, "input_length": 0, "output_length": 0, "hash_ids": []}\n'


@pytest.fixture
def read(tmp_path):
    def do(text, name="t.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_trace(path)

    return do


def test_burstgpt_by_hand(read):
    trace = read(BURST + BURST_ROWS)
    assert trace.format == "burstgpt"
    np.testing.assert_array_equal(trace.time_ns, [0, 40_250_000_000])
    np.testing.assert_array_equal(trace.prompt_tokens, [472, 1087])
    np.testing.assert_array_equal(trace.units, [18, 230])


def test_burstgpt_columns_of_the_later_release_failures_and_disorder(read):
    header = "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
    rows = "9,s1,1.5,m,10,2,12,Conversation log\n7,,,m,11,0,11,API log\n"
    rows += "8,,0.1,m,12,3,15,API log\n8,,0.1,m,13,4,17,API log\n"
    trace = read(header + rows)
    np.testing.assert_array_equal(trace.time_ns, np.array([0, 0, 1]) * 10**9)
    np.testing.assert_array_equal(trace.prompt_tokens, [12, 13, 10])
    assert (trace.n_failed, trace.n_reordered, trace.n_raised) == (1, 1, 0)


def test_mooncake_by_hand(read):
    trace = read(MOON_ROWS, "t.jsonl")
    assert trace.format == "mooncake"
    np.testing.assert_array_equal(trace.time_ns, [0, 3_052_000_000])
    np.testing.assert_array_equal(trace.prompt_tokens, [6758, 0])
    np.testing.assert_array_equal(trace.units, [500, 1])
    assert (trace.n_raised, trace.n_failed) == (1, 0)


@pytest.mark.parametrize("text", [BURST + BURST_ROWS, MOON_ROWS], ids=["burstgpt", "mooncake"])
def test_bom_gzip_line_ends_and_a_last_line_without_end_do_not_matter(read, text):
    plain = read(text)
    others = [
        read(b"\xef\xbb\xbf" + text.encode()),
        read(gzip.compress(text.encode()), "t.gz"),
        read(text.replace("\n", "\r\n")),
        read(text.replace("\n", "\n\n")),
        read(text.rstrip("\n")),
    ]
    for other in others:
        assert other.format == plain.format
        np.testing.assert_array_equal(other.time_ns, plain.time_ns)
        np.testing.assert_array_equal(other.units, plain.units)


def test_names_of_columns_may_differ_in_case_and_blanks(read):
    trace = read("LOG TYPE, response tokens ,timestamp,Request Tokens\nx,3,1,2\n")
    assert (trace.format, trace.units[0], trace.prompt_tokens[0]) == ("burstgpt", 3, 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(BURST, "header only", id="header-only"),
        pytest.param(BURST + "1,m,5,0,5,API log\n", "at least one request that did not fail", id="all-failed"),
        pytest.param("Timestamp,Model,Request tokens\n1,m,2\n", "missing: Response tokens", id="missing"),
        pytest.param(BURST.strip() + ",Timestamp\n", "no column twice", id="twice"),
        pytest.param(BURST + "1700000000000,m,5,1,6,x\n", "t.csv:2: Timestamp = '1700000000000'", id="ms-for-s"),
        pytest.param(BURST + "5000000000,m,5,1,6,x\n", "seconds >= 0 and <= 3150000000", id="159-years"),
        pytest.param(BURST + "-1,m,5,1,6,x\n", "(s, not ms)", id="negative-time"),
        pytest.param(BURST + "1e3,m,5,1,6,x\n", "Timestamp = '1e3'", id="exponent"),
        pytest.param(BURST + BURST_ROWS + "50,m,5.0,1,6,x\n", "t.csv:4: Request tokens = '5.0'", id="fraction"),
        pytest.param(BURST + "1,m,5,NA,6,x\n", "Response tokens = 'NA'", id="na"),
        pytest.param(BURST + BURST_ROWS + "50,m,1", "t.csv:4: row: must be 6 cells (found 3)", id="truncated"),
        pytest.param(BURST + "1,m,5,1,6,x,y\n", "found 7", id="too-long"),
        pytest.param(BURST + '1,"' + "m" * 200_000, "valid CSV", id="endless-cell"),
    ],
)
def test_bad_burstgpt(read, text, words):
    with pytest.raises(EdgeGymInputError) as caught:
        read(text)
    assert words in str(caught.value) and len(str(caught.value)) < 1000


@pytest.mark.parametrize("text", ["# A page\n\nof words\n", "timestamp,id\n1,2\n"], ids=["page", "other"])
def test_a_file_of_no_known_format_is_told_all_of_them(read, text):
    with pytest.raises(EdgeGymInputError) as caught:
        read(text)
    for header in ("TIMESTAMP,ContextTokens,GeneratedTokens (azure)", "Timestamp,Request tokens,Response tokens",
                   "JSON lines with timestamp,input_length,output_length (mooncake)", "docs/data.md"):  # fmt: skip
        assert header in str(caught.value)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        pytest.param('{"timestamp": 1, "input_len', "t.jsonl:3: must be one JSON object (column ", id="truncated"),
        pytest.param('{"timestamp": 1, "input_length": 5}', "t.jsonl:3: output_length: must be given", id="missing"),
        pytest.param('{"timestamp": -1, "input_length": 5, "output_length": 1}', "timestamp = -1", id="negative"),
        pytest.param('{"timestamp": 1e15, "input_length": 5, "output_length": 1}', "(ms, not s or ns)", id="ns-for-ms"),
        pytest.param('{"timestamp": NaN, "input_length": 5, "output_length": 1}', "number = 'NaN'", id="nan"),
        pytest.param('{"timestamp": 1e999, "input_length": 5, "output_length": 1}', "number = '1e999'", id="overflow"),
        pytest.param('{"timestamp": true, "input_length": 5, "output_length": 1}', "timestamp = True", id="bool"),
        pytest.param('{"timestamp": "1", "input_length": 5, "output_length": 1}', "timestamp = '1'", id="string"),
        pytest.param('{"timestamp": 1, "input_length": 5.0, "output_length": 1}', "input_length = 5.0", id="fraction"),
        pytest.param('{"timestamp": 1, "input_length": 5, "output_length": true}', "output_length = True", id="bool-2"),
        pytest.param('{"timestamp": ' + "9" * 5000 + "}", "too many digits", id="digits"),
        pytest.param("[" * 100_000, "nested too deep", id="deep"),
        pytest.param("[1]", "one JSON object", id="list"),
        pytest.param("x" * MAX_LINE, "shorter than", id="endless-line"),
    ],
)
def test_bad_mooncake(read, line, words):
    with pytest.raises(EdgeGymInputError) as caught:
        read(MOON_ROWS + line, "t.jsonl")
    assert words in str(caught.value) and str(caught.value).startswith("t.jsonl:3")
    assert len(str(caught.value)) < 1000


rows = st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**7), st.integers(1, 10**7)), min_size=1, max_size=20)
QUIET = {"suppress_health_check": [HealthCheck.function_scoped_fixture]}


@settings(max_examples=60, **QUIET)
@given(rows, st.sampled_from(["azure", "burstgpt", "mooncake"]))
def test_what_is_written_is_read_in_each_format(read, rows, format):
    if format == "azure":
        start = np.datetime64("2023-11-16T00:00:00.000")
        lines = [f"{str(start + np.timedelta64(ms, 'ms')).replace('T', ' ')},{p},{u}" for ms, p, u in rows]
        text = "TIMESTAMP,ContextTokens,GeneratedTokens\n" + "\n".join(lines)
    elif format == "burstgpt":
        text = BURST + "\n".join(f"{ms // 1000}.{ms % 1000:03d},m,{p},{u},{p + u},API log" for ms, p, u in rows)
    else:
        lines = [{"timestamp": ms, "input_length": p, "output_length": u} for ms, p, u in rows]
        text = "\n".join(map(json.dumps, lines))
    trace = read(text)
    expected = sorted(rows, key=lambda row: row[0])
    assert trace.format == format
    assert (trace.time_ns + expected[0][0] * 10**6).tolist() == [ms * 10**6 for ms, _, _ in expected]
    assert trace.prompt_tokens.tolist() == [p for _, p, _ in expected]
    assert trace.units.tolist() == [u for _, _, u in expected]


@settings(max_examples=300, **QUIET)
@given(st.binary(max_size=20), st.floats(0, 1), st.booleans(), st.sampled_from([BURST + BURST_ROWS, MOON_ROWS]))
@example(b"\x00", 0.9, False, MOON_ROWS)
def test_fuzz_requests(read, noise, where, zipped, text):
    data = gzip.compress(text.encode(), mtime=0) if zipped else text.encode()
    start = int(where * len(data))
    with contextlib.suppress(EdgeGymInputError):
        trace = read(data[:start] + noise + data[start + len(noise) // 2 :], "t.gz" if zipped else "t")
        assert trace.time_ns[0] == 0 and (np.diff(trace.time_ns) >= 0).all() and trace.units.min() >= 1


@pytest.mark.slow
@pytest.mark.parametrize("format", ["burstgpt", "mooncake"])
def test_bad_43_a_million_rows_of_each_format(tmp_path, format):
    path = tmp_path / "long"
    with open(path, "w") as file:
        file.write(BURST if format == "burstgpt" else "")
        row = "{0},m,374,44,418,API log\n" if format == "burstgpt" else None
        for i in range(1_000_000):
            file.write(row.format(i) if row else f'{{"timestamp": {i}, "input_length": 374, "output_length": 44}}\n')
    with takes_at_most(30):
        assert len(read_trace(path).time_ns) == 1_000_000


def test_the_samples_are_read(read):
    burst, moon = read_trace(DATA / "burstgpt.csv"), read_trace(DATA / "mooncake.jsonl")
    assert len(burst.time_ns) + burst.n_failed == 40 and burst.n_failed > 0
    assert len(moon.time_ns) == 30
