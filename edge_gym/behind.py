"""What an object works with but does not show: kept beside it, so that no attribute of it leads there.

Policies get such objects. Nobody who is after the world's state is stopped by this, as nothing in one process can be;
but nobody comes upon it by looking through what he was given either.
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

from edge_gym.envs.batch import Batch


@dataclass(slots=True)
class Kept:
    """What belongs to an object.

    Attributes:
        batch: The worlds it is about.
        spare: A world to try things in, once it was needed.
    """

    batch: Batch
    spare: Batch | None = None


_KEPT: WeakKeyDictionary[object, Kept] = WeakKeyDictionary()


def keep(owner: object, batch: Batch) -> None:
    """Let an object work with the worlds of a batch."""
    _KEPT[owner] = Kept(batch)


def behind(owner: object) -> Kept:
    """What was kept for an object."""
    return _KEPT[owner]


def batch_of(owner: object) -> Batch:
    """The worlds that an object works with."""
    return _KEPT[owner].batch
