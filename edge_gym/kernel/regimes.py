"""What happens to nodes by themselves: they drift, leave, join, warm up and are used. All of it exogenous.

Each node runs its own course, drawn by (seed, node, cycle) as it goes, so nothing is stored ahead and nothing depends
on what a controller does. The speed of a node is the product of what the timeline, drift, slow start and its user say.
"""

import math

from . import random
from ._jit import jit_row
from .guards import keep_masked, uphold_guards
from .news import say
from .nodes import refresh_due, set_speed, to_ns
from .presence import join, leave
from .semantic import begin_semantic, next_semantic, semantic_event
from .tables import CHURN_NEWS, DRIFT_NEWS, NEVER, NOW, OVER

RAMP_STEPS = 8  # a ramp is a staircase of this many equal factors


@jit_row
def begin_regimes(params, row, n):
    """Node `n` begins an episode: nominal, up, its first changes drawn."""
    regime, rules = row.regime[n], params.rules[0]
    regime["base"] = 1.0
    regime["drift"] = 1.0
    regime["warm"] = 1.0
    regime["drift_cycle"] = 0
    regime["churn_cycle"] = 0
    regime["drift_stage"] = 0
    regime["drift_ns"] = NEVER
    regime["warm_ns"] = NEVER
    regime["churn_ns"] = NEVER
    seed = row.world[0]["seed"]
    if random.uniform(random.stream_key(seed, random.DRIFT, n), 0) < rules["drift_share"]:
        regime["drift_ns"] = draw_drift(params, row, n, 0, rules["drift_gap_s"])
    if random.uniform(random.stream_key(seed, random.CHURN, n), 0) < rules["churn_share"]:
        regime["churn_ns"] = draw_churn(params, row, n, 0)
    begin_semantic(params, row, n)
    keep_next(row, n)


@jit_row
def keep_next(row, n):
    """The node's next change, whichever regime brings it."""
    regime = row.regime[n]
    soonest = min(regime["drift_ns"], min(regime["warm_ns"], regime["churn_ns"]))
    row.node[n]["regime_ns"] = min(soonest, next_semantic(regime))
    refresh_due(row, n)


@jit_row
def regime_event(params, row, n, now):
    """The next change of node `n` is due."""
    regime = row.regime[n]
    if regime["churn_ns"] <= now:
        change_presence(params, row, n, now)
    elif regime["warm_ns"] <= now:
        regime["warm"] = 1.0
        regime["warm_ns"] = NEVER
    elif regime["drift_ns"] <= now:
        change_drift(params, row, n, now)
    else:
        semantic_event(params, row, n, now)
    keep_speed(row, n, now)
    keep_masked(params, row)
    keep_next(row, n)


@jit_row
def keep_speed(row, n, now):
    """The speed of node `n` is the product of its factors."""
    regime = row.regime[n]
    speed = regime["base"] * regime["drift"] * regime["warm"] * regime["event"]
    if speed != row.node[n]["speed"]:
        set_speed(row, n, speed, now)


@jit_row
def set_base_speed(row, n, speed, now):
    """The timeline says how fast node `n` is."""
    row.regime[n]["base"] = speed
    keep_speed(row, n, now)


@jit_row
def change_presence(params, row, n, now):
    """A stay up (even cycles) or down (odd) ends: the node leaves, or joins and warms up.

    The cycle says which, not the node: the timeline may have let it leave or join in between.
    """
    regime, rules = row.regime[n], params.rules[0]
    alive = row.node[n]["alive"] == 1
    if regime["churn_cycle"] % 2 == 0:
        regime["warm"] = 1.0
        regime["warm_ns"] = NEVER
        if alive:
            leave(params, row, n)
            uphold_guards(params, row)
            row.world[0]["stir"] = 1
            tell_of_churn(params, row, n, NOW)
    elif not alive:
        join(params, row, n)
        row.world[0]["stir"] = 1
        tell_of_churn(params, row, n, OVER)
        if rules["slow_start_s"] > 0.0:
            regime["warm"] = rules["slow_start_speed"]
            regime["warm_ns"] = now + to_ns(rules["slow_start_s"])
    regime["churn_cycle"] += 1
    regime["churn_ns"] = draw_churn(params, row, n, now)


