"""What batches of worlds have in common in which the sites decide: a row for each site of each world."""

from __future__ import annotations

import numpy as np

from edge_gym.envs.batch import Batch
from edge_gym.kernel.build import World
from edge_gym.tasks.task import Task


class BySite(Batch):
    """B worlds of S sites; row `b * S + s` is site `s` of world `b`.

    What is about worlds (`order`, `roots`, `episodes`, `skip` of `step`) has B rows, what is about decisions has B * S.

    Attributes:
        n_sites: S.
        subject_columns: Columns of an observation that describe the subject.
    """

    subject_columns: tuple[int, ...]

    def __init__(self, world: World, n_worlds: int, task: Task | str) -> None:
        self.n_sites = world.n_sites
        super().__init__(world, n_worlds, task)

    def _count_rows(self) -> int:
        return self.n_worlds * self.n_sites

    @property
    def active(self) -> np.ndarray:
        """(B * S,) bool, the sites that have something to decide on now."""
        raise NotImplementedError

    @property
    def waiting(self) -> np.ndarray:
        """(B, S) int32, decisions that wait at each site, the one asked about included."""
        raise NotImplementedError

    def look_centrally(self, b: int) -> np.ndarray:
        """What a central controller of world `b` sees of the nodes: (N + 1, F) float32, without a subject."""
        raise NotImplementedError

    def ended(self) -> tuple[np.ndarray, np.ndarray]:
        """Requests that ended during the last step, as far as their sites know.

        Returns:
            Row of their site (K,) and log entries (K,) of dtype `LOG`, in order of world and time.
        """
        worlds, entries = super().ended()
        return worlds * self.n_sites + entries["site"], entries
