"""A batch of worlds with AI agents, split by site, one decision at a time on central books."""

from __future__ import annotations

import numpy as np

from edge_gym.envs.by_site import BySite
from edge_gym.kernel import step
from edge_gym.kernel.build import World
from edge_gym.kernel.observe import N_SUBJECT
from edge_gym.kernel.observe_agents import IS_PLACEMENT, UNPLACED
from edge_gym.kernel.orchestrate import run_agents
from edge_gym.kernel.sites import share_out_rows
from edge_gym.kernel.tables import NO_SUBJECT, NONE, OUTCOME, State
from edge_gym.tasks.task import Task


class AgentSitesBatch(BySite):
    """B worlds of S sites that decide about agents, one decision at a time.

    The site to which the user of an agent is attached is asked about it and sees what a central controller would; the
    others see the nodes without a subject, and may only decline.

    Attributes:
        rules: (1,) of dtype SITE_RULES; of these, only who is paid for what is read.
    """

    subject_columns = (*range(N_SUBJECT), *range(IS_PLACEMENT, UNPLACED + 1))

    def __init__(self, world: World, n_worlds: int, task: Task, rules: np.ndarray) -> None:
        self.rules = rules
        super().__init__(world, n_worlds, task)
        shape = n_worlds, world.n_nodes + 1
        self._asked, self._idle = (np.zeros((*shape, len(self.task.columns)), np.float32) for _ in range(2))
        self._asked_mask, self._idle_mask = np.zeros(shape, bool), np.zeros(shape, bool)

    def _allocate(self) -> State:
        return self.world.allocate(self.n_worlds, by_site=True)

    @property
    def active(self) -> np.ndarray:
        """(B * S,) bool, the sites that have an agent to decide on now: at most one in each world."""
        return (self._site()[:, None] == np.arange(self.n_sites)).ravel()

    @property
    def waiting(self) -> np.ndarray:
        """(B, S) int32, agents that wait for a decision, as far as anybody is asked: 0 or 1."""
        return self.active.reshape(-1, self.n_sites).astype(np.int32)

    def set_actions(self, actions: np.ndarray) -> None:
        """What the next step does: (B * S,) integers, legal choices; read where `active` is true."""
        site = self._site()
        chosen = np.asarray(actions).reshape(-1, self.n_sites)[np.arange(self.n_worlds), np.maximum(site, 0)]
        self.order["action"] = np.where(site == NONE, self.noop, chosen)

    def run(self, obs: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Carry out `order`.

        Args:
            obs: (B * S, N + 1, F) float32, written where a world is not skipped.
            out: (B * S,) OUTCOME to write to; fresh by default.
        """
        out = np.zeros(self.n_rows, OUTCOME) if out is None else out
        todo, world = self.order["todo"].copy(), self.state.world
        ran = todo != step.SKIP
        found = np.zeros(self.n_worlds, OUTCOME)
        self._run_agents(self._asked, self._asked_mask, found)
        share_out_rows(self.world.params, self.state, self.order, found, out, self.rules["shared"][0])
        subject, kind = world["subject"].copy(), world["subject_kind"].copy()
        world["subject"], world["subject_kind"] = NONE, NO_SUBJECT
        self.order["todo"] = np.where(ran, step.LOOK, step.SKIP)
        self._run_agents(self._idle, self._idle_mask, found)
        self.order["todo"], world["subject"], world["subject_kind"] = todo, subject, kind
        rows, asked = np.repeat(ran, self.n_sites), self.active
        here = rows & asked
        by_row = np.repeat(np.arange(self.n_worlds), self.n_sites)
        for table, idle, shown in ((obs, self._idle, self._asked), (self.mask, self._idle_mask, self._asked_mask)):
            table[rows] = idle[by_row[rows]]
            table[here] = shown[by_row[here]]
        return out

    def look_centrally(self, b: int) -> np.ndarray:
        """What a central controller of world `b` sees of the nodes: (N + 1, F) float32, without a subject."""
        return self._idle[b].copy()

    def _run_agents(self, obs: np.ndarray, mask: np.ndarray, out: np.ndarray) -> None:
        scratch = self._look, self._legal, self._times, self._come
        run_agents(self.world.params, self.state, self.order, 0, self.n_worlds, obs, mask, out, *scratch)

    def _site(self) -> np.ndarray:
        """(B,) the site that is asked, NONE where nobody is."""
        world, rows = self.state.world, np.arange(self.n_worlds)
        asked = world["subject_kind"] != NO_SUBJECT
        agent = self.state.agent[rows, np.where(asked, world["subject"], 0)]
        return np.where(asked, self.state.app[rows, agent["app"]]["site"], NONE)
