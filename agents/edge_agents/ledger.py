"""What a training has seen, kept in its checkpoint, and what makes two trainings the same but for their luck."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

from edge_agents.checkpoint import Checkpoint
from edge_gym.errors import EdgeGymInputError
from edge_gym.evaluation.splits import LAST, TRAIN

# Beside the kind and width of the network: what was learned, how, and where; not what was drawn, nor on which machine.
RECIPE = ("task", "algo", "scenarios", "settings", "randomise", "reward_scale")


def ledger(validation: range) -> dict[str, Any]:
    """Which seeds a training uses for what, as plain values for its checkpoint.

    Args:
        validation: Seeds its checkpoints are chosen on; may be empty.
    """
    return {"training_from": TRAIN.first, "validation": [validation.start, validation.stop - 1] if validation else []}


def seen_seeds(about: dict[str, Any], where: str) -> tuple[tuple[int, int], ...]:
    """Ranges of seeds, first and last, that a checkpoint's training or validation may have used.

    Args:
        about: What the checkpoint says of its training: under `seeds` a ledger as above, or a list of single seeds;
            without, nothing is known and nothing is returned.
        where: Name of its file, for messages.

    Raises:
        EdgeGymInputError: The ledger is not one.
    """
    seeds = about.get("seeds")
    if seeds is None:
        return ()
    try:
        if isinstance(seeds, list):
            pairs = [(seed, seed) for seed in seeds]
        else:
            pairs = [(seeds["training_from"], LAST), *([seeds["validation"]] if seeds["validation"] else [])]
        if not all(type(seed) is int and len(pair) == 2 for pair in pairs for seed in pair):
            raise ValueError("a seed is no number")
    except (KeyError, TypeError, ValueError) as error:
        allowed = "a ledger: a list of seeds; or training_from, and the first and last seed of validation"
        raise EdgeGymInputError("seeds", seeds, allowed, where, str(error)) from None
    return tuple((low, high) for low, high in pairs)


def recipe(checkpoint: Checkpoint) -> str:
    """16 hexadecimal digits that trainings share if nothing but the seed differs."""
    plain = {name: checkpoint.about.get(name) for name in RECIPE}
    plain["network"] = dataclasses.asdict(checkpoint.spec)
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]
