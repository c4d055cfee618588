"""Three agents on two nodes, worked out on paper: what they cost, when they answer, and every step of a migration.

The world is `agent_toys.hand_world`; what is said of it here is in its units: bytes, seconds, dollars. The user is at
site 0, agents 0 and 1 are talkers, agent 2 is a looker; 1 talks to 0, and 2 to 1.
"""

import itertools
from typing import Any

import numpy as np
import pytest
from agent_books import check_books, check_end
from agent_toys import AgentGame, always_decline, busy_world, hand_world, seed_of

from edge_gym.agency import Agency
from edge_gym.kernel import assignment, random
from edge_gym.kernel.agent_tables import ASKED, LIVING
from edge_gym.kernel.build import World
from edge_gym.kernel.observe import decode_time
from edge_gym.kernel.observe_agents import AGENT_COST, PEERS, START
from edge_gym.kernel.tables import COMPLETED, DROPPED, NONE, SECOND, UNFINISHED
from edge_gym.scenario import Arrivals, Change, Scenario


def ns(seconds: float) -> int:
    return round(seconds * SECOND)


def game_of(scenario: Scenario, wanted: Any = None) -> AgentGame:
    """A game whose user is at site 0 and whose agents are two talkers and a looker."""

    def right(game: AgentGame, b: int) -> bool:
        roles, sites = game.row("agent", b)["role"][:3].tolist(), int(game.row("app", b)["site"][0])
        return roles == [0, 0, 1] and sites == 0 and (wanted is None or wanted(game, b))

    return AgentGame(scenario, [seed_of(scenario, right)])


def agent(game: AgentGame, g: int) -> np.void:
    return game.row("agent")[g]


def shown(game: AgentGame, column: int) -> np.ndarray:
    """Seconds (or cost) that a time column shows in each row."""
    return decode_time(game.obs[0, :, column])


# --- costs ------------------------------------------------------------------------------------------------------------

# For a talker and a looker (rows) on node 0 and node 1 (columns). A user at site 0 is 2 ms from node 0, 12 ms from node
# 1; all bytes take 1 us. A talker's request and response have 1,400 + 700 bytes, a looker's 50,000 + 100.
RATE = (0.2, 0.5)
TRANSFER = (
    (0.2 * (0.004 + 0.0021), 0.2 * (0.024 + 0.0021)),
    (0.5 * (0.004 + 0.0501), 0.5 * (0.024 + 0.0501)),
)
# Image 300 or 100 bytes: over the network; from storage at 100 or 50 bytes/s; 0.5 s to start the process.
STARTS = (
    (0.002 + 0.0003 + 3.0 + 0.5, 0.012 + 0.0003 + 6.0 + 0.5),
    (0.002 + 0.0001 + 1.0 + 0.5, 0.012 + 0.0001 + 2.0 + 0.5),
)
PROCESSING = ((0.2 * 0.35, 0.2 * 0.7), (0.5 * 0.2, 0.5 * 0.4))
# Two slots: a talker on node 0 has 2 / (1 + 1/2) = 4/3 of a slot's rate, a looker 2 / (1 + 1/4) = 8/5.
LOAD = ((0.2 * 0.35 / (4 / 3), 0.2 * 0.7), (0.5 * 0.2 / 1.6, 0.5 * 0.4))
COMPUTE = tuple((load[0] * 1e-3, load[1] * 0.5e-3) for load in LOAD)  # 3.6 and 1.8 USD/h
STORAGE = (300 * 1e-12, 100 * 1e-12)  # 2,592 USD/GB in 2,592,000 s
COMMUNICATION = ((0.0, 0.2 * 2100 * 2e-8), (0.0, 0.5 * 50_100 * 2e-8))  # 20 USD/GB beyond the site
# 20 ms there and back between the nodes, 20,000 or 10,000 bytes.
PEER_S = (0.02 + 0.02, 0.02 + 0.01)
PEER_COST = (0.2 * (0.04 + 100 * 2e4 * 2e-8), 0.5 * (0.03 + 100 * 1e4 * 2e-8))
REFUSE = (0.2 * 40.0, 0.5 * 10.0)  # two deadlines of 20 s or 5 s
ROLE, PARENT = (0, 0, 1), (-1, 0, 1)


