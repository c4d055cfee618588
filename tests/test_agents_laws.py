"""Users, applications and single agents follow the laws they should."""

from dataclasses import replace

import networkx as nx
import numpy as np
import pytest
from agent_toys import AgentGame, always_decline, asking, constant, hand_world
from helpers import NO_NETWORK, Z, assert_mean, service_law
from scipy import stats

from edge_gym.devices import DeviceType, ModelType, Service
from edge_gym.kernel.agent_tables import ASK_MIGRATIONS, ASK_PLACEMENTS
from edge_gym.kernel.build import World
from edge_gym.kernel.tables import COMPLETED, SECOND
from edge_gym.scenario import Arrivals, Law, Pool, RewardWeights, Scenario, Topology, Workload
from edge_gym.scenario.agents import AgentRole, Applications, Migration, Mobility

N_SITES = 9


def walkers(kind: str, **more: object) -> Scenario:
    """One agent for each of 40 users on a metro of 9 sites; every step of a user is asked about."""
    scenario = hand_world(
        topology=Topology(kind="metro", n_sites=N_SITES, branching=3, link_delay_s=0.002, access_delay_s=0.001),
        mobility=Mobility(kind=kind, dwell_mean_s=3.0, hop_s=0.25),
        applications=Applications(at_start=40, most=40, size=constant(1), most_agents=1, load_limit=0.95),
        migration=Migration(review_s=0.0, pause_s=0.0, overload=1e6),
        horizon_s=150.0,
    )
    roles = tuple(replace(role, rate_per_s=0.001, memory_bytes=0.0, image_bytes=0.0) for role in scenario.roles)
    return replace(scenario, roles=roles).with_overrides(**more)


class Steps:
    """Every step of every user: when, whence, whither, and where it wants to go.

    Attributes:
        rows: (time, user, site before, site now, goal).
        home, work: Ends of each user's commute.
    """

    def __init__(self, world: World, seed: int) -> None:
        game = AgentGame(world, [seed], asking(ASK_MIGRATIONS))
        app, self.world = game.row("app"), world
        site = AgentGame(world, [seed], asking(ASK_PLACEMENTS)).row("app")["site"].copy()  # at time 0
        self.home, self.work = app["home"].copy(), app["work"].copy()
        rows = []
        while not game.over[0]:
            p = int(game.row("agent")[game.subject]["app"])
            now = app[p]
            rows.append((game.now / SECOND, p, int(site[p]), int(now["site"]), int(now["goal"])))
            site[p] = now["site"]
            game.act(game.decline)
        self.rows = np.array(rows)
        assert len(rows) == game.row("agency")["handovers"]


def stays(steps: Steps) -> tuple[np.ndarray, np.ndarray]:
    """Gaps between the steps of a user, and whether it was at its goal meanwhile."""
    gaps, resting = [], []
    for p in range(40):
        mine = steps.rows[steps.rows[:, 1] == p]
        gaps += np.diff(mine[:, 0], prepend=0.0).tolist()
        resting += [True, *(mine[:-1, 3] == mine[:-1, 4]).tolist()]
    return np.array(gaps), np.array(resting)


def test_markov_users_go_to_each_neighbour_alike_and_stay_exponentially():
    world, counts, all_steps = World(walkers("markov")), [], []
    for seed in range(12):
        steps = Steps(world, seed)
        counts.append(len(steps.rows) / 40)
        all_steps.append(steps)
    # Steps of a user until 150 s: Poisson with mean 150 / 3.
    z = (np.mean(counts) - 50.0) / np.sqrt(50.0 / (40 * 12))
    assert abs(z) < Z
    rows = np.concatenate([steps.rows for steps in all_steps]).astype(int)
    near = all_steps[0].world.params.near
    for s in range(N_SITES):
        to = rows[rows[:, 2] == s, 3]
        friends = near[s][near[s] >= 0]
        assert s not in friends and set(to.tolist()) == set(friends.tolist())
        assert stats.chisquare([(to == k).sum() for k in friends]).pvalue > 0.001
    gaps, _ = stays(all_steps[0])
    first = gaps[gaps < 60]  # no more than a hair is cut off by the horizon
    assert stats.kstest(first[::7], "expon", args=(0, 3.0)).pvalue > 0.001


