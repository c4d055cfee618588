"""The learning policies, the breaker and the production routers: estimates by hand, and what none of them may do."""

import json
from dataclasses import fields

import numpy as np
import pytest
from edge_baselines import tuned
from edge_baselines.bandits import WINDOW_SAMPLES, DUcb, SwUcb, Thompson
from edge_baselines.breaker import Breaker
from edge_baselines.common import encode_time, observe
from edge_baselines.completion import completion_s, with_overdue
from edge_baselines.dynamo import Dynamo
from edge_baselines.headroom import Headroom
from edge_baselines.latency_list import LatencyList
from edge_baselines.linucb import LinUcb
from edge_baselines.residuals import turns
from edge_baselines.sect import SectStatic, SectWatchdog
from script_loader import load_script

from edge_gym.errors import EdgeGymInputError
from edge_gym.evaluation.evaluate import evaluate
from edge_gym.kernel.observe import N_FEATURES, decode_time
from edge_gym.kernel.tables import COMPLETED, DROPPED, LOG, SECOND
from edge_gym.policy import Context, make_policy

N, M = 3, 4
NAMES = (*tuned.CLASSES, "sect_breaker", "breaker:jsq", "breaker:random", "breaker:linucb")
DRAW = ("dynamo", "thompson", "latency_list", "headroom", "breaker:random")  # one generator for all rows
SMALL = {"scenario": "drift", "n_nodes": 4, "n_requests": 60}


def ratio_of(r):
    return r / (1.0 + r)


def observation(rows=1, nodes=N, model=0, service_s=1.0, wait_s=0.0):
    """Nodes that are alike: alive, as fast as their prior, nothing overdue."""
    obs = np.zeros((rows, nodes + 1, N_FEATURES), np.float32)
    obs[:, :, observe.MODEL] = (model + 1) / M
    node = obs[:, :-1]
    node[..., observe.ALIVE] = node[..., observe.LEGAL] = 1.0
    node[..., observe.SLOWDOWN] = 0.5
    node[..., observe.SERVICE] = node[..., observe.FIRST] = encode_time(np.float64(service_s))
    node[..., observe.WAIT] = encode_time(np.float64(wait_s))
    obs[:, -1, observe.IS_DECLINE] = 1.0
    return obs


def entry(node=0, model=0, slowdown=2.0, dispatch_s=0.0, took_s=1.0, outcome=COMPLETED, units=1):
    log = np.zeros(1, LOG)
    log["node"], log["model"], log["slowdown"], log["outcome"], log["units"] = node, model, slowdown, outcome, units
    log["dispatch_ns"], log["finish_ns"] = dispatch_s * SECOND, (dispatch_s + took_s) * SECOND
    return log


class Hand:
    """A policy led by hand through decisions of B rows that are alike but for what is given."""

    def __init__(self, policy, rows=1):
        self.policy, self.rows, self.time_s, self.first = policy, rows, 0.0, True
        policy.reset(rows, 7)

    def act(self, obs=None, ended=(), dt_s=0.0, begun=None, mask=None, row=0):
        obs = observation(self.rows) if obs is None else obs
        self.time_s += dt_s
        begun = np.full(self.rows, self.first) if begun is None else np.array(begun)
        self.first = False
        log = np.concatenate(ended) if len(ended) else np.zeros(0, LOG)
        context = Context(
            time_s=np.full(self.rows, self.time_s),
            dt_s=np.full(self.rows, dt_s),
            begun=begun,
            active=np.ones(self.rows, bool),
            ended_row=np.full(len(log), row),
            ended=log,
            n_models=M,
        )
        mask = np.ones(obs.shape[:2], bool) if mask is None else mask
        return self.policy.act(obs, mask, context)

    def believed(self, model=0, row=0):
        """Believed slowdown of every node for a model."""
        models = np.full(self.rows, model)
        return np.exp(self.policy.believe(observation(self.rows, model=model), models))[row]


# --- completion -------------------------------------------------------------------------------------------------------


