"""A batch of worlds in which every site decides for its own requests: a row for each site of each world."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from edge_gym.envs.agent_sites_batch import AgentSitesBatch
from edge_gym.envs.agent_slots_batch import AgentSlotsBatch
from edge_gym.envs.by_site import BySite
from edge_gym.envs.common import check_choice
from edge_gym.errors import MISSING, EdgeGymInputError, nearest
from edge_gym.kernel.build import World
from edge_gym.kernel.observe import N_SUBJECT
from edge_gym.kernel.site_tables import SITE_RULES
from edge_gym.kernel.sites import look_at_all, run_sites
from edge_gym.kernel.tables import NONE, OUTCOME, SECOND, State
from edge_gym.scenario import Scenario
from edge_gym.scenario.overrides import flat_names
from edge_gym.tasks.task import Task

SITE_TASKS = ("routing", "placement", "migration")
SETTINGS = ("slot_s", "heartbeat_s", "reward", "view")  # how the sites decide
# All that is an argument of some environment by sites and no field of the scenario.
ARGUMENTS = (*SETTINGS, "task", "scenario", "num_envs", "autoreset_mode", "illegal", "render_mode")
LONGEST_S = 3600.0
_REFUSED_S = 1.0  # how long a refused request may be on its way, when the tables are sized


class SitesBatch(BySite):
    """B worlds whose S sites decide about their requests, all at the same time.

    Attributes:
        rules: (1,) of dtype SITE_RULES.
    """

    subject_columns = tuple(range(N_SUBJECT))

    def __init__(self, world: World, n_worlds: int, rules: np.ndarray) -> None:
        self.rules = rules
        self._actions = np.full(n_worlds * world.n_sites, world.n_nodes, np.int64)
        super().__init__(world, n_worlds, "routing")

    def _allocate(self) -> State:
        waiting_s = float(self.rules["slot_ns"][0] / SECOND) + _REFUSED_S
        return self.world.allocate(self.n_worlds, by_site=True, waiting_s=waiting_s)

    @property
    def active(self) -> np.ndarray:
        """(B * S,) bool, the sites that have a request to decide on now."""
        return (self.state.desk["subject"] != NONE).ravel()

    @property
    def waiting(self) -> np.ndarray:
        """(B, S) int32, requests that wait for a decision, the one asked about included."""
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
        params, last = self.world.params, self.n_worlds
        order, actions, rules = self.order, self._actions, self.rules
        run_sites(params, self.state, order, actions, rules, 0, last, obs, self.mask, out, self._times)
        return out

    def look_centrally(self, b: int) -> np.ndarray:
        """What the central books of world `b` say of the nodes: (N + 1, F) float32, without a subject."""
        look_at_all(self.world.params, self.state, b, self._look, self._legal, self._times)
        return self._look.copy()


def site_rules(
    world: World, slot_s: float = 0.1, heartbeat_s: float | None = None, reward: str = "own", view: str = "own"
) -> np.ndarray:
    """The rules by which the sites of a world decide, checked.

    Args:
        world: The scenario made ready to run.
        slot_s: Seconds between the instants at which they decide, 1e-6 to 3,600; 0: each request at once.
        heartbeat_s: Seconds between the instants at which nodes publish their load, 1e-6 to 3,600; None: as old as
            the telemetry, at least 1.
        reward: "own" or "shared".
        view: "own" or "central".

    Returns:
        (1,) of dtype SITE_RULES.

    Raises:
        EdgeGymInputError: A value is out of range.
    """
    if heartbeat_s is None:
        heartbeat_s = max(world.scenario.telemetry.age_s, 1.0)
    rules = np.zeros(1, SITE_RULES)
    rules["slot_ns"] = round(check_slot(slot_s) * SECOND)
    rules["beat_ns"] = round(_seconds("heartbeat_s", heartbeat_s, 1e-6) * SECOND)
    rules["shared"] = check_choice("reward", reward, ("own", "shared")) == "shared"
    rules["central"] = check_choice("view", view, ("own", "central")) == "central"
    return rules


def check_slot(slot_s: Any) -> float:
    """`slot_s`, if it is 0 or a number of seconds in 1e-6 ... 3,600."""
    return _seconds("slot_s", slot_s, 0.0)


def split_settings(arguments: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The arguments that say how the sites decide, and the fields of the scenario.

    Raises:
        EdgeGymInputError: A name is neither, and is like that of an argument.
    """
    others = {name: value for name, value in arguments.items() if name not in SETTINGS}
    fields = flat_names(Scenario)
    for name in others:
        hint = "" if name in fields or name in ARGUMENTS else nearest(name, ARGUMENTS)
        if hint:  # without one, whoever takes the fields refuses it
            raise EdgeGymInputError(
                name, MISSING, "an argument of the environment or a field of the scenario", "", hint
            )
    return {name: value for name, value in arguments.items() if name in SETTINGS}, others


def make_sites_batch(task: Task, world: World, n_worlds: int, rules: np.ndarray) -> BySite:
    """A batch of worlds whose sites decide.

    Args:
        task: What is decided.
        world: The scenario made ready to run.
        n_worlds: B.
        rules: Of `site_rules`.
    """
    if not task.asks:
        return SitesBatch(world, n_worlds, rules)
    # At once and on central books, or with one site, one decides at a time, as a single controller would.
    in_turn = rules["slot_ns"][0] == 0 and (rules["central"][0] == 1 or world.n_sites == 1)
    return (AgentSitesBatch if in_turn else AgentSlotsBatch)(world, n_worlds, task, rules)


def _seconds(field: str, value: Any, least: float) -> float:
    number = isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not (value == least or 1e-6 <= value <= LONGEST_S):
        allowed = f"a number of seconds in 1e-06 ... {LONGEST_S:g}" + (", or 0" if least == 0.0 else "")
        raise EdgeGymInputError(field, value, allowed)
    return float(value)
