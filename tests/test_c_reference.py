"""VAL-25: the kernel against an independent C loop of the same physics, event for event, in twenty random scenarios."""

import importlib.util
import random
from pathlib import Path

import numpy as np
import pytest

from edge_gym.devices import DeviceType, ModelType, Service
from edge_gym.envs.vector import EdgeVectorEnv
from edge_gym.kernel.observe import BACKLOG, COLUMNS, NETWORK, SERVICE, SLOWDOWN, WAIT, decode_ratio, decode_time
from edge_gym.scenario import Arrivals, Law, Pool, Scenario, Telemetry, Topology, Workload

N_SCENARIOS = 20
N_WORLDS = 3
STEPS = 700  # the episodes have at most 300: every world is begun again at least once

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
    """A world that is drawn from the corners as often as from the middle."""
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


@pytest.mark.parametrize("seed", range(N_SCENARIOS))
def test_same_worlds_as_the_c_loop(seed):
    choose = (_rotate, _shortest)[seed % 2]
    env = EdgeVectorEnv(N_WORLDS, scenario=_scenario(seed))
    obs, info = env.reset(seed=seed)
    reference = c_loop.CLoop(env.world, N_WORLDS)
    reference.reset(env.batch.roots)
    done = np.zeros(N_WORLDS, bool)
    episodes = 0
    for k in range(-1, STEPS):
        reward = np.zeros(N_WORLDS)
        if k >= 0:
            actions = choose(obs, info["action_mask"], k).astype(np.int64)
            obs, reward, _, done, info = env.step(actions)
            reference.step(actions)
            episodes += int(done.sum())
            # The reward is the latency integral in whole nanoseconds over 1e9: equal floats are equal nanoseconds.
            np.testing.assert_array_equal(reward, reference.reward, err_msg=f"step {k}")
        np.testing.assert_array_equal(done, reference.done, err_msg=f"step {k}")
        np.testing.assert_array_equal(
            np.rint(info["time_s"] * 1e9).astype(np.int64), reference.now_ns, err_msg=f"step {k}"
        )
        np.testing.assert_array_equal(info["action_mask"], reference.mask, err_msg=f"step {k}")
        apart = np.abs(obs - reference.obs).max(axis=(0, 1))
        columns = {COLUMNS[f].name: float(apart[f]) for f in np.flatnonzero(~(apart <= 1e-6))}
        assert not columns, f"step {k}: observations differ by {columns}"
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


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ({"arrivals_kind": "mmpp"}, "Poisson"),
        ({"weights_energy": 1.0}, "reward weights"),
        ({"drift_share": 0.1}, "does not cover drift"),
        ({"churn_share": 0.1}, "does not cover churn"),
    ],
)
def test_the_c_loop_refuses_what_it_does_not_have(override, words):
    env = EdgeVectorEnv(1, scenario="stationary", **override)
    with pytest.raises(c_loop.NotCovered, match=words):
        c_loop.CLoop(env.world, 1)
