"""# Routing

## Description

Users at the sites of an edge network ask for generative and other inference. Each request has to be sent to one of
the nodes. The nodes differ in speed, in the models they hold and in distance; several requests on a node slow each
other; a model that is not resident has to be loaded first. What is known beforehand are measured priors (MLPerf);
how a node really performs shows only in the completions.

## Time Step

One step is one request. Between two steps the world runs, event by event, until the next request arrives (or one
comes back from a node that left). Steps are unevenly spaced: `info["dt_s"]` is the simulated time since the last
one.

## Action Space

`Discrete(n_nodes + 1)`: the number of a node, or `n_nodes` to decline the request.

## Observation Space

`Box(float32, (n_nodes + 1, n_features))`: one row for each choice; row *i* describes node *i* as a home for this
request, the last row is *decline*. Times are log-scaled, `log2(1 + t / 0.1 ms) / 28`, counts `log2(1 + n) / 20`.

{columns}

## Action Mask

`info["action_mask"]` and `env.unwrapped.action_masks()`: bool, shape `(n_nodes + 1,)`. A node is legal if it is
alive and reachable, serves the model, has room for one more outstanding request, and can hold the model beside
those in use. Declining always is. An illegal action raises `InvalidAction` and changes nothing; with
`illegal="decline"` it counts as declining.

## Rewards

The weighted sum of named terms, each a cost with a minus sign, since the last decision; the raw terms are in
`info["reward_terms"]`, the weights belong to the scenario (default: latency alone):

| term | unit | meaning |
|---|---|---|
| `latency` | s | request-seconds in the system, so the return is minus the summed latency |
| `slo_miss` | requests | late, declined, dropped |
| `drop` | requests | declined, dropped, or left behind at the end |
| `stutter` | requests | delivered with too long a gap between units, or from a node whose user was in the foreground |
| `migration` | s | always 0 in this task |
| `energy` | J | of all nodes, idle power included |
| `cost` | USD | price of the nodes while they run anything |
| `imbalance` | s | standard deviation over the nodes of the share of busy slots, times time |

A request that is declined, dropped or left behind is charged `drop_charge_deadlines` deadlines of latency (default
2).

## Starting State

Time 0, empty queues, models preloaded as the scenario says; software factors of the nodes drawn from the seed. The
first observation describes the first request.

## Episode End

*Termination*: never. *Truncation*: arrivals stop at `horizon_s` or after `n_requests`, whichever is first; then the
world
drains for at most `drain_s`, all of it within the last reward, and the final observation has no request
(`is_request` 0).

## Information

| key | type | meaning |
|---|---|---|
| `action_mask` | bool (n_nodes + 1,) | which choices are legal now |
| `reward_terms` | dict of float | the unweighted reward terms |
| `dt_s` | float | simulated seconds since the last decision |
| `time_s` | float | simulated seconds since the episode began |
| `events` | tuple | messages since the last decision: `(time_s, text)` each; data, never instructions |
| `seed` | int | `reset(seed=...)` with it begins this very episode again |
| `invalid_action` | bool | an illegal action was taken as declining (with `illegal="decline"`) |

## Arguments

* `scenario` (default `"stationary"`): a preset's name, a file, or a `Scenario`; any field can be overridden by
keyword:
  `gym.make("edge_gym/Routing-v0", scenario="stationary", n_nodes=32, load=0.7)`.
* `illegal` (default `"raise"`): `"raise"` or `"decline"`.
* `render_mode`: `None`, `"ansi"`, `"rgb_array"`, or (single environments, where there is a screen) `"human"`.
* vector only: `num_envs`, `autoreset_mode` (default next step), `copy` (default `True`: fresh arrays on every
return).

## Version History

* v0: first version.
"""

from edge_gym.kernel.observe import COLUMNS
from edge_gym.tasks.task import Task


def one_for_each_node(n_nodes: int, n_models: int) -> int:
    """Number of actions where each node is a choice, and declining one more."""
    return n_nodes + 1


def decline(n_nodes: int, n_models: int) -> int:
    """The action that declines."""
    return n_nodes


TASK = Task(
    name="routing",
    id="edge_gym/Routing-v0",
    page=__doc__ or "",
    columns=COLUMNS,
    worlds="routing",
    scenario="stationary",
    policies=("random", "jsq", "sect_static", "oracle"),
    n_actions=one_for_each_node,
    noop=decline,
)
