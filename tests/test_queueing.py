"""The real environment against queueing theory (VAL rows of the reliability list).

One service time is 1 s where nothing else is said. Each figure is the mean of 120 replications, the warm-up left out.
`wrong` is the theory for a service 1 % longer: a defect of that size must be found out too.
"""

import math

import numpy as np
import pytest
from helpers import (
    REPLICATIONS,
    Game,
    RandomLegal,
    assert_mean,
    first_legal,
    play,
    queue_scenario,
    seconds,
    served,
    service_law,
    trace_arrivals,
    two_point_law,
    z_score,
)
from scipy import stats

from edge_gym.devices import DeviceType, ModelType, Service
from edge_gym.kernel.observe import ALIVE, BUSY, OUTSTANDING, RETRIES, SLACK
from edge_gym.kernel.tables import COMPLETED, DROPPED, REJECTED, SECOND
from edge_gym.scenario import Change, Law, Pool, Scenario, Telemetry, Topology, Workload
from edge_gym.traces.requests import read_trace

SEEDS = range(100, 100 + REPLICATIONS)
WARM = 2000  # requests
LAWS = {
    "exponential": service_law("exponential"),
    "constant": service_law("constant"),
    "lognormal": service_law("lognormal", cv=1.0),
    "two_point": two_point_law(4),
}


def run(rate_per_s, n_requests=10_000, choose=first_legal, **more):
    return play(queue_scenario(rate_per_s, n_requests=n_requests, **more), choose, SEEDS)


def steady(played, tail=0):
    """Completed requests that are neither warm-up nor, where later arrivals slow earlier ones, among the last."""
    return served(played, WARM) & (played.log["id"] <= played.log["id"].max() - tail)


def waits(played):
    log = played.log
    return played.per_row(seconds(log["start_ns"] - log["arrive_ns"]), steady(played))


def sojourns(played, tail=0):
    log = played.log
    return played.per_row(seconds(log["finish_ns"] - log["arrive_ns"]), steady(played, tail))


def number_in_system(log, every_s):
    """Requests in the system, seen every `every_s` seconds from the end of the warm-up to the last arrival."""
    arrive, finish = np.sort(log["arrive_ns"]), np.sort(log["finish_ns"])
    at = np.arange(arrive[WARM], arrive[-1], int(every_s * SECOND))
    return np.searchsorted(arrive, at, "right") - np.searchsorted(finish, at, "right")


# --- closed forms -----------------------------------------------------------------------------------------------------


def pollaczek_khinchine(rate, mean, second_moment):
    return rate * second_moment / (2.0 * (1.0 - rate * mean))


def erlang_b(servers, offered):
    blocking = 1.0
    for n in range(1, servers + 1):
        blocking = offered * blocking / (n + offered * blocking)
    return blocking


def erlang_c(servers, offered):
    b, rho = erlang_b(servers, offered), offered / servers
    return b / (1.0 - rho + rho * b)


def multi_server_sojourn(servers, rate, mean):
    return mean + erlang_c(servers, rate * mean) * mean / (servers - rate * mean)


def birth_death(rate, service_rate, n_max):
    """Stationary distribution of the number in a system with arrivals at `rate` and departures at `service_rate(n)`."""
    log_p = np.concatenate([[0.0], np.cumsum([math.log(rate / service_rate(n)) for n in range(1, n_max + 1)])])
    p = np.exp(log_p - log_p.max())
    return p / p.sum()


def test_the_closed_forms_give_the_listed_values():
    """The figures of the reliability list, computed elsewhere."""
    assert [pollaczek_khinchine(0.8, 1, 1 + scv) for scv in (0, 1, 4, 10)] == pytest.approx([2, 4, 10, 22])
    assert erlang_c(4, 3.6) == pytest.approx(0.787753, abs=1e-6)
    assert multi_server_sojourn(4, 3.6, 1.0) == pytest.approx(2.9694, abs=1e-4)
    assert multi_server_sojourn(16, 14.4, 1.0) == pytest.approx(1.3696, abs=1e-4)
    assert multi_server_sojourn(4, 2.8, 1.0) == pytest.approx(1.3572, abs=1e-4)
    assert erlang_b(8, 6.0) == pytest.approx(0.121876, abs=1e-6)
    assert birth_death(0.9, lambda n: 1.0, 10)[-1] == pytest.approx(0.050814, abs=1e-6)
    assert birth_death(1.5, lambda n: 1.0, 10)[-1] == pytest.approx(0.337232, abs=1e-6)
    assert birth_death(3.0, lambda n: 1.0, 50)[-1] == pytest.approx(0.666667, abs=1e-6)


