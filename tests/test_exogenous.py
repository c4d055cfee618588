"""What comes from outside: nothing of it shows early, nobody's choices change it, and it has the laws it should."""

import contextlib
import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from helpers import FINE, SECOND, Game, RandomLegal, assert_mean, play, queue_scenario, trace_arrivals
from scipy import stats

from edge_gym.devices import DeviceType, ModelType, Service
from edge_gym.envs.batch import episode_seed
from edge_gym.errors import EdgeGymInputError
from edge_gym.kernel import observe, random
from edge_gym.kernel.build import World
from edge_gym.scenario import Arrivals, Change, Law, Pool, Telemetry, Workload
from edge_gym.scenario.presets import preset
from edge_gym.traces.requests import read_trace


def decline_all(obs, mask):
    return np.full(len(obs), mask.shape[1] - 1)


def exogenous(log):
    """The part of a log that no choice may change, in order of the requests; as bytes."""
    log = log[np.argsort(log["id"])]
    return b"".join(np.ascontiguousarray(log[f]).tobytes() for f in ("arrive_ns", "site", "model", "prompt", "units"))


# --- the future -------------------------------------------------------------------------------------------------------


def small(**more):
    """Six nodes of the stationary preset, busy, with everything hidden and late that can be."""
    scenario = preset("stationary").with_overrides(n_nodes=6, n_requests=80, load=0.9, bias_sigma=0.3, preload="none")
    return replace(scenario, telemetry=Telemetry(age_s=0.3, forecast_cv=0.4), **more)


def random_changes(rng, begin_s, end_s, count):
    times = np.sort(rng.uniform(begin_s, end_s, count))
    return tuple(
        Change(time_s=float(t), node=int(rng.integers(6)), what="speed", value=float(rng.uniform(0.1, 4)))
        if rng.random() < 0.5
        else Change(time_s=float(t), node=int(rng.integers(6)), what="alive", value=float(rng.integers(2)))
        for t in times
    )


def same_until(one, two, cut_ns, seeds):
    """Plays both with the same draws and compares, byte for byte, all that is seen at decisions up to the cut."""
    choose, games = RandomLegal(seeds), [Game(world, seeds) for world in (one, two)]
    compared = np.zeros(len(games[0].over), int)
    open_rows = ~games[0].over
    steps = None
    while True:
        times = [game.batch.state.world["now_ns"] for game in games]
        open_rows = open_rows & ~games[0].over & ~games[1].over & ((times[0] <= cut_ns) | (times[1] <= cut_ns))
        if not open_rows.any():
            return compared
        assert (times[0] == times[1])[open_rows].all()
        assert games[0].obs[open_rows].tobytes() == games[1].obs[open_rows].tobytes()
        assert games[0].batch.mask[open_rows].tobytes() == games[1].batch.mask[open_rows].tobytes()
        if steps is not None:
            for name in ("reward", "terms", "dt_s", "done"):
                a, b = (getattr(out, name)[open_rows].tobytes() for out, _ in steps)
                assert a == b, name
            logs = [[log[row == b].tobytes() for b in np.flatnonzero(open_rows)] for _, (row, log) in steps]
            assert logs[0] == logs[1]
        compared += open_rows
        actions = choose(games[0].obs, games[0].batch.mask)
        steps = []
        for game in games:
            legal = game.batch.mask[np.arange(len(actions)), actions]
            out = game.advance(np.where(legal, actions, game.batch.world.n_nodes))
            steps.append((out, game.batch.ended()))


def test_ben_03_future_changes_of_nodes_do_not_show():
    compared = 0
    for index in range(20):
        rng = np.random.default_rng([3, index])
        horizon_s = 80 / World(small()).rate_per_s
        cut_s = float(rng.uniform(0.1, 0.9) * horizon_s)
        past = random_changes(rng, 0, cut_s, 4)
        future = [random_changes(rng, cut_s, horizon_s, int(rng.integers(1, 7))) for _ in range(2)]
        worlds = [World(small(timeline=past + f, horizon_s=horizon_s)) for f in future]
        # A change at t is effective before an arrival at t: what follows the cut begins one nanosecond later.
        first = min(f[0].time_s for f in future)
        compared += same_until(*worlds, int(first * SECOND) - 1, range(index, index + 5)).sum()
    assert compared > 2000


