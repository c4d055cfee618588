"""Every example runs, at a small size."""

import runpy
import sys
from pathlib import Path

import pytest

import edge_gym
import edge_gym.policy

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
ARGUMENTS = {
    "random_agent": ["30"],
    "sb3_in_20_lines": ["100"],
    "ppo_single_file": ["--steps=800", "--n_requests=20", "--rollout=20", "--num_envs=8", "--episodes=2"],
    "custom_policy": ["30", "2"],
    "own_scenario": ["mine.yaml", "30"],
    "clone_and_plan": ["8"],
    "e3_live_llm": ["300", "2"],
    "place_and_move": ["1"],
    "sites_jsq": ["60", "2"],
    "sites_shared_ppo": ["128"],
}
SHOWS = {
    "random_agent": "mean latency of 30 requests",
    "sb3_in_20_lines": "learned:ppo.safetensors",
    "ppo_single_file": "oracle",
    "custom_policy": "oracle",
    "own_scenario": "request: ",
    "clone_and_plan": "with look-ahead",
    "e3_live_llm": "questions, ",
    "place_and_move": "patient",
    "sites_jsq": "site_3",
    "sites_shared_ppo": "learned:shared.safetensors",
}


def test_every_example_is_tried():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(ARGUMENTS)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_example_runs(name, tmp_path, monkeypatch, capsys):
    if name.startswith("sb3") or name.endswith("ppo"):
        pytest.importorskip("sb3_contrib")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *ARGUMENTS[name]])
    monkeypatch.setattr(edge_gym.policy, "POLICIES", dict(edge_gym.policy.POLICIES))  # an example adds its own
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert SHOWS[name] in capsys.readouterr().out
    made = {
        "own_scenario": {"mine.yaml"},
        "sb3_in_20_lines": {"ppo.safetensors"},
        "sites_shared_ppo": {"shared.safetensors"},
    }.get(name, set())
    assert {path.name for path in tmp_path.iterdir()} == made, "an example leaves files behind"


@pytest.mark.slow
def test_ppo_in_a_single_file_beats_random(tmp_path, monkeypatch, capsys):
    """By far: after 40,000 decisions, a seventh of the default, it has most of what there is to gain."""
    arguments = ["--steps", "40000", "--n_requests", "50", "--rollout", "50", "--episodes", "5"]
    found = {}
    evaluate = edge_gym.evaluate

    def watched(*given, **more):
        results = evaluate(*given, **more)
        found.update({row["policy"]: row["metrics"]["latency_mean_s"]["mean"] for row in results.summary()["rows"]})
        return results

    monkeypatch.setattr(edge_gym, "evaluate", watched)
    monkeypatch.setattr(sys, "argv", ["ppo_single_file.py", *arguments])
    runpy.run_path(str(EXAMPLES / "ppo_single_file.py"), run_name="__main__")
    assert "steps/s" in capsys.readouterr().out
    assert found["oracle"] <= found["ppo"] < found["oracle"] + 0.3 * (found["random"] - found["oracle"])
