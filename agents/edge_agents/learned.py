"""Learned controllers as policies: a checkpoint, run by numpy alone."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from edge_agents.checkpoint import MAX_BYTES, decode
from edge_agents.forward_numpy import KINDS
from edge_agents.ledger import recipe, seen_seeds
from edge_agents.worlds import WAKE_S
from edge_gym.errors import EdgeGymInputError
from edge_gym.files import read_bytes
from edge_gym.policy import Context
from edge_gym.tasks import get_task

SHIPPED = Path(__file__).with_name("shipped")


class Learned:
    """A learned controller from a checkpoint file ("learned:PATH"); takes the choice with the best score.

    Args:
        path: A file that `edge_agents.checkpoint.save` wrote.

    Attributes:
        name: Of the file, without its ending.
        tasks: The task it decides.
        identity: A hash of the file.
        wants_links: Whether it needs `Context.links`.
        wake_s: As a controller of the fast path it is asked at least this often; else 0.
        about: What is known of its training.
        trained_on: Ranges of seeds, first and last, that its training or validation may have used; evaluations on any
            of them are refused (`edge_gym.evaluation.splits`).
        training: The recipe it was trained by, as a hash, and the seed of that training: controllers of one recipe
            and different seeds are trainings of the same thing.

    Raises:
        EdgeGymInputError: The file is missing or not acceptable.
    """

    def __init__(self, path: str | os.PathLike) -> None:
        data = read_bytes(path, MAX_BYTES)
        checkpoint = decode(data, str(path))
        self.name = Path(path).stem
        self.tasks = (checkpoint.task,)
        self.identity = {"sha256": hashlib.sha256(data).hexdigest()}
        self.about = checkpoint.about
        self.trained_on = seen_seeds(checkpoint.about, str(path))
        self.training = {"recipe": recipe(checkpoint), "seed": checkpoint.about.get("seed")}
        spec, n_given = checkpoint.spec, len(get_task(checkpoint.task).columns)
        self.wants_links = spec.kind == "graph"
        self._forward = KINDS[spec.kind](spec, checkpoint.tensors, checkpoint.columns, n_given)
        self.wake_s = WAKE_S if get_task(checkpoint.task).control else 0.0
        self._memory: np.ndarray | None = None

    def reset(self, n_envs: int, seed: int) -> None:
        """Forget everything; nothing is drawn."""
        self._memory = None

    def act(self, obs: np.ndarray, action_mask: np.ndarray, context: Context) -> np.ndarray:
        """The legal choice with the best score, the first of equals.

        Raises:
            EdgeGymInputError: The network is for another number of nodes, or of choices for each.
        """
        if self._memory is not None:
            self._memory[context.begun] = 0.0
        try:
            scores, self._memory = self._forward.logits(obs, action_mask, context.links, self._memory)
        except EdgeGymInputError as error:
            raise error.moved(where=f"{self.name}.safetensors") from None
        return scores.argmax(axis=1)


def shipped(name: str, what: str) -> Callable[[], Learned]:
    """What the registry calls to make a controller that comes with the package.

    Args:
        name: Of its file in the folder `shipped`, without the ending; and of the policy.
        what: One line for `edge-gym list policies`.
    """

    def make() -> Learned:
        return Learned(SHIPPED / f"{name}.safetensors")

    make.__name__, make.__doc__ = name, what
    return make


learned_routing = shipped("learned_routing", "A network taught by the oracle's costs, then by trials in hindsight.")
learned_migration = shipped("learned_migration", "A network taught by the ant colony for the agents of one user.")
learned_placement = shipped("learned_placement", "A network taught in hindsight of whole applications.")
learned_meta = shipped("learned_meta", "A learned controller of the fast path: cloned from e3_rules, then evolved.")