def test_bandits_encoded_times_decode_to_themselves():
    seconds = np.array([0.0, 1e-4, 0.3, 12.0, 900.0])
    np.testing.assert_allclose(decode_time(encode_time(seconds)), seconds, rtol=1e-4, atol=1e-9)


def test_bandits_completion_is_wait_and_service_stretched_plus_network_and_load_plus_what_is_inflicted():
    obs = observation(service_s=4.0, wait_s=2.0)
    obs[:, :-1, observe.FIRST] = encode_time(np.float64(1.0))
    obs[:, :-1, observe.FORECAST] = np.log2(1.0 + 3.0) / 20.0  # 3 units
    obs[:, :-1, observe.PER_UNIT] = encode_time(np.float64(0.5))
    obs[:, :-1, observe.NETWORK] = encode_time(np.float64(0.25))
    obs[:, :-1, observe.LOAD] = encode_time(np.float64(10.0))
    slowdown = np.full((1, N), 2.0)
    np.testing.assert_allclose(completion_s(obs, slowdown), (2.0 + 4.0) * 2.0 + 0.25 + 10.0, rtol=1e-4)
    # Alone it takes 1 + 3 x 0.5 = 2.5 s, so 1.5 s of its service are due to neighbours.
    more = (2.0 + 4.0 + 3.0 * 1.5) * 2.0 + 0.25 + 10.0
    np.testing.assert_allclose(completion_s(obs, slowdown, inflicted_weight=3.0), more, rtol=1e-4)


def test_bandits_overdue_proves_a_slowdown_relative_to_what_the_world_believed():
    obs = observation()
    obs[:, :-1, observe.SLOWDOWN] = ratio_of(1.5)
    obs[:, :-1, observe.OVERDUE] = ratio_of(np.array([0.9, 2.0, 4.0]))
    own = np.full((1, N), 5.0)
    np.testing.assert_allclose(with_overdue(obs, own, 1.0), [[5.0, 5.0, 6.0]], rtol=1e-5)
    np.testing.assert_allclose(with_overdue(obs, own * 0.1, 1.0), [[0.5, 3.0, 6.0]], rtol=1e-5)
    np.testing.assert_allclose(with_overdue(obs, own * 0.1, 0.5), [[0.5, 1.5 * 2**0.5, 3.0]], rtol=1e-5)
    np.testing.assert_array_equal(with_overdue(obs, own, 0.0), own)


def test_bandits_turns_count_earlier_entries_of_the_same_key():
    a, b = np.array([1, 0, 1, 1, 0]), np.array([5, 5, 5, 6, 5])
    assert turns(a, b).tolist() == [0, 0, 1, 0, 1]
    assert turns(np.zeros(0, np.int64)).tolist() == []


# --- estimates by hand ------------------------------------------------------------------------------------------------


def test_bandits_d_ucb_estimate_after_completions_with_discount():
    hand = Hand(DUcb(memory_s=10.0, optimism=0.0, prior_weight=1.0))
    hand.act()
    hand.act(ended=[entry(slowdown=np.e**2)])
    # One sample of residual 2: the node 2 / (1 + 1) = 1, its arm (2 + 1 x 1) / (1 + 1), another model the node's.
    np.testing.assert_allclose(np.log(hand.believed(model=0)), [1.5, 0.0, 0.0])
    np.testing.assert_allclose(np.log(hand.believed(model=1)), [1.0, 0.0, 0.0])
    hand.act(ended=[entry(slowdown=np.e), entry(slowdown=np.e)], dt_s=10.0)
    weight, total = 2.0 + np.exp(-1.0), 2.0 + 2.0 * np.exp(-1.0)
    expected = (total + total / (weight + 1.0)) / (weight + 1.0)
    np.testing.assert_allclose(np.log(hand.believed(model=0)), [expected, 0.0, 0.0])


def test_bandits_d_ucb_padding_is_that_of_the_paper():
    hand = Hand(DUcb(memory_s=1e6, optimism=0.3, prior_weight=1.0))
    hand.act()
    hand.act(ended=[entry(slowdown=1.0)] * 3)
    padding = 0.3 * np.sqrt(np.log(4.0) / np.array([4.0, 1.0, 1.0]))
    np.testing.assert_allclose(np.log(hand.believed()), -padding)


