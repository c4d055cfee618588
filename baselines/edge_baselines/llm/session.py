"""What all controllers share that ask a model: who is asked, transcripts, budgets, breaker, preflight, counters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, Generic, cast

from edge_baselines.llm.asking import Asking, Settings, from_env, identity
from edge_baselines.llm.breaker import Breaker
from edge_baselines.llm.budget import Budget
from edge_baselines.llm.client import Client
from edge_baselines.llm.exchange import Asks
from edge_baselines.llm.extra import require_extra
from edge_baselines.llm.faults import TranscriptError
from edge_baselines.llm.pipeline import Advisor, Check, Decision
from edge_baselines.llm.settings import LlmSettings
from edge_baselines.llm.tools import Call, Tool
from edge_baselines.llm.transcript import Transcript
from edge_gym.errors import EdgeGymInputError


class Session(Generic[Settings]):
    """Base of the controllers. A subclass names its settings and its tools, and asks by `_ask`.

    Args:
        ask: When to ask, and transcripts; by default from the variables EDGE_GYM_LLM_*.
        llm: How to ask; by default from the same.
        client: Whom to ask; by default the endpoint of `llm`.

    Attributes:
        settings: The class of `ask`.
        asked: Questions so far.
    """

    settings: ClassVar[type[Asking]] = Asking

    def __init__(self, ask: Any = None, llm: LlmSettings | None = None, client: Asks | None = None) -> None:
        if isinstance(ask, str):
            raise TypeError("its settings are the variables EDGE_GYM_LLM_*")
        found = from_env(self.settings) if ask is None or llm is None else (ask, llm)
        self.ask = cast(Settings, ask or found[0])
        self.llm = llm or found[1]
        self._given = client
        self._own: Client | None = None
        self._advisor: Advisor | None = None
        self._file = type(self).__name__
        self.asked = 0

    @property
    def identity(self) -> dict[str, Any]:
        """What makes two runs the same run, as plain values without secrets."""
        return identity(self.ask, self.llm)

    def preflight(self) -> None:
        """Before a run: can the model be asked at all? Nothing is asked in the modes `replay` and `off`.

        Raises:
            LlmUnavailable: The endpoint cannot be used.
            EdgeGymInputError: A setting, a package or the folder of the transcripts is missing.
        """
        if self.ask.mode == "off":
            return
        if self.ask.mode == "replay":
            require_extra(("pydantic",))
            return
        try:
            self._path()
            self._open(Transcript(None, "live")).preflight()
        finally:
            self.close()

    def begin_shard(self, label: str) -> None:
        """Name the file of transcripts for the episodes that follow."""
        self.close()
        self._file = label

    def close(self) -> None:
        """Close the transcript and the connection; `_begin` opens them again."""
        if self._advisor is not None:
            self._advisor.transcript.close()
            self._advisor = None
        if self._own is not None:
            self._own.close()
            self._own = None

    def _tools(self) -> Sequence[Tool]:
        """What the model may call; asked for when first needed, since only then pydantic is."""
        raise NotImplementedError  # abstract: every controller that asks has tools of its own

    def _begin(self) -> None:
        """Open everything that is not open; budgets and the breaker go on until `close`."""
        if self._advisor is None:
            self._advisor = self._open(Transcript(self._path(), self.ask.mode, self.llm.model, self.ask.refresh))

    def _begin_episode(self, b: int, *more: str) -> Counter[str]:
        """A new episode in row `b`: its budget, and its counters, all of them 0; `more` are the caller's own."""
        assert self._advisor is not None
        self._advisor.budget.start_episode(b)
        return Counter({**dict.fromkeys(self._advisor.counters, 0), "llm.thinking_s": 0, **dict.fromkeys(more, 0)})

    def _ask(
        self,
        b: int,
        now_s: float,
        counters: Counter[str],
        system: str,
        situation: str,
        check: Check,
        answer_reads: Callable[[Call], str],
        shrink: Callable[[], str],
    ) -> Decision:
        """Ask in the episode of row `b`, and book what it cost (`Advisor.decide`)."""
        advisor = self._advisor
        assert advisor is not None
        before = Counter(advisor.counters)
        self.asked += 1
        number = float(self.asked)  # the breaker counts questions: an endpoint knows nothing of simulated time
        try:
            decision = advisor.decide(system, situation, check, answer_reads, number, shrink=shrink, episode=b)
        except TranscriptError as error:
            raise TranscriptError(f"question {self.asked}, at {now_s:.3f} s of episode {b}: {error}") from None
        for name, value in advisor.counters.items():
            counters[name] += value - before[name]
        counters["llm.thinking_s"] += decision.thinking_s  # type: ignore[assignment]
        return decision

    def _path(self) -> Path | None:
        """The transcript of this shard; its folder is made where it will be written."""
        if not self.ask.transcript or self.ask.mode == "off":
            return None
        folder = Path(self.ask.transcript)
        if self.ask.mode != "replay":
            try:
                folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                allowed = "a folder that can be written"
                raise EdgeGymInputError("transcript", str(folder), allowed, hint=error.strerror or "") from None
        return folder / f"{self._file}.jsonl"

    def _open(self, transcript: Transcript) -> Advisor:
        """Everything that is needed to ask; who never asks needs no tools, and so no package of the extra."""
        asks = transcript.mode != "off"
        if asks:
            require_extra(("pydantic",))
        client = self._client() if transcript.mode in ("record", "live") else None
        try:
            return Advisor(
                client,
                self._tools() if asks else (),
                self.llm,
                Budget(self.ask.limits(), self.llm),
                Breaker(),
                transcript,
            )
        except Exception:
            transcript.close()
            raise

    def _client(self) -> Asks:
        """Whom to ask: what was given, or the endpoint of the settings."""
        if self._given is not None:
            return self._given
        self._own = Client(self.llm)
        return self._own
