"""What only an oracle may see. Policies that use it declare `privileged = True`, and their results are marked."""

from __future__ import annotations

import numpy as np

from edge_gym.envs.batch import Batch
from edge_gym.kernel.foresight import foresee_rows
from edge_gym.kernel.tables import SECOND


class Privileged:
    """Full information about the present of B worlds: true work, speeds and lengths, but nothing of the future."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._spare = batch.world.allocate(1)

    def foresee(self) -> tuple[np.ndarray, np.ndarray]:
        """What each choice would cost, were nothing else to arrive or change.

        Returns:
            The subject's own latency from now on, and the delay it inflicts on the requests that are there, seconds,
            each (B, N + 1). The last column is declining: its charge, and no delay. Illegal choices cost inf.
        """
        batch = self._batch
        shape = (batch.n_worlds, batch.world.n_nodes)
        own_s, added_s = np.empty(shape), np.empty(shape)
        foresee_rows(batch.world.params, batch.state, own_s, added_s, self._spare)
        inflicted_s = np.subtract(added_s, own_s, out=added_s, where=np.isfinite(own_s))
        charge = self._charge_s()[:, None]
        return np.hstack([own_s, charge]), np.hstack([inflicted_s, np.zeros_like(charge)])

    def _charge_s(self) -> np.ndarray:
        """(B,) what declining the subject adds to its latency, seconds."""
        params, state = self._batch.world.params, self._batch.state
        subject = state.job[np.arange(self._batch.n_worlds), np.maximum(state.world["subject"], 0)]
        whole = params.rules[0]["drop_charge"] * params.model["deadline_ns"][subject["model"]]
        return np.maximum(whole - (state.world["now_ns"] - subject["arrive_ns"]), 0) / SECOND