def own(r: int, n: int, stay_s: float = 60.0) -> tuple[float, ...]:
    start = RATE[r] * STARTS[r][n] ** 2 / 2 / stay_s
    return TRANSFER[r][n], start, PROCESSING[r][n], COMPUTE[r][n], STORAGE[r], COMMUNICATION[r][n]


def own_cost(r: int, n: int) -> float:
    return sum(own(r, n)[:3]) + 100.0 * sum(own(r, n)[3:])


def crowd(load: float) -> float:
    """Straight lines through r^2 / (1 - r) at 0, 0.2, 0.4, 0.55, as far as is needed here."""
    knots = (0.0, 0.2, 0.4, 0.55)
    return float(np.interp(load, knots, [r * r / (1 - r) for r in knots]))


def whole_cost(homes: tuple[int, ...]) -> float:
    cost, load = 0.0, [0.0, 0.0]
    for g, n in enumerate(homes):
        if n == NONE:
            cost += REFUSE[ROLE[g]]
            continue
        cost += own_cost(ROLE[g], n)
        load[n] += LOAD[ROLE[g]][n]
        if PARENT[g] >= 0 and homes[PARENT[g]] not in (NONE, n):
            cost += PEER_COST[ROLE[g]]
    return cost + crowd(load[0]) + crowd(load[1])


def test_every_term_of_every_agent_on_every_node():
    game = game_of(hand_world())
    found = Agency(game.batch).assignment(0)
    assert found.kind.tolist() == list(ROLE) and found.problem.parent.tolist() == list(PARENT)
    for g, n in itertools.product(range(3), range(2)):
        assert found.terms[g, n].tolist() == pytest.approx(own(ROLE[g], n), rel=1e-9), (g, n)
        assert found.problem.own[g, n] == pytest.approx(own_cost(ROLE[g], n), rel=1e-9)
        assert found.problem.load[g, n] == pytest.approx(LOAD[ROLE[g]][n], rel=1e-12)
    assert found.problem.refuse.tolist() == pytest.approx([REFUSE[r] for r in ROLE])
    assert found.problem.traffic.tolist() == pytest.approx([0.2 * 22_100, 0.2 * 22_100, 0.5 * 60_100])
    for homes in itertools.product((NONE, 0, 1), repeat=3):
        total = assignment.total(found.problem, np.array(homes, np.int64))
        assert total == pytest.approx(whole_cost(homes), rel=1e-9), homes


@pytest.mark.parametrize("homes", [(0, 0, 1), (1, 0, 0), (0, 1, 1), (1, 1, 1)])
def test_the_column_agent_cost_is_what_the_whole_grows_by(homes):
    game = game_of(hand_world())
    placed = [NONE, NONE, NONE]
    refused = [REFUSE[r] for r in ROLE]
    for g, home in enumerate(homes):
        before = whole_cost(tuple(placed)) - refused[g]
        for n in (0, 1):
            after = whole_cost((*placed[:g], n, *placed[g + 1 :]))
            assert shown(game, AGENT_COST)[n] == pytest.approx(after - before, rel=2e-5), (g, n)
            assert shown(game, START)[n] == pytest.approx(STARTS[ROLE[g]][n], rel=1e-5)
            apart = g > 0 and homes[g - 1] != n
            assert shown(game, PEERS)[n] == pytest.approx(PEER_S[ROLE[g]] if apart else 0.0, rel=1e-5)
        assert shown(game, AGENT_COST)[2] == pytest.approx(refused[g], rel=1e-5)
        placed[g] = home
        game.act(home)
    node = game.row("lodging")
    for n in (0, 1):
        there = [ROLE[g] for g in range(3) if homes[g] == n]
        assert node[n]["load"] == pytest.approx(sum(LOAD[r][n] for r in there))
        assert node[n]["storage_bytes"] == sum((300, 100)[r] for r in there)
        assert node[n]["traffic"] == pytest.approx(sum((0.2 * 22_100, 0.5 * 60_100)[r] for r in there))


# --- requests ---------------------------------------------------------------------------------------------------------


