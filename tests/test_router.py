"""The fast path: recursive least squares against numpy, costs by hand, what running responses show, and its picks."""

import math
from dataclasses import replace

import numpy as np
import pytest
from helpers import SECOND, Game, RandomLegal, queue_scenario
from test_by_hand import one_node
from test_regimes import rough

from edge_gym.devices import ModelType, Service
from edge_gym.kernel import observe
from edge_gym.kernel._jit import jit
from edge_gym.kernel.build import World
from edge_gym.kernel.observe import decode_ratio, decode_time
from edge_gym.kernel.router import PRIOR_P, PRIOR_SIGMA, estimate, fit, forget_model, router_cost, transient
from edge_gym.kernel.tables import CAUTION, CLOSED, NONE, OPEN, PAIR, Params
from edge_gym.scenario import Change, Law, Router, Telemetry, Workload
from edge_gym.scenario.presets import preset

FIELDS = ("first_ratio", "unit_ratio", "p_first", "p_cross", "p_unit")


# --- recursive least squares ------------------------------------------------------------------------------------------


@jit
def run_fit(pairs, shares, measured, forgetting, found):
    """Feeds reports to a new performance model; keeps its figures after each."""
    forget_model(pairs[0])
    for k in range(shares.shape[0]):
        fit(pairs[0], shares[k], measured[k], forgetting)
        found[k, 0] = pairs[0]["first_ratio"]
        found[k, 1] = pairs[0]["unit_ratio"]
        found[k, 2] = pairs[0]["p_first"]
        found[k, 3] = pairs[0]["p_cross"]
        found[k, 4] = pairs[0]["p_unit"]


def fitted(shares, measured, forgetting):
    found = np.zeros((len(shares), len(FIELDS)))
    run_fit(np.zeros(1, PAIR), np.asarray(shares, float), np.asarray(measured, float), float(forgetting), found)
    return found


def least_squares(shares, measured, forgetting, bound=PRIOR_P):
    """The textbook's recursion in matrices, with the eigenvalues of the covariance held at the prior's."""
    theta, p, found = np.ones(2), np.eye(2) * PRIOR_P, []
    for share, value in zip(shares, measured, strict=True):
        phi = np.array([share, 1 - share])
        gain = p @ phi / (forgetting + phi @ p @ phi)
        theta = theta + gain * (value - phi @ theta)
        p = (p - np.outer(gain, phi @ p)) / forgetting
        values, vectors = np.linalg.eigh(p)
        p = (vectors * np.minimum(values, bound)) @ vectors.T
        found.append((*theta, p[0, 0], p[0, 1], p[1, 1]))
    return np.array(found)


@pytest.mark.parametrize("forgetting", [1.0, 0.99, 0.9, 0.8])
def test_reports_are_fitted_by_recursive_least_squares(forgetting):
    for seed in range(20):
        rng = np.random.default_rng([1, seed])
        shares, measured = rng.random(150), np.exp(rng.normal(0.3, 0.1, 150))
        found, theory = fitted(shares, measured, forgetting), least_squares(shares, measured, forgetting)
        np.testing.assert_allclose(found, theory, rtol=1e-8, atol=1e-9)
        if forgetting == 1:  # nothing is bounded then, so it is ridge regression towards the prior
            phi = np.c_[shares, 1 - shares]
            ridge = np.linalg.solve(phi.T @ phi + np.eye(2) / PRIOR_P, phi.T @ measured + np.ones(2) / PRIOR_P)
            np.testing.assert_allclose(found[-1, :2], ridge, rtol=1e-9)


def test_first_reports_by_hand():
    """P = 4 I. A report on the first unit alone, 2 times the prior: gain 4 / (1 + 4), ratio 1 + 0.8, P 4 - 16 / 5."""
    found = fitted([1.0, 0.0], [2.0, 3.0], 1.0)
    assert found[0] == pytest.approx([1.8, 1.0, 0.8, 0.0, 4.0])
    assert found[1] == pytest.approx([1.8, 2.6, 0.8, 0.0, 0.8])


