"""A recount of everything that is counted in a world with AI agents, from its tables alone."""

import numpy as np
import pytest
from agent_toys import AgentGame
from test_conservation import chain

from edge_gym.evaluation.metrics import Episode, check_episode
from edge_gym.kernel.agent_tables import ASKED, EMPTY, LIVING, MOVING, PARKED, PREFILL, STARTING, STILL
from edge_gym.kernel.tables import (
    ABSENT,
    AGENT_REQUESTS,
    AT_AGENT,
    COMPLETED,
    DELIVERED,
    DOWNLINK,
    LOADING,
    NEVER,
    NONE,
    QUEUED,
    REJECTED,
    REQUEST,
    RESIDENT,
    RUNNING,
    SECOND,
    UPLINK,
)


def close(value):
    return pytest.approx(value, rel=1e-9, abs=1e-9)


def check_books(game: AgentGame, b: int) -> None:
    """Every count and list of row `b` while it waits for a decision."""
    check_jobs(game, b)
    check_apps(game, b)
    for g in range(len(game.row("agent", b))):
        check_agent(game, b, g)
    for n in range(game.batch.world.n_nodes):
        check_lodging(game, b, n)
        check_work(game, b, n)
    check_sums(game, b)


def check_jobs(game: AgentGame, b: int) -> None:
    """Each row of the job table is exactly one thing, and each request is counted once."""
    w, job, agency, agent = (game.row(name, b) for name in ("world", "job", "agency", "agent"))
    state = job["state"]
    free, pending = chain(w["free"], job["next"]), chain(w["pending_head"], job["next"])
    reports = chain(w["report_head"], job["next"])
    subject = [int(w["subject"])] if w["subject_kind"] == REQUEST else []
    waiting = []
    for g in range(len(agent)):
        if agent[g]["serial"] == NONE:
            continue
        mine = chain(agent[g]["wait_head"], job["next"])
        assert len(mine) == agent[g]["waiting"] <= game.batch.world.scenario.applications.most_waiting
        assert agent[g]["wait_tail"] == (mine[-1] if mine else NONE)
        assert (job["agent"][mine] == g + 1).all() and (job["serial"][mine] == agent[g]["serial"]).all()
        assert (job["model"][mine] == agent[g]["model"]).all()
        waiting += mine
    under_way = np.flatnonzero((state >= UPLINK) & (state <= DOWNLINK)).tolist()
    assert sorted(waiting) == np.flatnonzero(state == AT_AGENT).tolist()
    assert sorted(reports) == np.flatnonzero(state == DELIVERED).tolist()
    unused = list(range(w["fresh"], len(job)))
    assert sorted(unused + free + pending + reports + subject + waiting + under_way) == list(range(len(job)))
    used = pending + subject + waiting + under_way
    inside = [j for j in used if job["probe"][j] == 0]
    assert w["in_system"] == len(inside)
    assert w["arrived"] + agency["arrived"] == w["completed"] + w["rejected"] + w["dropped"] + w["in_system"]
    ids = job["id"][inside]
    assert len(np.unique(ids)) == len(ids)
    assert ((ids >= AGENT_REQUESTS) == (job["agent"][inside] > 0)).all()


def check_apps(game: AgentGame, b: int) -> None:
    """Applications, their clocks, and what keeps the world going."""
    w, agency, app, due = (game.row(name, b) for name in ("world", "agency", "app", "app_due"))
    there = app["id"] != NONE
    assert agency["present"] == there.sum()
    assert len(np.unique(app["id"][there])) == there.sum()
    clocks = np.min([app[f"{name}_ns"] for name in ("phase", "move", "end", "review", "request")], axis=0)
    assert (due[:-1] == np.where(there, clocks, NEVER)).all()
    assert (due >= w["now_ns"]).all()
    assert w["sources"] == (there & (app["end_ns"] != NEVER)).sum() + (due[-1] != NEVER)
    assert (due[-1] == NEVER) or due[-1] <= game.batch.world.params.rules[0]["horizon_ns"]


