"""The placement problem as a mixed integer linear program: columns, rows and costs, as sparse arrays."""

from typing import NamedTuple

import numpy as np
from scipy.sparse import coo_array, csr_array

from edge_gym.kernel.assignment import KNOTS, Problem
from edge_gym.kernel.tables import NONE

from .crowding import crowd_alone, crowd_lines, crowded
from .open_pairs import Open


class Columns(NamedTuple):
    """Where the unknowns stand. An entry of `live`, `holds` and `crowd` is a column, or -1: there is none."""

    live: np.ndarray  # (G, N) i8, 1: the agent lives there; binary
    refuse: np.ndarray  # (G,) i8, 1: nowhere
    holds: np.ndarray  # (N, M) i8, 1: the weights must be brought there
    crowd: np.ndarray  # (N,) i8, cost rate of crowding
    n: int


class Model(NamedTuple):
    """Minimise cost @ x with low <= rows @ x <= high and 0 <= x <= upper."""

    columns: Columns
    cost: np.ndarray
    rows: csr_array
    low: np.ndarray
    high: np.ndarray
    upper: np.ndarray
    integer: np.ndarray


class Rows:
    """Rows and further columns, collected as blocks of coefficients."""

    def __init__(self, n_columns: int) -> None:
        self.n_columns, self.n_rows = n_columns, 0
        self._row, self._column, self._value, self._low, self._high = [], [], [], [], []
        self.extra_cost: list[np.ndarray] = []

    def add(self, row: np.ndarray, column: np.ndarray, value, low, high, n: int) -> None:
        """Add `n` rows; the numbers in `row` count from the first of them."""
        self._row.append(np.ravel(row) + self.n_rows)
        self._column.append(np.ravel(column))
        self._value.append(np.broadcast_to(value, np.shape(row)).ravel())
        self._low.append(np.broadcast_to(np.asarray(low, float), n))
        self._high.append(np.broadcast_to(np.asarray(high, float), n))
        self.n_rows += n

    def new_columns(self, cost: np.ndarray) -> np.ndarray:
        """Add continuous columns; returns their numbers."""
        first = self.n_columns
        self.extra_cost.append(cost)
        self.n_columns += len(cost)
        return np.arange(first, self.n_columns)

    def matrix(self) -> tuple[csr_array, np.ndarray, np.ndarray]:
        """The rows, and what they may be at least and at most."""
        row, column, value = (np.concatenate(part) for part in (self._row, self._column, self._value))
        rows = coo_array((value, (row, column)), shape=(self.n_rows, self.n_columns)).tocsr()
        return rows, np.concatenate(self._low), np.concatenate(self._high)


def build_model(problem: Problem, choices: Open, prices: np.ndarray, forbidden: list[tuple[int, np.ndarray]]) -> Model:
    """The integer program of `problem`.

    Args:
        problem: The problem.
        choices: What an optimum may have; an agent must fit alone on its node.
        prices: (G, N) f8, those of `choices.earns`.
        forbidden: Pairs of a node and agents that do not fit there all together.
    """
    may = choices.pairs
    columns = _columns(problem, may)
    rows = Rows(columns.n)
    cost = np.zeros(columns.n)
    cost[columns.live[may]] = problem.own[may]
    cost[columns.refuse] = problem.refuse
    with_crowd = columns.crowd >= 0
    cost[columns.crowd[with_crowd]] = 1.0
    _one_home(may, columns, rows)
    _capacities(problem, may, columns, rows)
    _crowding(problem, choices, prices, columns, rows)
    for node, agents in forbidden:
        rows.add(np.zeros(len(agents), np.int64), columns.live[agents, node], 1.0, -np.inf, len(agents) - 1, 1)
    for g in range(len(problem.parent)):
        if problem.parent[g] != NONE:
            _talk(problem, choices.together[g], columns, rows, g)
    matrix, low, high = rows.matrix()
    cost = np.concatenate([cost, *rows.extra_cost])
    upper = np.ones(rows.n_columns)
    upper[columns.crowd[with_crowd]] = np.inf
    upper[columns.refuse[~choices.refused]] = 0.0
    integer = np.zeros(rows.n_columns)
    integer[columns.live[may]] = 1
    return Model(columns, cost, matrix, low, high, upper, integer)


def _columns(problem: Problem, may: np.ndarray) -> Columns:
    n_agents, n_nodes = may.shape
    numbers = np.cumsum(may).reshape(may.shape) - 1
    live = np.where(may, numbers, -1)
    n = int(may.sum())
    refuse = np.arange(n, n + n_agents)
    n += n_agents
    wanted = np.zeros(problem.held.shape, bool)
    agent, node = np.nonzero(may)
    wanted[node, problem.model[agent]] = True
    wanted &= (problem.held == 0) & (problem.weights > 0.0)
    holds = np.where(wanted, np.cumsum(wanted).reshape(wanted.shape) - 1 + n, -1)
    n += int(wanted.sum())
    with_crowd = may.any(axis=0) & (problem.crowd_weight > 0.0)
    crowd = np.where(with_crowd, np.cumsum(with_crowd) - 1 + n, -1)
    return Columns(live, refuse, holds, crowd, n + int(with_crowd.sum()))


