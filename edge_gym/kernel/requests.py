"""The life of a request: it arrives, is sent to a node, comes back or is delivered, and the router hears of it."""

from ._jit import jit_row
from .agents import note_delivery, wait_at_agent
from .nodes import hold_model, nominal_work_s, release_model, send, to_ns
from .observe import load_left_s, network_s
from .site_books import count_delivery, count_loss, learn_at_site, strike_at_site
from .tables import COMPLETED, DELIVERED, DROPPED, NO_SUBJECT, NONE, REJECTED, REQUEST, SECOND, UPLINK
from .telemetry import book_dispatch, fluid_now, learn, log_end, slowdown, strike_out, wait_and_service
from .workload import begin_job, draw_request, schedule_arrival


@jit_row
def arrive(params, row):
    """A request enters at a site and becomes the subject of a decision."""
    world = row.world[0]
    j = take_row(params, row)
    draw_request(params, row, j)
    world["arrived"] += 1
    world["in_system"] += 1
    world["subject_kind"] = REQUEST
    world["subject"] = j
    schedule_arrival(params, row)


@jit_row
def take_row(params, row):
    """A row of the job table that is not in use."""
    world = row.world[0]
    if world["free"] == NONE and world["fresh"] == row.job.shape[0]:
        # Only the reports under way can hold that many rows: let the router have the oldest early.
        report_first(params, row)
    if world["free"] != NONE:
        j = world["free"]
        world["free"] = row.job[j]["next"]
    else:
        j = world["fresh"]
        world["fresh"] += 1
    return j


@jit_row
def send_probe(params, row, n, m):
    """A calibration request for model `m` goes to node `n`: it really occupies the node, but nobody waits for it."""
    j = take_row(params, row)
    job, model = row.job[j], params.model[m]
    begin_job(job, row.world[0]["now_ns"], model)
    job["probe"] = 1
    job["id"] = -1
    job["site"] = params.node[n]["home"]
    job["model"] = m
    job["prompt"] = model["probe_prompt"]
    job["units"] = model["probe_units"]
    job["forecast"] = model["probe_units"]
    row.node[n]["probes"] += 1
    dispatch(params, row, n, j, 0)


@jit_row
def take_pending(row):
    """A request that came back becomes the subject of a decision."""
    world = row.world[0]
    j = world["pending_head"]
    world["pending_head"] = row.job[j]["next"]
    if world["pending_head"] == NONE:
        world["pending_tail"] = NONE
    world["subject_kind"] = REQUEST
    world["subject"] = j


@jit_row
def apply_choice(params, row, choice):
    """Send the subject to node `choice`, or decline it."""
    world = row.world[0]
    if world["subject_kind"] == NO_SUBJECT:
        return
    j = world["subject"]
    world["subject_kind"] = NO_SUBJECT
    world["subject"] = NONE
    world["decisions"] += 1
    if choice == row.node.shape[0]:
        world["rejected"] += 1
        give_up(params, row, j, REJECTED)
    else:
        dispatch(params, row, choice, j, 0)


@jit_row
def dispatch(params, row, n, j, detour_ns):
    """Request `j` leaves its site for node `n` with a detour (0: none)."""
    note_dispatch(params, row, n, j, detour_ns)
    launch(params, row, n, j, row.world[0]["now_ns"], detour_ns)


@jit_row
def note_dispatch(params, row, n, j, detour_ns):
    """The router notes that it sends request `j` to node `n`, and what it expects."""
    node, job, now = row.node[n], row.job[j], row.world[0]["now_ns"]
    m = job["model"]
    service, pair = params.service[n, m], row.pair[n, m]
    own = nominal_work_s(service, job["prompt"], job["forecast"])
    wait, served = wait_and_service(node["seen"], params.node[n]["slots"], service, own, fluid_now(node, now))
    up, down = network_s(params, job["site"], n, params.model[m], job["prompt"], job["forecast"])
    expected = (wait + served) * slowdown(node, pair) + up + down + load_left_s(params, row, n, m)
    job["expected_total_s"] = expected + detour_ns / SECOND
    job["dispatch_ns"] = now
    book_dispatch(params, row, n, j, own, now)


@jit_row
def launch(params, row, n, j, now, detour_ns):
    """What dispatching request `j` to node `n` does to the world, apart from the router's books."""
    job = row.job[j]
    m = job["model"]
    up, down = network_s(params, job["site"], n, params.model[m], job["prompt"], job["units"])
    job["node"] = n
    job["stutter"] = 0
    job["start_ns"] = -1
    job["first_ns"] = -1
    job["work_s"] = nominal_work_s(params.service[n, m], job["prompt"], job["units"])
    job["down_ns"] = to_ns(down)
    row.node[n]["outstanding"] += 1
    hold_model(params, row, n, m)
    job["up_ns"] = to_ns(up) + detour_ns
    send(row, n, j, now + job["up_ns"], UPLINK)


