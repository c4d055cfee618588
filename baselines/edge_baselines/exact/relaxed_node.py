"""Which agents a node would take if it were paid a price for each: a small knapsack, searched to the end.

The four capacities, the shared weights and the crowding of the node are all respected. What two relaxations promise at
most cuts the search: every agent further crowds at least as it would as the next one (crowding is convex); and agents
may be divided, those that pay most for their load first.
"""

import numpy as np

from edge_gym.kernel.assignment import KNOTS, crowd

from ._compiled import compiled

# A set that fits must not be lost to rounding: sums here are taken in another order.
SLACK = 1.0 + 1e-9
LOAD, MEMORY, STORAGE, TRAFFIC, PRICE = range(5)
N_KNOTS = len(KNOTS)


@compiled
def fill(problem, n, prices, may, forced, max_visits, taken):
    """The most a node can earn: prices of the agents it takes, less what their crowding costs.

    Args:
        problem: The problem.
        n: The node.
        prices: (G, N) f8, cost rates.
        may: (G, N) bool, the pairs considered.
        forced: An agent that must be among those taken and fits alone, or -1.
        max_visits: Sets looked at before the rest is only estimated.
        taken: (G,) i8, filled: the agents of the best set found come first.

    Returns:
        A value that no set exceeds, and the number of agents in the best set found.
    """
    weight = problem.crowd_weight
    brought = (problem.held[n] == 0) * problem.weights
    free = np.array([problem.load_limit[n], problem.memory_free[n], problem.storage_free[n], problem.traffic_free[n]])
    free = free * SLACK
    free[LOAD] -= problem.load_before[n]
    load, earned = problem.load_before[n], 0.0
    if forced >= 0:
        need = problem.load[forced, n]
        earned = prices[forced, n] - weight * (crowd(load + need) - crowd(load))
        load += need
        free[LOAD] -= need
        free[MEMORY] -= problem.memory[forced] + brought[problem.model[forced]]
        free[STORAGE] -= problem.storage[forced]
        free[TRAFFIC] -= problem.traffic[forced]
        brought[problem.model[forced]] = 0.0
    items = _worthwhile(problem, n, prices, may, forced, load)
    needs = np.empty((items.shape[0], 5))
    model = np.empty(items.shape[0], np.int64)
    for k in range(items.shape[0]):
        g = items[k]
        model[k] = problem.model[g]
        needs[k, LOAD], needs[k, MEMORY] = problem.load[g, n], problem.memory[g]
        needs[k, STORAGE], needs[k, TRAFFIC], needs[k, PRICE] = problem.storage[g], problem.traffic[g], prices[g, n]
    most, n_taken = _search(needs, model, brought, free, load, weight, max_visits, taken)
    for k in range(n_taken):
        taken[k] = items[taken[k]]
    if forced >= 0:
        taken[n_taken] = forced
        n_taken += 1
    return earned + most, n_taken


@compiled
def _worthwhile(problem, n, prices, may, forced, load):
    """Agents that pay for the crowding they cause if they come next, those with most price per load in front."""
    n_agents = prices.shape[0]
    items, key = np.empty(n_agents, np.int64), np.empty(n_agents)
    k = 0
    here, weight = crowd(load), problem.crowd_weight
    for g in range(n_agents):
        if may[g, n] and g != forced and prices[g, n] > 0.0:
            need = problem.load[g, n]
            if prices[g, n] > weight * (crowd(load + need) - here):
                items[k] = g
                key[k] = -prices[g, n] / max(need, 1e-300)
                k += 1
    return items[:k][np.argsort(key[:k])]


@compiled
def _search(needs, model, brought, free, load, weight, max_visits, taken):
    """Depth first, taking before leaving; see `fill`. `taken` gets rows of `needs`."""
    n_items, depth, i, visits = needs.shape[0], 0, 0, 0
    path, brings = np.empty(n_items, np.int64), np.empty(n_items)
    loads, values = np.empty(n_items), np.empty(n_items)
    earned, best, promised, n_taken = 0.0, 0.0, 0.0, 0
    while True:
        visits += 1
        if i < n_items:
            most = earned + _promise(needs, i, model, brought, free, load, weight, best - earned)
            if most <= best + 1e-12:
                i = n_items
            elif visits > max_visits:
                promised = max(promised, most)
                i = n_items
        while i < n_items and not _room(needs[i], brought[model[i]], free):
            i += 1
        if i < n_items:
            m = model[i]
            path[depth], brings[depth], loads[depth], values[depth] = i, brought[m], load, earned
            earned += needs[i, PRICE] - weight * (crowd(load + needs[i, LOAD]) - crowd(load))
            load += needs[i, LOAD]
            free[MEMORY] -= brought[m]
            brought[m] = 0.0
            for d in range(4):
                free[d] -= needs[i, d]
            depth += 1
            if earned > best:
                best, n_taken = earned, depth
                taken[:depth] = path[:depth]
        elif depth == 0:
            break
        else:
            depth -= 1
            i = path[depth]
            load, earned = loads[depth], values[depth]
            brought[model[i]] = brings[depth]
            free[MEMORY] += brings[depth]
            for d in range(4):
                free[d] += needs[i, d]
        i += 1
    return max(best, promised), n_taken


@compiled
def _room(need, weights, free):
    return (
        need[LOAD] <= free[LOAD]
        and need[MEMORY] + weights <= free[MEMORY]
        and need[STORAGE] <= free[STORAGE]
        and need[TRAFFIC] <= free[TRAFFIC]
    )


@compiled
def _promise(needs, first, model, brought, free, load, weight, enough):
    """At most what the agents from `first` on can still earn; any such value once it is no more than `enough`."""
    divided = _promise_divided(needs, first, model, brought, free, load, weight)
    if divided <= enough:
        return divided
    base = crowd(load)
    one_by_one = 0.0
    for k in range(first, needs.shape[0]):
        gain = needs[k, PRICE] - weight * (crowd(load + needs[k, LOAD]) - base)
        if gain > 0.0 and _room(needs[k], brought[model[k]], free):
            one_by_one += gain
            if one_by_one >= divided:
                return divided
    return one_by_one


@compiled
def _promise_divided(needs, first, model, brought, free, load, weight):
    """What the agents can earn if parts of them may be taken; they come with the most price per load in front."""
    promise = 0.0
    limit = load + free[LOAD]
    segment = 1
    while segment < N_KNOTS - 1 and load >= KNOTS[segment]:
        segment += 1
    for k in range(first, needs.shape[0]):
        if not _room(needs[k], brought[model[k]], free):
            continue
        need, price = needs[k, LOAD], needs[k, PRICE]
        if need <= 0.0:
            promise += price
            continue
        density = price / need
        while need > 0.0:
            low, high = KNOTS[segment - 1], KNOTS[segment]
            gain = density - weight * (high * high / (1.0 - high) - low * low / (1.0 - low)) / (high - low)
            if gain <= 0.0 or load >= limit:
                return promise
            end = limit if segment == N_KNOTS - 1 else min(high, limit)
            part = min(need, max(0.0, end - load))
            promise += gain * part
            need -= part
            load += part
            if need > 0.0:
                if end >= limit:
                    return promise
                load = end
                segment += 1
    return promise