def _one_home(may: np.ndarray, columns: Columns, rows: Rows) -> None:
    agent, _ = np.nonzero(may)
    n_agents = len(may)
    rows.add(
        np.concatenate([agent, np.arange(n_agents)]),
        np.concatenate([columns.live[may], columns.refuse]),
        1.0,
        1.0,
        1.0,
        n_agents,
    )


def _capacities(problem: Problem, may: np.ndarray, columns: Columns, rows: Rows) -> None:
    """Everything as a share of what is free, so that the solver's tolerances mean the same in each row."""
    agent, node = np.nonzero(may)
    live = columns.live[may]
    n_nodes = may.shape[1]
    node_h, model_h = np.nonzero(columns.holds >= 0)
    held = columns.holds[node_h, model_h]
    for need, free in (
        (problem.load[may], problem.load_limit - problem.load_before),
        (problem.storage[agent], problem.storage_free),
        (problem.traffic[agent], problem.traffic_free),
    ):
        size = np.where((free > 0.0) & np.isfinite(free), free, 1.0)
        rows.add(node, live, need / size[node], -np.inf, np.maximum(free, 0.0) / size, n_nodes)
    free = problem.memory_free
    size = np.where((free > 0.0) & np.isfinite(free), free, 1.0)
    need = np.concatenate([problem.memory[agent] / size[node], problem.weights[model_h] / size[node_h]])
    rows.add(
        np.concatenate([node, node_h]),
        np.concatenate([live, held]),
        need,
        -np.inf,
        np.maximum(free, 0.0) / size,
        n_nodes,
    )
    brings = columns.holds[node, problem.model[agent]]
    bringer = brings >= 0
    n = int(bringer.sum())
    row = np.arange(n)
    rows.add(
        np.concatenate([row, row]),
        np.concatenate([live[bringer], brings[bringer]]),
        np.repeat([1.0, -1.0], n),
        -np.inf,
        0.0,
        n,
    )


def _crowding(problem: Problem, choices: Open, prices: np.ndarray, columns: Columns, rows: Rows) -> None:
    """A line for each segment, and two rows that only sharpen the relaxation.

    No set of agents crowds less than each of them alone, because crowding is convex; and none earns more at the prices
    of the bound than the bound says, which makes the relaxation at least as good as the bound.
    """
    slope, at_zero = crowd_lines()
    alone, weight = crowd_alone(problem), problem.crowd_weight
    for node in np.flatnonzero(columns.crowd >= 0):
        agents = np.flatnonzero(choices.pairs[:, node])
        before, load = problem.load_before[node], problem.load[agents, node]
        reached = min(before + load.sum(), problem.load_limit[node])
        column = np.append(columns.live[agents, node], columns.crowd[node])
        row = np.zeros(len(column), np.int64)
        first = np.searchsorted(KNOTS, before, side="right") - 1
        for line in range(min(first, len(slope) - 1), len(slope)):
            if line > first and KNOTS[line] >= reached:
                break
            low = weight * (slope[line] * before + at_zero[line] - crowded(before))
            rows.add(row, column, np.append(-weight * slope[line] * load, 1.0), low, np.inf, 1)
        rows.add(row, column, np.append(-weight * alone[agents, node], 1.0), 0.0, np.inf, 1)
        least = -choices.earns[node] - 1e-9 * abs(choices.earns[node])
        rows.add(row, column, np.append(-prices[agents, node], 1.0), least, np.inf, 1)


def _talk(problem: Problem, together: np.ndarray, columns: Columns, rows: Rows, g: int) -> None:
    """Where agent `g` and its parent live, jointly: exact for trees together with the rows of the agents."""
    parent = problem.parent[g]
    here, there = np.nonzero(together)
    cost = problem.talk_delay[g] * problem.rtt_s[here, there] + problem.talk_bytes[g] * problem.per_byte[here, there]
    both = rows.new_columns(cost)
    for agent, nodes in ((g, here), (parent, there)):
        lives, row = np.unique(nodes, return_inverse=True)
        rows.add(
            np.concatenate([row, np.arange(len(lives))]),
            np.concatenate([both, columns.live[agent, lives]]),
            np.repeat([1.0, -1.0], [len(both), len(lives)]),
            -np.inf,
            0.0,
            len(lives),
        )
    column = np.concatenate([both, columns.refuse[[g, parent]]])
    rows.add(np.zeros(len(column), np.int64), column, 1.0, 1.0, np.inf, 1)
