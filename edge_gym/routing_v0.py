"""# Routing by sites

## Description

The world of [Routing](routing.md), but there is no central router: every site, where users attach, decides for the
requests that enter there. All decide at the same time and none sees what the others choose, so that all may send to
the node that looks best to each of them. A PettingZoo environment:

    from edge_gym import routing_v0
    env = routing_v0.parallel_env(scenario="churn", slot_s=0.1)

`routing_v0.env(...)` takes the same arguments and asks the sites in turn (AEC). `edge_gym.envs.sites.SitesVectorEnv` is
the same for many worlds at once, a row for each site.

## Time Step

Requests wait at their site until the next multiple of `slot_s`. Then every site where some wait decides on its first
one, all at once. Where more wait, the sites decide again at the same instant (`dt_s` 0), each knowing what it has
dispatched itself, until none waits. Slots in which nobody waits are no steps. The wait counts as latency. With
`slot_s=0` a step is one request, at once, of one site.

What the sites chose at one instant happens one after the other; who is first moves on by one from slot to slot. A node
whose room was taken in the meantime refuses the request, which is back at its site after the way there and back, and
counts as having come back (`max_retries`).

## Agents

`site_0`, `site_1`, ...: always all of them, and all end together. A site without a request, or one that reaches no
node, may only decline; without a request that does nothing.

## Action Space

`Discrete(n_nodes + 1)` for each site: the number of a node, or `n_nodes` to decline the request.

## Observation Space

`Dict(observation=Box(float32, (n_nodes + 1, n_features)), action_mask=MultiBinary(n_nodes + 1))`. The columns are those
of Routing, made by the same functions from the books of the site:

* what it has dispatched itself, at once; its own completions `telemetry_age_s` late, and what it has measured from
  them; what the responses show that its own users are receiving;
* of the load of others only what nodes tell: every `heartbeat_s` each publishes its outstanding requests and prior
  work. Until the next time a site adds its own dispatches to that and takes off its own completions;
* messages (`event*`) reach everybody; `legal`, `alive`, `free_memory` and `resident` are as of now, before anybody's
  choice of this instant.

## Rewards

The terms of Routing. `reward="own"`: latency, misses, drops and stutters of the site's own requests, and an equal part
of what the nodes cost (`energy`, `cost`, `imbalance`), so that the sum over the sites is the reward of a single
controller. `reward="shared"`: everybody gets that sum.

How long requests have waited for the first decision of an episode is part of the first reward.

## State

`state()` is what a central router would see, for critics: float32, first the observation of the nodes without a
subject, then for every site the columns of its subject and `n / (n + 8)` of the `n` requests waiting there.

## Episode End

As in Routing: never terminated; truncated for all sites at once when the world has drained.

## Information

For each site, as in Routing: `action_mask`, `reward_terms`, `dt_s`, `time_s`, `events`, `seed`, `invalid_action`; and
`active`, bool: it has a request to decide on.

## Arguments

* `scenario` (default `"stationary"`) and any field of it, as in Routing.
* `slot_s` (default 0.1): seconds between the instants at which the sites decide, 1e-6 to 3,600; 0: each request at
  once.
* `heartbeat_s` (default: `telemetry_age_s`, at least 1): seconds between the instants at which nodes publish their
  load, 1e-6 to 3,600. Without effect with one site.
* `reward` (default `"own"`): `"own"` or `"shared"`.
* `view` (default `"own"`): `"central"` lets the sites decide one after the other on the books of a central router, as
  a yardstick.
* `illegal` (default `"raise"`): `"raise"` or `"decline"`.
* `render_mode`: `None`, `"ansi"` or `"rgb_array"`.

## Version History

* v0: first version.
"""

from typing import Any

from pettingzoo import AECEnv
from pettingzoo.utils.conversions import parallel_to_aec
from pettingzoo.utils.wrappers import AssertOutOfBoundsWrapper, OrderEnforcingWrapper

from edge_gym.envs.parallel import SitesParallelEnv
from edge_gym.registration import register_parallel

register_parallel()


def parallel_env(**arguments: Any) -> SitesParallelEnv:
    """One world in which the sites decide at the same time.

    Args:
        **arguments: See the module.

    Raises:
        EdgeGymInputError: An argument or the scenario is not valid.
    """
    return SitesParallelEnv(**arguments)


def env(**arguments: Any) -> AECEnv:
    """The same world, the sites asked one after the other; it goes on when all have chosen.

    Args:
        **arguments: See the module.

    Raises:
        EdgeGymInputError: An argument or the scenario is not valid.
    """
    return OrderEnforcingWrapper(AssertOutOfBoundsWrapper(parallel_to_aec(parallel_env(**arguments))))
