"""One question to the model: from the record or the endpoint, within deadline and budget, with the only retries."""

from __future__ import annotations

import math
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from edge_baselines.llm.budget import Budget, believed
from edge_baselines.llm.client import Outcome
from edge_baselines.llm.completions import COMPLETE, Answer, digest, prompt_hash, upper_bound_tokens
from edge_baselines.llm.faults import FAULTS
from edge_baselines.llm.settings import LlmSettings
from edge_baselines.llm.tools import Call, RefusedCalls
from edge_baselines.llm.transcript import Transcript


class Asks(Protocol):
    """What an exchange needs of a client."""

    def attempt(self, body: dict[str, Any], seconds: float, tag: str = "") -> Outcome:
        """See `client.Client.attempt`."""
        ...


@dataclass
class Clock:
    """The time of one decision: declared or recorded seconds, so that a replayed decision takes as long.

    Attributes:
        deadline_s: Of the decision.
        spent_s: Used up so far.
    """

    deadline_s: float
    spent_s: float = 0.0
    _began: float = field(default_factory=time.monotonic)

    def left(self) -> float:
        """Seconds until the deadline by the decision's own time."""
        return self.deadline_s - self.spent_s

    def really_left(self) -> float:
        """The same, and no more than is left by the machine's monotonic clock."""
        return min(self.left(), self.deadline_s - (time.monotonic() - self._began))


@dataclass(frozen=True)
class Turn:
    """What a question led to: accepted calls, or a fault and the reason."""

    calls: list[Call]
    fault: str | None = None
    reason: str = ""
    answered: bool = False  # the fault is one of the answer, which may be corrected


