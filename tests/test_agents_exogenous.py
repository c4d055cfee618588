"""What comes from outside in worlds with AI agents: nobody's choices change it, and nothing of it shows early."""

from dataclasses import replace

import numpy as np
import pytest
from agent_toys import EVERYTHING, AgentGame, Choose, always_decline, asking, busy_world
from helpers import RandomLegal, first_legal, play

from edge_gym.kernel.agent_tables import ASK_PLACEMENTS, ASK_REQUESTS
from edge_gym.kernel.build import World
from edge_gym.kernel.tables import AGENT_REQUESTS, NONE, SECOND
from edge_gym.scenario import Arrivals, Change, Scenario

SEEDS = range(3)
FIELDS = ("id", "arrive_ns", "site", "model", "prompt", "units")
ROUGH = {"churn_share": 0.6, "up_mean_s": 5.0, "down_mean_s": 2.0, "arrivals": Arrivals(rate_per_s=3.0)}


def outside(log: np.ndarray) -> bytes:
    """The part of a log that no choice may change."""
    return b"".join(np.ascontiguousarray(log[field]).tobytes() for field in FIELDS)


class Witness:
    """Notes what is exogenous of each application and node whenever it can be seen.

    Attributes:
        crews: (row, application) -> its agents, its end, and what its user's streams are keyed by.
        joins: (row, node, incarnation) -> when it joined, with which software factors.
    """

    def __init__(self) -> None:
        self.crews: dict[tuple[int, int], tuple] = {}
        self.joins: dict[tuple[int, int, int], tuple] = {}

    def __call__(self, game: AgentGame) -> None:
        most = game.batch.world.scenario.applications.most_agents
        for b in np.flatnonzero(~game.over).tolist():
            agents = game.row("agent", b)
            for p, app in enumerate(game.row("app", b)):
                if app["id"] == NONE:
                    continue
                mine = agents[p * most : p * most + app["n_agents"]]
                parents = np.where(mine["parent"] == NONE, NONE, mine["parent"] - p * most)
                crew = (p, int(app["n_agents"]), mine["role"].tolist(), mine["need"].tolist(), parents.tolist())
                self._note(self.crews, (b, int(app["id"])), (*crew, int(app["home"]), int(app["work"])))
            for n, node in enumerate(game.row("node", b)):
                seen = int(node["joined_ns"]), game.row("pair", b)["bias"][n].tolist()
                self._note(self.joins, (b, n, int(node["incarnation"])), seen)

    @staticmethod
    def _note(book: dict, key: tuple, value: tuple) -> None:
        assert book.setdefault(key, value) == value, key


def course(world: World, choose: Choose, asks: int = EVERYTHING) -> tuple[list[bytes], list[tuple], Witness]:
    """The requests of an episode as bytes, what else is counted of the outside, and what a witness saw."""
    witness = Witness()
    game = AgentGame(world, SEEDS, asking(asks))
    witness(game)
    game.play(choose, witness)
    logs = [outside(game.log(b)) for b in SEEDS]
    counts = [tuple(int(game.row("agency", b)[k]) for k in COUNTS) for b in SEEDS]
    return logs, counts, witness


COUNTS = ("arrived", "applications", "turned_away", "handovers")
RULES = {
    "decline": (always_decline, EVERYTHING),
    "first": (first_legal, EVERYTHING),
    "random": (RandomLegal(SEEDS), EVERYTHING),
    "other": (RandomLegal(range(7, 10), declines=1.0), EVERYTHING),
    "default": (always_decline, ASK_REQUESTS),
    "placement": (RandomLegal(SEEDS), ASK_PLACEMENTS),
}


@pytest.mark.parametrize("mobility", ["markov", "waypoint", "commute"])
def test_what_comes_from_outside_is_the_same_whoever_decides(mobility):
    world = World(busy_world(mobility_kind=mobility, bias_sigma=0.3, **ROUGH))
    found = {name: course(world, choose, asks) for name, (choose, asks) in RULES.items()}
    logs, counts, witness = found["decline"]
    assert len(set(logs)) == 3 and all(len(log) > 2500 for log in logs)
    assert sum(count[1] for count in counts) > 20 and sum(count[3] for count in counts) > 20
    for name, other in found.items():
        assert other[0] == logs, name
        assert other[1] == counts, name
        for book in ("crews", "joins"):
            mine, theirs = getattr(witness, book), getattr(other[2], book)
            shared = mine.keys() & theirs.keys()
            assert len(shared) > 15 and all(mine[key] == theirs[key] for key in shared), (name, book)


