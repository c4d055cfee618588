"""What the router knows of each node: its own dispatches, and completions once they are reported.

From these it keeps a book of outstanding work (in prior seconds), a fluid estimate of how much of it is already done,
and the measured slowdown of every (node, model) over its prior. Nothing here reads a node's true state.
"""

from ._jit import jit_row
from .router import follow
from .tables import COMPLETED, NEVER, NONE, SECOND


@jit_row
def fluid_now(node, now):
    """Outstanding prior work of the node less what it should have done since `mark_ns`, seconds."""
    elapsed = max(now - node["mark_ns"], 0) * (1.0 / SECOND)
    # Those that wait cannot have begun, however long the others take.
    return max(node["fluid_s"] - elapsed * node["drain"], node["waiting_s"])


@jit_row
def keep_figures(params, row, n):
    """Derive from the book what is needed at every observation: drain rate, waiting work, oldest request."""
    node = row.node[n]
    seen = node["seen"]
    node["drain"] = 0.0
    node["waiting_s"] = 0.0
    node["oldest_ns"] = NEVER
    if seen > 0:
        running = min(seen, params.node[n]["slots"])
        throughput = running / (1.0 + (running - 1) * node["crowding_seen"] / seen)
        node["drain"] = throughput / node["slowdown"]
        node["waiting_s"] = node["book_s"] * (seen - running) / seen
        oldest = row.job[node["oldest"]]
        node["oldest_ns"] = oldest["dispatch_ns"]
        node["oldest_expected_s"] = oldest["expected_total_s"]


@jit_row
def wait_and_service(seen, slots, service, own_s, fluid_s):
    """Expected wait for a slot and time in service of a request, prior seconds.

    With a free slot there is no wait, and each neighbour slows the request by its crowding while it lasts. With none,
    the work ahead is served at the throughput of a full node until a slot comes free.

    Args:
        seen: Requests outstanding at the node.
        slots: Jobs the node serves at once.
        service: SERVICE row of the node and the model.
        own_s: Work of the request itself on an idle node.
        fluid_s: Outstanding work of the node.
    """
    if seen < slots:
        return 0.0, own_s + service["crowding"] * min(fluid_s, seen * own_s)
    full = service["full_slowdown"]
    return fluid_s * (seen - slots + 1) / seen * full / slots, own_s * full


@jit_row
def slowdown(node, pair):
    """Measured over prior service time: of the (node, model) if seen, else of the node, else 1."""
    if pair["evidence"] > 0:
        return pair["slowdown"]
    return node["slowdown"]


@jit_row
def book_dispatch(params, row, n, j, expected_s, now):
    """The router sends request `j` to node `n` and notes how long it should take."""
    node, job = row.node[n], row.job
    node["fluid_s"] = fluid_now(node, now) + expected_s
    node["mark_ns"] = now
    node["book_s"] += expected_s
    node["crowding_seen"] += params.service[n, job[j]["model"]]["crowding"]
    node["seen"] += 1
    job[j]["expected_s"] = expected_s
    job[j]["newer"] = NONE
    job[j]["older"] = node["newest"]
    if node["newest"] == NONE:
        node["oldest"] = j
    else:
        job[node["newest"]]["newer"] = j
    node["newest"] = j
    keep_figures(params, row, n)


@jit_row
def strike_out(params, row, n, j, now):
    """Request `j` is no longer outstanding at node `n`, as far as the router knows."""
    node, job = row.node[n], row.job
    fluid = fluid_now(node, now)
    node["seen"] -= 1
    node["book_s"] -= job[j]["expected_s"]
    node["crowding_seen"] -= params.service[n, job[j]["model"]]["crowding"]
    if node["seen"] == 0:
        # Exact zeros, so that rounding errors of the sums cannot pile up.
        node["book_s"] = 0.0
        node["crowding_seen"] = 0.0
    node["fluid_s"] = min(fluid, node["book_s"])
    node["mark_ns"] = now
    older, newer = job[j]["older"], job[j]["newer"]
    if older == NONE:
        node["oldest"] = newer
    else:
        job[older]["newer"] = newer
    if newer == NONE:
        node["newest"] = older
    else:
        job[newer]["older"] = older
    keep_figures(params, row, n)


@jit_row
def learn(params, row, n, j, now):
    """The router learns that request `j` was served: update the measured slowdown; `strike_out` must follow."""
    node, pair, job = row.node[n], row.pair[n, row.job[j]["model"]], row.job[j]
    if job["dispatch_ns"] < node["joined_ns"]:
        return
    if job["work_s"] > 0.0:
        measured = job["share_s"] / job["work_s"]
        before = slowdown(node, pair)
        # The first reports weigh more, so that a prior that is far off is left quickly.
        gain = max(params.rules[0]["ewma"], 1.0 / (pair["evidence"] + 2.0))
        pair["slowdown"] = before + gain * (measured - before)
        gain = max(params.rules[0]["ewma"], 1.0 / (node["evidence"] + 2.0))
        node["slowdown"] += gain * (measured - node["slowdown"])
        service = params.service[n, job["model"]]
        share = 1.0 - min(service["per_unit_s"] * job["units"] / job["work_s"], 1.0)
        follow(params, row, node, pair, share, measured, now)
    pair["evidence"] += 1
    node["evidence"] += 1
    node["evidence_ns"] = now


@jit_row
def log_end(row, j, outcome, latency_ns, late):
    """Write the end of a request to the log of this step."""
    world, job = row.world[0], row.job[j]
    entry = row.log[world["log_count"]]
    world["log_count"] += 1
    entry["id"] = job["id"]
    entry["arrive_ns"] = job["arrive_ns"]
    entry["dispatch_ns"] = job["dispatch_ns"]
    entry["start_ns"] = job["start_ns"]
    entry["first_ns"] = job["first_ns"]
    entry["finish_ns"] = job["finish_ns"]
    entry["latency_ns"] = latency_ns
    entry["slowdown"] = job["share_s"] / job["work_s"] if outcome == COMPLETED and job["work_s"] > 0.0 else 0.0
    entry["node"] = job["node"]
    entry["model"] = job["model"]
    entry["site"] = job["site"]
    entry["prompt"] = job["prompt"]
    entry["units"] = job["units"]
    entry["retries"] = job["retries"]
    entry["outcome"] = outcome
    entry["late"] = late
    entry["stutter"] = job["stutter"]
