"""Headroom to the service-level objective, as llm-d's predicted-latency scorer picks a server.

Source: llm-d inference scheduler and Gateway API Inference Extension, SLO-aware routing: servers in a tier with and one
without headroom, a small chance of exploring the latter, TTFT and TPOT headroom blended 0.8 to 0.2, and the server with
the *least* headroom that still holds the objective (bin packing). They predict by a model trained online; here the
prediction is the prior times the measured slowdown, as for the other policies.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edge_baselines.common import cheapest, observe, ratio
from edge_baselines.completion import forecast_units, with_overdue
from edge_gym.fields import check, choice, number
from edge_gym.kernel.observe import decode_time
from edge_gym.policy import Context

_SMALL_S = np.float32(1e-6)


@dataclass(kw_only=True)
class Headroom:
    """The node with the least (or most) predicted headroom to the deadline; without any, the least lateness.

    The deadline is split: a share of what is left of it is the objective for the first unit, the rest for the others.

    Raises:
        EdgeGymInputError: A setting is out of its range.
    """

    strategy: str = choice("least", ("least", "most"), "which node of those with headroom")
    first_blend: float = number(0.8, 0, 1, "share", "weight of first-unit headroom; the rest is for time per unit")
    first_share: float = number(0.3, 1e-3, 0.999, "share", "share of the deadline in which the first unit must come")
    explore: float = number(0.01, 0, 1, "share", "chance of choosing among the nodes without headroom")
    margin: float = number(0.0, 0, 0.99, "share", "the objectives are made tighter by this share")
    charge_deadlines: float = number(2.0, 1, 1e3, "deadlines", "what declining is charged: it tells the deadline")
    overdue_power: float = number(1.0, 0, 4, "power", "an overdue ratio r counts as r to this power; 0: ignored")

    def __post_init__(self) -> None:
        check(self)

    def reset(self, n_envs: int, seed: int) -> None:
        """`seed` seeds the exploration."""
        self._rng = np.random.default_rng(seed)

    def act(self, obs: np.ndarray, action_mask: np.ndarray, context: Context) -> np.ndarray:
        """Split the legal nodes into tiers, pick the tier, then the node."""
        first, per_unit = self._headrooms(obs)
        legal = action_mask[:, :-1]
        good = legal & (first >= 0.0) & (per_unit >= 0.0)
        explore = self._rng.random(len(obs)) < self.explore
        bad = legal & ~good
        use_good = good.any(axis=1) & ~(explore & bad.any(axis=1))
        blend = self._blend(first, per_unit, legal)
        lateness = self._blend(np.maximum(-first, 0.0), np.maximum(-per_unit, 0.0), legal)
        wanted = np.where(use_good[:, None], blend if self.strategy == "least" else -blend, lateness)
        tier = np.where(use_good[:, None], good, bad)
        return cheapest(np.where(tier, wanted, 2.0), action_mask)

    def _headrooms(self, obs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Objective less prediction, (B, N) seconds each: of the first unit, and of a unit after it."""
        columns = (observe.WAIT, observe.FIRST, observe.PER_UNIT, observe.SERVICE, observe.NETWORK, observe.LOAD)
        wait, first, unit, service, network, load = (decode_time(obs[:, :-1, column]) for column in columns)
        slowdown = with_overdue(obs, ratio(obs, observe.SLOWDOWN), self.overdue_power)
        units = np.maximum(forecast_units(obs), np.float32(1.0))
        alone = first + units * unit
        crowding = service / np.maximum(alone, _SMALL_S)
        first_s = (wait + first * crowding) * slowdown + network + load
        per_unit_s = unit * crowding * slowdown
        left_s = self._left_s(obs)[:, None] * (1.0 - self.margin)
        return left_s * self.first_share - first_s, left_s * (1.0 - self.first_share) / units - per_unit_s

    def _left_s(self, obs: np.ndarray) -> np.ndarray:
        """(B,) seconds until the deadline, from its share that is left and the charge for declining less the age."""
        charge_left_s = decode_time(obs[:, -1, observe.WAIT])
        slack = obs[:, -1, observe.SLACK]
        return slack * charge_left_s / np.maximum(self.charge_deadlines - 1.0 + slack, _SMALL_S)

    def _blend(self, first: np.ndarray, per_unit: np.ndarray, legal: np.ndarray) -> np.ndarray:
        """Both scaled to 0 ... 1 over the legal nodes, then weighted."""
        return self.first_blend * _scaled(first, legal) + (1.0 - self.first_blend) * _scaled(per_unit, legal)


def _scaled(x: np.ndarray, legal: np.ndarray) -> np.ndarray:
    low = np.where(legal, x, np.inf).min(axis=1, keepdims=True)
    high = np.where(legal, x, -np.inf).max(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.where(high > low, (x - low) / np.maximum(high - low, _SMALL_S), 0.0)