def test_bandits_sw_ucb_window_forgets_by_age_and_by_number():
    hand = Hand(SwUcb(window_s=10.0, optimism=0.0, prior_weight=1.0))
    hand.act()
    hand.act(ended=[entry(slowdown=np.e)])
    hand.act(dt_s=10.0)
    np.testing.assert_allclose(np.log(hand.believed()), [0.75, 0.0, 0.0])
    hand.act(dt_s=0.01)
    np.testing.assert_allclose(np.log(hand.believed()), 0.0)
    hand.act(ended=[entry(slowdown=np.e)] * 3 + [entry(slowdown=1.0)] * WINDOW_SAMPLES)
    np.testing.assert_allclose(np.log(hand.believed()), 0.0)
    hand.act(ended=[entry(slowdown=np.e)])
    assert hand.policy.tally()[0][0, 0, 0] == WINDOW_SAMPLES
    assert hand.policy.tally()[1][0, 0, 0] == 1.0


def test_bandits_linucb_is_the_posterior_of_a_gaussian():
    settings = {"state_sd": 0.5, "offset_sd": 0.3, "slope_sd": 0.0, "noise_sd": 0.1}
    hand = Hand(LinUcb(optimism=0.0, state_memory_s=1e6, offset_memory_s=1e6, **settings))
    hand.act()
    hand.act(ended=[entry(model=0, slowdown=np.e), entry(model=1, slowdown=np.e**0.5)])
    x = np.array([[1, 1, 0, 0, 0], [1, 0, 1, 0, 0]], float)  # state, offsets of four models
    precision = np.diag([1 / 0.25] + [1 / 0.09] * 4) + x.T @ x / 0.01
    mean = np.linalg.solve(precision, x.T @ np.array([1.0, 0.5]) / 0.01)
    for model in range(M):
        wanted = mean[0] + mean[1 + model]
        np.testing.assert_allclose(np.log(hand.believed(model=model)), [wanted, 0.0, 0.0], atol=1e-9)


def test_bandits_linucb_spread_shrinks_with_samples_and_returns_with_time():
    hand = Hand(
        LinUcb(optimism=1.0, state_sd=0.4, offset_sd=0.3, slope_sd=0.0, state_memory_s=5.0, offset_memory_s=5.0)
    )
    hand.act()
    before = np.log(hand.believed())
    np.testing.assert_allclose(before, -0.5)  # sqrt(0.16 + 0.09)
    hand.act(ended=[entry(slowdown=1.0)])
    assert np.log(hand.believed())[0] > -0.2
    hand.act(dt_s=100.0)
    np.testing.assert_allclose(np.log(hand.believed()), before, atol=1e-6)


def test_bandits_thompson_draws_around_the_mean_and_repeats_by_seed():
    def many(seed):
        policy = Thompson(memory_s=1e6, noise=0.3, prior_weight=1.0)
        hand = Hand(policy, rows=4000)
        policy.reset(4000, seed)
        hand.act(row=1)
        hand.act(ended=[entry(slowdown=np.e)] * 3, row=1)
        return np.log(np.stack([hand.believed(row=row) for row in (0, 1)])), policy.believe(
            observation(4000), np.zeros(4000, np.int64)
        )

    (first, draws), (again, same), (other, _) = many(3), many(3), many(4)
    assert (first == again).all() and (draws == same).all()
    assert (first != other).all()
    assert abs(draws[:, 2].mean()) < 3.5 * 0.3 / 4000**0.5
    assert abs(draws[:, 2].std() - 0.3) < 0.02


@pytest.mark.parametrize("policy", [DUcb(), SwUcb(), LinUcb(), Thompson(noise=0.02)], ids=lambda p: type(p).__name__)
def test_bandits_an_arm_that_drifts_is_found_again(policy):
    """Slow, then back at its prior: avoided, then tried again once the evidence is old."""
    hand = Hand(policy)
    hand.act()
    for _ in range(10):
        hand.act(ended=[entry(k, m, 8.0 if k == 0 else 1.2) for k in range(N) for m in range(M)], dt_s=1.0)
    assert hand.believed()[0] > 3.0
    assert hand.act()[0] != 0
    chosen = [int(hand.act(ended=[entry(k, m, 1.2) for k in (1, 2) for m in range(M)], dt_s=5.0)[0]) for _ in range(60)]
    assert 0 in chosen, "never tried again"