@pytest.mark.parametrize("kind", ["waypoint", "commute"])
def test_travellers_hop_along_the_way_and_rest_at_its_end(kind):
    steps = Steps(World(walkers(kind, horizon_s=400.0)), 3)
    hop, rows = steps.world.params.hop, steps.rows
    gaps, resting = stays(steps)
    assert np.allclose(gaps[~resting], 0.25, atol=1e-9) and (~resting).sum() > 500
    # Rests that began long before the horizon are not cut off by it.
    begin = np.concatenate([np.r_[0.0, rows[rows[:, 1] == p][:-1, 0]] for p in range(40)])
    rests = gaps[resting & (begin < 340.0)]
    assert stats.kstest(rests[::3], "expon", args=(0, 3.0)).pvalue > 0.001
    assert_mean(rests, 3.0, 0.05)
    whence, now, goal = rows[:, 2].astype(int), rows[:, 3].astype(int), rows[:, 4].astype(int)
    assert (hop[whence, goal] == now).all() and (whence != now).all()
    if kind == "waypoint":
        # The next destination is any other site: from each site, all others alike.
        user, at_goal = rows[:, 1].astype(int), now == goal
        for s in range(N_SITES):
            sets_out = np.flatnonzero(whence == s)
            sets_out = [k for k in sets_out if not (earlier := np.flatnonzero(user[:k] == user[k])).size
                        or at_goal[earlier[-1]]]  # fmt: skip
            chosen = np.bincount(goal[sets_out], minlength=N_SITES)
            assert chosen[s] == 0 and stats.chisquare(np.delete(chosen, s)).pvalue > 0.001
    else:
        ends = np.stack([steps.home, steps.work])
        assert (steps.home != steps.work).all()
        assert ((goal == ends[0][rows[:, 1].astype(int)]) | (goal == ends[1][rows[:, 1].astype(int)])).all()


def test_ways_are_the_shortest_from_neighbour_to_neighbour():
    world = World(walkers("waypoint"))
    near, hop, network = world.params.near, world.params.hop, world.network
    delay = nx.Graph()
    for u, v, seconds in zip(network.plan.link_u, network.plan.link_v, network.plan.link_delay_s, strict=True):
        delay.add_edge(int(u), int(v), weight=float(seconds))
    place = network.plan.site_place
    streets = nx.Graph()
    for s in range(N_SITES):
        for t in near[s][near[s] >= 0]:
            far = nx.shortest_path_length(delay, int(place[s]), int(place[t]), weight="weight")
            streets.add_edge(s, int(t), weight=far + 1e-6)
            assert s in near[t]
    assert nx.is_connected(streets) and streets.number_of_nodes() == N_SITES
    for s in range(N_SITES):
        assert hop[s, s] == s
        for t in set(range(N_SITES)) - {s}:
            at, way = s, 0.0
            while at != t:
                way += streets[at][int(hop[at, t])]["weight"]
                at = int(hop[at, t])
            assert way == pytest.approx(nx.shortest_path_length(streets, s, t, weight="weight"))


