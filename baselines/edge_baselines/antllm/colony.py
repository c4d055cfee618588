"""What both policies share: a question about an application, what comes of the answer, and the search around it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from edge_baselines.antllm import prompt
from edge_baselines.antllm.case import BETTER, Case
from edge_baselines.antllm.prompt import Story
from edge_baselines.antllm.settings import AntSettings
from edge_baselines.antllm.tools import answer_read, check, is_better, read_answer, search_of, tools
from edge_baselines.llm.exchange import Asks
from edge_baselines.llm.pipeline import Decision
from edge_baselines.llm.session import Session
from edge_baselines.llm.settings import LlmSettings
from edge_baselines.llm.tools import Call, Tool
from edge_baselines.placement import SOLVERS, Limits, Solution
from edge_gym.kernel.observe import decode_ratio
from edge_gym.kernel.observe_agents import UNPLACED
from edge_gym.kernel.tables import NONE

COUNTERS = ("llm.accepted", "llm.gained", "llm.stale")


@dataclass(slots=True)
class Past:
    """What questions took and gave so far.

    Attributes:
        questions: How many.
        seconds: Of thinking.
        closed: Sum of the shares of the gap between cost and bound that each of them closed.
    """

    questions: int = 0
    seconds: float = 0.0
    closed: float = 0.0

    def expected_s(self, declared: float | None) -> float:
        """How long the next one takes: the mean, and before the first one what is declared."""
        return self.seconds / self.questions if self.questions else declared or 0.0

    @property
    def hope(self) -> float:
        """Share of the gap that the next one may close: the mean, as if one before all had closed everything."""
        return (1.0 + self.closed) / (1.0 + self.questions)


@dataclass(slots=True)
class Plan:
    """Where the agents of an application go that are asked about at one instant.

    Attributes:
        number: Of the application.
        time_s: The instant.
        home: (G,) nodes, -1: declined.
        free: (G,) bool, agents it is about.
        thinking_s: By how much later they start.
    """

    number: int
    time_s: float
    home: np.ndarray
    free: np.ndarray
    thinking_s: float

    def holds(self, case: Case, now_s: float) -> bool:
        """Whether it was made for the subject of a case, at this instant."""
        same = self.number == case.found.number and self.time_s == now_s
        return same and bool(self.free[case.found.subject])


class Colony(Session[AntSettings]):
    """An ant colony that may ask a model. Decides nothing by itself: see `place.py` and `migrate.py`.

    Args:
        ask: When to ask, and transcripts; by default from the variables EDGE_GYM_LLM_*.
        llm: How to ask; by default from the same.
        client: Whom to ask; by default the endpoint of `llm`.
    """

    settings = AntSettings

    def __init__(
        self, ask: AntSettings | None = None, llm: LlmSettings | None = None, client: Asks | None = None
    ) -> None:
        super().__init__(ask, llm, client)

    def reset(self, n_envs: int, seed: int) -> None:
        """Forget everything of the episodes; budgets and the breaker go on until `close`."""
        self._begin()
        self.seed = seed
        self._counters: list[Counter[str] | None] = [None] * n_envs
        self._past = Past()

    def episode_counters(self, b: int) -> dict[str, float]:
        """What asking did in the episode of row `b`: `llm.*`."""
        counters = self._counters[b]
        return {} if counters is None else {name: float(value) for name, value in counters.items()}

    def _case(self, obs: np.ndarray, b: int, agency, may_move: bool) -> Case:
        """The application of the subject of row `b`, whose observation is `obs`."""
        asked = 1 + round(8.0 * float(decode_ratio(obs[0, UNPLACED])))
        return Case.make(agency.assignment(b), agency, asked, may_move)

    def _draws(self, b: int, *more: int) -> int:
        """A seed for one search; of its own for each row, so that a batch plays as its rows would alone."""
        return int(np.random.SeedSequence([self.seed, b, *more]).generate_state(1, np.uint64)[0])

    def _is_worth(self, case: Case, cost: float) -> bool:
        """Whether so much may still be gained that a model is asked."""
        return cost - case.bound > max(self.ask.worth, BETTER) * abs(cost)

    def _story(self, case: Case, found: Solution, why: str = "") -> Story:
        """The solutions that a model is shown at first: the ants' and, where they differ, two simpler ones."""
        story = Story([("ants", found.home)], why=why)
        for name in ("local_search", "greedy"):
            home = SOLVERS[name](case.problem, Limits(evaluations=self.ask.evaluations), 0).home
            if not any((home == known).all() for _, known in story.solutions):
                story.solutions.append((name, home))
        return story

    def _question(self, b: int, now_s: float, case: Case, story: Story) -> Decision:
        """Ask about a case; a plan holds only moves that make it better."""
        best, counters = story.solutions[0][1], self._counters[b]
        shown = self.ask.agents_shown, self.ask.nodes_shown
        assert counters is not None
        decision = self._ask(
            b,
            now_s,
            counters,
            prompt.SYSTEM,
            prompt.situation(case, story, *shown),
            lambda calls: check(calls, case, best),
            lambda call: answer_read(call, case, best),
            lambda: prompt.situation(case, story, *(max(1, n // 3) for n in shown)),
        )
        if decision.turns:
            self._past.questions += 1
            self._past.seconds += decision.thinking_s
        return decision

    def _apply(self, b: int, case: Case, found: Solution, story: Story, plan: Sequence[Call], draws: int) -> Solution:
        """What the case is after a plan: its moves, then the search it asks for; nothing that is not better counts."""
        best, counters, said = found.home, self._counters[b], []
        home, wrong = read_answer(plan, case, best)
        assert counters is not None and wrong is None
        if (home != best).any():
            found = replace(found, home=home, cost=case.cost(home))
            said.append(f"your moves were accepted: {case.cost(best):.6g} became {found.cost:.6g}")
        search = search_of(plan)
        if search is not None:
            again = case.search(search.evaluations, draws, search.settings, found)
            said.append(f"your search ({search.evaluations} evaluations) found {again.cost:.6g}")
            found = again if is_better(again.cost, found.cost) else found
        before, after = case.cost(best), case.cost(found.home)  # a solver's own sum may differ in the last digits
        if is_better(after, before):
            gained = before - after
            self._past.closed += gained / max(before - case.bound, gained)
            counters["llm.accepted"] += 1
            counters["llm.gained"] += gained  # type: ignore[assignment]
            story.solutions.insert(0, ("yours", found.home))
        story.said.append("; ".join(said) or "you had nothing better")
        return found

    def _tools(self) -> Sequence[Tool]:
        return tools()


def is_idle(plan: Sequence[Call]) -> bool:
    """Whether a plan changes nothing and so ends the questions."""
    return all(call.tool.ends for call in plan)


def choose(case: Case, n: int, legal: np.ndarray) -> int:
    """The choice that brings the subject to node `n`; the last one declines, and where it lives somewhere it stays.

    Args:
        case: The application.
        n: Where the plan has the subject, -1: nowhere.
        legal: (N + 1,) bool, the action mask.
    """
    decline, g = len(legal) - 1, case.found.subject
    if n != NONE and legal[n]:
        return n
    if n == NONE or case.found.home[g] != NONE:
        return decline
    prices = np.where(legal[:-1], case.prices(case.found.home, g), np.inf)
    best = int(prices.argmin())
    return best if prices[best] < case.problem.refuse[g] else decline
