"""Time passes and is accounted for: what the reward is made of."""

import math

from ._jit import jit_row
from .tables import N_TERMS, SECOND


@jit_row
def advance_clock(row, at):
    """Let time pass, booking what accrues with it."""
    world = row.world[0]
    elapsed_ns = at - world["now_ns"]
    if elapsed_ns <= 0:
        return
    elapsed = elapsed_ns / SECOND
    world["latency_ns"] += elapsed_ns * world["in_system"]
    world["energy_j"] += elapsed * world["power_w"]
    world["cost_usd"] += elapsed * world["price_per_s"]
    mean = world["busy_sum"] / row.node.shape[0]
    world["imbalance_s"] += elapsed * math.sqrt(max(world["busy_square"] / row.node.shape[0] - mean * mean, 0.0))
    world["now_ns"] = at


@jit_row
def score(params, row, terms):
    """Reward since the last decision: the weighted sum of the terms, each a cost with a minus sign."""
    world = row.world[0]
    dt_s = (world["now_ns"] - world["decided_ns"]) / SECOND
    terms[0] = -world["latency_ns"] / SECOND
    terms[1] = -float(world["slo_misses"])
    terms[2] = -float(world["drops"])
    terms[3] = -float(world["stutters"])
    terms[4] = 0.0
    terms[5] = -world["energy_j"]
    terms[6] = -world["cost_usd"]
    terms[7] = -world["imbalance_s"]
    reward = 0.0
    for k in range(N_TERMS):
        reward += params.weights[k] * terms[k]
    forget_accounts(world)
    return reward, dt_s


@jit_row
def forget_accounts(world):
    """Open new accounts for the time until the next decision."""
    world["decided_ns"] = world["now_ns"]
    world["latency_ns"] = 0
    world["energy_j"] = 0.0
    world["cost_usd"] = 0.0
    world["imbalance_s"] = 0.0
    world["slo_misses"] = 0
    world["drops"] = 0
    world["stutters"] = 0
