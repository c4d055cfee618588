"""# Joint

## Description

Everything at once: requests are routed (as in Routing), the agents of arriving applications are placed (as in
Placement), and agents may be moved after their users (as in Migration). Requests for agents go to where the agent
lives; all of them share the same nodes.

## Time Step

One step is one subject: a request, an agent without a home, or an agent that may move. `is_request`, `is_placement` and
`is_migration` say which.

## Action Space

`Discrete(n_nodes + 1)`: the number of a node, or `n_nodes` to decline: the
request is rejected, the new agent lives nowhere, the living agent stays.

## Observation Space

`Box(float32, (n_nodes + 1, n_features))`: one row for each choice; row *i* describes node *i* as a home for this
subject, the last row is *decline*. Times are log-scaled, `log2(1 + t / 0.1 ms) / 28`, counts `log2(1 + n) / 20`. The
first columns are those of Routing; where the subject is an agent they are about one typical request for it.
`agent_cost` is the world's own cost function (`docs/agents.md`).

{columns}

## Action Mask

`info["action_mask"]` and `env.unwrapped.action_masks()`: bool, shape `(n_nodes + 1,)`. For a request as in Routing, for
an agent as in Placement and Migration. Declining always is
legal. An illegal action raises `InvalidAction` and changes nothing; with `illegal="decline"` it counts as declining.

{rewards}
## Starting State

Time 0, empty queues, models preloaded as the scenario says. Agents that are there at the start
answer at once.

{ending}
## Arguments

As in Routing, with the scenarios of this task (`docs/presets.md`, default `"region-16"`); what is about agents are the
parts `roles`, `applications`, `mobility`, `migration` and `prices`:
`gym.make("edge_gym/Joint-v0", load=0.5)`.

## Version History

* v0: first version.
"""

from edge_gym.kernel.agent_tables import ASK_MIGRATIONS, ASK_PLACEMENTS, ASK_REQUESTS
from edge_gym.kernel.observe_agents import COLUMNS_WITH_AGENTS
from edge_gym.tasks.routing import decline, one_for_each_node
from edge_gym.tasks.task import Task
from edge_gym.tasks.with_agents import full_page

TASK = Task(
    name="joint",
    id="edge_gym/Joint-v0",
    page=full_page(__doc__ or ""),
    columns=COLUMNS_WITH_AGENTS,
    worlds="joint",
    scenario="region-16",
    policies=("random", "together"),
    n_actions=one_for_each_node,
    noop=decline,
    asks=ASK_REQUESTS | ASK_PLACEMENTS | ASK_MIGRATIONS,
)
