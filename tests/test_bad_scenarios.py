"""BAD-01 to BAD-40: wrong scenario files on the command line. The message names line, field, value and range."""

import gzip
import os
import socket

import pytest
from processor_time import takes_at_most
from refusals import BENCH, SCENARIO, finished_run, refused

from edge_gym.cli.main import main

HORIZON = "must be > 0 and <= 3.15e+09 (s)"
COUNT = "must be an integer"
LAW = "kind: constant, mean: 3"


def case(name, old, new, *words):
    """A change of the scenario, and what the message says."""
    return pytest.param(old, new, words, id=f"BAD-{name}")


def number(name, field, old, values, allowed, prefix):
    """The same field with several wrong values, written as in YAML; numbers are echoed as Python writes them."""
    key = old.partition(":")[0]
    return [case(f"{name}-{value.strip()}", old, f"{key}: {value}", f"{prefix}{field} = ", allowed) for value in values]


CASES = [
    case("08", "horizon_s: 60", "horizon_s: 60\nhorizon_s: 61", "sc.yaml:9: horizon_s: must be given once", "line 8"),
    case("10-nearest", "horizon_s: 60", "horizn_s: 60", "sc.yaml:8: horizn_s: must be a known key", "'horizon_s'"),
    case("10-target", "version: 1", "version: 1\n_target_: os.system", "sc.yaml:2: _target_: must be a known key"),
    case("10-inside", "share: 1", "shre: 1", "workloads[0].shre: must be a known key (did you mean 'share'?)"),
    case("11-list", "pool: {device_types: [box], n_nodes: 2, queue_capacity: 4, slots: 1}", "pool: [1, 2]",
         "sc.yaml:3: pool = [1, 2]: must be a mapping (found list"),
    case("11-map", "device_types: [box]", "device_types: {box: 1}", "pool.device_types", "must be a list (found dict)"),
    case("11-null", "device_types: [box]", "device_types: null", "pool.device_types = None: must be a list"),
    case("11-text", "workloads:\n- {", "workloads: work\nx:\n- {", "workloads = 'work': must be a list (found str)"),
    case("11-documents", "name: small", "name: small\n---\nname: b", "sc.yaml:3: must be one document"),
    case("11-missing", "name: small\n", "", "sc.yaml: name: must be given (this key is missing)"),
    *number("12", "version", "version: 1", ("99", "0", "-1", '"1"', "1.5", "null", "[1]"), "must be 1", "sc.yaml:1: "),
    case("12-true", "version: 1", "version: true", "sc.yaml:1: version = True: must be an integer"),
    case("12-missing", "version: 1\n", "", "sc.yaml: version: must be 1 (the supported version of the format)"),
    *number("13", "seed", "seed: 0", ("-1", "1.5", '"abc"', "true", "010", "1e3", "9223372036854775808", "0x1F", "1_0"),
            "must be", "sc.yaml:7: topology."),
    *number("14", "horizon_s", "horizon_s: 60", ("0", "-1", "1e30", "-0.0"), HORIZON, "sc.yaml:8: "),
    *number("14", "horizon_s", "horizon_s: 60", (".inf", ".nan", "1e400", '"60"', "yes", "[60]", "1:30"),
            "must be a finite number > 0 and <= 3.15e+09", "sc.yaml:8: "),
    *number("15", "rate_per_s", "rate_per_s: 1", ("0", "-3", "1e12"), "must be >= 1e-09 and <= 1e+06 (requests/s)",
            "sc.yaml:6: arrivals."),
    *number("15", "rate_per_s", "rate_per_s: 1", (".nan", '"10/s"'), "must be a finite number", "arrivals."),
    case("15-none", "rate_per_s: 1", "burst_ratio: 2", "arrivals.load", "must be given, or rate_per_s, but not both"),
    case("16", "rate_per_s: 1}", "rate_per_s: 1e6}\nn_requests: 20000000000", "n_requests", "<= 1e+10"),
    case("16-product", "rate_per_s: 1}\ntopology: {kind: star, n_sites: 1, link_delay_s: 0.001, "
         "link_bandwidth_bytes_per_s: 1e8, seed: 0}\nhorizon_s: 60", "rate_per_s: 10}\nhorizon_s: 3e9",
         "horizon_s = 3000000000.0: must be such that requests <= 1e+10 (3e+10 expected"),
    case("17", "[box]", "[]", "pool.device_types = []: must be a list of 1 to 100000 items (found 0)"),
    *number("18", "n_nodes", "n_nodes: 2", ("100001", "0", "-4"), "must be >= 1 and <= 100000 (nodes)", "pool."),
    case("19", "models:", "- {name: box, memory_bytes: 1, storage_bytes_per_s: 1, nic_bytes_per_s: 1}\nmodels:",
         "devices[1] = 'box': must be different from devices[0]"),
    case("19-case", "models:", "- {name: BOX, memory_bytes: 1, storage_bytes_per_s: 1, nic_bytes_per_s: 1}\nmodels:",
         "devices[1] = 'BOX': must be different from devices[0]"),
    case("19-model", "services:", "- {name: Work, weights_bytes: 1}\nservices:", "models[1] = 'Work'", "models[0]"),
    case("19-service", "per_unit_s: 0.1}", "per_unit_s: 0.1}\n- {device: box, model: work, per_unit_s: 0.2}",
         "services[1] = 'box work': must be different from services[0]"),
    case("19-shipped", "name: box", "name: L4", "devices[0].name = 'L4': must be different from every shipped name"),
    *(case(f"20-{k}", "name: small", f"name: {name}", "name = ", "must be")
      for k, name in enumerate(('"../../etc"', '"<script>"', "x" * 10_000, '""', '"a\\n"', '"\\U0001F600"', '"a b"',
                                '"a/b"', '"\\x1b[31m"', '"\\u202Ea"', "7", "null"))),
    *(case(f"20-device-{k}", "{name: box", f"{{name: {name}", "devices[0].name", "[A-Za-z0-9_.-]{1,64}")
      for k, name in enumerate(('"../../etc"', '"<script>"', "x" * 65, '""'))),
    *number("21-unit", "per_unit_s", "per_unit_s: 0.1", ("0", "-4.0", "1e308"),
            "must be >= 1e-09 and <= 1e+06 (s/unit)", "sc.yaml:14: services[0]."),
    *number("21-unit", "per_unit_s", "per_unit_s: 0.1", (".nan", "fast", '"0.1"'), "must be a finite number",
            "services[0]."),
    *number("21-nic", "nic_bytes_per_s", "nic_bytes_per_s: 1e9", ("0", "-1", "1e308"),
            "must be >= 1 and <= 1e+13 (bytes/s)", "sc.yaml:10: devices[0]."),
    *number("21-memory", "memory_bytes", "memory_bytes: 1000", ("0", "-1", "9e15"), "must be", "devices[0]."),
    case("22", "weights_bytes: 10", "weights_bytes: 2000", "workloads[0].model = 'work'", "fits into some node",
         "it needs 2000 bytes, the largest memory that serves it has 1000"),
    case("23-relation", "power_idle_w: 5", "power_idle_w: 50",
         "devices[0].power_max_w = 10.0: must be >= power_idle_w = 50"),
    *number("23", "power_idle_w", "power_idle_w: 5", ("-1", "1e7"), "must be >= 0 and <= 1e+06 (W)", "devices[0]."),
    *(case(f"24-{field}-{value}", "horizon_s: 60", f"horizon_s: 60\nchurn: {{share: 0.5, {field}: {value}}}",
           f"sc.yaml:9: churn.{field} = ", "must be >= 0.001 and <= 1e+07 (s)")
      for field in ("up_mean_s", "down_mean_s") for value in (0, -1, 1e9)),
    *(case(f"24-share-{value}", "horizon_s: 60", f"horizon_s: 60\nchurn: {{share: {value}}}",
           f"churn.share = {value}", "must be >= 0 and <= 1 (share)") for value in (1.2, -0.1)),
    case("25-device", "[box]", "[bxo]", "pool.device_types[0] = 'bxo': must be a known device type",
         "did you mean 'box'?"),
    *number("27", "link_bandwidth_bytes_per_s", "link_bandwidth_bytes_per_s: 1e8", ("0", "-5", ".nan", "1e14"),
            "must be", "sc.yaml:7: topology."),
    *number("27-delay", "link_delay_s", "link_delay_s: 0.001", ("-1e-9", "11", ".inf"), "must be", "topology."),
    *number("29", "n_sites", "n_sites: 1", ("0", "-1", "10001", "1.5"), "must be", "topology."),
    case("32-model", "model: work, share", "model: wrk, share", "workloads[0].model = 'wrk': must be a known model",
         "did you mean 'work'?"),
    case("32-service", "model: work, per", "model: play, per", "services[0].model = 'play'"),
    case("32-unserved", "model: work, share", "model: sdxl, share", "model = 'sdxl'", "no service figures"),
    *number("32-size", "weights_bytes", "weights_bytes: 10", ("-1", "1e16", "1.5"), "must be", "models[0]."),
    case("33-mean", LAW, "kind: lognormal, mean: 0", "workloads[0].units.mean = 0.0: must be > 0 for kind lognormal"),
    case("33-sd", LAW, "kind: lognormal, mean: 3, cv: -1", "units.cv = -1", "must be >= 0 and <= 30 (ratio)"),
    case("33-scv", LAW, "kind: lognormal, mean: 3, cv: 1e9", "units.cv = 1000000000.0", "<= 30"),
    case("33-bounds", LAW, "kind: uniform, low: 5, high: 3", "units.low = 5.0: must be <= high = 3"),
    case("33-clip", LAW, "mean: 3, minimum: 5, maximum: 3", "units.minimum = 5.0: must be <= maximum = 3"),
    case("33-empty", LAW, "kind: empirical, values: []", "units.values = (): must be 1 to 4096 numbers"),
    case("33-order", LAW, "kind: empirical, values: [3, 1]", "units.values = (3.0, 1.0): must be", "ascending"),
    case("33-negative", LAW, "kind: empirical, values: [-0.1, 1]", "units.values[0] = -0.1: must be >= 0"),
    case("33-kind", LAW, "kind: gauss, mean: 3", "units.kind = 'gauss': must be one of constant, exponential"),
    case("33-nothing", LAW, "mean: 0", "workloads[0].units", "yields at least 1 unit"),
    *number("34", "deadline_s", "deadline_s: 5", ("0", "-1", "1e7", ".nan"), "must be", "sc.yaml:5: workloads[0]."),
    *number("35", "queue_capacity", "queue_capacity: 4", ("-1", "1000000000000000000", ".inf", "1.5", "null"),
            "must be", "sc.yaml:3: pool."),
    *number("36", "slots", "slots: 1", ("0", "1.5", "-1", "100001", "many"), "must be", "sc.yaml:3: pool."),
    *(case(f"37-{k}", "horizon_s: 60", f"horizon_s: 60\ndrift: {{share: 0.5, {field}}}", f"drift.{words}")
      for k, (field, words) in enumerate((
          ("speed_low: 0.9", "speed_low = 0.9: must be <= speed_high = 0.5"),
          ("speed_low: 0", "speed_low = 0: must be >= 0.001"),
          ("ramp_s: -1", "ramp_s = -1: must be >= 0"),
          ("hold_mean_s: 0", "hold_mean_s = 0: must be >= 0.001"),
          ("outage_share: 1.2", "outage_share = 1.2: must be >= 0 and <= 1"),
          ("notification: shout", "notification = 'shout': must be one of"),
          ("sigma: -1", "sigma: must be a known key")))),
    case("37-sigma", "horizon_s: 60", "horizon_s: 60\nbias_sigma: -0.1", "sc.yaml:9: bias_sigma = -0.1: must be >= 0"),
    *(case(f"{row}-{k}", "horizon_s: 60", f"horizon_s: 60\ntimeline: [{{{entry}}}]", f"timeline[0].{words}")
      for k, (row, entry, words) in enumerate((
          (38, "time_s: -1, node: 0, what: speed, value: 1", "time_s = -1: must be >= 0"),
          (38, "time_s: 61, node: 0, what: speed, value: 1", "time_s = 61.0: must be >= 0 (the change before it) and "
          "<= horizon_s = 60"),
          (40, "time_s: 1, node: 2, what: speed, value: 1", "node = 2: must be < pool.n_nodes = 2"),
          (40, "time_s: 1, node: 0, what: sped, value: 1", "what = 'sped': must be one of speed, alive (did"),
          (40, "time_s: 1, node: 0, what: speed, value: 0", "value = 0.0: must be >= 0.001 and <= 100 for speed"),
          (40, "time_s: 1, node: 0, what: speed, value: -1", "value = -1: must be >= 0"),
          (40, "time_s: 1, node: 0, what: speed, value: .nan", "value = '.nan': must be a finite number"),
          (40, "time_s: 1, node: 0, what: alive, value: 0.5", "value = 0.5: must be 0 or 1 for alive")))),
    case("38-unsorted", "horizon_s: 60", "horizon_s: 60\ntimeline:\n- {time_s: 9, node: 0, what: speed, value: 1}\n"
         "- {time_s: 8, node: 0, what: speed, value: 1}", "timeline[1].time_s = 8.0: must be >= 9 (the change"),
    case("46-zero", "horizon_s: 60", "horizon_s: 60\nweights: {latency: 0}", "> 0 in at least one of latency"),
    case("46-nan", "horizon_s: 60", "horizon_s: 60\nweights: {energy: .nan}", "weights.energy = '.nan'", "finite"),
    case("46-unknown", "horizon_s: 60", "horizon_s: 60\nweights: {latancy: 1}", "weights.latancy", "'latency'"),
    case("46-negative", "horizon_s: 60", "horizon_s: 60\nweights: {drop: -1}", "weights.drop = -1: must be >= 0"),
    case("51", "version: 1", "version: 1\nllm_api_key: sk-123456", "sc.yaml:2: llm_api_key: must be a known key"),
]  # fmt: skip


