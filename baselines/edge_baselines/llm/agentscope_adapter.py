"""An AgentScope 2.x agent in place of a bare model: it proposes calls, which go through the same guards as any other.

The agent gets our tools as external ones: it may propose them and can carry out none. Its model sends through our
own client, so deadline, retries, budget, transcript and key stay where they are. It gets no other tool, no file or
shell access, and no clock in its prompt.
"""

from __future__ import annotations

import asyncio
import dataclasses
import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

from edge_baselines.llm.client import Outcome
from edge_baselines.llm.completions import Message
from edge_baselines.llm.exchange import Asks
from edge_baselines.llm.extra import require_extra
from edge_baselines.llm.tools import Tool

NAME = "advisor"
PROPOSAL = "proposal_"  # begins the id of each call of the present step
CONTEXT_TOKENS = 10**9  # the agent never compresses: what is too long, the endpoint says and we shorten
# the agent never compresses its context: too long is for the endpoint to say, and ours to shorten

MakeAgent = Callable[..., Any]


class AgentScopeClient:
    """Lets an AgentScope agent answer: one attempt is one reasoning step of a fresh agent with the whole conversation.

    Give it to `pipeline.Advisor` where a `client.Client` goes.

    Args:
        inner: Sends what the agent's model is asked; a `client.Client`.
        tools: What the agent is offered; the same as the advisor's.
        make_agent: Makes the agent from the keyword arguments of `agentscope.agent.Agent`; to add middlewares.

    Raises:
        EdgeGymInputError: If agentscope is not installed.
    """

    def __init__(self, inner: Asks, tools: Sequence[Tool], make_agent: MakeAgent | None = None):
        require_extra(("agentscope",), "agentscope")
        self.inner, self.tools, self.make_agent = inner, tuple(tools), make_agent

    def attempt(self, body: dict[str, Any], seconds: float, tag: str = "") -> Outcome:
        """See `client.Client.attempt`."""
        # In a thread of its own, since the caller may be running an event loop already.
        with ThreadPoolExecutor(1, "agent") as pool:
            return pool.submit(asyncio.run, self._step(body, seconds, tag)).result()

    def preflight(self) -> None:
        """See `client.Client.preflight`."""
        preflight = getattr(self.inner, "preflight", None)
        if preflight is not None:
            preflight()

    async def _step(self, body: dict[str, Any], seconds: float, tag: str) -> Outcome:
        parts = _library()
        model = parts.Model(self.inner, body, seconds, tag)
        system, *rest = body["messages"]
        agent = (self.make_agent or parts.Agent)(
            name=NAME,
            system_prompt=system["content"],
            model=model,
            toolkit=parts.Toolkit(tools=[parts.Proposal(tool) for tool in self.tools]),
            state=parts.AgentState(context=_context(rest, parts)),
            react_config=parts.ReActConfig(max_iters=1),
            injection_config=parts.InjectionConfig(inject_runtime_state=False),
        )
        try:
            await agent.reply(None)
        except Exception:
            if model.outcome is None:  # the agent never came to ask: a mistake in how it was made, not a fault
                raise
        outcome = model.outcome
        if outcome is None or outcome.answer is None:
            return outcome or Outcome(None, "refusal", "the agent asked nothing", 0.0)
        return dataclasses.replace(outcome, answer=dataclasses.replace(outcome.answer, calls=_proposals(agent)))


def _proposals(agent: Any) -> tuple[tuple[str, str], ...]:
    """The calls that the agent now holds from this step, in the words of the model."""
    blocks = [block for message in agent.state.context for block in message.get_content_blocks("tool_call")]
    return tuple((block.name, block.input) for block in blocks if block.id.startswith(PROPOSAL))


def _context(messages: Sequence[Message], parts: Any) -> list[Any]:
    """Our messages as the agent's; the results of tools stand in the message that asked for them."""
    context: list[Any] = []
    for message in messages:
        if message["role"] == "user":
            context.append(parts.UserMsg(name="user", content=message["content"]))
        elif message["role"] == "tool":
            key = message["tool_call_id"]
            (name,) = [b.name for b in context[-1].get_content_blocks("tool_call") if b.id == key]
            output = [parts.TextBlock(text=message["content"])]
            done = parts.ToolResultState.SUCCESS
            context[-1].content.append(parts.ToolResultBlock(id=key, name=name, output=output, state=done))
        else:
            blocks = [parts.TextBlock(text=message["content"])] if message["content"] else []
            done = parts.ToolCallState.FINISHED
            for call in message.get("tool_calls", ()):
                name, text = call["function"]["name"], call["function"]["arguments"]
                blocks.append(parts.ToolCallBlock(id=call["id"], name=name, input=text, state=done))
            context.append(parts.AssistantMsg(name=NAME, content=blocks))
    return context


@functools.cache
def _library() -> SimpleNamespace:
    """The classes of AgentScope, and ours that derive from them."""
    from agentscope import agent, credential, formatter, message, model, permission, state, tool

    class Proposal(tool.ToolBase):
        """A tool that the agent can propose and never run."""

        is_external_tool = True
        is_concurrency_safe = False

        def __init__(self, ours: Tool):
            super().__init__()
            self.name, self.description = ours.name, ours.description
            self.input_schema = ours.arguments.model_json_schema()
            self.is_read_only = not ours.writes

        async def check_permissions(self, tool_input: dict[str, Any], context: Any) -> Any:
            """Proposing is always allowed; without this the agent would wait for a person for ever."""
            return permission.PermissionDecision(permission.PermissionBehavior.ALLOW, "a proposal")

    class SecondQuestion(Exception):
        """The agent wants to ask again within one step."""

    class Model(model.ChatModelBase):
        """Asks once, through our client."""

        def __init__(self, inner: Asks, body: dict[str, Any], seconds: float, tag: str):
            super().__init__(
                credential.CredentialBase(), body["model"], self.Parameters(), stream=False, max_retries=0,
                context_size=CONTEXT_TOKENS,
            )  # fmt: skip
            self.inner, self.body, self.seconds, self.tag = inner, body, seconds, tag
            self.formatter = formatter.OpenAIChatFormatter()
            self.outcome: Outcome | None = None

        async def _call_api(
            self, model_name: str, messages: list[Any], tools: Any = None, tool_choice: Any = None, **_: Any
        ) -> Any:
            if self.outcome is not None:
                raise SecondQuestion
            plain = [plain_message(item) for item in await self.formatter.format(messages)]
            body = {**self.body, "messages": plain, "tools": tools or []}
            self.outcome = self.inner.attempt(body, self.seconds, self.tag)
            if self.outcome.answer is None:
                raise ConnectionError(self.outcome.fault)
            blocks: list[Any] = [message.TextBlock(text=self.outcome.answer.content or "-")]
            for i, (name, text) in enumerate(self.outcome.answer.calls):
                blocks.append(message.ToolCallBlock(id=f"{PROPOSAL}{i}", name=name, input=text))
            return model.ChatResponse(content=blocks, is_last=True)

    return SimpleNamespace(
        Model=Model, Proposal=Proposal, Agent=agent.Agent, ReActConfig=agent.ReActConfig,
        InjectionConfig=agent.InjectionConfig, AgentState=state.AgentState, Toolkit=tool.Toolkit, **vars(message),
    )  # fmt: skip


def plain_message(item: Message) -> Message:
    """A message with its text as one string, which every endpoint understands, and without names."""
    content = item.get("content")
    if isinstance(content, list):
        content = "".join(part.get("text", "") for part in content)
    return {**{key: value for key, value in item.items() if key != "name"}, "content": content}
