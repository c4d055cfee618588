"""`e3_informed`: a meta-controller that knows every node's true speed. How much the tools could be worth."""

from __future__ import annotations

import numpy as np

from edge_gym.kernel import observe_control as seen
from edge_gym.kernel.observe import decode_ratio
from edge_gym.policy import Context
from edge_gym.surface import LEVELS

OPEN, _, CLOSED = range(len(LEVELS))
EVERY_S = 0.5
# Of the pairs tried on tune seeds 500 to 539 (speeds 0, 0.1, 0.15, 0.2, 0.3, 0.5; errors 1.5, 2, 2.5), these gave the
# least latency on mixed.
SLOW = 0.2
ERROR = 1.5
LEAST = 1e-3  # of speeds and slow-downs, to divide by


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
        surface, nodes = context.surface, obs[:, :-1]
        every = np.arange(len(surface.nodes))
        speed, alive = context.privileged.speeds(), nodes[:, :, seen.ALIVE] > 0
        wanted = np.where((speed < self.slow) & alive, CLOSED, OPEN)
        gate = surface.set_risk_gate(every, wanted)
        move = np.take_along_axis(action_mask, gate, axis=1) & (nodes[:, :, seen.GATE] != wanted / CLOSED)
        probes = surface.calibrate(every[:, None], np.arange(len(surface.models)))  # (N, M)
        legal = action_mask[:, probes]
        probe = probes[every, legal.argmax(axis=2)]
        true, believed = 1.0 / np.maximum(speed, LEAST), np.maximum(decode_ratio(nodes[:, :, seen.ESTIMATE]), LEAST)
        wrong = np.maximum(believed / true, true / believed)
        measure = alive & (nodes[:, :, seen.OUTSTANDING] == 0) & (wrong > self.error) & legal.any(axis=2)
        choice = np.full(len(obs), surface.finish)
        for call, due, worth in ((probe, measure, wrong), (gate, move, 1.0 - speed)):  # gates come before probes
            node = np.where(due, worth, -np.inf).argmax(axis=1)
            rows = np.flatnonzero(due.any(axis=1))
            choice[rows] = call[rows, node[rows]]
        return choice
