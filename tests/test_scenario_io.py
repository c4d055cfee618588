"""Scenario files: exact round trips, strict parsing (BAD-01 to BAD-14, SEC-04 to SEC-06), and fuzzing."""

import contextlib
import dataclasses
import json
import os
import socket
import tracemalloc

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from processor_time import takes_at_most

from edge_gym.errors import EdgeGymInputError, InputErrors
from edge_gym.files import atomic_write
from edge_gym.scenario import Change
from edge_gym.scenario.io import dumps, fingerprint, load_scenario, loads, save_scenario
from edge_gym.scenario.presets import PRESETS, preset, resolve

TOY = preset("toy2")
YAML, JSON = dumps(TOY, "yaml"), dumps(TOY, "json")


def message(text, format="yaml"):
    with pytest.raises(EdgeGymInputError) as caught:
        loads(text, format, "sc.yaml")
    lines = str(caught.value).split("\n")
    assert len(lines) <= 21 and all(line.isprintable() for line in lines)
    return str(caught.value)


@pytest.mark.parametrize("format", ["json", "yaml"])
@pytest.mark.parametrize("name", PRESETS)
def test_round_trip_is_exact(name, format):
    scenario = preset(name)
    assert loads(dumps(scenario, format), format) == scenario
    assert dumps(loads(dumps(scenario, format), format), format) == dumps(scenario, format)


@pytest.mark.parametrize("format", ["json", "yaml"])
@pytest.mark.parametrize(
    "name", ["1e3", "010", "no", "null", "true", ".inf", "1_0", "0x1F", "-", "...", "---", "1.", "y"]
)
def test_round_trip_of_names_that_look_like_something_else(name, format):
    scenario = dataclasses.replace(TOY, name=name, timeline=(Change(time_s=1e-17, node=0, what="speed", value=1e-3),))
    assert loads(dumps(scenario, format), format) == scenario


@pytest.mark.parametrize("suffix", [".json", ".yaml", ".yml"])
def test_files_and_fingerprints(tmp_path, suffix):
    path = tmp_path / f"own{suffix}"
    save_scenario(TOY, path)
    assert load_scenario(path) == resolve(path) == resolve(str(path)) == TOY
    assert fingerprint(load_scenario(path)) == fingerprint(TOY)
    assert resolve(path, n_requests=5).n_requests == 5


def test_a_short_file_takes_the_defaults():
    text = """
version: 1
name: short
pool: {device_types: [l4], n_nodes: 2}
workloads:
  - {model: sdxl, prompt_tokens: {mean: 0}, units: {mean: 2e1}, deadline_s: 60}
arrivals: {load: 0.5}
"""
    scenario = loads(text)
    assert scenario.workloads[0].units.mean == 20.0
    assert scenario.horizon_s == 3600.0


