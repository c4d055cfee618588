"""How good a checkpoint is on the validation seeds, beside the reference policy in the same worlds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edge_agents.learned import Learned
from edge_agents.progress import RATIO
from edge_agents.training_plan import TrainingPlan
from edge_gym.evaluation.evaluate import evaluate
from edge_gym.evaluation.stats import ratio_interval

Figures = dict[str, list[float]]  # for each scenario, the metric in each world


def figures_of(policy: Any, plan: TrainingPlan) -> Figures:
    """Let a policy play the worlds of the validation.

    Args:
        policy: A name or a policy.
        plan: Where, and what counts.
    """
    seeds, metric = plan.validation_seeds, plan.reference[1]
    rows = evaluate(policy, plan.arena, list(plan.scenarios), seeds).rows
    return {one.name: [row[metric] for row in rows if row["scenario"] == one.name] for one in plan.scenarios}


def validate(path: Path, plan: TrainingPlan, reference: Figures) -> dict[str, float]:
    """Ratio of means of a checkpoint to the reference, the lower the better.

    Args:
        path: The checkpoint; it is played by numpy, as it will be when it is used.
        plan: Where, and what counts.
        reference: What the reference policy reached.

    Returns:
        "validation/ratio", the mean over the scenarios, and with a scenario's name behind it that of the scenario,
        with the ends of its 95 % paired bootstrap interval ("/low", "/high").
    """
    policy = Learned(str(path))
    policy.trained_on = ()  # here it is being chosen: these are the very seeds that others must not report
    found = figures_of(policy, plan)
    result: dict[str, float] = {}
    for name, values in found.items():
        interval = ratio_interval(np.array([values]), np.array(reference[name]))
        for ending, column in (("", interval.value), ("/low", interval.low), ("/high", interval.high)):
            result[f"{RATIO}/{name}{ending}"] = float(column[0])
    mean = float(np.mean([result[f"{RATIO}/{name}"] for name in found]))
    return {RATIO: mean, **result}
