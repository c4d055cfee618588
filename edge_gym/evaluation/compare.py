"""Which policies differ from the best, by how much, and whether there is enough to say so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from edge_gym.evaluation.stats import (
    crossed_ratio_interval,
    detectable_difference,
    holm,
    paired_p_value,
    ratio_interval,
)

MIN_EPISODES = 100  # shared by both: with fewer there is no verdict
MIN_TRAININGS = 5  # of one recipe, with different seeds: one training says nothing of the recipe
# Of a verdict, after Holm. At 0.05 a controller would differ from its own copy once in twenty comparisons.
LEVEL = 0.01
POWER = 0.8
AGENTS = "agents.placed"  # a metric of worlds with AI agents
WORSE, SAME, FEW_EPISODES, FEW_TRAININGS = "worse", "no difference", "too few episodes", "too few trainings"


def cost_of(row: Mapping[str, Any]) -> float | None:
    """What counts in an episode, lower is better: mean latency; with AI agents minus the return, as they cost too."""
    if AGENTS not in row and row["latency_mean_s"] is not None:
        return row["latency_mean_s"]
    return None if row["return"] is None else -row["return"]


def costs_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """(S,) costs of each policy that is no bound, in the order of the seeds; seeds without a cost are left out.

    Args:
        rows: Of one scenario, every policy on the same seeds.
    """
    found: dict[str, list[float]] = {}
    for row in rows:
        if not row["bound"]:
            cost = cost_of(row)
            found.setdefault(row["policy"], []).append(np.nan if cost is None else cost)
    table = {name: np.array(values) for name, values in found.items()}
    known = np.logical_and.reduce([np.isfinite(values) for values in table.values()]) if table else np.zeros(0, bool)
    return {name: values[known] for name, values in table.items()}


def compare(rows: Sequence[Mapping[str, Any]], trainings: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Each policy of a scenario that sees no more than a real router against the best of them that can be judged.

    Args:
        rows: Of one scenario, every policy on the same seeds.
        trainings: For policies that were trained, the recipe and the seed of the training.

    Returns:
        `task`, `scenario`, `metric`, `episodes`, `best`; `reference`, which is the best but for those with too few
        trainings; and the rule: `level` (after Holm), `power`, `min_episodes`, `min_trainings`.
        `pairs`, one for each other policy: `ratio` of its mean cost to that of the reference, `lo` and
        `hi` of the 95 % paired bootstrap interval, `p` of the paired test, `p_holm` in the family of these pairs,
        `detectable`, the smallest relative difference found with that power at that level, and the `verdict`.
        `recipes`, one for each recipe with two trainings or more: the `policies`, how many `trainings`, and the
        `ratio` of all of them to the best that was not trained, with `lo` and `hi` over trainings and episodes.
    """
    costs = costs_of(rows)
    privileged = {row["policy"] for row in rows if row["privileged"]}
    fair = {name: values for name, values in costs.items() if name not in privileged and len(values)}
    few = few_trainings(list(fair), trainings)
    best, reference = _best(fair), _best({name: fair[name] for name in fair if name not in few} or fair)
    return {
        **{key: rows[0][key] for key in ("task", "scenario")},
        "metric": "-return" if any(AGENTS in row for row in rows) else "latency_mean_s",
        "episodes": len(fair[best]) if best is not None else 0,
        "best": best,
        "reference": reference,
        "level": LEVEL,
        "power": POWER,
        "min_episodes": MIN_EPISODES,
        "min_trainings": MIN_TRAININGS,
        "pairs": [] if reference is None or len(fair[reference]) < 2 else _pairs(fair, reference, few),
        "recipes": _recipes(fair, trainings),
    }


def few_trainings(policies: Sequence[str], trainings: Mapping[str, Mapping[str, Any]]) -> set[str]:
    """Those of the policies that were trained, by a recipe of which fewer than `MIN_TRAININGS` are there.

    Args:
        policies: All that are compared.
        trainings: For policies that were trained, the recipe and the seed of the training.
    """
    groups = _groups(policies, trainings)
    seeds = {recipe: {str(trainings[name].get("seed")) for name in names} for recipe, names in groups.items()}
    return {name for recipe, names in groups.items() if len(seeds[recipe]) < MIN_TRAININGS for name in names}