@pytest.mark.parametrize("forgetting", [1.0, 0.95])
def test_the_true_ratios_are_found_and_followed(forgetting):
    rng = np.random.default_rng(4)
    shares = rng.random(600)
    early, late = np.array([1.7, 0.6]), np.array([0.8, 5.0])
    truth = np.where(np.arange(600)[:, None] < 300, early, late)
    measured = (np.c_[shares, 1 - shares] * truth).sum(axis=1) * np.exp(rng.normal(0, 0.02, 600))
    found = fitted(shares, measured, forgetting)[:, :2]
    assert np.abs(found[299] / early - 1).max() < 0.03
    off = np.abs(found[-1] / late - 1).max()
    assert off < 0.03 if forgetting < 1 else off > 0.2


@pytest.mark.parametrize("share", [0.0, 1.0, 0.3, None])
def test_without_excitation_nothing_winds_up(share):
    """100,000 reports that tell one mixture only, some of them absurd; then the model can still learn."""
    rng = np.random.default_rng(7)
    n = 100_000
    shares = rng.integers(0, 2, n).astype(float) if share is None else np.full(n, share)
    measured = np.where(rng.random(n) < 0.01, rng.choice([0.0, 1e9], n), np.exp(rng.normal(0, 0.3, n)))
    informative = rng.random(200)
    after = informative * 2.0 + (1 - informative) * 3.0
    found = fitted(np.r_[shares, informative], np.r_[measured, after], 0.9)
    first, cross, unit = found[:, 2:].T
    assert np.isfinite(found).all()
    assert (found[:, :2] >= 0.05).all() and (found[:, :2] <= 100).all()
    assert min(first.min(), unit.min()) > 0 and max(first.max(), unit.max()) <= PRIOR_P * (1 + 1e-12)
    assert (np.abs(cross) <= np.sqrt(first * unit) * (1 + 1e-12)).all()
    if share is not None:
        # Of what is never told, nothing is known; of what is told again and again, much.
        told = np.array([share, 1 - share]) / math.hypot(share, 1 - share)
        p = found[n - 1, [2, 3, 3, 4]].reshape(2, 2)
        assert np.linalg.eigvalsh(p)[1] == pytest.approx(PRIOR_P) and told @ p @ told < 0.25
    assert found[-1, :2] == pytest.approx([2.0, 3.0], rel=1e-3)


# --- estimate, transient and cost by hand -----------------------------------------------------------------------------


@jit
def run_estimate(worlds, nodes, pairs, first_s, units_s, out):
    out[0], out[1] = estimate(worlds[0], nodes[0], pairs[0], first_s, units_s)


@jit
def run_transient(pairs, nodes, m, stream, now, out):
    out[0] = transient(pairs, nodes[0], m, stream, now)


@jit
def run_cost(params, worlds, nodes, figures, out):
    ratio, sigma, overdue, wait_s, served_s, inflicted_s, other_s = figures
    out[0] = router_cost(params, worlds[0], nodes[0], ratio, sigma, overdue, wait_s, served_s, inflicted_s, other_s)


class Tables:
    """One world's rows of the tables, to be filled by hand."""

    def __init__(self, **router):
        world = World(queue_scenario(1.0, router=Router(**router)))
        self.params: Params = world.params
        self.state = state = world.allocate(1)
        self.world, self.node, self.pair = state.world, state.node[0], state.pair[0, 0]
        self.world["exploration"], self.world["forgetting"] = (
            world.params.rules[0][k] for k in ("exploration", "forgetting")
        )
        self.node["slowdown"], self.node["stream_model"], self.node["evidence_ns"] = 1.0, NONE, -1
        self.node["trend"], self.node["trend_s"] = 1.0, world.params.rules[0]["trend_s"]
        self.pair["first_ratio"] = self.pair["unit_ratio"] = 1.0
        self.pair["p_first"] = self.pair["p_unit"] = PRIOR_P
        self.out = np.zeros(2)

    def estimate(self, first_s, units_s):
        run_estimate(self.world, self.node, self.pair, first_s, units_s, self.out)
        return tuple(self.out.tolist())

    def cost(self, *figures):
        run_cost(self.params, self.world, self.node, tuple(float(f) for f in figures), self.out)
        return float(self.out[0])