def test_fingerprint_sees_every_field_and_the_content_of_files(tmp_path):
    assert fingerprint(TOY) != fingerprint(dataclasses.replace(TOY, drain_s=601.0))
    header = "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    for name, row in (("a", "x"), ("b", "x"), ("c", "y")):
        (tmp_path / name).write_text(header + row)
    prints = [fingerprint(preset("azure").with_overrides(trace_path=str(tmp_path / name))) for name in "abc"]
    assert prints[0] == prints[1] != prints[2]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("", "'version', 'name', 'pool'", id="BAD-01-empty"),
        pytest.param("# only a comment\n", "the file is empty", id="BAD-01-comment"),
        pytest.param("a: \x00", "valid YAML", id="BAD-02-nul"),
        pytest.param("a: &x [1]\nb: *x\n", "sc.yaml:1: must be written out in full (anchors", id="BAD-05-anchor"),
        pytest.param("[" * 5000, "nested at most 32", id="BAD-06-list"),
        pytest.param("{a: " * 5000, "nested at most 32", id="BAD-06-map"),
        pytest.param("a:\n\t- b", "sc.yaml:2: must be valid YAML (column", id="BAD-07-tab"),
        pytest.param("a: [1", "must be valid YAML", id="BAD-07-open"),
        pytest.param(
            "name: a\nversion: 1\nname: b\n",
            "sc.yaml:3: name: must be given once (duplicate key, first on line 1)",
            id="BAD-08",
        ),
        pytest.param("a: !!python/object/apply:os.system [id]", "tags are not allowed", id="BAD-09-python"),
        pytest.param("a: !!binary aGk=", "tags are not allowed", id="BAD-09-binary"),
        pytest.param("%TAG ! tag:x,2000:\n---\na: 1", "tags are not allowed", id="BAD-09-directive"),
        pytest.param("a: 1\n---\nb: 1\n", "sc.yaml:2: must be one document", id="BAD-11-documents"),
        pytest.param("- a\n", "must be a mapping", id="BAD-11-list"),
        pytest.param("? [a]\n: 1\n", "a key is a list", id="BAD-11-key"),
        pytest.param("name: x\n", "version: must be 1", id="BAD-12-missing"),
        pytest.param("version: 99\n", "sc.yaml:1: version = 99: must be 1", id="BAD-12-later"),
        pytest.param(YAML.replace("seed: 0", "seed: 010"), "seed = '010'", id="BAD-13-octal"),
        pytest.param(YAML.replace("seed: 0", "seed: 1e3"), "seed = 1000.0", id="BAD-13-exponent"),
        pytest.param(YAML.replace("seed: 0", "seed: no"), "seed = 'no'", id="BAD-13-no"),
        pytest.param(YAML.replace("seed: 0", "seed: true"), "found bool", id="BAD-13-bool"),
        pytest.param(YAML.replace("seed: 0", "seed: 1:30"), "'1:30'", id="BAD-13-sexagesimal"),
        pytest.param(YAML.replace("seed: 0", "sede: 0"), "did you mean 'seed'", id="BAD-10-nearest"),
        pytest.param(YAML.replace("drain_s: 600.0", "drain_s: .nan"), "drain_s = '.nan'", id="BAD-14-nan"),
        pytest.param(YAML.replace("drain_s: 600.0", "drain_s: .inf"), "finite number", id="BAD-14-inf"),
        pytest.param(YAML.replace("drain_s: 600.0", "drain_s: 1e999"), "finite number", id="BAD-14-overflow"),
        pytest.param(YAML.replace("drain_s: 600.0", "drain_s: null"), "finite number", id="BAD-11-null"),
        pytest.param(YAML + "_target_: os.system\n", "_target_: must be a known key", id="BAD-10-target"),
        pytest.param(YAML + "<<: {a: 1}\n", "<<: must be a known key", id="BAD-10-merge"),
    ],
)
def test_bad_yaml(text, words):
    assert words in message(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param("{", "sc.yaml:1: must be valid JSON", id="BAD-07"),
        pytest.param('{"version": 1, "version": 1}', "version: must be given once", id="BAD-08"),
        pytest.param('{"a": NaN}', "number = 'NaN': must be a finite number", id="BAD-14-nan"),
        pytest.param('{"a": -Infinity}', "finite number", id="BAD-14-inf"),
        pytest.param('{"a": 1e999}', "finite number", id="BAD-14-overflow"),
        pytest.param('{"a": ' + "1" * 5000 + "}", "finite number", id="BAD-14-digits"),
        pytest.param("[" * 100_000, "nested at most 32", id="BAD-06"),
        pytest.param("[" * 33 + "]" * 33, "nested at most 32", id="BAD-06-limit"),
        pytest.param("[" * 32 + "]" * 32, "must be a mapping", id="BAD-06-within"),
        pytest.param(JSON.replace('"toy2"', '"\\ud800"'), "printable text", id="BAD-39-surrogate"),
        pytest.param("[]", "must be a mapping", id="BAD-11"),
        pytest.param("null", "the file is empty", id="BAD-01"),
    ],
)
def test_bad_json(text, words):
    assert words in message(text, "json")


def test_bad_05_alias_bomb_is_refused_at_once():
    bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"{b}: &{b} [{','.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
    )
    with takes_at_most(5):
        assert "anchors and aliases" in message(bomb)


def test_all_errors_of_a_file_at_once_with_their_lines():
    text = (
        YAML.replace("n_nodes: 2", "n_nodes: -2").replace("age_s: 0.0", "age_s: 99").replace("share: 1.0", "shar: 1.0")
    )
    with pytest.raises(InputErrors) as caught:
        loads(text, "yaml", "sc.yaml")
    lines = text.split("\n")
    fields = [e.field for e in caught.value.errors]
    assert fields == ["pool.n_nodes", "workloads[0].shar", "telemetry.age_s"]
    for error in caught.value.errors:
        number = int(error.where.removeprefix("sc.yaml:"))
        assert error.field.rpartition(".")[2] in lines[number - 1]


def test_at_most_twenty_errors_are_shown():
    text = YAML + "".join(f"unknown{i}: 1\n" for i in range(50))
    assert message(text).endswith("... and more")


def test_bad_51_a_secret_in_an_unknown_key_is_not_echoed():
    assert "sk-123" not in message(YAML + "api_key: sk-123\n")


def test_errors_of_cross_checks_name_the_line():
    text = YAML.replace("model: toy\n  share", "model: toyy\n  share")
    assert "workloads[0].model = 'toyy'" in message(text)
    line = next(i for i, line in enumerate(text.split("\n"), 1) if line.startswith("- model: toyy"))
    assert message(text).startswith(f"sc.yaml:{line}: ")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b"\x1f\x8b\x08\x00", "gzip", id="BAD-02-gzip"),
        pytest.param("version: 1".encode("utf-16"), "UTF-16", id="BAD-02-utf16"),
        pytest.param(b"name: \xff", "offset 6", id="BAD-02-invalid"),
        pytest.param(b"#" * (11 * 2**20), "<= 10485760 bytes", id="BAD-04"),
    ],
)
def test_bad_file_content(tmp_path, data, words):
    path = tmp_path / "a.yaml"
    path.write_bytes(data)
    with pytest.raises(EdgeGymInputError) as caught:
        load_scenario(path)
    assert words in str(caught.value)


