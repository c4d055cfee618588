"""Every example runs, at a small size."""

import runpy
import sys
from pathlib import Path

import pytest

import edge_gym.policy

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
ARGUMENTS = {
    "random_agent": ["30"],
    "sb3_maskable_ppo": ["100"],
    "custom_policy": ["30", "2"],
    "own_scenario": ["mine.yaml", "30"],
    "clone_and_plan": ["8"],
    "e3_live_llm": ["300", "2"],
    "place_and_move": ["1"],
}
SHOWS = {
    "random_agent": "mean latency of 30 requests",
    "sb3_maskable_ppo": "sect_static: mean latency",
    "custom_policy": "oracle",
    "own_scenario": "request: ",
    "clone_and_plan": "with look-ahead",
    "e3_live_llm": "questions, ",
    "place_and_move": "patient",
}


def test_every_example_is_tried():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(ARGUMENTS)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_example_runs(name, tmp_path, monkeypatch, capsys):
    if name.startswith("sb3"):
        pytest.importorskip("sb3_contrib")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *ARGUMENTS[name]])
    monkeypatch.setattr(edge_gym.policy, "POLICIES", dict(edge_gym.policy.POLICIES))  # an example adds its own
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert SHOWS[name] in capsys.readouterr().out
    made = {"own_scenario": {"mine.yaml"}}.get(name, set())
    assert {path.name for path in tmp_path.iterdir()} == made, "an example leaves files behind"
