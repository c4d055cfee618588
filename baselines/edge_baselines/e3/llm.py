"""`e3_llm`: a language model at the controls of the fast path; the rules take over whenever it gives no valid plan.

Whoever decided last leads until the next question: after a plan, the gates stay as the model set them; after a failure,
at the beginning, and whenever no model may be asked, each turn is exactly that of `e3_rules`. The rules listen to every
message all the time, so that they know what goes on when they take over.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from edge_baselines.e3 import prompt
from edge_baselines.e3.llm_settings import AskSettings
from edge_baselines.e3.prompt import Message
from edge_baselines.e3.rules import Belief, Rules, RuleSettings, blank
from edge_baselines.e3.tools import check, to_actions, tools
from edge_baselines.llm.exchange import Asks
from edge_baselines.llm.pipeline import Decision
from edge_baselines.llm.session import Session
from edge_baselines.llm.settings import LlmSettings
from edge_baselines.llm.tools import Call, Tool
from edge_gym.events.parser import read
from edge_gym.kernel import observe_control as seen
from edge_gym.kernel.observe import decode_ratio
from edge_gym.policy import Context
from edge_gym.surface import Surface

NS = 1_000_000_000
IDLE, THINKING, ACTING = range(3)


@dataclass(slots=True)
class Mind:
    """What one world's controller knows.

    Attributes:
        belief: Of the rules.
        state: IDLE between turns, THINKING while simulated time passes, ACTING while calls are made.
        messages: Those that are still shown, oldest first.
        unasked: Messages came since the last question.
        signature: What was the case at the last question, to see what is new.
        model_leads: The last decision was a plan of the model.
        next_s: When another question may be asked.
        last_s: When the last one was.
        due_ns: When thinking ends.
        decision: Of the model, until it is carried out.
        calls: Actions still to be taken in this turn.
        counters: Of this episode.
        said: Why, as the model says it; "" where the rules lead.
        last: The last call made; -1: none.
    """

    belief: Belief
    messages: deque[Message]
    state: int = IDLE
    unasked: bool = False
    signature: bytes = b""
    model_leads: bool = False
    next_s: float = 0.0
    last_s: float = 0.0
    due_ns: int = 0
    decision: Decision | None = None
    calls: deque[int] = field(default_factory=deque)
    counters: Counter[str] = field(default_factory=Counter)
    said: str = ""
    last: int = -1


class E3Llm(Session[AskSettings]):
    """A language model for every world of a batch. Decides MetaControl; `act` returns one tool call for each world.

    Args:
        ask: When to ask, and transcripts; by default from the variables EDGE_GYM_LLM_*.
        llm: How to ask; by default from the same.
        client: Whom to ask; by default the endpoint of `llm`.
        rules: Thresholds of the rules.

    Attributes:
        wake_s: (B,) simulated seconds until a row that has finished wants to be asked; 0: at the next tick.
        wait_s: (B,) simulated seconds for which a row is thinking; 0: it is not.
    """

    task = "metacontrol"
    settings = AskSettings

    def __init__(
        self,
        ask: AskSettings | None = None,
        llm: LlmSettings | None = None,
        client: Asks | None = None,
        rules: RuleSettings | None = None,
    ) -> None:
        super().__init__(ask, llm, client)
        self.rules = Rules(rules)

    def reset(self, n_envs: int, seed: int) -> None:
        """Forget everything of the episodes; budgets and the breaker go on until `close`."""
        self._begin()
        self._minds: list[Mind | None] = [None] * n_envs
        self.wake_s, self.wait_s = np.zeros(n_envs), np.zeros(n_envs)

    def act(self, obs: np.ndarray, action_mask: np.ndarray, context: Context) -> np.ndarray:
        """(B,) tool calls: those of the plan, then finish."""
        surface = context.surface
        choice = np.full(len(obs), surface.finish)
        for b in np.flatnonzero(context.active).tolist():
            mind = self._minds[b]
            if mind is None or context.begun[b]:
                mind = self._minds[b] = self._new_mind(b, obs[b], surface)
            now_s = float(context.time_s[b])
            self._listen(mind, surface, context.events[b], now_s)
            if mind.state != ACTING:
                self._take_turn(mind, b, obs[b], surface, now_s)
            if mind.state == ACTING:
                choice[b] = self._next(mind, action_mask[b], surface.finish)
                if choice[b] == surface.finish:
                    mind.state = IDLE
                    self.wait_s[b], self.wake_s[b] = 0.0, self._wake(mind, now_s)
        return choice

    def episode_counters(self, b: int) -> dict[str, float]:
        """What asking did in the episode of row `b`: `llm.*`."""
        mind = self._minds[b]
        return {} if mind is None else {name: float(value) for name, value in mind.counters.items()}

    def reason(self, b: int) -> str:
        """Why the last tool call in row `b` was made, in words: the model's, which are data, or those of the rules."""
        mind = self._minds[b]
        if mind is None:
            return ""
        return f"the model says: {mind.said}" if mind.model_leads else mind.belief.why.get(mind.last, "")

    def _take_turn(self, mind: Mind, b: int, obs: np.ndarray, surface: Surface, now_s: float) -> None:
        """Begin a turn, or go on with it after thinking: either there are calls, or the world is to wait."""
        now_ns = round(now_s * NS)
        if mind.state == IDLE:
            if self._has_reason(mind, obs, now_s):
                mind.decision = self._decide(mind, b, obs, surface, now_s)
                mind.due_ns = now_ns + int(np.ceil(mind.decision.thinking_s * NS))
            mind.state = THINKING
        if mind.decision is not None and now_ns < mind.due_ns:
            self.wait_s[b], self.wake_s[b] = (mind.due_ns - now_ns) / NS, 0.0
            return
        # The rules plan in any case: what is over is taken note of there.
        calls = self.rules.plan(mind.belief, surface, obs, now_s)
        if mind.decision is not None:
            plan = self._still_valid(mind, b, obs, surface)
            mind.model_leads = plan is not None
            mind.said = _said(plan) if plan is not None else ""
            calls = to_actions(plan, surface, obs) if plan is not None else calls
            mind.decision, mind.next_s = None, now_s + self.ask.gap_s
        elif mind.model_leads:
            calls = []
        mind.calls, mind.state = deque(calls), ACTING

    def _has_reason(self, mind: Mind, obs: np.ndarray, now_s: float) -> bool:
        """Whether to ask: something is new, and the last question was long enough ago."""
        bored = self.ask.every_s is not None and now_s - mind.last_s >= self.ask.every_s
        signature = self._signature(mind, obs, now_s)
        if now_s < mind.next_s or not (mind.unasked or bored or signature != mind.signature):
            return False
        mind.unasked, mind.signature, mind.last_s = False, signature, now_s
        return True

    def _decide(self, mind: Mind, b: int, obs: np.ndarray, surface: Surface, now_s: float) -> Decision:
        """Ask, and book what it cost."""
        while mind.messages and mind.messages[0].time_s < now_s - self.ask.memory_s:
            mind.messages.popleft()
        told = (now_s, obs, surface, tuple(mind.messages))
        return self._ask(
            b,
            now_s,
            mind.counters,
            prompt.SYSTEM,
            prompt.situation(*told, brief=len(surface.nodes) > self.ask.full),
            lambda calls: check(calls, b, obs, surface),
            lambda call: _status(call, obs, surface),
            lambda: prompt.situation(*told, brief=True),
        )

    def _still_valid(self, mind: Mind, b: int, obs: np.ndarray, surface: Surface) -> list[Call] | None:
        """The plan, if the world has not moved on in a way that makes any of it wrong."""
        assert mind.decision is not None
        plan = mind.decision.plan
        if plan is not None and check(plan, b, obs, surface) is not None:
            mind.counters["llm.stale"] += 1
            return None
        return plan

    def _listen(self, mind: Mind, surface: Surface, events: tuple, now_s: float) -> None:
        self.rules.listen(mind.belief, surface, events, now_s)
        for event in events:
            mind.messages.append(Message(event.time_s, read(event.text, surface.nodes).node or "", event.text))
            mind.unasked = True

    def _signature(self, mind: Mind, obs: np.ndarray, now_s: float) -> bytes:
        """Which nodes are there, which are in trouble, and which gates the messages call for."""
        rows = obs[:-1]
        alive = rows[:, seen.ALIVE] > 0
        slow = decode_ratio(rows[:, seen.ESTIMATE]) >= self.ask.slow
        overdue = decode_ratio(rows[:, seen.OVERDUE]) >= self.ask.overdue
        return np.stack([alive, alive & (slow | overdue), self.rules.wanted(mind.belief, now_s)]).tobytes()

    def _next(self, mind: Mind, legal: np.ndarray, finish: int) -> int:
        while mind.calls:
            call = mind.calls.popleft()
            if legal[call]:
                mind.last = call
                return call
        return finish

    def _wake(self, mind: Mind, now_s: float) -> float:
        """Seconds until the next turn is wanted; 0: the tick will do."""
        wake_s = self.rules.next_wake(mind.belief, now_s)
        if mind.model_leads and mind.unasked:
            gap_s = max(mind.next_s - now_s, 1e-9)
            return min(gap_s, wake_s) if wake_s > 0 else gap_s
        return wake_s

    def _new_mind(self, b: int, obs: np.ndarray, surface: Surface) -> Mind:
        mind = Mind(blank(len(surface.nodes)), deque(maxlen=self.ask.messages))
        mind.signature = self._signature(mind, obs, 0.0)
        mind.counters = self._begin_episode(b, "llm.stale")
        return mind

    def _tools(self) -> Sequence[Tool]:
        return tools()


def _status(call: Call, obs: np.ndarray, surface: Surface) -> str:
    """The answer to `get_status`."""
    asked = call.arguments.node
    lines = prompt.node_lines(obs, surface)
    return "\n".join([prompt.HEADINGS, *(lines if asked is None else [lines[surface.nodes.index(asked)]])])


def _said(plan: Sequence[Call]) -> str:
    """What the model gave as its reason when it finished."""
    return " ".join(call.arguments.reason for call in plan if call.tool.name == "finish")
