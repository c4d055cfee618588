"""Every example runs, at a small size."""

import ast
import importlib.util
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from edge_baselines.llm.stub.plays import rules
from edge_baselines.llm.stub.server import StubServer

import edge_gym
import edge_gym.policy

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
ARGUMENTS = {
    "random_agent": ["30"],
    "sb3_in_20_lines": ["100"],
    "ppo_single_file": ["--steps=800", "--n_requests=20", "--rollout=20", "--num_envs=8", "--episodes=2"],
    "custom_policy_in_the_benchmark": ["30", "2", "run"],
    "own_scenario": ["mine.yaml", "30"],
    "clone_and_plan": ["8"],
    "e3_live_llm": ["300", "2"],
    "place_and_move": ["1"],
    "sites_jsq": ["60", "2"],
    "sites_shared_ppo": ["128"],
    "maskable_ppo": ["80", "2"],
    "meta_controller": ["200", "2"],
    "own_trace_and_topology": ["200", "2"],
    "rllib_ppo": ["2"],
}
SHOWS = {
    "random_agent": "mean latency of 30 requests",
    "sb3_in_20_lines": "learned:ppo.safetensors",
    "ppo_single_file": "oracle",
    "custom_policy_in_the_benchmark": "routing / churn",
    "own_scenario": "request: ",
    "clone_and_plan": "with look-ahead",
    "e3_live_llm": "questions, ",
    "place_and_move": "patient",
    "sites_jsq": "site_3",
    "sites_shared_ppo": "learned:shared.safetensors",
    "maskable_ppo": "first choice: ",
    "meta_controller": "careful",
    "own_trace_and_topology": "our-offices",
    "rllib_ppo": "iteration 2: mean latency",
}
MADE = {
    "own_scenario": {"mine.yaml"},
    "sb3_in_20_lines": {"ppo.safetensors"},
    "custom_policy_in_the_benchmark": {"run"},
    "sites_shared_ppo": {"shared.safetensors"},
}
NEEDS = {
    "sb3_in_20_lines": ["sb3_contrib"],
    "maskable_ppo": ["sb3_contrib"],
    "sites_shared_ppo": ["sb3_contrib"],
    "rllib_ppo": ["ray", "tree"],
    "ppo_single_file": ["torch"],
    "e3_live_llm": ["pydantic"],
}
LINES = 60


def test_every_example_is_tried():
    assert {path.stem for path in EXAMPLES.glob("*.py")} == set(ARGUMENTS)


@pytest.mark.parametrize("name", [name for name in ARGUMENTS if name != "ppo_single_file"])
def test_example_is_short_and_says_what_it_shows(name):
    text = (EXAMPLES / f"{name}.py").read_text()
    assert len(text.splitlines()) <= LINES
    assert f"{name}.py" in (ast.get_docstring(ast.parse(text)) or ""), "it does not say how it is called"


@pytest.mark.parametrize("name", [name for name in ARGUMENTS if name != "rllib_ppo"])
def test_example_runs(name, tmp_path, monkeypatch, capsys):
    for package in NEEDS.get(name, ()):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [f"{name}.py", *ARGUMENTS[name]])
    monkeypatch.setattr(edge_gym.policy, "POLICIES", dict(edge_gym.policy.POLICIES))  # an example adds its own
    runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
    assert SHOWS[name] in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == MADE.get(name, set()), "an example leaves files behind"


def test_a_live_model_is_asked_over_http(tmp_path, monkeypatch, capsys):
    """The same example with an endpoint in the environment; the one of `edge-gym stub-llm`."""
    pytest.importorskip("openai")
    with StubServer(rules()) as server:
        monkeypatch.setenv("EDGE_GYM_LLM_BASE_URL", server.base_url)
        monkeypatch.setenv("EDGE_GYM_LLM_MODEL", "stub-1")
        monkeypatch.setenv("EDGE_GYM_LLM_ALLOW_UNPRICED", "true")
        monkeypatch.setattr(sys, "argv", ["e3_live_llm.py", "300", "2"])
        runpy.run_path(str(EXAMPLES / "e3_live_llm.py"), run_name="__main__")
    out = capsys.readouterr().out
    assert "stand-in" not in out
    assert float(re.search(r"([0-9.]+) questions", out)[1]) * 2 <= len(server.requests) > 0


def test_rllib_learns_in_its_own_environment(tmp_path):
    """In a process of its own, which takes Ray's servers with it when it ends."""
    for package in NEEDS["rllib_ppo"]:
        if importlib.util.find_spec(package) is None:
            pytest.skip("needs the extra 'rllib', which wants an environment of its own")
    command = [sys.executable, EXAMPLES / "rllib_ppo.py", *ARGUMENTS["rllib_ppo"]]
    quiet = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(command, cwd=tmp_path, env=quiet, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr[-3000:]
    assert SHOWS["rllib_ppo"] in done.stdout and "rllib_ppo" in done.stdout


@pytest.mark.slow
def test_ppo_in_a_single_file_beats_random(tmp_path, monkeypatch, capsys):
    """By far: after 40,000 decisions, a seventh of the default, it has most of what there is to gain."""
    pytest.importorskip("torch")
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
