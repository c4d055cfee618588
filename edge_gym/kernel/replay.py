"""What another choice would have led to, had all else been decided as it was: for teaching, never for deciding.

A world that was played on is played again from an earlier moment in a copy, with another choice for the request that
was pending then. All that is exogenous is keyed by the seed and the later decisions are those that were made, so what
differs in the end is due to the choice alone.
"""

import numpy as np

from ._jit import jit, jit_row
from .accounts import forget_accounts, score
from .control import find_pick
from .observe import is_legal, observe
from .rollout_ahead import copy_change, copy_row, go_on
from .step import row_of
from .tables import NO_SUBJECT

# A decision that was made: for request `id`, which had come back `retries` times.
DECIDED = np.dtype([("id", "i8"), ("choice", "i4"), ("retries", "i4")])
RETURNS = 4  # places of a request in a table of decisions: it may come back


@jit
def place_of(number, retries, size):
    """Where the decision about a request stands in a table of `size` places; another may stand there instead."""
    return (number * RETURNS + retries % RETURNS) % size


@jit
def replay_rows(params, state, made, tried, until, cost, trial, out, look, legal, times):
    """For every world and every choice to be tried: minus the return until all requests have left.

    Args:
        params: The scenario's tables.
        state: The worlds as they were; not changed.
        made: (B, P) DECIDED, each decision in its place (`place_of`).
        tried: (B, K) int64, choices of the pending decisions; a negative one is left out.
        until: (B,) int64, the number of requests after which nothing arrives any more.
        cost: Output (B, K) float64.
        trial: State of one world of the same scenario.
        out: Scratch (1,) OUTCOME.
        look: Scratch (N + 1, N_FEATURES) float32.
        legal: Scratch (N + 1,) bool.
        times: Scratch ((N + 1) * N_TIMES,) float32.
    """
    copy = row_of(trial, 0)
    for b in range(state.world.shape[0]):
        row = row_of(state, b)
        if row.world[0]["subject_kind"] == NO_SUBJECT:
            continue
        copy_change(row, copy)
        for k in range(tried.shape[1]):
            if tried[b, k] >= 0:
                copy_row(row, copy)
                forget_accounts(copy.world[0])
                play_on(params, copy, made[b], tried[b, k], until[b], look, legal, times)
                score(params, copy, out[0])
                cost[b, k] = 0.0 - out[0]["reward"]


@jit_row
def play_on(params, row, made, choice, until, look, legal, times):
    """Take `choice`, then what was decided, until all have left; the world's own router where nothing legal was."""
    n_nodes = row.node.shape[0]
    while True:
        go_on(params, row, choice, until)
        if row.world[0]["done"] == 1:
            return
        job = row.job[row.world[0]["subject"]]
        entry = made[place_of(job["id"], job["retries"], made.shape[0])]
        known = entry["id"] == job["id"] and entry["retries"] == job["retries"]
        choice = entry["choice"] if known else -1
        if choice < 0 or (choice < n_nodes and not is_legal(params, row, choice, job["model"], job["site"])):
            observe(params, row, look, legal, times)
            choice = find_pick(look)
