"""The exogenous course of a world with AI agents: `course.py`, and who arrives, what is asked of whom, where users are.

The world is run by its own functions with every agent and every request declined: none of this depends on a controller.
"""

import numpy as np

from ._jit import jit, jit_row
from .applications import agency_event, begin_agency, take_asked
from .course import note
from .episode import apply_change, begin
from .orchestrate import send_agent
from .requests import apply_choice, arrive
from .step import node_event, row_of, soonest
from .tables import NEVER, NONE

ASKED_AGENT = np.dtype(  # a request as it arrives
    [
        ("arrive_ns", "i8"),
        ("serial", "i8"),  # of the agent it is for; -1: one that is routed
        ("site", "i4"),
        ("model", "i4"),
        ("prompt", "i4"),
        ("units", "i4"),
    ]
)
CREW = np.dtype(  # an agent
    [
        ("serial", "i8"),
        ("application", "i8"),  # number in the episode
        ("born_ns", "i8"),
        ("gone_ns", "i8"),  # when its application ends, the horizon at the latest
        ("need", "f8"),
        ("role", "i4"),
        ("model", "i4"),
    ]
)
WAY = np.dtype([("time_ns", "i8"), ("application", "i8"), ("site", "i8")])  # where a user is from when on


@jit
def follow_agents(params, state, seed, beyond_ns, asked, crew, way, stretch, bias):
    """Run one world without a controller and note what happens to it.

    Args:
        params: The scenario's tables.
        state: One world; overwritten.
        seed: Of the episode.
        beyond_ns: How long to go on after nothing can arrive any more.
        asked: Output, ASKED_AGENT.
        crew: Output, CREW; with room for the agents of one more application than it can be filled with.
        way: Output, WAY, in order of time.
        stretch: Output, `course.STRETCH`, in order of time; at least one row for each node.
        bias: Output (len(stretch), M) float64, the node's software factors.

    Returns:
        Requests, agents, places and stretches noted. Where a table is (nearly) full, what follows is missing.
    """
    row = row_of(state, 0)
    world, agency, n_apps = row.world[0], row.agency[0], row.app.shape[0]
    most = params.agency[0]["most_agents"]
    begin(params, row, seed, 0)
    begin_agency(params, row, 0)
    n_asked, n_crew, n_way, n_stretch = 0, 0, 0, 0
    for n in range(row.node.shape[0]):
        note(row, n, 0, stretch[n_stretch], bias[n_stretch])
        n_stretch += 1
    for p in range(n_apps):
        if row.app[p]["id"] != NONE and n_crew + most < crew.shape[0] and n_way < way.shape[0]:
            n_crew, n_way = note_application(params, row, p, crew, n_crew, way, n_way)
    last_ns = 0
    while (
        n_asked < asked.shape[0]
        and n_stretch < stretch.shape[0]
        and n_crew + most < crew.shape[0]
        and n_way < way.shape[0]
    ):
        g = take_asked(row)
        if g != NONE:
            send_agent(params, row, g, row.node.shape[0], 0)
            continue
        n, node_at = soonest(row.due)
        p, app_at = soonest(row.app_due)
        change, arrival_at = row.change[world["change_at"]], world["next_arrival_ns"]
        at = min(min(node_at, app_at), min(change["time_ns"], arrival_at))
        quiet = arrival_at == NEVER and world["sources"] == 0
        if at == NEVER or (quiet and at > last_ns + beyond_ns):
            break
        last_ns = last_ns if quiet else at
        world["now_ns"] = at
        world["log_count"] = 0
        if change["time_ns"] <= at:
            world["change_at"] += 1
            apply_change(params, row, change)
            note(row, change["node"], at, stretch[n_stretch], bias[n_stretch])
            n_stretch += 1
        elif node_at <= at:
            node_event(params, row, n)
            note(row, n, at, stretch[n_stretch], bias[n_stretch])
            n_stretch += 1
        elif app_at <= at:
            arrived, applications = agency["arrived"], agency["applications"]
            moves = row.app[p]["moves"] if p < n_apps else 0
            agency_event(params, row, p)
            if agency["arrived"] > arrived:
                note_request(row, world["free"], at, asked[n_asked])  # its row has just been freed
                n_asked += 1
            if agency["applications"] > applications:
                for k in range(n_apps):
                    if row.app[k]["id"] == applications:
                        n_crew, n_way = note_application(params, row, k, crew, n_crew, way, n_way)
            elif p < n_apps and row.app[p]["moves"] > moves:
                note_place(row, p, at, way[n_way])
                n_way += 1
        else:
            arrive(params, row)
            j = world["subject"]
            apply_choice(params, row, row.node.shape[0])
            note_request(row, j, at, asked[n_asked])
            n_asked += 1
    return n_asked, n_crew, n_way, n_stretch


@jit_row
def note_request(row, j, now, found):
    """Request `j`, declined a moment ago."""
    job = row.job[j]
    found["arrive_ns"] = now
    found["serial"] = job["serial"] if job["agent"] != 0 else NONE
    found["site"] = job["site"]
    found["model"] = job["model"]
    found["prompt"] = job["prompt"]
    found["units"] = job["units"]


@jit_row
def note_application(params, row, p, crew, n_crew, way, n_way):
    """The application in row `p`, which has just arrived.

    Returns:
        Agents and places noted so far.
    """
    app, most, now = row.app[p], params.agency[0]["most_agents"], row.world[0]["now_ns"]
    for g in range(p * most, p * most + app["n_agents"]):
        found, agent = crew[n_crew], row.agent[g]
        found["serial"] = agent["serial"]
        found["application"] = app["id"]
        found["born_ns"] = now
        found["gone_ns"] = app["end_ns"]
        found["need"] = agent["need"]
        found["role"] = agent["role"]
        found["model"] = agent["model"]
        n_crew += 1
    note_place(row, p, now, way[n_way])
    return n_crew, n_way + 1


@jit_row
def note_place(row, p, now, found):
    """Where the user of application row `p` is from now on."""
    found["time_ns"] = now
    found["application"] = row.app[p]["id"]
    found["site"] = row.app[p]["site"]
