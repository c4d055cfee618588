"""`e3_llm` with a stub in the same process, and a spy on what it does; for the tests."""

from __future__ import annotations

import numpy as np
from edge_baselines.e3.llm import E3Llm
from edge_baselines.e3.llm_settings import AskSettings
from edge_baselines.e3.rules import Rules, RuleSettings
from edge_baselines.llm.settings import LlmSettings
from edge_baselines.llm.stub.in_process import InProcess

from edge_gym.evaluation.evaluate import evaluate
from edge_gym.evaluation.rollout import roll_out
from edge_gym.kernel.build import World
from edge_gym.scenario.presets import resolve

SEMANTIC = resolve("semantic", "routing", n_requests=600)


WARM = RuleSettings(cold_probes=0)  # rules that call no tool before anything has happened


class Spy(E3Llm):
    """Notes every question and every tool call with its time."""

    name = "e3_llm"

    def reset(self, n_envs, seed):
        super().reset(n_envs, seed)
        self.questions, self.done = [], []

    def act(self, obs, action_mask, context):
        choice = super().act(obs, action_mask, context)
        for b in np.flatnonzero(context.active).tolist():
            if choice[b] != context.surface.finish:
                self.done.append((b, float(context.time_s[b]), context.surface.describe(choice[b])))
        self.look(obs, context)
        return choice

    def look(self, obs, context):
        """For tests that look at every decision."""

    def _decide(self, mind, b, obs, surface, now_s):
        decision = super()._decide(mind, b, obs, surface, now_s)
        self.questions.append((b, now_s, decision))
        return decision


def make(play, latency_s=0.0, cls=Spy, ask=None, **llm):
    """The policy; nothing ever really waits."""
    settings = LlmSettings(**{"model": "stub-1", "allow_unpriced": True, "retries": 0, **llm})
    return cls(AskSettings(**{"mode": "live", **(ask or {})}), settings, InProcess(play, latency_s), rules=WARM)


def play(policy, scenario=SEMANTIC, seeds=(1000, 1001, 1002)):
    """Episodes of a policy."""
    return roll_out(World(scenario), policy, "e3_llm", list(seeds)).episodes


def rows(*policies, scenario=SEMANTIC, seeds=range(1000, 1004)):
    """The rows of each policy, without what cannot be the same and without what was counted."""
    found = evaluate(list(policies), "routing", scenario, seeds).rows
    plain = [{k: v for k, v in row.items() if "." not in k and k != "policy"} for row in found]
    n = len(seeds)
    return [plain[k * n : (k + 1) * n] for k in range(len(policies))]


class NamedRules(Rules):
    name = "e3_rules"

    def __init__(self):
        super().__init__(WARM)


def counted(policy, n_rows):
    """Sum of the counters of all rows, without their prefix and without zeros."""
    total = {}
    for b in range(n_rows):
        for name, value in policy.episode_counters(b).items():
            total[name.removeprefix("llm.")] = total.get(name.removeprefix("llm."), 0) + value
    return {name: value for name, value in total.items() if value}
