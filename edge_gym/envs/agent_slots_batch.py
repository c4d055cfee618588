"""A batch of worlds with AI agents whose sites decide, all at the same time, each on what it has heard of the nodes."""

from __future__ import annotations

import numpy as np

from edge_gym.envs.by_site import BySite
from edge_gym.kernel import step
from edge_gym.kernel.build import World
from edge_gym.kernel.observe import N_SUBJECT
from edge_gym.kernel.observe_agents import IS_PLACEMENT, UNPLACED
from edge_gym.kernel.site_agents import run_site_agents
from edge_gym.kernel.tables import NONE, OUTCOME, State
from edge_gym.tasks.task import Task


class AgentSlotsBatch(BySite):
    """B worlds of S sites; the site to which the user of an agent is attached decides about it, at the end of a slot.

    Attributes:
        rules: (1,) of dtype SITE_RULES.
    """

    subject_columns = (*range(N_SUBJECT), *range(IS_PLACEMENT, UNPLACED + 1))

    def __init__(self, world: World, n_worlds: int, task: Task, rules: np.ndarray) -> None:
        self.rules = rules.copy()
        if world.n_sites == 1:
            self.rules["central"] = 1  # nobody else is there whose doings it could hear of late
        self._actions = np.full(n_worlds * world.n_sites, world.n_nodes, np.int64)
        super().__init__(world, n_worlds, task)

    def _allocate(self) -> State:
        return self.world.allocate(self.n_worlds, by_site=True, waiting_s=0.0)

    @property
    def active(self) -> np.ndarray:
        """(B * S,) bool, the sites that have an agent to decide on now."""
        return (self.state.desk["subject"] != NONE).ravel()

    @property
    def waiting(self) -> np.ndarray:
        """(B, S) int32, agents that wait for a decision, the one asked about included."""
        return self.state.desk["waiting"].copy()

    def set_actions(self, actions: np.ndarray) -> None:
        """What the next step does: (B * S,) integers, legal choices; read where `active` is true."""
        self._actions[:] = actions

    def run(self, obs: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Carry out `order`.

        Args:
            obs: (B * S, N + 1, F) float32, written where a world is not skipped.
            out: (B * S,) OUTCOME to write to; fresh by default.
        """
        out = np.zeros(self.n_rows, OUTCOME) if out is None else out
        self._run(self.rules, obs, self.mask, out)
        return out

    def look_centrally(self, b: int) -> np.ndarray:
        """What a central controller of world `b` sees of the nodes: (N + 1, F) float32, without a subject."""
        todo, subject = self.order["todo"].copy(), self.state.desk["subject"][b].copy()
        obs, mask, rules = self.empty_obs(), self.mask.copy(), self.rules.copy()
        rules["central"] = 1
        self.order["todo"], self.state.desk["subject"][b] = step.SKIP, NONE
        self.order["todo"][b] = step.LOOK
        self._run(rules, obs, mask, np.zeros(self.n_rows, OUTCOME))
        self.order["todo"], self.state.desk["subject"][b] = todo, subject
        return obs[b * self.n_sites].copy()

    def _run(self, rules: np.ndarray, obs: np.ndarray, mask: np.ndarray, out: np.ndarray) -> None:
        scratch = self._look, self._legal, self._times, self._come
        params, last = self.world.params, self.n_worlds
        run_site_agents(params, self.state, self.order, self._actions, rules, 0, last, obs, mask, out, *scratch)
