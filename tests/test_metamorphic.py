"""Relations that must hold between runs (VAL-24): relabelled, stretched, copied, batched otherwise."""

import itertools

import numpy as np
import pytest
from helpers import Game, RandomLegal, play, queue_scenario, trace_arrivals

from edge_gym.devices import DeviceType, ModelType, Service
from edge_gym.envs.batch import Batch
from edge_gym.kernel.build import World
from edge_gym.kernel.observe import BACKLOG, N_FEATURES
from edge_gym.scenario import Change, Law, Pool, Scenario, Telemetry, Topology, Workload
from edge_gym.scenario.presets import preset

N_NODES = 5
N_SCENARIOS = 15


def spread_scenario(index: int, types=range(N_NODES), dead: bool = False, **more) -> Scenario:
    """Distinct nodes `types`, two models, cold loads, network, old telemetry, changes; `dead` adds a node never up."""
    rng = np.random.default_rng([index, 9])
    n = len(types)
    slots, memory = rng.integers(1, 4, N_NODES), rng.integers(6, 12, N_NODES) * 10
    first, unit = rng.uniform(0.05, 0.4, (N_NODES, 2)), rng.uniform(0.01, 0.06, (N_NODES, 2))
    gain = rng.uniform(1, 4, (N_NODES, 2))
    changes = [
        (float(t), int(rng.integers(N_NODES)), str(rng.choice(["speed", "alive"])), float(rng.uniform(0.3, 3)))
        for t in np.sort(rng.uniform(0, 60, 10))
    ]
    timeline = [
        Change(time_s=t, node=list(types).index(k), what=what, value=v if what == "speed" else float(v > 1))
        for t, k, what, v in changes
    ]
    if dead:
        timeline.insert(0, Change(time_s=0.0, node=n, what="alive", value=0.0))
    names = [f"d{k}" for k in types] + ["d0"] * dead
    fields = {
        "name": "spread",
        "devices": tuple(
            DeviceType(
                name=f"d{k}", slots=int(slots[k]), memory_bytes=int(memory[k]), storage_bytes_per_s=40.0,
                nic_bytes_per_s=1e5 * (k + 1), power_idle_w=k + 1.0, power_max_w=10.0 + k, price_usd_per_hour=1.0 + k,
            )
            for k in range(N_NODES)
        ),
        "models": tuple(
            ModelType(
                name=f"m{m}", kind=kind, weights_bytes=50 - 20 * m, upload_bytes=2e3, download_bytes_per_unit=50.0
            )
            for m, kind in enumerate(("llm", "diffusion"))
        ),
        "services": tuple(
            Service(
                device=f"d{k}", model=f"m{m}", first_s=first[k, m], per_unit_s=unit[k, m], per_prompt_token_s=1e-4,
                gain=gain[k, m],
            )
            for k, m in itertools.product(range(N_NODES), (0, 1))
        ),
        "pool": Pool(device_types=tuple(names), n_nodes=len(names), queue_capacity=3, preload="popular"),
        "workloads": tuple(
            Workload(
                model=f"m{m}", share=1.0 + m, prompt_tokens=Law(kind="uniform", low=0, high=900),
                units=Law(kind="exponential", mean=30.0, minimum=1), deadline_s=4.0,
            )
            for m in (0, 1)
        ),
        "topology": Topology(kind="star", n_sites=2, link_delay_s=0.004),
        "telemetry": Telemetry(age_s=0.4, forecast_cv=0.3),
        "timeline": tuple(timeline),
        "n_requests": 150,
        "horizon_s": 1000.0,
    }  # fmt: skip
    return queue_scenario(4.0, **{**fields, **more})


class Permuted:
    """Sees a relabelled world as `inner` would see the original: node `order[i]` is here node i."""

    def __init__(self, inner, order):
        self.inner, self.order = inner, np.array(order)
        self.back = np.append(np.argsort(self.order), len(order))

    def __call__(self, obs, mask):
        choice = self.inner(obs[:, self.back], mask[:, self.back])
        return np.append(np.argsort(self.order), len(self.order))[choice]


