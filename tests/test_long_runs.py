"""What must hold however long a run is (RUN rows), in small; scripts/long_runs.py does it at length."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from e3_llm_play import make, play
from edge_baselines.llm.stub.plays import scripted
from edge_baselines.placement.ants import solve_by_ants
from edge_baselines.placement.settings import Ants
from edge_baselines.placement.solution import Limits
from helpers import Game, RandomLegal, first_legal, queue_scenario
from helpers import play as play_batch
from problems import random_problem

from edge_gym.kernel.build import World
from edge_gym.kernel.observe import scale_count, scale_times
from edge_gym.kernel.tables import NEVER, NONE, SECOND
from edge_gym.scenario import Change
from edge_gym.scenario.presets import preset

ROOT = Path(__file__).resolve().parent.parent
YEAR_NS = 365 * 86_400 * SECOND


def measured(*words, script="long_runs.py"):
    """What a script prints."""
    command = [sys.executable, str(ROOT / "scripts" / script), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.slow
def test_run_01_memory_and_objects_stay_flat():
    found = measured("memory", "--steps", "4e5")
    assert found["grown_mib"] <= 8 and found["episodes"] >= 100
    assert sum(found["objects_grown"].values()) <= 300, found["objects_grown"]


@pytest.mark.slow
def test_run_09_chaos_for_a_moment():
    found = measured("--minutes", "0.05", script="chaos_soak.py")
    assert found["rounds"] >= 1 and found["episodes"] >= 12 and found["kills"] >= 1
    assert found["rows_that_differ"] == found["processes_left"] == 0


def test_run_10_overload_by_a_hundred_keeps_its_bounds():
    found = measured("overload", "--requests", "4e4")
    # Beside what the nodes hold, there is only the request that is decided on.
    assert found["most_in_system"] <= found["room"] + 1
    ended = found["completed"] + found["rejected"] + found["dropped"]
    assert found["arrived"] == ended + found["in_system"] and found["rejected"] > 10_000
    assert found["grown_mib"] <= 64 and found["step_time_late_over_early"] <= 3


@pytest.mark.slow
def test_run_14_ten_thousand_nodes():
    found = measured("huge")
    assert found["nodes"] == 10_000 and found["build_s"] + found["reset_s"] <= 60
    assert found["reset_s"] <= 10 and found["rss_mib"] <= 2048 and found["median_step_ms"] <= 20


# --- tables that do not grow -----------------------------------------------------------------------------------------


def test_run_02_tables_keep_their_size_and_rows_are_used_again():
    """Nodes come and go all the time and take events with them: no event, job or message is left behind."""
    scenario = preset("churn").with_overrides(n_nodes=6, n_requests=400, up_mean_s=2.0, down_mean_s=1.0, age_s=0.3)
    game = Game(scenario, range(8))
    sizes = [table.nbytes for table in game.batch.state]
    choose, most = RandomLegal(range(8)), 0
    while not game.over.all():
        game.advance(choose(game.obs, game.batch.mask))
        world = game.batch.state.world
        for b in np.flatnonzero(~game.over):
            free, j = 0, world["free"][b]
            while j != NONE:
                free, j = free + 1, game.batch.state.job[b][j]["next"]
            unreported, j = 0, world["report_head"][b]
            while j != NONE:
                unreported, j = unreported + 1, game.batch.state.job[b][j]["next"]
            assert world["fresh"][b] - free == world["in_system"][b] + unreported
            most = max(most, int(world["fresh"][b]))
    assert [table.nbytes for table in game.batch.state] == sizes
    assert most < 400, "rows of requests that ended are used again"
    assert (game.batch.state.node["incarnation"].max(axis=1) > 10).all(), "nodes should have left often"


def test_run_03_every_cache_is_bounded():
    """Those without a bound are of functions without arguments, or of what there are few of, as looked at by hand."""
    few = {"edge_gym/fields.py:type_hints", "edge_gym/events/phrases.py:phrases", "edge_gym/kernel/phrases.py:_reading"}
    unbounded = set()
    for path in (path for name in ("edge_gym", "baselines", "agents") for path in ROOT.glob(f"{name}/**/*.py")):
        text = path.read_text()
        if "cache" not in text:
            continue
        for node in ast.walk(ast.parse(text)):
            names = {ast.unparse(one) for one in getattr(node, "decorator_list", ())}
            if names & {"cache", "functools.cache", "lru_cache(maxsize=None)"} and node.args.args:
                unbounded.add(f"{path.relative_to(ROOT).as_posix()}:{node.name}")
    assert unbounded == few


# --- time and sums ---------------------------------------------------------------------------------------------------

DURATIONS = {"latency_ns", "latency_total_ns", "hold_ns", "up_ns", "down_ns"}


def shift(batch, by_ns):
    """Lets everything that is under way happen so much later."""
    for table in batch.state:
        if table.dtype.names is None:
            if table.dtype == np.int64:  # when the next event is due
                table[table != NEVER] += by_ns
            continue
        for name in table.dtype.names:
            if name.endswith("_ns") and name not in DURATIONS:
                times = table[name]
                times[(times != NEVER) & (times >= 0)] += by_ns


@pytest.mark.parametrize("by_ns", [YEAR_NS, 90 * YEAR_NS], ids=["a year", "90 years"])
def test_run_04_a_world_does_the_same_a_year_later(by_ns):
    """From the middle of an episode: every reward, observation and duration is the same, bit for bit."""
    scenario = preset("mixed").with_overrides(n_nodes=5, n_requests=300, age_s=0.2, horizon_s=3.1e9)
    games = [Game(scenario, [1, 2]), Game(scenario, [1, 2])]
    for game in games:
        for _ in range(60):
            game.advance(first_legal(game.obs, game.batch.mask))
    shift(games[1].batch, by_ns)
    for _ in range(400):
        outs = [game.advance(first_legal(game.obs, game.batch.mask)) for game in games]
        (_, logs), (_, later) = (game.batch.ended() for game in games)
        for name in ("reward", "terms", "dt_s", "mask", "done"):
            assert np.array_equal(getattr(outs[0], name), getattr(outs[1], name)), name
        assert games[0].obs.tobytes() == games[1].obs.tobytes()
        assert np.array_equal(logs["latency_ns"], later["latency_ns"])
        assert np.array_equal(logs["finish_ns"] + by_ns, later["finish_ns"])
        if games[0].over.all():
            break
    assert games[0].over.all()


def test_run_05_no_function_of_numpy_that_differs_between_machines_sets_a_time():
    """The kernel draws its times with math, whose functions are the same everywhere, and with plain arithmetic."""
    wrong, only_python = [], {"build.py", "build_agents.py", "tables.py", "phrases.py"}
    for path in (ROOT / "edge_gym" / "kernel").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            is_numpy = isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "np"
            if is_numpy and node.attr in {"exp", "log", "log1p", "expm1", "power", "sin", "cos", "log2", "sqrt"}:
                wrong.append(f"{path.name}: np.{node.attr}")
    assert [one for one in wrong if one.split(":")[0] not in only_python] == []


def test_run_06_sums_over_many_requests_are_exact():
    """200,000 requests: the latencies that the rewards added up are, to the nanosecond, those of the log."""
    played = play_batch(World(queue_scenario(0.9, n_requests=2000)), first_legal, range(100))
    total = np.bincount(played.row, weights=None, minlength=100)
    assert (total == 2000).all()
    exact = [sum(played.of_row(b)["latency_ns"].tolist()) for b in range(100)]
    assert played.latency_ns.tolist() == exact


def test_run_08_counters_near_their_end_and_values_beyond_all_bounds():
    """Counters hold 2**62; what is shown is clipped to its bounds, never wrapped or infinite."""
    game = Game(preset("toy2"), [0])
    world, node = game.batch.state.world, game.batch.state.node
    for name in ("completed", "rejected", "latency_total_ns", "decisions"):
        assert world[name].dtype == np.int64, name
        world[name] = 2**62
    node["fluid_s"], node["book_s"], node["oldest_expected_s"] = 1e300, 1e300, 1e-300
    step = game.step(0)
    assert world["decisions"][0] == 2**62 + 1 and np.isfinite(step.out.reward).all()
    assert np.isfinite(game.obs).all() and game.obs.min() >= 0 and game.obs.max() <= 1
    times = np.array([0.0, 1e-9, 1e9, 3e38], np.float32)
    scale_times(times)
    assert times[0] == 0 and times[1] > 0 and times[2] == times[3] == 1
    assert scale_count(2**62) == 1 and scale_count(0) == 0


# --- long searches and long conversations ----------------------------------------------------------------------------


@pytest.mark.parametrize("rule", ["acs", "mmas"])
def test_run_24_trails_keep_their_bounds_over_many_iterations(rule):
    """Neither does a trail run over or dry up, nor does the best solution get worse."""
    problem = random_problem(3, 12, 8)
    settings = Ants(rule=rule, patience=10**6)
    found = [solve_by_ants(problem, Limits(evaluations=n), 1, settings) for n in (20_000, 2_000_000)]
    for one in found:
        assert np.isfinite(one.trail).all() and one.trail.min() > 1e-3 and one.trail.max() <= 1
    assert found[1].cost <= found[0].cost


def test_run_25_prompts_and_calls_do_not_grow_with_the_run():
    """Every question stands by itself: the last prompts of a long run are no longer than the first."""
    scenario = preset("semantic").with_overrides(n_requests=1500)
    policy = make(scripted([[("finish", {"reason": "nothing to do"})]]))
    play(policy, scenario=scenario, seeds=range(1000, 1012))
    sizes = [len(json.dumps(request)) for request in policy._given.requests]
    assert len(sizes) >= 150
    third = len(sizes) // 3
    assert max(sizes[-third:]) <= 1.3 * max(sizes[:third]) and max(sizes) < 60_000


def test_run_12_no_node_alive_at_first_for_a_while_and_for_ever():
    """At 0 s, for a second; all the time. Requests are declined, nothing is infinite, and the world recovers."""

    def all_nodes(time_s, alive):
        return tuple(Change(time_s=time_s, node=n, what="alive", value=alive) for n in range(4))

    base = preset("stationary").with_overrides(n_nodes=4, n_requests=80)
    for timeline, served in (
        (all_nodes(0.0, 0), False),
        ((*all_nodes(0.0, 0), *all_nodes(1.0, 1)), True),
        ((*all_nodes(2.0, 0), *all_nodes(3.0, 1)), True),
    ):
        game, declined = Game(base.with_overrides(timeline=timeline), range(6)), 0
        while not game.over.all():
            assert np.isfinite(game.obs).all() and game.batch.mask[:, -1].all()
            dead = ~game.batch.mask[:, :-1].any(axis=1) & ~game.over
            declined += int(dead.sum())
            game.advance(first_legal(game.obs, game.batch.mask))
        world = game.batch.state.world
        assert (world["completed"] + world["rejected"] + world["dropped"] == world["arrived"]).all()
        assert declined > 0 and (world["completed"] > 0).all() == served