@pytest.fixture(scope="module")
def earlier(tmp_path_factory):
    """A folder with a run of the past."""
    folder = tmp_path_factory.mktemp("bad")
    finished_run(folder / "earlier")
    return folder


@pytest.fixture
def scenario(earlier):
    path = earlier / "sc.yaml"
    yield path
    path.unlink() if path.is_symlink() or path.is_file() else None


def with_scenario(capsys, path, *more):
    return refused(capsys, path.parent, *BENCH, "--scenario", path, *more)


def test_the_scenario_itself_is_fine(scenario, capsys):
    scenario.write_text(SCENARIO)
    assert main(["show", str(scenario)]) == 0 and "small" in capsys.readouterr().out


@pytest.mark.parametrize(("old", "new", "words"), CASES)
def test_bad_values(old, new, words, scenario, capsys):
    assert SCENARIO.count(old) == 1
    scenario.write_text(SCENARIO.replace(old, new), encoding="utf-8")
    err = with_scenario(capsys, scenario)
    assert all(word in err for word in words), err
    assert "sk-123456" not in err


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param("", "sc.yaml: must be a scenario with 'version', 'name'", id="BAD-01-empty"),
        pytest.param(" \n\n", "the file is empty", id="BAD-01-blank"),
        pytest.param("# nothing\n", "the file is empty", id="BAD-01-comment"),
        pytest.param("---\n...\n", "the file is empty", id="BAD-01-document"),
        pytest.param(gzip.compress(SCENARIO.encode()), "gzip", id="BAD-02-gzip"),
        pytest.param(SCENARIO.encode("utf-16"), "UTF-16", id="BAD-02-utf16"),
        pytest.param(SCENARIO.encode("utf-16-be"), "must be", id="BAD-02-utf16-without-mark"),
        pytest.param(SCENARIO.encode() + b"\xff", "invalid byte at offset", id="BAD-02-invalid"),
        pytest.param(os.urandom(100), "must be", id="BAD-02-binary"),
        pytest.param(b"#" * (11 * 2**20), "size = 11534336: must be <= 10485760 bytes", id="BAD-04"),
        pytest.param(BOMB, "sc.yaml:1: must be written out in full (anchors", id="BAD-05"),
        pytest.param(SCENARIO + "x: " + "[" * 5000, "nested at most 32", id="BAD-06-list"),
        pytest.param("{a: " * 5000, "nested at most 32", id="BAD-06-map"),
        pytest.param("- " * 5000, "nested at most 32", id="BAD-06-block"),
        pytest.param("name: a\npool:\n\tn_nodes: 1\n", "sc.yaml:3: must be valid YAML (column 1", id="BAD-07-tab"),
        pytest.param(SCENARIO + "x: [1\n", "must be valid YAML (column", id="BAD-07-open"),
        pytest.param("version: 1\nname: 'a\n", "must be valid YAML", id="BAD-07-quote"),
        pytest.param("a: !!python/object/apply:os.system [id]\n", "sc.yaml:1: must be plain data", id="BAD-09-python"),
        pytest.param("a: !!python/name:os.system\n", "tags are not allowed", id="BAD-09-name"),
        pytest.param("a: !include /etc/passwd\n", "tags are not allowed", id="BAD-09-include"),
        pytest.param("a: !!set {b}\n", "tags are not allowed", id="BAD-09-set"),
        pytest.param("- 1\n", "sc.yaml: file = [1]: must be a mapping (found list", id="BAD-11-root"),
        pytest.param("just words\n", "must be", id="BAD-11-words"),
    ],
)
def test_bad_files(data, words, scenario, capsys):
    scenario.write_bytes(data.encode() if isinstance(data, str) else data)
    with takes_at_most(5):
        assert words in with_scenario(capsys, scenario)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        pytest.param(lambda path: None, "No such file", id="BAD-03-missing"),
        pytest.param(lambda path: path.mkdir(), "found a folder", id="BAD-03-folder"),
        pytest.param(os.mkfifo, "found a FIFO", id="BAD-03-fifo"),
        pytest.param(lambda path: path.symlink_to("/dev/zero"), "found a device", id="BAD-03-device"),
        pytest.param(lambda path: path.symlink_to("nowhere"), "No such file", id="BAD-03-dangling"),
        pytest.param(lambda path: path.symlink_to(path.name), "symbolic links", id="BAD-03-loop"),
    ],
)
@pytest.mark.parametrize("command", ["scenario", "suite", "trace", "graphml", "checkpoint", "inspect"])
def test_what_is_no_file(command, make, words, earlier, capsys):
    """Never waits, whatever the path leads to."""
    name = {"scenario": "x.yaml", "suite": "x.yaml", "checkpoint": "x.safetensors"}.get(command, "x.csv")
    path = earlier / name
    make(path)
    try:
        arguments = {
            "scenario": [*BENCH, "--scenario", path],
            "suite": ["bench", "--suite", path, "--out", "run"],
            "trace": [*BENCH, "--scenario", "stationary", "--trace", path],
            "graphml": [
                *BENCH,
                "--scenario",
                "toy2",
                "--set",
                "topology.kind=graphml",
                "--set",
                f"topology.path={path}",
            ],
            "checkpoint": [*BENCH, "--scenario", "toy2", "--policies", f"learned:{path}"],
            "inspect": ["data", "inspect", path],
        }[command]
        if (command, words) == ("inspect", "found a folder"):
            words = "must be"  # a folder may be one of trajectories
        with takes_at_most(10):
            assert words in refused(capsys, earlier, *arguments)
    finally:
        path.rmdir() if path.is_dir() else path.unlink(missing_ok=True)


