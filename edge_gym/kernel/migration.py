"""How an agent starts on a node and how it moves to another, step by step.

A move: *export* its state, *transfer* it (full: the image too), *load* it (and the model, if it is not there),
*prefill* its context again, which is real work on the target, then *release* the source and *resume* with those who
waited. A start has no export, and brings the image from the user's site. Source and target are both reserved meanwhile.
"""

from ._jit import jit_call, jit_row
from .agent_cost import image_of, image_s, lives_at, move_usd, sent_bytes
from .agent_tables import ASKED, EXPORT, LIVING, LOAD, MOVING, PARKED, PREFILL, STARTING, STILL, TRANSFER
from .agents import release, reserve, state_bytes, take_waiting
from .nodes import begin_load, hold_model, make_room, nominal_work_s, refresh_due, send, to_ns
from .requests import dispatch, give_up, take_row
from .tables import ABSENT, DROPPED, LOADING, NEVER, NONE, REJECTED, RESIDENT, SECOND, TOKENS, UPLINK
from .telemetry import book_dispatch
from .workload import begin_job

RETRY_NS = SECOND // 10  # a node with a full queue does not admit a prefill either: it is sent again


@jit_row
def refresh_app(row, p):
    """Next event of an application: a step of one of its agents, a handover, its end, a review, or a request."""
    app = row.app[p]
    due = min(app["phase_ns"], min(app["move_ns"], app["end_ns"]))
    row.app_due[p] = min(due, min(app["review_ns"], app["request_ns"]))


@jit_row
def refresh_phase(params, row, p):
    """Find the next step of the agents of an application."""
    app, most = row.app[p], params.agency[0]["most_agents"]
    app["phase_ns"] = NEVER
    for g in range(p * most, p * most + app["n_agents"]):
        app["phase_ns"] = min(app["phase_ns"], row.agent[g]["due_ns"])
    refresh_app(row, p)


@jit_call
def begin_phase(params, row, g, phase, due_ns):
    """Agent `g` is busy with a step until `due_ns`."""
    row.agent[g]["phase"] = phase
    row.agent[g]["due_ns"] = due_ns
    refresh_phase(params, row, row.agent[g]["app"])


@jit_call
def begin_start(params, row, g, n, wait_ns):
    """Agent `g`, which lives nowhere, starts on node `n` in `wait_ns`: image and state come from the user's site."""
    agent, now = row.agent[g], row.world[0]["now_ns"]
    link, sent = params.link[row.app[agent["app"]]["site"], n], sent_bytes(params, agent)
    reserve(params, row, g, n)
    agent["state"] = STARTING
    agent["target"] = n
    if agent["before"] == NONE:
        agent["down_ns"] = now
    row.agency[0]["moved_bytes"] += sent if agent["before"] != NONE else 0.0
    begin_phase(params, row, g, TRANSFER, now + wait_ns + link["delay_ns"] + to_ns(sent * link["s_per_byte"]))


@jit_call
def be_there(params, row, g):
    """At time 0 nobody waits for a start: agent `g` is there, and its model too."""
    n, m = row.agent[g]["target"], row.agent[g]["model"]
    if row.pair[n, m]["residency"] == ABSENT:
        make_room(params, row, n, params.model[m]["weights_bytes"])
        row.node[n]["memory_used_bytes"] += params.model[m]["weights_bytes"]
        row.pair[n, m]["residency"] = RESIDENT
    settle_down(params, row, g, 0)


@jit_call
def begin_move(params, row, g, n):
    """Agent `g` moves to node `n`; from now on its requests wait."""
    agent, rules, now = row.agent[g], params.agency[0], row.world[0]["now_ns"]
    reserve(params, row, g, n)
    agent["state"] = MOVING
    agent["target"] = n
    agent["down_ns"] = now
    row.agency[0]["moves"] += 1
    seconds = rules["export_s"] + rules["export_s_per_byte"] * state_bytes(params, agent)
    begin_phase(params, row, g, EXPORT, now + to_ns(seconds))


