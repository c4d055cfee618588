"""Applications come and go, their users move and ask: everything about AI agents that is exogenous.

What happens here depends on the seed alone, whatever a controller does with the agents.
"""

import math

from . import random
from ._jit import jit_call, jit_row
from .agent_tables import ASKED, CHAIN, EMPTY, LIVING, PARKED, STAR, STILL
from .agents import release, wait_at_agent
from .heard import leave_desk
from .migration import next_phase, refresh_app, refresh_phase, refuse_waiting, send_home, turn_away
from .requests import take_row
from .site_books import count_arrival
from .tables import AGENT_REQUESTS, DROPPED, NEVER, NO_SUBJECT, NONE, REJECTED
from .users import begin_way, walk
from .workload import begin_job, draw, later

# Draws of stream CREW of an application: these, the user's (users.py), then three for each agent.
_SIZE, _LIFE, _FIRST = 0, 1, 8
_DRAWS = 6  # of stream ASKING for a request: gap, agent, prompt, units, forecast, spare


@jit_call
def begin_agency(params, row, asks):
    """No agents yet but those of the applications that are there at the start."""
    if row.agency.shape[0] == 0:
        return
    agency, rules, world = row.agency[0], params.agency[0], row.world[0]
    row.agency[0] = params.blank[0]
    world["subject_kind"] = NO_SUBJECT  # an episode may begin in the middle of another
    world["subject"] = NONE
    agency["asks"] = asks
    agency["ask_head"] = NONE
    agency["ask_tail"] = NONE
    agency["shaken"] = 0
    for p in range(row.app.shape[0]):
        row.app[p]["id"] = NONE
        row.app_due[p] = NEVER
    for g in range(row.agent.shape[0]):
        row.agent[g]["state"] = EMPTY
        row.agent[g]["serial"] = NONE
    for n in range(row.lodging.shape[0]):
        row.lodging[n]["load"] = 0.0
        row.lodging[n]["storage_bytes"] = 0.0
        row.lodging[n]["traffic"] = 0.0
        row.lodging[n]["agents"] = 0
    world["sources"] = 1  # the arrival of applications
    for _ in range(rules["at_start"]):
        application_arrives(params, row, 0)
    schedule_application(params, row)


@jit_row
def schedule_application(params, row):
    """Find the arrival of the next application; there are none after the horizon."""
    agency, rules, world = row.agency[0], params.agency[0], row.world[0]
    p = row.app.shape[0]
    at = NEVER
    number = agency["applications"] - rules["at_start"]
    if number < rules["n_applications"]:
        if rules["n_pods"] > 0:
            at = params.pod[number]["time_ns"] if number < rules["n_pods"] else NEVER
        elif rules["arrival_per_s"] > 0.0:
            key = random.stream_key(world["seed"], random.APPLICATION, 0)
            at = later(world["now_ns"], random.exponential(key, number) / rules["arrival_per_s"])
    if at > params.rules[0]["horizon_ns"]:
        at = NEVER
        world["sources"] -= 1
    row.app_due[p] = at


@jit_call
def application_arrives(params, row, now):
    """An application enters with all its agents; each of them is asked about. Without a free row it is turned away."""
    agency, rules, world = row.agency[0], params.agency[0], row.world[0]
    number = agency["applications"]
    agency["applications"] += 1
    p = 0
    while p < row.app.shape[0] and row.app[p]["id"] != NONE:
        p += 1
    if p == row.app.shape[0]:
        agency["turned_away"] += 1
        return
    app, most = row.app[p], rules["most_agents"]
    crew = random.stream_key(world["seed"], random.CREW, number)
    agency["present"] += 1
    world["sources"] += 1
    app["id"] = number
    app["request_key"] = random.stream_key(world["seed"], random.ASKING, number)
    app["move_key"] = random.stream_key(world["seed"], random.WAY, number)
    app["requests"] = 0
    app["moves"] = 0
    app["phase_ns"] = NEVER
    size = draw(params.size[0], params.quantile, random.uniform(crew, _SIZE))
    app["n_agents"] = max(min(int(size + 0.5), most), 1)
    app["rate_per_s"] = 0.0
    scale = 1.0
    life = later(now, random.exponential(crew, _LIFE) * rules["lifetime_s"])
    pod = number - rules["at_start"]
    if pod >= 0 and rules["n_pods"] > 0:
        life, scale = now + params.pod[pod]["lifetime_ns"], params.pod[pod]["need"]
    app["end_ns"] = min(life, params.rules[0]["horizon_ns"])
    for k in range(app["n_agents"]):
        draw_agent(params, row, p, k, crew, scale)
        ask(row, p * most + k, now)
    begin_way(params, row, p, crew, now)
    app["review_ns"] = next_review(params, row, now)
    schedule_request(params, row, p, now)
    refresh_app(row, p)


