"""VAL-25: the kernel against an independent C loop of the same physics, event for event, in random scenarios."""

import dataclasses
import importlib.util
import random
from pathlib import Path

import numpy as np
import pytest

from edge_gym.devices import DeviceType, ModelType, Service
from edge_gym.envs.vector import EdgeVectorEnv
from edge_gym.events.phrases import LEVELS, STYLES
from edge_gym.kernel.build import World
from edge_gym.kernel.observe import (
    BACKLOG,
    COLUMNS,
    EVENT,
    NETWORK,
    ROUTER,
    SERVICE,
    SLOWDOWN,
    STREAM,
    WAIT,
    decode_ratio,
    decode_time,
)
from edge_gym.kernel.tables import COMPLETED, STUTTER_FOREGROUND, STUTTER_GAP
from edge_gym.scenario import (
    Arrivals,
    Churn,
    Drift,
    Law,
    Pool,
    Router,
    Scenario,
    Semantic,
    Telemetry,
    Topology,
    Workload,
)

N_SCENARIOS = 24
STATIONARY = 4  # every so many scenarios, one in which nothing changes
N_WORLDS = 3
STEPS = 700  # the episodes have at most 300 requests: nearly every world is begun again
MOST_STEPS = 1300  # some requests come back three times

_path = Path(__file__).parent.parent / "scripts" / "reference" / "c_loop.py"
_spec = importlib.util.spec_from_file_location("edge_gym_c_loop", _path)
assert _spec is not None and _spec.loader is not None
c_loop = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(c_loop)


@pytest.fixture(scope="module", autouse=True)
def _compiled():
    try:
        c_loop.library()
    except c_loop.NoCompiler as error:
        pytest.skip(str(error))


def _law(rng: random.Random, mean: float) -> Law:
    kind = rng.choice(("constant", "exponential", "uniform", "lognormal"))
    return Law(
        kind=kind,
        mean=mean,
        cv=rng.uniform(0.2, 2.0),
        low=0.0,
        high=2 * mean,
        minimum=1.0,
        maximum=rng.choice((6, 40)) * mean,
    )


def _scenario(seed: int) -> Scenario:
    """A random world in which, mostly, nodes drift, leave, join and are used, and somebody says so."""
    still = _still_scenario(seed)
    if seed % STATIONARY == 0:
        return still
    rng = random.Random(1000 + seed)
    assert still.n_requests is not None
    span_s = still.n_requests / World(still).rate_per_s
    return dataclasses.replace(
        still,
        semantic=_semantic(rng, span_s),
        drift=Drift(
            share=rng.choice((0.0, 0.5, 1.0)),
            gap_mean_s=rng.uniform(0.05, 0.4) * span_s,
            hold_mean_s=rng.uniform(0.02, 0.2) * span_s,
            ramp_s=rng.choice((0.0, 0.05)) * span_s,
            outage_share=rng.choice((0.0, 0.4, 1.0)),
            notification=rng.choice(LEVELS),
        ),
        churn=Churn(
            share=rng.choice((0.0, 0.5, 1.0)),
            up_mean_s=rng.uniform(0.05, 0.4) * span_s,
            down_mean_s=rng.uniform(0.02, 0.2) * span_s,
            slow_start_s=rng.choice((0.0, 0.05)) * span_s,
            notification=rng.choice(LEVELS),
        ),
        router=Router(
            exploration=rng.choice((0.0, 0.25, 2.0)),
            forgetting=rng.choice((0.9, 0.99, 1.0)),
            congestion=rng.choice((0.0, 2.0)),
        ),
        stutter_gap_s=rng.choice((0.001, 0.01, 1.0)),
        max_retries=rng.choice((0, 1, 3)),
    )


def _semantic(rng: random.Random, span_s: float) -> Semantic:
    return Semantic(
        share=rng.choice((0.0, 0.5, 1.0, 1.0)),
        gap_mean_s=rng.uniform(0.02, 0.3) * span_s,
        lead_mean_s=rng.choice((0.0, 0.02, 0.1)) * span_s,
        duration_mean_s=rng.uniform(0.02, 0.3) * span_s,
        foreground_share=rng.choice((0.0, 0.5, 1.0)),
        silent_share=rng.choice((0.0, 0.5)),
        late_share=rng.choice((0.0, 0.3, 1.0)),
        late_mean_s=rng.choice((0.01, 0.3)) * span_s,
        false_share=rng.choice((0.0, 0.4, 1.0)),
        contradict_share=rng.choice((0.0, 0.5)),
        end_share=rng.choice((0.0, 0.5, 1.0)),
        chatter_gap_s=rng.choice((0.0, 0.1)) * span_s,
        notification=rng.choice(LEVELS),
        style=rng.choice(STYLES),
    )


