"""What policies that migrate agents share: the decoded decision, and what to do with an agent without a home."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge_baselines.common import cheapest, ratio, seconds
from edge_gym.kernel import observe
from edge_gym.kernel import observe_agents as columns
from edge_gym.policy import Context

NEVER = 1e12  # a cost that nobody pays; finite, so that it can be multiplied by 0


class View(NamedTuple):
    """Decisions about agents, decoded; B worlds, N nodes.

    A cost of `running` is a rate: request-seconds and dollars a second, weighted as the reward weighs them. A cost of
    `moving` is paid once.
    """

    settled: np.ndarray  # (B,) bool: the subject is an agent that lives somewhere
    host: np.ndarray  # (B,) where it lives; 0 if nowhere
    legal: np.ndarray  # (B, N) bool, it may move there now
    rate: np.ndarray  # (B,) requests/s for it
    lived_s: np.ndarray  # (B,) since it came to where it lives
    start_s: np.ndarray  # (B, N) until it answers from there
    network_s: np.ndarray  # (B, N) of a typical request and its response
    cost: np.ndarray  # (B, N) the world's own cost rate, moving spread over the expected stay; NEVER if not legal
    running: np.ndarray  # (B, N) the same without moving; NEVER if neither legal nor the host
    moving: np.ndarray  # (B, N) what moving there costs; 0 at the host


def look(obs: np.ndarray, action_mask: np.ndarray, context: Context) -> View:
    """Decode the decisions.

    While an agent moves for d seconds its requests wait, in the mean half of it: rate x d**2 / 2 request-seconds, as
    the world's own cost has it (`edge_gym.kernel.agent_cost.own_terms`). What travels is paid for.
    """
    agency = context.agency
    subjects = agency.subjects()
    weight_s, weight_usd = agency.weights
    settled, legal = subjects.node >= 0, action_mask[:, :-1]
    host = np.maximum(subjects.node, 0)
    here = np.zeros(legal.shape, bool)
    here[np.arange(len(host)), host] = settled
    rate = ratio(obs, columns.RATE)[:, 0].astype(float)
    start_s = seconds(obs, columns.START).astype(float)
    usd = subjects.sent_bytes[:, None] * agency.cable["usd_per_byte"][host]
    moving = np.where(here, 0.0, weight_s * rate[:, None] * start_s**2 / 2.0 + weight_usd * usd)
    cost = seconds(obs, columns.AGENT_COST).astype(float)
    known = legal | here
    return View(
        settled=settled,
        host=host,
        legal=legal,
        rate=rate,
        lived_s=seconds(obs, columns.LIVED)[np.arange(len(host)), host].astype(float),
        start_s=start_s,
        network_s=seconds(obs, observe.NETWORK).astype(float),
        cost=np.where(known, cost, NEVER),
        running=np.where(known, cost - moving / agency.stay_s, NEVER),
        moving=moving,
    )


def at_host(table: np.ndarray, view: View) -> np.ndarray:
    """(B,) the entries of a (B, N) table at the hosts."""
    return table[np.arange(len(view.host)), view.host]


class Mover:
    """A policy for migration: subclasses give the cost of being at each node, the host included.

    An agent without a home goes to the legal node where it costs least, as the default rules would have it.
    """

    tasks = ("migration",)

    def reset(self, n_envs: int, seed: int) -> None:
        """Nothing to forget."""

    def costs(self, view: View, context: Context) -> np.ndarray:
        """(B, N) what each node would cost; that of the host is of staying. Moves are to cheaper nodes only."""
        raise NotImplementedError  # abstract: every shipped policy overrides it

    def act(self, obs: np.ndarray, action_mask: np.ndarray, context: Context) -> np.ndarray:
        """The cheapest legal node, or staying."""
        view = look(obs, action_mask, context)
        stay = action_mask.shape[1] - 1
        homes = cheapest(view.cost, action_mask)
        costs = self.costs(view, context)
        best = cheapest(costs, action_mask)
        gain = at_host(costs, view) - costs[np.arange(len(best)), np.minimum(best, stay - 1)]
        return np.where(view.settled, np.where(gain > 0.0, best, stay), homes)


class Never(Mover):
    """Agents stay where they are."""

    def costs(self, view: View, context: Context) -> np.ndarray:
        """All nodes are alike."""
        return np.zeros(view.cost.shape)


class AlwaysFollow(Mover):
    """The agent follows its user: to the nearest node there is room on, unless its host is nearest."""

    def costs(self, view: View, context: Context) -> np.ndarray:
        """Network time."""
        return view.network_s


class Myopic(Mover):
    """The node of the least cost rate as the world sees it now, the move spread over the expected stay."""

    def costs(self, view: View, context: Context) -> np.ndarray:
        """The column `agent_cost`."""
        return view.cost


class Hysteresis(Mover):
    """Moves to a node that is clearly better, if the host is not good enough and the agent has not just come.

    A threshold, a hysteresis and a least stay, as radio handovers have them (3GPP TS 36.331, events A2 and A3).

    Args:
        threshold_s: While a request costs less than so many request-seconds on the host, the agent stays.
        margin: The other node must be better by this share of the host's cost.
        dwell_s: The agent stays so long wherever it comes.
    """

    def __init__(self, threshold_s: float = 0.0, margin: float = 0.2, dwell_s: float = 10.0) -> None:
        self.threshold_s, self.margin, self.dwell_s = threshold_s, margin, dwell_s

    def costs(self, view: View, context: Context) -> np.ndarray:
        """Cost rates without the move; the host's less the margin."""
        running = at_host(view.running, view)
        settles = (running < self.threshold_s * view.rate) | (view.lived_s < self.dwell_s)
        costs = view.running.copy()
        costs[np.arange(len(costs)), view.host] = np.where(settles, 0.0, (1.0 - self.margin) * running)
        return costs
