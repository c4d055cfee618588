"""The learners by name. They are named by strings and loaded when used, so that this list needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from edge_gym.errors import EdgeGymInputError, install_extra


@dataclass(frozen=True, slots=True, kw_only=True)
class Algorithm:
    """A learner (`edge_agents.learner`), built as `learner(config, network, worlds, seed)`.

    Attributes:
        learner: "module:class".
        config: "module:dataclass" of its settings; a field `total_steps` gets the length of the run.
        networks: Kinds of networks that it can train, its default first.
        summary: What it is, in a line.
    """

    learner: str
    config: str
    networks: tuple[str, ...]
    summary: str

    def load_learner(self) -> Any:
        """The class of the learner."""
        return _load(self.learner)

    def load_config(self) -> Any:
        """The class of its settings."""
        return _load(self.config)


_FLAT = ("deepsets", "attention", "mlp")
ALGORITHMS: dict[str, Algorithm] = {
    "ppo": Algorithm(
        learner="edge_agents.ppo:PPO",
        config="edge_agents.configs:PPOConfig",
        networks=(*_FLAT, "graph", "recurrent"),
        summary="proximal policy optimisation with masks, in continuous time",
    ),
    "recurrent_ppo": Algorithm(
        learner="edge_agents.ppo:PPO",
        config="edge_agents.configs:PPOConfig",
        networks=("recurrent",),
        summary="the same with a network that remembers",
    ),
    "dqn": Algorithm(
        learner="edge_agents.dqn:DQN",
        config="edge_agents.configs:DQNConfig",
        networks=(*_FLAT, "graph"),
        summary="double Q-learning with masks, in continuous time",
    ),
    "maskable_ppo": Algorithm(
        learner="edge_agents.sb3_ppo:MaskablePPOLearner",
        config="edge_agents.configs:MaskablePPOConfig",
        networks=_FLAT,
        summary="the one of sb3-contrib, with our networks and worlds",
    ),
    "imitation": Algorithm(
        learner="edge_agents.imitation:Imitation",
        config="edge_agents.configs:ImitationConfig",
        networks=_FLAT,
        summary="learning from a teacher in the states that the learner visits",
    ),
    "hindsight": Algorithm(
        learner="edge_agents.hindsight:Hindsight",
        config="edge_agents.configs:HindsightConfig",
        networks=_FLAT,
        summary="the same, then from what other choices would have led to; routing only",
    ),
    "placement_hindsight": Algorithm(
        learner="edge_agents.placement_hindsight:PlacementHindsight",
        config="edge_agents.configs:PlacementHindsightConfig",
        networks=("deepsets", "attention"),
        summary="placement, from what every other choice would have cost",
    ),
    "evolution": Algorithm(
        learner="edge_agents.evolution:Evolution",
        config="edge_agents.configs:EvolutionConfig",
        networks=_FLAT,
        summary="evolution strategies: perturbed copies of the network in the same worlds, ranked by their returns",
    ),
}


def _load(target: str) -> Any:
    module, _, attribute = target.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except ImportError as error:
        hint = f"{error}; {install_extra('rl')}"
        raise EdgeGymInputError("train", target, "used where the extra 'rl' is installed", hint=hint) from error
