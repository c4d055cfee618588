"""Time passes and is accounted for: what the reward is made of."""

from ._jit import jit_row
from .tables import SECOND


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
    world["imbalance_s"] += elapsed * world["spread"]
    world["masked_s"] += elapsed * world["closed_share"]
    world["now_ns"] = at


@jit_row
def score(params, row, out):
    """Reward since the last decision: the weighted sum of the terms, each a cost with a minus sign (never -0)."""
    world, rules = row.world[0], params.rules[0]
    out["dt_s"] = (world["now_ns"] - world["decided_ns"]) / SECOND
    out["latency"] = 0.0 - world["latency_ns"] / SECOND
    out["slo_miss"] = 0.0 - float(world["slo_misses"])
    out["drop"] = 0.0 - float(world["drops"])
    out["stutter"] = 0.0 - float(world["stutters"])
    out["migration"] = 0.0
    out["energy"] = 0.0 - world["energy_j"]
    out["cost"] = 0.0 - world["cost_usd"]
    out["imbalance"] = 0.0 - world["imbalance_s"]
    weigh(rules, out)
    forget_accounts(world)


@jit_row
def weigh(rules, out):
    """The reward is the weighted sum of the terms."""
    served = rules["weight_latency"] * out["latency"] + rules["weight_slo_miss"] * out["slo_miss"]
    served += rules["weight_drop"] * out["drop"] + rules["weight_stutter"] * out["stutter"]
    spent = rules["weight_energy"] * out["energy"] + rules["weight_cost"] * out["cost"]
    spread = rules["weight_imbalance"] * out["imbalance"] + rules["weight_migration"] * out["migration"]
    out["reward"] = served + spent + spread


@jit_row
def pay_nothing(out):
    """The beginning of an episode has no reward."""
    out["reward"] = 0.0
    out["dt_s"] = 0.0
    out["latency"] = 0.0
    out["slo_miss"] = 0.0
    out["drop"] = 0.0
    out["stutter"] = 0.0
    out["migration"] = 0.0
    out["energy"] = 0.0
    out["cost"] = 0.0
    out["imbalance"] = 0.0


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