def test_estimate_by_hand():
    tables = Tables(forgetting=0.99)
    tables.node["slowdown"] = 1.5  # that other models were slow here says nothing of this one
    # Nothing is known: the prior. Of two ratios of sigma 0.5 each, mixed by 1 to 3: 0.5 sqrt(1 + 9) / 4.
    assert tables.estimate(1.0, 3.0) == pytest.approx((1.0, 0.5 * math.sqrt(10) / 4))
    assert tables.estimate(0.0, 3.0) == (1.0, PRIOR_SIGMA)
    tables.pair["evidence"], tables.node["evidence_ns"] = 1, 0
    for field, value in zip(FIELDS, (2.0, 3.0, 0.8, -0.2, 1.6), strict=True):
        tables.pair[field] = value
    # A quarter of the work lies before the first unit: 2 / 4 + 3 x 3 / 4; variance (0.8 - 6 x 0.2 + 9 x 1.6) / 16.
    variance = (0.8 - 1.2 + 14.4) / 16
    ratio, sigma = tables.estimate(1.0, 3.0)
    assert (ratio, sigma) == pytest.approx((2.75, 0.5 * math.sqrt(variance / 4)))
    # Every second of silence is as one report forgotten, 0.01; the prior is the most that can be unknown.
    for idle_s in (10.0, 100.0):
        tables.world["now_ns"] = idle_s * SECOND
        assert tables.estimate(1.0, 3.0)[1] == pytest.approx(0.5 * math.sqrt((variance + 0.01 * idle_s) / 4))
    tables.world["now_ns"] = 10_000 * SECOND
    assert tables.estimate(1.0, 3.0)[1] == PRIOR_SIGMA
    tables.world["forgetting"] = 1.0
    assert tables.estimate(1.0, 3.0)[1] == pytest.approx(sigma)  # who forgets nothing grows no doubts


def test_uncertainty_falls_with_evidence():
    rng = np.random.default_rng(2)
    found = fitted(rng.random(50), np.ones(50), 1.0)
    for share in (0.0, 0.5, 1.0):
        variance = share**2 * found[:, 2] + 2 * share * (1 - share) * found[:, 3] + (1 - share) ** 2 * found[:, 4]
        assert (np.diff(variance) < 0).all() and variance[-1] < 0.1 * PRIOR_P


def test_transient_by_hand():
    """What a stream shows is set against what is known of the model that streams, not of the one in question.

    Where no stream says anything, what was seen last counts: 4 times slower at 0 s, believed for 8 s, is 1 + 3 / 2^2 at
    8 s and 1 + 3 / 4^2 at 24 s.
    """
    pairs, nodes, out = np.zeros(2, PAIR), Tables(trend_s=8.0).node, np.zeros(1)
    pairs["unit_ratio"], pairs["evidence"] = (2.0, 1.0), (3, 0)

    def shown(m, stream, streaming=0, now_s=0):
        nodes["stream_model"] = streaming
        run_transient(pairs, nodes, m, stream, now_s * SECOND, out)
        return out[0]

    assert shown(0, 0.0) == shown(1, 0.0, NONE) == 1.0
    nodes["trend"] = 4.0
    assert [shown(0, 0.0, NONE, now_s) for now_s in (0, 8, 24)] == pytest.approx([4.0, 1.75, 1.1875])
    assert shown(0, 6.0) == shown(1, 6.0) == 3.0  # three times slower than known: the node, so for both
    assert shown(1, 2.0) == 1.0  # its own software factor, known: no sign of trouble for the other
    assert shown(1, 8.0, streaming=1) == 8.0  # nothing known of model 1: against its prior
    assert shown(0, 8.0, 1, now_s=8) == pytest.approx(1.75)  # it may be the factor of model 1, so it says nothing of 0


def test_cost_by_hand_with_every_term():
    """Service 3 s prior, 1.2 times that by estimate, 0.4 unsure, explored by half: 3.6 (1 - 0.2) = 2.88 s.

    Wait 2 s prior, 1.2 times that: 2.4 s. Others delayed by 0.7 s, weight 2: 2 x 0.7 x 1.2 = 1.68 s. Overdue 1.3 times:
    1.3 x 6.96 = 9.048 s; network and load 0.25 s.
    """
    tables = Tables(exploration=0.5, congestion=2.0, caution_s=1.75)
    figures = (1.2, 0.4, 1.3, 2.0, 3.0, 0.7, 0.25)
    assert tables.cost(*figures) == pytest.approx(9.298)
    tables.node["gate"] = CAUTION
    assert tables.cost(*figures) == pytest.approx(9.298 + 1.75)
    tables.node["gate"] = CLOSED
    assert tables.cost(*figures) > 1e5
    tables.node["gate"] = OPEN
    tables.world["exploration"] = 10.0  # optimism ends at a tenth
    assert tables.cost(*figures) == pytest.approx((2.4 + 0.36 + 1.68) * 1.3 + 0.25)
    tables.world["exploration"] = 0.0  # greedy: doubt does not count
    assert (
        tables.cost(*figures) == tables.cost(1.2, 0.0, *figures[2:]) == pytest.approx((2.4 + 3.6 + 1.68) * 1.3 + 0.25)
    )


