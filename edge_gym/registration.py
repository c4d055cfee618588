"""Register the environments in Gymnasium and PettingZoo: a table, a loop, lazy strings."""

import sys

import gymnasium

TABLE = {
    "edge_gym/Routing-v0": "routing",
    "edge_gym/Placement-v0": "placement",
    "edge_gym/Migration-v0": "migration",
    "edge_gym/Joint-v0": "joint",
    "edge_gym/MetaControl-v0": "metacontrol",
}

# Where each site decides for itself.
PARALLEL_TABLE = {
    "edge_gym/Routing-v0": "edge_gym.routing_v0",
    "edge_gym/Placement-v0": "edge_gym.placement_v0",
    "edge_gym/Migration-v0": "edge_gym.migration_v0",
}


def register_all() -> None:
    """Register every id that is not registered yet; nothing is loaded or compiled before `make`.

    PettingZoo is not loaded for it: where it is not loaded yet, importing `edge_gym.routing_v0` registers there.
    """
    for name, task in TABLE.items():
        if name not in gymnasium.registry:
            gymnasium.register(
                id=name,
                entry_point="edge_gym.envs.single:EdgeEnv",
                vector_entry_point="edge_gym.envs.vector:EdgeVectorEnv",
                kwargs={"task": task},
            )
    if "pettingzoo" in sys.modules:
        register_parallel()


def register_parallel() -> None:
    """Register in PettingZoo every id that is not registered yet."""
    from pettingzoo import aec_registry, parallel_registry, register

    for name, module in PARALLEL_TABLE.items():
        if name not in parallel_registry:
            register("parallel", name, f"{module}:parallel_env")
        if name not in aec_registry:
            register("aec", name, f"{module}:env")
