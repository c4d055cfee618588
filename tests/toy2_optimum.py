"""The best that can be done in `toy2`, by dynamic programming.

A request waits for the work before it on its node: 1 s each on the fast one, 2 s each on the slow one. So the state is
the work left on both nodes and how many requests are still to come; between arrivals, exponential with rate 1/s, both
works run down. Nothing else matters, so no policy of any kind does better in the mean.
"""

import numpy as np

FAST_S, SLOW_S, RATE, N_REQUESTS = 1.0, 2.0, 1.0, 10
STEP_S = 0.05
SIZE = 321  # 16 s of work


def solve():
    """Chooses the fast node? (N_REQUESTS, SIZE, SIZE) bool by requests still to come; and the least mean total (s)."""
    work = np.arange(SIZE) * STEP_S
    fast, slow = round(FAST_S / STEP_S), round(SLOW_S / STEP_S)
    cost, rules = np.zeros((SIZE, SIZE)), []
    for _ in range(N_REQUESTS):
        later = after_a_while(cost)
        add = np.minimum(np.arange(SIZE) + fast, SIZE - 1), np.minimum(np.arange(SIZE) + slow, SIZE - 1)
        to_fast = work[:, None] + FAST_S + later[add[0], :]
        to_slow = work[None, :] + SLOW_S + later[:, add[1]]
        rules.append(to_fast <= to_slow)
        cost = np.minimum(to_fast, to_slow)
    return np.array(rules), cost[0, 0]


def after_a_while(cost):
    """The mean of `cost` at the next arrival, from every work left now; linear between the points of the grid."""
    kept = np.exp(-RATE * STEP_S)
    result = np.empty_like(cost)
    result[0, 0] = cost[0, 0]
    for j in range(1, SIZE):
        result[0, j] = (1 - kept) * (cost[0, j] + cost[0, j - 1]) / 2 + kept * result[0, j - 1]
    for i in range(1, SIZE):
        before, gone = np.roll(cost[i - 1], 1), np.roll(result[i - 1], 1)
        before[0], gone[0] = cost[i - 1, 0], result[i - 1, 0]
        result[i] = (1 - kept) * (cost[i] + before) / 2 + kept * gone
    return result


class Optimum:
    """Plays it: keeps the books of both works."""

    def __init__(self, n_worlds):
        self.rules, self.mean = solve()
        self.work, self.left = np.zeros((n_worlds, 2)), np.full(n_worlds, N_REQUESTS)

    def choose(self):
        """(B,) 0 for the fast node, 1 for the slow one."""
        at = np.minimum((self.work / STEP_S).round().astype(int), SIZE - 1)
        return np.where(self.rules[self.left - 1, at[:, 0], at[:, 1]], 0, 1)

    def step(self, choice, dt_s, done):
        self.work[np.arange(len(choice)), choice] += np.where(choice == 0, FAST_S, SLOW_S)
        self.work = np.maximum(self.work - dt_s[:, None], 0.0)
        self.work[done], self.left = 0.0, np.where(done, N_REQUESTS, self.left - 1)