def _best(costs: Mapping[str, np.ndarray]) -> str | None:
    return min(costs, key=lambda name: costs[name].mean()) if costs else None


def _pairs(costs: Mapping[str, np.ndarray], best: str, few: set[str]) -> list[dict[str, Any]]:
    others = [name for name in costs if name != best]
    if not others:
        return []
    reference = costs[best]
    p_values = np.array([paired_p_value(costs[name], reference) for name in others])
    ratios = ratio_interval(np.array([costs[name] for name in others]), reference)
    return [
        {
            "policy": name,
            **_ratio(reference, value, low, high),
            "p": float(p),
            "p_holm": float(adjusted),
            "detectable": detectable_difference(costs[name], reference, POWER, LEVEL),
            "verdict": _verdict(len(reference), {name, best} & few, adjusted),
        }
        for name, value, low, high, p, adjusted in zip(others, *ratios, p_values, holm(p_values), strict=True)
    ]


def _verdict(n_episodes: int, few: set[str], p_value: float) -> str:
    if n_episodes < MIN_EPISODES:
        return FEW_EPISODES
    if few:
        return FEW_TRAININGS
    return WORSE if p_value < LEVEL else SAME


def _recipes(costs: Mapping[str, np.ndarray], trainings: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    best = _best({name: values for name, values in costs.items() if name not in trainings})
    found = []
    for recipe, names in _groups(list(costs), trainings).items():
        if len(names) < 2 or best is None:
            continue
        interval = crossed_ratio_interval(np.array([costs[name] for name in names]), costs[best])
        seeds = {str(trainings[name].get("seed")) for name in names}
        same = {"recipe": recipe, "policies": names, "trainings": len(seeds), "against": best}
        found.append({**same, **_ratio(costs[best], *interval)})
    return found


def _groups(policies: Sequence[str], trainings: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """Trained policies by recipe."""
    found: dict[str, list[str]] = {}
    for name in policies:
        if name in trainings:
            found.setdefault(str(trainings[name].get("recipe")), []).append(name)
    return found


def _ratio(reference: np.ndarray, value: Any, low: Any, high: Any) -> dict[str, float | None]:
    """None where the reference costs nothing."""
    usable = reference.mean() > 0
    figures = {"ratio": value, "lo": low, "hi": high}
    return {name: float(figure) if usable and np.isfinite(figure) else None for name, figure in figures.items()}


def lines(comparison: Mapping[str, Any]) -> list[str]:
    """What a comparison says, for people.

    Args:
        comparison: As `compare` returns it.
    """
    pairs = comparison["pairs"]
    if not pairs:
        return []
    best, reference = comparison["best"], comparison["reference"]
    found = [f"{comparison['task']} / {comparison['scenario']}: best of those not privileged is {best}."]
    if reference != best:
        found.append(f"  compared with {reference}, the best that can be judged")
    reasons = {
        FEW_EPISODES: f"no verdict from {comparison['episodes']} episodes (at least {comparison['min_episodes']})",
        FEW_TRAININGS: f"no verdict from too few trainings (at least {comparison['min_trainings']} of a recipe)",
        WORSE: f"worse (paired test, Holm, {comparison['level']:g})",
        SAME: "no difference shown",
    }
    for verdict, words in reasons.items():
        names = [pair["policy"] for pair in pairs if pair["verdict"] == verdict]
        if names:
            found.append(f"  {words}: {', '.join(names)}")
    seen = [pair["detectable"] for pair in pairs if pair["detectable"] is not None]
    if seen:
        ends = (f"{one:,.0f}" if one >= 1000 else f"{one:.3g}" for one in (100 * min(seen), 100 * max(seen)))
        span = " to ".join(dict.fromkeys(f"{end} %" for end in ends))
        found.append(
            f"  {comparison['episodes']} paired episodes show a difference of {span}, by policy, with "
            f"{100 * comparison['power']:g} % power at {comparison['level']:g}"
        )
    for one in comparison["recipes"]:
        if one["lo"] is not None:
            ratio = f"{one['ratio']:.3f} [{one['lo']:.3f}, {one['hi']:.3f}]"
            found.append(f"  {one['trainings']} trainings of recipe {one['recipe']}: {ratio} x {one['against']}")
    return found