def shown_s(game, column, n=0):
    return float(decode_time(game.obs[0, n, column]))


def test_cost_in_a_world_by_hand(tmp_path):
    """One node of two slots, 4 s of work, gain 2, 30 ms there and back; nothing measured, so sigma is 0.5.

    At 0 s: 4 x (1 - 0.1 x 0.5) = 3.8 s and the network. At 1 s the first has 3 s left, each slows the other by half
    while both run: 4 + 1.5 = 5.5 s, and 1.5 s inflicted, weight 3.
    At 6 s, the second declined, nothing has come back on a node of a tenth of its speed: the first was expected in
    4.03 s. By the prior nothing is left of it, so no crowding; 6 / 4.03 = 1.49 overdue.
    Were the node known to be slow, the two would not add up, as one may be the other: 3 times slower is 3, and 1.2
    times slower is 1.49. Were it known to be twice as fast, that would be half of 1.49.
    """
    model, service = ModelType(name="a", weights_bytes=1), Service(device="node", model="a", per_unit_s=4.0, gain=2.0)
    scenario = one_node(
        tmp_path, [0, 1, 6], (model,), (service,), slots=2, network=(0.005, 0.005, 1e12),
        router=Router(congestion=3.0), timeline=(Change(time_s=0.0, node=0, what="speed", value=0.1),),
    )  # fmt: skip
    game = Game(scenario, [0])
    cost = observe.ROUTER_COST
    assert shown_s(game, cost) == pytest.approx(3.8 + 0.03, rel=1e-5)
    game.step(0)
    assert shown_s(game, cost) == pytest.approx(5.5 * 0.95 + 3 * 1.5 + 0.03, rel=1e-5)
    game.step(1)
    assert shown_s(game, cost) == pytest.approx(3.8 * 6 / 4.03 + 0.03, rel=1e-5)
    for trend, factor in ((3.0, 3.0), (1.2, 6 / 4.03), (0.5, 0.5 * 6 / 4.03)):
        obs = seen_with(game, trend=trend, trend_ns=6 * SECOND)
        assert decode_time(obs[0, 0, cost]) == pytest.approx(3.8 * factor + 0.03, rel=1e-5), trend


# --- what running responses show --------------------------------------------------------------------------------------


@pytest.mark.parametrize("age_s", [0.0, 0.2])
def test_streams_by_hand(age_s, tmp_path):
    """A response of 100 ms a token: nominal until 2 s, then a quarter of the speed until 4 s, then nominal.

    Its first token comes at 0.5 s, and one token later the ratio shows: 1. At 2 s the node slows down: until a token is
    overdue that stays; then the time without one shows, 0.3 s for 0.1 s is 3; after 0.4 s the slow token is there, 4.
    At 4 s the next gap is nominal.
    """
    truth = [
        (0.45, 0.0), (0.55, 0.0), (0.65, 1.0), (1.95, 1.0), (2.05, 1.0), (2.2, 2.0), (2.3, 3.0), (2.45, 4.0),
        (3.9, 4.0), (4.05, 4.0), (4.15, 1.0), (5.0, 1.0),
    ]  # fmt: skip
    model = ModelType(name="llm", kind="llm", weights_bytes=1)
    service = Service(device="node", model="llm", first_s=0.5, per_unit_s=0.1)
    rows = [(0.0, 0, 60), *((time_s + age_s, 0, 1) for time_s, _ in truth)]
    changes = tuple(Change(time_s=t, node=0, what="speed", value=v) for t, v in ((2.0, 0.25), (4.0, 1.0)))
    scenario = one_node(tmp_path, rows, (model,), (service,), timeline=changes, telemetry=Telemetry(age_s=age_s))
    game = Game(scenario, [0])
    game.step(0)
    for time_s, ratio in truth:
        assert game.batch.time_s[0] == pytest.approx(time_s + age_s)
        stream = game.column(observe.STREAM)
        assert stream == pytest.approx(ratio / (1 + ratio), rel=1e-4), time_s
        game.step(game.decline)


