"""A recording is the very episode that was evaluated, and holds all of it."""

import numpy as np
import pytest

from edge_gym.errors import EdgeGymError, EdgeGymInputError
from edge_gym.evaluation import recording, watching
from edge_gym.evaluation.evaluate import evaluate
from edge_gym.evaluation.recording import record
from edge_gym.kernel.tables import COMPLETED, SECOND, TERMS

SEEDS = (1000, 1001, 1002)
ROUTERS = ("jsq", "random", "thompson", "e3_rules", "learned_routing", "oracle")
SMALL = {"n_requests": 400}


@pytest.mark.parametrize("scenario", ["semantic", "mixed"])
def test_recording_routing_every_metric_is_that_of_the_evaluation(scenario):
    rows = evaluate(ROUTERS, "routing", scenario, SEEDS, **SMALL).rows
    for policy in ROUTERS:
        found = record(scenario, policy, SEEDS[1], "routing", seeds=SEEDS, **SMALL)
        (row,) = (row for row in rows if (row["policy"], row["seed"]) == (policy, SEEDS[1]))
        found.compare(row)


@pytest.mark.parametrize(
    ("task", "scenario", "policy"),
    [("placement", "metro-16", "greedy"), ("migration", "commute-16", "myopic"), ("migration", "failing-16", "myopic")],
)
def test_recording_agents_every_metric_is_that_of_the_evaluation(task, scenario, policy):
    rows = evaluate(policy, task, scenario, SEEDS).rows
    found = record(scenario, policy, SEEDS[2], task, seeds=SEEDS)
    found.compare(rows[2])
    assert (found.moves["source"] >= 0).sum() == found.metrics["agents.moves"]


def test_recording_the_draws_of_a_policy_depend_on_the_seeds_of_its_shard():
    row = evaluate("random", "routing", "stationary", SEEDS, **SMALL).rows[1]
    with pytest.raises(EdgeGymError, match=r"metrics differ.*another kernel"):
        record("stationary", "random", SEEDS[1], **SMALL).compare(row, "another kernel")


def test_recording_how_finely_it_is_sampled_changes_nothing():
    coarse = record("mixed", "e3_rules", 1000, every_s=50.0, **SMALL)
    fine = record("mixed", "e3_rules", 1000, every_s=0.05, **SMALL)
    assert coarse.metrics == fine.metrics and len(fine.time_s) > 5 * len(coarse.time_s)
    assert (coarse.requests == fine.requests).all()
    assert np.diff(fine.time_s).max() <= 0.1 + 1e-9


@pytest.mark.parametrize(("task", "policy"), [("routing", "jsq"), ("routing", "e3_rules"), ("migration", "myopic")])
def test_recording_what_the_copy_does_between_two_decisions_is_what_the_world_does(task, policy, monkeypatch):
    checked = []

    class Checked(watching.Watched):
        def _watch(self, todo, choice, wait_ns, until_ns):
            super()._watch(todo, choice, wait_ns, until_ns)
            if self._spare.state.world[0]["now_ns"] == until_ns:
                mine, copy = self.batch.state, self._spare.state
                for name in ("speed", "alive", "gate", "foreground", "incarnation", "settled_ns", "outstanding"):
                    assert (copy.node[0][name] == mine.node[self.row][name]).all(), name
                checked.append(until_ns)

    monkeypatch.setattr(recording, "Watched", Checked)
    record("mixed" if task == "routing" else None, policy, 1000, task, seeds=SEEDS, every_s=0.05)
    assert len(checked) > 30