# --- one server -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("rho", "n", "limit"), [(0.5, 15_000, 0.006), (0.8, 15_000, 0.012), (0.9, 25_000, 0.02)])
def test_val_01_wait_of_m_m_1(rho, n, limit):
    assert_mean(
        waits(run(rho, n)),
        pollaczek_khinchine(rho, 1.0, 2.0),
        limit,
        wrong=pollaczek_khinchine(rho, 1.01, 2.0 * 1.01**2),
    )


@pytest.mark.parametrize(
    ("law", "scv", "n", "limit"),
    [
        pytest.param(service_law("constant"), 0, 10_000, 0.008, id="constant-scv-0"),
        pytest.param(service_law("lognormal", 1.0), 1, 15_000, 0.015, id="lognormal-scv-1"),
        pytest.param(two_point_law(4), 4, 20_000, 0.015, id="two-point-scv-4"),
        pytest.param(two_point_law(10), 10, 25_000, 0.025, id="two-point-scv-10"),
    ],
)
def test_val_02_wait_of_m_g_1(law, scv, n, limit):
    """High variability by two-point laws: their waits converge far faster than those of a log-normal law."""
    wrong = pollaczek_khinchine(0.8, 1.01, (1 + scv) * 1.01**2)
    wait = waits(run(0.8, n, law=law, queue_capacity=6000))
    # at SCV 10 a far longer run would be needed to see 1 %
    assert_mean(wait, pollaczek_khinchine(0.8, 1.0, 1 + scv), limit, wrong=wrong if scv < 10 else None)


def test_val_03_sojourn_of_m_m_1_is_exponential():
    played = run(0.8, 20_000)
    log, ok = played.log, steady(played)
    sojourn = seconds(log["finish_ns"] - log["arrive_ns"])
    apart = ok & (log["id"] % 500 == 0)  # five times the relaxation time: as good as independent
    assert stats.kstest(sojourn[apart], "expon", args=(0, 5.0)).pvalue > 0.01
    for share, limit in ((0.5, 0.012), (0.95, 0.015), (0.99, 0.02)):
        quantile = np.array([np.quantile(sojourn[ok & (played.row == b)], share) for b in range(REPLICATIONS)])
        # a service 1 % longer would change the mean from 1 / (1 - 0.8) to 1 / (1 / 1.01 - 0.8) seconds
        theory = -math.log(1.0 - share)
        assert_mean(quantile, 5.0 * theory, limit, wrong=theory / (1 / 1.01 - 0.8))


def test_val_11_prefill_and_decode_with_the_moments_of_a_trace():
    """The work of a request with the lengths of the sample trace: prompt (also beyond 2,048 tokens), then output."""
    trace = read_trace("edge_gym:sample_azure_trace.csv")
    prompts, units = (np.sort(values).astype(float) for values in (trace.prompt_tokens * 3, trace.units))
    work = {"first_s": 0.1, "per_prompt_token_s": 3e-4, "beyond_2048_s": 4e-4, "per_unit_s": 5e-3}
    prefill = 0.1 + 3e-4 * prompts + 4e-4 * np.maximum(prompts - 2048, 0)
    decode = 5e-3 * units
    assert (prompts > 2048).mean() > 0.02
    mean = prefill.mean() + decode.mean()
    second = mean**2 + prefill.var() + decode.var()
    rate = 0.8 / mean
    scenario = queue_scenario(
        rate,
        n_requests=15_000,
        services=(Service(device="server", model="work", **work),),
        workloads=(
            Workload(
                model="work",
                prompt_tokens=Law(kind="empirical", values=tuple(prompts)),
                units=Law(kind="empirical", values=tuple(units)),
                deadline_s=1e6,
            ),
        ),
    )
    wrong = pollaczek_khinchine(rate, mean * 1.01, second * 1.01**2)
    assert_mean(waits(play(scenario, first_legal, SEEDS)), pollaczek_khinchine(rate, mean, second), 0.015, wrong=wrong)


