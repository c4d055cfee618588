"""`edge-gym data`: what a file is, its statistics, and conversions."""

import contextlib
import gzip
import importlib.util
import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_gym.cli.main import main
from edge_gym.errors import EdgeGymInputError
from edge_gym.network.topology import build_topology
from edge_gym.scenario import Topology
from edge_gym.traces.describe import describe
from edge_gym.traces.recognise import TITLES, recognise
from edge_gym.traces.requests import read_trace
from edge_gym.traces.statistics import arrivals, quantiles

ROOT = Path(__file__).parent.parent
DATA = ROOT / "tests" / "data"
KINDS = {
    "burstgpt.csv": "burstgpt", "mooncake.jsonl": "mooncake", "pods.csv": "pods", "sites.csv": "sites",
    "users.csv": "users", "servers.csv": "servers", "pings.csv": "pings", "zoo.graphml": "graphml", "fcd.xml": "sumo",
    "geolife": "geolife", "geolife/ann/Trajectory/20230501090000.plt": "geolife",
}  # fmt: skip


def run(capsys, *arguments):
    code = main(["data", *map(str, arguments)])
    return code, *capsys.readouterr()


def load_script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def test_the_samples_are_what_their_script_makes():
    samples = load_script("make_samples").samples()
    files = {str(path.relative_to(DATA)): path.read_bytes() for path in DATA.rglob("*") if path.is_file()}
    files = {name: data for name, data in files.items() if not name.startswith("golden/")}
    assert files == {name: text.encode() for name, text in samples.items()}


@pytest.mark.parametrize(("name", "kind"), KINDS.items())
def test_every_sample_is_recognised_and_described(capsys, name, kind):
    assert recognise(DATA / name) == kind
    code, out, err = run(capsys, "inspect", DATA / name)
    assert (code, err) == (0, "") and TITLES[kind] in out and len(out.splitlines()) > 1
    code, out, err = run(capsys, "inspect", DATA / name, "--json")
    assert code == 0 and json.loads(out)["kind"] == kind


