"""# Placement"""

from edge_gym.kernel.agent_tables import ASK_PLACEMENTS
from edge_gym.kernel.observe_agents import COLUMNS_WITH_AGENTS
from edge_gym.tasks.routing import decline, one_for_each_node
from edge_gym.tasks.task import Task

TASK = Task(
    name="placement",
    id="edge_gym/Placement-v0",
    page=__doc__ or "",
    columns=COLUMNS_WITH_AGENTS,
    worlds="placement",
    n_actions=one_for_each_node,
    noop=decline,
    asks=ASK_PLACEMENTS,
)
