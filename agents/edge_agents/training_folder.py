"""The folder of a training run: its state survives a kill at any moment, and where a file is damaged the one before."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from edge_agents.saved_state import from_bytes, to_bytes
from edge_gym.errors import EdgeGymInputError
from edge_gym.evaluation.claimed_folder import ClaimedFolder
from edge_gym.files import atomic_write, check_regular


class TrainingFolder(ClaimedFolder):
    """Where a training run keeps what it makes; arguments as for `ClaimedFolder`."""

    KIND = "training"
    MANIFEST = "run.json"
    STATE = "state.npz"
    PREVIOUS = "state.previous.npz"
    PROGRESS = "progress.csv"
    BEST = "best.safetensors"
    LAST = "last.safetensors"
    PRODUCTS = (STATE, PREVIOUS, PROGRESS, BEST, LAST)
    CURVES = "tensorboard"

    def __enter__(self) -> TrainingFolder:
        super().__enter__()
        if self.overwrite and not self.curves.is_symlink():
            shutil.rmtree(self.curves, ignore_errors=True)
        return self

    @property
    def curves(self) -> Path:
        """The folder for TensorBoard; made by its writer."""
        return self.path / self.CURVES

    @property
    def progress(self) -> Path:
        """The table of progress."""
        return self.path / self.PROGRESS

    @property
    def best(self) -> Path:
        """The checkpoint that did best in validation."""
        return self.path / self.BEST

    @property
    def last(self) -> Path:
        """The newest checkpoint."""
        return self.path / self.LAST

    def save_state(self, state: Any) -> None:
        """Keep the state of the run, and the one before it."""
        data, newest = to_bytes(state), self.path / self.STATE
        if newest.exists():
            os.replace(newest, self.path / self.PREVIOUS)
        atomic_write(newest, data)

    def load_state(self) -> Any:
        """The newest state that is whole, or None if none was ever saved.

        A run goes on exactly from any of its states, so an older one costs time and nothing else.

        Raises:
            EdgeGymInputError: There are states, and all are damaged.
        """
        damaged: EdgeGymInputError | None = None
        for name in (self.STATE, self.PREVIOUS):
            path = self.path / name
            if not path.exists():
                continue
            try:
                return from_bytes(check_regular(path).read_bytes(), str(path))
            except EdgeGymInputError as error:
                damaged = damaged or error
        if damaged is not None:
            raise damaged
        return None