# --- memory -----------------------------------------------------------------------------------------------------------

LEARNERS = [DUcb(), SwUcb(), LinUcb()]


@pytest.mark.parametrize("policy", LEARNERS, ids=lambda p: type(p).__name__)
def test_bandits_rows_and_episodes_do_not_leak(policy):
    hand = Hand(policy, rows=2)
    hand.act()
    blank = hand.believed(row=0)
    hand.act(ended=[entry(slowdown=5.0)] * 3, row=1)
    np.testing.assert_allclose(hand.believed(row=0), blank, rtol=0.25)  # D-UCB counts its own row alone
    assert (hand.believed(row=0) == blank).all()
    assert hand.believed(row=1)[0] > 2.0
    hand.act(begun=[False, True], dt_s=0.0)
    np.testing.assert_array_equal(hand.believed(row=1), blank)


@pytest.mark.parametrize("policy", LEARNERS, ids=lambda p: type(p).__name__)
def test_bandits_a_node_that_comes_back_is_a_stranger(policy):
    hand = Hand(policy)
    hand.act()
    blank = hand.believed()[0]
    hand.act(ended=[entry(slowdown=5.0)] * 3)
    gone = observation()
    gone[0, 0, observe.ALIVE] = 0.0
    hand.act(gone, dt_s=1.0)
    assert hand.believed()[0] > 2.0 * blank
    # What it was sent before it left says nothing of it now.
    hand.act(ended=[entry(slowdown=9.0, dispatch_s=0.5)], dt_s=1.0)
    assert hand.believed()[0] == pytest.approx(blank)
    hand.act(ended=[entry(slowdown=9.0, dispatch_s=2.0)], dt_s=1.0)
    assert hand.believed()[0] > 2.0 * blank


@pytest.mark.parametrize("policy", LEARNERS, ids=lambda p: type(p).__name__)
def test_bandits_only_requests_that_were_served_count(policy):
    hand = Hand(policy)
    hand.act()
    blank = hand.believed()
    hand.act(ended=[entry(slowdown=0.0), entry(slowdown=3.0, outcome=DROPPED)])
    np.testing.assert_array_equal(hand.believed(), blank)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in DRAW])
def test_bandits_a_row_of_a_batch_equals_the_world_alone(name):
    together = evaluate([name], seeds=range(3), **SMALL).rows
    alone = [row for seed in range(3) for row in evaluate([name], seeds=[seed], **SMALL).rows]
    assert together == alone


@pytest.mark.parametrize("name", NAMES)
def test_bandits_same_seeds_give_the_same_rows_and_a_policy_can_be_used_again(name):
    policy = make_policy(name)
    policy.name = "same"
    first = evaluate([policy], seeds=range(3), **SMALL).rows
    assert evaluate([policy], seeds=range(3), **SMALL).rows == first


@pytest.mark.parametrize("name", NAMES)
def test_bandits_nothing_illegal_on_random_observations(name):
    """300 observations of noise, with nodes that come and go and completions of anything."""
    rng = np.random.default_rng(1)
    rows, steps = 3, 100
    hand = Hand(make_policy(name), rows)
    for _ in range(steps):
        obs = rng.random((rows, N + 1, N_FEATURES), dtype=np.float32)
        obs[:, :, observe.MODEL] = rng.integers(1, M + 1, (rows, 1)) / M
        obs[:, :, observe.ALIVE] = rng.integers(0, 2, (rows, N + 1))
        mask = rng.random((rows, N + 1)) < 0.4
        mask[:, -1] = True
        ended = [
            entry(node=k % N, model=k % M, slowdown=float(rng.lognormal()), outcome=1 + k % 4, dispatch_s=hand.time_s)
            for k in range(rng.integers(0, 6))
        ]
        choice = hand.act(obs, ended, dt_s=0.1, begun=rng.random(rows) < 0.1, mask=mask, row=int(rng.integers(rows)))
        assert choice.shape == (rows,) and choice.dtype.kind in "iu"
        assert mask[np.arange(rows), choice].all()
        assert ((choice < N) | ~mask[:, :-1].any(axis=1)).all(), "declined though a node was legal"


