"""What each site knows, and what its requests cost: the books of worlds in which every site decides for itself.

A site learns of its own requests as the central router would, by the same functions on tables of its own. Of what the
others sent it knows only what nodes tell: from time to time each publishes its whole load, as the central books have
it, and until the next time a site adds and strikes out its own requests alone.
"""

from ._jit import jit_call, jit_row
from .accounts import weigh
from .tables import NONE, SECOND, Row
from .telemetry import keep_figures, learn, strike_out


@jit_row
def at_site(row, s, job):
    """The world as site `s` has it in its books; `job` is the table of requests to look into."""
    return Row(
        row.world,
        row.due,
        row.known[s],
        row.regime,
        row.known_pair[s],
        job,
        row.slot,
        row.change,
        row.log,
        row.news,
        row.agency,
        row.app,
        row.app_due,
        row.agent,
        row.lodging,
        row.desk,
        row.panel,
        row.known,
        row.known_pair,
        row.sheet,
        row.known_lodging,
    )


@jit_call
def open_desks(row):
    """At the beginning every site knows what the central router does: nothing has been dispatched."""
    for s in range(row.desk.shape[0]):
        desk = row.desk[s]
        desk["subject"] = NONE
        desk["head"] = NONE
        desk["tail"] = NONE
        desk["waiting"] = 0
        desk["in_system"] = 0
        desk["mark_ns"] = 0
        desk["latency_ns"] = 0
        desk["slo_misses"] = 0
        desk["drops"] = 0
        desk["stutters"] = 0
    for s in range(row.known.shape[0]):
        for n in range(row.node.shape[0]):
            row.known[s, n] = row.node[n]
            for m in range(row.pair.shape[1]):
                row.known_pair[s, n, m] = row.pair[n, m]


@jit_row
def settle_desk(desk, now):
    """Book the time that the requests of a site have spent up to now."""
    desk["latency_ns"] += (now - desk["mark_ns"]) * desk["in_system"]
    desk["mark_ns"] = now


@jit_call
def count_arrival(row, j):
    """Request `j` enters at its site."""
    desk = row.desk[row.job[j]["site"]]
    settle_desk(desk, row.world[0]["now_ns"])
    desk["in_system"] += 1


@jit_call
def count_delivery(row, j):
    """The user of request `j` has the response."""
    job, now = row.job[j], row.world[0]["now_ns"]
    desk = row.desk[job["site"]]
    settle_desk(desk, now)
    desk["in_system"] -= 1
    desk["slo_misses"] += 1 if now > job["deadline_ns"] else 0
    desk["stutters"] += 1 if job["stutter"] != 0 else 0


@jit_call
def count_loss(row, j, charge_ns):
    """Request `j` leaves unserved, and is charged so much beside the time it has spent."""
    desk = row.desk[row.job[j]["site"]]
    settle_desk(desk, row.world[0]["now_ns"])
    desk["latency_ns"] += charge_ns
    desk["in_system"] -= 1
    desk["slo_misses"] += 1
    desk["drops"] += 1


@jit_row
def share_out(params, row, total, out, shared):
    """Each site is paid for its own requests since the last step, and for its part of what the nodes cost.

    Args:
        params: The scenario's tables.
        row: The world.
        total: OUTCOME, what one controller would be paid; may be the first row of `out`.
        out: Output (S,) OUTCOME.
        shared: 1: each is paid the total.
    """
    n_sites = row.desk.shape[0]
    part = 1.0 / n_sites
    for k in range(n_sites):
        s = n_sites - 1 - k
        desk, paid = row.desk[s], out[s]
        settle_desk(desk, row.world[0]["now_ns"])
        out[s] = total
        if shared == 0:
            paid["latency"] = 0.0 - desk["latency_ns"] / SECOND
            paid["slo_miss"] = 0.0 - float(desk["slo_misses"])
            paid["drop"] = 0.0 - float(desk["drops"])
            paid["stutter"] = 0.0 - float(desk["stutters"])
            paid["migration"] *= part
            paid["energy"] *= part
            paid["cost"] *= part
            paid["imbalance"] *= part
            weigh(params.rules[0], paid)
        desk["latency_ns"] = 0
        desk["slo_misses"] = 0
        desk["drops"] = 0
        desk["stutters"] = 0


