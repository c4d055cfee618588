"""The crowding of the world as straight lines, and for whole arrays."""

import numpy as np

from edge_gym.kernel.assignment import KNOTS, Problem


def crowd_lines() -> tuple[np.ndarray, np.ndarray]:
    """Slopes and intercepts of the straight lines whose maximum `crowd` is."""
    r = np.array(KNOTS)
    f = r * r / (1.0 - r)
    slope = np.diff(f) / np.diff(r)
    return slope, f[:-1] - slope * r[:-1]


def crowded(load: np.ndarray) -> np.ndarray:
    """`crowd` of many loads."""
    slope, at_zero = crowd_lines()
    return np.max(slope * load[..., None] + at_zero, axis=-1)


def crowd_alone(problem: Problem) -> np.ndarray:
    """Requests by crowding, (G, N), of an agent that shares a node only with those there before."""
    before = problem.load_before
    return crowded(before + problem.load) - crowded(before)
