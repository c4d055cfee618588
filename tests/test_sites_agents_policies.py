"""Policies of Placement and Migration that every site runs for itself: honest counts, and only what a site may know."""

import json

import numpy as np
import pytest
from agent_toys import busy_world

from edge_gym.behind import batch_of
from edge_gym.errors import EdgeGymInputError
from edge_gym.evaluation.deciders import Deciders
from edge_gym.evaluation.evaluate import evaluate
from edge_gym.evaluation.metrics import METRICS
from edge_gym.evaluation.rollout import roll_out
from edge_gym.evaluation.sites import roll_out_sites
from edge_gym.kernel.build import World
from edge_gym.kernel.tables import NONE
from edge_gym.policy import make_policy

POLICIES = {
    "placement": ["random", "greedy", "best_fit", "regret", "learned_placement"],
    "migration": ["never", "always_follow", "myopic", "hysteresis", "learned_migration"],
}
CROWDED = {"applications_per_s": 2.0, "lifetime_mean_s": 3.0, "most": 6, "at_start": 4, "review_s": 0.7, "pause_s": 0.1}
SEEDS = [1000, 1001]


def world(task, n_sites=3, **more):
    return World(busy_world(task=task, horizon_s=6.0, n_sites=n_sites, **{**CROWDED, **more}))


class Watch:
    """Passes decisions on and looks at what a site is shown beside its observation."""

    tasks = ("placement", "migration")

    def __init__(self, name, look):
        self.policy, self.look = make_policy(name), look

    def reset(self, n_envs, seed):
        self.policy.reset(n_envs, seed)

    def act(self, obs, action_mask, context):
        self.look(obs, action_mask, context)
        return self.policy.act(obs, action_mask, context)


@pytest.mark.parametrize(("task", "name"), [(task, name) for task, names in POLICIES.items() for name in names])
def test_one_site_that_decides_at_once_is_the_usual_rollout(task, name):
    made = world(task, n_sites=1)
    usual = roll_out(made, make_policy(name), name, SEEDS, task=task).episodes
    rules = Deciders(slot_s=0.0).rules(made)
    for one, other in zip(
        usual, roll_out_sites(made, make_policy(name), name, SEEDS, rules, task).episodes, strict=True
    ):
        assert one.log.tobytes() == other.log.tobytes() and one.arrived == other.arrived
        assert one.terms.tobytes() == other.terms.tobytes() and one.reward == other.reward
        assert one.counters.items() <= other.counters.items()


@pytest.mark.parametrize("task", POLICIES)
@pytest.mark.parametrize(
    "how", [{"slot_s": 0.3, "heartbeat_s": 3.0}, {"slot_s": 0.3, "view": "central"}, {"slot_s": 0.0}]
)
def test_rows_of_a_comparison_are_checked_and_count_what_was_refused(task, how):
    """`evaluate` compares every episode with its log; none is lost."""
    scenario = busy_world(task=task, horizon_s=6.0, **{**CROWDED, "memory": 85})
    rows = evaluate(POLICIES[task], task=task, scenario=scenario, seeds=SEEDS, by_site=how).rows
    refused = {name: sum(row["sites.refused"] for row in rows if row["policy"] == name) for name in POLICIES[task]}
    assert all(0 <= row["sites.refused_share"] < 1 and row["agents.placed"] > 0 for row in rows)
    if how.get("view") == "central":
        assert not any(refused.values())
    elif task == "placement" and how["slot_s"] > 0:
        assert max(refused.values()) > 0
    assert set(METRICS) < set(rows[0]) and json.dumps(rows)


@pytest.mark.parametrize("task", POLICIES)
def test_a_site_is_told_of_its_own_users_and_what_nodes_told(task):
    seen = {"asked": 0, "stale": 0}

    def look(obs, mask, context):
        agency, sites = context.agency, 3
        subjects, (ids, where) = agency.subjects(), agency.users()
        assert ((where == np.arange(len(ids))[:, None] % sites) | (ids == NONE)).all()
        for k in np.flatnonzero(context.active):
            assert agency.is_agent(k) and agency.subject(k) == subjects.agent[k] and subjects.site[k] == k % sites
            found = agency.assignment(k)
            assert found.site == k % sites and (agency.roster(k)["site"] == k % sites).all()
            assert found.number == subjects.application[k] == agency.member(k)[0]
            b, site = divmod(k, sites)
            heard, true = (
                table["load"][b] for table in (batch_of(agency).state.known_lodging, batch_of(agency).state.lodging)
            )
            elsewhere = ~np.isin(np.arange(len(true)), found.home)  # what the application holds itself counts as free
            assert (found.problem.load_before[elsewhere] == heard[site][elsewhere]).all()
            seen["asked"] += 1
            seen["stale"] += int(not np.allclose(heard[site], true))

    policy = Watch("regret" if task == "placement" else "myopic", look)
    made = world(task)
    roll_out_sites(made, policy, "watch", SEEDS, Deciders(slot_s=0.3, heartbeat_s=3.0).rules(made), task)
    assert seen["asked"] > 10 and seen["stale"] > 3


def test_own_books_cost_more_where_central_ones_are_current():
    """Placement where room is short: who has not heard of the others puts its agents badly, or is refused."""
    cost = {}
    for view in ("own", "central"):
        rows = evaluate(["greedy"], task="placement", scenario="campus-8", seeds=range(1000, 1006), horizon_s=20.0,
                        by_site={"slot_s": 0.5, "heartbeat_s": 8.0, "view": view}).rows  # fmt: skip
        cost[view] = np.mean([-row["return"] for row in rows])
    assert cost["own"] > cost["central"]


@pytest.mark.parametrize(("task", "name"), [("placement", "jsq"), ("migration", "greedy"), ("placement", "milp_bound")])
def test_policies_of_something_else_are_refused(task, name):
    with pytest.raises(EdgeGymInputError):
        evaluate([name], task=task, seeds=[1000], by_site={})
