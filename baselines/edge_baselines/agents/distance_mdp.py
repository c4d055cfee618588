"""Migration as a Markov decision process of the distance between a user and its agent."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge_baselines.agents.handovers import Handovers, hops
from edge_baselines.agents.movers import NEVER, Mover, View, at_host
from edge_gym.agency import Agency
from edge_gym.policy import Context

MAX_HOPS = 8  # farther is taken as this far
REFIT_S = 10.0  # simulated seconds between two estimates of the users' way
SWEEPS, IMPROVEMENTS = 5, 6  # of modified policy iteration


class Curve(NamedTuple):
    """constant + slope x base**distance: the cost model of the source."""

    constant: float
    slope: float
    base: float

    def at(self, distance: np.ndarray) -> np.ndarray:
        """Its value."""
        return self.constant + self.slope * self.base**distance


class DistanceMdp(Mover):
    """The distance MDP of Wang, Urgaonkar et al. (IFIP Networking 2015; IEEE/ACM ToN 27, 2019).

    The state is the number of hops from the user's site to the host's. Each slot costs c_d(x) = d_c + d_l theta**x at
    distance x and a move over distance y costs c_m(y) = b_c + b_l mu**y, both fitted to the delays between sites and
    nodes, which are public; how the distance changes is estimated from the handovers seen so far. The constant b_c
    holds what a move of this agent takes wherever it goes. Solved by modified policy iteration at every decision.

    The source knows nodes that differ in distance alone. Among those at the distance it wants the cheapest is taken,
    and `own_weight` adds what else sets a node apart from the host, for as long as the discount looks ahead.

    Args:
        slot_s: Length of a slot, simulated seconds.
        discount: Of a slot.
        own_weight: Of the costs that do not depend on the distance; 0 is as published.
        move_weight: Of the cost of moves; 1 is as published.
    """

    def __init__(
        self, slot_s: float = 5.0, discount: float = 0.9, own_weight: float = 0.0, move_weight: float = 1.0
    ) -> None:
        self.slot_s, self.discount, self.own_weight, self.move_weight = slot_s, discount, own_weight, move_weight

    def reset(self, n_envs: int, seed: int) -> None:
        """Forget the users' ways."""
        self._handovers = Handovers(n_envs)
        self._fits: tuple[list[Curve], Curve] = [], Curve(0.0, 0.0, 1.0)
        self._fitted_s = np.full(n_envs, -np.inf)

    def costs(self, view: View, context: Context) -> np.ndarray:
        """(B, N) expected discounted cost of a move to each node, the host's of staying."""
        agency = context.agency
        self._handovers.see(context)
        if not self._fits[0]:
            self._prepare(agency, len(view.host))
        self._follow(context)
        subjects, rows = agency.subjects(), np.arange(len(view.host))
        distance = self._distance[np.maximum(subjects.site, 0)[:, None], agency.home]  # (B, N)
        between = self._distance[agency.home[view.host][:, None], agency.home]
        served, moved = self._figures(view, agency, subjects.role, between)
        value = self._solve(served, moved)  # (B, X, X)
        costs = value[rows[:, None], distance[rows, view.host][:, None], distance]
        if self.own_weight > 0.0:
            own = view.running - agency.weights[0] * view.rate[:, None] * view.network_s
            own = np.where(view.running < NEVER, own - at_host(own, view)[:, None], NEVER)
            costs = costs + self.own_weight * own * self.slot_s / (1.0 - self.discount)
        # Among nodes at one distance the cheapest now: too small a term to change the distance.
        costs = costs + 1e-9 * np.minimum(view.running, 1e3)
        costs[rows, view.host] -= 2e-6 - 1e-9 * np.minimum(at_host(view.running, view), 1e3)
        return np.where(view.running < NEVER, costs, NEVER)

    def _prepare(self, agency: Agency, n_envs: int) -> None:
        """Distances, and the curves of the network, which do not change."""
        self._distance = np.minimum(hops(agency.hop), MAX_HOPS)
        self._n = int(self._distance.max()) + 1
        self._indicator = (self._distance[None] == np.arange(self._n)[:, None, None]).astype(float)  # (X, S, S)
        self._steps = np.tile(np.eye(self._n), (n_envs, 1, 1))
        far = self._distance[:, agency.home]  # (S, N)
        delay_s, per_byte = agency.link["delay_ns"] / 1e9, agency.link["s_per_byte"]
        served = [fit(far, 2.0 * delay_s + size * per_byte) for size in agency.request_bytes]
        apart = self._distance[agency.home[:, None], agency.home]
        self._fits = served, fit(apart, 0.5 * agency.cable["rtt_s"])

    def _follow(self, context: Context) -> None:
        """How the distance changes in a slot, (B, X, X), estimated anew now and then."""
        due = context.active & ((context.time_s - self._fitted_s >= REFIT_S) | context.begun)
        if not due.any():
            return
        ahead = self._handovers.ahead(self.slot_s)[due]
        to = np.einsum("bst,yth->bysh", ahead, self._indicator)
        steps = np.einsum("xsh,bysh->bxy", self._indicator, to)
        self._steps[due] = steps / steps.sum(axis=2, keepdims=True)
        self._fitted_s[due] = context.time_s[due]

    def _figures(self, view: View, agency: Agency, role: np.ndarray, between: np.ndarray) -> tuple:
        """Cost of a slot at each distance, and of a move by each, (B, X)."""
        served_curves, way = self._fits
        distance = np.arange(self._n)
        per_request = np.array([curve.at(distance) for curve in served_curves])[np.maximum(role, 0)]
        served = agency.weights[0] * view.rate[:, None] * self.slot_s * per_request
        way_s = way.at(distance)
        rest_s = np.where(view.legal, view.start_s - way_s[between], np.inf).min(axis=1)
        down_s = np.maximum(np.where(np.isfinite(rest_s), rest_s, 0.0)[:, None] + way_s, 0.0)
        return served, self.move_weight * agency.weights[0] * view.rate[:, None] * down_s**2 / 2.0

    def _solve(self, served: np.ndarray, moved: np.ndarray) -> np.ndarray:
        """(B, X, X) value of going from one distance to another at once and acting well from then on."""
        n, rows = self._n, np.arange(len(served))[:, None]
        x = np.arange(n)
        move = np.where(np.eye(n, dtype=bool), 0.0, moved[:, np.abs(x[:, None] - x)])
        value = served / (1.0 - self.discount)
        after = served + self.discount * np.einsum("bxy,by->bx", self._steps, value)
        for _ in range(IMPROVEMENTS):
            to = (move + after[:, None, :]).argmin(axis=2)
            for _ in range(SWEEPS):
                value = move[rows, x, to] + np.take_along_axis(after, to, axis=1)
                after = served + self.discount * np.einsum("bxy,by->bx", self._steps, value)
        return move + after[:, None, :]


def fit(distance: np.ndarray, seconds: np.ndarray) -> Curve:
    """The curve of least squares through the mean at each distance; its base is searched on a grid."""
    known = np.unique(distance)
    means = np.array([seconds[distance == x].mean() for x in known])
    if len(known) < 2:
        return Curve(float(means[0]), 0.0, 1.0)
    best, least = Curve(float(means.mean()), 0.0, 1.0), np.inf
    for base in np.concatenate([np.linspace(0.05, 0.95, 19), np.linspace(1.05, 2.0, 20)]):
        table = np.column_stack([np.ones(len(known)), base**known])
        found, *_ = np.linalg.lstsq(table, means, rcond=None)
        error = float(((table @ found - means) ** 2).sum())
        if error < least:
            best, least = Curve(float(found[0]), float(found[1]), float(base)), error
    return best
