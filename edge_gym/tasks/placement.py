"""# Placement

## Description

Applications arrive: sets of AI agents that talk to each other and to a user at a site. Each agent has to be given a
node to live on. There it reserves throughput, memory, storage and bandwidth; its image has to be pulled and its model
loaded before it answers; then its user's requests go to that node, wait in its queue and crowd it, and travel to its
peer and back. An application leaves after a while and frees what it held.

## Time Step

One step is one agent. The agents of an application are asked about one after the other, at the same instant, in the
order in which they talk (an agent's peer comes before it); then the world runs on until the next application arrives.

## Action Space

`Discrete(n_nodes + 1)`: the number of a node, or `n_nodes` to decline: the
agent then lives nowhere, and each of its requests is charged as declined.

## Observation Space

`Box(float32, (n_nodes + 1, n_features))`: one row for each choice; row *i* describes node *i* as a home for this
agent, the last row is *decline*. Times are log-scaled, `log2(1 + t / 0.1 ms) / 28`, counts `log2(1 + n) / 20`. The
first columns are those of Routing; where the subject is an agent they are about one typical request for it.
`agent_cost` is the world's own cost function (`docs/agents.md`).

{columns}

## Action Mask

`info["action_mask"]` and `env.unwrapped.action_masks()`: bool, shape `(n_nodes + 1,)`. A node is legal if it is
alive and in reach of the user, serves the agent's model, and has room for what the agent reserves: throughput, memory
(weights are shared by the agents of a model), storage and network bandwidth. Declining always is
legal. An illegal action raises `InvalidAction` and changes nothing; with `illegal="decline"` it counts as declining.

{rewards}
## Starting State

Time 0, empty queues, models preloaded as the scenario says. The first observation describes the first agent of
the first application.

{ending}
## Arguments

As in Routing, with the scenarios of this task (`docs/presets.md`, default `"metro-16"`); what is about agents are the
parts `roles`, `applications`, `mobility`, `migration` and `prices`:
`gym.make("edge_gym/Placement-v0", applications_per_s=1.0)`.

## Version History

* v0: first version.
"""

from edge_gym.kernel.agent_tables import ASK_PLACEMENTS
from edge_gym.kernel.observe_agents import COLUMNS_WITH_AGENTS
from edge_gym.tasks.routing import decline, one_for_each_node
from edge_gym.tasks.task import Task
from edge_gym.tasks.with_agents import full_page

TASK = Task(
    name="placement",
    id="edge_gym/Placement-v0",
    page=full_page(__doc__ or ""),
    columns=COLUMNS_WITH_AGENTS,
    worlds="placement",
    scenario="metro-16",
    policies=("random", "nearest", "least_loaded", "greedy", "aco"),
    n_actions=one_for_each_node,
    noop=decline,
    asks=ASK_PLACEMENTS,
)
