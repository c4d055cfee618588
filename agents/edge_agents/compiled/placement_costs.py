"""What every other choice for each agent of an application would have cost, seen when all of them are placed."""

import numpy as np

from edge_gym.kernel.assignment import fits, give, price_of, take, total
from edge_gym.kernel.tables import NONE

from . import compiled


@compiled
def hindsight_costs(problem, use, home, n_rounds, cost):
    """Cost rate of the whole application for each choice of each agent, if those after it are then placed well.

    The agents are placed one after the other: whoever came before stays where it was put; whoever comes later is moved
    one by one to where it is cheapest, or changes places with another, as long as that helps, and then again beside
    each choice.

    Args:
        problem: The problem as it was when the first agent was asked about.
        use: Empty (`assignment.empty_use`); scratch.
        home: (G,) int64, node of each agent in the order in which they were placed, NONE for those refused.
        n_rounds: How often at most everybody who comes later, and each pair, is looked at beside a choice.
        cost: Output (G, N + 1), the last column is declining; nan where the agent does not fit beside those before it.
    """
    n_agents, n_nodes = problem.own.shape
    plan = home.copy()
    trial = home.copy()
    for g in range(n_agents):
        if plan[g] != NONE:
            take(problem, use, g, plan[g])
    for g in range(n_agents):
        improve(problem, use, plan, g, n_agents)
        for n in range(n_nodes + 1):
            trial[:] = plan
            goal = n if n < n_nodes else NONE
            if settle(problem, use, trial, g, goal):
                for k in range(n_rounds):
                    if not look_at_all(problem, use, trial, g + 1) and k > 0:
                        break
                    look_at_pairs(problem, use, trial, g + 1)
                cost[g, n] = total(problem, trial)
            else:
                cost[g, n] = np.nan
            change_into(problem, use, trial, plan, g)
        trial[:] = plan
        trial[g] = home[g]
        if trial[g] != plan[g]:  # what it did choose counts for those who come after it
            trial[:] = plan
            settle(problem, use, trial, g, home[g])
            plan[:] = trial


@compiled
def improve(problem, use, plan, first, most):
    """Move or exchange the agents from number `first` on until nothing helps or so many rounds have passed."""
    for _ in range(most):
        while look_at_all(problem, use, plan, first):
            pass
        if not look_at_pairs(problem, use, plan, first):
            break


@compiled
def look_at_all(problem, use, plan, first):
    """Move each agent from number `first` on to where it is cheapest; returns whether anything has changed."""
    changed = False
    for g in range(first, plan.shape[0]):
        changed |= place(problem, use, plan, g)
    return changed


@compiled
def look_at_pairs(problem, use, plan, first):
    """Let each pair of agents from number `first` on change places if that is cheaper; whether anything has changed."""
    changed = False
    for g in range(first, plan.shape[0]):
        for k in range(g + 1, plan.shape[0]):
            if plan[g] != plan[k] and plan[g] != NONE and plan[k] != NONE:
                changed |= exchange(problem, use, plan, g, k)
    return changed


@compiled
def exchange(problem, use, plan, g, k):
    """Two agents on different nodes change places if they fit and that is cheaper; whether they do."""
    a, b = plan[g], plan[k]
    if not (problem.own[g, b] < np.inf and problem.own[k, a] < np.inf):
        return False
    give(problem, use, g, a)
    give(problem, use, k, b)
    plan[g], plan[k] = NONE, NONE
    before = put(problem, use, plan, g, a) + put(problem, use, plan, k, b)
    give(problem, use, g, a)
    give(problem, use, k, b)
    plan[g], plan[k] = NONE, NONE
    if fits(problem, use, g, b) and fits(problem, use, k, a):
        after = put(problem, use, plan, g, b) + put(problem, use, plan, k, a)
        if after < before - 1e-9 * abs(before):
            return True
        give(problem, use, g, b)
        give(problem, use, k, a)
        plan[g], plan[k] = NONE, NONE
    put(problem, use, plan, g, a)
    put(problem, use, plan, k, b)
    return False


@compiled
def put(problem, use, plan, g, n):
    """Put an agent without a home on a node; returns by how much the cost rate grows."""
    cost = price_of(problem, use, plan, g, n)
    take(problem, use, g, n)
    plan[g] = n
    return cost


@compiled
def place(problem, use, plan, g):
    """Put an agent where it is cheapest beside the others, refused if nowhere fits or is worth it; whether it moves."""
    here = plan[g]
    least = problem.refuse[g]
    if here != NONE:
        give(problem, use, g, here)
        plan[g] = NONE
        least = min(least, price_of(problem, use, plan, g, here))
    best = here if here != NONE and least < problem.refuse[g] else NONE
    least -= 1e-9 * abs(least)
    for n in range(problem.own.shape[1]):
        if n != here and fits(problem, use, g, n):
            price = price_of(problem, use, plan, g, n)
            if price < least:
                best, least = n, price
    if best != NONE:
        take(problem, use, g, best)
    plan[g] = best
    return best != here


@compiled
def settle(problem, use, trial, g, goal):
    """Put agent `g` where it shall be. Later agents that stand in its way go elsewhere; false if that is no help."""
    if trial[g] != NONE:
        give(problem, use, g, trial[g])
        trial[g] = NONE
    if goal == NONE:
        return True
    n_agents = trial.shape[0]
    moved = np.zeros(n_agents, np.bool_)
    k = n_agents - 1
    while not fits(problem, use, g, goal) and k > g:
        if trial[k] == goal:
            give(problem, use, k, goal)
            trial[k] = NONE
            moved[k] = True
        k -= 1
    good = fits(problem, use, g, goal)
    if good:
        take(problem, use, g, goal)
        trial[g] = goal
        for k in range(g + 1, n_agents):
            if moved[k]:
                place(problem, use, trial, k)
    return good


@compiled
def change_into(problem, use, trial, plan, first):
    """Make `use` that of `plan` again, which differs from `trial` from agent number `first` on at most."""
    for g in range(first, plan.shape[0]):
        if trial[g] != plan[g] and trial[g] != NONE:
            give(problem, use, g, trial[g])
    for g in range(first, plan.shape[0]):
        if trial[g] != plan[g] and plan[g] != NONE:
            take(problem, use, g, plan[g])
