"""How far the nodes of a world are from each other, for controllers that look at the network as a graph."""

from __future__ import annotations

import numpy as np

from edge_gym.kernel.build import World
from edge_gym.kernel.observe import scale_times


def log_links(world: World) -> np.ndarray:
    """One-way delays between the nodes, scaled as the times of an observation.

    Args:
        world: The scenario made ready to run.

    Returns:
        (N + 1, N + 1) float32 in [0, 1], read-only: row and column n are node n, the last ones (decline) are 0;
        1 where there is no way.
    """
    n_nodes = world.n_nodes
    times = world.network.node_delay_s().astype(np.float32).ravel()
    scale_times(times)
    links = np.zeros((n_nodes + 1, n_nodes + 1), np.float32)
    links[:n_nodes, :n_nodes] = times.reshape(n_nodes, n_nodes)
    links.flags.writeable = False
    return links
