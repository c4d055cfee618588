"""Results of an evaluation: tidy rows, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from edge_gym.evaluation.aggregate import aggregate
from edge_gym.evaluation.compare import compare
from edge_gym.evaluation.metrics import METRICS
from edge_gym.evaluation.stats import Interval, mean_interval, ratio_interval

if TYPE_CHECKING:
    from rich.table import Table

REFERENCE = "oracle"  # the policy that ratios refer to
RATIO = "latency_ratio_oracle"
CELL = ("task", "scenario", "policy")  # what belongs together over the seeds
KEYS = ("task", "scenario", "scenario_fingerprint", "policy", "privileged", "bound", "seed")


@dataclass(frozen=True, slots=True)
class Results:
    """What an evaluation found.

    Attributes:
        rows: One dict for each scenario, policy and seed, in that order: `KEYS`, then
            `edge_gym.evaluation.metrics.METRICS`, then what the policy counted itself.
        timing: One dict for each shard of the work: wall-clock figures, which no second run will repeat.
        failures: One dict for each shard that failed: task, scenario, policy, first seed, episodes, attempts, reason.
            A policy of which one failed is not scored in that scenario.
        trainings: For policies that were trained, the recipe and the seed of the training.
    """

    rows: list[dict[str, Any]]
    timing: list[dict[str, Any]]
    failures: list[dict[str, Any]] = field(default_factory=list)
    trainings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def summary(self) -> dict[str, list[dict[str, Any]]]:
        """What follows from the rows alone; nothing in it depends on the wall clock.

        Returns:
            `rows`, mean and 95 % paired bootstrap interval of every metric, one for each scenario and policy;
            `comparisons`, one for each scenario, with each policy against the best (`edge_gym.evaluation.compare`);
            `aggregates`, one for each task, over its scenarios (`edge_gym.evaluation.aggregate`); and `failures`.
        """
        cells = self._cells()
        return {
            "rows": self._summary_rows(),
            "comparisons": self.comparisons(),
            "aggregates": aggregate(list(cells.values())),
            "failures": self.failures,
        }

    @property
    def scored(self) -> bool:
        """Whether any policy was scored at all."""
        return bool(self._cells())

    def comparisons(self) -> list[dict[str, Any]]:
        """Each policy against the best, one for each scenario (`edge_gym.evaluation.compare.compare`)."""
        return [compare(rows, self.trainings) for rows in self._cells().values()]

    def table_rows(self) -> list[dict[str, Any]]:
        """The rows of the summary for people: with the wall-clock microseconds of a decision, `decision_us`."""
        rows = self._summary_rows()
        for row in rows:
            mean = self.decision_us(row["task"], row["scenario"], row["policy"])
            row["metrics"]["decision_us"] = {"mean": mean, "lo": None, "hi": None}
        return rows

    def decision_us(self, task: str, scenario: str, policy: str) -> float | None:
        """Wall-clock microseconds in the policy for each decision it made; None if it made none."""
        own = [t for t in self.timing if (t["task"], t["scenario"], t["policy"]) == (task, scenario, policy)]
        decisions = sum(t["decisions"] for t in own)
        return 1e6 * sum(t["decide_s"] for t in own) / decisions if decisions else None

    def _summary_rows(self) -> list[dict[str, Any]]:
        return [row for rows in self._cells().values() for row in self._scenario(rows)]

    def _cells(self) -> dict[tuple[str, str], list[dict[str, Any]]]:
        """Rows by task and scenario, without the policies that failed there."""
        failed = {(one["task"], one["scenario"], one["policy"]) for one in self.failures}
        found: dict[tuple[str, str], list[dict[str, Any]]] = {}
        for row in self.rows:
            if (row["task"], row["scenario"], row["policy"]) not in failed:
                found.setdefault((row["task"], row["scenario"]), []).append(row)
        return found

    def __str__(self) -> str:
        """The table as plain text, wide enough for every column."""
        import io

        from rich.console import Console

        from edge_gym.evaluation.report import print_leaderboard

        out = io.StringIO()
        print_leaderboard(Console(file=out, width=140), self.table_rows())
        return out.getvalue()

    def table(self) -> Table:
        """The summary as a rich table for people."""
        from edge_gym.evaluation.report import rich_table

        return rich_table(self.table_rows())

    def _scenario(self, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Summary rows of one scenario of a task."""
        first = {row["policy"]: row for row in reversed(rows)}
        policies = list(dict.fromkeys(row["policy"] for row in rows))
        by_policy = [[row for row in rows if row["policy"] == policy] for policy in policies]
        metrics: list[dict[str, Any]] = [{} for _ in policies]
        for name in METRICS:
            table = np.array([[np.nan if row[name] is None else row[name] for row in own] for own in by_policy], float)
            for found, entry in zip(metrics, _means(table), strict=True):
                found[name] = entry
        for own, found in zip(by_policy, metrics, strict=True):
            for name in sorted(own[0].keys() - {*KEYS, *METRICS}):
                (found[name],) = _means(np.array([[row[name] for row in own]], float))
        for found, entry in zip(metrics, _ratios(policies, by_policy), strict=False):
            found[RATIO] = entry
        same = (*CELL, "privileged", "bound")
        return [
            {**{key: first[policy][key] for key in same}, "metrics": found}
            for policy, found in zip(policies, metrics, strict=True)
        ]


def _means(table: np.ndarray) -> list[dict[str, float | None]]:
    """Mean and interval of each row of a (P, S) table; an episode without a value (NaN) does not count."""
    if np.isfinite(table).all():
        return _entries(mean_interval(table))
    present = [row[np.isfinite(row)][None, :] for row in table]
    nothing = {"mean": None, "lo": None, "hi": None}
    return [_entries(mean_interval(row))[0] if row.size else dict(nothing) for row in present]


def _ratios(policies: list[str], by_policy: Sequence[Sequence[dict[str, Any]]]) -> list[dict[str, float | None]]:
    """Mean latency over that of the oracle; empty without an oracle."""
    if REFERENCE not in policies:
        return []
    latency = np.array([[row["latency_mean_s"] for row in own] for own in by_policy], float)
    reference = latency[policies.index(REFERENCE)]
    return _entries(ratio_interval(latency, reference)) if reference.mean() > 0 else []


def _entries(interval: Interval) -> list[dict[str, float | None]]:
    def number(value: float) -> float | None:
        return float(value) if np.isfinite(value) else None

    columns = zip(*interval, strict=True)
    return [{"mean": number(value), "lo": number(low), "hi": number(high)} for value, low, high in columns]
