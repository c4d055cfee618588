"""REP-05, BEN-14: what every environment shows is what it showed when its version was given."""

import json

import golden
import gymnasium
import pytest
from script_loader import load_script

from edge_gym.registration import TABLE
from edge_gym.scenario.presets import PRESETS

CASES = golden.every_case()
HINT = "a change of an environment needs a new version and a line in CHANGELOG.md (scripts/make_golden.py)"


def written(case):
    """The traces of a case, without what another machine need not have."""
    document = json.loads(golden.path_of(case.version).read_text())
    same = document["made_on"] == golden.made_on()
    traces = document["traces"][case.preset]
    return {seed: {k: v for k, v in one.items() if same or k != "exact"} for seed, one in traces.items()}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.version}-{case.preset}")
def test_rep_05_the_trace_is_the_one_that_was_written(case):
    expected, found = written(case), golden.trace(case)
    assert list(found) == list(expected) == [str(seed) for seed in golden.SEEDS]
    for seed, old in expected.items():
        differ = {name: (old[name], found[seed][name]) for name in old if found[seed][name] != old[name]}
        assert not differ, f"seed {seed}, written and found: {differ}; {HINT}"


def test_rep_05_there_is_a_trace_of_every_task_and_preset():
    """A preset or a task that nobody has written a trace of would change unseen."""
    files = {path: json.loads(path.read_text()) for path in sorted(golden.FOLDER.glob("*.json"))}
    assert sorted(one["version"] for one in files.values()) == sorted(golden.versions())
    for path, one in files.items():
        assert path == golden.path_of(one["version"])
        assert set(one["traces"]) == {case.preset for case in CASES if case.version == one["version"]}
    assert {f"{case.task}/{case.preset}" for case in CASES} >= set(PRESETS)
    assert len(CASES) >= 12


def test_rep_05_traces_of_different_seeds_and_worlds_differ():
    """Or the hashes would be of nothing."""
    found = [one for path in golden.FOLDER.glob("*.json") for one in json.loads(path.read_text())["traces"].values()]
    hashes = [seed["exact"] for one in found for seed in one.values()]
    assert len(set(hashes)) == len(hashes) == len(CASES) * len(golden.SEEDS)
    assert sum(seed["ended"] for one in found for seed in one.values()) > 3000, "the traces should see requests end"


@pytest.mark.parametrize("name", list(TABLE))
def test_ben_14_a_version_that_is_not_there_is_refused_with_the_one_that_is(name):
    other = name.replace("-v0", "-v99")
    with pytest.raises(gymnasium.error.VersionNotFound, match=name.partition("/")[2].replace("-v0", "") + ".*v0"):
        gymnasium.make(other)


def test_ben_14_a_changed_trace_is_not_written_without_a_new_version(tmp_path, monkeypatch, capsys):
    script = load_script("make_golden")
    cases = [golden.Case("routing", "toy2", False)]
    monkeypatch.setattr(golden, "FOLDER", tmp_path)
    monkeypatch.setattr(golden, "every_case", lambda: cases)
    monkeypatch.setattr(golden, "versions", lambda: [cases[0].version])
    monkeypatch.setattr("sys.argv", ["make_golden.py"])
    path = golden.path_of(cases[0].version)
    monkeypatch.setattr(script, "ROOT", tmp_path)
    (tmp_path / "CHANGELOG.md").write_text("nothing")
    assert script.main() == 1 and not path.exists(), "CHANGELOG.md does not name the version"
    (tmp_path / "CHANGELOG.md").write_text(f"- {cases[0].version}: first version")
    assert script.main() == 0 and script.main() == 0
    before = path.read_text()
    monkeypatch.setattr(golden, "REQUESTS", 59)  # the world has changed
    capsys.readouterr()
    assert script.main() == 1 and "edge_gym/Routing-v0, toy2: has changed" in capsys.readouterr().err
    cases[0] = golden.Case("routing", "stationary", False)
    assert script.main() == 1 and "edge_gym/Routing-v0, toy2: is gone" in capsys.readouterr().err
    assert path.read_text() == before