# --- breaker ----------------------------------------------------------------------------------------------------------


class First:
    """The first legal choice; keeps what it was shown."""

    def reset(self, n_envs, seed):
        self.seen = []

    def act(self, obs, action_mask, context):
        self.seen.append((obs.copy(), action_mask.copy()))
        return action_mask.argmax(axis=1)


def breaker(**settings):
    policy = Breaker(overdue_limit=4.0, slowdown_limit=4.0, base_s=10.0, **settings)
    policy.wrap(First())
    return Hand(policy)


def overdue(*ratios):
    obs = observation(nodes=len(ratios))
    obs[0, :-1, observe.OVERDUE] = ratio_of(np.array(ratios))
    return obs


def test_bandits_breaker_ejects_an_overdue_node_for_the_base_time_and_longer_the_next_time():
    hand = breaker(max_ejected=0.5)
    assert hand.act(overdue(3.9, 1, 1, 1)).tolist() == [0]
    assert hand.act(overdue(4.1, 1, 1, 1)).tolist() == [1]
    assert hand.act(overdue(1, 1, 1, 1), dt_s=9.9).tolist() == [1]
    assert hand.act(overdue(1, 1, 1, 1), dt_s=0.2).tolist() == [0]
    assert hand.act(overdue(9, 1, 1, 1)).tolist() == [1]
    assert hand.act(overdue(1, 1, 1, 1), dt_s=19.9).tolist() == [1], "twice the base time"
    assert hand.act(overdue(1, 1, 1, 1), dt_s=0.2).tolist() == [0]
    hand.act(overdue(1, 1, 1, 1), dt_s=100.0)
    assert hand.act(overdue(9, 1, 1, 1)).tolist() == [1]
    assert hand.act(overdue(1, 1, 1, 1), dt_s=10.1).tolist() == [0], "forgiven after a long quiet time"


def test_bandits_breaker_ejects_no_more_than_the_limit_and_the_worst_first():
    hand = breaker(max_ejected=0.5)
    hand.act(overdue(5, 6, 7, 8))
    assert hand.policy._policy.seen[-1][1][0].tolist() == [True, True, False, False, True]
    hand.act(overdue(50, 60, 1, 1), dt_s=1.0)
    assert hand.policy._policy.seen[-1][1][0].tolist() == [True, True, False, False, True], "no room for more"
    one = breaker(max_ejected=0.0)
    one.act(overdue(5, 6, 7, 8))
    assert one.policy._policy.seen[-1][1][0].tolist() == [True, True, True, False, True], "always at least one"


def test_bandits_breaker_ejects_what_answers_slowly():
    hand = breaker()
    hand.act(overdue(1, 1, 1, 1))
    assert hand.act(overdue(1, 1, 1, 1), ended=[entry(node=0, slowdown=9.0)]).tolist() == [0]
    assert hand.act(overdue(1, 1, 1, 1), ended=[entry(node=0, slowdown=9.0)]).tolist() == [1]


def test_bandits_breaker_never_leaves_nothing_to_choose():
    hand = breaker(max_ejected=1.0)
    mask = np.array([[True, True, False, False, True]])
    assert hand.act(overdue(9, 9, 9, 9), mask=mask).tolist() == [0]