@jit_call
def next_phase(params, row, g):
    """The step that agent `g` was busy with is over; the next begins."""
    agent, now = row.agent[g], row.world[0]["now_ns"]
    if agent["phase"] == EXPORT:
        transfer(params, row, g, now)
    elif agent["phase"] == TRANSFER:
        load(params, row, g, now)
    elif agent["phase"] == LOAD and row.pair[agent["target"], agent["model"]]["ready_ns"] > now and is_loading(row, g):
        begin_phase(params, row, g, LOAD, row.pair[agent["target"], agent["model"]]["ready_ns"])
    elif agent["phase"] == LOAD and agent["context"] > 0 and params.model[agent["model"]]["kind"] == TOKENS:
        if row.node[agent["target"]]["outstanding"] >= params.node[agent["target"]]["limit"]:
            begin_phase(params, row, g, LOAD, now + RETRY_NS)
        else:
            begin_phase(params, row, g, PREFILL, NEVER)
            send_prefill(params, row, g, agent["target"], now)
    else:
        settle_down(params, row, g, now)


@jit_row
def is_loading(row, g):
    """Whether the model of agent `g` is being loaded where it goes."""
    return row.pair[row.agent[g]["target"], row.agent[g]["model"]]["residency"] == LOADING


@jit_row
def transfer(params, row, g, now):
    """The state, and in a full migration the image, travels from the source to the target."""
    agent = row.agent[g]
    cable, sent = params.cable[agent["node"], agent["target"]], sent_bytes(params, agent)
    row.agency[0]["moved_bytes"] += sent
    pay_traffic(row, move_usd(params, agent, agent["target"], sent))
    begin_phase(params, row, g, TRANSFER, now + to_ns(0.5 * cable["rtt_s"] + sent * cable["s_per_byte"]))


@jit_call
def load(params, row, g, now):
    """The target reads what came: the image if there is one, the state if there is one, and the model if it must."""
    agent, rules = row.agent[g], params.agency[0]
    n, m = agent["target"], agent["model"]
    seconds = image_s(rules, params.host[n], image_of(params, agent))
    if agent["state"] == MOVING or agent["messages"] > 0:
        seconds += rules["import_s"] + rules["import_s_per_byte"] * state_bytes(params, agent)
    if row.pair[n, m]["residency"] == ABSENT:
        row.agency[0]["cold_starts"] += 1
        begin_load(params, row, n, m, now)
        refresh_due(row, n)
    begin_phase(params, row, g, LOAD, now + to_ns(seconds))


@jit_call
def send_prefill(params, row, g, n, now):
    """The context of agent `g` is prefilled on node `n`: work like any other, for nobody who waits for an answer."""
    agent = row.agent[g]
    m = agent["model"]
    j = take_row(params, row)
    job = row.job[j]
    begin_job(job, now, params.model[m])
    job["probe"] = 1
    job["agent"] = g + 1
    job["serial"] = agent["serial"]
    job["id"] = -1
    job["site"] = params.node[n]["home"]
    job["model"] = m
    job["prompt"] = agent["context"]
    job["units"] = 1
    job["forecast"] = 1
    job["node"] = n
    job["dispatch_ns"] = now
    job["down_ns"] = 0
    job["work_s"] = nominal_work_s(params.service[n, m], job["prompt"], 1)
    job["expected_total_s"] = job["work_s"]
    row.agency[0]["prefill_tokens"] += agent["context"]
    row.node[n]["probes"] += 1
    row.node[n]["outstanding"] += 1
    book_dispatch(params, row, n, j, job["work_s"], now)
    hold_model(params, row, n, m)
    send(row, n, j, now, UPLINK)


@jit_call
def settle_down(params, row, g, now):
    """Agent `g` lives on its target from now on; those who waited for it are served."""
    agent, agency = row.agent[g], row.agency[0]
    source, n = agent["node"], agent["target"]
    if source != NONE:
        release(params, row, g, source)
    if agent["state"] == MOVING or agent["before"] != NONE:
        agency["resumed"] += 1
        agency["downtime_ns"] += now - agent["down_ns"]
        agency["down_s"] += (now - agent["down_ns"]) / SECOND
    soon = now - agent["settled_ns"] <= params.agency[0]["ping_pong_ns"]
    if source != NONE and agent["before"] == n and soon:
        agency["ping_pongs"] += 1
    if source != NONE:
        agent["before"] = source
    agent["state"] = LIVING
    agent["node"] = n
    agent["target"] = NONE
    agent["settled_ns"] = now
    begin_phase(params, row, g, STILL, NEVER)
    answer_waiting(params, row, g, now)


