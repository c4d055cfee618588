"""Traces: exact times, documented rules, errors that name line, column and value (BAD-41 to BAD-43)."""

import contextlib
import gzip
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from processor_time import takes_at_most
from script_loader import load_script

from edge_gym.errors import EdgeGymInputError
from edge_gym.traces.cells import stamp_ns
from edge_gym.traces.requests import read_trace

HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
ROWS = "2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n"


@pytest.fixture
def read(tmp_path):
    def do(text, name="t.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_trace(path)

    return do


def test_by_hand(read):
    trace = read(HEADER + ROWS)
    np.testing.assert_array_equal(trace.time_ns, [0, 4_314_579_000])
    np.testing.assert_array_equal(trace.prompt_tokens, [374, 396])
    np.testing.assert_array_equal(trace.units, [44, 109])
    assert (trace.time_ns.dtype, trace.prompt_tokens.dtype, trace.units.dtype) == (np.int64, np.int32, np.int32)
    assert len(trace.sha256) == 64 and trace.n_reordered == trace.n_raised == 0


def test_bad_41_order_of_columns_bom_gzip_and_line_ends_do_not_matter(read):
    plain = read(HEADER + ROWS)
    swapped = "GeneratedTokens,TIMESTAMP,ContextTokens\n44,2023-11-16 18:15:46.6805900,374\n"
    others = [
        read(b"\xef\xbb\xbf" + (HEADER + ROWS).encode()),
        read(gzip.compress((HEADER + ROWS).encode()), "t.csv.gz"),
        read((HEADER + ROWS).replace("\n", "\r\n")),
        read(HEADER + "\n" + ROWS + "\n\n"),
        read(swapped + "109,2023-11-16 18:15:50.9951690,396"),
    ]
    for other in others:
        np.testing.assert_array_equal(other.time_ns, plain.time_ns)
        np.testing.assert_array_equal(other.units, plain.units)


def test_rules_for_disorder_equal_times_and_zero_tokens(read):
    stamp = "2023-11-16 00:00:0"
    trace = read(HEADER + f"{stamp}5,1,1\n{stamp}3,2,0\n{stamp}3,0,3\n{stamp}4.5,4,4\n")
    np.testing.assert_array_equal(trace.time_ns, [0, 0, 1_500_000_000, 2_000_000_000])
    np.testing.assert_array_equal(trace.prompt_tokens, [2, 0, 4, 1])
    np.testing.assert_array_equal(trace.units, [1, 3, 4, 1])
    assert (trace.n_reordered, trace.n_raised) == (1, 1)


def test_fractions_are_exact_to_100_ns_over_midnight_and_leap_day(read):
    trace = read(HEADER + "2024-02-29 23:59:59.9999999,1,1\n2024-03-01 00:00:00.0000001,1,1\n")
    np.testing.assert_array_equal(trace.time_ns, [0, 200])
    assert stamp_ns("2024-05-10 00:00:00.009930+00:00") == stamp_ns("2024-05-10T00:00:00.00993Z")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "the file is empty", id="BAD-41-empty"),
        pytest.param(HEADER, "header only", id="BAD-41-header-only"),
        pytest.param(ROWS, "t.csv:1: header", id="BAD-41-no-header"),
        pytest.param("TIMESTAMP,ContextTokens\n", "missing: GeneratedTokens", id="BAD-41-missing"),
        pytest.param(HEADER.strip() + ",NumImages\n", "unknown: NumImages", id="BAD-41-extra"),
        pytest.param(HEADER.strip() + ",TIMESTAMP\n", "no column twice", id="BAD-41-twice"),
        pytest.param(HEADER.replace(",", ";"), "separator is a comma", id="BAD-41-delimiter"),
        pytest.param(HEADER + "2023-11-16 18:15:46,1\n", "t.csv:2: row: must be 3 cells (found 2)", id="BAD-41-short"),
        pytest.param(HEADER + "2023-11-16 18:15:46,1,2,3\n", "found 4", id="BAD-41-long"),
        pytest.param(
            HEADER + ROWS + "2023-11-16 18:15:46,-1,2\n", "t.csv:4: ContextTokens = '-1'", id="BAD-42-negative"
        ),
        pytest.param(HEADER + "2023-11-16 18:15:46,1,NA\n", "GeneratedTokens = 'NA'", id="BAD-42-na"),
        pytest.param(HEADER + "2023-11-16 18:15:46,1,1.5\n", "= '1.5'", id="BAD-42-fraction"),
        pytest.param(HEADER + '2023-11-16 18:15:46,1,"1,000"\n', "= '1,000'", id="BAD-42-thousands"),
        pytest.param(HEADER + "2023-11-16 18:15:46,1,1e400\n", "= '1e400'", id="BAD-42-overflow"),
        pytest.param(HEADER + f"2023-11-16 18:15:46,1,{'9' * 500}\n", "<= 10000000 (tokens)", id="BAD-42-huge"),
        pytest.param(HEADER + "2023-11-16 18:15:46,1,\u0663\n", "GeneratedTokens", id="BAD-42-other-digits"),
        pytest.param(HEADER + "2023-11-16 18:15:46+02:00,1,1\n", "TIMESTAMP = ", id="BAD-42-zone"),
        pytest.param(HEADER + "2023-11-31 18:15:46,1,1\n", "TIMESTAMP = ", id="BAD-42-date"),
        pytest.param(HEADER + "2023-11-16 24:00:00,1,1\n", "TIMESTAMP = ", id="BAD-42-hour"),
        pytest.param(HEADER + "16/11/2023 18:15:46,1,1\n", "YYYY-MM-DD", id="BAD-42-form"),
        pytest.param(HEADER + "0001-01-01 00:00:00,1,1\n9999-01-01 00:00:00,1,1\n", "100 years", id="BAD-42-span"),
        pytest.param(HEADER + "x" * 2_000_000, "shorter than", id="BAD-43-endless-line"),
        pytest.param(HEADER.encode("utf-16"), "UTF-8", id="BAD-02"),
    ],
)
def test_bad_trace(read, text, words):
    with pytest.raises(EdgeGymInputError) as caught:
        read(text)
    assert words in str(caught.value)


