"""An AgentScope agent proposes; the same guards dispose."""

import asyncio
import json
import os

import pytest
from edge_baselines.llm.client import Client
from edge_baselines.llm.extra import require_extra
from edge_baselines.llm.settings import API_KEY, LlmSettings
from edge_baselines.llm.stub.faults import FAULTS, GOOD, fault
from edge_baselines.llm.stub.in_process import InProcess
from edge_baselines.llm.stub.plays import rules, scripted
from edge_baselines.llm.stub.server import StubServer
from llm_toys import SYSTEM, TOOLS, ask, body, counted, make_advisor, plan_of, situation

from edge_gym.errors import EdgeGymInputError

try:
    require_extra(("agentscope",), "agentscope")
except EdgeGymInputError as error:
    pytest.skip(str(error), allow_module_level=True)

from edge_baselines.llm.agentscope_adapter import AgentScopeClient

CLOSED = [("set_risk_gate", {"node": "rtx_4090-7", "level": "closed"}), ("finish", {"reason": "done"})]


def test_over_the_network(monkeypatch, tmp_path):
    monkeypatch.setenv(API_KEY, "sk-canary-0123456789abcdef")
    with StubServer(rules()) as server:
        settings = LlmSettings(base_url=server.base_url, model="stub-1")
        with Client(settings) as inner:
            advisor = make_advisor(AgentScopeClient(inner, TOOLS), path=tmp_path / "t", mode="record")
            advisor.preflight()
            decision = ask(advisor)
        (ping, _), (_, headers) = server.requests, server.headers
    assert plan_of(decision) == CLOSED and decision.turns == 1
    assert ping["max_tokens"] == 1 and headers["authorization"].endswith("cdef")
    again = make_advisor(None, path=tmp_path / "t", mode="replay")
    assert ask(again) == decision


def test_the_model_is_told_what_it_would_be_told_without_an_agent():
    inner = InProcess(scripted([[("get_status", {}), ("get_status", {"node": "jetson-1"})], [("x", {})], GOOD]))
    bare = InProcess(scripted([[("get_status", {}), ("get_status", {"node": "jetson-1"})], [("x", {})], GOOD]))
    first, second = ask(make_advisor(AgentScopeClient(inner, TOOLS))), ask(make_advisor(bare))
    assert first.turns == second.turns == 3 and plan_of(first) == plan_of(second) is not None
    for one, other in zip(inner.requests, bare.requests, strict=True):
        assert one["messages"] == other["messages"]
        assert [t["function"]["name"] for t in one["tools"]] == [tool.name for tool in TOOLS], "and no other tool"
    assert inner.requests[0]["messages"][0] == {"role": "system", "content": SYSTEM}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_ends_as_it_does_without_an_agent(name):
    """LF rows by way of AgentScope: the same decision, the same counters, the same number of questions."""
    inner, bare = InProcess(fault(name, rules(), 2)), InProcess(fault(name, rules(), 2))
    with_agent, without = make_advisor(AgentScopeClient(inner, TOOLS)), make_advisor(bare)
    first, second = ask(with_agent), ask(without)
    assert (plan_of(first), first.fault, first.reason, first.turns) == (
        plan_of(second), second.fault, second.reason, second.turns)  # fmt: skip
    assert len(inner.requests) == len(bare.requests)
    assert {n: c for n, c in counted(with_agent).items() if "tokens" not in n} == {
        n: c for n, c in counted(without).items() if "tokens" not in n
    }


def test_within_a_running_event_loop():
    async def caller():
        return AgentScopeClient(InProcess(rules()), TOOLS).attempt(body(), 5.0)

    assert asyncio.run(caller()).fault is None


def test_an_agent_of_ones_own():
    from agentscope.agent import Agent
    from agentscope.middleware import MiddlewareBase

    class Polite(MiddlewareBase):
        async def on_system_prompt(self, agent, current_prompt):
            return current_prompt + " Be polite."

    inner = InProcess(rules())
    client = AgentScopeClient(inner, TOOLS, lambda **options: Agent(**options, middlewares=[Polite()]))
    assert plan_of(ask(make_advisor(client))) == CLOSED
    assert inner.requests[0]["messages"][0]["content"] == SYSTEM + " Be polite."


def test_the_agent_carries_nothing_out():
    from agentscope.agent import Agent

    agents = []

    def make(**options):
        agents.append(Agent(**options))
        return agents[-1]

    AgentScopeClient(InProcess(rules()), TOOLS, make).attempt(body(), 5.0)
    blocks = [block for message in agents[0].state.context for block in message.content]
    assert [block.state for block in blocks if block.type == "tool_call"] == ["submitted", "pending"]
    assert not any(block.type == "tool_result" for block in blocks)


def test_a_mistake_in_making_the_agent_is_not_hidden():
    def broken(**options):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        AgentScopeClient(InProcess(rules()), TOOLS, broken).attempt(body(), 5.0)


def test_nothing_of_the_clock_or_the_machine_is_told():
    inner = InProcess(rules())
    AgentScopeClient(inner, TOOLS).attempt(body(), 5.0)
    told = json.dumps(inner.requests)
    assert (
        os.getcwd() not in told
        and "reminder" not in told
        and situation() in inner.requests[0]["messages"][1]["content"]
    )
