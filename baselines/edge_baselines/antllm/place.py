"""`antllm`: an ant colony places each application, and a language model polishes what it found.

The model is asked while the application waits: all its agents start later by the time it thought. Whatever fails, the
best assignment so far stands, and that is never worse than the ants' own.
"""

from __future__ import annotations

import numpy as np

from edge_baselines.antllm.case import Case
from edge_baselines.antllm.colony import COUNTERS, Colony, Plan, choose, is_idle
from edge_baselines.placement import Solution
from edge_gym.policy import Context


class AntLlm(Colony):
    """Ants place all agents of an application, a language model polishes it. See `Colony` for the arguments.

    Attributes:
        wait_s: (B,) simulated seconds by which the agents placed now start later.
    """

    tasks = ("placement",)

    def reset(self, n_envs: int, seed: int) -> None:
        """Forget everything of the episodes; budgets and the breaker go on until `close`."""
        super().reset(n_envs, seed)
        self.wait_s = np.zeros(n_envs)
        self._plans: list[Plan | None] = [None] * n_envs

    def act(self, obs: np.ndarray, action_mask: np.ndarray, context: Context) -> np.ndarray:
        """(B,) nodes for the agents that are asked about."""
        n_nodes = action_mask.shape[1] - 1
        choice = np.full(len(obs), n_nodes)
        self.wait_s[:] = 0.0
        for b in np.flatnonzero(context.active).tolist():
            if context.begun[b]:
                self._counters[b], self._plans[b] = self._begin_episode(b, *COUNTERS), None
            if not context.agency.is_agent(b):
                continue
            case, now_s = self._case(obs[b], b, context.agency, False), float(context.time_s[b])
            plan = self._plans[b]
            if plan is None or not plan.holds(case, now_s):
                plan = self._plans[b] = self._plan(b, case, now_s)
            self.wait_s[b] = plan.thinking_s
            choice[b] = choose(case, plan.home[case.found.subject], action_mask[b])
        return choice

    def _plan(self, b: int, case: Case, now_s: float) -> Plan:
        """Search, and ask where it may be worth it."""
        number = case.found.number
        draws = [self._draws(b, number, case.found.subject, k) for k in range(1 + self.ask.questions)]
        found = case.search(self.ask.evaluations, draws[0])
        found, thinking_s = self._polish(b, case, now_s, found, draws[1:])
        return Plan(number, now_s, found.home, case.free, thinking_s)

    def _polish(self, b: int, case: Case, now_s: float, found: Solution, draws: list[int]) -> tuple[Solution, float]:
        """What the model makes of a solution, and how long it thought."""
        thinking_s = 0.0
        if not draws or not self._pays(case, found, now_s, 0.0):
            return found, thinking_s
        story = self._story(case, found)
        for k, draw in enumerate(draws):
            decision = self._question(b, now_s, case, story)
            thinking_s += decision.thinking_s
            if decision.plan is None or is_idle(decision.plan):
                break
            found = self._apply(b, case, found, story, decision.plan, draw)
            if k + 1 < len(draws) and not self._pays(case, found, now_s, thinking_s):
                break
        return found, thinking_s

    def _pays(self, case: Case, found: Solution, now_s: float, thinking_s: float) -> bool:
        """Whether what a question may gain is more than waiting for its answer costs."""
        if not self._is_worth(case, found.cost):
            return False
        if self.ask.always or now_s == 0.0:  # what is there at the start answers at once
            return True
        until_s = thinking_s + self._past.expected_s(self.llm.thinking_s)
        waiting = case.waiting_cost(found.home, until_s) - case.waiting_cost(found.home, thinking_s)
        return self._past.hope * (found.cost - case.bound) > waiting
