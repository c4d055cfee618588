"""What the users of nodes do (a game, an update), and what is said about it: ahead, late, falsely, or not at all.

An event of a node is drawn whole when the one before is over: when it starts and ends, what it does, and its messages.
"""

import math

from . import random
from ._jit import jit_row
from .news import say
from .nodes import to_ns
from .tables import (
    AHEAD,
    CANCELLED,
    CHATTER,
    NEVER,
    NOW,
    OVER,
    SECOND,
    SEMANTIC_NEWS,
    STUTTER_FOREGROUND,
)

DRAWS = 16  # draws of one event
(
    D_GAP, D_LEAD, D_HOLD, D_ACTIVITY, D_GROUP, D_SPEED, D_SILENT, D_FALSE, D_LATE, D_DENY, D_DENY_AT, D_END, W_SAY,
    W_DENY, W_END,
) = range(DRAWS - 1)  # fmt: skip


@jit_row
def begin_semantic(params, row, n):
    """Node `n` begins an episode: its user is idle, the first event and chatter are drawn."""
    regime, rules = row.regime[n], params.rules[0]
    regime["event"] = 1.0
    row.node[n]["foreground"] = 0
    regime["event_cycle"] = 0
    regime["chatter_cycle"] = 0
    regime["start_ns"] = NEVER
    regime["end_ns"] = NEVER
    regime["say_ns"] = NEVER
    regime["deny_ns"] = NEVER
    regime["chatter_ns"] = NEVER
    key = random.stream_key(row.world[0]["seed"], random.CHATTER, n)
    if rules["semantic_share"] > 0.0 and rules["chatter_gap_s"] > 0.0:
        regime["chatter_ns"] = to_ns(random.exponential(key, 0) * rules["chatter_gap_s"])
    if random.uniform(key, 1) < rules["semantic_share"]:
        plan_event(params, row, n, 0)


@jit_row
def draw_uniform(row, n, which):
    """Draw number `which` of the present event of node `n`."""
    key = random.stream_key(row.world[0]["seed"], random.EVENT, n)
    return random.uniform(key, DRAWS * row.regime[n]["event_cycle"] + which)


@jit_row
def draw_ns(row, n, which, mean_s):
    """A time of the present event, nanoseconds: half the mean, and an exponential one as long in the mean."""
    return to_ns((0.5 - 0.5 * math.log(draw_uniform(row, n, which))) * mean_s)


@jit_row
def plan_event(params, row, n, now):
    """Draw the next event of node `n`, messages included."""
    regime, rules = row.regime[n], params.rules[0]
    regime["event_cycle"] += 1
    first = now + draw_ns(row, n, D_GAP, rules["event_gap_s"])
    late = draw_uniform(row, n, D_LATE) < rules["late_share"]
    false = draw_uniform(row, n, D_FALSE) < rules["false_share"]
    silent = draw_uniform(row, n, D_SILENT) < rules["silent_share"] and not false
    regime["real"] = 0 if false else 1
    regime["hold_ns"] = draw_ns(row, n, D_HOLD, rules["event_hold_s"])
    regime["start_ns"] = first
    regime["say_ns"] = first
    if late and not false:
        regime["say_ns"] += draw_ns(row, n, D_LEAD, rules["late_s"])
    else:
        regime["start_ns"] += draw_ns(row, n, D_LEAD, rules["event_lead_s"])
    regime["end_ns"] = regime["start_ns"] + regime["hold_ns"]
    regime["deny_ns"] = NEVER
    denies = draw_uniform(row, n, D_DENY)
    if false and denies < 0.5:  # half of the false alarms are called off when they should begin
        regime["deny_ns"] = regime["start_ns"]
    elif not false and denies < rules["contradict_share"]:
        regime["deny_ns"] = regime["start_ns"] + int(draw_uniform(row, n, D_DENY_AT) * regime["hold_ns"])
    regime["says_end"] = 0 if false or draw_uniform(row, n, D_END) >= rules["end_share"] else 1
    if silent:
        regime["say_ns"] = NEVER
        regime["deny_ns"] = NEVER
        regime["says_end"] = 0
    foreground = draw_uniform(row, n, D_GROUP) < rules["foreground_share"]
    u = draw_uniform(row, n, D_ACTIVITY)
    if foreground:
        regime["activity"] = int(u * rules["n_foreground"])
        low, high = math.log(rules["foreground_low"]), math.log(rules["foreground_high"])
    else:
        regime["activity"] = rules["n_foreground"] + int(u * rules["n_background"])
        low, high = math.log(rules["background_low"]), math.log(rules["background_high"])
    regime["event_speed"] = math.exp(low + (high - low) * draw_uniform(row, n, D_SPEED))


