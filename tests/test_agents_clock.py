"""The integrals over time that agents are charged by, against a clock in Python that only watches who lives where."""

from collections import defaultdict

import numpy as np
import pytest
from agent_toys import AgentGame, busy_world
from helpers import RandomLegal

from edge_gym.kernel.build import World
from edge_gym.kernel.tables import NONE, REQUEST, SECOND
from edge_gym.scenario import Arrivals


class Clock:
    """When each agent held something of each node. Nodes must not leave, and everything must be asked.

    Attributes:
        held: (serial, node) -> since when, ns.
        past: [serial, node, from, to] of what is over.
        need: serial -> (role, need).
        moved: Moves that were seen to end; one that ends, and its application too, before the next decision is not.
    """

    def __init__(self, game: AgentGame) -> None:
        self.game, self.moved = game, 0
        self.held: dict[tuple[int, int], int] = {}
        self.past: list[tuple[int, int, int, int]] = []
        self.need: dict[int, tuple[int, float]] = {}
        self.ends: dict[int, int] = {}

    def before(self, action: int) -> None:
        """A decision is about to be taken."""
        world, agent = self.game.row("world"), self.game.row("agent")
        for row in agent[agent["serial"] != NONE]:
            self.need[int(row["serial"])] = int(row["role"]), float(row["need"])
            self.ends[int(row["serial"])] = int(self.game.row("app")[row["app"]]["end_ns"])
        if world["subject_kind"] not in (0, REQUEST) and action < self.game.decline:
            subject = agent[world["subject"]]
            self.held[int(subject["serial"]), action] = int(world["now_ns"])

    def after(self) -> None:
        """The world has gone on to the next decision."""
        there = {int(row["serial"]): row for row in self.game.row("agent") if row["serial"] != NONE}
        for (serial, node), since in list(self.held.items()):
            row = there.get(serial)
            if row is not None and node in (row["node"], row["target"]):
                continue
            self.moved += row is not None
            self.past.append((serial, node, since, self.ends[serial] if row is None else int(row["settled_ns"])))
            del self.held[serial, node]

    def integrals(self, end_ns: int) -> tuple[float, float, float, float]:
        """Of load, its square, nodes with agents, and the price of compute up to `end_ns`."""
        params = self.game.batch.world.params
        edges: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
        for serial, node, since, to in [*self.past, *((s, n, t, end_ns) for (s, n), t in self.held.items())]:
            edges[since].append((serial, node, 1))
            edges[to].append((serial, node, -1))
        load, count = np.zeros(params.node.shape[0]), np.zeros(params.node.shape[0])
        usd_per_s, last, sums = 0.0, 0, np.zeros(4)
        for at in sorted(edges):
            sums += (at - last) / SECOND * np.array([load.sum(), (load**2).sum(), (count > 0).sum(), usd_per_s])
            for serial, node, sign in edges[at]:
                role, need = self.need[serial]
                load[node] += sign * need * params.need[role, node]["load"]
                usd_per_s += sign * need * params.need[role, node]["usd_per_s"]
                count[node] += sign
            last = at
        return tuple(sums.tolist())


@pytest.mark.parametrize("mode", ["lightweight", "full"])
def test_integrals_are_those_of_an_independent_clock(mode):
    world, checked = World(busy_world(mode=mode, arrivals=Arrivals(rate_per_s=25.0), pause_s=0.0)), 0
    for seed in range(8):
        game, choose = AgentGame(world, [seed]), RandomLegal([seed])
        clock = Clock(game)
        while not game.over[0]:
            action = int(choose(game.obs, game.batch.mask)[0])
            clock.before(action)
            game.act(action)
            clock.after()
        agency = game.row("agency")
        if clock.moved != agency["resumed"]:
            continue
        found = [float(agency[name]) for name in ("load_s", "square_s", "hosts_s")] + [float(agency["usd"][0])]
        assert found == pytest.approx(clock.integrals(game.now), rel=1e-9)
        checked += int(agency["moves"] > 10)
    assert checked >= 3
