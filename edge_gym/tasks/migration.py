"""# Migration

## Description

AI agents live on nodes and serve users who move from site to site. The farther the user, the longer each request
takes and the more its bytes cost; the more agents share a node, the slower it is. An agent may be moved: its state is
exported, sent, loaded and its context prefilled again at the target, while its requests wait (`lightweight`); its
image may have to travel too (`full`). Moving too seldom costs distance, too often costs downtime, bytes and work.

## Time Step

One step is one agent: when its user came to another site (handover), when its node is overloaded, when its turn comes
in the periodic review, and when its node has left. An agent is not asked about again within `migration.pause_s`.
New agents are placed by the world itself, where they cost least.

## Action Space

`Discrete(n_nodes + 1)`: the number of a node, or `n_nodes` to decline: the
agent stays, or, if its node has left, waits for the next review without a home.

## Observation Space

`Box(float32, (n_nodes + 1, n_features))`: one row for each choice; row *i* describes node *i* as a home for this
agent, the last row is *decline*. Times are log-scaled, `log2(1 + t / 0.1 ms) / 28`, counts `log2(1 + n) / 20`. The
first columns are those of Routing; where the subject is an agent they are about one typical request for it.
`agent_cost` is the world's own cost function (`docs/agents.md`).

{columns}

## Action Mask

`info["action_mask"]` and `env.unwrapped.action_masks()`: bool, shape `(n_nodes + 1,)`. A node is legal if it is
alive and in reach of the user, serves the agent's model, and has room for what the agent reserves: throughput, memory
(weights are shared by the agents of a model), storage and network bandwidth. The node where it lives is
not legal: staying is declining.  Declining always is
legal. An illegal action raises `InvalidAction` and changes nothing; with `illegal="decline"` it counts as declining.

{rewards}
## Starting State

Time 0, empty queues, models preloaded as the scenario says. Agents that are there at the start
answer at once. The first observation describes the first agent asked about.

{ending}
## Arguments

As in Routing, with the scenarios of this task (`docs/presets.md`, default `"commute-16"`); what is about agents are the
parts `roles`, `applications`, `mobility`, `migration` and `prices`:
`gym.make("edge_gym/Migration-v0", scenario="roam-24", mode="full")`.

## Version History

* v0: first version.
"""

from edge_gym.kernel.agent_tables import ASK_MIGRATIONS
from edge_gym.kernel.observe_agents import COLUMNS_WITH_AGENTS
from edge_gym.tasks.routing import decline, one_for_each_node
from edge_gym.tasks.task import Task
from edge_gym.tasks.with_agents import full_page

TASK = Task(
    name="migration",
    id="edge_gym/Migration-v0",
    page=full_page(__doc__ or ""),
    columns=COLUMNS_WITH_AGENTS,
    worlds="migration",
    scenario="commute-16",
    policies=("random", "never", "always_follow", "myopic", "hysteresis"),
    n_actions=one_for_each_node,
    noop=decline,
    asks=ASK_MIGRATIONS,
)
