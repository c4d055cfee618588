"""# Joint"""

from edge_gym.kernel.agent_tables import ASK_MIGRATIONS, ASK_PLACEMENTS, ASK_REQUESTS
from edge_gym.kernel.observe_agents import COLUMNS_WITH_AGENTS
from edge_gym.tasks.routing import decline, one_for_each_node
from edge_gym.tasks.task import Task

TASK = Task(
    name="joint",
    id="edge_gym/Joint-v0",
    page=__doc__ or "",
    columns=COLUMNS_WITH_AGENTS,
    worlds="joint",
    n_actions=one_for_each_node,
    noop=decline,
    asks=ASK_REQUESTS | ASK_PLACEMENTS | ASK_MIGRATIONS,
)
