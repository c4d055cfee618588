"""Learning to place from hindsight: what every other choice for each agent of an application would have cost.

The agents of an application are placed one after the other, each in ignorance of those to come. When the last one is
placed all are known, and so is what every choice would have cost if those who came later had then been placed well
(`compiled/placement_costs.py`). The network sees what a controller sees: it learns the choice of least expected cost.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from edge_agents.compiled.placement_costs import hindsight_costs
from edge_agents.configs import PlacementHindsightConfig
from edge_agents.imitation import Imitation
from edge_agents.networks import RowNetwork
from edge_agents.teachers import UNKNOWN
from edge_agents.worlds import Worlds
from edge_gym.agency import Agency
from edge_gym.envs.batch import Batch
from edge_gym.errors import EdgeGymInputError
from edge_gym.kernel.assignment import Problem, empty_use
from edge_gym.kernel.tables import NONE


class Application:
    """An application that is being placed: its problem, and what was seen and done so far.

    Args:
        number: In the episode.
        problem: As it was when the first agent was asked about.
        shape: Of an observation (A, F).
        n_choices: Length of a mask.
    """

    def __init__(self, number: int, problem: Problem, shape: tuple[int, ...], n_choices: int) -> None:
        n_agents = len(problem.refuse)
        self.number, self.problem, self.count = number, problem, 0
        self.obs = np.zeros((n_agents, *shape), np.float32)
        self.mask = np.zeros((n_agents, n_choices), bool)
        self.home = np.full(n_agents, NONE, np.int64)

    @property
    def done(self) -> bool:
        """Whether all agents are placed."""
        return self.count == len(self.home)

    def note(self, obs: np.ndarray, mask: np.ndarray, choice: int) -> None:
        """The next agent was placed."""
        k = self.count
        self.obs[k], self.mask[k] = obs, mask
        self.home[k] = choice if choice < len(self.problem.load_limit) else NONE
        self.count += 1

    def costs(self, n_rounds: int) -> np.ndarray:
        """(G, N + 1) float64, what each choice for each agent would have cost; 1 is the cost of an average agent."""
        problem = self.problem
        found = np.empty((len(self.home), len(problem.load_limit) + 1))
        hindsight_costs(problem, empty_use(problem), self.home, n_rounds, found)
        least = np.nanmin(found, 1, keepdims=True)
        return (found - least) * (len(found) / max(float(np.nanmin(found)), 1e-12))

    def get_state(self) -> dict[str, Any]:
        """Everything, as plain values and arrays."""
        return {
            "problem": self.problem._asdict(),
            "seen": [self.obs, self.mask, self.home],
            "counts": [self.number, self.count],
        }

    @classmethod
    def from_state(cls, state: dict[str, Any]) -> Application:
        """What `get_state` returned."""
        problem = Problem(**state["problem"])
        (obs, mask, home), (number, count) = state["seen"], state["counts"]
        found = cls(number, problem, obs.shape[1:], mask.shape[1])
        found.obs[:], found.mask[:], found.home[:], found.count = obs, mask, home, count
        return found


class PlacementHindsight(Imitation):
    """A learner, see `edge_agents.learner`: placement, from what every other choice would have cost.

    Raises:
        EdgeGymInputError: The task is another one.
    """

    def __init__(self, config: PlacementHindsightConfig, network: RowNetwork, worlds: Worlds, seed: int) -> None:
        if worlds.task.name != "placement":
            raise EdgeGymInputError("task", worlds.task.name, "'placement' for this learner", "PlacementHindsight")
        super().__init__(config, network, worlds, seed, _Nobody())
        self._n_rounds = config.n_rounds
        self._agencies = [Agency(batch) for batch in worlds.batches]
        self._open: list[Application | None] = [None] * worlds.n_worlds

    def _collect(self) -> float:
        """Place, and look back at every application that is complete; returns the mean regret of what was done."""
        worlds, regrets = self.worlds, []
        for _ in range(self.config.steps):
            with torch.inference_mode():
                logits = self.network(torch.from_numpy(worlds.obs), torch.from_numpy(worlds.mask)).logits.numpy()
            choice = self._choose(logits, logits.argmax(1), np.zeros(0))
            for agency, part in zip(self._agencies, worlds.parts, strict=True):
                self._note(agency, part, choice)
            for b, one in enumerate(self._open):
                if one is not None and one.done:
                    regrets.append(self._look_back(one))
                    self._open[b] = None
            worlds.step(choice)
            self.env_steps += worlds.n_worlds
        return float(np.mean(regrets)) if regrets else 0.0

    def _note(self, agency: Agency, part: slice, choice: np.ndarray) -> None:
        """What is about to be done; an application is followed if its agents are asked about in order, nobody else."""
        worlds = self.worlds
        for k, b in enumerate(range(part.start, part.stop)):
            one, (number, asked) = self._open[b], agency.member(k)
            if asked == 0:
                one = Application(number, agency.assignment(k).problem, worlds.obs.shape[1:], worlds.mask.shape[1])
            if one is None or (one.number, one.count) != (number, asked):
                self._open[b] = None
                continue
            one.note(worlds.obs[b], worlds.mask[b], int(choice[b]))
            self._open[b] = one

    def _look_back(self, one: Application) -> float:
        """Learn from an application; returns the mean regret of its agents."""
        found = one.costs(self._n_rounds)
        costs = np.full(one.mask.shape, np.nan)
        costs[:, : found.shape[1]] = np.minimum(found, self.config.most_regret)
        costs[~one.mask] = np.nan
        self._keep(one.obs, one.mask, costs, np.flatnonzero((~np.isnan(costs)).sum(1) > 1))
        n_nodes = found.shape[1] - 1
        return float(np.nanmean(found[np.arange(len(found)), np.where(one.home == NONE, n_nodes, one.home)]))

    def get_state(self) -> dict[str, Any]:
        """Everything needed to go on exactly."""
        applications = [None if one is None else one.get_state() for one in self._open]
        return {**super().get_state(), "applications": applications}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go back to what `get_state` returned."""
        super().set_state(state)
        self._open = [None if one is None else Application.from_state(one) for one in state["applications"]]


class _Nobody:
    """Hindsight needs no teacher."""

    def costs(self, k: int, batch: Batch, obs: np.ndarray, begun: np.ndarray) -> np.ndarray:
        """Nothing is known in advance."""
        return np.full(batch.mask.shape, UNKNOWN)
