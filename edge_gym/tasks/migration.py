"""# Migration"""

from edge_gym.kernel.agent_tables import ASK_MIGRATIONS
from edge_gym.kernel.observe_agents import COLUMNS_WITH_AGENTS
from edge_gym.tasks.routing import decline, one_for_each_node
from edge_gym.tasks.task import Task

TASK = Task(
    name="migration",
    id="edge_gym/Migration-v0",
    page=__doc__ or "",
    columns=COLUMNS_WITH_AGENTS,
    worlds="migration",
    n_actions=one_for_each_node,
    noop=decline,
    asks=ASK_MIGRATIONS,
)
