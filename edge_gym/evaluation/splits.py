"""Which seeds are for what, in one place, and the rule that nobody is tested where it was trained or chosen.

A seed is one world of a scenario. Everything that is chosen (a setting, a checkpoint, a prompt) is chosen on the tune
seeds; what is reported is played on the test seeds, which no training and no choice has seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from edge_gym.errors import EdgeGymInputError

LAST = 2**63 - 1


class Split(NamedTuple):
    """A range of seeds with one use."""

    name: str
    first: int
    last: int  # inclusive
    use: str


PLAY = Split("play", 0, 499, "trying things out; nothing that is reported or chosen")
TUNE = Split("tune", 500, 999, "choosing settings, checkpoints and prompts")
TEST = Split("test", 1000, 2**40 - 1, "what is reported")
TRAIN = Split("train", 2**40, LAST, "training, which draws its worlds from here")
SPLITS = (PLAY, TUNE, TEST, TRAIN)
HELD_OUT_STYLE = "held_out"  # a wording of events that is for tests only, whatever the seed

Ranges = Sequence[Sequence[int]]  # first and last seed of each, both inclusive


def split_of(seed: int) -> Split:
    """The split that a seed belongs to.

    Args:
        seed: 0 ... 2**63 - 1.
    """
    return next(split for split in SPLITS if split.first <= seed <= split.last)


def splits_of(seeds: Iterable[int]) -> list[Split]:
    """The splits that some of the seeds belong to, in order."""
    found = {split_of(seed) for seed in seeds}
    return [split for split in SPLITS if split in found]


def check_unseen(policy: str, trained_on: Any, seeds: Iterable[int]) -> None:
    """Refuse to evaluate a policy where it was trained or chosen.

    Args:
        policy: Its name, for the message.
        trained_on: Ranges of seeds it has seen, pairs (first, last), both inclusive; None: it has seen none.
        seeds: Seeds it shall be evaluated on.

    Raises:
        EdgeGymInputError: One of them is in a range, or the ranges are none.
    """
    try:
        ranges = [(int(first), int(last)) for first, last in trained_on or ()]
    except (TypeError, ValueError) as error:
        allowed = "pairs of the first and the last seed of each range"
        raise EdgeGymInputError("trained_on", trained_on, allowed, policy, str(error)) from None
    if not ranges:
        return
    for seed in seeds:
        for first, last in ranges:
            if first <= seed <= last:
                allowed = f"a seed that '{policy}' has not seen in training or validation: not {first} ... {last}"
                hint = f"{TEST.use} is played on the {TEST.name} seeds, from {TEST.first} on"
                raise EdgeGymInputError("seeds", seed, allowed, hint=hint)