def test_recording_requests_rewards_and_samples_tell_the_same_story():
    found = record("churn", "jsq", 1000, every_s=0.1, **SMALL)
    log = found.requests
    assert len(np.unique(log["id"])) == found.metrics["requests"] == 400
    assert found.reward.sum() == pytest.approx(found.metrics["return"], rel=1e-12)
    terms = dict(zip(TERMS, found.terms.sum(axis=0), strict=True))
    assert -terms["latency"] == pytest.approx(log["latency_ns"].sum() / SECOND)
    late = (log["finish_ns"] - log["arrive_ns"] > found.deadline_s * SECOND) & (log["outcome"] == COMPLETED)
    assert (late == (log["late"] == 1)).all()
    never_back = log[(log["retries"] == 0) & (log["outcome"] == COMPLETED)]
    assert len(never_back) > 300
    for k in range(0, len(found.time_s), 7):  # those that were in service then, by the log and by the sample
        at = found.time_s[k] * SECOND
        there = (never_back["start_ns"] <= at) & (never_back["finish_ns"] > at)
        seen = np.bincount(
            never_back["node"][there],
            minlength=found.world.n_nodes,
        )
        assert (found.nodes["outstanding"][k] + 1 >= seen).all()
    choices = found.decisions[found.decisions["choice"] >= 0]
    last = {int(d["subject"]): int(d["choice"]) for d in choices}
    assert all(last[int(r["id"])] == r["node"] for r in never_back)
    assert (np.diff(found.time_s) > 0).all() and found.time_s[-1] == found.metrics["makespan_s"]


def test_recording_true_changes_are_what_the_samples_show():
    found = record("mixed", "e3_rules", 1000, every_s=0.1, **SMALL)
    for n in range(found.world.n_nodes):
        own = found.changes[found.changes["node"] == n]
        at = np.searchsorted(own["time_s"], found.time_s, side="right") - 1
        sure = np.abs(found.time_s - own["time_s"][at]) > 1e-9  # at the same instant either may come first
        alive = found.nodes["alive"][:, n] == 1
        assert (own["alive"][at][sure] == alive[sure]).all()
        assert (own["speed"][at][sure & alive] == found.nodes["speed"][:, n][sure & alive]).all()
    assert len(found.changes) > found.world.n_nodes


def test_recording_tool_calls_gates_and_messages():
    found = record("semantic", "e3_rules", 1000, **SMALL)
    assert len(found.calls) - sum(c.refused for c in found.calls) == found.metrics["tool_calls"]
    assert found.metrics["tool_calls"] > 0
    closing = [call for call in found.calls if call.text.endswith("closed)") and not call.refused]
    assert closing
    for call in closing:
        assert found.world.node_names[call.node] in call.text
        (sample,) = np.flatnonzero(found.time_s == call.time_s)
        assert found.nodes["gate"][sample, call.node] == 2
    assert all(call.reason for call in found.calls) and "its user needs it" in closing[0].reason
    assert found.messages
    read = [m for m in found.messages if m.reading.node is not None]
    assert read and all(found.world.node_names[m.node] == m.reading.node for m in read)


def test_recording_every_migration_is_there():
    found = record(None, "myopic", 1000, "migration")
    moves = found.moves[found.moves["source"] >= 0]
    assert len(moves) == found.metrics["agents.moves"] > 0
    arrived = np.isfinite(moves["end_s"])
    assert (moves["end_s"][arrived] > moves["begin_s"][arrived]).all()
    mean_s = (moves["end_s"] - moves["begin_s"])[arrived].mean()
    assert mean_s == pytest.approx(found.metrics["agents.downtime_mean_s"])
    assert moves["bytes"].sum() == pytest.approx(found.metrics["agents.moved_bytes"], rel=0.05)
    assert set(moves["serial"]) <= set(found.agents["serial"])
    starts = found.moves[found.moves["source"] < 0]
    assert len(starts) >= found.metrics["agents.placed"]
    handovers = len(found.users) - len(np.unique(found.users["application"]))
    assert handovers == pytest.approx(found.metrics["agents.handovers"], abs=2)  # two between two looks look like one


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"seeds": (1, 2)}, "seed"),
        ({"every_s": 0.0}, "every_s"),
        ({"policy": "clairvoyant"}, "policy"),
        ({"policy": "nobody"}, "policy"),
    ],
)
def test_recording_bad_arguments(arguments, field):
    with pytest.raises(EdgeGymInputError) as error:
        record(**{"scenario": "stationary", "policy": "jsq", "seed": 1000, **arguments})
    assert error.value.field == field
