"""`follow_bound`: a lower bound on what every policy pays in a given world with AI agents. It is no policy.

Each agent lives its life alone: dynamic programming over its own requests and the nodes, all of the future known. What
is bounded is the summed latency of all requests, and the sum of latency and cost as the reward weighs them.

*A life.* Take any policy and one agent, and number its requests by arrival, a[1] <= a[2] <= ... Let H be what an
unserved request of its model is charged. Either (A) each of its requests is answered in less than H, or (B) one is not.

(B) costs at least H for that request, for each other its latency alone in the world on the best node, and some node's
reservation until the first departure of a node: only who has lost its home can be without one.

(A) Between its moves the agent lives on some node. What follows holds for each and is all that is used:

1. A request that is sent to node n not before time t, t >= a[k], ends no earlier than alone on n, with the recorded
   speeds and software factors, whenever n is next there; or, if n leaves first, no earlier than that and the least time
   it needs anywhere. This is nondecreasing in t. Queues, neighbours, models that must be loaded and the way to peers
   only add to it.
2. A move that begins after request i (and before i + 1) ends no earlier than a[i] and: writing and reading its
   state, the way of its state, and prefilling its context at the target at the best speed and software factor the
   target ever has. Several moves in a row take no less than one on the shortest way, for all but the way only adds.
   What arrives before the end is sent to the target at the end, not earlier (1).
3. An agent whose node leaves at time u starts on another no earlier than its image and state come from where its user
   is then or later. Only between the requests around u can that begin; requests until the end wait as in 2. If it
   was moving and the move came to nothing, the requests waited, which is no less than being sent (1).
4. Its context holds what was answered. In (A) all that arrived H or more before is. A context of c tokens becomes
   c + x, or half of that beyond the limit L: by induction it is at least the smaller of the sum of all x and
   (L + 1) / 2. So is the state that travels; its messages are counted only if the context can never reach L.
5. From one request to the next it holds its reservation on the node where it stays, or on some node while it moves.
   It holds none after its node left and until it starts again. Of that time, what is after the first request that
   arrives after the departure is shorter than H, for that request waits. No price is charged at such times, whichever
   node left. Bytes are charged if for H after the arrival the user is never at the node's own site.

The dynamic program takes the least over all sequences of stays and moves that obey 1 to 5, and may also stay on a node
that is away and wait for it. Every life in (A) is among them, at no more than it costs, so the smaller of its value and
(B) bounds the agent, and the sum over the agents, with each request that is routed alone on its best node, bounds the
world. All other reward terms are costs and are taken as 0.

In the migration task the world itself places the agents that are there at time 0, so where they begin is known;
otherwise an agent begins anywhere, and what it reserves before its first request is free.

Migration by dynamic programming over a known future: Wang et al., "Dynamic service placement for mobile micro-clouds
with predicted future costs", IEEE TPDS 28 (2017) 1002-1016. The relaxation and its proof are ours.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_baselines.agents.follow_bound_life import Lives
from edge_baselines.agents.follow_bound_path import cheapest_way
from edge_gym.envs.batch import Batch
from edge_gym.envs.common import check_seed, resolve_task
from edge_gym.errors import EdgeGymInputError
from edge_gym.kernel.build import World
from edge_gym.kernel.tables import NONE
from edge_gym.privileged import foreknow_agents
from edge_gym.scenario import Scenario

SLACK_S = 1e-6  # the world rounds each duration to whole nanoseconds


def bound(scenario: Any, seed: int) -> dict[str, float | None]:
    """Bounds on every policy, privileged: they know all that is to come.

    Args:
        scenario: Preset name of the migration task, file or `Scenario` with agents.
        seed: Of the world.

    Returns:
        `latency_mean_s`, None if nothing arrives: no policy has less; and `return`: no policy has more.

    Raises:
        EdgeGymInputError: An argument is not valid, or the scenario has no agents.
    """
    task = scenario.task if isinstance(scenario, Scenario) else "migration"
    world = resolve_task(task, scenario, {})[1]
    if not world.scenario.roles:
        raise EdgeGymInputError("scenario", world.scenario.name, "a scenario with agents", "follow_bound")
    seed, rules = check_seed(seed), world.params.rules[0]
    lives = Lives(world, foreknow_agents(world, seed))
    homes = first_homes(world, seed) if task == "migration" else {}
    n_requests = len(lives.known.asked)
    latency_s = total(lives, homes, 1.0, 0.0)
    paid = total(lives, homes, float(rules["weight_latency"]), float(rules["weight_cost"]))
    slack = SLACK_S * n_requests
    return {
        "latency_mean_s": max(latency_s - slack, 0.0) / n_requests if n_requests else None,
        "return": -max(paid - slack * float(rules["weight_latency"]), 0.0),
    }


def total(lives: Lives, homes: dict[int, int], weight_s: float, weight_usd: float) -> float:
    """The least that all agents and all routed requests cost.

    Args:
        lives: All there is to know.
        homes: Where agents begin, by serial number; the others begin anywhere.
        weight_s: Of a request-second.
        weight_usd: Of a US dollar.
    """
    found = weight_s * lives.routed_s()
    for agent in lives.known.crew:
        home, m = homes.get(int(agent["serial"]), NONE), int(agent["model"])
        points = lives.points(agent, home, weight_usd)
        value = np.empty((len(points.time_s), lives.world.n_nodes))
        least = cheapest_way(lives.course, points, lives.between, weight_s, weight_usd, m, home, value)
        answers = weight_s * np.minimum(points.best_s, points.charge_s)[1:-1]
        if len(answers):
            one_late = float(answers.sum()) + float((weight_s * points.charge_s[1:-1] - answers).min())
            if home != NONE:
                one_late += float(points.reserved_least[:-1][points.time_s[1:] <= lives.first_departure_s].sum())
            least = min(least, one_late)
        found += least if np.isfinite(least) else 0.0
    return found


def first_homes(world: World, seed: int) -> dict[int, int]:
    """Where the world's own rules place the agents that are there at time 0, by serial number."""
    batch = Batch(world, 1, "migration")
    batch.roots[:] = seed
    batch.reset(np.ones(1, bool), batch.empty_obs())
    agents = batch.state.agent[0]
    # Nobody has decided on anything yet: who lives nowhere has lost its first home or never had one.
    home = np.where(agents["node"] != NONE, agents["node"], agents["before"])
    begun = (agents["serial"] != NONE) & (home != NONE) & (agents["settled_ns"] == 0)
    return {int(agents["serial"][g]): int(home[g]) for g in np.flatnonzero(begun)}
