"""The exogenous course of a world: its requests, and every change of a node's speed or presence, for whoever may know.

The world is run by its own functions with every request declined, so whatever a regime does to nodes is in the record.
"""

import numpy as np

from ._jit import jit, jit_row
from .episode import apply_change, begin
from .requests import apply_choice, arrive
from .step import node_event, row_of, soonest
from .tables import NEVER

ASKED = np.dtype(  # a request as it arrives
    [("arrive_ns", "i8"), ("site", "i4"), ("model", "i4"), ("prompt", "i4"), ("units", "i4")]
)
STRETCH = np.dtype(  # a node from this time until its next stretch
    [("time_ns", "i8"), ("speed", "f8"), ("node", "i4"), ("alive", "i4"), ("incarnation", "i4"), ("pad", "i4")]
)


@jit
def follow(params, state, seed, beyond_ns, asked, stretch, bias):
    """Run one world without a controller and note what happens to it.

    Args:
        params: The scenario's tables.
        state: One world; overwritten.
        seed: Of the episode.
        beyond_ns: How long to go on after the last arrival.
        asked: Output, ASKED.
        stretch: Output, STRETCH, in order of time; at least one row for each node.
        bias: Output (len(stretch), M) float64, the node's software factors.

    Returns:
        Requests and stretches noted; as many as there is room for when a table is full.
    """
    row = row_of(state, 0)
    world = row.world[0]
    begin(params, row, seed, 0)
    n_asked, n_stretch = 0, 0
    for n in range(row.node.shape[0]):
        note(row, n, 0, stretch[n_stretch], bias[n_stretch])
        n_stretch += 1
    last_ns = 0
    while n_asked < asked.shape[0] and n_stretch < stretch.shape[0]:
        n, at = soonest(row.due)
        change, arrival_at = row.change[world["change_at"]], world["next_arrival_ns"]
        at = min(at, min(change["time_ns"], arrival_at))
        if at == NEVER or (arrival_at == NEVER and at > last_ns + beyond_ns):
            break
        world["now_ns"] = at
        if change["time_ns"] <= at:
            world["change_at"] += 1
            apply_change(params, row, change)
            note(row, change["node"], at, stretch[n_stretch], bias[n_stretch])
            n_stretch += 1
        elif row.due[n] <= at:
            node_event(params, row, n)
            note(row, n, at, stretch[n_stretch], bias[n_stretch])
            n_stretch += 1
        else:
            world["log_count"] = 0
            arrive(params, row)
            job, found = row.job[world["subject"]], asked[n_asked]
            found["arrive_ns"] = at
            found["site"] = job["site"]
            found["model"] = job["model"]
            found["prompt"] = job["prompt"]
            found["units"] = job["units"]
            n_asked += 1
            last_ns = at
            apply_choice(params, row, row.node.shape[0])
    return n_asked, n_stretch


@jit_row
def note(row, n, now, found, bias):
    """Node `n` as it is from now on."""
    found["time_ns"] = now
    found["node"] = n
    found["speed"] = row.node[n]["speed"]
    found["alive"] = row.node[n]["alive"]
    found["incarnation"] = row.node[n]["incarnation"]
    for m in range(row.pair.shape[1]):
        bias[m] = row.pair[n, m]["bias"]
