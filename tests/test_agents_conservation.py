"""Nothing is lost and nothing is made up in worlds with AI agents: all is recounted at every decision.

Random worlds (hypothesis draws what is overridden) under random legal play.
"""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from agent_books import check_books, check_end
from agent_toys import EVERYTHING, AgentGame, asking, busy_world
from helpers import RandomLegal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge_gym.kernel.agent_tables import ASK_MIGRATIONS, ASK_PLACEMENTS
from edge_gym.kernel.build import World
from edge_gym.scenario import Arrivals, Change

NONE_COME, SOME_COME = Arrivals(kind="none"), Arrivals(rate_per_s=4.0)


def either(*values: Any) -> st.SearchStrategy:
    return st.sampled_from(values)


CHANGES = st.lists(
    st.tuples(st.integers(0, 199), st.integers(0, 3), either("alive", "speed"), either(0.0, 1.0)), max_size=10
)
OVERRIDES = {
    "at_start": either(0, 2, 4),
    "applications_per_s": either(0.4, 1.0),
    "lifetime_mean_s": either(1.0, 6.0, 1e7),
    "most": either(4, 6),
    "shape": either("chain", "star", "tree"),
    "need_cv": either(0.0, 0.7),
    "most_waiting": either(1, 8),
    "load_limit": either(0.5, 0.95),
    "mobility_kind": either("none", "markov", "waypoint", "commute"),
    "mode": either("lightweight", "full"),
    "review_s": either(0.0, 0.7, 3.0),
    "pause_s": either(0.0, 1.0),
    "overload": either(0.5, 2.0),
    "startup_s": either(0.0, 0.3),
    "bytes_per_token": either(4.0, 200.0),
    "age_s": either(0.0, 0.7),
    "memory": either(85, 110, 130, 400),
    "storage": either(40.0, 60.0, 1e4),
    "nic": either(3e4, 6e4, 1e6),
    "queue_capacity": either(0, 2, 20),
    "preload": either("none", "popular", "all_that_fit"),
    "churn_share": either(0.0, 0.9),
    "max_retries": either(0, 2),
    "bias_sigma": either(0.0, 0.4),
    "drain_s": either(0.4, 60.0),
    "horizon_s": either(6.0, 10.0),
    "arrivals": either(NONE_COME, SOME_COME),
}


def timeline(changes: list[tuple[int, int, str, float]], horizon_s: float) -> tuple[Change, ...]:
    """Changes of nodes at tenths of a second, some at the same instant."""
    return tuple(
        Change(time_s=t / 10, node=n, what=what, value=value if what == "alive" else 0.2 + value)
        for t, n, what, value in sorted(changes)
        if t / 10 <= horizon_s
    )


SEEN: Counter = Counter()
COUNTERS = (
    "turned_away",
    "placed",
    "refused",
    "lost",
    "handovers",
    "moves",
    "ping_pongs",
    "aborted",
    "resumed",
    "cold_starts",
    "prefill_tokens",
    "late_after_move",
    "served",
    "arrived",
)


@settings(
    max_examples=60,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(
    overrides=st.fixed_dictionaries(OVERRIDES),
    changes=CHANGES,
    asks=either(EVERYTHING, EVERYTHING, EVERYTHING, 1, 2, 4, 6),
    seed=st.integers(0, 999),
    declines=either(0.05, 0.5),
)
def play_and_recount(overrides, changes, asks, seed, declines):
    overrides = {**overrides, "up_mean_s": 4.0, "down_mean_s": 1.5, "slow_start_s": 1.0}
    world = World(busy_world(**overrides, timeline=timeline(changes, overrides["horizon_s"])))
    game = AgentGame(world, [seed], asking(asks))

    def recount(game: AgentGame) -> None:
        if game.row("world")["done"] == 0:
            check_books(game, 0)

    recount(game)
    game.play(RandomLegal([seed], declines), recount)
    check_end(game, 0)
    SEEN.update({name: int(game.row("agency")[name]) for name in COUNTERS})
    SEEN.update(retried=int((game.log()["retries"] > 0).sum()), steps=game.steps)
    SEEN.update({f"outcome{k}": int((game.log()["outcome"] == k).sum()) for k in (1, 2, 3, 4)})


def test_everything_is_recounted_at_every_decision():
    """And the random worlds reach what they should; otherwise the recount would prove nothing."""
    SEEN.clear()
    play_and_recount()
    assert all(SEEN[name] > 4 for name in (*COUNTERS, "retried", *(f"outcome{k}" for k in (1, 2, 3, 4)))), SEEN


DATA = Path(__file__).parent / "data"
RECORDED = {
    "users": {"mobility_kind": "trace", "mobility_path": str(DATA / "fcd.xml"), "lifetime_mean_s": 1e7},
    "pods": {"pods_path": str(DATA / "pods.csv"), "applications_per_s": 0.5, "most": 9},
}


@pytest.mark.parametrize("what", list(RECORDED))
def test_recorded_users_and_arrivals_are_recounted_too(what):
    flat = {"horizon_s": 60.0, "churn_share": 0.5, "up_mean_s": 9.0, **RECORDED[what]}
    if what == "users":
        flat |= {"horizon_s": 300.0, "at_start": 9, "most": 9, "memory": 400, "review_s": 0.0}
    game = AgentGame(busy_world(**flat), [1], asking(ASK_PLACEMENTS | ASK_MIGRATIONS))
    game.play(RandomLegal([1]), lambda game: None if game.over[0] else check_books(game, 0))
    check_end(game, 0)
    agency = game.row("agency")
    assert agency["handovers"] > 10 and agency["moves"] > 5
    assert what == "users" or agency["applications"] == 2 + 30  # all of the file