def test_ben_03_the_number_of_requests_to_come_does_not_show():
    worlds = [World(small(n_requests=n)) for n in (40, 55)]
    assert worlds[0].rate_per_s == worlds[1].rate_per_s
    # The arrival of request 39 is the last moment at which the two are alike.
    log = play(worlds[0], decline_all, range(10))
    cut_ns = min(log.of_row(b)["arrive_ns"].max() for b in range(10))
    assert same_until(*worlds, cut_ns, range(10)).sum() > 200


def test_ben_03_rows_of_a_trace_to_come_do_not_show(tmp_path):
    rng = np.random.default_rng(4)
    times = np.r_[0, np.sort(rng.integers(1, 2000, 40)) / 100]
    past = [(float(t), int(rng.integers(1, 4000)), int(rng.integers(1, 300))) for t in times]
    worlds = []
    for k in (1, 2):
        future = [(25.0 + k * i, 100 * k + i, 7 * k) for i in range(10 * k)]
        arrivals = trace_arrivals(tmp_path / f"{k}.csv", past + future)
        worlds.append(World(small(arrivals=arrivals)))
    assert same_until(*worlds, 25 * SECOND - 1, range(8)).sum() == 8 * 41


def test_ben_03_the_check_itself_notices_a_leak():
    """A change one instant before the cut must be noticed."""
    horizon_s = 80 / World(small()).rate_per_s
    worlds = [
        World(small(timeline=(Change(time_s=0.2 * horizon_s, node=1, what="alive", value=v),), horizon_s=horizon_s))
        for v in (0, 1)
    ]
    with pytest.raises(AssertionError):
        same_until(*worlds, int(0.5 * horizon_s * SECOND), range(3))


# --- common random numbers, streams -----------------------------------------------------------------------------------


def test_rep_14_requests_are_the_same_whoever_routes_them():
    scenario = small(timeline=random_changes(np.random.default_rng(8), 0, 20, 6), horizon_s=1000.0)
    rules = {
        "decline": decline_all,
        "first": lambda obs, mask: mask.argmax(axis=1),
        "last": lambda obs, mask: np.where(
            mask[:, :-1].any(axis=1), mask.shape[1] - 2 - mask[:, -2::-1].argmax(axis=1), 6
        ),
        "random": RandomLegal(range(5)),
        "mostly_decline": RandomLegal(range(5), declines=20.0),
        "shortest_wait": lambda obs, mask: np.where(mask, obs[:, :, observe.WAIT], 9).argmin(axis=1),
    }
    found = {}
    for name, rule in rules.items():
        played = play(scenario, rule, range(5))
        found[name] = [exogenous(played.of_row(b)) for b in range(5)]
        assert len(set(found[name])) == 5  # different seeds differ
    assert all(hashes == found["decline"] for hashes in found.values())


@pytest.mark.parametrize(
    "change",
    [
        {"telemetry_forecast_cv": 0.0},
        {"telemetry_forecast_cv": 2.0},
        {"bias_sigma": 0.0},
        {"bias_sigma": 1.0},
        {"telemetry_age_s": 0.0},
    ],
    ids=str,
)
def test_rep_11_the_use_of_one_stream_shifts_no_other(change):
    change = {key.removeprefix("telemetry_"): value for key, value in change.items()}
    before, after = (play(scenario, decline_all, range(4)) for scenario in (small(), small().with_overrides(**change)))
    assert [exogenous(before.of_row(b)) for b in range(4)] == [exogenous(after.of_row(b)) for b in range(4)]