@jit_row
def deliver(params, row, n, j):
    """The user has the response; the router knows at once, or when its telemetry comes."""
    world, job, now = row.world[0], row.job, row.world[0]["now_ns"]
    row.node[n]["outstanding"] -= 1
    job[j]["finish_ns"] = now
    job[j]["first_ns"] += params.link[job[j]["site"], n]["delay_ns"]
    job[j]["state"] = DELIVERED
    if job[j]["agent"] != 0:
        note_delivery(params, row, j, now)
    if job[j]["probe"] == 0:
        world["in_system"] -= 1
        world["completed"] += 1
        world["latency_total_ns"] += now - job[j]["arrive_ns"]
        world["slo_misses"] += 1 if now > job[j]["deadline_ns"] else 0
        world["stutters"] += 1 if job[j]["stutter"] != 0 else 0
        if row.desk.shape[0] > 0:
            count_delivery(row, j)
    age = params.rules[0]["telemetry_age_ns"]
    if age == 0:
        report(params, row, j)
        return
    job[j]["due_ns"] = now + age
    job[j]["next"] = NONE
    if world["report_tail"] == NONE:
        world["report_head"] = j
    else:
        job[world["report_tail"]]["next"] = j
    world["report_tail"] = j


@jit_row
def report_first(params, row):
    """The oldest delivery the router does not know of yet is reported."""
    world = row.world[0]
    j = world["report_head"]
    world["report_head"] = row.job[j]["next"]
    if world["report_head"] == NONE:
        world["report_tail"] = NONE
    report(params, row, j)


@jit_row
def report(params, row, j):
    """The router learns that request `j` was served; its row becomes free."""
    job, now = row.job[j], row.world[0]["now_ns"]
    learn(params, row, job["node"], j, now)
    strike_out(params, row, job["node"], j, now)
    if row.sheet.shape[0] > 0:
        learn_at_site(params, row, j)
    if job["probe"] == 0:
        late = 1 if job["finish_ns"] > job["deadline_ns"] else 0
        log_end(row, j, COMPLETED, job["finish_ns"] - job["arrive_ns"], late)
    else:
        row.node[job["node"]]["probes"] -= 1
    free_job(row, j)


@jit_row
def come_back(params, row, n, j):
    """Request `j` comes back from node `n` to be decided on again, or is dropped when it has come back too often."""
    world, job = row.world[0], row.job
    row.node[n]["outstanding"] -= 1
    release_model(params, row, n, job[j]["model"])
    strike_out(params, row, n, j, world["now_ns"])
    if row.sheet.shape[0] > 0:
        strike_at_site(params, row, n, j)
    if job[j]["probe"] == 1:
        row.node[n]["probes"] -= 1
        free_job(row, j)
        return
    job[j]["retries"] += 1
    if job[j]["retries"] > params.rules[0]["max_retries"]:
        world["dropped"] += 1
        give_up(params, row, j, DROPPED)
        return
    if job[j]["agent"] != 0:
        if not wait_at_agent(params, row, j):
            world["dropped"] += 1
            give_up(params, row, j, DROPPED)
        return
    job[j]["state"] = 0
    job[j]["next"] = NONE
    if world["pending_tail"] == NONE:
        world["pending_head"] = j
    else:
        job[world["pending_tail"]]["next"] = j
    world["pending_tail"] = j


@jit_row
def give_up(params, row, j, outcome):
    """Request `j` leaves unserved, and is charged as many deadlines as the scenario says."""
    world, job, now = row.world[0], row.job[j], row.world[0]["now_ns"]
    spent = now - job["arrive_ns"]
    charge = int(params.rules[0]["drop_charge"] * params.model[job["model"]]["deadline_ns"])
    latency = max(spent, charge)
    world["latency_ns"] += latency - spent
    world["latency_total_ns"] += latency
    world["in_system"] -= 1
    world["slo_misses"] += 1
    world["drops"] += 1
    if row.desk.shape[0] > 0:
        count_loss(row, j, latency - spent)
    job["finish_ns"] = now
    log_end(row, j, outcome, latency, 1)
    free_job(row, j)


@jit_row
def free_job(row, j):
    """Job row `j` can be used again."""
    row.job[j]["state"] = 0
    row.job[j]["next"] = row.world[0]["free"]
    row.world[0]["free"] = j
