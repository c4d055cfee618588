"""Figures of a placement problem that need a loop over all nodes, compiled."""

from pathlib import Path

from edge_gym.kernel._jit import compiler_for
from edge_gym.kernel.assignment import crowd, fits, price_of

compiled = compiler_for(Path(__file__).parent)


@compiled
def fill_prices(problem, use, home, g, prices):
    """By how much the cost rate grows when agent `g`, without a home, goes to each node.

    Args:
        problem: The problem.
        use: What the others take.
        home: (G,) int64, where they are.
        g: The agent.
        prices: Output (N,) float64; left alone where it does not fit.
    """
    for n in range(prices.shape[0]):
        if fits(problem, use, g, n):
            prices[n] = price_of(problem, use, home, g, n)


@compiled
def lower_bound(problem):
    """A cost rate that no assignment goes below: each agent where it costs least with nobody else of its problem about.

    Crowding is convex, so together agents crowd a node at least as much as the sum of what each does alone; what
    peers say costs nothing at best, and capacities are left aside.
    """
    bound = 0.0
    for g in range(problem.own.shape[0]):
        least = problem.refuse[g]
        for n in range(problem.own.shape[1]):
            before = problem.load_before[n]
            alone = crowd(before + problem.load[g, n]) - crowd(before)
            least = min(least, problem.own[g, n] + problem.crowd_weight * alone)
        bound += least
    return bound
