"""Who shows a learner what to do: costs of every choice, from what only a teacher may see."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from edge_agents.worlds import Worlds
from edge_gym.agency import Agency
from edge_gym.envs.batch import Batch
from edge_gym.errors import EdgeGymInputError
from edge_gym.policy import Context, is_privileged, make_policy, task_of
from edge_gym.privileged import Privileged
from edge_gym.surface import Surface

UNKNOWN = np.nan
ORACLE_COSTS = "oracle_costs"


class Teacher(Protocol):
    """Costs of the choices that are pending in a batch of worlds."""

    def costs(self, k: int, batch: Batch, obs: np.ndarray, begun: np.ndarray) -> np.ndarray:
        """What each choice costs.

        Args:
            k: Number of the batch among those of the worlds.
            batch: The worlds; not changed.
            obs: (B, A, F) float32.
            begun: (B,) bool, worlds whose episode begins with this decision.

        Returns:
            (B, A * C) float64; `UNKNOWN` where nothing is known, or the choice is illegal.
        """
        ...


class OracleCosts:
    """The subject's true latency plus `weight` times the delay it inflicts on others: what the oracle minimises.

    Unlike the oracle's choices, its costs say how much worse a second-best choice is; so a learner that cannot see
    what the oracle sees learns the choice of least *expected* cost, not the most frequent one. Routing only.
    """

    def __init__(self, worlds: Worlds, weight: float) -> None:
        self._views = [Privileged(batch) for batch in worlds.batches]
        self.weight = weight

    def costs(self, k: int, batch: Batch, obs: np.ndarray, begun: np.ndarray) -> np.ndarray:
        """Seconds; finite where legal."""
        own_s, inflicted_s = self._views[k].foresee()
        cost = own_s + self.weight * inflicted_s
        return np.where(batch.mask & np.isfinite(cost), cost, UNKNOWN)


class PolicyChoices:
    """A policy by name: its choice costs nothing, any other 1."""

    def __init__(self, worlds: Worlds, name: str, seed: int) -> None:
        self.policies = [make_policy(name) for _ in worlds.batches]
        for k, (policy, batch) in enumerate(zip(self.policies, worlds.batches, strict=True)):
            policy.reset(batch.n_worlds, seed + k)
        privileged = is_privileged(self.policies[0])
        self._views = [Privileged(batch) if privileged else None for batch in worlds.batches]
        self._surfaces = [Surface(batch) if batch.task.control else None for batch in worlds.batches]
        self._asked_s = [np.zeros(batch.n_worlds) for batch in worlds.batches]
        self._agencies = [Agency(batch) if batch.task.asks else None for batch in worlds.batches]

    def costs(self, k: int, batch: Batch, obs: np.ndarray, begun: np.ndarray) -> np.ndarray:
        """0 and 1."""
        rows, ended = batch.ended()
        time_s = batch.time_s
        dt_s = np.where(begun, 0.0, time_s - self._asked_s[k])
        self._asked_s[k] = time_s
        context = Context(
            time_s=time_s,
            dt_s=dt_s,
            begun=begun,
            active=np.ones(batch.n_worlds, bool),
            ended_row=rows,
            ended=ended,
            n_models=len(batch.world.params.model),
            events=[batch.events(b) for b in range(batch.n_worlds)],
            surface=self._surfaces[k],
            agency=self._agencies[k],
            privileged=self._views[k],
        )
        choice = self.policies[k].act(obs, batch.mask.copy(), context)
        costs = np.where(batch.mask, 1.0, UNKNOWN)
        costs[np.arange(batch.n_worlds), choice] = 0.0
        return costs


def check_teacher(name: str, task: str) -> None:
    """Whether somebody can show what to do in a task.

    Args:
        name: "oracle_costs", or a policy's.
        task: Name of the task.

    Raises:
        EdgeGymInputError: There is nobody of that name, or he decides something else.
    """
    if name == ORACLE_COSTS:
        if task != "routing":
            allowed = f"the name of a policy that decides {task}"
            raise EdgeGymInputError("teacher", name, allowed, hint=f"{ORACLE_COSTS} knows requests alone")
        return
    decides = task_of(make_policy(name), task, name, "teacher")
    if decides != task:
        raise EdgeGymInputError("teacher", name, f"a policy that decides {task}", hint=f"it decides {decides}")


def make_teacher(name: str, worlds: Worlds, weight: float, seed: int) -> Teacher:
    """A teacher by name: "oracle_costs", or a policy's.

    Raises:
        EdgeGymInputError: It cannot teach this task.
    """
    check_teacher(name, worlds.task.name)
    return OracleCosts(worlds, weight) if name == ORACLE_COSTS else PolicyChoices(worlds, name, seed)