def observations(scenario, choose, seeds):
    """Every observation and mask of a run, and its results."""
    seen = []
    played = play(World(scenario), choose, seeds, lambda game, out: seen.append((out.obs.copy(), out.mask)))
    return seen, played


def same_log(one, two, node=None):
    """Whether two logs agree; `node` translates node numbers of the second."""
    two = two.copy()
    if node is not None:
        two["node"] = node[two["node"]]
    fields = [f for f in one.dtype.names if f != "pad"]
    served = one["outcome"] == 1
    if len(one) != len(two):
        return False
    whole = all((one[f] == two[f]).all() for f in ("id", "outcome", "finish_ns", "latency_ns", "retries", "late"))
    return whole and all((one[f] == two[f])[served].all() for f in fields)


@pytest.mark.parametrize("index", range(N_SCENARIOS))
def test_val_24_relabelled_nodes_give_permuted_results(index):
    order = np.random.default_rng(index).permutation(N_NODES)
    seeds = [index, index + 100]
    seen, one = observations(spread_scenario(index), RandomLegal(seeds), seeds)
    permuted, two = observations(
        spread_scenario(index, types=order.tolist()), Permuted(RandomLegal(seeds), order), seeds
    )
    assert len(seen) == len(permuted)
    rows = np.append(order, N_NODES)
    for (obs, mask), (obs_2, mask_2) in zip(seen, permuted, strict=True):
        assert (obs[:, rows] == obs_2).all() and (mask[:, rows] == mask_2).all()
    for b in (0, 1):
        assert same_log(one.of_row(b), two.of_row(b), node=order)
    assert one.terms == pytest.approx(two.terms, rel=1e-7)


@pytest.mark.parametrize("index", range(N_SCENARIOS))
def test_val_24_a_dead_node_changes_nothing(index):
    seeds = [index, index + 100]

    def without_dead(obs, mask):
        assert not mask[:, N_NODES].any()
        keep = [*range(N_NODES), N_NODES + 1]
        choice = choose(obs[:, keep], mask[:, keep])
        return np.where(choice == N_NODES, N_NODES + 1, choice)

    choose = RandomLegal(seeds)
    seen, one = observations(spread_scenario(index), choose, seeds)
    choose = RandomLegal(seeds)
    beside, two = observations(spread_scenario(index, dead=True), without_dead, seeds)
    keep = [*range(N_NODES), N_NODES + 1]
    for (obs, mask), (obs_2, mask_2) in zip(seen, beside, strict=True):
        assert obs.tobytes() == np.ascontiguousarray(obs_2[:, keep]).tobytes() and (mask == mask_2[:, keep]).all()
    for b in (0, 1):
        assert same_log(one.of_row(b), two.of_row(b))
    assert (one.terms[:, :5] == two.terms[:, :5]).all()
    assert one.terms[:, 5:7] == pytest.approx(two.terms[:, 5:7], rel=1e-12)  # energy and cost


