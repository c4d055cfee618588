"""What the pages of the tasks with AI agents have in common where the sites decide."""

PAGE = """\
## Time Step

Time is cut into time slots of `slot_s`. At the end of one, every site with agents to decide on decides about the first
of them; then, at the same instant, those with more decide again, until none waits. Nobody sees what the others choose
at that instant. A node that has no room left when its turn comes refuses the agent: the site that was first in the last
slot is the last in this one. A refused agent is asked about again at the next slot; until then one that lived nowhere
lives nowhere, and one that lived somewhere stays and answers there. An agent that waits for a decision follows its user
to another site. A step may leave the time where it is; nobody is asked about anything else meanwhile.

With `slot_s=0` there is one decision at a time, at once, and a refused agent is asked about again at once. With
`slot_s=0` and `view="central"`, or with one site, the world is that of the task with one controller bit for bit.

## Agents

`site_0`, `site_1`, ...: always all of them, and all end together.

## Action Space

`Discrete(n_nodes + 1)` for each site: the number of a node, or `n_nodes` to decline. A site without an agent to decide
on may only decline, which does nothing.

## Observation Space

`Dict(observation=Box(float32, (n_nodes + 1, n_features)), action_mask=MultiBinary(n_nodes + 1))`. The columns are those
of the task, made by the same functions from what the site has heard:

* of every node what it told last, with its load, its reservations and its measured speed: every `heartbeat_s` nodes
  tell everybody, a node that joins does at once, and one that refuses an agent tells the site that sent it;
* what the site has reserved there itself since; what it has given back since it hears of with the rest;
* which nodes are there, messages (`event*`) and its users' own agents are as of now.

So a legal choice is one that has room as far as the site knows. Who has nothing to decide on sees the nodes without a
subject.

## Rewards

The terms of the task. `reward="own"`: latency, misses, drops and stutters of the requests that entered at the site, and
an equal part of the rest (`migration`, `energy`, `cost`, `imbalance`), so that the sum over the sites is the reward of
a single controller. `reward="shared"`: everybody gets that sum.

## State

`state()` is what a central controller would see, for critics: float32, first the observation of the nodes without a
subject, then for every site the columns of its subject and `n / (n + 8)` of the `n` agents waiting there.

## Episode End

As in the task: never terminated; truncated for all sites at once.

## Information

For each site, as in the task; and `active`, bool: it has an agent to decide on.

## Arguments

* As in the task: `scenario` and any field of it, `illegal`, `render_mode`.
* `slot_s` (default 0.1): seconds between the instants at which the sites decide, 1e-6 to 3,600; 0: each at once.
* `heartbeat_s` (default: `telemetry_age_s`, at least 1): seconds between the instants at which nodes tell everybody,
  1e-6 to 3,600. Without effect with one site.
* `view` (default `"own"`): `"central"` lets the sites decide one after the other, each seeing everything, as a
  yardstick: nobody is refused.
* `reward` (default `"own"`): `"own"` or `"shared"`.

## Version History

* v0: first version.
"""