# --- several slots and bounds -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("servers", "rho", "n", "limit"), [(4, 0.7, 15_000, 0.003), (4, 0.9, 20_000, 0.014), (16, 0.9, 20_000, 0.01)]
)
def test_val_04_sojourn_of_m_m_c(servers, rho, n, limit):
    played = run(servers * rho, n, slots=servers, gain=1e6)
    theory = [multi_server_sojourn(servers, servers * rho, mean) for mean in (1.0, 1.01)]
    assert_mean(sojourns(played), theory[0], limit, wrong=theory[1])


@pytest.mark.parametrize(("rho", "k", "limit"), [(0.9, 10, 0.01), (1.5, 10, 0.005), (3.0, 50, 0.002)])
def test_val_05_blocking_of_m_m_1_k(rho, k, limit):
    played = run(rho, 15_000, queue_capacity=k - 1)
    log, late = played.log, played.log["id"] >= WARM
    assert set(np.unique(log["outcome"])) == {COMPLETED, REJECTED}
    p, wrong = (birth_death(rho, lambda n, s=s: 1 / s, k) for s in (1.0, 1.01))
    assert_mean(played.per_row(log["outcome"] == REJECTED, late), p[-1], limit, wrong=wrong[-1])
    mean_number = [q @ np.arange(k + 1) for q in (p, wrong)]
    mean_sojourn = [n / (rho * (1 - q[-1])) for n, q in zip(mean_number, (p, wrong), strict=True)]
    assert_mean(sojourns(played), mean_sojourn[0], limit, wrong=mean_sojourn[1])
    if rho == 3.0:
        assert mean_number[0] == pytest.approx(49.5)


def test_val_06_loss_of_m_m_c_c():
    played = run(6.0, 15_000, slots=8, gain=1e6, queue_capacity=0)
    lost = played.per_row(played.log["outcome"] == REJECTED, played.log["id"] >= WARM)
    assert_mean(lost, erlang_b(8, 6.0), 0.005, wrong=erlang_b(8, 6.06))


@pytest.mark.parametrize("law", LAWS)
def test_val_07_number_in_m_g_infinity_is_poisson(law):
    played = run(8.0, 8000, law=LAWS[law], slots=64, gain=1e6)
    seen = [number_in_system(played.of_row(b), every_s=0.5) for b in range(REPLICATIONS)]
    assert_mean(np.array([n.mean() for n in seen]), 8.0, 0.004, wrong=8.08)
    assert_mean(np.array([((n - 8.0) ** 2).mean() for n in seen]), 8.0, 0.015)
    for k in (4, 8, 13):
        assert_mean(np.array([(n <= k).mean() for n in seen]), stats.poisson.cdf(k, 8.0), 0.02)


# --- shared processors ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("law", LAWS)
def test_val_08_processor_sharing_does_not_care_for_the_law(law):
    played = run(0.8, 15_000, law=LAWS[law], slots=500)
    assert_mean(sojourns(played, tail=1000), 1.0 / 0.2, 0.015, wrong=1.01 / (1 - 0.808))


W_S, H_S, TOKENS_MEAN = 8e-3, 0.65e-3, 200.0


@pytest.mark.parametrize(
    ("rho", "law", "n", "limit"),
    [
        (0.5, "exponential", 8000, 0.005),
        (0.5, "constant", 6000, 0.005),
        (0.8, "exponential", 8000, 0.01),
        (0.8, "lognormal", 8000, 0.01),
        (0.8, "two_point", 10_000, 0.015),
        (0.9, "exponential", 10_000, 0.02),
        (0.9, "constant", 10_000, 0.02),
    ],
)
def test_val_09_continuous_batching(rho, law, n, limit):
    """Each of n sequences decodes at 1 / (W + H n) tokens a second: T = E[tok] (W + H) / (1 - rho)."""
    alone_s = TOKENS_MEAN * (W_S + H_S)
    rate = rho / (H_S * TOKENS_MEAN)
    played = run(rate, n, law=LAWS[law], service_s=alone_s, slots=500, gain=(W_S + H_S) / H_S)
    assert alone_s / (1 - rho) == pytest.approx({0.5: 3.46, 0.8: 8.65, 0.9: 17.3}[rho])
    assert_mean(sojourns(played, tail=2000), alone_s / (1 - rho), limit, wrong=1.01 * alone_s / (1 - 1.01 * rho))
    size = W_S / H_S + 1
    number = np.array([number_in_system(played.of_row(b), 1.0).mean() for b in range(REPLICATIONS)])
    assert_mean(number, size * rho / (1 - rho), 2 * limit)
    many = stats.nbinom.isf(0.1, size, 1 - rho)
    above = np.array([(number_in_system(played.of_row(b), 1.0) > many).mean() for b in range(REPLICATIONS)])
    assert_mean(above, stats.nbinom.sf(many, size, 1 - rho), 0.25)