def stretched(index: int, factor: int, tmp_path, slots: int, gain: float) -> Scenario:
    """Every time of a world times `factor`; all are multiples of 2^-9 s, which is whole in nanoseconds."""
    rng = np.random.default_rng([index, 21])
    tick = factor / 512
    gaps = rng.integers(0, 400, 120)
    gaps[0] = 0
    times = np.cumsum(gaps)
    rows = [(float(t) * tick, int(rng.integers(0, 4)), int(rng.integers(1, 6))) for t in times]
    devices = tuple(
        DeviceType(
            name=f"d{k}",
            slots=slots,
            memory_bytes=100,
            storage_bytes_per_s=64.0 / factor,
            nic_bytes_per_s=1024 / factor,
        )
        for k in range(3)
    )
    end = float(times[-1] * tick)
    timeline = tuple(
        Change(time_s=float(t) * tick, node=int(rng.integers(3)), what=what, value=float(rng.choice(values)))
        for t, (what, values) in zip(
            np.sort(rng.integers(0, times[-1], 8)),
            itertools.cycle((("speed", [0.5, 1.0, 2.0]), ("alive", [0, 1]))),
            strict=False,
        )
    )
    return Scenario(
        name="stretched",
        devices=devices,
        models=tuple(
            ModelType(name=f"m{m}", weights_bytes=64, startup_s=3 * tick, upload_bytes=2.0, download_bytes_per_unit=4.0)
            for m in (0, 1)
        ),
        services=tuple(
            Service(
                device=f"d{k}", model=f"m{m}", first_s=(8 + k) * tick, per_prompt_token_s=16 * tick,
                per_unit_s=(64 + 32 * k + 16 * m) * tick, gain=gain,
            )
            for k, m in itertools.product(range(3), (0, 1))
        ),
        pool=Pool(device_types=("d0", "d1", "d2"), n_nodes=3, queue_capacity=4, preload="none"),
        workloads=tuple(
            Workload(model=f"m{m}", prompt_tokens=Law(), units=Law(kind="constant", mean=1.0), deadline_s=900 * tick)
            for m in (0, 1)
        ),
        arrivals=trace_arrivals(tmp_path / f"{index}_{factor}.csv", rows),
        topology=Topology(
            link_delay_s=2 * tick, access_delay_s=3 * tick, link_bandwidth_bytes_per_s=512 / factor
        ),
        telemetry=Telemetry(age_s=64 * tick),
        timeline=timeline,
        horizon_s=end + 1000 * tick,
        n_requests=120,
        drain_s=2000 * tick,
    )  # fmt: skip


TIMES = ("arrive_ns", "finish_ns", "latency_ns")
SERVICE_TIMES = ("dispatch_ns", "start_ns", "first_ns")


@pytest.mark.parametrize("index", range(N_SCENARIOS))
@pytest.mark.parametrize(("slots", "gain", "slack_ns"), [(1, 1.0, 0), (3, 1.5, 40)])
def test_val_24_all_times_twice_as_long(index, slots, gain, slack_ns, tmp_path):
    """Exactly twice as long without sharing; with it, each rounding to a nanosecond may show."""
    seeds = [index]
    one, two = (play(stretched(index, f, tmp_path, slots, gain), RandomLegal(seeds), seeds).of_row(0) for f in (8, 16))
    served = one["outcome"] == 1
    assert (one["outcome"] == two["outcome"]).all() and (one["node"] == two["node"])[served].all()
    assert served.sum() > 40
    for field in TIMES:
        assert np.abs(2 * one[field] - two[field]).max() <= slack_ns, field
    for field in SERVICE_TIMES:
        assert np.abs(2 * one[field] - two[field])[served].max() <= slack_ns, field


def test_val_24_a_faster_node_finishes_no_request_later():
    """One node, first come first served, the same requests: at speed 1.25 none is served later."""
    scenarios = (queue_scenario(0.9, service_s=s, n_requests=2000) for s in (1.0, 0.8))
    slow, fast = (play(s, lambda obs, mask: np.zeros(len(obs), int), range(5)) for s in scenarios)
    assert (slow.log["id"] == fast.log["id"]).all() and (slow.log["finish_ns"] >= fast.log["finish_ns"]).all()
    assert slow.log["latency_ns"].mean() > 2 * fast.log["latency_ns"].mean()


