"""What the heuristics share: named columns of the observation, and choosing among legal nodes."""

from __future__ import annotations

import numpy as np

from edge_gym.kernel import observe
from edge_gym.kernel.observe import TIME_SPAN, TIME_UNIT_S, decode_ratio, decode_time


def seconds(obs: np.ndarray, *columns: int) -> np.ndarray:
    """(B, N) seconds: the sum of time columns over the node rows."""
    total = decode_time(obs[:, :-1, columns[0]])
    for column in columns[1:]:
        total += decode_time(obs[:, :-1, column])
    return total


def encode_time(t_s: np.ndarray) -> np.ndarray:
    """Scale seconds as the time columns are scaled (float32); the inverse of `decode_time`."""
    return np.minimum(np.log2(1.0 + t_s / TIME_UNIT_S) / TIME_SPAN, 1.0).astype(np.float32)


def ratio(obs: np.ndarray, column: int) -> np.ndarray:
    """(B, N) ratios behind a column scaled as r / (1 + r)."""
    return decode_ratio(obs[:, :-1, column])


def cheapest(cost: np.ndarray, action_mask: np.ndarray) -> np.ndarray:
    """The legal node of least cost in each row, the first of equals; decline where no node is legal.

    Args:
        cost: (B, N), finite.
        action_mask: (B, N + 1) bool.

    Returns:
        (B,) int64.
    """
    legal = action_mask[:, :-1]
    choice = np.where(legal, cost, np.inf).argmin(axis=1)
    return np.where(legal.any(axis=1), choice, legal.shape[1])


class Heuristic:
    """A policy without memory: subclasses give the cost of every node."""

    def reset(self, n_envs: int, seed: int) -> None:
        """Nothing to forget."""

    def cost(self, obs: np.ndarray) -> np.ndarray:
        """(B, N) cost of sending the request to each node."""
        raise NotImplementedError  # abstract: every shipped heuristic overrides it

    def act(self, obs: np.ndarray, action_mask: np.ndarray, context: object) -> np.ndarray:
        """The cheapest legal node."""
        return cheapest(self.cost(obs), action_mask)


__all__ = ["Heuristic", "cheapest", "encode_time", "observe", "ratio", "seconds"]
