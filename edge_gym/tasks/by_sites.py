"""What the pages of the tasks with AI agents have in common where the sites decide."""

PAGE = """\
## Time Step

As in the task with one controller: one step is one agent, and the world waits for the answer. One site is asked; the
others have only *decline*, which does nothing. Nobody decides at the same time as anybody else, so nothing that was
chosen is overtaken, and there are no slots here.

## Agents

`site_0`, `site_1`, ...: always all of them, and all end together.

## Action Space

`Discrete(n_nodes + 1)` for each site: the number of a node, or `n_nodes` to decline.

## Observation Space

`Dict(observation=Box(float32, (n_nodes + 1, n_features)), action_mask=MultiBinary(n_nodes + 1))`, with the columns of
the task. The site that is asked sees what a single controller would, reservations of others included: its view is not
delayed, unlike in [Routing by sites](routing_v0.md). The others see the nodes without a subject.

## Rewards

The terms of the task. `reward="own"`: latency, misses, drops and stutters of the requests that entered at the site, and
an equal part of the rest (`migration`, `energy`, `cost`, `imbalance`), so that the sum over the sites is the reward of
a single controller. `reward="shared"`: everybody gets that sum.

## State

`state()` is what a central controller would see, for critics: float32, first the observation of the nodes without a
subject, then for every site the columns of its subject and 1/9 if it is asked, else 0.

## Episode End

As in the task: never terminated; truncated for all sites at once.

## Information

For each site, as in the task; and `active`, bool: it is asked.

## Arguments

As in the task: `scenario` and any field of it, `illegal`, `render_mode`; and `reward` (default `"own"`).

## Version History

* v0: first version.
"""