def _still_scenario(seed: int) -> Scenario:
    """A world without regimes that is drawn from the corners as often as from the middle."""
    rng = random.Random(seed)
    n_models = rng.randint(1, 4)
    models = tuple(
        ModelType(
            name=f"m{m}",
            kind=rng.choice(("item", "llm", "diffusion")),
            weights_bytes=rng.randint(1, 4) * 10**9,
            startup_s=rng.choice((0.0, 0.5)),
            upload_bytes=rng.choice((0.0, 1e5)),
            upload_bytes_per_prompt_token=rng.choice((0.0, 4.0)),
            download_bytes=rng.choice((0.0, 1e6)),
            download_bytes_per_unit=rng.choice((0.0, 4.0)),
        )
        for m in range(n_models)
    )
    devices = tuple(
        DeviceType(
            name=f"d{d}",
            memory_bytes=rng.choice((4, 6, 100)) * 10**9,
            storage_bytes_per_s=rng.choice((1e9, 2e10)),
            nic_bytes_per_s=1e8,
            slots=rng.choice((1, 2, 3, 8, 20)),
            power_max_w=100.0,
            price_usd_per_hour=0.3,
        )
        for d in range(rng.randint(1, 3))
    )
    services = tuple(
        Service(
            device=device.name,
            model=model.name,
            first_s=rng.choice((0.0, 0.05)),
            per_prompt_token_s=rng.choice((0.0, 1e-4)),
            beyond_2048_s=rng.choice((0.0, 1e-4)),
            per_unit_s=rng.uniform(0.002, 0.02),
            gain=rng.choice((1.0, 1.7, 6.0, 1e6)),
        )
        for d, device in enumerate(devices)
        for model in models
        if d == 0 or rng.random() < 0.8
    )
    return Scenario(
        name=f"random{seed}",
        devices=devices,
        models=models,
        services=services,
        pool=Pool(
            device_types=tuple(device.name for device in devices),
            n_nodes=rng.choice((1, 2, 5, 16, 17, 24)),
            slots=rng.choice((None, None, 1, 4)),
            queue_capacity=rng.choice((0, 1, 5, 64)),
            preload=rng.choice(("none", "none", "popular", "all_that_fit")),
        ),
        workloads=tuple(
            Workload(
                model=model.name,
                share=rng.uniform(0.1, 1.0),
                prompt_tokens=_law(rng, rng.choice((10.0, 800.0, 3000.0))),
                units=_law(rng, rng.choice((1.0, 60.0))),
                deadline_s=rng.choice((0.2, 2.0, 30.0)),
            )
            for model in models
        ),
        arrivals=Arrivals(load=rng.choice((0.3, 0.8, 1.0, 1.5, 4.0))),
        topology=Topology(kind=rng.choice(("star", "ring", "metro")), n_sites=rng.choice((1, 3, 5)), seed=seed),
        telemetry=Telemetry(
            age_s=rng.choice((0.0, 0.0, 0.01, 0.3, 5.0)),
            forecast_cv=rng.choice((0.0, 0.5, 1.5)),
            ewma=rng.choice((0.05, 0.5, 1.0)),
        ),
        bias_sigma=rng.choice((0.0, 0.4, 1.0)),
        drop_charge_deadlines=rng.choice((1.0, 2.0, 5.0)),
        n_requests=rng.choice((120, 300)),
        drain_s=rng.choice((0.0, 0.5, 600.0)),
    )


def _rotate(obs: np.ndarray, mask: np.ndarray, k: int) -> np.ndarray:
    """The next legal choice in turn; the turn of declining comes like a node's."""
    turn = (k + np.arange(mask.shape[1])) % mask.shape[1]
    return turn[mask[:, turn].argmax(axis=1)]


def _shortest(obs: np.ndarray, mask: np.ndarray, k: int) -> np.ndarray:
    """The shortest expected time to completion, by the observation."""
    times = decode_time(obs[..., BACKLOG:])
    total = (times[..., WAIT - BACKLOG] + times[..., SERVICE - BACKLOG]) * decode_ratio(obs[..., SLOWDOWN])
    total += times[..., NETWORK - BACKLOG]
    total[:, -1] = 1e6  # decline when nothing else is legal
    return np.where(mask, total, np.inf).argmin(axis=1)


def _router(obs: np.ndarray, mask: np.ndarray, k: int) -> np.ndarray:
    """The choice of the world's own router."""
    return obs[..., ROUTER].argmax(axis=1)


CHOOSERS = (_rotate, _shortest, _router)


def _said(env: EdgeVectorEnv) -> tuple[np.ndarray, np.ndarray]:
    """How many messages each world has had since the last decision, and a number made of their words."""
    counts, news = env.batch.state.world["news_count"].astype(np.int64), env.batch.state.news
    words = [c_loop.words_of(row[:k]) for row, k in zip(news, counts, strict=True)]
    return counts, np.array(words)


