"""Worlds with AI agents whose sites decide, stepped by hand for the tests; looks like `agent_toys.AgentGame`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from agent_toys import AgentGame

from edge_gym.envs.batch import Outcome
from edge_gym.envs.sites_batch import make_sites_batch, site_rules
from edge_gym.kernel.build import World
from edge_gym.scenario import Scenario
from edge_gym.tasks import get_task


class AgentSites(AgentGame):
    """A batch of such worlds: rows of observations and actions are sites, all that is kept is of worlds.

    Attributes:
        n_sites: S.
    """

    def __init__(
        self, world: World | Scenario, seeds: Iterable[int], task: str = "placement", slot_s: float = 0.1, **rules: Any
    ) -> None:
        roots = np.array(list(seeds), np.uint64)
        built = world if isinstance(world, World) else World(world)
        self.batch = make_sites_batch(get_task(task), built, len(roots), site_rules(built, slot_s, **rules))
        self.n_sites = self.batch.n_sites
        self.batch.roots[:] = roots
        self.obs = self.batch.empty_obs()
        self.over = np.zeros(len(roots), bool)
        self.terms, self.reward = np.zeros((len(roots), 8)), np.zeros(len(roots))
        self.steps = 0
        self._logs = [[] for _ in roots]
        self.batch.reset(~self.over, self.obs)
        self._keep_log(~self.over)

    def step(self, actions: np.ndarray) -> Outcome:
        """One step in every world that is not over; illegal choices fail."""
        rows = np.arange(len(actions))
        assert (self.batch.mask[rows, actions] | np.repeat(self.over, self.n_sites)).all(), "an illegal action"
        before = ~self.over
        out = self.batch.step(actions, self.over, self.obs)
        self._keep_log(before)
        worlds = len(self.over)
        self.terms[before] += out.terms.reshape(worlds, self.n_sites, -1).sum(axis=1)[before]
        self.reward[before] += out.reward.reshape(worlds, -1).sum(axis=1)[before]
        self.over = self.over | out.done[:: self.n_sites]
        self.steps += 1
        return out

    def act(self, *choices: int) -> Outcome:
        """The choices of the sites of one world; those that are missing decline."""
        return self.step(np.array([*choices, *[self.decline] * (self.n_sites - len(choices))]))

    @property
    def asked(self) -> list[int]:
        """Rows that have an agent to decide on."""
        return np.flatnonzero(self.batch.active).tolist()

    @property
    def refused(self) -> int:
        """Choices that came to nothing in the first world."""
        return int(self.batch.state.panel[0, 0]["refused"])

    def _keep_log(self, rows: np.ndarray) -> None:
        where, entries = self.batch.ended()
        for b in np.flatnonzero(rows).tolist():
            self._logs[b].append(entries[where // self.n_sites == b])
