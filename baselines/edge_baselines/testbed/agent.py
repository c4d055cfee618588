"""An AgentScope agent that talks, can be written down as bytes and be made again from them elsewhere.

It has no tools at all. Its model sends through our own client, so deadline and limits are where they always are.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

from edge_baselines.llm.agentscope_adapter import CONTEXT_TOKENS, plain_message
from edge_baselines.llm.completions import Answer, request_body
from edge_baselines.llm.exchange import Asks
from edge_baselines.llm.settings import LlmSettings

NAME = "assistant"
SYSTEM = "You are a helpful assistant who remembers the whole conversation."
FILLER = "We talked about the weather, the harvest and the long way home along the river. "


class NotAnswered(Exception):
    """The endpoint gave no answer; the message is the fault."""


class HostedAgent:
    """One agent, in this process.

    Args:
        client: Sends what the agent's model is asked.
        settings: The model and its limits.
        state: An AgentState; a new one by default.
    """

    def __init__(self, client: Asks, settings: LlmSettings, state: Any = None):
        parts = _library()
        self.model = parts.Model(client, settings)
        self.agent = parts.Agent(
            name=NAME,
            system_prompt=SYSTEM,
            model=self.model,
            toolkit=parts.Toolkit(),
            state=state or parts.AgentState(),
            react_config=parts.ReActConfig(max_iters=1),
            injection_config=parts.InjectionConfig(inject_runtime_state=False),
        )

    @classmethod
    def prepared(cls, client: Asks, settings: LlmSettings, opening: str, messages: int, characters: int) -> HostedAgent:
        """Returns an agent that already has a conversation behind it.

        Args:
            client: As above.
            settings: As above.
            opening: How the user's first message begins.
            messages: Number of messages, by user and agent in turn.
            characters: Length of each; all are ASCII.
        """
        parts = _library()
        context = []
        for i in range(messages):
            begins = f"Message {i}. " if i else f"{opening} "
            text = (begins + FILLER * (characters // len(FILLER) + 1))[:characters]
            context.append(parts.AssistantMsg(name=NAME, content=text) if i % 2 else parts.UserMsg("user", text))
        return cls(client, settings, parts.AgentState(context=context))

    @classmethod
    def from_bytes(cls, client: Asks, settings: LlmSettings, raw: bytes | bytearray | memoryview) -> HostedAgent:
        """Returns the agent whose state this is; nothing in it is executed.

        Raises:
            ValueError: If it is no state of an agent.
        """
        return cls(client, settings, _library().AgentState.model_validate_json(bytes(raw)))

    def to_bytes(self) -> bytes:
        """The whole state of the agent: JSON in UTF-8."""
        return self.agent.state.model_dump_json().encode()

    def conversation(self) -> list[list[str]]:
        """Role, name and text of each message."""
        return [[m.role, m.name, m.get_text_content() or ""] for m in self.agent.state.context]

    def chat(self, text: str, seconds: float) -> tuple[str, int | None]:
        """Answer a message of the user.

        Args:
            text: The message.
            seconds: Deadline of the endpoint.

        Returns:
            The answer, and the tokens of the prompt as the endpoint counts them.

        Raises:
            NotAnswered: If the endpoint gave no answer; the conversation is then as it was.
        """
        state = self.agent.state
        before = list(state.context), state.reply_context
        self.model.seconds = seconds
        try:
            reply = asyncio.run(self.agent.reply(_library().UserMsg("user", text)))
        except NotAnswered:
            state.context, state.reply_context = before
            raise
        return reply.get_text_content() or "", self.model.tokens_in

    def prefill(self, seconds: float) -> int | None:
        """Send the whole context to the endpoint for one token, so that it has read it; changes nothing here.

        Returns:
            The tokens of the prompt as the endpoint counts them.

        Raises:
            NotAnswered: If the endpoint gave no answer.
        """
        messages = [_library().SystemMsg("system", SYSTEM), *self.agent.state.context]
        self.model.seconds = seconds
        return asyncio.run(self.model.ask(messages, one_token=True)).tokens_in


@functools.cache
def _library() -> SimpleNamespace:
    """The classes of AgentScope, and our model."""
    from agentscope import agent, credential, formatter, message, model, state, tool

    class Model(model.ChatModelBase):
        """Asks through our client."""

        def __init__(self, client: Asks, settings: LlmSettings):
            super().__init__(
                credential.CredentialBase(), settings.model, self.Parameters(), stream=False, max_retries=0,
                context_size=CONTEXT_TOKENS,
            )  # fmt: skip
            self.client, self.settings, self.seconds = client, settings, settings.deadline_s
            self.formatter = formatter.OpenAIChatFormatter()
            self.tokens_in: int | None = None

        async def ask(self, messages: Sequence[Any], one_token: bool = False) -> Answer:
            """The endpoint's answer to these messages."""
            body = request_body(
                [plain_message(item) for item in await self.formatter.format(messages)], [], self.settings
            )
            if one_token:
                body[self.settings.token_limit] = 1
            outcome = self.client.attempt(body, self.seconds)
            if outcome.answer is None:
                raise NotAnswered(f"{outcome.fault}: {outcome.detail}")
            return outcome.answer

        async def _call_api(self, model_name: str, messages: list[Any], *_: Any, **__: Any) -> Any:
            began = time.perf_counter()
            answer = await self.ask(messages)
            self.tokens_in = answer.tokens_in
            usage = model.ChatUsage(answer.tokens_in or 0, answer.tokens_out or 0, time.perf_counter() - began)
            blocks = [message.TextBlock(text=answer.content or "-")]
            return model.ChatResponse(content=blocks, is_last=True, usage=usage)

    return SimpleNamespace(
        Model=Model, Agent=agent.Agent, ReActConfig=agent.ReActConfig, InjectionConfig=agent.InjectionConfig,
        AgentState=state.AgentState, Toolkit=tool.Toolkit, AssistantMsg=message.AssistantMsg, UserMsg=message.UserMsg,
        SystemMsg=message.SystemMsg,
    )  # fmt: skip