@jit_call
def draw_agent(params, row, p, k, crew, scale):
    """Agent number `k` of an application: its role, its needs, and whom it talks to."""
    rules, app, most = params.agency[0], row.app[p], params.agency[0]["most_agents"]
    agent = row.agent[p * most + k]
    u = random.uniform(crew, _FIRST + 3 * k)
    r = 0
    while r < params.role.shape[0] - 1 and params.role[r]["cumulative_share"] <= u:
        r += 1
    sigma = rules["need_sigma"]
    spread = math.exp(sigma * random.normal(crew, _FIRST + 3 * k + 1) - 0.5 * sigma * sigma) if sigma > 0.0 else 1.0
    parent = NONE
    if k > 0:
        if rules["shape"] == CHAIN:
            parent = k - 1
        elif rules["shape"] == STAR:
            parent = 0
        else:
            parent = int(random.uniform(crew, _FIRST + 3 * k + 2) * k)
    agent["serial"] = app["id"] * most + k
    agent["app"] = p
    agent["role"] = r
    agent["model"] = params.role[r]["model"]
    agent["node"] = NONE
    agent["target"] = NONE
    agent["before"] = NONE
    agent["parent"] = p * most + parent if parent != NONE else NONE
    agent["phase"] = STILL
    agent["due_ns"] = NEVER
    agent["wait_head"] = NONE
    agent["wait_tail"] = NONE
    agent["waiting"] = 0
    agent["listed"] = 0
    agent["need"] = spread * scale
    agent["messages"] = 0
    agent["context"] = 0
    agent["settled_ns"] = row.world[0]["now_ns"]
    app["rate_per_s"] += agent["need"] * params.role[r]["rate_per_s"]


@jit_row
def ask(row, g, now):
    """Somebody is to say where agent `g` goes."""
    agency, agent = row.agency[0], row.agent[g]
    if agent["listed"] == 1:
        return
    if agent["state"] != LIVING:
        agent["state"] = ASKED
    agent["listed"] = 1
    agent["asked_ns"] = now
    agent["next"] = NONE
    if agency["ask_head"] == NONE:
        agency["ask_head"] = g
    else:
        row.agent[agency["ask_tail"]]["next"] = g
    agency["ask_tail"] = g


@jit_row
def ask_about(params, row, g, now):
    """Ask about agent `g` if it is not on its way and was not asked about a moment ago."""
    agent = row.agent[g]
    idle = agent["state"] == LIVING or agent["state"] == PARKED
    if idle and now - agent["asked_ns"] >= params.agency[0]["pause_ns"]:
        ask(row, g, now)


@jit_call
def ask_about_all(params, row, p, now):
    """Ask about every agent of an application."""
    most = params.agency[0]["most_agents"]
    for g in range(p * most, p * most + row.app[p]["n_agents"]):
        ask_about(params, row, g, now)


@jit_row
def next_review(params, row, now):
    """When the agents of an application are asked about again, whatever happens; before the horizon, when it ends."""
    at = now + params.agency[0]["review_ns"]
    return at if params.agency[0]["review_ns"] > 0 and at < params.rules[0]["horizon_ns"] else NEVER


@jit_row
def take_asked(row):
    """The next agent about which somebody is to be asked, or NONE."""
    agency = row.agency[0]
    g = agency["ask_head"]
    if g != NONE:
        agency["ask_head"] = row.agent[g]["next"]
        row.agent[g]["listed"] = 0
        if agency["ask_head"] == NONE:
            agency["ask_tail"] = NONE
    return g


@jit_row
def agency_event(params, row, p):
    """The next event of application row `p`, or the arrival of the next application."""
    now = row.world[0]["now_ns"]
    if p == row.app.shape[0]:
        application_arrives(params, row, now)
        schedule_application(params, row)
        return
    app = row.app[p]
    if app["phase_ns"] <= now:
        step_agents(params, row, p, now)
    elif app["move_ns"] <= now:
        hand_over(params, row, p, now)
    elif app["end_ns"] <= now:
        end_application(params, row, p)
        return
    elif app["review_ns"] <= now:
        app["review_ns"] = next_review(params, row, now)
        ask_about_all(params, row, p, now)
    else:
        request_arrives(params, row, p, now)
    refresh_app(row, p)


