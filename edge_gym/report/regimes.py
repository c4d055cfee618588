"""A run seen regime by regime: arrays of costs on the same worlds, in the order of the leaderboard."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from edge_gym.errors import printable
from edge_gym.evaluation.compare import AGENTS, compare, costs_of
from edge_gym.evaluation.report import rank
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
        comparison: Each policy against the best (`edge_gym.evaluation.compare.compare`).
        decision_us: Policy -> microseconds a decision took it on average, where it was measured.
    """

    anchor: str
    task: str
    scenario: str
    fingerprint: str
    seeds: tuple[int, ...]
    rows: list[dict[str, Any]]
    episodes: dict[str, list[dict[str, Any]]]
    comparison: dict[str, Any]
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
    def costs(self) -> dict[str, np.ndarray]:
        """(S,) cost in each world of each policy that is no bound, best first; lower is better."""
        found = costs_of([row for rows in self.episodes.values() for row in rows])
        return {row["policy"]: found[row["policy"]] for row in self.rows if row["policy"] in found}

    @property
    def policies(self) -> list[str]:
        """Names of all that is no bound, best first."""
        return list(self.costs)

    @cached_property
    def row(self) -> dict[str, dict[str, Any]]:
        """Summary row of each policy."""
        return {row["policy"]: row for row in self.rows}

    @property
    def best(self) -> str | None:
        """The best policy that sees no more than a real controller."""
        return self.comparison["best"]

    @property
    def reference(self) -> str:
        """The policy that ratios and regret refer to: the oracle, or the best of all that were played."""
        return REFERENCE if REFERENCE in self.costs else self.policies[0]


def regimes_of(run: Run) -> list[Regime]:
    """The regimes of a run, in its order."""
    keys = dict.fromkeys((row["task"], row["scenario"]) for row in run.rows)
    return [_regime(run, f"regime-{number}", *key) for number, key in enumerate(keys, 1)]


def _regime(run: Run, anchor: str, task: str, scenario: str) -> Regime:
    own = [row for row in run.rows if (row["task"], row["scenario"]) == (task, scenario)]
    timing = [row for row in run.timing if (row["task"], row["scenario"]) == (task, scenario)]
    results = Results(own, timing, [], run.trainings)
    episodes: dict[str, list[dict[str, Any]]] = {}
    for row in own:
        episodes.setdefault(row["policy"], []).append(row)
    measured = {policy: results.decision_us(task, scenario, policy) for policy in episodes}
    return Regime(
        anchor=anchor,
        task=task,
        scenario=scenario,
        fingerprint=own[0]["scenario_fingerprint"],
        seeds=tuple(row["seed"] for row in next(iter(episodes.values()))),
        rows=sorted(results.table_rows(), key=_order),
        episodes=episodes,
        comparison=compare(own, run.trainings),
        decision_us={policy: us for policy, us in measured.items() if us},
    )


def _order(row: dict[str, Any]) -> float:
    value = rank(row)
    return float("inf") if value is None else value
