"""`e3_informed`: a meta-controller that knows every node's true speed. How much the tools could be worth."""

from __future__ import annotations

import numpy as np

from edge_gym.kernel import observe_control as seen
from edge_gym.kernel.observe import decode_ratio
from edge_gym.policy import Context
from edge_gym.surface import LEVELS, Surface

OPEN, _, CLOSED = range(len(LEVELS))
EVERY_S = 0.5
# Of the pairs tried on tune seeds 500 to 539 (speeds 0, 0.1, 0.15, 0.2, 0.3, 0.5; errors 1.5, 2, 2.5), these gave the
# least latency on mixed.
SLOW = 0.2
ERROR = 1.5


class Informed:
    """Closes nodes that are really slow, and lets the router measure idle nodes of which it believes what is wrong.

    It knows the present speeds and nothing of the future. Decides MetaControl; its results are marked.

    Args:
        slow: A node is closed while its speed is below this, as a share of its nominal speed.
        error: An idle node is measured if the router's estimate of its slow-down is wrong by more than this factor.
    """

    task = "metacontrol"
    privileged = True

    def __init__(self, slow: float = SLOW, error: float = ERROR) -> None:
        self.slow, self.error = slow, error

    def reset(self, n_envs: int, seed: int) -> None:
        """Nothing to forget; it is asked again soon after each turn."""
        self.wake_s = np.full(n_envs, EVERY_S)

    def act(self, obs: np.ndarray, action_mask: np.ndarray, context: Context) -> np.ndarray:
        """(B,) the first tool call that mends something, else the end of the turn."""
        speed = context.privileged.speeds()
        nodes = obs[:, :-1]
        wanted = np.where((speed < self.slow) & (nodes[:, :, seen.ALIVE] > 0), CLOSED, OPEN)
        move = self._legal(action_mask, context.surface, wanted) & (nodes[:, :, seen.GATE] != wanted / CLOSED)
        true, believed = 1.0 / np.maximum(speed, 1e-3), np.maximum(decode_ratio(nodes[:, :, seen.ESTIMATE]), 1e-3)
        wrong = np.maximum(believed / true, true / believed)
        idle = (nodes[:, :, seen.OUTSTANDING] == 0) & (nodes[:, :, seen.ALIVE] > 0)
        probe = self._probes(action_mask, context.surface)
        measure = idle & (wrong > self.error) & (probe >= 0)
        choice = np.full(len(obs), context.surface.finish)
        for call, due, worth in ((probe, measure, wrong), (self._gates(context.surface, wanted), move, 1.0 - speed)):
            node = np.where(due, worth, -np.inf).argmax(axis=1)
            rows = np.flatnonzero(due.any(axis=1))
            choice[rows] = call[rows, node[rows]]
        return choice

    def _gates(self, surface: Surface, wanted: np.ndarray) -> np.ndarray:
        """(B, N) the calls that set these gates."""
        first = [surface.set_risk_gate(n, OPEN) for n in range(len(surface.nodes))]
        return np.array(first) + wanted

    def _legal(self, action_mask: np.ndarray, surface: Surface, wanted: np.ndarray) -> np.ndarray:
        return np.take_along_axis(action_mask, self._gates(surface, wanted), axis=1)

    def _probes(self, action_mask: np.ndarray, surface: Surface) -> np.ndarray:
        """(B, N) the first legal call that measures each node; -1: none is."""
        models = range(len(surface.models))
        calls = np.array([[surface.calibrate(n, m) for m in models] for n in range(len(surface.nodes))])
        legal = action_mask[:, calls]
        return np.where(
            legal.any(axis=2), np.take_along_axis(calls[None], legal.argmax(axis=2)[:, :, None], 2)[:, :, 0], -1
        )
