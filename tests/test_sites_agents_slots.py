"""Placement and Migration by sites, in time slots, each site on what it has heard: by hand, and recounted at random."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from agent_books import check_books, check_end
from agent_toys import busy_world, constant, hand_world
from helpers import RandomLegal
from sites_agents_play import AgentSites
from test_conservation import chain

from edge_gym.envs.agent_slots_batch import AgentSlotsBatch
from edge_gym.envs.single import EdgeEnv
from edge_gym.envs.sites_batch import site_rules
from edge_gym.kernel.agent_tables import LIVING
from edge_gym.kernel.build import World
from edge_gym.kernel.observe_agents import AGENTS, MEMORY, RESERVED, UNPLACED
from edge_gym.kernel.tables import NONE, SECOND
from edge_gym.scenario import Change
from edge_gym.scenario.agents import Applications

ALONE = Applications(at_start=2, most=2, size=constant(1), most_agents=1)
FULL = 150  # memory of node 0: for one agent (100) and its model (40), not for two


def narrow(**more):
    """Two sites, an agent of one user each; node 0 has room for one of them, node 1 for both."""
    scenario = hand_world(task="placement", applications=ALONE, **more)
    fast, slow = scenario.devices
    roles = scenario.roles[:1]
    return replace(scenario, devices=(replace(fast, memory_bytes=FULL), slow), roles=roles)


def apart(scenario):
    """A seed with a user at each site."""
    world = World(scenario)
    for seed in range(100):
        game = AgentSites(world, [seed], slot_s=0.5)
        if len(game.asked) == 2:
            return world, seed
    raise AssertionError("no such seed")


def homes(game):
    """Node of each site's agent, by site; a start under way counts."""
    agent, app = game.row("agent"), game.row("app")
    where = np.where(agent["target"] != NONE, agent["target"], agent["node"])
    return {int(app["site"][agent[g]["app"]]): int(where[g]) for g in range(len(agent))}


