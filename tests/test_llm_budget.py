"""Budgets and the circuit breaker: rows LF-34 and LF-35, and what an endpoint that keeps failing costs."""

import pytest
from edge_baselines.llm.breaker import Breaker
from edge_baselines.llm.budget import Budget, BudgetLimits, Limits, believed
from edge_baselines.llm.completions import upper_bound_tokens
from edge_baselines.llm.settings import LlmSettings
from edge_baselines.llm.stub.faults import GOOD, fault
from edge_baselines.llm.stub.in_process import InProcess
from edge_baselines.llm.stub.plays import rules, scripted
from llm_toys import ask, body, counted, make_advisor, situation

from edge_gym.errors import EdgeGymInputError

PRICED = {"price_in": 1e-6, "price_out": 2e-6, "allow_unpriced": False}


def limits(**scopes):
    return BudgetLimits(**{name: Limits(**limit) for name, limit in scopes.items()})


@pytest.mark.parametrize("scope", ["decision", "episode", "run"])
@pytest.mark.parametrize("calls", [0, 1, 2, 3])
def test_LF_34_calls_are_never_overshot(scope, calls):
    client = InProcess(fault("prose"))
    advisor = make_advisor(client, limits=limits(**{scope: {"calls": calls}}), corrective_turns=6)
    decision = ask(advisor)
    assert decision.fault == "budget" and decision.reason == f"{scope}.calls" and len(client.requests) == calls
    assert decision.plan is None and counted(advisor)["budget"] == 1
    assert advisor.breaker._row == 0, "a spent budget is no illness of the endpoint"


def test_LF_34_retries_count():
    client = InProcess(fault("status_500"))
    assert ask(make_advisor(client, limits=limits(run={"calls": 2}))).fault == "budget" and len(client.requests) == 2


def test_LF_34_the_run_goes_on_with_the_fallback():
    advisor = make_advisor(InProcess(rules()), limits=limits(run={"calls": 3}))
    faults = [ask(advisor, now=now).fault for now in range(10)]
    assert faults == [None] * 3 + ["budget"] * 7 and counted(advisor)["fallbacks"] == 7


def test_LF_34_decisions_and_episodes_have_their_own():
    advisor = make_advisor(InProcess(rules()), limits=limits(decision={"calls": 1}, episode={"calls": 2}))
    assert [ask(advisor, episode=e).fault for e in (0, 0, 0, 1, 1, 1)] == [None, None, "budget"] * 2
    advisor.budget.start_episode(0)
    assert ask(advisor, episode=0).fault is None and ask(advisor, episode=1).fault == "budget"


@pytest.mark.parametrize("name", ["tokens_in", "tokens_out", "dollars"])
def test_LF_34_the_worst_case_is_reserved(name):
    settings = LlmSettings(model="stub-1", max_tokens=50, **PRICED)
    worst = {"tokens_in": upper_bound_tokens(body(settings)), "tokens_out": 50}
    worst["dollars"] = worst["tokens_in"] * 1e-6 + 50 * 2e-6
    for limit, fault_name in ((worst[name], None), (worst[name] * 0.99, "budget")):
        limit = limit if name == "dollars" else int(limit)
        advisor = make_advisor(InProcess(scripted([GOOD])), limits=limits(run={name: limit}), max_tokens=50, **PRICED)
        assert ask(advisor).fault == fault_name
        assert getattr(advisor.budget.run, name) <= limit


def test_LF_34_no_tokens_are_overshot_over_many_calls():
    advisor = make_advisor(InProcess(rules()), limits=limits(run={"tokens_in": 20_000, "dollars": 1.0}), **PRICED)
    for now in range(50):
        ask(advisor, text=situation() + "x" * now, now=now)
    assert 15_000 < advisor.budget.run.tokens_in <= 20_000 and counted(advisor)["budget"] > 0
    assert advisor.counters["llm.tokens_in"] == advisor.budget.run.tokens_in
    assert advisor.counters["llm.dollars"] == pytest.approx(advisor.budget.run.dollars)
    spent = advisor.budget.run
    assert spent.dollars == pytest.approx(spent.tokens_in * 1e-6 + spent.tokens_out * 2e-6)


def test_LF_34_time():
    advisor = make_advisor(InProcess(rules(), latency_s=0.5), limits=limits(run={"wall_s": 1.2}))
    faults = [ask(advisor, now=now).fault for now in range(5)]
    assert faults == [None, None, "deadline", "budget", "budget"]
    assert advisor.budget.run.wall_s <= 1.2 + 1e-9