def test_rep_11_more_models_or_requests_leave_arrival_times_alone():
    few, many = preset("stationary").with_overrides(rate_per_s=2.0, load=None), None
    few = replace(few, arrivals=Arrivals(rate_per_s=2.0), n_requests=50)
    many = replace(few, workloads=few.workloads[:2], n_requests=90)
    times = [play(s, decline_all, [3]).of_row(0)["arrive_ns"][:50].tolist() for s in (few, many)]
    assert times[0] == times[1]


def test_rep_12_no_two_streams_are_the_same():
    """Seeds 0 to 99, 16 episodes of each, every stream, several entities: all keys differ, and so do first draws."""
    streams = [getattr(random, name) for name in STREAMS]
    assert len(set(streams)) == len(streams) == 15
    seeds = [episode_seed(root, k) for root in range(100) for k in range(16)]
    assert len(set(seeds)) == len(seeds) and max(seeds) < 2**63
    keys = [
        int(random.stream_key(np.uint64(seed), stream, entity))
        for seed in seeds
        for stream in streams
        for entity in ((0, 1, 2, 63) if stream in OF_A_NODE else (0,))
    ]
    assert len(set(keys)) == len(keys) == 1600 * (9 + 6 * 4)
    # Nor does one stream run into another: no first 32 draws are shared.
    some = np.array(keys[:: len(keys) // 2000], np.uint64)
    steps = np.arange(1, 33, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    positions = (some[:, None] + steps).ravel()
    assert len(np.unique(positions)) == positions.size


STREAMS = (
    "ARRIVAL", "PHASE", "SITE", "MODEL", "PROMPT", "UNITS", "FORECAST", "BIAS", "TRACE", "EPISODE", "DRIFT", "CHURN",
    "EVENT", "CHATTER", "WORDS",
)  # fmt: skip
OF_A_NODE = (random.BIAS, random.DRIFT, random.CHURN, random.EVENT, random.CHATTER, random.WORDS)


# --- numbers ----------------------------------------------------------------------------------------------------------


def test_val_23_the_normal_quantile_is_that_of_scipy():
    u = np.concatenate([np.logspace(-16.2, -1, 3000), np.linspace(1e-3, 1 - 1e-3, 5001), [0.02425, 0.97575]])
    u = u[u != 0.5]
    got = np.array([random.inverse_normal(float(x)) for x in u])
    assert np.abs(got / stats.norm.ppf(u) - 1).max() < 2e-9
    upper = np.array([random.inverse_normal(float(1 - x)) for x in u[:3000]])
    assert np.abs(upper / stats.norm.isf(1 - (1 - u[:3000])) - 1).max() < 2e-9
    assert random.inverse_normal(0.5) == 0.0


def test_val_23_the_plain_logarithm_is_that_of_numpy():
    x = np.concatenate([np.logspace(0, 38, 20_001), np.linspace(1, 4, 10_001), 2.0 ** np.arange(0, 127)]).astype(
        np.float32
    )
    got = np.array([observe.log2_plain(v) for v in x], np.float64)
    exact = np.log2(x.astype(np.float64))
    assert np.abs(got - exact).max() < 5e-7 + 2.0**-18  # beyond 2^32 single precision itself is coarser
    small_x = x < 2.0**4
    assert np.abs(got - exact)[small_x].max() < 1e-6
    low = x < 2
    assert np.abs(got - exact)[low].max() < 5e-7
    assert (got[-127:] == np.arange(127)).all()
    assert (np.diff(got[:20_001]) >= 0).all()


def unmix(z):
    """Inverse of SplitMix64's finaliser."""
    mask = 2**64 - 1

    def unshift(value, k):
        result = value
        for _ in range(64 // k + 1):
            result = value ^ (result >> k)
        return result

    z = unshift(z, 31) * pow(0x94D049BB133111EB, -1, 2**64) & mask
    z = unshift(z, 27) * pow(0xBF58476D1CE4E5B9, -1, 2**64) & mask
    return unshift(z, 30)


def uniform_of_bits(bits):
    """The uniform made of these 64 random bits."""
    key = (unmix(bits) - 0x9E3779B97F4A7C15) % 2**64
    return random.uniform(np.uint64(key), 0)


@pytest.mark.parametrize("bits", [0, 1, 2**11, 2**63, 2**64 - 2**11 - 1, 2**64 - 1], ids=hex)
def test_val_23_uniforms_are_strictly_between_0_and_1(bits):
    """As promised, and as the empirical law needs: at exactly 1 it reads behind its last value."""
    u = uniform_of_bits(bits)
    assert u == pytest.approx((bits >> 11) / 2**53, abs=2**-53)
    assert 0.0 < u < 1.0


def draws(law, field="units", rows=40, n=500):
    """Counts as the world draws them."""
    one = Law(kind="constant", mean=1.0)
    laws = {"prompt_tokens": Law(), "units": one, field: law}
    workload = Workload(model="work", deadline_s=1.0, **laws)
    played = play(queue_scenario(1.0, workloads=(workload,), n_requests=n), decline_all, range(rows))
    return played.log["prompt" if field == "prompt_tokens" else "units"].astype(float)


def lognormal(mean, cv):
    sigma = math.sqrt(math.log1p(cv * cv))
    return stats.lognorm(sigma, scale=mean * math.exp(-sigma * sigma / 2))


@pytest.mark.parametrize(
    ("law", "continuous"),
    [
        (Law(kind="exponential", mean=0.3, maximum=10), stats.expon(0, 0.3)),
        (Law(kind="exponential", mean=1.0), stats.expon(0, 1.0)),
        (Law(kind="exponential", mean=1e7, maximum=1e7), stats.expon(0, 1e7)),
        (Law(kind="uniform", low=0, high=1e7, maximum=1e7), stats.uniform(0, 1e7)),
        (Law(kind="uniform", low=3.2, high=7.9), stats.uniform(3.2, 4.7)),
        (Law(kind="uniform", low=5, high=5), None),
        (Law(kind="lognormal", mean=1e7, cv=30, maximum=1e7), lognormal(1e7, 30)),
        (Law(kind="lognormal", mean=374, cv=0.8, minimum=20, maximum=2000), lognormal(374, 0.8)),
        (Law(kind="lognormal", mean=1000, cv=0.01), lognormal(1000, 0.01)),
        (Law(kind="lognormal", mean=200, cv=30, minimum=1), lognormal(200, 30)),
    ],
    ids=lambda value: (
        f"{value.kind}-{value.mean:g}-{value.cv:g}-{value.low:g}-{value.high:g}" if isinstance(value, Law) else ""
    ),
)
@pytest.mark.parametrize("field", ["units", "prompt_tokens"])
def test_val_23_counts_follow_their_law(law, continuous, field):
    got = draws(law, field)
    if continuous is None:
        assert (got == 5).all()
        return
    # A count k is drawn when the clipped value is in [k - 1/2, k + 1/2): compare at about 20 boundaries.
    edges = np.unique(np.round(continuous.ppf(np.linspace(0.02, 0.98, 21)))) + 0.5
    edges = edges[(edges > law.minimum) & (edges < law.maximum)]
    p = np.diff(np.r_[0.0, continuous.cdf(edges), 1.0])
    seen = np.bincount(np.searchsorted(edges, got), minlength=len(p))
    assert got.min() >= law.minimum and got.max() <= law.maximum
    rare = p * len(got) < 5
    p, seen = np.r_[p[~rare], p[rare].sum()], np.r_[seen[~rare], seen[rare].sum()]
    keep = p * len(got) > 1e-6
    assert seen[~keep].sum() == 0
    if keep.sum() > 1:
        assert stats.chisquare(seen[keep], p[keep] / p[keep].sum() * len(got)).pvalue > 0.001


def test_val_23_empirical_values_are_equally_likely():
    values = tuple(float(v) for v in range(10, 4106))
    got = draws(Law(kind="empirical", values=values))
    assert got.min() >= 10 and got.max() <= 4105
    assert stats.chisquare(np.bincount(((got - 10) // 256).astype(int), minlength=16)).pvalue > 0.001
    one = draws(Law(kind="empirical", values=(7.0,)), rows=2, n=50)
    assert (one == 7).all()


def test_val_23_gaps_sites_and_models():
    played = play(preset("stationary").with_overrides(n_requests=1500), decline_all, range(20))
    world = World(preset("stationary"))
    gaps = np.concatenate([np.diff(played.of_row(b)["arrive_ns"], prepend=0) for b in range(20)]) / SECOND
    assert stats.kstest(gaps, "expon", args=(0, 1 / world.rate_per_s)).pvalue > 0.01
    log = played.log
    for name, share in (("site", np.diff(world.params.site, prepend=0)), ("model", [0.5, 0.25, 0.2, 0.05])):
        seen = np.bincount(log[name], minlength=len(share))
        assert stats.chisquare(seen, np.array(share) * len(log)).pvalue > 0.01
    # Gap, site, model and sizes of a request have nothing to do with each other.
    lags = np.corrcoef([gaps[1:], gaps[:-1], log["site"][1:], log["model"][1:], log["id"][1:]])
    assert np.abs(lags[np.triu_indices(5, 1)]).max() < 4.5 / math.sqrt(len(gaps))


def test_val_23_forecast_noise_and_bias():
    """The forecast is the length times a log-normal factor of median 1; so is the bias, one for each node and model."""
    law = Law(kind="constant", mean=100_000)
    scenario = queue_scenario(1.0, law=law, n_requests=500, telemetry=Telemetry(forecast_cv=0.7))
    forecasts = []

    def keep(game, out):
        world, job = game.batch.state.world, game.batch.state.job
        alive = ~game.over
        forecasts.extend(job["forecast"][game.rows, world["subject"]][alive])

    play(scenario, decline_all, range(20), keep)
    noise = np.log(np.array(forecasts) / 1e5) / math.sqrt(math.log1p(0.49))
    assert stats.kstest(noise, "norm").pvalue > 0.01
    sigma = 0.6
    game = Game(small().with_overrides(n_nodes=16, bias_sigma=sigma), range(100))
    bias = np.log(game.batch.state.pair["bias"]) / sigma
    assert stats.kstest(bias.ravel(), "norm").pvalue > 0.01
    assert len(np.unique(bias)) == bias.size == 100 * 16 * 4


# --- arrivals ---------------------------------------------------------------------------------------------------------


def arrival_times_s(arrivals, n_requests, rows, **more):
    world = World(queue_scenario(1.0, arrivals=arrivals, n_requests=n_requests, **more))
    played = play(world, decline_all, range(rows))
    return world, [np.sort(played.of_row(b)["arrive_ns"]) / SECOND for b in range(rows)]


def test_val_22_mmpp_rate_and_stationarity():
    """Mean rate as asked for, from the very beginning on; the variance of counts as for an MMPP of two states."""
    share, ratio, burst_s, rate, length_s = 0.2, 6.0, 5.0, 2.0, 400.0
    arrivals = Arrivals(kind="mmpp", rate_per_s=rate, burst_ratio=ratio, burst_share=share, burst_mean_s=burst_s)
    world, times = arrival_times_s(arrivals, None, 300, horizon_s=length_s)
    assert world.rate_per_s == rate
    for begin_s, end_s in ((0, 5), (0, 100), (300, 400)):
        count = np.array([((t >= begin_s) & (t < end_s)).sum() for t in times])
        assert_mean(count / (end_s - begin_s), rate, 0.06)
    # Var N(t) = m t + 2 p q (r1 - r0)^2 / s^2 (s t - 1 + exp(-s t)), s the sum of the rates of switching.
    calm = rate / (1 - share + share * ratio)
    s = 1 / burst_s + share / (burst_s * (1 - share))
    for t_s in (4.0, 40.0):
        counts = np.array([np.histogram(t, np.arange(0, length_s + 1e-9, t_s))[0] for t in times])
        spread = share * (1 - share) * (calm * (ratio - 1)) ** 2
        theory = rate * t_s + 2 * spread / s**2 * (s * t_s - 1 + math.exp(-s * t_s))
        assert_mean(((counts - rate * t_s) ** 2).mean(axis=1), theory, 0.03)


def test_val_22_diurnal_rate_follows_the_sine():
    amplitude, period_s = 0.7, 120.0
    arrivals = Arrivals(kind="diurnal", rate_per_s=4.0, period_s=period_s, amplitude=amplitude)
    _, times = arrival_times_s(arrivals, None, 20, horizon_s=1200.0)
    at = np.concatenate(times)
    piece = np.floor(at % period_s / period_s * 48).astype(int)
    middle = 1 + amplitude * np.sin(2 * np.pi * (np.arange(48) + 0.5) / 48)
    assert stats.chisquare(np.bincount(piece, minlength=48), middle / middle.sum() * len(at)).pvalue > 0.01
    assert_mean(np.array([len(t) for t in times]) / 1200, 4.0, 0.01)


def test_val_26_a_trace_is_replayed_exactly():
    """Times to the 100 ns of the file, tokens of each row, and again from the start one turn later."""
    path = "edge_gym:sample_azure_trace.csv"
    trace = read_trace(path)
    n = len(trace.time_ns)
    played = play(
        queue_scenario(1.0, arrivals=Arrivals(kind="trace", trace_path=path), n_requests=n + 5), decline_all, [1]
    )
    log = played.of_row(0)
    assert log["arrive_ns"][:n].tolist() == trace.time_ns.tolist()
    assert log["prompt"][:n].tolist() == trace.prompt_tokens.tolist()
    assert log["units"][:n].tolist() == trace.units.tolist()
    turn_ns = trace.time_ns[-1] + trace.time_ns[-1] // (n - 1)
    assert (log["arrive_ns"][n:] - turn_ns).tolist() == trace.time_ns[:5].tolist()
    assert log["units"][n:].tolist() == trace.units[:5].tolist()


def test_val_26_a_trace_can_stop_start_anywhere_and_be_scaled():
    path, n = "edge_gym:sample_azure_trace.csv", 2000
    trace = read_trace(path)
    stop = Arrivals(kind="trace", trace_path=path, on_trace_end="stop")
    assert len(play(queue_scenario(1.0, arrivals=stop, n_requests=5000), decline_all, [1]).log) == n
    anywhere = Arrivals(kind="trace", trace_path=path, trace_start="random")
    played = play(queue_scenario(1.0, arrivals=anywhere, n_requests=n), decline_all, range(20))
    turn_ns = trace.time_ns[-1] + trace.time_ns[-1] // (n - 1)
    begins = set()
    for b in range(20):
        log = played.of_row(b)
        (begin,) = [k for k in range(n) if log["units"].tolist() == np.roll(trace.units, -k).tolist()]
        expected = np.r_[trace.time_ns[begin:], trace.time_ns[:begin] + turn_ns] - trace.time_ns[begin]
        assert log["arrive_ns"].tolist() == expected.tolist()
        begins.add(begin)
    assert len(begins) > 15 and max(begins) > 1000
    scaled = Arrivals(kind="trace", trace_path=path, rate_per_s=5.0)
    log = play(queue_scenario(1.0, arrivals=scaled, n_requests=n), decline_all, [1]).of_row(0)
    factor = n / (turn_ns / SECOND) / 5.0
    assert log["arrive_ns"] == pytest.approx(trace.time_ns * factor, abs=1.5)


# --- load -------------------------------------------------------------------------------------------------------------


def two_by_two(work, gains, slots, share, **more):
    """Two nodes, two models: `work[n][m]` seconds, `gains[n][m]`; None where a node does not serve a model."""
    devices = tuple(
        DeviceType(name=f"d{n}", memory_bytes=100, storage_bytes_per_s=1e9, nic_bytes_per_s=1e9, slots=slots[n])
        for n in (0, 1)
    )
    services = tuple(
        Service(device=f"d{n}", model=f"m{m}", per_unit_s=work[n][m] / FINE, gain=gains[n][m])
        for n, m in itertools.product((0, 1), (0, 1))
        if work[n][m] is not None
    )
    law = Law(kind="exponential", mean=FINE, maximum=1e7)
    return queue_scenario(
        1.0,
        devices=devices,
        models=tuple(ModelType(name=f"m{m}", weights_bytes=1) for m in (0, 1)),
        services=services,
        workloads=tuple(
            Workload(model=f"m{m}", share=share[m], prompt_tokens=Law(), units=law, deadline_s=1e6) for m in (0, 1)
        ),
        pool=Pool(device_types=("d0", "d1"), n_nodes=2, queue_capacity=2000, preload="all_that_fit"),
        **more,
    )


@pytest.mark.parametrize(
    ("work", "gains", "slots", "share", "capacity"),
    [
        # Each model has one node: 1/1 and 1/2 a second; of every 2 requests 1 is for m1, so 2 x 1/2.
        ([[1.0, None], [None, 2.0]], [[1, 1], [1, 1]], (1, 1), (1, 1), 1.0),
        # d0 is 4 times as fast at m0 and as fast at m1: all of m0 to d0. At rate r: d0 spends r/2 x 1 on m0 and
        # x r/2 x 4 on m1, d1 (1 - x) r/2 x 4: both busy for 1 + 4 x = 4 - 4 x, x = 3/8, r/2 x 2.5 = 1.
        ([[1.0, 4.0], [4.0, 4.0]], [[1, 1], [1, 1]], (1, 1), (1, 1), 0.8),
        # Four slots and gain 3: throughput 4 / (1 + 3/3) = 2 against 1 alone; two slots without contention: 2.
        # m0 only on d0: 2 / 1 a second; m1 only on d1: 2 / 1. Shares 3 : 1, so 2 / 0.75.
        ([[1.0, None], [None, 1.0]], [[3, 1], [1, 1e6]], (4, 2), (3, 1), 2 / 0.75),
    ],
)
def test_val_20_capacity_is_that_of_the_best_split(work, gains, slots, share, capacity):
    world = World(two_by_two(work, gains, slots, share, arrivals=Arrivals(load=0.7)))
    assert world.capacity_per_s == pytest.approx(capacity, rel=1e-3)
    assert world.rate_per_s == pytest.approx(0.7 * world.capacity_per_s)


def test_val_20_a_law_that_yields_no_work_is_refused_or_served():
    """Allowed by the ranges: a mean of 0.001 units, of which practically all draws are 0."""
    law = Law(kind="exponential", mean=1e-3, maximum=10)
    workload = Workload(model="work", prompt_tokens=Law(), units=law, deadline_s=1.0)
    for arrivals in (Arrivals(rate_per_s=1.0), Arrivals(load=0.5)):
        with contextlib.suppress(EdgeGymInputError):
            assert World(queue_scenario(1.0, workloads=(workload,), arrivals=arrivals)).rate_per_s > 0


@pytest.mark.parametrize(("load", "stable"), [(0.95, True), (1.05, False)])
def test_val_20_the_best_split_is_stable_below_load_1_and_not_above(load, stable):
    """Second case of above: m0 to d0; of m1 3/8 to d0, the rest to d1."""
    scenario = two_by_two([[1.0, 4.0], [4.0, 4.0]], [[1, 1], [1, 1]], (1, 1), (1, 1), arrivals=Arrivals(load=load))
    rng, number = np.random.default_rng(5), []

    def split(obs, mask):
        is_m1 = obs[:, 0, observe.MODEL] > 0.75
        return (is_m1 & (rng.random(len(obs)) > 3 / 8)).astype(int)

    def keep(game, out):
        number.append(game.batch.state.world["in_system"].mean())

    play(scenario.with_overrides(n_requests=8000), split, range(60), keep)
    middle, late = np.mean(number[3000:4000]), np.mean(number[6500:7500])
    # above load 1 the number grows by 1 - 1 / 1.05 a request, about 170 in between
    assert (late < 1.5 * middle and late < 80) if stable else late > middle + 100
