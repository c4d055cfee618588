"""# Placement by sites

## Description

The world of [Placement](placement.md), where the site to which the user of an application is attached decides about
its agents. A PettingZoo environment:

    from edge_gym import placement_v0
    env = placement_v0.parallel_env(scenario="campus-8")

`placement_v0.env(...)` takes the same arguments and asks the sites in turn (AEC).
`edge_gym.envs.sites.SitesVectorEnv(task="placement")` is the same for many worlds at once, a row for each site.

{shared}
"""

from typing import Any

from pettingzoo import AECEnv
from pettingzoo.utils.conversions import parallel_to_aec
from pettingzoo.utils.wrappers import AssertOutOfBoundsWrapper, OrderEnforcingWrapper

from edge_gym.envs.parallel import SitesParallelEnv
from edge_gym.registration import register_parallel
from edge_gym.tasks.by_sites import PAGE

__doc__ = (__doc__ or "").replace("{shared}", PAGE)
register_parallel()


def parallel_env(**arguments: Any) -> SitesParallelEnv:
    """One world of Placement, split by site.

    Args:
        **arguments: See the module.

    Raises:
        EdgeGymInputError: An argument or the scenario is not valid.
    """
    return SitesParallelEnv(task="placement", **arguments)


def env(**arguments: Any) -> AECEnv:
    """The same world, the sites asked one after the other; it goes on when all have chosen.

    Args:
        **arguments: See the module.

    Raises:
        EdgeGymInputError: An argument or the scenario is not valid.
    """
    return OrderEnforcingWrapper(AssertOutOfBoundsWrapper(parallel_to_aec(parallel_env(**arguments))))