def placed(scenario: Scenario, homes: tuple[int, ...] = (0, 0, 1), wanted: Any = None) -> AgentGame:
    """A game in which the agents live where they should since time 0."""
    game = game_of(scenario, wanted)
    for home in homes:
        assert game.now == 0
        game.act(home)
    return game


def served(game: AgentGame, model: int) -> np.ndarray:
    log = game.log()
    return log[(log["model"] == model) & (log["outcome"] == COMPLETED)]


def first_come(arrive: list[int], work: list[int]) -> list[int]:
    """When each of the requests that reach a node of one slot at these times is served, ns."""
    ends, free = [], 0
    for at, needs in zip(arrive, work, strict=True):
        free = max(free, at) + needs
        ends.append(free)
    return ends


def test_requests_of_agents_to_the_nanosecond():
    """Looks: 30 ms to hear from the peer, 12 + 50 ms up, 0.4 s one after the other, 12.1 ms down.

    Chats: no detour, for the peer is at hand; 2 + 1.4 ms up, 0.35 s if alone, 2 + 0.7 ms down.
    """
    game = placed(hand_world().with_overrides(review_s=0.0))
    game.play(always_decline)
    looks, chats = served(game, 1), served(game, 0)
    assert len(looks) > 20 and len(chats) > 10 and (game.log()["outcome"] == COMPLETED).all()
    there = [int(t) + ns(0.03) + ns(0.012 + 0.05) for t in looks["arrive_ns"]]
    ends = first_come(there, [ns(0.4)] * len(looks))
    assert looks["finish_ns"].tolist() == [end + ns(0.0121) for end in ends]
    assert looks["start_ns"].tolist() == [end - ns(0.4) for end in ends]
    assert max(e - t for e, t in zip(ends, there, strict=True)) > ns(0.41)  # one has waited
    begin = chats["arrive_ns"] + ns(0.0034)
    alone = np.diff(begin, prepend=-SECOND) > ns(0.7)
    alone[:-1] &= np.diff(begin) > ns(0.7)
    assert alone.sum() > 5
    assert (chats["finish_ns"] - chats["arrive_ns"])[alone].tolist() == [ns(0.0034 + 0.35 + 0.0027)] * alone.sum()
    assert (chats["start_ns"] == begin)[alone].all()
    agency, end_s = game.row("agency"), game.now / SECOND
    assert agency["transfer_ns"] == len(looks) * ns(0.03 + 0.062 + 0.0121) + len(chats) * ns(0.0061)
    assert agency["wait_ns"] == 0
    compute = 2 * COMPUTE[0][0] + COMPUTE[1][1]
    talk = len(looks) * (1e4 + 50_100) * 2e-8
    assert agency["usd"].tolist() == pytest.approx([compute * end_s, 700e-12 * end_s, talk], rel=1e-9)
    assert -game.terms[0, 6] == pytest.approx(agency["usd"].sum())
    assert agency["load_s"] == pytest.approx((2 * LOAD[0][0] + LOAD[1][1]) * end_s)
    assert agency["square_s"] == pytest.approx((4 * LOAD[0][0] ** 2 + LOAD[1][1] ** 2) * end_s)
    assert agency["hosts_s"] == pytest.approx(2 * end_s)
    assert agency["served"] == len(looks) + len(chats) and agency["placed"] == 3


def test_a_start_step_by_step():
    """An application comes later, nothing is preloaded: image over the network, then from storage beside the model.

    Node 0 reads the chat model in 40 / 100 + 4 = 4.4 s, longer than the image (3.5 s): there 4.4 s after the transfer.
    Node 1 reads the other in 20 / 50 = 0.4 s; the looker's image takes 2.5 s.
    """
    later = {"at_start": 0, "applications_per_s": 0.3, "n_applications": 1}
    game = game_of(hand_world().with_overrides(preload="none", **later))
    began = game.now
    assert began > 0
    cold = [0.0023 + 4.4, 0.0123 + 6.5], [0.0021 + 1.5, 0.0121 + 2.5]  # slow: 40 / 50 + 4 = 4.8 s are less than 6.5 s
    for g, home in enumerate((0, 0, 1)):
        assert shown(game, START)[:2].tolist() == pytest.approx(cold[ROLE[g]], rel=1e-5)
        game.act(home)
    ready = [began + ns(0.0023) + ns(4.4)] * 2 + [began + ns(0.0121) + ns(2.5)]
    assert game.now == began + 10 * SECOND  # the first review
    assert [int(agent(game, g)["settled_ns"]) for g in range(3)] == ready
    log = game.log()
    for model, at in ((0, ready[0]), (1, ready[2])):
        mine = log[log["model"] == model]
        early = mine["arrive_ns"] < at
        assert (mine["dispatch_ns"][early] == at).all()
        assert (mine["dispatch_ns"][~early] == mine["arrive_ns"][~early]).all()
    assert (log["dispatch_ns"] > log["arrive_ns"]).sum() >= 2
    agency = game.row("agency")
    assert agency["cold_starts"] == 2 and agency["downtime_ns"] == 0 and agency["moved_bytes"] == 0.0
    waits = log["dispatch_ns"] - log["arrive_ns"]
    assert agency["wait_ns"] == waits.sum()


