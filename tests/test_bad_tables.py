"""BAD-25 to BAD-45 and SEC-07 to SEC-09: wrong tables and networks on the command line."""

import pytest
from refusals import BENCH, refused

from edge_gym.cli.main import main

HEAD = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
ROW = "2023-11-16 18:15:46,100,20\n"
TRACE = ("--scenario", "stationary", "--trace", "t.csv")
TOY = ("--scenario", "toy2")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "t.csv: must be a header with TIMESTAMP,ContextTokens", id="BAD-41-empty"),
        pytest.param(HEAD, "the file has a header only", id="BAD-41-header-only"),
        pytest.param("TIMESTAMP,ContextTokens\n" + "2023-11-16 18:15:46,many\n", "missing: GeneratedTokens",
                     id="BAD-41-missing"),
        pytest.param(HEAD.strip() + ",X\n" + ROW, "unknown: X", id="BAD-41-extra"),
        pytest.param(HEAD.strip() + ",TIMESTAMP\n" + ROW, "no column twice", id="BAD-41-twice"),
        pytest.param((HEAD + ROW).replace(",", ";"), "the separator is a comma", id="BAD-41-delimiter"),
        pytest.param((HEAD + ROW).replace(",", "\t"), "the separator is a comma", id="BAD-41-tab"),
        pytest.param(HEAD + ROW + "2023-11-16 18:15:47,1\n", "t.csv:3: row: must be 3 cells (found 2)",
                     id="BAD-41-ragged"),
        pytest.param(HEAD + "9," + ROW, "t.csv:2: row: must be 3 cells (found 4)", id="SEC-09-shifted"),
        *(
            pytest.param(HEAD + ROW + ROW.replace("100", cell), f"t.csv:3: ContextTokens = {shown}: must be",
                         id=f"BAD-42-{k}")
            for k, (cell, shown) in enumerate(
                (("-1", "'-1'"), ("NaN", "'NaN'"), ("NA", "'NA'"), ("", "''"), ("1e400", "'1e400'"), ("1.5", "'1.5'"),
                 ('"1,5"', "'1,5'"), ('"1,000"', "'1,000'"), ("9" * 30, "'" + "9" * 30 + "'"), ("many", "'many'"),
                 (" 100", "' 100'"), ("0x10", "'0x10'"), ("\u0663", "'\u0663'"), ("=1+1", "'=1+1'"), ("True", "'True'"))
            )
        ),
        pytest.param(HEAD + "2023-11-16 18:15:46+02:00,1,1\n", "TIMESTAMP = '2023-11-16 18:15:46+02:00'",
                     id="BAD-42-zone"),
        pytest.param(HEAD + "1700000000,1,1\n", "TIMESTAMP = '1700000000'", id="BAD-42-epoch"),
        pytest.param(HEAD + "2023-02-30 18:15:46,1,1\n", "must be YYYY-MM-DD", id="BAD-42-date"),
        pytest.param(HEAD + '"' + "x" * 2_000_000, "must be", id="BAD-43-endless-line"),
        pytest.param(HEAD.encode() + b"\xff\xfe" + ROW.encode(), "UTF-8", id="BAD-02-trace"),
        pytest.param((HEAD + ROW).encode("utf-16"), "UTF-8", id="BAD-02-trace-utf16"),
        pytest.param(b"PAR1\x15\x04\x15", "must be", id="BAD-44-parquet-is-not-read"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", ["bench", "inspect"])
def test_traces(command, text, words, place, capsys):
    (place / "t.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    arguments = [*BENCH, *TRACE] if command == "bench" else ["data", "inspect", "t.csv"]
    err = refused(capsys, place, *arguments)
    assert words in err or command == "inspect"  # which does not know what it should have been


def test_BAD_41_a_byte_order_mark_and_equal_times_are_fine(place, capsys, monkeypatch):
    monkeypatch.chdir(place)
    (place / "t.csv").write_bytes(b"\xef\xbb\xbf" + (HEAD + ROW + ROW).encode())
    assert main(["data", "inspect", "t.csv"]) == 0 and "rows: 2" in capsys.readouterr().out


@pytest.mark.parametrize("value", ["error", "", "LOOP", "null"])
def test_BAD_45_what_happens_at_the_end_of_a_trace(value, place, capsys):
    err = refused(capsys, place, *BENCH, "--scenario", "azure", "--set", f"on_trace_end={value}")
    assert "on_trace_end = " in err and "must be one of loop, stop" in err


MATRIX = "site,a,b\nbonn,0.001,0.002\n"
GRAPH = (
    '<graphml><key id="d" for="edge" attr.name="delay_s" attr.type="double"/><graph><node id="a"/><node id="b"/>'
    '<edge source="a" target="b"><data key="d">0.1</data></edge></graph></graphml>'
)
QUADRATIC = f'<!DOCTYPE g [<!ENTITY a "{"x" * 50_000}">]><graphml>{"&a;" * 50_000}</graphml>'
LAUGHS = '<!DOCTYPE g [<!ENTITY a "ha">' + "".join(
    f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True)
) + "]><graphml>&i;</graphml>"  # fmt: skip
OUTSIDE = '<!DOCTYPE g [<!ENTITY x SYSTEM "file:///etc/passwd">]><graphml>&x;</graphml>'


@pytest.mark.parametrize(
    ("kind", "text", "words"),
    [
        pytest.param("matrix", MATRIX.replace("0.002", "-1"), "net:2: column b = '-1'", id="BAD-27-matrix"),
        pytest.param("matrix", MATRIX.replace("0.002", "nan"), "net:2: column b = 'nan'", id="BAD-27-matrix-nan"),
        pytest.param("matrix", MATRIX.replace("0.002", ""), "allow_disconnected", id="BAD-28-matrix"),
        pytest.param("matrix", MATRIX + "bonn,1,1\n", "net:3: site = 'bonn'", id="BAD-19-matrix"),
        pytest.param("graphml", GRAPH.replace("</graph>", '<node id="c"/></graph>'), "allow_disconnected", id="BAD-28"),
        pytest.param("graphml", GRAPH.replace('target="b"', 'target="z"'), "edge end = 'z'", id="BAD-25"),
        pytest.param("graphml", GRAPH.replace(">0.1<", ">NaN<"), "delay_s = 'NaN': must be", id="BAD-31-nan"),
        pytest.param("graphml", GRAPH.replace(">0.1<", ">-1<"), "delay_s = '-1': must be", id="BAD-27-graphml"),
        pytest.param("graphml", GRAPH.replace('<node id="b"/>', '<node id="a"/>'), "must be given once",
                     id="BAD-31-twice"),
        pytest.param("graphml", GRAPH.replace('attr.type="double"', ""), "attr.type", id="BAD-31-type"),
        pytest.param("graphml", GRAPH.replace('id="b"', 'id="&lt;b&gt;"'), "printable", id="BAD-31-html"),
        pytest.param("graphml", "<graphml><graph/></graphml>", "nodes: must be at least one", id="BAD-31-empty"),
        pytest.param("graphml", LAUGHS, "DOCTYPE and ENTITY declarations are not allowed", id="SEC-07-laughs"),
        pytest.param("graphml", QUADRATIC, "DOCTYPE and ENTITY declarations are not allowed", id="SEC-07-quadratic"),
        pytest.param("graphml", OUTSIDE, "DOCTYPE and ENTITY declarations are not allowed", id="SEC-07-outside"),
        pytest.param("graphml", OUTSIDE.encode("utf-16"), "DOCTYPE and ENTITY declarations", id="SEC-07-utf16"),
        pytest.param("graphml", GRAPH.replace("<graph>", "<?php 1 ?><graph>"), "instructions", id="SEC-07-instruction"),
        pytest.param("graphml", "<graphml>" + "<a>" * 100_000, "nested at most 32", id="SEC-07-deep"),
        pytest.param("graphml", f'<graphml a="{"x" * 5_000_000}', "at most 4194304 bytes", id="SEC-07-long-tag"),
        pytest.param("graphml", GRAPH.replace(">0.1<", f">{'1' * 5000}<"), "at most 4096 characters", id="SEC-07-text"),
    ],
)  # fmt: skip
def test_networks(kind, text, words, place, capsys):
    (place / "net").write_bytes(text if isinstance(text, bytes) else text.encode())
    settings = ["--set", f"topology.kind={kind}", "--set", "topology.path=net"]
    err = refused(capsys, place, *BENCH, *TOY, *settings)
    assert words in err and "root:" not in err
