"""What the pages of the tasks with AI agents have in common."""

REWARDS = """\
## Rewards

The weighted sum of named terms since the last decision, each a cost with a minus sign, as in Routing; with agents

| term | unit | meaning |
|---|---|---|
| `latency` | s | request-seconds in the system, waiting for an agent that starts or moves included |
| `slo_miss` | requests | late, declined, dropped |
| `drop` | requests | declined, dropped, or left behind at the end |
| `stutter` | requests | delivered with too long a gap between units, or from a node whose user was in the foreground |
| `migration` | s | seconds for which agents did not answer because they moved, booked when they answer again |
| `energy` | J | of all nodes, idle power included |
| `cost` | USD | throughput and storage that agents reserve, and bytes that leave their site |
| `imbalance` | s | standard deviation over the nodes of the share of busy slots, times time |

The first reward holds what happened before the
first decision. A request of an agent that lives nowhere is charged as declined: `drop_charge_deadlines` deadlines.
"""

ENDING = """\
## Episode End

*Termination*: never. *Truncation*: applications, users and requests stop at `horizon_s` (applications after
`applications.n_applications` too); then the world drains for at most `drain_s`, all of it within the last reward, and
the final observation has no subject.

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
"""


def full_page(page: str) -> str:
    """A docstring with the common sections in their places."""
    return page.replace("{rewards}", REWARDS).replace("{ending}", ENDING)
