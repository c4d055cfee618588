"""Where all agents should live over the next slots, as a mixed-integer program for HiGHS."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_matrix

from edge_gym.kernel.assignment import KNOTS


class Program(NamedTuple):
    """A agents, C candidate nodes each, H slots, N nodes, K pairs of agents that talk. Costs are of a whole slot."""

    node: np.ndarray  # (A, C) candidates; the first is where the agent lives
    running: np.ndarray  # (A, C, H)
    moving: np.ndarray  # (A, C) paid once on coming to a candidate
    load: np.ndarray  # (A, C) share of the node's throughput
    memory: np.ndarray  # (A,) bytes
    load_before: np.ndarray  # (N,) of others
    load_limit: np.ndarray  # (N,)
    memory_free: np.ndarray  # (N,)
    crowd_cost: float  # of one waiting request
    pair: np.ndarray  # (K, 2) agents that talk to each other
    talk: np.ndarray  # (K, C, C) cost, by their candidates


class _Rows:
    """Constraints row by row: triplets of a sparse matrix, and the bounds of each row."""

    def __init__(self) -> None:
        self.at: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        self.low: list[np.ndarray] = []
        self.high: list[np.ndarray] = []
        self.n = 0

    def add(self, terms: list[tuple[np.ndarray, np.ndarray | float]], low: float, high: np.ndarray | float) -> None:
        """Add rows: each term has the columns (R,) or (R, T) and the factors of R rows."""
        count = len(terms[0][0])
        for columns, factors in terms:
            wide = columns.reshape(count, -1)
            rows = np.repeat(np.arange(self.n, self.n + count), wide.shape[1])
            values = np.broadcast_to(np.asarray(factors, float), columns.shape).ravel()
            self.at.append((rows, wide.ravel(), values))
        self.low.append(np.full(count, low))
        self.high.append(np.broadcast_to(np.asarray(high, float), count))
        self.n += count

    def sum_by(self, columns: np.ndarray, factors: np.ndarray, group: np.ndarray, high: np.ndarray) -> None:
        """Add a row for each group: the sum of the columns in it, times their factors, is at most `high`."""
        self.at.append((self.n + group, columns, factors))
        self.low.append(np.full(len(high), -np.inf))
        self.high.append(high)
        self.n += len(high)

    def constraint(self, n_columns: int) -> LinearConstraint:
        """All rows."""
        rows, columns, values = (np.concatenate(part) for part in zip(*self.at, strict=True))
        matrix = coo_matrix((values, (rows, columns)), shape=(self.n, n_columns)).tocsr()
        return LinearConstraint(matrix, np.concatenate(self.low), np.concatenate(self.high))


def solve(program: Program, gap: float, most_branches: int) -> np.ndarray:
    """The candidate of each agent in the first slot, (A,); 0 (where it lives) if no solution was found.

    Only the first slot is decided in whole numbers: the later ones are planned again before they come.

    Args:
        program: What to solve.
        gap: Relative gap to the optimum that is good enough.
        most_branches: Branch-and-bound nodes at most; a number, and no time, so that a run can be repeated.
    """
    n_agents, n_candidates, n_slots = program.running.shape
    n_nodes, n_pairs = len(program.load_before), len(program.pair)
    size = n_agents * n_candidates * n_slots
    be = np.arange(size).reshape(n_agents, n_candidates, n_slots)
    come = size + be
    crowd = 2 * size + np.arange(n_nodes * n_slots).reshape(n_nodes, n_slots)
    say = crowd.size + 2 * size + np.arange(n_pairs * n_candidates**2 * n_slots)
    say = say.reshape(n_pairs, n_candidates, n_candidates, n_slots)
    cost = np.concatenate(
        [
            program.running.ravel(),
            np.repeat(program.moving.ravel(), n_slots),
            np.full(crowd.size, program.crowd_cost),
            np.repeat(program.talk.ravel(), n_slots),
        ]
    )
    rows = _Rows()
    rows.add([(be.transpose(0, 2, 1).reshape(-1, n_candidates), 1.0)], 1.0, 1.0)
    # Who comes to a candidate in a slot was not there in the slot before.
    rows.add([(come[:, :, 1:].ravel(), 1.0), (be[:, :, 1:].ravel(), -1.0), (be[:, :, :-1].ravel(), 1.0)], 0.0, np.inf)
    rows.add([(come[:, 1:, 0].ravel(), 1.0), (be[:, 1:, 0].ravel(), -1.0)], 0.0, np.inf)
    _add_capacities(rows, program, be, crowd)
    if n_pairs:  # what they say as a flow from the candidates of one to those of the other
        for side, axis in ((0, 2), (1, 1)):
            moved = np.moveaxis(say, axis, 3).reshape(-1, n_candidates)
            rows.add([(moved, 1.0), (be[program.pair[:, side]].reshape(-1), -1.0)], 0.0, 0.0)
    whole = np.zeros(len(cost))
    whole[be[:, :, 0]] = 1.0
    upper = np.full(len(cost), np.inf)
    upper[: 2 * size] = 1.0
    upper[be[program.running >= 1e6]] = 0.0
    found = milp(
        cost,
        integrality=whole,
        bounds=Bounds(0.0, upper),
        constraints=rows.constraint(len(cost)),
        options={"mip_rel_gap": gap, "node_limit": most_branches},
    )
    if found.x is None:
        return np.zeros(n_agents, np.int64)
    return found.x[be[:, :, 0]].argmax(axis=1)


def _add_capacities(rows: _Rows, program: Program, be: np.ndarray, crowd: np.ndarray) -> None:
    """Throughput and memory of each node in each slot, and crowding: straight lines above the convex cost."""
    n_candidates, n_slots = be.shape[1:]
    n_nodes = len(program.load_before)
    group = (program.node[:, :, None] * n_slots + np.arange(n_slots)).ravel()
    load = np.repeat(program.load.ravel(), n_slots)
    memory = np.repeat(np.repeat(program.memory, n_candidates), n_slots)
    by_slot = np.repeat(program.load_before, n_slots)
    # What lives there now fits, whatever the figures say.
    held = np.bincount(program.node[:, 0], program.load[:, 0], n_nodes)
    limit = np.maximum(program.load_limit - program.load_before, held)
    rows.sum_by(be.ravel(), load, group, np.repeat(limit, n_slots))
    held = np.bincount(program.node[:, 0], program.memory, n_nodes)
    rows.sum_by(be.ravel(), memory, group, np.repeat(np.maximum(program.memory_free, held), n_slots))
    for low, high in zip(KNOTS[:-1], KNOTS[1:], strict=True):
        at_low, at_high = low * low / (1.0 - low), high * high / (1.0 - high)
        slope = (at_high - at_low) / (high - low)
        # crowd >= at_low + slope * (load_before + load - low)
        columns = np.concatenate([be.ravel(), crowd.ravel()])
        factors = np.concatenate([slope * load, -np.ones(crowd.size)])
        groups = np.concatenate([group, np.arange(crowd.size)])
        rows.sum_by(columns, factors, groups, slope * (low - by_slot) - at_low)
