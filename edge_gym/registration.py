"""Register the environments in Gymnasium: a table, a loop, lazy strings."""

import gymnasium

TABLE = {
    "edge_gym/Routing-v0": "routing",
    "edge_gym/Placement-v0": "placement",
    "edge_gym/Migration-v0": "migration",
    "edge_gym/Joint-v0": "joint",
    "edge_gym/MetaControl-v0": "metacontrol",
}


def register_all() -> None:
    """Register every id that is not registered yet; nothing is loaded or compiled before `make`."""
    for name, task in TABLE.items():
        if name not in gymnasium.registry:
            gymnasium.register(
                id=name,
                entry_point="edge_gym.envs.single:EdgeEnv",
                vector_entry_point="edge_gym.envs.vector:EdgeVectorEnv",
                kwargs={"task": task},
            )