def test_LF_34_waiting_is_time_too():
    advisor = make_advisor(InProcess(fault("retry_after_2", rules(), 1), latency_s=0.5))
    assert ask(advisor).fault is None and advisor.budget.run.wall_s == 3.0


def test_LF_34_an_unknown_price_is_refused():
    with pytest.raises(EdgeGymInputError, match="allow_unpriced"):
        make_advisor(InProcess(rules()), allow_unpriced=False)
    with pytest.raises(EdgeGymInputError, match="price_in"):
        make_advisor(InProcess(rules()), allow_unpriced=False, price_out=1e-6)
    make_advisor(InProcess(rules()), **PRICED)
    make_advisor(None, mode="off", allow_unpriced=False)


@pytest.mark.parametrize("name", ["missing", "zero", "negative", "absurd", "words"])
@pytest.mark.parametrize("stream", [False, True])
def test_LF_35_usage_that_cannot_be_true(name, stream):
    advisor = make_advisor(InProcess(fault(f"usage_{name}")), stream=stream, max_tokens=64)
    assert ask(advisor).fault is None
    spent = advisor.budget.run
    assert spent.tokens_in == upper_bound_tokens(body(advisor.settings))
    assert spent.tokens_out == 64 and spent.tokens_in > 1000 and counted(advisor)["usage_estimated"] == 1


@pytest.mark.parametrize(
    ("reported", "booked"),
    [(None, 900), (0, 900), (-1, 900), (2, 900), (10, 10), (300, 300), (3600, 3600), (3601, 900)],
)
def test_LF_35_a_wrong_count_never_lowers_the_spend(reported, booked):
    assert believed(reported, 320, 900) == (booked, booked != reported)


def test_LF_35_a_failed_call_is_booked_at_its_worst_unless_it_was_free():
    advisor = make_advisor(InProcess(fault("silence")), max_tokens=64)
    assert ask(advisor).fault == "deadline" and advisor.budget.run.tokens_out == 64
    assert advisor.budget.run.tokens_in == upper_bound_tokens(body(advisor.settings))
    advisor = make_advisor(InProcess(fault("rate_limit")))
    ask(advisor)
    assert (advisor.budget.run.calls, advisor.budget.run.tokens_in) == (3, 0)


def test_limits_are_checked():
    for wrong in ({"calls": -1}, {"dollars": float("nan")}, {"calls": 1.5}, {"wall_s": "1"}):
        with pytest.raises(EdgeGymInputError):
            Limits(**wrong)
    assert Budget(BudgetLimits(), LlmSettings()).seconds_left() == float("inf")


def test_breaker_opens_after_five_in_a_row():
    breaker = Breaker()
    for now in range(4):
        breaker.record(False, now)
    breaker.record(True, 4)
    for now in range(5, 9):
        breaker.record(False, now)
        assert breaker.state == "closed"
    breaker.record(False, 9)
    assert breaker.state == "open" and breaker.openings == 1
    assert not breaker.allows(38.9) and breaker.allows(39) and breaker.state == "half_open"


@pytest.mark.parametrize(("failures", "state"), [(9, "closed"), (10, "open")])
def test_breaker_opens_at_half_of_the_last_twenty(failures, state):
    breaker = Breaker()
    results = [i % 2 == 0 for i in range(20)] if failures == 10 else [False, True] * 9 + [True, True]
    assert results.count(False) == failures
    for now, ok in enumerate(results):
        breaker.record(ok, now)
    assert breaker.state == state


def test_breaker_lets_one_trial_through():
    breaker = Breaker(in_a_row=1)
    breaker.record(False, 0)
    assert breaker.allows(30)
    breaker.record(False, 30)
    assert breaker.state == "open" and not breaker.allows(59) and breaker.allows(60)
    breaker.record(True, 60)
    assert breaker.state == "closed"


def test_breaker_of_a_new_episode():
    breaker = Breaker(in_a_row=1)
    breaker.record(False, 1000)
    assert not breaker.allows(0) and not breaker.allows(29) and breaker.allows(30)


def test_breaker_in_the_pipeline():
    client = InProcess(fault("refusal"))
    advisor = make_advisor(client)
    faults = [ask(advisor, now=now).fault for now in range(36)]
    assert faults == ["refusal"] * 5 + ["breaker"] * 29 + ["refusal"] + ["breaker"]
    assert len(client.requests) == 6 and counted(advisor)["breaker"] == 30
