"""Row LF-48: any fault at any time, for thousands of decisions."""

import pytest
from edge_baselines.llm.faults import FAULTS as NAMES
from edge_baselines.llm.stub.faults import FAULTS, chaos
from edge_baselines.llm.stub.in_process import InProcess
from edge_baselines.llm.stub.plays import rules
from edge_baselines.llm.tools import Call
from llm_toys import TOOLS, ask, check, counted, make_advisor, plan_of, situation

HARMLESS = [name for name in FAULTS if name.startswith("usage_") or name == "other_model"]
HARMFUL = [name for name in FAULTS if name not in HARMLESS]


def run(seed, probability=0.3, n=1000, names=tuple(FAULTS)):
    """n decisions; whoever shuts the endpoint for good is forgiven after ten of them, as a new run would."""
    advisor = make_advisor(InProcess(chaos(probability, seed, rules(), names)), stream=seed % 2 == 1)
    decisions = []
    for now in range(n):
        if now % 10 == 0:
            advisor.shut = ""
        level = "starts" if now % 2 else "is over"
        decisions.append(ask(advisor, text=situation(f"{now} s | jetson-{now % 2 + 1} | {level}"), now=now))
    return decisions, counted(advisor)


@pytest.mark.parametrize("seed", range(20))
def test_LF_48_chaos(seed):
    decisions, counters = run(seed)
    assert len(decisions) == counters["decisions"] == 1000 == counters["plans"] + counters["fallbacks"]
    for decision in decisions:
        if decision.plan is None:
            assert decision.fault in NAMES and 0 <= decision.thinking_s <= 30
        else:
            assert decision.fault is None and check(decision.plan) is None
            assert all(isinstance(call, Call) and call.tool in TOOLS and call.tool.writes for call in decision.plan)
    assert counters["plans"] > 300 and counters["fallbacks"] > 30
    assert sum(counters.get(name, 0) for name in NAMES) >= counters["fallbacks"]


def test_LF_48_the_same_faults_again():
    first, second = run(3, n=300), run(3, n=300)
    assert first == second and run(4, n=300) != first


def test_LF_48_only_faults_means_only_fallbacks():
    decisions, counters = run(1, 1.0, 200, HARMFUL)
    assert all(decision.plan is None for decision in decisions) and counters["fallbacks"] == 200


def test_LF_48_no_faults_means_no_fallbacks():
    decisions, counters = run(1, 0.0, 200)
    assert all(plan_of(decision) for decision in decisions) and "fallbacks" not in counters
    decisions, counters = run(2, 1.0, 200, HARMLESS)
    assert "fallbacks" not in counters