def test_val_10_continuous_batching_with_a_cap():
    cap, alone_s = 16, TOKENS_MEAN * (W_S + H_S)

    def theory(tokens):
        def service_rate(n):
            running = min(n, cap)
            return running / ((W_S + H_S * running) * tokens)

        p = birth_death(rate, service_rate, 1500)
        return p @ np.arange(1501) / rate

    rate = 0.9 * cap / ((W_S + H_S * cap) * TOKENS_MEAN)
    played = run(rate, 20_000, service_s=alone_s, slots=cap, gain=(W_S + H_S) / H_S)
    assert_mean(sojourns(played), theory(TOKENS_MEAN), 0.015, wrong=theory(1.01 * TOKENS_MEAN))


# --- several nodes ----------------------------------------------------------------------------------------------------


class Route:
    """Textbook routing by the number outstanding that the observation shows; draws of its own."""

    def __init__(self, how):
        self.how, self.turn, self.rng = how, -1, np.random.default_rng(1)

    def __call__(self, obs, mask):
        b, c = len(obs), mask.shape[1] - 1
        if self.how == "random":
            return self.rng.integers(c, size=b)
        if self.how == "round_robin":
            self.turn += 1
            return np.full(b, self.turn % c)
        outstanding = obs[:, :c, OUTSTANDING].copy()  # grows with the number
        if self.how == "jsq2":
            two = self.rng.integers(c, size=(b, 2))  # possibly the same one, as in the reference
            outstanding[np.arange(b)[:, None], two] -= 1
        return outstanding.argmin(axis=1)


def test_val_16_random_split():
    played = run(3.2, 30_000, Route("random"), n_nodes=4)
    assert_mean(sojourns(played), 1.0 / (1.0 - 0.8), 0.01, wrong=1.0 / (1 / 1.01 - 0.8))


# Sojourn times of other simulators, [M] of the reliability list.
REFERENCE = {
    0.7: {"jsq": 1.514, "jsq2": 1.958, "round_robin": 2.242, "random": 1 / 0.3},
    0.9: {"jsq": 3.254, "jsq2": 4.050, "round_robin": 6.422, "random": 1 / 0.1},
}


@pytest.mark.parametrize(("rho", "n", "limit"), [(0.7, 6000, 0.01), (0.9, 9000, 0.04)])
def test_val_17_order_of_routing_rules(rho, n, limit):
    mean = {"central": sojourns(run(4 * rho, n, slots=4, gain=1e6))}
    for how in ("jsq", "jsq2", "round_robin", "random"):
        mean[how] = sojourns(run(4 * rho, n, Route(how), n_nodes=4))
        assert_mean(mean[how], REFERENCE[rho][how], limit)
    for better, worse in (("central", "jsq"), ("jsq", "jsq2"), ("jsq2", "random"), ("jsq", "round_robin")):
        z, _ = z_score(mean[worse] - mean[better], 0.0)  # same seeds, same requests: paired
        assert z > 5, (better, worse)


# --- utilisation, energy, cost, spread --------------------------------------------------------------------------------


def test_val_20_utilisation_of_m_m_c():
    played = run(2.8, 10_000, slots=4, gain=1e6)
    log, n = played.log, len(played.end_ns)
    busy = np.bincount(played.row, seconds(log["finish_ns"] - log["start_ns"]), n) / (4 * seconds(played.end_ns))
    assert_mean(busy, 0.7, 0.002, wrong=0.707)


def integrate(log, n_nodes, slots, end_ns):
    """From the log alone: seconds in which each node runs anything, and the integral of the spread of busy slots."""
    times = np.unique(np.concatenate([[0, end_ns], log["start_ns"], log["finish_ns"]]))
    running = np.zeros((n_nodes, len(times)))
    for entry in log:
        running[entry["node"], np.searchsorted(times, entry["start_ns"])] += 1
        running[entry["node"], np.searchsorted(times, entry["finish_ns"])] -= 1
    share = running.cumsum(axis=1)[:, :-1] / slots[:, None]
    lasting = seconds(np.diff(times))
    return (share > 0) @ lasting, float(share.std(axis=0) @ lasting)