class Exchange:
    """Asks for one answer at a time and books everything about it.

    Args:
        client: None is enough where nothing is ever asked.
        settings: Deadlines, retries, declared thinking.
        budget: Asked before every attempt.
        transcript: Read before, and written after every attempt.
        counters: `llm.*`; added to.
        sleep: Waits between attempts.
    """

    def __init__(
        self,
        client: Asks | None,
        settings: LlmSettings,
        budget: Budget,
        transcript: Transcript,
        counters: Counter[str],
        sleep: Callable[[float], None] = time.sleep,
    ):
        self.client, self.settings, self.budget, self.transcript = client, settings, budget, transcript
        self.counters, self.sleep = counters, sleep

    def ask(self, body: dict[str, Any], clock: Clock, judge: Callable[[Answer], list[Call]]) -> Turn:
        """Get an answer and judge it.

        Args:
            body: The request.
            clock: Of the decision.
            judge: Gives the calls of a complete answer, or raises RefusedCalls.
        """
        key = prompt_hash(body)
        for attempt in range(1 + self.settings.retries):
            turn, outcome, live = self._attempt(body, key, attempt, clock, judge)
            fault = turn.fault
            if fault is None or turn.answered or not FAULTS[fault].retry or attempt == self.settings.retries:
                return turn
            wait = self._wait_s(key, attempt, outcome)
            if wait >= clock.left():
                return turn
            if live:
                self.sleep(min(wait, max(0.0, clock.really_left())))
            clock.spent_s += wait
            self.budget.wait(wait)
        raise AssertionError("the loop returns")

    def _attempt(
        self, body: dict[str, Any], key: str, attempt: int, clock: Clock, judge: Callable[[Answer], list[Call]]
    ) -> tuple[Turn, Outcome | None, bool]:
        bound = upper_bound_tokens(body)
        refusal = self.budget.refusal(bound, self.settings.max_tokens)
        if refusal is not None:
            return self._fault("budget", refusal), None, False
        if clock.left() <= 0.0:
            return self._fault("deadline", "no time left for another question"), None, False
        outcome = self.transcript.recorded(key)
        live = outcome is None
        allowed = min(clock.left(), self.budget.seconds_left())
        if outcome is None:
            assert self.client is not None
            outcome = self.client.attempt(body, min(allowed, clock.really_left()), f"{key[:16]}-{attempt}")
        self._book(outcome, bound)
        clock.spent_s += self._thinking_s(outcome, allowed)
        verdict = "error"  # stays only if the caller's check raises
        try:
            turn = self._judged(outcome, clock, judge)
            verdict = turn.fault or ("plan" if any(call.tool.writes for call in turn.calls) else "reads")
        finally:
            if live:
                self.transcript.append(self.transcript.line(key, digest(body["messages"]), outcome, verdict))
        return turn, outcome, live

    def _judged(self, outcome: Outcome, clock: Clock, judge: Callable[[Answer], list[Call]]) -> Turn:
        if outcome.answer is None:
            return self._fault(outcome.fault or "connection", outcome.detail)
        if clock.left() < 0.0:
            return self._fault("deadline", "the answer came too late")
        try:
            _check_complete(outcome.answer)
            return Turn(judge(outcome.answer))
        except RefusedCalls as refused:
            return self._fault(refused.fault, str(refused), answered=True)

    def _fault(self, name: str, reason: str, answered: bool = False) -> Turn:
        self.counters[f"llm.{name}"] += 1
        return Turn([], name, reason, answered)

    def _book(self, outcome: Outcome, bound: int) -> None:
        """Spend and counters of an attempt."""
        answer, counters = outcome.answer, self.counters
        if answer is not None:
            tokens_in, guessed_in = believed(answer.tokens_in, bound, bound)
            tokens_out, guessed_out = self._tokens_out(answer)
            counters["llm.usage_estimated"] += guessed_in or guessed_out
            counters["llm.model_changed"] += self.transcript.is_change(answer.model)
        elif FAULTS[outcome.fault or "connection"].free:
            tokens_in = tokens_out = 0
        else:
            tokens_in, tokens_out = bound, self.settings.max_tokens
        cost = self.budget.spend(tokens_in, tokens_out, outcome.latency_s)
        counters["llm.calls"] += 1
        counters["llm.tokens_in"] += tokens_in
        counters["llm.tokens_out"] += tokens_out
        counters["llm.dollars"] += cost.dollars  # type: ignore[assignment]

    def _thinking_s(self, outcome: Outcome, allowed: float) -> float:
        if outcome.fault == "deadline":  # all of it, whatever the machine's clock says to the microsecond
            return allowed
        if self.settings.thinking_s is None:
            return outcome.latency_s
        tokens_out = self._tokens_out(outcome.answer)[0] if outcome.answer else 0
        return self.settings.thinking_s + self.settings.thinking_s_per_token * tokens_out

    def _tokens_out(self, answer: Answer) -> tuple[int, bool]:
        # Reasoning is counted but not shown, so the shown text bounds nothing from above; the limit sent does.
        return believed(answer.tokens_out, answer.size(), self.settings.max_tokens)

    def _wait_s(self, key: str, attempt: int, outcome: Outcome | None) -> float:
        """The endpoint's wish, or twice as long each time with a jitter that depends on seed, prompt and attempt."""
        if outcome is not None and outcome.retry_after_s is not None:
            return outcome.retry_after_s
        jitter = random.Random(f"{self.settings.seed}:{key}:{attempt}").uniform(0.5, 1.5)
        return math.ldexp(self.settings.backoff_s * jitter, attempt)


def _check_complete(answer: Answer) -> None:
    """Refuses what is not a complete answer with calls.

    Raises:
        RefusedCalls: `refusal`, `truncated` or `no_call`.
    """
    if answer.refusal or answer.finish == "content_filter" or not (answer.content.strip() or answer.calls):
        raise RefusedCalls("refusal", "the model refused, or its message is empty")
    if answer.finish not in COMPLETE:
        raise RefusedCalls("truncated", "the answer was cut at the token limit; answer shorter")
    if not answer.calls:
        raise RefusedCalls("no_call", "answer with tool calls, not with text")