# --- migration --------------------------------------------------------------------------------------------------------


def state_of(game: AgentGame, g: int) -> tuple[float, int]:
    """Bytes of the state of an agent, and its context: 2 messages and 110 tokens for each request it has answered."""
    a = agent(game, g)
    assert a["context"] == 55 * a["messages"]
    return 600.0 + 100.0 * a["messages"] + 4.0 * a["context"], int(a["context"])


def to_review(game: AgentGame, at_s: float) -> None:
    """Goes on to the first question at this time, declining everything before."""
    while game.now < ns(at_s):
        game.act(game.decline)
    assert game.now == ns(at_s)


def test_staying_costs_what_the_others_would_be_spared():
    """All live on node 1: without agent 0, a talker, the crowding there would be that of agents 1 and 2."""
    game = placed(hand_world(), (1, 1, 1))
    to_review(game, 10.0)
    assert game.subject == 0
    transfer, _, processing, *usd = own(0, 1)
    others = LOAD[0][1] + LOAD[1][1]
    crowding = crowd(others + LOAD[0][1]) - crowd(others)
    expected = transfer + processing + 100.0 * sum(usd) + crowding
    assert shown(game, AGENT_COST)[[1, 2]] == pytest.approx([expected] * 2, rel=2e-5)


@pytest.mark.parametrize("mode", ["lightweight", "full"])
@pytest.mark.parametrize("preload", ["all_that_fit", "none"])
def test_a_migration_step_by_step(mode, preload):
    """At 10 s agent 0 moves from node 0 to node 1, where looks are served one after the other.

    Export 10 ms + 1 us a byte of state; half of 20 ms and 1 us a byte of state (and 300 of image); import 20 ms + 2 us
    a byte of state, beside (full) 300 / 50 + 0.5 s for the image, and beside the model if it has to be read, 4.8 s;
    then the context again: 0.1 + 0.002 a token + 0.04 s of real work in the queue of node 1.
    """
    game = placed(hand_world().with_overrides(mode=mode, preload=preload))
    to_review(game, 10.0)
    assert game.subject == 0
    state, context = state_of(game, 0)
    assert context > 0
    image = 300.0 if mode == "full" else 0.0
    before = game.row("agency").copy()
    game.act(1)
    assert agent(game, 0)["target"] == 1 and agent(game, 0)["node"] == 0
    assert game.row("lodging")["agents"].tolist() == [2, 2]  # reserved on both sides
    to_review(game, 20.0)
    export = ns(0.01 + 1e-6 * state)
    transfer = ns(0.01 + (state + image) * 1e-6)
    load = ns(0.02 + 2e-6 * state + (image / 50 + 0.5 if image else 0.0))
    arrived = 10 * SECOND + export + transfer
    loaded = max(arrived + load, arrived + (ns(4.8) if preload == "none" else 0))
    looks = game.log()
    looks = looks[looks["model"] == 1]
    there = [int(t) + ns(0.03) + ns(0.062) for t in looks["dispatch_ns"]]
    queue = sorted([(t, ns(0.4)) for t in there] + [(loaded, ns(0.14 + 0.002 * context))])
    ends = first_come([t for t, _ in queue], [w for _, w in queue])
    if preload == "none":  # the first looks found no model; compare those after
        queue = [(t, w) for t, w in queue if t > ns(5.0)]
        ends = first_come([t for t, _ in queue], [w for _, w in queue])
    resumed = ends[[t for t, _ in queue].index(loaded)]
    assert agent(game, 0)["settled_ns"] == resumed
    after = game.row("agency")
    assert after["downtime_ns"] - before["downtime_ns"] == resumed - 10 * SECOND
    assert after["moved_bytes"] - before["moved_bytes"] == state + image
    assert after["prefill_tokens"] == context and after["moves"] == after["resumed"] == 1
    assert after["cold_starts"] - before["cold_starts"] == (preload == "none")
    assert game.row("lodging")["agents"].tolist() == [1, 2]  # the source is free again
    chats = game.log()
    chats = chats[(chats["model"] == 0) & (chats["arrive_ns"] >= 10 * SECOND) & (chats["arrive_ns"] < resumed)]
    waited = chats["dispatch_ns"] > chats["arrive_ns"]
    assert (chats["dispatch_ns"][waited] == resumed).all() and (chats["node"][waited] == 1).all()
    assert (chats["node"][~waited] == 0).all()  # those are for agent 1
    check_books(game, 0)


