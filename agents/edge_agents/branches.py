"""What each choice leads to: copies of a world try the choices, and a plain policy goes on in all of them.

Everything exogenous is keyed by the seed, so the copies meet the same requests, lengths and failures, and the costs
differ by the choice alone ("vine" sampling with common random numbers: Schulman et al. 2015, section 5.2). They know
the future: they may teach a controller, which averages over futures it cannot see, but never decide for it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from edge_gym.envs.batch import Batch
from edge_gym.kernel.build import World
from edge_gym.kernel.tables import NEVER
from edge_gym.tasks.task import Task

Act = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (B, A, F), (B, A) -> (B,)


class Branches:
    """Room for `n_worlds` times `n_choices` copies.

    Args:
        world: The scenario made ready to run.
        task: What is decided.
        n_worlds: B, how many worlds branch at the same time.
        n_choices: K, how many choices are tried in each.
    """

    def __init__(self, world: World, task: Task, n_worlds: int, n_choices: int) -> None:
        self.batch = Batch(world, n_worlds * n_choices, task)
        self.n_choices = n_choices
        self._source = np.repeat(np.arange(n_worlds), n_choices)

    def costs(self, batch: Batch, choices: np.ndarray, go_on: Act, n_steps: int, drain: bool = True) -> np.ndarray:
        """Minus the return of each choice until the horizon.

        Args:
            batch: The worlds; not changed.
            choices: (B, K) legal choices of their pending decisions.
            go_on: Who decides after that.
            n_steps: Decisions until the horizon, the first included.
            drain: Afterwards no requests arrive and the world empties, so that nothing is left unpaid.

        Returns:
            (B, K) float64.
        """
        mine = self.batch
        for table, source in zip(mine.state, batch.state, strict=True):
            table[:] = source[self._source]
        obs = mine.empty_obs()
        alive = mine.state.world["done"] == 0
        total = np.zeros(mine.n_worlds)
        actions = choices.ravel()
        for _ in range(n_steps):
            out = mine.step(np.where(alive, actions, mine.noop), ~alive, obs)
            total -= np.where(alive, out.reward, 0.0)
            alive &= ~out.done
            if not alive.any():
                break
            actions = go_on(obs, mine.mask)
        if drain:
            total += self._drain(obs, alive, actions, go_on)
        return total.reshape(-1, self.n_choices)

    def _drain(self, obs: np.ndarray, alive: np.ndarray, actions: np.ndarray, go_on: Act) -> np.ndarray:
        """The pending requests are the last ones; those that come back are decided on as ever."""
        mine = self.batch
        total = np.zeros(mine.n_worlds)
        world = mine.state.world
        world["next_arrival_ns"][alive] = NEVER
        world["stop_ns"][alive] = world["now_ns"][alive] + int(mine.world.params.rules[0]["drain_ns"])
        while alive.any():
            out = mine.step(np.where(alive, actions, mine.noop), ~alive, obs)
            total -= np.where(alive, out.reward, 0.0)
            alive = alive & ~out.done
            actions = go_on(obs, mine.mask)
        return total