@jit_call
def answer_waiting(params, row, g, now):
    """Who waits for agent `g` goes to where it lives, or is turned away from one that lives nowhere."""
    agent = row.agent[g]
    if agent["state"] == PARKED:
        refuse_waiting(params, row, g, DROPPED)
    elif agent["state"] == LIVING:
        waiting = agent["waiting"]
        for _ in range(waiting):
            send_home(params, row, g, take_waiting(row, g), now)


@jit_call
def send_home(params, row, g, j, now):
    """Request `j` goes to the node where its agent lives, by way of what the agent has to hear from its peer."""
    agent, job = row.agent[g], row.job[j]
    n = agent["node"]
    role = params.role[agent["role"]]
    if row.node[n]["outstanding"] >= params.node[n]["limit"] or params.link[job["site"], n]["reachable"] == 0:
        turn_away(params, row, j, DROPPED)
        return
    extra, usd = 0.0, 0.0
    if agent["parent"] != NONE:
        peer_n = lives_at(row, agent["parent"])
        if peer_n != NONE:
            cable = params.cable[n, peer_n]
            extra = role["peer_rounds"] * cable["rtt_s"] + role["peer_bytes"] * cable["s_per_byte"]
            usd = role["peer_bytes"] * cable["usd_per_byte"]
    if params.node[n]["home"] != job["site"]:
        usd += role["request_bytes"] * params.agency[0]["usd_per_byte"]
    pay_traffic(row, usd)
    dispatch(params, row, n, j, to_ns(extra))


@jit_row
def pay_traffic(row, usd):
    """Bytes that leave their site are paid for."""
    row.agency[0]["usd"][2] += usd
    row.world[0]["cost_usd"] += usd


@jit_row
def park(params, row, g, outcome):
    """Agent `g` lives nowhere; those who wait for it are turned away."""
    row.agent[g]["state"] = PARKED
    refuse_waiting(params, row, g, outcome)


@jit_call
def refuse_waiting(params, row, g, outcome):
    """Turn away who waits for agent `g`."""
    while row.agent[g]["waiting"] > 0:
        turn_away(params, row, take_waiting(row, g), outcome)


@jit_call
def turn_away(params, row, j, outcome):
    """Request `j` is not served: REJECTED or DROPPED."""
    if outcome == REJECTED:
        row.world[0]["rejected"] += 1
    else:
        row.world[0]["dropped"] += 1
    give_up(params, row, j, outcome)


@jit_row
def stop_moving(params, row, g):
    """The move or start of agent `g` comes to nothing; its target is free again."""
    agent = row.agent[g]
    release(params, row, g, agent["target"])
    row.agency[0]["aborted"] += 1
    agent["target"] = NONE
    begin_phase(params, row, g, STILL, NEVER)


@jit_call
def mend(params, row, g):
    """A node has left: what becomes of agent `g`.

    Returns:
        True if it lives nowhere any more and somebody has to say where it goes.
    """
    agent, now = row.agent[g], row.world[0]["now_ns"]
    if agent["target"] != NONE and row.node[agent["target"]]["alive"] == 0:
        stop_moving(params, row, g)
        if agent["node"] == NONE:
            agent["state"] = ASKED
            return True
        agent["state"] = LIVING
        agent["settled_ns"] = now
    if agent["node"] == NONE or row.node[agent["node"]]["alive"] == 1:
        # Those that the node had not finished, where the agent lived before or was to live, wait for it too.
        answer_waiting(params, row, g, now)
        return False
    if agent["state"] == MOVING and agent["phase"] > TRANSFER:
        release(params, row, g, agent["node"])  # its state is at the target already
        agent["before"] = agent["node"]
        agent["node"] = NONE
        agent["state"] = STARTING
        return False
    if agent["state"] == MOVING:
        stop_moving(params, row, g)
    release(params, row, g, agent["node"])
    row.agency[0]["lost"] += 1
    agent["before"] = agent["node"]
    agent["node"] = NONE
    agent["state"] = ASKED
    agent["down_ns"] = now
    return True