def test_requests_of_a_joint_world_are_those_of_the_world_without_agents():
    both = busy_world(arrivals=Arrivals(rate_per_s=3.0), churn_share=0.5)
    alone = replace(both, task="routing", roles=())
    plain = play(alone, first_legal, SEEDS)
    game = AgentGame(both, SEEDS).play(RandomLegal(SEEDS))
    for b in SEEDS:
        log = game.log(b)
        mine = log[log["id"] < AGENT_REQUESTS]
        assert len(mine) > 30 and outside(mine) == outside(plain.of_row(b))


def test_agents_of_a_joint_world_are_those_of_the_world_without_requests():
    games = [
        AgentGame(busy_world(arrivals=arrivals), SEEDS).play(RandomLegal(SEEDS))
        for arrivals in (Arrivals(kind="none"), Arrivals(rate_per_s=3.0))
    ]
    for b in SEEDS:
        logs = [log[log["id"] >= AGENT_REQUESTS] for log in (game.log(b) for game in games)]
        assert len(logs[0]) > 30 and outside(logs[0]) == outside(logs[1])


# --- the future -------------------------------------------------------------------------------------------------------


def same_until(one: Scenario, two: Scenario, cut_ns: int, asks: int) -> int:
    """Plays both alike and compares, byte for byte, all that is seen at decisions up to the cut; returns how many."""
    games = [AgentGame(world, SEEDS, asking(asks)) for world in (one, two)]
    choose, compared = RandomLegal(SEEDS), 0
    while True:
        times = [game.batch.state.world["now_ns"] for game in games]
        still = ~games[0].over & ~games[1].over & ((times[0] <= cut_ns) | (times[1] <= cut_ns))
        if not still.any():
            return compared
        for what in (lambda g: g.obs, lambda g: g.batch.mask, lambda g: g.terms, lambda g: g.reward):
            assert what(games[0])[still].tobytes() == what(games[1])[still].tobytes()
        for b in np.flatnonzero(still).tolist():
            assert games[0].log(b).tobytes() == games[1].log(b).tobytes()
        compared += int(still.sum())
        actions = choose(games[0].obs, games[0].batch.mask)
        for game in games:
            legal = game.batch.mask[np.arange(len(actions)), actions]
            game.step(np.where(legal, actions, game.decline))


def later_changes(rng: np.random.Generator, begin_s: float) -> tuple[Change, ...]:
    times = np.sort(rng.uniform(begin_s, 19.0, 5))
    return tuple(
        Change(time_s=float(t), node=int(rng.integers(4)), what="alive", value=float(rng.integers(2))) for t in times
    )


@pytest.mark.parametrize("asks", [EVERYTHING, ASK_PLACEMENTS])
def test_future_changes_of_nodes_do_not_show(asks):
    compared = 0
    for index in range(3):
        rng = np.random.default_rng(index)
        futures = [later_changes(rng, 6.0) for _ in range(2)]
        first_ns = int(min(f[0].time_s for f in futures) * SECOND) - 1
        worlds = [busy_world(timeline=f, arrivals=Arrivals(rate_per_s=2.0), age_s=0.3) for f in futures]
        compared += same_until(*worlds, first_ns, asks)
    assert compared > 60


def test_how_long_it_will_go_on_does_not_show():
    """The horizon is longer than a user stays anywhere, so nothing is expected to end with it."""
    worlds = [busy_world(horizon_s=h, arrivals=Arrivals(rate_per_s=2.0)) for h in (12.0, 19.0)]
    assert same_until(*worlds, 12 * SECOND - 1, EVERYTHING) > 60


def test_the_check_itself_notices_a_change():
    worlds = [busy_world(timeline=(Change(time_s=5.0, node=0, what="alive", value=v),)) for v in (0.0, 1.0)]
    with pytest.raises(AssertionError):
        same_until(*worlds, 15 * SECOND, EVERYTHING)


def test_agents_appear_in_the_very_first_reward_only_once():
    """What happens before the first decision belongs to the first reward, and is not booked again."""
    world = World(busy_world(at_start=2, review_s=0.0, mobility_kind="none"))
    game = AgentGame(world, SEEDS, asking(EVERYTHING - ASK_PLACEMENTS))
    game.play(always_decline)
    for b in SEEDS:
        assert -game.terms[b, 6] == pytest.approx(game.row("agency", b)["usd"].sum(), rel=1e-9)
