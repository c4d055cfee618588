"""A run seen regime by regime: arrays of costs on the same worlds, in the order of the leaderboard."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from edge_gym.errors import printable
from edge_gym.evaluation.report import AGENTS, rank
from edge_gym.evaluation.results import REFERENCE, Results
from edge_gym.report.run_data import Run


@dataclass(frozen=True)
class Regime:
    """One scenario under one task: every policy on the same worlds.

    Attributes:
        anchor: Its id in the page.
        task: Name of the task.
        scenario: Name of the scenario.
        fingerprint: Of the scenario.
        seeds: (S,) of the worlds.
        rows: Summary rows, best first; see `Results.summary`.
        episodes: Policy -> its S rows of `episodes.jsonl`.
        decision_us: Policy -> microseconds a decision took it on average, where it was measured.
    """

    anchor: str
    task: str
    scenario: str
    fingerprint: str
    seeds: tuple[int, ...]
    rows: list[dict[str, Any]]
    episodes: dict[str, list[dict[str, Any]]]
    decision_us: dict[str, float]

    @property
    def title(self) -> str:
        """Task and scenario."""
        return printable(f"{self.task} / {self.scenario}", 80)

    @property
    def agents(self) -> bool:
        """Whether there are AI agents, so that a policy is judged by the weighted cost instead of the latency."""
        return any(AGENTS in row["metrics"] for row in self.rows)

    @property
    def metric(self) -> str:
        """What costs are, with the unit."""
        return "weighted cost per episode" if self.agents else "mean latency (s)"

    @cached_property
    def policies(self) -> list[str]:
        """Names, best first, without those that have no costs (bounds on something else)."""
        return [row["policy"] for row in self.rows if np.isfinite(self._costs(row["policy"])).all()]

    @cached_property
    def costs(self) -> np.ndarray:
        """(P, S) cost of each of `policies` in each world; lower is better."""
        return np.array([self._costs(name) for name in self.policies]).reshape(len(self.policies), len(self.seeds))

    @cached_property
    def row(self) -> dict[str, dict[str, Any]]:
        """Summary row of each policy."""
        return {row["policy"]: row for row in self.rows}

    @property
    def contenders(self) -> list[str]:
        """Policies that see what a real controller can see, best first."""
        return [name for name in self.policies if not (self.row[name]["privileged"] or self.row[name]["bound"])]

    @property
    def reference(self) -> str | None:
        """The policy that ratios and regret refer to: the oracle, or the best of all that can be played."""
        played = [name for name in self.policies if not self.row[name]["bound"]]
        if REFERENCE in played:
            return REFERENCE
        return played[0] if played else None

    def cost(self, policy: str) -> np.ndarray:
        """(S,) costs of one policy."""
        return self.costs[self.policies.index(policy)]

    def _costs(self, policy: str) -> np.ndarray:
        name, sign = ("return", -1.0) if self.agents else ("latency_mean_s", 1.0)
        return sign * np.array([np.nan if row[name] is None else row[name] for row in self.episodes[policy]], float)


def regimes_of(run: Run) -> list[Regime]:
    """The regimes of a run, in its order."""
    keys = dict.fromkeys((row["task"], row["scenario"]) for row in run.rows)
    return [_regime(run, f"regime-{number}", *key) for number, key in enumerate(keys, 1)]


def _regime(run: Run, anchor: str, task: str, scenario: str) -> Regime:
    own = [row for row in run.rows if (row["task"], row["scenario"]) == (task, scenario)]
    timing = [row for row in run.timing if (row["task"], row["scenario"]) == (task, scenario)]
    episodes: dict[str, list[dict[str, Any]]] = {}
    for row in own:
        episodes.setdefault(row["policy"], []).append(row)
    seeds = tuple(row["seed"] for row in next(iter(episodes.values())))
    rows = sorted(Results(own, timing).summary()["rows"], key=_order)
    return Regime(
        anchor, task, scenario, own[0]["scenario_fingerprint"], seeds, rows, episodes, dict(_decision_us(timing))
    )


def _order(row: dict[str, Any]) -> float:
    value = rank(row)
    return float("inf") if value is None else value


def _decision_us(timing: list[dict[str, Any]]) -> Iterator[tuple[str, float]]:
    for policy in dict.fromkeys(row["policy"] for row in timing):
        own = [row for row in timing if row["policy"] == policy]
        decisions = sum(row["decisions"] for row in own)
        if decisions:
            yield policy, 1e6 * sum(row["decide_s"] for row in own) / decisions