def test_a_stream_corrects_the_cost_of_its_node(tmp_path):
    """The same work on the same node costs four times as much while its stream shows a quarter of the speed."""
    model = ModelType(name="llm", kind="llm", weights_bytes=1)
    service = Service(device="node", model="llm", per_unit_s=0.1, gain=1e6)
    rows = [(0.0, 0, 400), (1.0, 0, 1), (3.0, 0, 10), (3.001, 0, 10)]
    costs = []
    for speed in (1.0, 0.25):
        change = Change(time_s=2.0, node=0, what="speed", value=speed)
        game = Game(one_node(tmp_path, rows, (model,), (service,), slots=2, timeline=(change,)), [0])
        game.step(0)
        game.step(0)
        costs.append(shown_s(game, observe.ROUTER_COST))
    # One report is in, that of the short request at nominal speed: ratio 1 for both; the stream says the rest.
    assert costs[1] == pytest.approx(4 * costs[0], rel=1e-3)


def test_reports_of_one_model_leave_the_estimate_of_the_other_alone():
    """The node slows down for good; only one model is asked for from then on."""
    scenario = two_models(("a", "b"))
    game, before, moved = Game(scenario, range(3)), None, 0
    while not game.over.all():
        state = game.batch.state
        subject = state.job[game.rows, np.maximum(state.world["subject"], 0)]
        late = state.world["now_ns"] > 30 * SECOND
        sends = ~late | (subject["model"] == 0)
        if late.all() and not state.node["seen"].any():
            if before is None:
                before = state.pair[:, 0].copy()
            for field in (*FIELDS, "slowdown", "evidence"):
                assert (state.pair[:, 0, 1][field] == before[:, 1][field]).all(), field
                moved += int((state.pair[:, 0, 0][field] != before[:, 0][field]).sum())
        game.advance(np.where(sends & game.batch.mask[:, 0], 0, game.decline))
    assert before is not None and (before["evidence"] > 3).all() and moved > 100


def two_models(names):
    return queue_scenario(
        2.0,
        models=tuple(ModelType(name=m, weights_bytes=1) for m in names),
        services=tuple(Service(device="server", model=m, first_s=0.02, per_unit_s=1e-4) for m in names),
        workloads=tuple(Workload(model=m, prompt_tokens=Law(), units=Law(mean=1000), deadline_s=1e6) for m in names),
        timeline=(Change(time_s=30.0, node=0, what="speed", value=0.3),),
        n_requests=300,
    )


# --- picks ------------------------------------------------------------------------------------------------------------


def costs_of(obs):
    return decode_time(obs[:, :-1, observe.ROUTER_COST])


@pytest.mark.parametrize("name", ["mixed", "rough", "metro"])
def test_the_pick_is_legal_and_of_least_cost(name):
    scenario = {
        "mixed": lambda: preset("mixed").with_overrides(n_requests=150),
        "rough": rough,
        "metro": lambda: preset("metro64").with_overrides(n_nodes=32, n_requests=150),
    }[name]()
    game, choose, picks, dark = Game(scenario, range(4)), RandomLegal(range(4), declines=0.3), 0, 0
    while not game.over.all():
        mask, obs = game.batch.mask, game.obs
        pick = obs[:, :, observe.ROUTER]
        live = np.flatnonzero(~game.over)
        assert (pick[live].sum(axis=1) == 1.0).all() and np.isin(pick[live], (0, 1)).all()
        costs = np.where(mask[:, :-1], costs_of(obs), np.inf)
        for b in live:
            choice = int(pick[b].argmax())
            assert mask[b, choice]
            if mask[b, :-1].any():
                assert choice < mask.shape[1] - 1 and costs[b, choice] <= costs[b].min() * (1 + 1e-5)
                picks += 1
            else:
                dark += choice == mask.shape[1] - 1
        explore = choose(obs, mask)
        game.advance(np.where(np.arange(4) % 2, explore, pick.argmax(axis=1)))
        assert (game.obs[game.over][:, :, observe.ROUTER].sum(axis=1) <= 1).all()
    assert picks > 300 and (dark >= 0)