def test_BAD_03_a_socket(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("sc.yaml")
        assert "found a socket" in refused(capsys, tmp_path, *BENCH, "--scenario", "sc.yaml")


@pytest.mark.parametrize("n", [5, 50])
def test_all_errors_of_a_file_at_once(n, scenario, capsys):
    scenario.write_text(SCENARIO + "".join(f"wrong_{k}: 1\n" for k in range(n)))
    err = with_scenario(capsys, scenario)
    lines = err.splitlines()
    assert [f"wrong_{k}: must be a known key" in line for k, line in enumerate(lines[:5])] == [True] * 5
    assert ("and" in lines[-1] and "more" in lines[-1]) == (n == 50)


def test_json_is_as_strict(earlier, capsys):
    path = earlier / "sc.json"
    try:
        for text, words in (
            ("", "the file is empty"),
            ('{"version": 1, "version": 1}', "version: must be given once"),
            ('{"version": NaN}', "must be a finite number"),
            ('{"version": ' + "9" * 400 + "}", "must be a finite number"),
            ('{"version": 1,}', "sc.json:1: must be valid JSON (column"),
            ("[" * 100_000, "nested at most 32"),
            ('{"version": 1} {}', "must be valid JSON"),
        ):
            path.write_text(text)
            assert words in refused(capsys, earlier, *BENCH, "--scenario", path)
    finally:
        path.unlink()
