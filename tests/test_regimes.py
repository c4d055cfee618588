"""Drift, churn and slow start: the laws of their courses, that nobody's choices touch them, and what they do to requests."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pytest
from helpers import SECOND, Game, RandomLegal, assert_mean, first_legal, play, queue_scenario, trace_arrivals
from scipy import stats
from test_conservation import check_conservation, check_world, random_scenario
from test_exogenous import decline_all, exogenous, same_until

from edge_gym.errors import EdgeGymInputError
from edge_gym.kernel import observe, random
from edge_gym.kernel._jit import jit
from edge_gym.kernel.build import World
from edge_gym.kernel.regimes import RAMP_STEPS, regime_event
from edge_gym.kernel.step import row_of
from edge_gym.kernel.tables import COMPLETED, RESIDENT
from edge_gym.privileged import Privileged
from edge_gym.scenario import Change, Churn, Drift, Law, Telemetry
from edge_gym.scenario.io import dumps, fingerprint, loads
from edge_gym.scenario.presets import preset

N = 8  # nodes of the worlds whose courses are watched


@jit
def run_courses(params, state, until, at, speed, alive, count):
    """Every change that regimes bring, node by node: no requests, no router."""
    for b in range(state.world.shape[0]):
        row = row_of(state, b)
        for n in range(row.node.shape[0]):
            k = 0
            while row.node[n]["regime_ns"] <= until and k < at.shape[2]:
                now = row.node[n]["regime_ns"]
                row.world[0]["now_ns"] = now
                regime_event(params, row, n, now)
                at[b, n, k] = now
                speed[b, n, k] = row.node[n]["speed"]
                alive[b, n, k] = row.node[n]["alive"]
                k += 1
            count[b, n] = k


class Course(NamedTuple):
    """What happens to one node: after change `k` at `at[k]` (ns) it has this speed and presence; before, 1 and 1."""

    at: np.ndarray
    speed: np.ndarray
    alive: np.ndarray

    def value(self, name, ns):
        """Speed or presence at a time."""
        k = np.searchsorted(self.at, ns, "right")
        return np.r_[1.0, getattr(self, name)][k]


def courses(scenario, seeds, until_s) -> list[list[Course]]:
    """Of every world and node. The first request comes so late that nothing has happened before it is removed."""
    world, seeds = World(scenario), list(seeds)
    quiet = Game(world, seeds)
    quiet.batch.reset(~quiet.over, quiet.obs)
    state, most = quiet.batch.state, 8000
    shape = (len(seeds), world.n_nodes)
    # The reset runs to the first arrival: go back to time 0.
    begin_again(world.params, state)
    at, speed = np.zeros((*shape, most), np.int64), np.zeros((*shape, most))
    alive, count = np.zeros((*shape, most), np.int64), np.zeros(shape, np.int64)
    run_courses(world.params, state, int(until_s * SECOND), at, speed, alive, count)
    assert count.max() < most
    cut = [[count[b, n] for n in range(shape[1])] for b in range(shape[0])]
    return [
        [Course(at[b, n, :k], speed[b, n, :k], alive[b, n, :k]) for n, k in enumerate(cut[b])] for b in range(shape[0])
    ]