def seen_with(game, **node_fields):
    """The observation of the pending decision after a change of the node table, which is put back."""
    state, obs = game.batch.state, game.batch.empty_obs()
    kept = state.node.copy()
    for field, values in node_fields.items():
        state.node[field] = values
    game.batch.observe(np.ones(len(game.over), bool), obs)
    state.node[...] = kept
    return obs


def test_gates_in_a_world():
    game, choose = (
        Game(preset("stationary").with_overrides(n_nodes=4, n_requests=60, caution_s=3.0), [1]),
        RandomLegal([1]),
    )
    closed_picks = 0
    while not game.over.all():
        costs = costs_of(seen_with(game, gate=OPEN))[0]
        careful = costs_of(seen_with(game, gate=[[OPEN, CAUTION, OPEN, OPEN]]))[0]
        # single precision on a logarithmic scale
        assert careful[1] == pytest.approx(costs[1] + 3.0, rel=2e-5)
        assert (careful[[0, 2, 3]] == costs[[0, 2, 3]]).all()
        legal = game.batch.mask[0, :-1]
        for closed in ([0], [1, 3], [0, 1, 2], [0, 1, 2, 3]):
            gates = [CLOSED if n in closed else OPEN for n in range(4)]
            pick = int(seen_with(game, gate=[gates])[0, :, observe.ROUTER].argmax())
            open_nodes = [n for n in range(4) if n not in closed and legal[n]]
            if open_nodes:
                assert pick == min(open_nodes, key=lambda n: costs[n])
            else:
                assert legal[pick] and pick in closed
                closed_picks += 1
        game.advance(choose(game.obs, game.batch.mask))
    assert closed_picks > 50


def test_without_exploration_doubt_does_not_count():
    for exploration in (0.0, 1.0):
        scenario = preset("stationary").with_overrides(n_nodes=6, n_requests=60, bias_sigma=0.3)
        game = Game(replace(scenario, router=Router(exploration=exploration)), range(3))
        choose, lower = RandomLegal(range(3)), 0
        while not game.over.all():
            live = ~game.over
            obs, sure = game.obs, game.batch.empty_obs()
            kept = game.batch.state.pair.copy()
            for field in ("p_first", "p_cross", "p_unit"):
                game.batch.state.pair[field] = 0.0
            game.batch.state.world["forgetting"] = 1.0
            game.batch.observe(np.ones(3, bool), sure)
            game.batch.state.world["forgetting"] = 0.99
            game.batch.state.pair[...] = kept
            known = (obs[:, :-1, observe.EVIDENCE] > 0) & live[:, None]
            assert (sure[:, :-1][known][:, observe.UNCERTAINTY] == 0).all()
            assert (obs[:, :-1][known][:, observe.UNCERTAINTY] > 0).all()
            if exploration == 0:
                assert (costs_of(sure)[live] == costs_of(obs)[live]).all()
            else:
                assert (costs_of(sure)[known] > costs_of(obs)[known]).all()
            lower += int(known.sum())
            game.advance(choose(game.obs, game.batch.mask))
        assert lower > 300


def test_uncertainty_in_a_world_falls_and_grows():
    """The first report of a model on a node makes it surer; minutes of silence make it unsure again.

    Before it, the ratios of the two parts of the work are unknown by themselves: their mean is less so, at best by 0.7.
    """
    scenario = preset("stationary").with_overrides(n_nodes=2, n_requests=80, rate_per_s=0.04, forgetting=0.95)
    game = Game(scenario, [3])
    seen = {}
    while not game.over.all():
        for n in range(2):
            model, evidence = game.column(observe.MODEL, n), game.column(observe.EVIDENCE, n)
            doubt, age = game.column(observe.UNCERTAINTY, n), shown_s(game, observe.EVIDENCE_AGE, n)
            assert (doubt > 0.7) if evidence == 0 else (doubt < 0.7 or age > 20)
            seen.setdefault((n, model), []).append((evidence, doubt, age))
        game.step(0 if game.batch.mask[0, 0] else game.decline)
    ratios = decode_ratio(game.obs[:, :-1, observe.SLOWDOWN])
    assert np.isfinite(ratios).all()
    known = [(doubt, age) for (n, _), some in seen.items() if n == 0 for evidence, doubt, age in some if evidence > 0]
    fresh, stale = [d for d, age in known if age < 10], [d for d, age in known if age > 60]
    assert len(fresh) > 2 and len(stale) > 2 and max(fresh) < min(stale)