@pytest.mark.parametrize("age_s", [0.0, 2.0])
def test_val_20_energy_cost_and_spread_from_the_log(age_s):
    big = DeviceType(
        name="big", memory_bytes=10, storage_bytes_per_s=1e9, nic_bytes_per_s=1e9,
        power_idle_w=7.0, power_max_w=31.0, price_usd_per_hour=1.7, slots=3,
    )  # fmt: skip
    small = DeviceType(
        name="small", memory_bytes=10, storage_bytes_per_s=1e9, nic_bytes_per_s=1e9,
        power_idle_w=2.0, power_max_w=9.5, price_usd_per_hour=0.4, slots=1,
    )  # fmt: skip
    scenario = queue_scenario(
        2.2,
        n_requests=400,
        devices=(big, small),
        services=(
            Service(device="big", model="work", per_unit_s=1e-3, gain=2.0),
            Service(device="small", model="work", per_unit_s=2e-3),
        ),
        telemetry=Telemetry(age_s=age_s),
        pool=Pool(device_types=("big", "small"), n_nodes=3, queue_capacity=10),
    )
    seeds = range(4)
    played = play(scenario, RandomLegal(seeds), seeds)
    slots, idle_w, active_w = np.array([3, 1, 3]), np.array([7, 2, 7]), np.array([24.0, 7.5, 24.0])
    price = np.array([1.7, 0.4, 1.7]) / 3600
    for b in seeds:
        log = played.of_row(b)
        assert len(log) == 400
        busy_s, spread = integrate(log[log["outcome"] == COMPLETED], 3, slots, played.end_ns[b])
        energy = idle_w.sum() * played.end_ns[b] / SECOND + active_w @ busy_s
        got = dict(zip(("energy", "cost", "imbalance"), -played.terms[b, 5:8], strict=True))
        first_s = log["arrive_ns"].min() / SECOND  # the accounts open with the first decision
        assert got["energy"] == pytest.approx(energy - idle_w.sum() * first_s, rel=1e-9)
        assert got["cost"] == pytest.approx(price @ busy_s, rel=1e-9)
        assert got["imbalance"] == pytest.approx(spread, rel=1e-7)  # the root of a difference that may be 0


# --- nodes that leave and join ----------------------------------------------------------------------------------------


def leaving(tmp_path, rows, timeline, one_way_s=0.0, **more) -> Scenario:
    """Two nodes of one slot, 2 s a request, deadline 10 s, and exactly these requests and changes."""
    changes = tuple(Change(time_s=t, node=n, what="alive", value=value) for t, n, value in timeline)
    return queue_scenario(
        1.0,
        n_nodes=2,
        n_requests=None,
        arrivals=trace_arrivals(tmp_path / "t.csv", [(t, 0, 1) for t in rows]),
        models=(ModelType(name="work", weights_bytes=1),),
        services=(Service(device="server", model="work", per_unit_s=2.0),),
        workloads=(
            Workload(model="work", prompt_tokens=Law(mean=0.0), units=Law(kind="constant", mean=1.0), deadline_s=10.0),
        ),
        topology=Topology(kind="star", link_delay_s=0.0, access_delay_s=one_way_s),
        timeline=changes,
        horizon_s=100.0,
        max_retries=1,
        **more,
    )


