"""B worlds in which every site decides for its own requests, as one `gymnasium.vector.VectorEnv` of B x S rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_gym.envs.sites_batch import SitesBatch, site_rules
from edge_gym.envs.vector import EdgeVectorEnv
from edge_gym.errors import EdgeGymInputError


class SitesVectorEnv(EdgeVectorEnv):
    """B worlds of S sites: row `b * S + s` is site `s` of world `b`, for policies that sites share or copy.

    A step is as in `edge_gym.routing_v0`: `info["active"]` says which rows have a request to decide on; in the others
    only declining is legal, and does nothing. The rows of a world begin and end together. World `b` is bit for bit the
    parallel environment reset with `info["seed"][b * S]`; seeds are given for worlds, and `render()` draws worlds.

    Args:
        num_worlds: B, at least 1; `num_envs` is B x S.
        slot_s: Seconds between the instants at which the sites decide, 1e-6 to 3,600; 0: each request at once.
        heartbeat_s: Seconds between the instants at which nodes publish their load, 1e-6 to 3,600; by default as old
            as the scenario's telemetry, at least 1.
        reward: "own": every site is paid for its own requests; "shared": for all.
        view: "own": every site sees its own books; "central": the sites decide one after the other, each on the books
            of a router that sees everything, as a yardstick.
        **arguments: As for `EdgeVectorEnv`: scenario, autoreset_mode, illegal, copy, render_mode, fields of the
            scenario.

    Raises:
        EdgeGymInputError: An argument or the scenario is not valid.
    """

    batch: SitesBatch

    def __init__(
        self,
        num_worlds: int = 1,
        *,
        slot_s: float = 0.1,
        heartbeat_s: float | None = None,
        reward: str = "own",
        view: str = "own",
        **arguments: Any,
    ) -> None:
        self._settings = slot_s, heartbeat_s, reward, view
        super().__init__(num_worlds, task="routing", **arguments)

    def reset(
        self, *, seed: int | list[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Begin new episodes, as `EdgeVectorEnv.reset`.

        Args:
            seed: An int from which every world gets its own stream, a list with one seed for each world, or None.
            options: `{"reset_mask": (B * S,) bool}`, alike for the rows of a world (mode "disabled").
        """
        mask = (options or {}).get("reset_mask")
        if isinstance(mask, np.ndarray) and mask.shape == (self.num_envs,):
            if (mask.reshape(self.batch.n_worlds, -1) != mask[:: self._per_world, None]).any():
                raise EdgeGymInputError("options['reset_mask']", mask, "alike for all sites of a world", "reset")
        return super().reset(seed=seed, options=options)

    def _make_batch(self, n_worlds: int) -> SitesBatch:
        return SitesBatch(self.world, n_worlds, site_rules(self.world, *self._settings))

    def _info(self, *parts: np.ndarray) -> dict[str, Any]:
        rows = parts[-1]
        return {**super()._info(*parts), "active": self.batch.active, "_active": rows}