def test_back_again_is_a_ping_pong_and_every_move_is_paid():
    game = placed(hand_world())
    to_review(game, 10.0)
    states = []
    for k, home in enumerate((1, 0)):
        states.append(state_of(game, 0)[0])
        paid, served_before = game.row("agency")["usd"][2], len(served(game, 1))
        game.act(home)
        to_review(game, 20.0 + 10 * k)
        agency = game.row("agency")
        assert agency["ping_pongs"] == k and agency["moves"] == k + 1
        assert agency["moved_bytes"] == sum(states)
        assert agent(game, 0)["node"] == home and agent(game, 0)["before"] == 1 - home
        talked = agency["usd"][2] - paid - states[-1] * 2e-8
        assert talked > 0.0 and served_before < len(served(game, 1))
    down_s = game.row("agency")["downtime_ns"] / SECOND
    assert -game.terms[0, 4] == pytest.approx(down_s)


def test_what_is_paid_for_traffic():
    """Looks cross from site 0 to node 1 and talk to their peer on node 0; the move pays for its state, nothing else."""
    game = placed(hand_world())
    to_review(game, 10.0)
    game.act(2)
    game.act(2)
    looker = agent(game, 2)
    assert game.subject == 2 and looker["context"] == looker["messages"] // 2  # no prompt, one unit
    state = 600.0 + 100.0 * looker["messages"] + 4.0 * looker["context"]
    game.act(0)
    game.play(always_decline)
    log = served(game, 1)
    at_1 = (log["node"] == 1).sum()
    assert 0 < at_1 < len(log) and game.row("agency")["moved_bytes"] == state
    assert game.row("agency")["usd"][2] == pytest.approx((at_1 * 60_100 + state) * 2e-8, rel=1e-9)


# --- nodes that leave, applications that end --------------------------------------------------------------------------


def gone(node: int, at_s: float, more: tuple[Change, ...] = (), **flat: Any) -> Scenario:
    change = Change(time_s=at_s, node=node, what="alive", value=0.0)
    return hand_world(timeline=tuple(sorted((change, *more), key=lambda c: c.time_s))).with_overrides(**flat)


def begun_to_move(scenario: Scenario) -> AgentGame:
    """Agent 0 has just begun to move from node 0 to node 1, at 10 s."""
    game = placed(scenario)
    to_review(game, 10.0)
    assert game.subject == 0
    game.act(1)
    return game