def test_bad_44_truncated_or_false_gzip(read):
    whole = gzip.compress((HEADER + ROWS).encode())
    for data in (whole[:-4], whole[:20], b"plain", whole[:30] + b"\x00" + whole[31:]):
        with pytest.raises(EdgeGymInputError):
            read(data, "t.csv.gz")


def test_bad_03_missing_and_shipped_names(tmp_path):
    for path in (tmp_path, tmp_path / "none.csv", "edge_gym:../errors.py", "edge_gym:sample_azure.csv"):
        with pytest.raises(EdgeGymInputError):
            read_trace(path)
    assert len(read_trace("edge_gym:sample_azure_trace.csv").time_ns) == 2000


@pytest.mark.slow
def test_bad_43_a_million_rows_are_streamed(tmp_path):
    path = tmp_path / "long.csv"
    with open(path, "w") as file:
        file.write(HEADER)
        for i in range(1_000_000):
            file.write(f"2023-11-16 {i // 3600 % 24:02d}:{i // 60 % 60:02d}:{i % 60:02d}.{i:07d},374,44\n")
    with takes_at_most(10):
        trace = read_trace(path)
    assert len(trace.time_ns) == 1_000_000 and (np.diff(trace.time_ns) >= 0).all()


def test_bad_43_memory_is_bounded_by_the_rows(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text(HEADER + ROWS * 50_000)
    tracemalloc.start()
    read_trace(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000 * 80  # bytes a row, copies for sorting included


@pytest.mark.sources
def test_the_shipped_sample_is_what_its_script_makes():
    script = load_script("make_sample_trace")
    assert script.TARGET.read_text() == script.sample_text()


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=20), st.floats(0, 1), st.booleans())
def test_fuzz_traces(read, noise, where, zipped):
    data = (HEADER + ROWS).encode()
    data = gzip.compress(data, mtime=0) if zipped else data
    start = int(where * len(data))
    with contextlib.suppress(EdgeGymInputError):
        trace = read(data[:start] + noise + data[start + len(noise) // 2 :], "t.csv.gz" if zipped else "t.csv")
        assert trace.time_ns[0] == 0 and (np.diff(trace.time_ns) >= 0).all() and trace.units.min() >= 1