def test_val_13_what_a_node_had_comes_back_when_it_leaves(tmp_path):
    """Requests at 0, 1, 2 and 6.5 s. Node 0 is away from 3 to 6 s, node 1 from 6.75 s on."""
    timeline = [(3.0, 0, 0), (6.0, 0, 1), (6.75, 1, 0)]
    game = Game(leaving(tmp_path, [0, 1, 2, 6.5], timeline), [0])
    now = lambda: float(game.batch.time_s[0])  # noqa: E731
    game.step(0)  # request 0: 0 to 2 s on node 0
    step = game.step(0)  # request 1: starts at 2 s, half done when the node leaves
    assert now() == 2.0  # at the same instant completions come before arrivals
    assert step.log["id"].tolist() == [0] and step.log["finish_ns"].tolist() == [2 * SECOND]
    step = game.step(0)  # request 2: waits behind it
    # At 3 s node 0 leaves: first the running request comes back, then the waiting one.
    assert len(step.log) == 0
    assert now() == 3.0 and game.batch.mask[0].tolist() == [False, True, True]
    assert game.column(ALIVE, 0) == 0 and game.column(ALIVE, 1) == 1
    assert game.column(RETRIES) == 0.5
    assert game.column(SLACK) == pytest.approx(0.8)  # request 1 arrived at 1 s: 8 of its 10 s are left
    # Request-seconds from 2 to 3 s: requests 1 and 2.
    assert step.out.terms[0, 0] == -2.0
    step = game.step(1)  # request 1 starts anew on node 1: 3 to 5 s
    assert now() == 3.0 and step.out.dt_s[0] == 0.0
    assert game.column(RETRIES) == 0.5
    assert game.column(SLACK) == pytest.approx(0.9)  # request 2 arrived at 2 s
    step = game.step(1)  # request 2 waits behind it: 5 to 7 s, were it not for 6.75 s
    assert now() == 6.5 and game.batch.mask[0].tolist() == [True, True, True]
    assert step.log["id"].tolist() == [1]
    assert step.log[0]["arrive_ns"] == 1 * SECOND and step.log[0]["dispatch_ns"] == 3 * SECOND
    assert step.log[0]["start_ns"] == 3 * SECOND and step.log[0]["finish_ns"] == 5 * SECOND
    assert step.log[0]["retries"] == 1 and step.log[0]["latency_ns"] == 4 * SECOND
    step = game.step(0)  # request 3: 6.5 to 8.5 s on node 0, which is back
    # At 6.75 s node 1 leaves: request 2 comes back a second time and is dropped, charged 2 x 10 s.
    assert step.out.done[0]
    two, three = step.log
    assert (two["id"], two["outcome"], two["retries"]) == (2, DROPPED, 2)
    assert two["finish_ns"] == 6.75 * SECOND and two["latency_ns"] == 20 * SECOND and two["late"] == 1
    assert (three["id"], three["outcome"], three["finish_ns"]) == (3, COMPLETED, 8.5 * SECOND)
    # 6.5 to 6.75 s two requests, the rest of the charge (20 - 4.75 s), then one until 8.5 s.
    assert step.out.terms[0, 0] == -(0.25 * 2 + 15.25 + 1.75)
    assert step.out.terms[0, 2] == -1


def test_val_13_responses_already_sent_arrive_though_the_node_left(tmp_path):
    """A quarter of a second each way; node 0 leaves at 2.4 s."""
    game = Game(leaving(tmp_path, [0, 2.3], [(2.4, 0, 0)], one_way_s=0.25), [0])
    game.step(0)  # there at 0.25 s, served at 2.25 s, back at 2.5 s
    step = game.step(0)  # on its way to the node when it leaves
    assert len(step.log) == 0 and game.batch.time_s[0] == 2.4 and game.column(RETRIES) == 0.5
    step = game.step(1)  # there at 2.65 s, served at 4.65 s, back at 4.9 s
    assert step.log["id"].tolist() == [0, 1] and step.log["outcome"].tolist() == [COMPLETED] * 2
    assert step.log["finish_ns"].tolist() == [2.5 * SECOND, 4.9 * SECOND]
    assert step.log["start_ns"].tolist() == [0.25 * SECOND, 2.65 * SECOND]
    assert step.log["arrive_ns"].tolist() == [0, 2.3 * SECOND] and step.log["retries"].tolist() == [0, 1]
    assert step.log["node"].tolist() == [0, 1]


def test_val_14_a_node_that_left_and_joined_is_empty(tmp_path):
    """What ran before is gone; the model is there as at the start, and nothing is known of the node."""
    game = Game(leaving(tmp_path, [0, 0.5, 5], [(1.0, 0, 0), (4.0, 0, 1)]), [0])
    game.step(0)
    game.step(0)
    game.step(1)
    step = game.step(1)
    assert step.log["id"].tolist() == [0, 1] and step.log["finish_ns"].tolist() == [3 * SECOND, 5 * SECOND]
    assert game.batch.time_s[0] == 5.0
    assert game.column(BUSY) == 0 and game.column(ALIVE) == 1
    step = game.step(0)
    assert step.log["id"].tolist() == [2] and step.log["retries"].tolist() == [0]
    assert step.log["start_ns"].tolist() == [5 * SECOND] and step.log["finish_ns"].tolist() == [7 * SECOND]