@jit_row
def tell_of_churn(params, row, n, stage):
    """Announce that node `n` has left or joined, if the scenario does such things."""
    index = row.regime[n]["churn_cycle"]
    u = random.uniform(random.stream_key(row.world[0]["seed"], random.WORDS, n), 2 * index)
    say(params, row, n, CHURN_NEWS, stage, params.run.shape[2] - 1, 0.0, params.rules[0]["churn_down_s"], 1.0, u)


@jit_row
def tell_of_drift(params, row, n, stage):
    """Announce that a slow-down of node `n` begins or is over, if the scenario does such things."""
    regime = row.regime[n]
    u = random.uniform(random.stream_key(row.world[0]["seed"], random.WORDS, n), 4 * regime["drift_cycle"] + 1)
    lasts_s, activity = params.rules[0]["drift_hold_s"], params.run.shape[2] - 2
    say(params, row, n, DRIFT_NEWS, stage, activity, 0.0, lasts_s, regime["depth"], u)


@jit_row
def draw_churn(params, row, n, now):
    """When the present stay (even cycles: up, odd: down) ends."""
    cycle, rules = row.regime[n]["churn_cycle"], params.rules[0]
    mean_s = rules["churn_up_s"] if cycle % 2 == 0 else rules["churn_down_s"]
    key = random.stream_key(row.world[0]["seed"], random.CHURN, n)
    return now + to_ns(random.exponential(key, cycle + 1) * mean_s)


@jit_row
def draw_drift(params, row, n, now, mean_s):
    """When the present stretch (nominal, or the bottom of a slow-down) ends."""
    regime = row.regime[n]
    key = random.stream_key(row.world[0]["seed"], random.DRIFT, n)
    index = 4 * regime["drift_cycle"] + (1 if regime["drift_stage"] == 0 else 2)
    return now + to_ns(random.exponential(key, index) * mean_s)


@jit_row
def change_drift(params, row, n, now):
    """One step down or up the ramp of a slow-down."""
    regime, rules = row.regime[n], params.rules[0]
    if regime["drift_stage"] == 0:
        begin_slowdown(params, row, n)
        tell_of_drift(params, row, n, NOW)
    regime["drift_stage"] += 1
    stage, steps = regime["drift_stage"], regime["drift_steps"]
    level = stage if stage <= steps else 2 * steps - stage
    regime["drift"] = math.exp(math.log(regime["depth"]) * level / steps)
    if stage == 2 * steps:
        tell_of_drift(params, row, n, OVER)
        regime["drift_stage"] = 0
        regime["drift_cycle"] += 1
        regime["drift_ns"] = draw_drift(params, row, n, now, rules["drift_gap_s"])
    elif stage == steps:
        regime["drift_ns"] = draw_drift(params, row, n, now, rules["drift_hold_s"])
    else:
        regime["drift_ns"] = now + to_ns(rules["drift_ramp_s"] / steps)


@jit_row
def begin_slowdown(params, row, n):
    """Draw how deep the slow-down that begins goes, and whether at once: a near-outage does."""
    regime, rules = row.regime[n], params.rules[0]
    key = random.stream_key(row.world[0]["seed"], random.DRIFT, n)
    index = 4 * regime["drift_cycle"] + 3
    regime["drift_steps"] = RAMP_STEPS if rules["drift_ramp_s"] > 0.0 else 1
    if random.uniform(key, index) < rules["outage_share"]:
        regime["depth"] = rules["outage_speed"]
        regime["drift_steps"] = 1
    else:
        low, high = math.log(rules["drift_low"]), math.log(rules["drift_high"])
        regime["depth"] = math.exp(low + (high - low) * random.uniform(key, index + 1))