# --- batches and copies -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["stationary", "metro64", "bursty", "azure", "spread"])
def test_rep_03_a_row_does_not_depend_on_its_batch(name):
    """Bit for bit the same alone, in a batch of 2, of 7, and at another place in it."""
    scenario = spread_scenario(1) if name == "spread" else preset(name).with_overrides(n_requests=60)
    world, seed = World(scenario), 11
    found = []
    for seeds in ([11], [3, 11], [5, 6, 7, 11, 8, 9, 10], [11, 2, 1]):
        b, trail = seeds.index(seed), []

        def keep(game, out, b=b, trail=trail):
            if not trail or not trail[-1][-1]:
                numbers = (
                    out.obs[b].tobytes(),
                    out.mask[b].tobytes(),
                    out.reward[b],
                    out.terms[b].tobytes(),
                    out.dt_s[b],
                )
                trail.append((*numbers, bool(out.done[b])))

        played = play(world, RandomLegal(seeds), seeds, keep)
        found.append((trail, played.of_row(b).tobytes()))
    assert all(f == found[0] for f in found[1:])
    assert len(found[0][0]) >= 60


def test_rep_03_rows_left_out_stay_as_they_are():
    """Rows in `skip` keep every byte of their state, whatever the others do."""
    world, seeds = World(spread_scenario(2)), range(4)
    game = Game(world, seeds)
    choose = RandomLegal(seeds)
    for _ in range(20):
        game.advance(choose(game.obs, game.batch.mask))
    before = [table[1].tobytes() for table in game.batch.state]
    game.over[:] = [False, True, False, True]
    for _ in range(10):
        game.advance(choose(game.obs, game.batch.mask))
    assert before == [table[1].tobytes() for table in game.batch.state]


@pytest.mark.parametrize("name", ["stationary", "metro64", "overload", "spread"])
def test_rep_07_a_copied_state_goes_on_the_same(name):
    """Saved in the middle, put into a fresh batch, played on: the same to the last bit."""
    scenario = spread_scenario(3) if name == "spread" else preset(name).with_overrides(n_requests=80)
    world, seeds = World(scenario), range(3)

    def play_on(batch, obs, done, count):
        choose, trail = RandomLegal(range(50, 53)), []
        for _ in range(count):
            if done.all():
                break
            out = batch.step(choose(obs, batch.mask), done)
            trail.append(
                (out.obs[~done].tobytes(), out.mask[~done].tobytes(), out.reward.tobytes(), batch.ended()[1].tobytes())
            )
            obs, done = out.obs, done | out.done
        return trail, obs, done

    game = Game(world, seeds)
    _, obs, done = play_on(game.batch, game.obs, game.over, 37)
    saved = game.batch.get_state()
    first, *_ = play_on(game.batch, obs, done, 1000)
    other = Batch(world, 3)
    other.set_state(saved)
    again = other.empty_obs()
    other.observe(np.ones(3, bool), again)
    assert again.tobytes() == obs.tobytes() and (other.mask == saved["mask"]).all()
    second, *_ = play_on(other, again, done, 1000)
    assert first == second and len(first) > 20
    # Nothing is remembered from the episodes before: a used batch begins like a fresh one.
    for b in (game.batch, other):
        b.roots[:] = 77
        b.reset(np.ones(3, bool), again)
    fresh = Game(world, [77] * 3)
    third, *_ = play_on(other, again, np.zeros(3, bool), 1000)
    fourth, *_ = play_on(fresh.batch, fresh.obs, fresh.over, 1000)
    assert third == fourth


def test_rep_08_looking_again_changes_nothing():
    game, seeds = Game(spread_scenario(4), range(2)), range(2)
    choose, obs = RandomLegal(seeds), None
    for _ in range(30):
        obs = game.batch.empty_obs()
        before = [table.tobytes() for table in game.batch.state]
        game.batch.observe(np.ones(2, bool), obs)
        assert obs.tobytes() == game.obs.tobytes() and before == [table.tobytes() for table in game.batch.state]
        game.advance(choose(game.obs, game.batch.mask))
    assert obs.shape == (2, N_NODES + 1, N_FEATURES) and (obs[..., BACKLOG:] <= 1).all()
