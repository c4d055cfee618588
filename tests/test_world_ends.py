"""BAD-14 to BAD-40 from the other side: what a scenario file may say can be played, at both ends of every range."""

import dataclasses
import json
import math
import random
import re
import typing
import warnings

import numpy as np
import pytest

from edge_gym.envs.single import EdgeEnv
from edge_gym.errors import EdgeGymInputError
from edge_gym.fields import type_hints
from edge_gym.scenario import Scenario
from edge_gym.scenario.io import dumps, loads
from edge_gym.scenario.presets import preset

# Sizes: at their upper ends worlds take memory, which is another matter.
SIZES = {"pool.n_nodes": 300, "topology.n_sites": 300, "pool.slots": 1000, "pool.queue_capacity": 1000}
PRESETS = ("toy2", "semantic", "churn", "azure")
STEPS = 6


def numbers(cls, data, path=""):
    """Path, lower and upper end of every number of a scenario; an open end is replaced by the next number inside."""
    for field in dataclasses.fields(cls):
        hint, where = type_hints(cls)[field.name], f"{path}.{field.name}" if path else field.name
        value, meta = data[field.name], field.metadata
        if "low" in meta and not isinstance(value, list):
            low = math.nextafter(meta["low"], math.inf) if meta["low_open"] else meta["low"]
            high = math.nextafter(meta["high"], -math.inf) if meta["high_open"] else meta["high"]
            yield where, low, min(high, SIZES.get(where, high))
        parts = [part for part in (hint, *typing.get_args(hint)) if dataclasses.is_dataclass(part)]
        if parts and value:
            first = value[0] if isinstance(value, list) else value
            yield from numbers(parts[0], first, f"{where}[0]" if isinstance(value, list) else where)


def put(data, path, value):
    *keys, last = (int(key) if key.isdigit() else key for key in re.findall(r"[^.\[\]]+", path))
    for key in keys:
        data = data[key]
    data[last] = int(value) if float(value).is_integer() and abs(value) < 2**63 else value


def play(data):
    """A few decisions in a world from a file, with every warning an error; False if the file is refused."""
    try:
        scenario = loads(json.dumps(data), "json")
    except EdgeGymInputError:
        return False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            env = EdgeEnv(scenario=scenario)
        except EdgeGymInputError:  # what only the whole world shows, such as its memory
            return False
        obs, _ = env.reset(seed=1)
        for _ in range(STEPS):
            assert np.isfinite(obs).all() and obs in env.observation_space
            obs, reward, _, truncated, info = env.step(int(env.action_masks().argmax()))
            assert math.isfinite(reward) and info["dt_s"] >= 0
            if truncated:
                break
    return True


def changed(data, path, value):
    put(data, path, value)
    if path in ("arrivals.load", "arrivals.rate_per_s"):
        data["arrivals"]["load" if path.endswith("rate_per_s") else "rate_per_s"] = None


def plain(name):
    return json.loads(dumps(preset(name), "json"))


@pytest.mark.parametrize("name", PRESETS)
def test_every_number_at_both_ends_of_its_range(name):
    fields = list(numbers(Scenario, plain(name)))
    played, failed = 0, []
    for path, *ends in fields:
        for value in ends:
            data = plain(name)
            changed(data, path, value)
            try:
                played += play(data)
            except Exception as error:
                failed.append(f"{path} = {value!r}: {type(error).__name__}: {error}")
    assert failed == []
    assert len(fields) > 100 and played > 1.6 * len(fields), "most of them are refused, so nothing was tested"


def test_several_numbers_at_their_ends_at_once():
    fields = {name: list(numbers(Scenario, plain(name))) for name in PRESETS}
    played, failed = 0, []
    for k in range(150):
        rng = random.Random(k)
        name = rng.choice(PRESETS)
        data, changes = plain(name), rng.sample(fields[name], rng.choice((2, 3, 4, 8)))
        for path, *ends in changes:
            changed(data, path, rng.choice(ends))
        try:
            played += play(data)
        except Exception as error:
            failed.append(f"case {k}, {name}, {[path for path, *_ in changes]}: {type(error).__name__}: {error}")
    assert failed == [] and played > 60