def test_byte_order_mark_is_accepted(tmp_path):
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbf" + YAML.encode())
    assert load_scenario(tmp_path / "a.yaml") == TOY


def test_bad_03_what_is_no_regular_file_never_blocks(tmp_path):
    (tmp_path / "folder.yaml").mkdir()
    os.mkfifo(tmp_path / "fifo.yaml")
    os.symlink("/dev/zero", tmp_path / "zero.yaml")
    with socket.socket(socket.AF_UNIX) as server:
        cwd = os.getcwd()
        os.chdir(tmp_path)  # the path of a socket must be short
        server.bind("socket.yaml")
        os.chdir(cwd)
        for name, word in (("folder", "folder"), ("fifo", "FIFO"), ("zero", "device"), ("socket", "socket")):
            with pytest.raises(EdgeGymInputError, match=word):
                load_scenario(tmp_path / f"{name}.yaml")
    with pytest.raises(EdgeGymInputError, match="No such file"):
        load_scenario(tmp_path / "none.yaml")
    with pytest.raises(EdgeGymInputError, match="ends with"):
        load_scenario(tmp_path / "none.toml")
    with pytest.raises(EdgeGymInputError):
        load_scenario("a\0b.yaml")


def test_atomic_write_lets_an_interrupt_through(tmp_path, monkeypatch):
    """RUN-17: Ctrl-C comes when the new file has just taken the old one's place."""
    rename = os.replace

    def interrupted(source, target):
        rename(source, target)
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        atomic_write(tmp_path / "file", "new")
    assert [p.read_text() for p in tmp_path.iterdir()] == ["new"]


def test_atomic_write_keeps_the_old_file_when_it_fails(tmp_path, monkeypatch):
    path = tmp_path / "a.yaml"
    atomic_write(path, "old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        save_scenario(TOY, path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.yaml"]


def test_many_values_below_long_keys_stay_small():
    inner = "[" + "1," * 400_000 + "]"
    text = "".join("{" + c * 900 + ": " for c in "abcdefgh") + inner + "}" * 8
    tracemalloc.start()
    assert "version: must be 1" in message(text)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 400 * 2**20  # whole paths would take 3 GB


def test_too_many_values_are_refused():
    assert "at most 500000 values" in message("[" + "1," * 600_000 + "]")


# ---- fuzz: whatever is done to a valid file, it is valid or an EdgeGymInputError


PLAIN = json.loads(JSON)
STRANGE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.text(max_size=20),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=3),
)


def places(data, path=()):
    """All paths of a nested value."""
    yield path
    if isinstance(data, dict | list):
        for key in data if isinstance(data, dict) else range(len(data)):
            yield from places(data[key], (*path, key))


PLACES = [p for p in places(PLAIN) if p]
FUZZ = settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])


def load_or_refuse(text, format):
    try:
        scenario = loads(text, format)
    except EdgeGymInputError as error:
        assert all(line.isprintable() for line in str(error).split("\n"))
    else:
        assert loads(dumps(scenario, format), format) == scenario


@FUZZ
@given(
    st.lists(
        st.tuples(st.sampled_from(PLACES), STRANGE, st.sampled_from(["set", "drop", "add"])), min_size=1, max_size=3
    )
)
def test_fuzz_structure(changes):
    data = json.loads(JSON)
    for path, value, what in changes:
        target = data
        try:
            for key in path[:-1]:
                target = target[key]
            if what == "drop":
                del target[path[-1]]
            elif what == "add" and isinstance(target[path[-1]], dict):
                target[path[-1]]["extra"] = value
            else:
                target[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    load_or_refuse(json.dumps(data), "json")


@FUZZ
@given(st.data(), st.sampled_from(["json", "yaml"]))
def test_fuzz_text(data, format):
    text = JSON if format == "json" else YAML
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        end = start + data.draw(st.integers(0, 20))
        tokens = [
            "\t",
            "{",
            "]",
            "&a ",
            "*a",
            "!!x ",
            "- ",
            ": ",
            "1e999",
            ".nan",
            "\u2028",
            "\x85",
            "'",
            '"',
            "\\ud800",
        ]
        text = text[:start] + data.draw(st.one_of(st.sampled_from(tokens), st.text(max_size=8))) + text[end:]
    load_or_refuse(text, format)


@FUZZ
@given(st.binary(max_size=200), st.integers(0, len(YAML)), st.sampled_from([".json", ".yaml"]))
def test_fuzz_bytes(tmp_path_factory, noise, start, suffix):
    path = tmp_path_factory.getbasetemp() / f"fuzz{suffix}"
    whole = (JSON if suffix == ".json" else YAML).encode()
    path.write_bytes(whole[:start] + noise + whole[start + len(noise) :])
    with contextlib.suppress(EdgeGymInputError):
        load_scenario(path)