def test_bandits_breaker_soft_ejection_and_slow_start_raise_expected_times():
    hand = breaker(ejection="penalty", penalty=3.0, start_s=4.0, start_penalty=5.0)

    def shown(obs, dt_s):
        hand.act(obs, dt_s=dt_s)
        seen, mask = hand.policy._policy.seen[-1]
        assert mask.all()
        np.testing.assert_array_equal(seen[0, 1:], obs[0, 1:])
        return float(decode_time(seen[0, 0, observe.SERVICE]))

    assert shown(overdue(1, 1, 1, 1), 0.0) == pytest.approx(1.0, rel=1e-4)
    assert shown(overdue(9, 1, 1, 1), 1.0) == pytest.approx(3.0, rel=1e-4)
    assert shown(overdue(1, 1, 1, 1), 10.0) == pytest.approx(5.0, rel=1e-4)
    assert shown(overdue(1, 1, 1, 1), 2.0) == pytest.approx(1 / (0.5 + 0.5 / 5.0), rel=1e-4)
    assert shown(overdue(1, 1, 1, 1), 2.1) == pytest.approx(1.0, rel=1e-4)


def test_bandits_breaker_that_never_trips_changes_nothing():
    quiet = Breaker(overdue_limit=1e6, slowdown_limit=1e6)
    quiet.wrap(SectWatchdog())
    plain = SectWatchdog()
    quiet.name, plain.name = "quiet", "plain"
    rows = evaluate([quiet, plain], seeds=range(3), **SMALL).rows
    assert [{**row, "policy": ""} for row in rows[:3]] == [{**row, "policy": ""} for row in rows[3:]]


def test_bandits_breaker_refuses_an_oracle():
    with pytest.raises(EdgeGymInputError, match="not privileged"):
        Breaker("oracle")


# --- production routers -----------------------------------------------------------------------------------------------


def test_bandits_latency_list_takes_the_least_time_a_unit_after_trying_all():
    hand = Hand(LatencyList())
    tried = set()
    hand.act()
    for k in range(N):
        choice = int(hand.act(ended=[entry(node=j, took_s=1.0 + j, units=2) for j in range(k)])[0])
        assert choice >= k, "nodes without a sample come first"
        tried.add(choice)
    samples = [entry(node=0, took_s=9.0, units=3), entry(node=1, took_s=2.0), entry(node=2, took_s=4.0, units=1)]
    hand = Hand(LatencyList(ttl_s=100.0))
    hand.act()
    assert {int(hand.act(ended=samples)[0]) for _ in range(20)} == {1}
    hand.policy.buffer = 0.6  # node 0 took 3 s a unit: within 1.6 x 2 s
    assert {int(hand.act()[0]) for _ in range(50)} == {0, 1}
    assert {int(hand.act(observation(model=1))[0]) for _ in range(50)} == {0, 1, 2}, "each model has its own list"
    assert {int(hand.act(dt_s=60.0)[0]) for _ in range(50)} == {0, 1, 2}, "samples are forgotten with time"


def test_bandits_latency_list_cools_down_a_node_that_comes_back():
    hand = Hand(LatencyList(cooldown_s=5.0))
    gone = observation()
    gone[0, 0, observe.ALIVE] = 0.0
    hand.act(gone)
    assert {int(hand.act()[0]) for _ in range(50)} == {1, 2}
    assert {int(hand.act(dt_s=6.0)[0]) for _ in range(50)} == {0, 1, 2}


def test_bandits_headroom_packs_or_spreads_within_the_objective():
    obs = observation()
    obs[:, :, observe.SLACK] = 1.0
    obs[:, -1, observe.WAIT] = encode_time(np.float64(20.0))  # two deadlines of 10 s, of which 3 s for the first unit
    obs[:, :-1, observe.WAIT] = encode_time(np.array([0.5, 1.5, 2.5]))
    packed, spread = (Hand(Headroom(strategy=s, first_share=0.3, explore=0.0)) for s in ("least", "most"))
    assert packed.act(obs).tolist() == [1], "node 2 would answer after 3.5 s"
    assert spread.act(obs).tolist() == [0]
    obs[:, :-1, observe.WAIT] = encode_time(np.array([5.0, 4.0, 6.0]))
    assert packed.act(obs).tolist() == [1], "the least late"
    obs[:, :-1, observe.WAIT] = encode_time(np.array([0.5, 1.5, 2.5]))
    explorer = Hand(Headroom(first_share=0.3, explore=0.3))
    chosen = [int(explorer.act(obs)[0]) for _ in range(400)]
    assert 80 < chosen.count(2) < 160, "three in ten go to the node without headroom"


