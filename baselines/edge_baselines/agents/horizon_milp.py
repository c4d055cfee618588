"""Rolling-horizon planning: all agents of a world at once, some slots ahead, along the ways that users may take."""

from __future__ import annotations

import numpy as np

from edge_baselines.agents.handovers import Handovers
from edge_baselines.agents.horizon_program import Program, solve
from edge_baselines.agents.movers import NEVER, Mover, View
from edge_gym.agency import Agency, Assignment, Subjects
from edge_gym.policy import Context

FAR = 1e6  # a cost rate that no node has: it cannot be had
GAP, MOST_BRANCHES = 1e-2, 20


class HorizonMilp(Mover):
    """Receding-horizon control by a mixed-integer program, solved once in `replan_s` and kept in between.

    The costs are the world's own (`Agency.assignment`), with the delay to the user taken in the mean over where it may
    be in each slot, by the handovers seen so far (`Handovers`). What talks to each other is planned together, crowding
    and capacities are shared by all. An agent goes where the plan has it when it is asked about; if its user has moved
    since, it goes where it costs least over the same horizon, were all others to stay.

    Args:
        slots: Slots ahead.
        slot_s: Length of a slot, simulated seconds.
        replan_s: A plan is kept for so long, simulated seconds; it should divide the time between reviews.
        candidates: Nodes that are considered for each agent, beside its host.
        move_weight: Factor on the cost of moves.
    """

    def __init__(
        self,
        slots: int = 3,
        slot_s: float = 10.0,
        replan_s: float = 20.0,
        candidates: int = 2,
        move_weight: float = 1.0,
    ) -> None:
        self.slots, self.slot_s, self.replan_s = int(slots), slot_s, replan_s
        self.candidates, self.move_weight = int(candidates), move_weight

    def reset(self, n_envs: int, seed: int) -> None:
        """No plans, nothing seen of the users."""
        self._handovers = Handovers(n_envs)
        self._plans: list[dict[tuple[int, int], tuple[int, int]]] = [{} for _ in range(n_envs)]
        self._planned = np.full(n_envs, -1)
        self._ahead = np.zeros((0, n_envs, 0, 0))  # (H, B, S, S), where users are in each slot

    def costs(self, view: View, context: Context) -> np.ndarray:
        """Cost over the horizon of each node; by the plan, nothing for one and much for all others."""
        agency, subjects = context.agency, context.agency.subjects()
        self._handovers.see(context)
        number = (context.time_s / self.replan_s + 1e-9).astype(np.int64)
        due = context.active & view.settled & ((number > self._planned) | context.begun)
        if due.any():
            ahead = np.array([self._handovers.ahead((h + 0.5) * self.slot_s) for h in range(self.slots)])
            if not self._ahead.size:
                self._ahead = ahead
            self._ahead[:, due] = ahead[:, due]
            for b in np.flatnonzero(due):
                self._plans[b] = self._plan(agency, int(b), ahead[:, b])
                self._planned[b] = number[b]
        if not self._ahead.size:
            return np.zeros(view.cost.shape)
        costs = self._alone(view, agency, subjects)
        for b in np.flatnonzero(context.active & view.settled):
            node, site = self._plans[b].get((int(subjects.application[b]), int(subjects.agent[b])), (-1, -1))
            if site == subjects.site[b] and (view.legal[b, node] or node == view.host[b]):
                costs[b] = NEVER
                costs[b, node] = 0.0
        return costs

    def _alone(self, view: View, agency: Agency, subjects: Subjects) -> np.ndarray:
        """(B, N) cost of a move to each node and of the horizon there, the others staying where they are."""
        rows, site = np.arange(len(view.host)), np.maximum(subjects.site, 0)
        where = self._ahead.mean(axis=0)[rows, site]  # (B, S)
        later_s = np.einsum("bs,bsn->bn", where, request_s(agency)[np.maximum(subjects.role, 0)])
        change = agency.weights[0] * view.rate[:, None] * (later_s - view.network_s)
        costs = (view.running + change) * self.slots * self.slot_s + self.move_weight * view.moving
        return np.where(view.running < NEVER, costs, NEVER)

    def _plan(self, agency: Agency, b: int, ahead: np.ndarray) -> dict[tuple[int, int], tuple[int, int]]:
        """Where each agent of world `b` should be, and where its user is, by number of its application and its row."""
        roster = agency.roster(b)
        apps = [agency.assignment(b, int(user)) for user in np.flatnonzero(agency.users()[0][b] >= 0)]
        if not any((app.home >= 0).any() for app in apps):
            return {}
        program, rows = self._program(agency, apps, ahead)
        chosen = solve(program, GAP, MOST_BRANCHES)
        row_of, site = _rows_of(roster, apps), np.concatenate([np.full(len(app.home), app.site) for app in apps])
        node = program.node[np.arange(len(chosen)), chosen]
        return {row_of[k]: (int(n), int(site[k])) for k, n in zip(rows, node, strict=True)}

    def _program(self, agency: Agency, apps: list[Assignment], ahead: np.ndarray) -> tuple[Program, np.ndarray]:
        """The program of all agents that live somewhere, and which of all agents these are."""
        weight_s, weight_usd = agency.weights
        home = np.concatenate([app.home for app in apps])
        rows = np.flatnonzero(home >= 0)
        role = np.concatenate([app.kind for app in apps])[rows]
        site = np.concatenate([np.full(len(app.home), app.site) for app in apps])[rows]
        terms = np.concatenate([app.terms for app in apps])[rows]
        own = np.concatenate([app.problem.own for app in apps])[rows]
        rate = np.concatenate([app.problem.talk_delay for app in apps])[rows] / weight_s
        load = np.concatenate([app.problem.load for app in apps])[rows]
        moving = self.move_weight * weight_s * terms[:, :, 1] * agency.stay_s
        transfer = np.einsum("hat,atn->anh", ahead[:, site], request_s(agency)[role])
        rest = weight_s * terms[:, :, 2] + weight_usd * terms[:, :, 3:].sum(axis=2)
        running = weight_s * rate[:, None, None] * transfer + rest[:, :, None]
        running = np.where(np.isfinite(own)[:, :, None], running, FAR)
        node = _candidates(home[rows], running, moving / (self.slots * self.slot_s), self.candidates)
        every = np.arange(len(rows))[:, None]
        held = np.bincount(home[rows], load[np.arange(len(rows)), home[rows]], len(agency.nodes))
        first = apps[0]
        own_load = np.zeros(len(agency.nodes))
        for k, n in enumerate(first.home):
            if n >= 0:
                own_load[n] += first.problem.load[k, n]
        pair, talk = _talk(apps, rows, node)
        memory = np.concatenate([app.problem.memory for app in apps])[rows]
        memory_held = np.bincount(home[rows], memory, len(agency.nodes))
        own_memory = np.bincount(first.home[first.home >= 0], first.problem.memory[first.home >= 0], len(agency.nodes))
        program = Program(
            node=node,
            running=self.slot_s * running[every, node],
            moving=np.where(node == home[rows][:, None], 0.0, moving[every, node]),
            load=load[every, node],
            memory=memory,
            load_before=np.maximum(first.problem.load_before + own_load - held, 0.0),
            load_limit=first.problem.load_limit,
            memory_free=first.problem.memory_free - own_memory + memory_held,
            crowd_cost=self.slot_s * weight_s,
            pair=pair,
            talk=self.slot_s * talk,
        )
        return program, rows


