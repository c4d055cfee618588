"""`antllm` and `antllm_migration` with a stub in the same process, and spies on what they do; for the tests."""

from __future__ import annotations

import dataclasses

import numpy as np
from edge_baselines.antllm.case import Case
from edge_baselines.antllm.migrate import AntLlmMigration
from edge_baselines.antllm.place import AntLlm
from edge_baselines.antllm.settings import AntSettings
from edge_baselines.llm.settings import LlmSettings
from edge_baselines.llm.stub.in_process import InProcess
from edge_baselines.llm.stub.plays import scripted

from edge_gym.agency import Agency
from edge_gym.envs.batch import Batch
from edge_gym.evaluation.rollout import roll_out
from edge_gym.kernel.build import World
from edge_gym.scenario.presets import resolve

METRO = resolve("metro-16", "placement")
METRO = dataclasses.replace(METRO, applications=dataclasses.replace(METRO.applications, n_applications=8))
FAILING = resolve("failing-16", "migration", horizon_s=60.0)
ASK = {"mode": "live", "evaluations": 300, "worth": 0.0, "always": True}


class Spy(AntLlm):
    """Notes each plan: the case, what the ants alone found, and the plan."""

    name = "antllm"

    def reset(self, n_envs, seed):
        super().reset(n_envs, seed)
        self.plans, self.questions, self.waits = [], [], []

    def _plan(self, b, case, now_s):
        alone = case.search(self.ask.evaluations, self._draws(b, case.found.number, case.found.subject, 0))
        plan = super()._plan(b, case, now_s)
        self.plans.append((b, case, alone, plan))
        return plan

    def _question(self, b, now_s, case, story):
        self.now = case, story
        decision = super()._question(b, now_s, case, story)
        self.questions.append((b, now_s, decision))
        return decision

    def act(self, obs, action_mask, context):
        choice = super().act(obs, action_mask, context)
        self.waits += [(b, float(context.time_s[b]), self.wait_s[b]) for b in np.flatnonzero(context.active)]
        return choice


class Mover(AntLlmMigration):
    """Notes each question and each piece of advice when it is looked at."""

    name = "antllm_migration"

    def reset(self, n_envs, seed):
        super().reset(n_envs, seed)
        self.questions, self.heeded, self.plans = [], [], []

    def _question(self, b, now_s, case, story):
        self.now = case, story
        decision = super()._question(b, now_s, case, story)
        self.questions.append((b, now_s, decision))
        return decision

    def _plan(self, b, watch, case, now_s):
        self.time_s = now_s
        return super()._plan(b, watch, case, now_s)

    def _heed(self, b, advice, case, found, searches):
        after = super()._heed(b, advice, case, found, searches)
        self.heeded.append((self.time_s, advice, case, found, after))
        return after


def make(play, cls=Spy, latency_s=0.0, ask=None, **llm):
    """The policy; nothing ever really waits."""
    settings = LlmSettings(**{"model": "stub-1", "allow_unpriced": True, "retries": 0, **llm})
    return cls(AntSettings(**{**ASK, **(ask or {})}), settings, InProcess(play, latency_s))


def play(policy, scenario=METRO, seeds=(1000, 1001)):
    """Episodes of a policy."""
    return roll_out(World(scenario), policy, "antllm", list(seeds)).episodes


def first_case(scenario=METRO, seed=1000, may_move=False):
    """The first application of a world, and all that is public about agents there."""
    batch = Batch(World(scenario), 1, scenario.task)
    batch.roots[:] = seed
    obs = batch.empty_obs()
    batch.reset(np.ones(1, bool), obs)
    agency = Agency(batch)
    found = agency.assignment(0)
    return Case.make(found, agency, len(found.home), may_move), agency


def insider(holder):
    """Plays whoever tries every single move of the case that `holder[0]` is asking about, and takes the best."""

    def answer(request):
        case, story = holder[0].now
        best = story.solutions[0][1]
        least, move = case.cost(best) * (1.0 - 1e-6), None
        for g in np.flatnonzero(case.free):
            for n, price in enumerate(case.prices(best, g)):
                home = best.copy()
                home[g] = n
                if price < np.inf and case.fits(home) and case.cost(home) < least:
                    least, move = case.cost(home), {"agent": f"a{g}", "node": f"n{n}"}
        calls = [] if move is None else [("propose_moves", {"moves": [move]})]
        return [*calls, ("finish", {"reason": "done"})]

    return scripted(answer)


def counted(policy, n_rows):
    """Sum of the counters of all rows, without their prefix and without zeros."""
    total = {}
    for b in range(n_rows):
        for name, value in policy.episode_counters(b).items():
            total[name.removeprefix("llm.")] = total.get(name.removeprefix("llm."), 0) + value
    return {name: value for name, value in total.items() if value}