def test_the_source_leaves_before_the_transfer_is_over():
    """Export takes 10 ms and more: at 10.005 s node 0 leaves with agents 0 and 1. Both are lost, and asked about."""
    game = begun_to_move(gone(0, 10.005))
    while game.now < ns(10.005):
        game.act(game.decline)
    agency = game.row("agency")
    assert (agency["lost"], agency["aborted"], agency["moves"]) == (2, 1, 1)
    assert game.subject == 0 and agent(game, 0)["state"] == ASKED and agent(game, 0)["before"] == 0
    assert game.row("lodging")["agents"].tolist() == [0, 1] and not game.batch.mask[0, 0]
    state, context = state_of(game, 0)
    expected = 0.012 + (state + 300) * 1e-6 + 6.5 + 0.02 + 2e-6 * state
    prefill = 0.14 + 0.002 * context
    assert shown(game, START)[1] == pytest.approx(expected + prefill, rel=1e-5)
    game.act(1)  # from the user's site, with image and state
    game.act(2)  # agent 1 stays lost
    to_review(game, 20.0)
    agency = game.row("agency")
    least = ns(10.005) + ns(0.012) + ns((state + 300) * 1e-6) + ns(6.5 + 0.02 + 2e-6 * state) + ns(prefill)
    assert least <= agent(game, 0)["settled_ns"] <= least + ns(0.81)  # behind at most two looks
    assert agency["downtime_ns"] == agent(game, 0)["settled_ns"] - ns(10.0) - ns(0.005)
    assert agency["moved_bytes"] == state + 300 and agency["resumed"] == 1
    lost = game.log()
    assert set(lost[lost["model"] == 0]["outcome"].tolist()) <= {COMPLETED, DROPPED, 2}


def test_the_source_leaves_after_the_transfer():
    """At 10.03 s the state is at node 1 and being read: the move goes on as if nothing had happened."""
    calm, torn = begun_to_move(hand_world()), begun_to_move(gone(0, 10.03))
    while torn.now < 20 * SECOND:
        torn.act(torn.decline)
    to_review(calm, 20.0)
    assert agent(torn, 0)["settled_ns"] == agent(calm, 0)["settled_ns"] and agent(torn, 0)["before"] == 0
    agency = torn.row("agency")
    assert (agency["lost"], agency["aborted"], agency["resumed"]) == (1, 0, 1)  # agent 1 is lost
    assert agency["downtime_ns"] == calm.row("agency")["downtime_ns"]
    assert torn.row("lodging")["agents"].tolist() == [0, 2]
    check_books(torn, 0)


def test_the_target_leaves():
    """At 10.03 s node 1 is gone: agent 0 answers again from node 0, at once, also those who waited."""
    game = begun_to_move(gone(1, 10.03))
    assert game.now == ns(10.03) or game.now == 10 * SECOND
    while game.now < ns(10.03):
        game.act(game.decline)
    assert agent(game, 0)["state"] == LIVING and agent(game, 0)["settled_ns"] == ns(10.03)
    assert game.subject == 2 and game.row("agency")["aborted"] == 1 and game.row("agency")["lost"] == 1
    assert game.row("lodging")["agents"].tolist() == [2, 0] and game.row("agency")["downtime_ns"] == 0
    check_books(game, 0)


def test_who_still_waits_at_the_end_is_charged():
    """Export takes 100 s, the horizon is 20 s, the drain 1 s: at 21 s whoever waits for agent 0 costs two deadlines."""
    game = placed(hand_world().with_overrides(export_s=100.0, horizon_s=20.0, drain_s=1.0))
    to_review(game, 10.0)
    game.act(1)
    game.play(always_decline)
    log = game.log()
    waited = log[log["outcome"] == UNFINISHED]
    assert len(waited) > 0 and (waited["finish_ns"] == ns(21)).all() and (waited["model"] == 0).all()
    assert (waited["latency_ns"] == ns(40)).all() and (waited["arrive_ns"] >= ns(10)).all()
    check_end(game, 0)


def test_an_application_ends_while_its_agent_moves():
    """Export takes 5 s; the application ends in between: both nodes are free, and who waited is dropped."""
    scenario = hand_world().with_overrides(export_s=5.0, lifetime_mean_s=12.0)
    game = placed(scenario, wanted=lambda game, b: ns(12.5) < game.row("app", b)["end_ns"][0] < ns(14.5))
    end = int(game.row("app")["end_ns"][0])
    to_review(game, 10.0)
    game.act(1)
    game.play(always_decline)
    log, agency = game.log(), game.row("agency")
    dropped = log[log["outcome"] == DROPPED]
    assert (dropped["finish_ns"] == end).all() and (dropped["arrive_ns"] >= 10 * SECOND).all()
    assert game.row("lodging")["agents"].tolist() == [0, 0] and game.row("world")["price_per_s"] == pytest.approx(0.0)
    assert agency["moved_bytes"] == 0.0 and agency["present"] == 0 and agency["resumed"] == 0
    assert agency["hosts_s"] == pytest.approx(2 * end / SECOND)
    moved_s = end / SECOND - 10.0
    compute = (2 * COMPUTE[0][0] + COMPUTE[1][1]) * end / SECOND + COMPUTE[0][1] * moved_s
    assert agency["usd"][0] == pytest.approx(compute, rel=1e-9)
    check_end(game, 0)


