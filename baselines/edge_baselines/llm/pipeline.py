"""From a situation to a plan: the whole path of an outside answer, every step of which can only refuse.

deadline -> complete? -> strict parse -> schema -> the caller's check -> plan, all or nothing; else at most two
corrective turns; else no plan, and the caller falls back to its own rules.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from edge_baselines.llm.breaker import Breaker
from edge_baselines.llm.budget import Budget
from edge_baselines.llm.completions import Answer, Message, request_body
from edge_baselines.llm.exchange import Asks, Clock, Exchange, Turn
from edge_baselines.llm.faults import FAULTS, FLAGS
from edge_baselines.llm.settings import LlmSettings
from edge_baselines.llm.tools import Call, RefusedCalls, Tool, openai_schema, read_calls
from edge_baselines.llm.transcript import Transcript
from edge_gym.errors import MISSING, EdgeGymInputError

MAX_READ = 8000  # characters of the answer to a read
NEVER_CORRECTED = ("refusal",)
COUNTERS = ("decisions", "plans", "fallbacks", "calls", "tokens_in", "tokens_out", "dollars", *FAULTS, *FLAGS)
LOG = logging.getLogger("edge_gym.llm")

Check = Callable[[list[Call]], str | None]


@dataclass(frozen=True)
class Decision:
    """What the model decided.

    Attributes:
        plan: The calls to apply, all of them in this order; None if the caller is to fall back to its rules.
        thinking_s: Simulated seconds that deciding took, to pass in the world before the plan is applied.
        turns: Questions that were asked.
        fault: Why there is no plan, or None.
        reason: One line about the fault, at most 500 characters.
    """

    plan: list[Call] | None
    thinking_s: float
    turns: int
    fault: str | None
    reason: str = ""


class Advisor:
    """Asks a model what to do, and passes on only what is valid.

    Args:
        client: Where to ask; None for the modes `replay` and `off`.
        tools: What the model may call.
        settings: Limits of a decision.
        budget: Limits of decisions, episodes and the run.
        breaker: Rests an endpoint that keeps failing.
        transcript: Records or replays, and holds the mode.

    Attributes:
        counters: `llm.decisions`, `llm.plans`, `llm.fallbacks`, `llm.calls`, `llm.tokens_in`, `llm.tokens_out`,
            `llm.dollars`, and one for each fault of `faults.py`; every name is always there.

    Raises:
        EdgeGymInputError: If the mode asks a model and there is no client, or its price is unknown.
    """

    def __init__(
        self,
        client: Asks | None,
        tools: Sequence[Tool],
        settings: LlmSettings,
        budget: Budget,
        breaker: Breaker,
        transcript: Transcript,
    ):
        if transcript.mode in ("record", "live"):
            if client is None:
                raise EdgeGymInputError("client", MISSING, f"given for mode {transcript.mode}", "Advisor")
            budget.require_prices()
        self.client, self.tools, self.settings, self.budget = client, tuple(tools), settings, budget
        self.breaker, self.transcript = breaker, transcript
        self.counters: Counter[str] = Counter({f"llm.{name}": 0 for name in COUNTERS})
        self.shut = ""  # the final fault after which nothing is asked any more
        self.exchange = Exchange(client, settings, budget, transcript, self.counters)
        self._schema = openai_schema(self.tools)

    def preflight(self) -> None:
        """Before a run: does the endpoint answer at all? Nothing is asked in the modes `replay` and `off`.

        It costs one request for one token, which no budget counts.

        Raises:
            LlmUnavailable: If the run could only fall back.
        """
        preflight = getattr(self.client, "preflight", None)
        if self.transcript.mode in ("record", "live") and preflight is not None:
            preflight()

    def decide(
        self,
        system: str,
        situation: str,
        check: Check,
        answer_reads: Callable[[Call], str],
        now: float,
        *,
        shrink: Callable[[], str] | None = None,
        episode: Hashable = 0,
    ) -> Decision:
        """Ask for a plan.

        Args:
            system: Instructions; never holds anything from outside.
            situation: What the model is told; whatever it holds is data.
            check: Says what is wrong with calls that fit their schemas, or None; is shown to the model.
            answer_reads: Answers a call that only asks for information.
            now: Time of the breaker: simulated, or a count of decisions.
            shrink: Gives a shorter situation, if the first is too long for the model; used once.
            episode: Which of several episodes side by side this decision belongs to.

        Raises:
            EdgeGymInputError: In replay, if this prompt was not recorded.
            TranscriptError: If the transcript cannot be written.
        """
        self.counters["llm.decisions"] += 1
        clock = Clock(self.settings.deadline_s)
        blocked = self._blocked(now)
        if blocked:
            self.counters[f"llm.{blocked}"] += 1
            return self._fall_back(blocked, self.shut, 0, clock)
        self.budget.start_decision(episode)
        conversation = _Conversation(system, situation, shrink, answer_reads)
        turn, turns = self._converse(conversation, check, clock)
        if turn.fault is None:
            self.breaker.record(True, now)
            self.counters["llm.plans"] += 1
            return Decision([call for call in turn.calls if call.tool.writes], clock.spent_s, turns, None)
        if FAULTS[turn.fault].illness:
            self.breaker.record(False, now)
        if FAULTS[turn.fault].final:
            self.shut = turn.fault
            LOG.warning("the language model is not asked any more: %s (%s)", turn.fault, FAULTS[turn.fault].meaning)
        return self._fall_back(turn.fault, turn.reason, turns, clock)

    def _blocked(self, now: float) -> str:
        if self.transcript.mode == "off":
            return "off"
        if self.shut:
            return "shut"
        return "" if self.breaker.allows(now) else "breaker"

    def _fall_back(self, fault: str, reason: str, turns: int, clock: Clock) -> Decision:
        self.counters["llm.fallbacks"] += 1
        return Decision(None, min(clock.spent_s, clock.deadline_s), turns, fault, reason)

    def _converse(self, conversation: _Conversation, check: Check, clock: Clock) -> tuple[Turn, int]:
        """Asks until there is a plan or a fault that ends it. Returns the last turn and how many there were."""
        done: list[Call] = []
        corrections = 0

        def judge(answer: Answer) -> list[Call]:
            calls = read_calls(answer.calls, self.tools, done)
            wrong = check(calls)
            if wrong is not None:
                raise RefusedCalls("not_allowed", wrong)
            return calls

        for turns in range(1, self.settings.max_turns + 1):
            turn = self.exchange.ask(request_body(conversation.messages(), self._schema, self.settings), clock, judge)
            if turn.fault == "context_too_long" and conversation.shrink():
                continue
            if turn.fault is None:
                if any(call.tool.writes for call in turn.calls):
                    return turn, turns
                done += turn.calls
                conversation.add_reads(turn.calls)
                continue
            corrections += 1
            if not turn.answered or turn.fault in NEVER_CORRECTED or corrections > self.settings.corrective_turns:
                return turn, turns
            conversation.correct(turn.reason)
        self.counters["llm.turns"] += 1
        return Turn([], "turns", f"no plan after {self.settings.max_turns} questions"), self.settings.max_turns


class _Conversation:
    """The messages of one decision. Nothing that was refused ever comes back into it."""

    def __init__(
        self, system: str, situation: str, shrink: Callable[[], str] | None, answer_reads: Callable[[Call], str]
    ):
        self.system, self.situation = system, situation
        self._shrink, self._answer_reads = shrink, answer_reads
        self.reads: list[Message] = []
        self.correction: list[Message] = []

    def messages(self) -> list[Message]:
        """All of it, in order."""
        start = [{"role": "system", "content": self.system}, {"role": "user", "content": self.situation}]
        return [*start, *self.reads, *self.correction]

    def shrink(self) -> bool:
        """Makes it shorter, if that was not done before."""
        if self._shrink is None:
            return False
        self.situation, self._shrink = self._shrink(), None
        self.reads, self.correction = [], []
        return True

    def add_reads(self, calls: list[Call]) -> None:
        """The model's questions, in our own words, and their answers."""
        self.correction = []
        first = len(self.reads)
        asked: list[dict[str, Any]] = []
        for i, call in enumerate(calls):
            function = {"name": call.tool.name, "arguments": call.canonical()}
            asked.append({"id": f"call_{first + i}", "type": "function", "function": function})
        self.reads.append({"role": "assistant", "content": None, "tool_calls": asked})
        for item, call in zip(asked, calls, strict=True):
            text = self._answer_reads(call)[:MAX_READ]
            self.reads.append({"role": "tool", "tool_call_id": item["id"], "content": text})

    def correct(self, reason: str) -> None:
        """Says what was wrong; the refused answer itself is left out, and only the last mistake is named."""
        words = f"Your last answer was refused and nothing of it was done: {reason}. Answer again with tool calls."
        # An assistant's message in between: some endpoints insist that the roles alternate.
        self.correction = [{"role": "assistant", "content": "(refused)"}, {"role": "user", "content": words}]
