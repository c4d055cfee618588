"""Full information, for oracles: what sending the subject to a node would cost, were nothing else to arrive or change.

The node is run ahead by the very functions that run it for real, then put back as it was.
"""

from ._jit import jit, jit_row
from .nodes import refresh_due, work_on
from .observe import is_legal
from .requests import launch
from .step import row_of
from .tables import NEVER, NO_SUBJECT, NONE, SECOND


@jit
def foresee_rows(params, state, own_s, added_s, saved):
    """For every world and node: latency of the subject there, and latency added to the whole system.

    Args:
        params: The scenario's tables.
        state: The worlds; as before when this returns, but for slot rows that are not in use.
        own_s: Output (B, N) float64, the subject's own time from now to delivery; inf where illegal.
        added_s: Output (B, N) float64, the same plus the delay of those already there; inf where illegal.
        saved: Scratch: a `State` of one world of the same scenario.
    """
    for b in range(state.world.shape[0]):
        row, world = row_of(state, b), state.world[b]
        own_s[b, :] = float("inf")
        added_s[b, :] = float("inf")
        if world["subject_kind"] == NO_SUBJECT:
            continue
        j = world["subject"]
        spare = row_of(saved, 0)
        for n in range(row.node.shape[0]):
            if not is_legal(params, row, n, row.job[j]["model"], row.job[j]["site"]):
                continue
            kept = keep(row, spare, n, j)
            without, delivered = run_ahead(params, row, n, NONE)
            put_back(row, spare, n, kept)
            launch(params, row, n, j, world["now_ns"], 0)
            total, delivered = run_ahead(params, row, n, j)
            put_back(row, spare, n, kept)
            own_s[b, n] = (delivered - world["now_ns"]) / SECOND
            added_s[b, n] = (total - without - world["now_ns"]) / SECOND


@jit_row
def run_ahead(params, row, n, subject):
    """Run node `n` alone until it is empty.

    Returns:
        Sum of the delivery times of everything it had (ns), and the delivery time of `subject` (ns).
    """
    total, delivered = 0, 0
    row.node[n]["regime_ns"] = NEVER  # the future is not known
    refresh_due(row, n)
    while row.due[n] != NEVER:
        now = row.due[n]
        j = work_on(params, row, n, now)
        if j != NONE:
            total += now
            if j == subject:
                delivered = now
    return total, delivered


@jit_row
def keep(row, spare, n, subject):
    """Copy what running node `n` ahead can change; the jobs go to the first rows of the spare job table.

    Returns:
        How many jobs were copied.
    """
    spare.world[0] = row.world[0]
    spare.node[0] = row.node[n]
    spare.due[0] = row.due[n]
    for m in range(row.pair.shape[1]):
        spare.pair[0, m] = row.pair[n, m]
    kept = keep_job(row, spare, subject, 0)
    for k in range(row.node[n]["running"]):
        spare.slot[0, k] = row.slot[n, k]
        kept = keep_job(row, spare, row.slot[n, k]["job"], kept)
    for head in (row.node[n]["queue_head"], row.node[n]["air_head"]):
        j = head
        while j != NONE:
            kept = keep_job(row, spare, j, kept)
            j = row.job[j]["next"]
    return kept


@jit_row
def keep_job(row, spare, j, kept):
    """Copy job row `j` to row `kept` of the spare table and note where it came from."""
    spare.job[kept] = row.job[j]
    spare.log[kept]["id"] = j
    return kept + 1


@jit_row
def put_back(row, spare, n, kept):
    """Undo whatever has happened since `keep`."""
    row.world[0] = spare.world[0]
    row.node[n] = spare.node[0]
    row.due[n] = spare.due[0]
    for m in range(row.pair.shape[1]):
        row.pair[n, m] = spare.pair[0, m]
    for k in range(row.node[n]["running"]):
        row.slot[n, k] = spare.slot[0, k]
    for k in range(kept):
        row.job[spare.log[k]["id"]] = spare.job[k]