def test_a_request_that_comes_back_follows_its_agent():
    """Node 0 is slow from 9 s on; agents move to node 1 at 10 s; at 16 s node 0 leaves with what it has not done."""
    slow = Change(time_s=9.0, node=0, what="speed", value=0.01)
    followed = 0
    world = World(gone(0, 16.0, (slow,)))
    for seed in range(12):
        game = AgentGame(world, [seed])
        while not game.over[0] and game.now < 20 * SECOND:
            to = 0 if game.now == 0 else 1
            game.act(to if game.batch.mask[0, to] else game.decline)
            check_books(game, 0)
        log = game.play(always_decline).log()
        back = log[(log["retries"] == 1) & (log["outcome"] == COMPLETED)]
        assert (back["dispatch_ns"] == 16 * SECOND).all() and (back["node"] == 1).all()
        followed += len(back)
    assert followed > 5


def test_a_full_node_admits_no_prefill():
    """One request at a time on node 1, and no queue: the prefill is offered again every tenth of a second."""
    world, offers = World(hand_world().with_overrides(queue_capacity=0)), []
    for seed in range(300):
        game = AgentGame(world, [seed])
        if game.row("agent")["role"][:3].tolist() != [0, 0, 1] or game.row("app")["site"][0] != 0:
            continue
        for home in (0, 0, 1):
            game.act(home)
        to_review(game, 10.0)
        state, context = state_of(game, 0)
        game.act(1)
        to_review(game, 20.0)
        if context > 0:
            loaded = 10 * SECOND + ns(0.01 + 1e-6 * state) + ns(0.01 + 1e-6 * state) + ns(0.02 + 2e-6 * state)
            wait = int(agent(game, 0)["settled_ns"]) - ns(0.14 + 0.002 * context) - loaded
            assert wait >= 0 and wait % (SECOND // 10) == 0
            offers.append(wait // (SECOND // 10))
    assert len(offers) > 8 and 0 in offers and max(offers) > 0


def last_legal(obs: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The legal node with the largest number, else decline."""
    last = mask.shape[1] - 2 - mask[:, -2::-1].argmax(axis=1)
    return np.where(mask[:, :-1].any(axis=1), last, mask.shape[1] - 1)


def test_a_model_read_for_an_agent_that_has_left_makes_room():
    """Applications come and go faster than models are read, on nodes that hold one model at a time."""
    flat = {"memory": 85, "lifetime_mean_s": 0.8, "applications_per_s": 2.0, "preload": "none", "review_s": 0.0}
    world = World(busy_world(**flat, arrivals=Arrivals(rate_per_s=4.0)))
    for seed in range(4):
        AgentGame(world, [seed]).play(last_legal, lambda game: None if game.over[0] else check_books(game, 0))


def test_users_who_wander_go_where_their_draws_say():
    """On a ring of three sites everybody has two neighbours; draw 2 k + 1 of a user chooses at its k-th move."""
    game = AgentGame(busy_world(horizon_s=10.0), range(6))
    near, seen = game.batch.world.params.near, set()
    while not game.over.all():
        before = game.batch.state.app.copy()
        game.act(game.decline)
        for old, new in zip(before.ravel(), game.batch.state.app.ravel(), strict=True):
            if old["id"] == new["id"] != NONE and new["moves"] == old["moves"] + 1:
                known = [int(site) for site in near[old["site"]] if site != NONE]
                u = random.uniform(np.uint64(old["move_key"]), int(2 * old["moves"] + 1))
                assert new["site"] == known[int(u * len(known))]
                seen.add((int(old["site"]), int(new["site"])))
    assert len(seen) >= 4, "they should go both ways"
