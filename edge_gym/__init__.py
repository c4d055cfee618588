"""Environments for running generative AI at the edge: placement, migration and request routing.

`import edge_gym` registers the environments; `gymnasium.make("edge_gym/Routing-v0")` makes one.
"""

from importlib import import_module
from typing import Any

from edge_gym.registration import register_all

__version__ = "0.1.0"

# Loaded at first use, so that importing the package stays fast.
_LAZY = {
    "evaluate": "edge_gym.evaluation.evaluate",
    "EdgeEnv": "edge_gym.envs.single",
    "EdgeVectorEnv": "edge_gym.envs.vector",
    "Scenario": "edge_gym.scenario",
    "load_scenario": "edge_gym.scenario.io",
    "save_scenario": "edge_gym.scenario.io",
    "preset": "edge_gym.scenario.presets",
    "Policy": "edge_gym.policy",
    "Context": "edge_gym.policy",
    "make_policy": "edge_gym.policy",
    "register_policy": "edge_gym.policy",
    "register_bound": "edge_gym.bounds",
    "register_scenario": "edge_gym.scenario.presets",
    "register_task": "edge_gym.variants",
    "EdgeGymInputError": "edge_gym.errors",
    "InvalidAction": "edge_gym.errors",
}
__all__ = ["__version__", *_LAZY]

register_all()


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'edge_gym' has no attribute {name!r}")