def test_the_page_runs(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    page = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    exec(compile(block, "docs/data.md", "exec"), {"__name__": "__main__"})
    assert "ann attaches to site" in capsys.readouterr().out


def test_a_bomb_is_refused_and_not_tried_out(capsys, tmp_path):
    bomb = '<!DOCTYPE graphml [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    (tmp_path / "b.xml").write_text((DATA / "zoo.graphml").read_text().replace("<graphml", bomb + "<graphml", 1))
    code, _, err = run(capsys, "inspect", tmp_path / "b.xml")
    assert code == 2 and "DOCTYPE and ENTITY" in err


def test_recognition_does_not_look_at_the_name(tmp_path):
    for name, kind in KINDS.items():
        if "." in name:
            (tmp_path / "file").write_bytes((DATA / name).read_bytes())
            (tmp_path / "file.gz").write_bytes(gzip.compress((DATA / name).read_bytes()))
            assert recognise(tmp_path / "file") == recognise(tmp_path / "file.gz") == kind
            assert describe(tmp_path / "file") == describe(DATA / name)
    assert recognise("edge_gym:sample_azure_trace.csv") == "azure"
    (tmp_path / "file").write_text("site,a,b\nx,0.1,\n")
    assert recognise(tmp_path / "file") == "matrix"
    (tmp_path / "file").write_text((DATA / "zoo.graphml").read_text().replace("utf-8", "utf-16"), encoding="utf-16")
    assert recognise(tmp_path / "file") == "graphml"


UNKNOWN = [b"", b"\n\n", b"hello", b"a,b\nc,d\n", b"<svg/>", b"<", b'{"a": 1}', b"[]", b"\0\1", b"\xff\xfe\xff", b"'"]


@pytest.mark.parametrize("content", UNKNOWN)
def test_a_file_of_no_known_kind_is_one_error_that_lists_what_is_known(capsys, tmp_path, content):
    (tmp_path / "what").write_bytes(content)
    code, out, err = run(capsys, "inspect", tmp_path / "what")
    assert (code, out) == (2, "") and len(err.splitlines()) == 1
    assert all(title in err for title in TITLES.values())


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=20), st.floats(0, 1), st.sampled_from([name for name in KINDS if "." in name]), st.booleans())
def test_fuzz_inspect(tmp_path, noise, where, name, zipped):
    """Whatever a file holds, it is described or refused."""
    data = (DATA / name).read_bytes()
    data = gzip.compress(data, mtime=0) if zipped else data
    start = int(where * len(data))
    path = tmp_path / ("f.gz" if zipped else "f")
    path.write_bytes(data[:start] + noise + data[start + len(noise) // 2 :])
    with contextlib.suppress(EdgeGymInputError):
        json.dumps(describe(path), allow_nan=False)


def test_figures_by_hand():
    at = np.array([0, 0.5, 0.6, 2.1, 3.0]) * 1e9
    figures = arrivals(at.astype(np.int64))
    # three whole windows: 3, 0 and 1 arrivals
    gaps = np.array([0.5, 0.1, 1.5, 0.9])
    assert figures["rows"] == 5 and figures["span_s"] == 3.0
    assert figures["rate_per_s"] == pytest.approx(4 / 3)
    assert figures["gap_cv"] == pytest.approx(gaps.std() / gaps.mean())
    assert figures["dispersion_1s"] == pytest.approx((10 / 3 - (4 / 3) ** 2) / (4 / 3))
    assert quantiles(np.arange(1, 101)) == {"mean": 50.5, "p10": 10, "p50": 50, "p90": 90, "p99": 99, "max": 100}


def test_a_poisson_process_has_cv_and_dispersion_1():
    at = np.cumsum(np.random.default_rng(5).exponential(0.1, 200_000))
    figures = arrivals((at * 1e9).astype(np.int64))
    assert figures["gap_cv"] == pytest.approx(1, rel=0.02)
    assert figures["dispersion_1s"] == pytest.approx(1, rel=0.05)  # 3.5 standard errors: sqrt(2 / 20,000) each


def test_figures_that_cannot_be_had_are_none():
    figures = arrivals(np.zeros(3, dtype=np.int64))
    assert figures["rate_per_s"] is figures["gap_cv"] is figures["dispersion_1s"] is None
    assert arrivals(np.array([0, 3 * 10**18]))["dispersion_1s"] > 0  # a century: windows are counted, not stored
    assert quantiles(np.array([])) == {}


def test_statistics_survive_a_round_trip_through_another_format(tmp_path):
    """The same requests in another format have the same rate, CV, dispersion and quantiles."""
    trace = read_trace("edge_gym:sample_azure_trace.csv")
    rows = zip(trace.time_ns.tolist(), trace.prompt_tokens.tolist(), trace.units.tolist(), strict=True)
    lines = [f"{ns // 10**9}.{ns % 10**9:09d},m,{p},{u},{p + u},API log" for ns, p, u in rows]
    (tmp_path / "b.csv").write_text(
        "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n" + "\n".join(lines)
    )
    first, second = describe("edge_gym:sample_azure_trace.csv"), describe(tmp_path / "b.csv")
    assert {key for key in first if first[key] != second[key]} == {"kind", "title", "sha256"}


def test_networks_are_described(tmp_path):
    figures = describe(DATA / "zoo.graphml")
    counts = ("places", "links", "parallel_links_merged", "loops_left_out", "places_without_coordinates", "components")
    assert [figures[key] for key in counts] == [4, 3, 1, 1, 1, 1]
    net = build_topology(Topology(kind="graphml", path=str(DATA / "zoo.graphml"), access_delay_s=0.0), 4)
    assert figures["diameter_s"] == pytest.approx(net.delay_s.max(), rel=1e-5)
    # of the parallel links, equally long, the wider one stays
    assert net.plan.link_bandwidth.tolist() == [4e9 / 8, 1.25e8, 1e8 / 8]
    (tmp_path / "m.csv").write_text("site,a,b\nx,0.1,\ny,0.2,0.3\n")
    assert describe(tmp_path / "m.csv")["unreachable_pairs"] == 1


def test_handovers_need_sites_in_degrees(capsys, tmp_path):
    figures = describe(DATA / "fcd.xml", DATA / "sites.csv")
    assert figures["sites"] == 9 and figures["handovers"] > 0
    assert figures["handovers_per_user_hour"] == pytest.approx(figures["handovers"] / figures["user_hours"], rel=1e-4)
    with pytest.raises(EdgeGymInputError, match="used with trajectories"):
        describe(DATA / "pods.csv", DATA / "sites.csv")
    (tmp_path / "m.xml").write_text((DATA / "fcd.xml").read_text().replace('"true"', '"false"'))
    with pytest.raises(EdgeGymInputError, match="these are in metres"):
        describe(tmp_path / "m.xml", DATA / "sites.csv")


def test_convert(capsys, tmp_path):
    matrix, graphml = tmp_path / "m.csv", tmp_path / "n.graphml"
    code, out, err = run(capsys, "convert", "pings", DATA / "servers.csv", DATA / "pings.csv", "--out", matrix)
    assert (code, err) == (0, "") and "pool.n_nodes=5" in out and recognise(matrix) == "matrix"
    code, out, err = run(capsys, "convert", "eua", DATA / "sites.csv", DATA / "users.csv", "--out", graphml)
    assert (code, err) == (0, "") and recognise(graphml) == "graphml"
    before = matrix.read_bytes()
    code, _, err = run(capsys, "convert", "pings", DATA / "servers.csv", DATA / "pings.csv", "--out", matrix)
    assert code == 2 and "a new file" in err and matrix.read_bytes() == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["inspct", "x"], "did you mean 'inspect'"),
        (["inspect"], "FILE"),
        (["inspect", "none.csv"], "none.csv"),
        (["inspect", "a", "b"], "one file or folder"),
        (["inspect", "a", "--out", "b"], "--out: must be left out here"),
        (["convert", "pins", "a", "b"], "one of pings, eua"),
        (["convert", "pings", "a", "--out", "c"], "SERVERS PINGS"),
        (["convert", "pings", "a", "b"], "--out: must be given"),
        (["convert", "pings", "a", "b", "--out", "none/c"], "in a folder that is there"),
        (["convert", "pings", "a", "b", "--out", "c"], "a readable file"),
        (["convert", "pings", "a", "b", "--out", "c", "--json"], "--json: must be left out here"),
    ],
)
def test_wrong_arguments(capsys, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "") and words in err and not list(tmp_path.iterdir())
