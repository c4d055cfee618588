"""Where the user of an application is, and where it goes: along a grid of sites, or as recorded."""

from . import random
from ._jit import jit_call, jit_row
from .agent_tables import COMMUTE, MARKOV, STAY, TRACK
from .tables import NEVER, NONE
from .workload import later, pick

SITE, HOME, WORK = 2, 3, 4  # draws of stream CREW of the application


@jit_call
def begin_way(params, row, p, crew, now):
    """Where the user of an application is at first, and when it moves."""
    app, rules = row.app[p], params.agency[0]
    app["site"] = pick(params.site, random.uniform(crew, SITE))
    app["home"] = app["site"]
    app["work"] = pick(params.site, random.uniform(crew, WORK))
    app["goal"] = app["site"]
    app["move_ns"] = NEVER
    n_sites = params.site.shape[0]
    if rules["mobility"] == TRACK:
        user = app["id"] % (params.track.shape[0] - 1)
        app["track"] = params.track[user]
        while app["track"] + 1 < params.track[user + 1] and params.stop[app["track"] + 1]["time_ns"] <= now:
            app["track"] += 1
        app["site"] = params.stop[app["track"]]["site"]
    elif rules["mobility"] == COMMUTE and app["work"] == app["home"]:
        app["work"] = (app["home"] + 1 + int(random.uniform(crew, HOME) * (n_sites - 1))) % n_sites
    if rules["mobility"] != STAY and n_sites > 1:
        app["move_ns"] = next_move(params, row, p, now)


@jit_row
def next_move(params, row, p, now):
    """When the user of an application moves on; not after the horizon."""
    app, rules = row.app[p], params.agency[0]
    at = NEVER
    if rules["mobility"] == TRACK:
        user = app["id"] % (params.track.shape[0] - 1)
        if app["track"] + 1 < params.track[user + 1]:
            at = max(params.stop[app["track"] + 1]["time_ns"], now)
    elif rules["mobility"] != MARKOV and app["site"] != app["goal"]:
        at = later(now, rules["hop_s"])
    else:
        at = later(now, random.exponential(app["move_key"], 2 * app["moves"]) * rules["dwell_s"])
    return at if at <= params.rules[0]["horizon_ns"] else NEVER


@jit_row
def walk(params, row, p, now):
    """The user of an application comes to its next site."""
    app, rules = row.app[p], params.agency[0]
    if rules["mobility"] == TRACK:
        app["track"] += 1
        app["site"] = params.stop[app["track"]]["site"]
    elif rules["mobility"] == MARKOV:
        app["site"] = neighbour(params, app["site"], random.uniform(app["move_key"], 2 * app["moves"] + 1))
    else:
        if app["site"] == app["goal"]:
            app["goal"] = next_goal(params, app)
        app["site"] = params.hop[app["site"], app["goal"]]
    app["moves"] += 1
    app["move_ns"] = next_move(params, row, p, now)


@jit_row
def neighbour(params, site, u):
    """One of the neighbours of a site."""
    k = 0
    while k < params.near.shape[1] and params.near[site, k] != NONE:
        k += 1
    return params.near[site, int(u * k)]


@jit_row
def next_goal(params, app):
    """Where the user goes next: the other end of the commute, or any other site."""
    if params.agency[0]["mobility"] == COMMUTE:
        return app["home"] if app["site"] == app["work"] else app["work"]
    n_sites = params.site.shape[0]
    u = random.uniform(app["move_key"], 2 * app["moves"] + 1)
    return (app["site"] + 1 + int(u * (n_sites - 1))) % n_sites
