"""What a site may know of AI agents and of the nodes, where the sites decide about agents (`edge_gym.agency`)."""

from __future__ import annotations

import numpy as np

from edge_gym.agency import Agency, Asked
from edge_gym.behind import batch_of
from edge_gym.envs.by_site import BySite
from edge_gym.kernel.tables import NO_SUBJECT, NONE, State


class SiteAgency(Agency):
    """An `Agency` whose rows are seats: sites, or on central books the site of each world that is asked.

    On books of its own a site knows what it has heard of the nodes, and of agents those of its own users.

    Args:
        batch: The worlds.
        central: Everybody knows everything.
    """

    def __init__(self, batch: BySite, central: bool) -> None:
        super().__init__(batch)
        self._sites, self._central = batch.n_sites, central
        self._seats = np.arange(batch.n_rows)

    def sit(self, rows: np.ndarray) -> None:
        """Which row of the batch is in each seat from now on, (R,)."""
        self._seats = rows

    def is_agent(self, b: int) -> bool:
        """Whether seat `b` is asked about an agent."""
        return bool(self._asked().is_agent[b])

    def subject(self, b: int) -> int:
        """Row of the agent that seat `b` is asked about."""
        return int(self._asked().agent[b])

    def users(self) -> tuple[np.ndarray, np.ndarray]:
        """As `Agency.users`, each (R, P); users at other sites are not seen."""
        app = batch_of(self).state.app[self._seats // self._sites]
        known = np.array([self._knows(k) for k in range(len(self._seats))])
        return np.where(known, app["id"], NONE), app["site"].astype(np.int64)

    def _asked(self) -> Asked:
        state, (world, site) = batch_of(self).state, np.divmod(self._seats, self._sites)
        subject = state.desk["subject"][world, site]
        if not len(state.panel[0]):  # one decision at a time, as by a single controller
            here = state.agent[world, np.maximum(state.world["subject"][world], 0)]["app"]
            mine = state.app[world, here]["site"] == site
            asked = (state.world["subject_kind"][world] != NO_SUBJECT) & mine
            subject = np.where(asked, state.world["subject"][world], NONE)
        return Asked(world, np.maximum(subject, 0), subject != NONE)

    def _tables(self, b: int) -> tuple[State, int]:
        world, site = divmod(int(self._seats[b]), self._sites)
        state = batch_of(self).state
        if self._shares_all:
            return state, world
        own = State(*(table[world : world + 1] for table in state))
        heard = {"node": state.known, "pair": state.known_pair, "lodging": state.known_lodging}
        return own._replace(**{name: table[world, site][None] for name, table in heard.items()}), 0

    def _knows(self, b: int) -> np.ndarray:
        world, site = divmod(int(self._seats[b]), self._sites)
        app = batch_of(self).state.app[world]
        return np.ones(len(app), bool) if self._shares_all else app["site"] == site

    @property
    def _shares_all(self) -> bool:
        return self._central or self._sites == 1