def request_s(agency: Agency) -> np.ndarray:
    """(R, S, N) network time of a typical request of each role and its response, seconds."""
    delay_s, per_byte = agency.link["delay_ns"] / 1e9, agency.link["s_per_byte"]
    return 2.0 * delay_s + agency.request_bytes[:, None, None] * per_byte


def _rows_of(roster: np.ndarray, apps: list[Assignment]) -> list[tuple[int, int]]:
    """Number of its application and row of each agent, in the order of the applications."""
    found = []
    for app in apps:
        found += [(app.number, int(row)) for row in roster["agent"][roster["application"] == app.number]]
    return found


def _candidates(home: np.ndarray, running: np.ndarray, moving: np.ndarray, count: int) -> np.ndarray:
    """(A, 1 + count) nodes: the host, and the cheapest others at some time of the horizon or over all of it."""
    mean = running.mean(axis=2) + moving
    mean[np.arange(len(home)), home] = -1.0
    return np.argsort(mean, axis=1, kind="stable")[:, : 1 + count]


def _talk(apps: list[Assignment], rows: np.ndarray, node: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of agents that talk, and what that costs by their candidates."""
    place = np.full(int(rows.max()) + 1, -1)
    place[rows] = np.arange(len(rows))
    pairs, costs, first = [], [], 0
    for app in apps:
        problem = app.problem
        for k, parent in enumerate(problem.parent):
            both = first + k, first + int(parent)
            if parent >= 0 and max(both) < len(place) and min(place[list(both)]) >= 0:
                a, c = place[both[0]], place[both[1]]
                between = problem.talk_delay[k] * problem.rtt_s + problem.talk_bytes[k] * problem.per_byte
                pairs.append((a, c))
                costs.append(between[node[a][:, None], node[c][None]])
        first += len(app.home)
    shape = node.shape[1]
    return np.array(pairs, np.int64).reshape(-1, 2), np.array(costs).reshape(-1, shape, shape)
