"""Expected completion time from the observation, given what a policy believes of the nodes' speeds."""

from __future__ import annotations

import numpy as np

from edge_baselines.common import observe, ratio
from edge_gym.kernel.observe import decode_count, decode_time

_FIRST, _PER_UNIT = observe.FIRST - observe.WAIT, observe.PER_UNIT - observe.WAIT
_SERVICE, _NETWORK, _LOAD = (column - observe.WAIT for column in (observe.SERVICE, observe.NETWORK, observe.LOAD))


def forecast_units(obs: np.ndarray) -> np.ndarray:
    """(B, N) forecast of the units the request puts out: the same number in every column."""
    return decode_count(obs[:, :-1, observe.FORECAST])


def completion_s(obs: np.ndarray, slowdown: np.ndarray, inflicted_weight: float = 0.0) -> np.ndarray:
    """Wait and service stretched by `slowdown`, network and load as they are, and a charge for delaying others.

    A request slows its neighbours as they slow it, so what it inflicts is about the part of its own service that is due
    to them. Counting one's own time alone crowds the fast nodes (the same finding as for the oracle's weight).

    Args:
        obs: (B, N + 1, F).
        slowdown: (B, N) believed service time over prior.
        inflicted_weight: How many seconds of its own time a second inflicted on others is worth.

    Returns:
        (B, N) seconds; with a weight, a cost in seconds.
    """
    times = decode_time(obs[:, :-1, observe.WAIT : observe.LOAD + 1])
    served = times[..., 0] + times[..., _SERVICE]
    if inflicted_weight:
        alone = times[..., _FIRST] + forecast_units(obs) * times[..., _PER_UNIT]
        crowded = np.maximum(times[..., _SERVICE] - alone, np.float32(0.0))
        served = served + np.float32(inflicted_weight) * crowded
    return served * slowdown + times[..., _NETWORK] + times[..., _LOAD]


def with_overdue(obs: np.ndarray, slowdown: np.ndarray, power: float) -> np.ndarray:
    """At least what the oldest outstanding request proves: a slowed node is silent until it answers.

    The column `overdue` compares its age with a time expected from the column `slowdown`. If it has taken r > 1 times
    as long, the node is about r times slower than that column says, whatever the policy itself believes.

    Args:
        obs: (B, N + 1, F).
        slowdown: (B, N) believed service time over prior.
        power: r counts as r ** power; 0 ignores the evidence.

    Returns:
        (B, N).
    """
    if power == 0.0:
        return slowdown
    overdue = ratio(obs, observe.OVERDUE)
    proven = ratio(obs, observe.SLOWDOWN) * np.maximum(overdue, np.float32(1.0)) ** np.float32(power)
    return np.where(overdue > 1.0, np.maximum(slowdown, proven), slowdown)
