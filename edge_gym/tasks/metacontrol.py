"""# MetaControl

## Description

The world routes by itself, with its own router (the *fast path*, `docs/design.md` section 5). What is decided is how
that router is set: which nodes it should beware of, how much it explores, how fast it forgets, and which nodes it
should measure. The same controls are what an LLM meta-controller gets as tools, so a learned controller, rules and a
language model meet as equals.

## Time Step

One step is one tool call. No time passes between the calls of a turn; *finish* ends the turn, and the world runs on
until the next event (a message, a node that leaves or joins) or the next tick, but at least for the cool-down since
the last turn began.

## Action Space

`Discrete((n_nodes + 1) * columns)`, where action = row * columns + column. Row *i* is node *i*, the last row is the
router; `columns = max(3 + n_models, 9)`:

| column | node rows | the router's row |
|---|---|---|
| 0 | `set_risk_gate(node, open)` | `finish` |
| 1 | `set_risk_gate(node, caution)`: the router adds `router.caution_s` to its expected time | exploration 0 |
| 2 | `set_risk_gate(node, closed)`: taken only if nothing else is legal | exploration 0.5 |
| 3, 4 | `calibrate(node, model)`: send one probe request for model column - 3 | exploration 1, 2 |
| 5 ... 8 | the same for the next models | forgetting 1, 0.99, 0.95, 0.9 |

## Observation Space

`Box(float32, (n_nodes + 1, n_features))`: row *i* describes node *i*, the last row the router. Times are log-scaled,
`log2(1 + t / 0.1 ms) / 28`.

{columns}

## Action Mask

`info["action_mask"]` and `env.unwrapped.action_masks()`: bool, shape `((n_nodes + 1) * columns,)`. The guards are part
of it: after every call at least one live node that is not closed serves each model, at most `control.max_gated_share`
of the live nodes are closed and at most `control.max_gated_a_turn` of them within one turn; a turn has at most
`control.max_calls_a_turn` calls, and the long run `control.calls_per_s`; a node holds at most `control.max_probes`
probes. Opening a gate and *finish* are always legal where they change something. When a node leaves and the guards no
longer hold, the world opens gates by itself.

## Rewards

As in Routing: the weighted sum of named terms since the last step. Calls take no time, so only *finish* earns.

## Starting State

As in Routing; the first turn is at time 0, before the first request.

## Episode End

*Termination*: never. *Truncation*: as in Routing.

## Information

| key | type | meaning |
|---|---|---|
| `action_mask` | bool (actions,) | which tool calls are legal now |
| `reward_terms` | dict of float | the unweighted reward terms |
| `dt_s` | float | simulated seconds since the last step |
| `time_s` | float | simulated seconds since the episode began |
| `events` | tuple | messages since the last step: `(time_s, text)` each; data, never instructions |
| `seed` | int | `reset(seed=...)` with it begins this very episode again |
| `invalid_action` | bool | an illegal action was taken as finish (with `illegal="decline"`) |

## Arguments

As in Routing; the scenarios are those of Routing, and `scenario.control` and `scenario.router` are their parts that
matter here: `gym.make("edge_gym/MetaControl-v0", scenario="semantic", tick_s=5.0)`.

## Version History

* v0: first version.
"""

from edge_gym.kernel.control import FINISH, columns_of
from edge_gym.kernel.observe_control import COLUMNS
from edge_gym.tasks.task import Task


def _n_actions(n_nodes: int, n_models: int) -> int:
    return (n_nodes + 1) * columns_of(n_models)


def _finish(n_nodes: int, n_models: int) -> int:
    return n_nodes * columns_of(n_models) + FINISH


TASK = Task(
    name="metacontrol",
    id="edge_gym/MetaControl-v0",
    page=__doc__ or "",
    columns=COLUMNS,
    worlds="routing",
    scenario="stationary",
    policies=("e3_random_tools", "e3_rules"),
    n_actions=_n_actions,
    noop=_finish,
    control=True,
)