def test_two_sites_that_herd_to_the_same_place_and_one_is_refused():
    """Both see node 0 empty at time 0 and choose it; site 0 is first, site 1 is refused and asked 0.5 s later."""
    world, seed = apart(narrow())
    game = AgentSites(world, [seed], slot_s=0.5, heartbeat_s=20.0)
    assert game.now == 0 and game.batch.waiting.tolist() == [[1, 1]] and game.batch.mask[:, :2].all()
    game.act(0, 0)
    assert (game.now, game.asked, game.refused) == (SECOND // 2, [1], 1)
    assert homes(game) == {0: 0, 1: NONE}
    # What the node said when it refused: one agent, 140 of 150 bytes.
    assert game.batch.mask[1].tolist() == [False, True, True]
    assert game.obs[1, 0, AGENTS] == pytest.approx(1 / 9)
    assert game.obs[1, 0, MEMORY] == 1.0 and game.obs[0, 0, MEMORY] == pytest.approx(140 / 150)
    game.act(game.decline, 1)
    assert homes(game) == {0: 0, 1: 1} and (game.row("agency")["placed"], game.refused) == (2, 1)


def test_in_the_next_slot_the_other_site_is_first():
    world, seed = apart(narrow(migration=replace(hand_world().migration, review_s=10.25)))
    game = AgentSites(world, [seed], slot_s=0.5, heartbeat_s=20.0)
    game.act(game.decline, game.decline)
    assert game.now == 10.5 * SECOND and game.asked == [0, 1]  # parked, and asked about again at the review
    game.act(0, 0)
    assert homes(game) == {0: NONE, 1: 0} and game.asked == [0] and game.refused == 1


def test_on_central_books_the_second_sees_what_the_first_has_taken():
    world, seed = apart(narrow())
    game = AgentSites(world, [seed], slot_s=0.5, view="central")
    assert game.asked == [0]
    game.act(0)
    assert game.now == 0 and game.asked == [1] and game.batch.mask[1].tolist() == [False, True, True]
    game.act(game.decline, 1)
    assert homes(game) == {0: 0, 1: 1} and game.refused == 0


@pytest.mark.parametrize("heartbeat_s", [2.0, 20.0])
def test_a_site_knows_its_own_reservations_at_once_and_those_of_others_when_nodes_tell(heartbeat_s):
    world, seed = apart(narrow())
    game = AgentSites(world, [seed], slot_s=0.5, heartbeat_s=heartbeat_s)
    game.act(0)  # site 1 declines, and is asked again at the review after 10 s
    assert game.now == 10 * SECOND and game.asked == [1] and game.refused == 0
    told = heartbeat_s == 2.0
    assert game.obs[0, 0, AGENTS] == pytest.approx(1 / 9)
    assert game.obs[0, 0, RESERVED] > 0
    assert game.obs[1, 0, AGENTS] == pytest.approx(1 / 9 if told else 0)
    assert game.batch.mask[1, 0] == (not told)
    if not told:
        game.act(game.decline, 0)
        assert game.refused == 1 and game.now == 10.5 * SECOND and not game.batch.mask[1, 0]


def test_with_slots_of_zero_one_decides_at_a_time_and_a_refused_agent_is_asked_about_at_once():
    world, seed = apart(narrow())
    game = AgentSites(world, [seed], slot_s=0.0, heartbeat_s=20.0)
    (first,) = game.asked
    game.step(np.where(np.arange(2) == first, 0, game.decline))
    (second,) = game.asked
    assert second != first and game.now == 0 and game.batch.mask[second, 0], "it has not heard of the first"
    game.step(np.where(np.arange(2) == second, 0, game.decline))
    assert (game.now, game.asked, game.refused) == (0, [second], 1) and not game.batch.mask[second, 0]
    assert homes(game) == {first: 0, second: NONE}


def test_who_is_refused_while_it_lives_somewhere_stays():
    """Node 0 leaves at once and is back after 1 s; at the review after 4 s both agents are to move there."""
    away = tuple(Change(time_s=t, node=0, what="alive", value=v) for t, v in ((0.0, 0.0), (1.0, 1.0)))
    scenario = narrow(timeline=away, migration=replace(hand_world().migration, review_s=4.0, pause_s=0.5))
    world, seed = apart(scenario)
    game = AgentSites(world, [seed], task="migration", slot_s=0.5, heartbeat_s=20.0)
    while game.now < 4 * SECOND:  # who lived on node 0 goes to node 1
        game.step(np.where(game.batch.mask[:, 1], 1, game.decline))
    first = 0 if game.row("panel")[0]["turn"] == 0 else 1
    assert game.now == 4 * SECOND and game.asked == [0, 1] and homes(game) == {0: 1, 1: 1}
    game.act(0, 0)
    last = 1 - first
    assert (game.now, game.asked, game.refused, game.row("agency")["moves"]) == (4.5 * SECOND, [last], 1, 1)
    agent = game.row("agent")
    stays = int(game.row("desk")["subject"][last])
    assert homes(game) == {first: 0, last: 1} and agent["state"][stays] == LIVING and agent["node"][stays] == 1
    assert game.batch.mask[last].tolist() == [False, False, True]
    game.act()
    assert game.refused == 1 and game.row("agency")["moves"] == 1


BUSY = {
    "small slots": {"slot_s": 0.05, "heartbeat_s": 0.3},
    "long slots": {"slot_s": 0.9, "heartbeat_s": 2.5},
    "at once": {"slot_s": 0.0, "heartbeat_s": 5.0},
    "central": {"slot_s": 0.4, "view": "central"},
}
OFTEN = {"review_s": 0.7, "pause_s": 0.1}
ROUGH = {
    "crowded": {"applications_per_s": 2.0, "lifetime_mean_s": 3.0, "most": 6, "at_start": 4, "memory": 85, **OFTEN},
    "churn": {"churn_share": 0.9, "up_mean_s": 3.0, "down_mean_s": 1.5, "slow_start_s": 1.0, "age_s": 0.3, **OFTEN},
    "movers": {"mobility_kind": "waypoint", "memory": 400, "load_limit": 0.5, "at_start": 4, "most": 8, **OFTEN},
}


def check_desks(game, b):
    """Who waits is at the desk of one site, in a whole list, and counted."""
    desk, agent, app = game.row("desk", b), game.row("agent", b), game.row("app", b)
    waiting = [chain(head, agent["next"]) for head in desk["head"]]
    subjects = [[g] if g != NONE else [] for g in desk["subject"]]
    assert [len(w) + len(s) for w, s in zip(waiting, subjects, strict=True)] == desk["waiting"].tolist()
    assert [w[-1] if w else NONE for w in waiting] == desk["tail"].tolist()
    refused = chain(game.row("panel", b)[0]["back_head"], agent["next"])  # to be asked about at the next slot
    everybody = [g for rows in (*waiting, *subjects, refused) for g in rows]
    assert len(set(everybody)) == len(everybody) and (agent["serial"][everybody] != NONE).all()
    assert not refused or game.row("panel", b)[0]["open"] == 1
    if game.batch.active.reshape(len(game.over), -1)[b].any():  # the sites decide now: each for its own users
        for s, rows in enumerate(subjects):
            assert (app["site"][agent["app"][rows]] == s).all()


@pytest.mark.parametrize("task", ["placement", "migration"])
@pytest.mark.parametrize("how", BUSY)
@pytest.mark.parametrize("rough", ROUGH)
def test_everything_is_recounted_at_every_step(task, how, rough):
    world = World(busy_world(task=task, horizon_s=9.0, **ROUGH[rough]))
    game = AgentSites(world, [1, 2], task=task, **BUSY[how])
    choose = RandomLegal(range(2 * game.n_sites), 0.1)
    homed, seen = [set(), set()], Counter()
    while True:
        for b in np.flatnonzero(~game.over):
            check_books(game, b)
            check_desks(game, b)
            agent = game.row("agent", b)
            live = agent[(agent["serial"] != NONE) & ((agent["node"] != NONE) | (agent["target"] != NONE))]
            homed[b] |= set(live["serial"].tolist())
        assert np.isfinite(game.obs).all() and (game.obs >= 0).all() and (game.obs <= 1).all()
        idle = ~game.batch.active
        assert (game.batch.mask[idle].sum(axis=1) == 1).all()
        seen["at once"] = max(seen["at once"], int(game.batch.active.sum()))
        if game.over.all():
            break
        game.step(choose(game.obs, game.batch.mask))
    for b in range(2):
        check_end(game, b)
        agency = game.row("agency", b)
        if rough == "crowded":  # nobody loses a home before coming there, so nobody is placed twice
            assert agency["placed"] >= len(homed[b])
    refused = game.batch.state.panel["refused"].sum()
    assert (refused == 0) if how == "central" else (refused > 0 or rough == "movers" or task == "migration")
    assert game.steps > 12


@pytest.mark.parametrize("task", ["placement", "migration"])
@pytest.mark.parametrize("rough", ROUGH)
@pytest.mark.parametrize(("n_sites", "view"), [(1, "own"), (3, "central")])
def test_who_decides_at_once_on_all_there_is_to_know_is_the_single_environment(task, rough, n_sites, view):
    """Bit for bit, also by the code for slots, which the batch leaves aside where nobody decides at the same time."""
    scenario = busy_world(task=task, horizon_s=9.0, n_sites=n_sites, **ROUGH[rough])
    env, world = EdgeEnv(task=task, scenario=scenario), World(scenario)
    batch = AgentSlotsBatch(world, 1, env.task, site_rules(world, 0.0, view=view, reward="shared"))
    usual = AgentSites(world, [5], task=task, slot_s=0.0, view=view, reward="shared")
    assert not isinstance(usual.batch, AgentSlotsBatch)
    seen, info = env.reset(seed=5)
    batch.roots[:] = 5
    obs = batch.empty_obs()
    batch.reset(np.ones(1, bool), obs)
    choose, over, steps = RandomLegal([5], 0.1), False, 0
    while not over:
        (row,) = np.flatnonzero(batch.active)
        assert obs[row].tobytes() == seen.tobytes() == usual.obs[row].tobytes()
        assert (batch.mask[row] == info["action_mask"]).all() and (usual.batch.mask[row] == batch.mask[row]).all()
        choice = choose(seen[None], info["action_mask"][None])
        actions = np.where(np.arange(n_sites) == row, choice, world.n_nodes)
        seen, reward, _, over, info = env.step(int(choice[0]))
        out = batch.step(actions, np.zeros(1, bool), obs)
        other = usual.step(actions)
        assert (out.reward == reward).all() and (other.reward == reward).all() and out.time_s[0] == info["time_s"]
        assert out.terms.tobytes() == other.terms.tobytes() and out.done[0] == over
        steps += 1
    assert steps > 10


def test_an_application_sees_who_is_still_to_be_decided_on():
    game = AgentSites(busy_world(task="placement", at_start=5, horizon_s=4.0), [3], slot_s=0.3)
    for s in range(game.n_sites):
        if game.row("desk")["subject"][s] != NONE:
            agent, g = game.row("agent"), game.row("desk")["subject"][s]
            behind = chain(game.row("desk")["head"][s], agent["next"])
            mine = 0
            for other in behind:
                if agent[other]["app"] != agent[g]["app"]:
                    break
                mine += 1
            assert game.obs[s, 0, UNPLACED] == pytest.approx(mine / (mine + 8))


def test_looking_is_free_and_shows_a_central_controller_the_truth():
    world, seed = apart(narrow())
    game = AgentSites(world, [seed], slot_s=0.5, heartbeat_s=20.0)
    game.act(0)
    before = [table.tobytes() for table in game.batch.state]
    central = game.batch.look_centrally(0)
    assert [table.tobytes() for table in game.batch.state] == before
    assert central[0, AGENTS] == pytest.approx(1 / 9) and game.obs[1, 0, AGENTS] == 0


@pytest.mark.parametrize("task", ["placement", "migration"])
def test_an_episode_owes_nothing_to_the_one_before(task):
    def play(game, steps=15):
        choose, seen = RandomLegal(range(game.n_sites), 0.1), []
        for _ in range(steps):
            seen.append((game.obs.tobytes(), game.batch.mask.tobytes()))
            game.step(choose(game.obs, game.batch.mask))
        return seen

    world = World(busy_world(task=task, **ROUGH["churn"]))
    fresh, used = AgentSites(world, [4], task=task, slot_s=0.3), AgentSites(world, [9], task=task, slot_s=0.3)
    play(used, 25)
    used.batch.roots[:] = 4
    used.batch.reset(np.ones(1, bool), used.obs)
    assert play(used) == play(fresh)


def test_which_nodes_are_there_is_known_at_once():
    gone = (Change(time_s=1.0, node=1, what="alive", value=0.0),)
    world, seed = apart(narrow(timeline=gone))
    game = AgentSites(world, [seed], slot_s=0.5, heartbeat_s=100.0)
    game.act()
    assert game.now == 10 * SECOND and not game.batch.mask[:, 1].any() and game.batch.mask[1, 0]


def test_a_node_that_joins_tells_everybody_what_it_holds():
    """Node 0 leaves with the agent of site 0, and is back, empty: site 0 must not believe its reservation is there."""
    away = tuple(Change(time_s=t, node=0, what="alive", value=v) for t, v in ((1.0, 0.0), (2.0, 1.0)))
    world, seed = apart(narrow(timeline=away))
    game = AgentSites(world, [seed], slot_s=0.5, heartbeat_s=100.0)
    game.act(0)
    assert game.obs[0, 0, AGENTS] > 0
    while game.now < 10 * SECOND:
        game.act()
    assert game.row("agency")["lost"] == 1 and game.asked and (game.obs[:, 0, AGENTS] == 0).all()
    assert game.batch.mask[game.asked, 0].all()
