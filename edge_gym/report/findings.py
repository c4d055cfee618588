"""What a run shows, and what it is too small to show: one card for each regime."""

from __future__ import annotations

from typing import NamedTuple

from edge_gym.errors import printable
from edge_gym.evaluation.compare import FEW_EPISODES, FEW_TRAININGS, SAME
from edge_gym.evaluation.report import figure as number
from edge_gym.evaluation.report import warning
from edge_gym.report.regimes import Regime


class Finding(NamedTuple):
    """Who is best in a regime.

    Attributes:
        regime: Where.
        best: The best policy that sees no more than a real controller; "" if there is none.
        cost: Its mean cost with unit.
        interval: Of it, 95 %.
        ratio: Its cost over that of the reference, in words; "" if it is the reference.
        level_with: Those that no difference from the best is shown for.
        notices: What a reader must know before believing it.
    """

    regime: Regime
    best: str
    cost: str
    interval: str
    ratio: str
    level_with: list[str]
    notices: list[str]


def finding(regime: Regime) -> Finding:
    """The card of one regime."""
    best, comparison = regime.best, regime.comparison
    unlike = warning(regime.task, regime.scenario, regime.fingerprint)
    if best is None:
        nobody = "Nothing but privileged policies and bounds was played."
        return Finding(regime, "", "", "", "", [], [*filter(None, [unlike]), nobody])
    entry = regime.row[best]["metrics"]["return" if regime.agents else "latency_mean_s"]
    ends = [entry["lo"], entry["hi"]] if not regime.agents else [_minus(entry["hi"]), _minus(entry["lo"])]
    cost = regime.costs[best].mean()
    pairs = comparison["pairs"]
    return Finding(
        regime=regime,
        best=best,
        cost=f"{number(float(cost))}{'' if regime.agents else ' s'}",
        interval="" if None in ends else f"[{number(ends[0])}, {number(ends[1])}]",
        ratio=_ratio(regime, best, float(cost)),
        level_with=[pair["policy"] for pair in pairs if pair["verdict"] == SAME],
        notices=[*filter(None, [unlike]), *_notices(comparison)],
    )


def _minus(value: float | None) -> float | None:
    return None if value is None else -value


def _ratio(regime: Regime, best: str, cost: float) -> str:
    reference = float(regime.costs[regime.reference].mean())
    if regime.reference == best or reference <= 0:
        return ""
    return f"{cost / reference:.3f} x {printable(regime.reference, 40)}"


def _notices(comparison: dict) -> list[str]:
    pairs, found = comparison["pairs"], []
    verdicts = {pair["verdict"] for pair in pairs}
    if FEW_EPISODES in verdicts or not pairs:
        found.append(f"No verdict: {comparison['episodes']} worlds, at least {comparison['min_episodes']} are needed.")
    if FEW_TRAININGS in verdicts:
        few = ", ".join(printable(pair["policy"], 40) for pair in pairs if pair["verdict"] == FEW_TRAININGS)
        found.append(f"No verdict on {few}: at least {comparison['min_trainings']} trainings of a recipe are needed.")
    seen = [pair["detectable"] for pair in pairs if pair["detectable"] is not None]
    if seen:
        found.append(
            f"These worlds show differences from {number(100 * min(seen))} to {number(100 * max(seen))} % on, "
            f"depending on the policy ({100 * comparison['power']:g} % power at level {comparison['level']:g})."
        )
    return found