@jit_call
def step_agents(params, row, p, now):
    """One step of one agent of the application is over."""
    most = params.agency[0]["most_agents"]
    for g in range(p * most, p * most + row.app[p]["n_agents"]):
        if row.agent[g]["due_ns"] <= now:
            next_phase(params, row, g)
            return
    refresh_phase(params, row, p)


@jit_call
def end_application(params, row, p):
    """An application leaves: its agents free what they hold, who waits for them is dropped.

    At the horizon it only ceases to ask; its agents stay, so that the world can empty.
    """
    world, most = row.world[0], params.agency[0]["most_agents"]
    world["sources"] -= 1
    if world["now_ns"] >= params.rules[0]["horizon_ns"]:
        row.app[p]["end_ns"] = NEVER
        refresh_app(row, p)
        return
    for g in range(p * most, p * most + row.app[p]["n_agents"]):
        agent = row.agent[g]
        if agent["listed"] == 1:  # only where it waits for its site to decide
            leave_desk(row, g)
        if agent["node"] != NONE:
            release(params, row, g, agent["node"])
        if agent["target"] != NONE:
            release(params, row, g, agent["target"])
        refuse_waiting(params, row, g, DROPPED)
        agent["state"] = EMPTY
        agent["serial"] = NONE
        agent["node"] = NONE
        agent["target"] = NONE
        agent["due_ns"] = NEVER
    row.app[p]["id"] = NONE
    row.app_due[p] = NEVER
    row.agency[0]["present"] -= 1


@jit_row
def schedule_request(params, row, p, now):
    """Find the next request of an application; there are none after the horizon."""
    app = row.app[p]
    gap = random.exponential(app["request_key"], _DRAWS * app["requests"]) / app["rate_per_s"]
    at = later(now, gap)
    app["request_ns"] = at if at <= params.rules[0]["horizon_ns"] else NEVER


@jit_call
def request_arrives(params, row, p, now):
    """The user of an application asks one of its agents."""
    world, agency, app = row.world[0], row.agency[0], row.app[p]
    i = _DRAWS * app["requests"]
    app["requests"] += 1
    most = params.agency[0]["most_agents"]
    left = random.uniform(app["request_key"], i + 1) * app["rate_per_s"]
    g = p * most
    while g < p * most + app["n_agents"] - 1:
        left -= row.agent[g]["need"] * params.role[row.agent[g]["role"]]["rate_per_s"]
        if left < 0.0:
            break
        g += 1
    j = take_row(params, row)
    draw_agent_request(params, row, g, j, i)
    agency["arrived"] += 1
    world["in_system"] += 1
    if row.desk.shape[0] > 0:
        count_arrival(row, j)
    schedule_request(params, row, p, now)
    agent = row.agent[g]
    if agent["state"] == LIVING:
        send_home(params, row, g, j, now)
        watch_load(params, row, g, now)
    elif agent["state"] == PARKED:
        turn_away(params, row, j, REJECTED)
    elif not wait_at_agent(params, row, j):
        turn_away(params, row, j, DROPPED)


@jit_row
def draw_agent_request(params, row, g, j, i):
    """Fill job row `j` with a request for agent `g`; `i` is the first of its draws."""
    agent, job, rules = row.agent[g], row.job[j], params.rules[0]
    app, model = row.app[agent["app"]], params.model[agent["model"]]
    key = app["request_key"]
    units = int(draw(model["units"], params.quantile, random.uniform(key, i + 3)) + 0.5)
    forecast = units
    if rules["forecast_sigma"] > 0.0:
        forecast = int(min(units * math.exp(rules["forecast_sigma"] * random.normal(key, i + 4)), 1e9) + 0.5)
    job["id"] = AGENT_REQUESTS + row.agency[0]["arrived"]
    job["site"] = app["site"]
    job["model"] = agent["model"]
    job["prompt"] = int(draw(model["prompt"], params.quantile, random.uniform(key, i + 2)) + 0.5)
    job["units"] = units
    job["forecast"] = max(forecast, 1) if units > 0 else 0
    begin_job(job, row.world[0]["now_ns"], model)
    job["agent"] = g + 1
    job["serial"] = agent["serial"]


@jit_row
def watch_load(params, row, g, now):
    """An agent on an overloaded node is asked about."""
    n = row.agent[g]["node"]
    if row.node[n]["outstanding"] >= params.agency[0]["overload"] * params.node[n]["slots"]:
        ask_about(params, row, g, now)


@jit_call
def hand_over(params, row, p, now):
    """The user of an application comes to another site; its agents are asked about."""
    walk(params, row, p, now)
    row.agency[0]["handovers"] += 1
    ask_about_all(params, row, p, now)
