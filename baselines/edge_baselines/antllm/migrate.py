"""`antllm_migration`: an ant colony moves agents, and a language model is asked when something has happened.

The world does not wait for it. What it says counts from the end of its thinking on, at the next question about that
application, and only if it is still possible and costs less than what the ants find then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from edge_baselines.antllm.case import Case
from edge_baselines.antllm.colony import COUNTERS, Colony, Plan, choose, is_idle
from edge_baselines.antllm.tools import is_better, read_answer, search_of
from edge_baselines.llm.tools import Call
from edge_baselines.placement import Solution
from edge_gym.kernel.observe import ALIVE, BUSY
from edge_gym.policy import Context

MAX_NEWS = 8  # things that have happened, shown


@dataclass(slots=True)
class Advice:
    """What a model said of an application.

    Attributes:
        from_s: When it had thought: it counts from then on.
        until_s: And no longer than this.
        wanted: Node of each agent that it wants to be elsewhere.
        plan: The calls, for the search that it may ask for.
    """

    from_s: float
    until_s: float
    wanted: dict[int, int]
    plan: Sequence[Call]


@dataclass(slots=True)
class Watch:
    """What one world's controller knows.

    Attributes:
        plan: For the agents that are asked about at this instant.
        advice: Of the model by application, not yet used.
        sites: Where each application's user was last.
        handovers: When users came to other sites.
        gone: (N,) bool, nodes that were not there at the last look.
        full: (N,) bool, nodes that were full.
        news: What has happened since the last question.
        next_s: When another question may be asked.
        searches: So many so far: each has draws of its own.
    """

    plan: Plan | None
    advice: dict[int, Advice]
    sites: dict[int, int]
    handovers: deque[float]
    gone: np.ndarray
    full: np.ndarray
    news: list[str] = field(default_factory=list)
    next_s: float = 0.0
    searches: int = 0


class AntLlmMigration(Colony):
    """Ants move the agents of a user who moved, a language model polishes. See `Colony` for the arguments."""

    tasks = ("migration",)

    def reset(self, n_envs: int, seed: int) -> None:
        """Forget everything of the episodes; budgets and the breaker go on until `close`."""
        super().reset(n_envs, seed)
        self._watches: list[Watch | None] = [None] * n_envs

    def act(self, obs: np.ndarray, action_mask: np.ndarray, context: Context) -> np.ndarray:
        """(B,) nodes for the agents that are asked about; the last choice is to stay."""
        n_nodes = action_mask.shape[1] - 1
        choice = np.full(len(obs), n_nodes)
        for b in np.flatnonzero(context.active).tolist():
            watch = self._watches[b]
            if watch is None or context.begun[b]:
                self._counters[b] = self._begin_episode(b, *COUNTERS)
                nobody = np.zeros(n_nodes, bool)
                watch = self._watches[b] = Watch(None, {}, {}, deque(), nobody, nobody.copy())
            if not context.agency.is_agent(b):
                continue
            case, now_s = self._case(obs[b], b, context.agency, True), float(context.time_s[b])
            self._look(watch, obs[b], case, now_s)
            if watch.plan is None or not watch.plan.holds(case, now_s):
                watch.plan = self._plan(b, watch, case, now_s)
            choice[b] = choose(case, watch.plan.home[case.found.subject], action_mask[b])
        return choice

    def _look(self, watch: Watch, obs: np.ndarray, case: Case, now_s: float) -> None:
        """Take note of what is new: nodes that left or filled up, users that came to other sites."""
        gone, full = obs[:-1, ALIVE] == 0.0, obs[:-1, BUSY] >= 1.0
        left, filled = np.flatnonzero(gone & ~watch.gone), np.flatnonzero(full & ~watch.full & ~gone)
        watch.news += [f"n{n} has left" for n in left.tolist()] + [f"n{n} is full" for n in filled.tolist()]
        watch.gone, watch.full = gone, full
        number, site = case.found.number, case.found.site
        if watch.sites.setdefault(number, site) != site:
            watch.sites[number] = site
            watch.handovers.append(now_s)
        while watch.handovers and watch.handovers[0] < now_s - self.ask.recent_s:
            watch.handovers.popleft()
        if len(watch.handovers) >= self.ask.handovers:
            watch.news.append(f"{len(watch.handovers)} users came to other sites in {self.ask.recent_s:g} s")
            watch.handovers.clear()
        del watch.news[:-MAX_NEWS]

    def _plan(self, b: int, watch: Watch, case: Case, now_s: float) -> Plan:
        """The ants' assignment, or advice that is better; and a question, if there is a reason."""
        watch.searches += 1
        draws = self._draws(b, watch.searches)
        found = case.search(self.ask.evaluations, draws)
        self._forget(b, watch, now_s)
        number = case.found.number
        if number in watch.advice and now_s >= watch.advice[number].from_s:
            found = self._heed(b, watch.advice.pop(number), case, found, watch.searches)
        if watch.news and number not in watch.advice and now_s >= watch.next_s:
            self._consult(b, watch, case, found, now_s)
        return Plan(case.found.number, now_s, found.home, case.free, 0.0)

    def _consult(self, b: int, watch: Watch, case: Case, found: Solution, now_s: float) -> None:
        """Ask about the application of the subject; the answer waits until it has been thought."""
        why, watch.news = ", ".join(dict.fromkeys(watch.news)), []
        if not self._is_worth(case, found.cost):
            return
        decision = self._question(b, now_s, case, self._story(case, found, why))
        watch.next_s = now_s + decision.thinking_s + self.ask.pause_s
        if decision.plan is None or is_idle(decision.plan):
            return
        home, _ = read_answer(decision.plan, case, found.home)
        wanted = {g: int(home[g]) for g in np.flatnonzero(home != found.home).tolist()}
        from_s = now_s + decision.thinking_s
        watch.advice[case.found.number] = Advice(from_s, from_s + self.ask.hold_s, wanted, decision.plan)

    def _forget(self, b: int, watch: Watch, now_s: float) -> None:
        """Drop advice that has become too old."""
        counters = self._counters[b]
        assert counters is not None
        for number in [number for number, advice in watch.advice.items() if now_s > advice.until_s]:
            del watch.advice[number]
            counters["llm.stale"] += 1

    def _heed(self, b: int, advice: Advice, case: Case, found: Solution, searches: int) -> Solution:
        """The ants' solution changed by advice, if it still fits and costs less."""
        counters, before = self._counters[b], found.cost
        assert counters is not None
        home = found.home.copy()
        for g, n in advice.wanted.items():
            home[g] = n
        free = all(case.free[g] and case.problem.own[g, n] < np.inf for g, n in advice.wanted.items())
        if advice.wanted and free and case.fits(home) and is_better(case.cost(home), before):
            found = replace(found, home=home, cost=case.cost(home))
        search = search_of(advice.plan)
        if search is not None:
            again = case.search(search.evaluations, self._draws(b, searches, 1), search.settings, found)
            found = again if is_better(again.cost, found.cost) else found
        if is_better(found.cost, before):
            counters["llm.accepted"] += 1
            counters["llm.gained"] += before - found.cost  # type: ignore[assignment]
        elif advice.wanted:
            counters["llm.stale"] += 1
        return found
