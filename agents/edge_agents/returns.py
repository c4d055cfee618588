"""Returns and advantages in continuous time, by numpy; arrays are (T, B), a row for each step of B worlds.

Decisions are unevenly spaced, so what comes after a step of `dt` simulated seconds counts `exp(-dt / horizon)` (the
semi-Markov discount: Bradtke and Duff 1994).

`done` is terminal: an episode ends with an empty world, and its last reward holds everything that was still to come.
That the rollout is cut is no end: what follows is worth the value of the next observation.
"""

from __future__ import annotations

import numpy as np


def discounts(dt_s: np.ndarray, horizon_s: float) -> np.ndarray:
    """What the next decision counts after `dt_s` seconds, in (0, 1]."""
    return np.exp(-dt_s / horizon_s)


def advantages(
    reward: np.ndarray, discount: np.ndarray, done: np.ndarray, value: np.ndarray, gae_lambda: float
) -> np.ndarray:
    """Generalised advantage estimation (Schulman et al. 2016), with a discount for each step.

    Args:
        reward: (T, B).
        discount: (T, B), of each step.
        done: (T, B) bool, the episode ended with the step.
        value: (T + 1, B), before each step and after the last.
        gae_lambda: Weight of later errors, for each decision.

    Returns:
        (T, B) float64; with the values they sum to the targets of the value.
    """
    carried = np.where(done, 0.0, discount)
    error = reward + carried * value[1:] - value[:-1]
    result, later = np.empty_like(error), np.zeros(error.shape[1])
    for t in range(len(error) - 1, -1, -1):
        later = error[t] + carried[t] * gae_lambda * later
        result[t] = later
    return result


def group_baseline(quantity: np.ndarray, episode: np.ndarray, age_s: np.ndarray, group: int) -> np.ndarray:
    """The mean of a quantity over the *other* worlds of the same group, in the same episode, at the same age.

    The worlds of a group meet the same requests, so this is what the requests alone explain (the input-dependent
    baseline: Mao et al. 2019). It does not depend on the decision it is compared with, so it adds no bias. Between
    the decisions of a world its quantity is interpolated, before its first and after its last in the rollout constant.

    Args:
        quantity: (T, B).
        episode: (T, B) number of each world's episode.
        age_s: (T, B) simulated seconds since the episode began, not decreasing within it.
        group: So many neighbouring worlds are a group; divides B.

    Returns:
        (T, B) float64; 0 where no other world is in that episode.
    """
    n_steps, n_worlds = quantity.shape
    # One increasing key for all: world, then episode, then age; gaps wider than any age keep them apart.
    span = 2.0 * (age_s.max() + 1.0)
    first = episode.min()
    per_world = span * (episode.max() - first + 2)
    within = (span * (episode - first) + age_s).T  # (B, T)
    key = (within + per_world * np.arange(n_worlds)[:, None]).ravel()
    flat, numbers = quantity.T.ravel(), episode.T
    total, count = np.zeros((n_worlds, n_steps)), np.zeros((n_worlds, n_steps))
    world = np.arange(n_worlds)
    for shift in range(1, group):
        other = world // group * group + (world + shift) % group
        after = np.searchsorted(key, (within + per_world * other[:, None]).ravel()).reshape(n_worlds, n_steps)
        lowest = other[:, None] * n_steps
        before = np.clip(after - 1, lowest, lowest + n_steps - 1)
        after = np.clip(after, lowest, lowest + n_steps - 1)
        has_before = numbers.ravel()[before] == numbers
        has_after = numbers.ravel()[after] == numbers
        gap = key[after] - key[before]
        share = (within + per_world * other[:, None] - key[before]) / np.where(gap > 0, gap, 1.0)
        share = np.where(has_before & has_after, np.clip(share, 0.0, 1.0), np.where(has_after, 1.0, 0.0))
        found = has_before | has_after
        total += np.where(found, flat[before] * (1.0 - share) + flat[after] * share, 0.0)
        count += found
    return (total / np.maximum(count, 1.0)).T


class ReturnScale:
    """The standard deviation of discounted returns over everything seen, by sums.

    Returns are summed forwards, as what a world has collected so far; that has the same spread, and needs no end.

    Args:
        n_worlds: B.
    """

    def __init__(self, n_worlds: int) -> None:
        self.running = np.zeros(n_worlds)
        self.sums = np.zeros(3)  # count, sum, sum of squares

    def add(self, reward: np.ndarray, discount: np.ndarray, done: np.ndarray) -> None:
        """Take in a rollout, all (T, B)."""
        for t in range(len(reward)):
            self.running += reward[t]
            self.sums += self.running.size, self.running.sum(), (self.running**2).sum()
            self.running *= np.where(done[t], 0.0, discount[t])

    @property
    def scale(self) -> float:
        """The standard deviation; 1 if nothing varies."""
        count, total, squares = self.sums
        variance = squares / count - (total / count) ** 2
        return float(np.sqrt(variance)) if variance > 1e-12 else 1.0
