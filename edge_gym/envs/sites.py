"""B worlds in which every site decides for itself, as one `gymnasium.vector.VectorEnv` of B x S rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_gym.envs.by_site import BySite
from edge_gym.envs.common import check_choice
from edge_gym.envs.sites_batch import SITE_TASKS, make_sites_batch, site_rules, split_settings
from edge_gym.envs.vector import EdgeVectorEnv
from edge_gym.errors import EdgeGymInputError


class SitesVectorEnv(EdgeVectorEnv):
    """B worlds of S sites: row `b * S + s` is site `s` of world `b`, for policies that sites share or copy.

    A step is as in `edge_gym.routing_v0`: `info["active"]` says which rows have something to decide on; in the others
    only declining is legal, and does nothing. The rows of a world begin and end together. World `b` is bit for bit the
    parallel environment reset with `info["seed"][b * S]`; seeds are given for worlds, and `render()` draws worlds.

    Args:
        num_worlds: B, at least 1; `num_envs` is B x S.
        task: "routing", "placement" or "migration".
        **arguments: As for `EdgeVectorEnv`: scenario, autoreset_mode, illegal, copy, render_mode, fields of the
            scenario; and those by which the sites decide: `slot_s`, `heartbeat_s`, `reward`, `view`.

    Attributes:
        sites: The batch, as sites see it.

    Raises:
        EdgeGymInputError: An argument or the scenario is not valid.
    """

    def __init__(self, num_worlds: int = 1, *, task: str = "routing", **arguments: Any) -> None:
        self._settings, others = split_settings(arguments)
        check_choice("task", task, SITE_TASKS)
        super().__init__(num_worlds, task=task, **others)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin new episodes, as `EdgeVectorEnv.reset`.

        Args:
            seed: An int from which every world gets its own stream, a list with one seed for each world, or None.
            options: `{"reset_mask": (B * S,) bool}`, alike for the rows of a world (mode "disabled").
        """
        mask = np.asarray((options or {}).get("reset_mask"))
        rows = mask.reshape(self.batch.n_worlds, -1) if np.shape(mask) == (self.num_envs,) else np.zeros((1, 1))
        if (rows != rows[:, :1]).any():
            raise EdgeGymInputError("options['reset_mask']", mask, "alike for all sites of a world", "reset")
        return super().reset(seed=seed, options=options)

    def _make_batch(self, n_worlds: int) -> BySite:
        self.sites = make_sites_batch(self.task, self.world, n_worlds, site_rules(self.world, **self._settings))
        return self.sites

    def _info(
        self, terms: np.ndarray, dt_s: np.ndarray, time_s: np.ndarray, seed: np.ndarray, rows: np.ndarray
    ) -> dict[str, Any]:
        info = super()._info(terms, dt_s, time_s, seed, rows)
        return {**info, "active": self.sites.active, "_active": rows}
