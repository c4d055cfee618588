"""Nothing is lost, made up or paid twice, at every step of rough worlds in which the sites decide."""

import numpy as np
import pytest
from sites_play import Sites, preset, random_legal

from edge_gym.kernel.tables import NONE, SECOND

ROUGH = {
    "churn": {"up_mean_s": 3.0, "down_mean_s": 3.0, "age_s": 0.3, "max_retries": 2},
    "overload": {"queue_capacity": 0, "load": 3.0, "max_retries": 3, "drain_s": 5.0},
    "mixed": {"semantic_gap_mean_s": 3.0, "drift_gap_mean_s": 3.0, "up_mean_s": 5.0, "age_s": 0.1, "slots": 1},
}
WEIGHTS = {"slo_miss": 0.3, "drop": 0.7, "stutter": 0.2, "energy": 1e-3, "cost": 5.0, "imbalance": 0.1}


def chain(jobs, head):
    """Rows of a linked list."""
    found = []
    while head != NONE:
        found.append(int(head))
        head = jobs["next"][head]
    return found


def check_books(batch, b):
    """What a world and its sites count is what there is."""
    world, desk, jobs, panel = batch.state.world[b], batch.state.desk[b], batch.state.job[b], batch.state.panel[b, 0]
    ends = world["completed"] + world["rejected"] + world["dropped"]
    assert world["arrived"] == ends + world["in_system"]
    assert desk["in_system"].sum() == world["in_system"] and desk["in_system"].min() >= 0
    back = chain(jobs, panel["back_head"])
    waiting = [chain(jobs, head) for head in desk["head"]]
    assert [len(rows) for rows in waiting] == desk["waiting"].tolist()
    under_way = batch.state.node[b]["outstanding"].sum()
    if not world["done"]:
        coming = len(chain(jobs, world["pending_head"]))  # where each is asked about alone
        assert world["in_system"] == under_way + sum(map(len, waiting)) + len(back) + coming
        assert (np.diff(jobs["due_ns"][back]) >= 0).all()
    for s, rows in enumerate(waiting):
        assert (jobs["site"][rows] == s).all()
    return back, under_way


def own_outstanding(batch, b):
    """(S, N) how many requests each site has in its books at each node."""
    sheet, known = batch.state.sheet[b], batch.state.known[b]
    found = np.zeros(known.shape, int)
    for s, n in np.ndindex(*known.shape):
        j = known[s, n]["oldest"]
        while j != NONE:
            assert sheet[j]["site"] == s
            found[s, n] += 1
            j = sheet[j]["newer"]
    return found


@pytest.mark.parametrize("name", ROUGH)
@pytest.mark.parametrize("slot_s", [0.0, 0.05, 0.7])
def test_conservation_at_every_step(name, slot_s):
    world = preset(name, n_nodes=5, n_sites=3, n_requests=150, **ROUGH[name])
    sites, rng = Sites(world, [1, 2], slot_s=slot_s, heartbeat_s=0.25), np.random.default_rng(7)
    paid_ns, refused = np.zeros(2), 0
    while not sites.over.all():
        over = sites.over.copy()
        out = sites.advance(random_legal(sites, rng))
        paid_ns -= np.rint(out.terms[:, 0].reshape(2, -1) * SECOND).sum(axis=1)
        for b in np.flatnonzero(~over):
            back, under_way = check_books(sites.batch, b)
            own = own_outstanding(sites.batch, b)
            unreported = len(chain(sites.batch.state.job[b], sites.batch.state.world[b]["report_head"]))
            assert own.sum() == under_way + unreported + len(back)
            assert (sites.batch.state.known[b]["seen"] >= own).all()
        assert np.isfinite(sites.obs).all() and (sites.obs >= 0).all() and (sites.obs <= 1).all()
        refused = sites.batch.state.panel["refused"].sum()
    booked = sites.batch.state.world["latency_total_ns"]
    assert (paid_ns == booked).all(), "the terms of all sites are the latency of all requests"
    assert (sites.batch.state.world["in_system"] == 0).all()
    if name == "overload":
        assert (refused > 0) == (slot_s > 0), "only who chooses at the same time can be refused"


def test_the_rewards_of_the_sites_add_up_to_that_of_one_controller():
    weights = {f"weights.{name}": value for name, value in WEIGHTS.items()}
    world = preset("churn", n_nodes=5, n_sites=3, n_requests=100, **ROUGH["churn"], **weights)
    runs = {reward: Sites(world, [4], slot_s=0.2, reward=reward) for reward in ("own", "shared")}
    rngs = {reward: np.random.default_rng(1) for reward in runs}
    different = False
    while not runs["own"].over.all():
        paid = {reward: runs[reward].advance(random_legal(runs[reward], rngs[reward])) for reward in runs}
        own, shared = paid["own"], paid["shared"]
        assert own.obs.tobytes() == shared.obs.tobytes()
        assert shared.terms == pytest.approx(np.tile(own.terms.sum(axis=0), (3, 1)), rel=1e-9, abs=1e-9)
        assert shared.reward == pytest.approx([own.reward.sum()] * 3, rel=1e-9, abs=1e-9)
        different |= bool(np.ptp(own.reward) > 0)
    assert different


@pytest.mark.parametrize(("name", "more"), [("overload", {}), ("churn", {"up_mean_s": 0.5, "slots": 1, "load": 20.0})])
def test_a_full_table_ends_the_slot_early_and_loses_nothing(name, more):
    few = {"n_nodes": 3, "n_sites": 2, "n_requests": None, "horizon_s": 20.0, "queue_capacity": 0, "load": 2.0}
    world = preset(name, **{**few, **more})
    sites, rng = Sites(world, [3], slot_s=0.5, heartbeat_s=0.3), np.random.default_rng(7)
    few = int(world.params.node["limit"].sum()) + 3
    state = sites.batch.state
    sites.batch.state = state._replace(job=state.job[:, :few].copy(), sheet=state.sheet[:, -few - 1 :].copy())
    state.world["fresh"] = 0
    sites.batch.reset(np.ones(1, bool), sites.obs)
    early = 0
    while not sites.over.all():
        sites.advance(random_legal(sites, rng))
        check_books(sites.batch, 0)
        early += sites.batch.state.world[0]["now_ns"] % (SECOND // 2) != 0
    assert early > 5
    assert sites.batch.state.world[0]["in_system"] == 0
