"""The AI agents of one world over time: who was there, how they moved, and where their users went."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_gym.kernel.agent_tables import TRANSFER
from edge_gym.kernel.build import World
from edge_gym.kernel.tables import NONE, SECOND, State

AGENT = np.dtype(
    [
        ("serial", "i8"),  # unique in the episode
        ("application", "i8"),  # number in the episode
        ("role", "i4"),
        ("model", "i4"),
        ("seen_s", "f8"),  # when it was first seen,
        ("gone_s", "f8"),  # and when it was first missed; inf: it stayed
    ]
)
MOVE = np.dtype(  # an agent starts somewhere, or moves
    [
        ("serial", "i8"),
        ("source", "i4"),  # node; -1: it lived nowhere
        ("target", "i4"),
        ("begin_s", "f8"),  # its downtime begins
        ("end_s", "f8"),  # it answers again; inf: it never arrived
        ("bytes", "f8"),  # that travel: state (as last seen before) and, in a start or a full migration, the image
    ]
)
WHEREABOUTS = np.dtype([("time_s", "f8"), ("application", "i8"), ("site", "i4")])  # of a user, from then on


class Lodgers:
    """Looks at the agents of a world again and again.

    Args:
        world: The scenario made ready to run.

    Attributes:
        found: Agents by serial, values as in `AGENT`.
        moves: Values as in `MOVE`, in the order in which they were seen to begin.
        users: Values as in `WHEREABOUTS`.
    """

    def __init__(self, world: World) -> None:
        self._rules, self._images = world.params.agency[0], world.params.role["image_bytes"]
        self._most = int(self._rules["most_agents"])
        self.found: dict[int, list[Any]] = {}
        self.moves: list[list[Any]] = []
        self.users: list[tuple[float, int, int]] = []
        self._node: dict[int, int] = {}  # where each agent lives
        self._open: dict[int, list[Any]] = {}  # the move each is making
        self._site: dict[int, int] = {}  # where the user of each application is

    def look(self, state: State, b: int) -> None:
        """See what has changed in row `b` since the last look."""
        now_s = float(state.world[b]["now_ns"] / SECOND)
        agents = state.agent[b]
        present = agents[agents["serial"] != NONE]
        apps = state.app[b][present["app"]]
        serials = present["serial"].tolist()
        for serial in self._node.keys() - set(serials):
            self.found[serial][-1] = now_s
            del self._node[serial]
            self._open.pop(serial, None)
        for serial, agent, app in zip(serials, present, apps["id"].tolist(), strict=True):
            if serial not in self._node:
                self.found[serial] = [serial, app, int(agent["role"]), int(agent["model"]), now_s, np.inf]
                self._node[serial] = NONE
            self._follow(serial, agent, now_s)
        for app, site in dict(zip(apps["id"].tolist(), apps["site"].tolist(), strict=True)).items():
            if self._site.get(app) != site:
                self._site[app] = site
                self.users.append((now_s, app, site))

    def _follow(self, serial: int, agent: np.void, now_s: float) -> None:
        """Where one agent is going, and whether it has arrived."""
        node, target, before = int(agent["node"]), int(agent["target"]), self._node[serial]
        move = self._open.get(serial)
        if move is not None and (node == move[2] or target != move[2]):
            if node == move[2]:
                move[4] = float(agent["settled_ns"] / SECOND)
            del self._open[serial]
        elif move is None and node not in (before, NONE):  # it left and arrived between two looks
            begun_s = float(agent["down_ns"] / SECOND) if before != NONE else now_s
            self.moves.append(
                [serial, before, node, begun_s, float(agent["settled_ns"] / SECOND), self._bytes(agent, before)]
            )
        if target != NONE and serial not in self._open:
            begun_s = float(agent["down_ns"] / SECOND) if node != NONE else now_s
            move = self._open[serial] = [serial, node, target, begun_s, np.inf, 0.0]
            self.moves.append(move)
        if serial in self._open and agent["phase"] <= TRANSFER:
            self._open[serial][5] = self._bytes(agent, node)
        self._node[serial] = node

    def _bytes(self, agent: np.void, source: int) -> float:
        rules = self._rules
        size = rules["state_bytes"] + rules["bytes_per_message"] * agent["messages"]
        size += rules["bytes_per_token"] * agent["context"]
        has_state = source != NONE or agent["messages"] > 0
        image = self._images[agent["role"]] if source == NONE or rules["full"] else 0.0
        return float(image + (size if has_state else 0.0))
