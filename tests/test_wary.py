"""The memory of the nodes that have left, and the learned controller of agents that is shipped."""

import numpy as np
import pytest
from edge_baselines.agents.movers import Myopic
from edge_baselines.agents.wary import Wary

from edge_gym import evaluate
from edge_gym.errors import EdgeGymInputError
from edge_gym.kernel.observe import ALIVE
from edge_gym.kernel.observe_agents import AGENT_COST, COLUMNS_WITH_AGENTS, CURRENT, RATE
from edge_gym.policy import Context, make_policy


def context(begun, active=True):
    zero = np.zeros(1)
    return Context(
        time_s=zero, dt_s=zero, begun=np.array([begun]), active=np.array([active]), ended_row=zero[:0], ended=zero[:0]
    )


def test_what_it_adds_by_hand(monkeypatch):
    """Node 1 has left and is back; the agent lives on node 2, is asked once a second, and everything costs 1 s/s."""
    shown = []
    monkeypatch.setattr(Myopic, "act", lambda self, obs, mask, context: shown.append(obs) or np.zeros(1, int))
    policy = Wary("myopic", risk_s=3.0)
    policy.reset(1, 0)
    obs = np.zeros((1, 4, len(COLUMNS_WITH_AGENTS)), np.float32)
    obs[:, :, AGENT_COST] = np.log2(1.0 + 1e4) / 28.0
    obs[:, :, RATE], obs[:, 2, CURRENT], obs[:, :-1, ALIVE] = 0.5, 1.0, 1.0
    mask = np.ones((1, 4), bool)

    def costs(*given, node=1, alive=1.0):
        obs[0, node, ALIVE] = alive
        before = obs.copy()
        policy.act(obs, mask, context(*given))
        assert (obs == before).all()
        return (1e-4 * (np.exp2(shown[-1][0, :, AGENT_COST].astype(float) * 28.0) - 1.0)).tolist()

    assert costs(True) == pytest.approx([1, 1, 1, 1], rel=1e-4)
    assert costs(False, False, alive=0.0) == pytest.approx([1, 1, 1, 1], rel=1e-4)  # nobody asks in this row
    assert costs(False, alive=0.0) == pytest.approx([1, 4, 1, 1], rel=1e-4)
    assert costs(False) == pytest.approx([1, 4, 1, 1], rel=1e-4)
    assert costs(False, node=2, alive=0.0) == pytest.approx([1, 4, 4, 4], rel=1e-4)  # staying too
    obs[0, 2, ALIVE] = 1.0
    assert costs(True) == pytest.approx([1, 1, 1, 1], rel=1e-4)  # another episode


def mean_return(policy, scenario, seeds=range(505, 510)):
    return np.mean([row["return"] for row in evaluate(policy, "migration", scenario, seeds).rows])


def test_the_shipped_mover_beats_myopic():
    assert mean_return("learned_migration", "commute-16") > 0.99 * mean_return("myopic", "commute-16")  # negative


def test_memory_pays_where_nodes_fail():
    assert mean_return("wary:myopic", "failing-16") > 0.98 * mean_return("myopic", "failing-16")


def test_wary_of_what_is_wrong():
    with pytest.raises(EdgeGymInputError, match=r"policy = 'jsq': .*decides migration \(it decides routing\)"):
        Wary("jsq")


def test_it_is_as_trained_as_what_it_asks():
    """BEN-05, BEN-06: the seeds that the inner policy was chosen on are refused; the recipe is another one."""
    wary, inner = Wary("learned_migration"), make_policy("learned_migration")
    assert wary.training["recipe"] != inner.training["recipe"] and wary.training["seed"] == inner.training["seed"]
    with pytest.raises(EdgeGymInputError, match="has not seen in training"):
        evaluate("wary:learned_migration", "migration", "commute-16", [500])
    assert Wary("myopic").training is None and Wary("myopic").trained_on is None