def check_agent(game: AgentGame, b: int, g: int) -> None:
    """An agent is in exactly one state, and what goes with it agrees."""
    agent, most = game.row("agent", b)[g], game.batch.world.scenario.applications.most_agents
    app, w, job, node = game.row("app", b)[g // most], game.row("world", b), game.row("job", b), game.row("node", b)
    if app["id"] == NONE or g % most >= app["n_agents"]:
        assert agent["serial"] == NONE or app["id"] == NONE
        assert agent["state"] == EMPTY
        return
    assert agent["serial"] == app["id"] * most + g % most and agent["app"] == g // most
    homes = {
        ASKED: (False, False),
        STARTING: (False, True),
        LIVING: (True, False),
        MOVING: (True, True),
        PARKED: (False, False),
    }
    assert (agent["node"] != NONE, agent["target"] != NONE) == homes[int(agent["state"])]
    assert agent["node"] != agent["target"] or agent["node"] == NONE
    assert all(node["alive"][n] for n in (agent["node"], agent["target"]) if n != NONE)
    desk, after = game.row("desk", b), game.row("agent", b)["next"]  # desks: only where the sites decide
    is_subject = (w["subject_kind"] not in (0, REQUEST) and w["subject"] == g) or g in desk["subject"]
    heads = game.row("agency", b)["ask_head"], *desk["head"], *game.row("panel", b)["back_head"]
    in_list = any(g in chain(head, after) for head in heads)
    assert agent["listed"] == in_list and not (in_list and is_subject)
    assert (agent["state"] != ASKED) or in_list or is_subject
    assert agent["waiting"] == 0 or agent["state"] in (ASKED, STARTING, MOVING)
    moving = agent["state"] in (STARTING, MOVING)
    assert (agent["phase"] != STILL) == moving
    mine = (job["probe"] == 1) & (job["agent"] == g + 1) & (job["serial"] == agent["serial"])
    mine &= (job["state"] >= UPLINK) & (job["state"] <= DOWNLINK)
    assert mine.sum() == (agent["phase"] == PREFILL)
    if agent["phase"] == PREFILL:
        assert agent["due_ns"] == NEVER and job["node"][mine][0] == agent["target"]
    else:
        assert (agent["due_ns"] != NEVER) == moving
    assert agent["context"] <= game.batch.world.scenario.migration.context_tokens
    assert app["phase_ns"] <= agent["due_ns"]


def holders(game: AgentGame, b: int, n: int) -> np.ndarray:
    """Rows of the agents that hold something of node `n`: once, whether they live there or are on their way."""
    agent = game.row("agent", b)
    return np.flatnonzero((agent["serial"] != NONE) & ((agent["node"] == n) | (agent["target"] == n)))


def check_lodging(game: AgentGame, b: int, n: int) -> None:
    """What agents hold of a node is the sum of their needs, and within what it has."""
    p, lodging, node = game.batch.world.params, game.row("lodging", b)[n], game.row("node", b)[n]
    agent = game.row("agent", b)[holders(game, b, n)]
    role, need = p.role[agent["role"]], agent["need"]
    assert lodging["agents"] == len(agent)
    traffic = need * role["rate_per_s"] * (role["request_bytes"] + role["peer_bytes"])
    sums = (need * p.need[agent["role"], n]["load"]).sum(), role["image_bytes"].sum(), traffic.sum()
    assert (lodging["load"], lodging["storage_bytes"], lodging["traffic"]) == tuple(map(close, sums))
    assert len(agent) > 0 or (lodging["load"], lodging["storage_bytes"], lodging["traffic"]) == (0.0, 0.0, 0.0)
    assert lodging["load"] <= p.agency[0]["load_limit"] + 1e-9
    assert lodging["storage_bytes"] <= p.host[n]["storage_bytes"] + 1e-6
    assert lodging["traffic"] <= p.host[n]["nic_bytes_per_s"] * (1 + 1e-9)
    pair, weights = game.row("pair", b)[n], p.model["weights_bytes"]
    memory = int(sum(int(x) for x in need * role["memory_bytes"]))
    job = game.row("job", b)
    unserved = (job["node"] == n) & (job["state"] >= UPLINK) & (job["state"] <= RUNNING)
    held = np.bincount(job["model"][unserved], minlength=len(weights))
    held += np.bincount(agent["model"], minlength=len(weights))
    assert pair["outstanding"].tolist() == held.tolist()
    assert node["memory_busy_bytes"] == weights[held > 0].sum() + memory <= p.node[n]["memory_bytes"]
    used = weights[pair["residency"] != ABSENT].sum() + memory
    assert node["memory_used_bytes"] == used <= p.node[n]["memory_bytes"]
    living = agent[(agent["state"] == LIVING) & (agent["node"] == n)]
    assert (pair["residency"][living["model"]] != ABSENT).all()


def check_work(game: AgentGame, b: int, n: int) -> None:
    """The queue, the messages, the slots and the clock of a node."""
    p, node, job, pair = game.batch.world.params, game.row("node", b)[n], game.row("job", b), game.row("pair", b)[n]
    state = job["state"]
    mine = np.flatnonzero((job["node"] == n) & (state > 0) & (state != AT_AGENT))
    running = game.row("slot", b)[n]["job"][: node["running"]].tolist()
    queue, air = chain(node["queue_head"], job["next"]), chain(node["air_head"], job["next"])
    assert sorted(running) == mine[state[mine] == RUNNING].tolist()
    assert sorted(queue) == mine[state[mine] == QUEUED].tolist() and len(queue) == node["queued"]
    assert sorted(air) == mine[(state[mine] == UPLINK) | (state[mine] == DOWNLINK)].tolist()
    assert node["outstanding"] == (state[mine] != DELIVERED).sum() <= p.node[n]["limit"]
    assert node["probes"] == job["probe"][mine].sum()
    known = chain(node["oldest"], job["newer"])
    assert sorted(known) == mine.tolist() and node["seen"] == len(known)
    if node["running"] < p.node[n]["slots"]:
        assert not any(pair["residency"][job["model"][j]] == RESIDENT for j in queue)
    if not node["alive"]:
        assert not running and not queue and all(state[j] == DOWNLINK for j in air)
        return
    loads = pair["ready_ns"][pair["residency"] == LOADING]
    assert node["load_ns"] <= loads.min(initial=NEVER)  # earlier: a load that nobody needs any more
    due = min(node["load_ns"], node["finish_ns"], node["regime_ns"], job["due_ns"][air[0]] if air else NEVER)
    assert game.row("due", b)[n] == due >= game.row("world", b)["now_ns"]


def check_sums(game: AgentGame, b: int) -> None:
    """What the integrals of the agents are made of, and the rates at which the world books energy and cost."""
    p, w, agency, lodging = game.batch.world.params, *(game.row(name, b) for name in ("world", "agency", "lodging"))
    compute = storage = 0.0
    for n in range(len(lodging)):
        agent = game.row("agent", b)[holders(game, b, n)]
        compute += (agent["need"] * p.need[agent["role"], n]["usd_per_s"]).sum()
        storage += (p.role[agent["role"]]["image_bytes"] * p.agency[0]["usd_per_byte_s"]).sum()
    assert agency["usd_per_s"].tolist() == close([compute, storage])
    assert w["price_per_s"] == close(compute + storage)
    assert agency["load_sum"] == close(lodging["load"].sum())
    assert agency["load_square"] == close((lodging["load"] ** 2).sum())
    assert agency["hosts"] == (lodging["agents"] > 0).sum()
    node = game.row("node", b)
    assert w["power_w"] == close((p.node["idle_w"] * node["alive"] + p.node["active_w"] * (node["running"] > 0)).sum())


def check_end(game: AgentGame, b: int) -> None:
    """The log of an episode has every request once, and rewards and counters follow from it."""
    w, agency, log, p = game.row("world", b), game.row("agency", b), game.log(b), game.batch.world.params
    plain, asked = log[log["id"] < AGENT_REQUESTS], log[log["id"] >= AGENT_REQUESTS]
    assert plain["id"].tolist() == list(range(w["arrived"]))
    assert (asked["id"] - AGENT_REQUESTS).tolist() == list(range(agency["arrived"]))
    assert w["in_system"] == 0
    assert w["completed"] == (log["outcome"] == COMPLETED).sum()
    assert w["rejected"] == (log["outcome"] == REJECTED).sum()
    assert w["completed"] + w["rejected"] + w["dropped"] == len(log)
    reward = float(game.reward[b])
    episode = Episode(log=log, terms=game.terms[b], reward=reward, arrived=len(log), makespan_s=1.0)
    check_episode(episode, game.batch.world.scenario.weights)
    done = asked[asked["outcome"] == COMPLETED]
    assert agency["served"] == len(done)
    parts = agency["wait_ns"] + agency["transfer_ns"] + agency["process_ns"]
    assert parts == (done["finish_ns"] - done["arrive_ns"]).sum()
    assert -game.terms[b][6] == close(agency["usd"].sum())  # nodes themselves are free where agents pay for them
    assert -game.terms[b][4] == close(agency["downtime_ns"] / SECOND)
    assert agency["booked_ns"] == w["now_ns"] and (p.node["price_per_s"] == 0.0).all()