def test_bandits_dynamo_weighs_prefill_against_outstanding_work():
    obs = observation()
    obs[:, :-1, observe.FIRST] = encode_time(np.array([1.0, 2.0, 3.0]))
    obs[:, :-1, observe.BACKLOG] = encode_time(np.array([9.0, 7.5, 7.0]))
    assert Hand(Dynamo()).act(obs).tolist() == [1]
    assert Hand(Dynamo(prefill_weight=0.1)).act(obs).tolist() == [2]
    assert Hand(Dynamo(prefill_weight=2.0)).act(obs).tolist() == [0]
    warm = Hand(Dynamo(temperature=0.5))
    chosen = np.bincount([int(warm.act(obs)[0]) for _ in range(2000)], minlength=N)[:N]
    shares = np.exp(-np.array([10.0, 9.5, 10.0]) / 0.5)
    np.testing.assert_allclose(chosen / 2000, shares / shares.sum(), atol=0.04)


# --- settings ---------------------------------------------------------------------------------------------------------


def test_bandits_settings_file_holds_settings_of_the_classes_and_where_they_come_from():
    file = tuned.read_settings()
    for name, settings in file["settings"].items():
        cls = tuned.CLASSES[name]
        assert set(settings) <= {field.name for field in fields(cls)}
        cls(**settings)
        assert file["found_by"][name]["command"].startswith("python scripts/tune_baselines.py")
        assert file["found_by"][name]["tuned"] <= file["found_by"][name]["published"]
    assert set(file["settings"]) == set(tuned.CLASSES)


def test_bandits_registered_policies_have_the_settings_of_the_file(monkeypatch):
    for name, cls in tuned.CLASSES.items():
        policy = make_policy(name)
        assert type(policy) is cls
        assert {key: getattr(policy, key) for key in tuned.settings_of(name)} == tuned.settings_of(name)
    monkeypatch.setattr(tuned, "read_settings", lambda: {"settings": {"d_ucb": {"memory_s": 4.5}}})
    assert make_policy("d_ucb").memory_s == 4.5
    assert tuned.d_ucb(memory_s=6.0).memory_s == 6.0
    assert DUcb().memory_s == 20.0


def test_bandits_breaker_by_name():
    assert type(make_policy("breaker:sect_static")._policy) is SectStatic
    assert type(make_policy("sect_breaker")._policy) is SectWatchdog
    with pytest.raises(EdgeGymInputError, match="one of"):
        make_policy("breaker:nobody")


@pytest.mark.parametrize(
    ("cls", "setting", "value"),
    [(DUcb, "memory_s", 0.0), (Thompson, "noise", -1.0), (LinUcb, "noise_sd", np.nan), (Headroom, "strategy", "some"),
     (Breaker, "max_ejected", 1.5), (LatencyList, "ttl_s", "1"), (SectWatchdog, "overdue_power", -0.1)],
)  # fmt: skip
def test_bandits_settings_out_of_range_are_refused_by_name(cls, setting, value):
    with pytest.raises(EdgeGymInputError, match=setting):
        cls(**{setting: value})


def test_bandits_tuning_gives_every_policy_the_same_budget_and_resumes(tmp_path, monkeypatch, capsys):

    script = load_script("tune_baselines")
    out, cache = tmp_path / "settings.json", tmp_path / "cache.json"
    command = ["--policies", "sect_ewma,d_ucb", "--scenarios", "toy2", "--draws", "4", "--episodes", "2"]
    assert script.main([*command, "--out", str(out), "--cache", str(cache)]) == 0
    first, scores = out.read_text(), json.loads(cache.read_text())
    assert set(json.loads(first)["settings"]) == {"sect_ewma", "d_ucb"}
    assert len(scores) == 1 + 2 * 4
    monkeypatch.setattr(script.edge_gym, "evaluate", None)  # nothing is evaluated twice
    assert script.main([*command, "--out", str(out), "--cache", str(cache)]) == 0
    assert out.read_text() == first
    assert "sect_ewma" in capsys.readouterr().out