@jit_call
def learn_at_site(params, row, j):
    """The site of request `j` learns that it was served."""
    s, n, now = row.job[j]["site"], row.job[j]["node"], row.world[0]["now_ns"]
    learn(params, at_site(row, s, row.job), n, j, now)
    strike_out(params, at_site(row, s, row.sheet), n, j, now)


@jit_call
def strike_at_site(params, row, n, j):
    """The site of request `j` learns that node `n` does not have it any more."""
    strike_out(params, at_site(row, row.job[j]["site"], row.sheet), n, j, row.world[0]["now_ns"])


@jit_call
def renew_views(params, row, n):
    """Node `n` has joined: nobody knows anything of it but its load, which it tells everybody."""
    for s in range(row.known.shape[0]):
        view = row.known[s, n]
        oldest, newest = view["oldest"], view["newest"]
        row.known[s, n] = row.node[n]
        view["oldest"] = oldest
        view["newest"] = newest
        for m in range(row.pair.shape[1]):
            row.known_pair[s, n, m] = row.pair[n, m]
        add_refused(params, row, s, n)


@jit_call
def tell_load(params, row):
    """Every live node tells every site of its load."""
    for s in range(row.known.shape[0]):
        for n in range(row.node.shape[0]):
            node, view = row.node[n], row.known[s, n]
            if node["alive"] == 1:
                view["seen"] = node["seen"]
                view["book_s"] = node["book_s"]
                view["fluid_s"] = node["fluid_s"]
                view["mark_ns"] = node["mark_ns"]
                view["crowding_seen"] = node["crowding_seen"]
                add_refused(params, row, s, n)


@jit_row
def add_refused(params, row, s, n):
    """What node `n` has told leaves out what it refused, but the site does not know of that before it is back."""
    view, j = row.known[s, n], row.panel[0]["back_head"]
    while j != NONE:
        job = row.job[j]
        if job["site"] == s and job["node"] == n:
            own = row.sheet[j]["expected_s"]
            view["seen"] += 1
            view["book_s"] += own
            view["fluid_s"] += own
            view["crowding_seen"] += params.service[n, job["model"]]["crowding"]
        j = job["next"]
    keep_figures(params, at_site(row, s, row.sheet), n)


@jit_row
def ask_nodes(row, s):
    """Copy to the books of site `s` what it may know as of now: who is there, what would be admitted, what was said.

    How fast a node is shows in running responses, to the site that receives them.
    """
    now = row.world[0]["now_ns"]
    for n in range(row.node.shape[0]):
        node, view = row.node[n], row.known[s, n]
        view["alive"] = node["alive"]
        view["outstanding"] = node["outstanding"]
        view["memory_busy_bytes"] = node["memory_busy_bytes"]
        view["disk_free_ns"] = node["disk_free_ns"]
        view["gate"] = node["gate"]
        view["heard"] = node["heard"]
        view["heard_foreground"] = node["heard_foreground"]
        view["heard_slowdown"] = node["heard_slowdown"]
        view["heard_ns"] = node["heard_ns"]
        view["heard_from_ns"] = node["heard_from_ns"]
        view["heard_until_ns"] = node["heard_until_ns"]
        view["speed"] = node["speed"]
        view["stream_ns"] = node["stream_ns"]
        view["stream_ratio"] = node["stream_ratio"]
        view["stream_gap_s"] = node["stream_gap_s"]
        view["stream_before"] = node["stream_before"]
        view["stream_model"] = node["stream_model"] if is_streamed_to(row, s, n, now) else NONE
        for m in range(row.pair.shape[1]):
            pair, book = row.pair[n, m], row.known_pair[s, n, m]
            book["ready_ns"] = pair["ready_ns"]
            book["outstanding"] = pair["outstanding"]
            book["residency"] = pair["residency"]


@jit_row
def is_streamed_to(row, s, n, now):
    """Whether a user of site `s` is receiving a response of the model that node `n` streams."""
    node = row.node[n]
    if node["stream_model"] == NONE or row.known[s, n]["oldest"] == NONE:
        return False
    elapsed = (now - node["settled_ns"]) / SECOND
    for k in range(node["running"]):
        slot = row.slot[n, k]
        job = row.job[slot["job"]]
        if job["site"] == s and job["model"] == node["stream_model"]:
            left = slot["left_s"] - elapsed * slot["share"] * node["speed"]
            if slot["after_first_s"] == 0.0 or left <= slot["after_first_s"]:
                return True
    return False