def test_applications_come_and_stay_exponentially():
    apps = Applications(
        applications_per_s=0.5, lifetime_mean_s=7.0, most=60, size=Law(kind="uniform", low=1, high=3), most_agents=3
    )
    game = AgentGame(hand_world(applications=apps, horizon_s=3000.0), [4], asking(ASK_PLACEMENTS))
    seen: dict[int, tuple[float, float, int]] = {}
    while not game.over[0]:
        if game.row("world")["subject_kind"] != 0:
            app = game.row("app")[game.row("agent")[game.subject]["app"]]
            life = (int(app["end_ns"]) - game.now) / SECOND
            seen.setdefault(int(app["id"]), (game.now / SECOND, life, int(app["n_agents"])))
        game.act(game.decline)
    assert sorted(seen) == list(range(len(seen))) and game.row("agency")["turned_away"] == 0
    at, life, size = np.array([seen[k] for k in sorted(seen)]).T
    assert stats.kstest(np.diff(at, prepend=0.0), "expon", args=(0, 2.0)).pvalue > 0.01
    assert stats.kstest(life[at < 2900], "expon", args=(0, 7.0)).pvalue > 0.01
    assert abs(len(at) - 1500) < Z * np.sqrt(1500)
    # Whole numbers nearest to a uniform draw from 1 to 3: the ends are half as likely.
    assert (
        stats.chisquare(np.bincount(size.astype(int), minlength=4)[1:], np.array([0.25, 0.5, 0.25]) * len(at)).pvalue
        > 0.001
    )


# --- one agent alone --------------------------------------------------------------------------------------------------


def alone(law: Law, load: float, horizon_s: float) -> Scenario:
    """One agent on one node that shares its processor among all requests: M/G/1-PS with mean work 1 s."""
    return Scenario(
        name="alone",
        task="joint",
        devices=(
            DeviceType(name="server", memory_bytes=1000, storage_bytes_per_s=1e9, nic_bytes_per_s=1e9, slots=400),
        ),
        models=(ModelType(name="work", weights_bytes=1),),
        services=(Service(device="server", model="work", per_unit_s=1.0 / law.mean, gain=1.0),),
        pool=Pool(device_types=("server",), n_nodes=1, queue_capacity=0),
        workloads=(Workload(model="work", prompt_tokens=constant(0), units=law, deadline_s=1e5),),
        arrivals=Arrivals(kind="none"),
        topology=NO_NETWORK,
        weights=RewardWeights(latency=1.0),
        roles=(AgentRole(name="lone", model="work", rate_per_s=load, memory_bytes=0.0, image_bytes=0.0),),
        applications=Applications(at_start=1, most=1, size=constant(1), most_agents=1, load_limit=0.95),
        horizon_s=horizon_s,
        drain_s=1e6,
    )


@pytest.mark.parametrize(
    "law", [service_law("constant"), service_law("exponential"), service_law("lognormal", 2.0)], ids=["D", "M", "G"]
)
def test_an_agent_alone_is_processor_sharing_and_obeys_little(law):
    """The mean time in an M/G/1-PS system is E[S] / (1 - rho), whatever the law of the work."""
    rows, load = 60, 0.6
    game = AgentGame(alone(law, load, 4000.0), range(rows), asking(ASK_PLACEMENTS))
    game.act(0)
    while not game.over.all():
        game.act(1)
    means = []
    for b in range(rows):
        log = game.log(b)
        assert (log["outcome"] == COMPLETED).all() and (log["dispatch_ns"] == log["arrive_ns"]).all()
        times = np.concatenate([log["arrive_ns"], log["finish_ns"]])
        jump = np.repeat([1, -1], len(log))
        order = np.lexsort((-jump, times))
        inside = np.cumsum(jump[order])
        area = int((inside[:-1] * np.diff(times[order])).sum())
        assert area == int(log["latency_ns"].sum())
        assert -game.terms[b, 0] == pytest.approx(area / SECOND, rel=1e-9)
        steady = log[log["arrive_ns"] > 300 * SECOND]
        means.append(steady["latency_ns"].mean() / SECOND)
    assert_mean(np.array(means), 1.0 / (1.0 - load), 0.02, wrong=1.1 / (1.0 - 1.1 * load))


def test_declining_everything_costs_what_refusing_says():
    """An agent that lives nowhere is charged two deadlines a request, as `refusal_cost` expects."""
    game = AgentGame(hand_world(), [0], asking(ASK_PLACEMENTS)).play(always_decline)
    log = game.log()
    charge = np.where(log["model"] == 0, 40 * SECOND, 10 * SECOND)
    assert len(log) > 10 and (log["latency_ns"] == charge).all()
