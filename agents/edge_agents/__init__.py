"""Learned controllers. Importing this package loads no machine-learning library."""

from importlib import import_module
from typing import Any

_LAZY = {"SB3VecEnv": "edge_agents.sb3_vec_env"}
__all__ = [*_LAZY]


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'edge_agents' has no attribute {name!r}")