def _compare(env: EdgeVectorEnv, returned: tuple, reference, where: str) -> None:
    obs, reward, done, info = returned
    # The reward is the latency integral in whole nanoseconds over 1e9: equal floats are equal nanoseconds.
    np.testing.assert_array_equal(reward, reference.reward, err_msg=where)
    np.testing.assert_array_equal(done, reference.done, err_msg=where)
    np.testing.assert_array_equal(np.rint(info["time_s"] * 1e9).astype(np.int64), reference.now_ns, err_msg=where)
    np.testing.assert_array_equal(info["action_mask"], reference.mask, err_msg=where)
    apart = np.abs(obs - reference.obs).max(axis=(0, 1))
    columns = {COLUMNS[f].name: float(apart[f]) for f in np.flatnonzero(~(apart <= 1e-6))}
    assert not columns, f"{where}: observations differ by {columns}"
    stutters, messages, words = reference.accounts()
    np.testing.assert_array_equal(-info["reward_terms"]["stutter"], stutters, err_msg=where)
    counts, mine = _said(env)
    all_kept = messages <= env.batch.state.news.shape[1]  # the drain at the end may say more than the table holds
    np.testing.assert_array_equal(counts[all_kept], messages[all_kept], err_msg=where)
    np.testing.assert_array_equal(mine[all_kept], words[all_kept], err_msg=where)


@pytest.mark.parametrize("seed", range(N_SCENARIOS))
def test_same_worlds_as_the_c_loop(seed):
    choose = CHOOSERS[seed % len(CHOOSERS)]
    env = EdgeVectorEnv(N_WORLDS, scenario=_scenario(seed))
    obs, info = env.reset(seed=seed)
    reference = c_loop.CLoop(env.world, N_WORLDS)
    reference.reset(env.batch.roots)
    _compare(env, (obs, np.zeros(N_WORLDS), np.zeros(N_WORLDS, bool), info), reference, "reset")
    episodes, k = 0, 0
    while k < STEPS or (episodes < N_WORLDS and k < MOST_STEPS):
        actions = choose(obs, info["action_mask"], k).astype(np.int64)
        obs, reward, _, done, info = env.step(actions)
        reference.step(actions)
        episodes += int(done.sum())
        _compare(env, (obs, reward, done, info), reference, f"step {k}")
        k += 1
    assert episodes >= N_WORLDS, "no episode ended: the autoreset went untested"
    reference.close()


def test_the_scenarios_cover_what_they_should():
    worlds = [_scenario(seed) for seed in range(N_SCENARIOS)]
    assert {w.pool.preload for w in worlds} == {"none", "popular", "all_that_fit"}
    assert {law.kind for w in worlds for load in w.workloads for law in (load.prompt_tokens, load.units)} == {
        "constant",
        "exponential",
        "uniform",
        "lognormal",
    }
    assert any(w.telemetry.age_s > 0 for w in worlds) and any(w.telemetry.age_s == 0 for w in worlds)
    assert any(w.telemetry.forecast_cv > 0 for w in worlds) and any(w.bias_sigma > 0 for w in worlds)
    assert any((w.arrivals.load or 0) > 1 for w in worlds) and any(w.pool.queue_capacity == 0 for w in worlds)
    tight = [w for w in worlds if sum(m.weights_bytes for m in w.models) > min(d.memory_bytes for d in w.devices)]
    assert tight, "no world in which models must be evicted"
    assert {w.semantic.style for w in worlds if w.semantic.share > 0} == set(STYLES)
    for regime in ("semantic", "drift", "churn"):
        assert {part.notification for w in worlds if (part := getattr(w, regime)).share > 0} == set(LEVELS)


def test_the_scenarios_make_happen_what_they_should():
    """Otherwise the comparison proves nothing: retries, both kinds of stutter, streams, messages of each reading."""
    retried, streams, readings, bits = 0, 0, set(), set()
    for seed in range(N_SCENARIOS):
        env = EdgeVectorEnv(1, scenario=_scenario(seed))
        obs, info = env.reset(seed=seed)
        for k in range(300):
            obs, _, _, _, info = env.step(_rotate(obs, info["action_mask"], k))
            log = env.batch.ended()[1]
            retried += int((log["retries"] > 0).sum())
            bits |= set(log["stutter"][log["outcome"] == COMPLETED].tolist())
            streams += int((obs[..., STREAM] > 0.0).any())
            readings |= set(obs[..., EVENT].ravel().tolist())
    assert retried > 100 and streams > 1000
    assert readings == {0.0, 0.5, 1.0}
    assert bits == {0, STUTTER_GAP, STUTTER_FOREGROUND, STUTTER_GAP | STUTTER_FOREGROUND}


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ({"arrivals_kind": "mmpp"}, "Poisson"),
        ({"weights_energy": 1.0}, "reward weights"),
    ],
)
def test_the_c_loop_refuses_what_it_does_not_have(override, words):
    env = EdgeVectorEnv(1, scenario="stationary", **override)
    with pytest.raises(c_loop.NotCovered, match=words):
        c_loop.CLoop(env.world, 1)