@jit_row
def next_semantic(regime):
    """Time of the next change or message."""
    physical = min(regime["start_ns"], regime["end_ns"])
    return min(min(physical, regime["chatter_ns"]), min(regime["say_ns"], regime["deny_ns"]))


@jit_row
def semantic_event(params, row, n, now):
    """The next change or message of node `n` is due."""
    regime, rules = row.regime[n], params.rules[0]
    if regime["chatter_ns"] <= now:
        chat(params, row, n, now)
        return
    if regime["start_ns"] <= now:
        regime["start_ns"] = NEVER
        if regime["real"] == 1:
            regime["event"] = regime["event_speed"]
            if regime["activity"] < rules["n_foreground"]:
                enter_foreground(row, n)
        return
    if regime["say_ns"] <= now:
        regime["say_ns"] = NEVER
        announce(params, row, n, now)
    elif regime["deny_ns"] <= now:
        regime["deny_ns"] = NEVER
        tell(params, row, n, CANCELLED, 0, 0, W_DENY)
    elif regime["end_ns"] <= now:
        regime["end_ns"] = NEVER
        regime["event"] = 1.0
        row.node[n]["foreground"] = 0
        if regime["says_end"] == 1:
            tell(params, row, n, OVER, 0, 0, W_END)
    if regime["end_ns"] == NEVER and regime["say_ns"] == NEVER:
        plan_event(params, row, n, now)


@jit_row
def announce(params, row, n, now):
    """The first message of an event: that it is coming, or that it is on."""
    regime = row.regime[n]
    if regime["start_ns"] == NEVER:
        left = max(regime["end_ns"] - now, 0) if regime["end_ns"] != NEVER else 0
        tell(params, row, n, NOW, 0, left, W_SAY)
    else:
        tell(params, row, n, AHEAD, regime["start_ns"] - now, regime["hold_ns"], W_SAY)


@jit_row
def tell(params, row, n, stage, onset_ns, duration_ns, words):
    """Say something of the present event; it takes effect on what is heard, not on the node."""
    regime = row.regime[n]
    onset_s, duration_s = onset_ns / SECOND, duration_ns / SECOND
    u = draw_uniform(row, n, words)
    say(params, row, n, SEMANTIC_NEWS, stage, regime["activity"], onset_s, duration_s, regime["event_speed"], u)


@jit_row
def chat(params, row, n, now):
    """Something is said about node `n` that means nothing."""
    regime = row.regime[n]
    regime["chatter_cycle"] += 1
    key = random.stream_key(row.world[0]["seed"], random.CHATTER, n)
    index = 2 * regime["chatter_cycle"]
    gap_s = random.exponential(key, index) * params.rules[0]["chatter_gap_s"]
    regime["chatter_ns"] = now + to_ns(gap_s)
    say(params, row, n, SEMANTIC_NEWS, CHATTER, 0, 0.0, 0.0, 1.0, random.uniform(key, index + 1))


@jit_row
def enter_foreground(row, n):
    """The user of node `n` uses it: whatever it serves meanwhile stutters for that user."""
    node = row.node[n]
    node["foreground"] = 1
    for k in range(node["running"]):
        row.slot[n, k]["stutter"] |= STUTTER_FOREGROUND
