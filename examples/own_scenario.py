"""Build a scenario in code, save it as YAML, run it: python own_scenario.py [file.yaml] [n_requests]

Two kinds of device in three offices on a ring; one of them slows down after ten seconds, and nobody says so.
"""

import sys

import gymnasium as gym

from edge_gym import Scenario, load_scenario, save_scenario
from edge_gym.devices import DeviceType, ModelType, Service
from edge_gym.scenario import Arrivals, Change, Law, Pool, Topology, Workload

path = sys.argv[1] if len(sys.argv) > 1 else "workshop.yaml"
n_requests = int(sys.argv[2]) if len(sys.argv) > 2 else 300

GB = 10**9
box = DeviceType(name="box", memory_bytes=16 * GB, storage_bytes_per_s=2e9, nic_bytes_per_s=1.25e8, slots=4)
scenario = Scenario(
    name="workshop",
    devices=(box,),  # beside the shipped ones
    models=(ModelType(name="assistant", weights_bytes=2 * GB, kind="llm", upload_bytes_per_prompt_token=4.0),),
    services=(
        Service(device="box", model="assistant", first_s=0.05, per_prompt_token_s=2e-4, per_unit_s=0.02, gain=3.0),
        Service(device="l4", model="assistant", first_s=0.02, per_prompt_token_s=5e-5, per_unit_s=0.01, gain=8.0),
    ),
    pool=Pool(device_types=("box", "box", "l4"), n_nodes=6, queue_capacity=16),
    workloads=(
        Workload(
            model="assistant",
            prompt_tokens=Law(kind="lognormal", mean=400.0, cv=1.0, minimum=1.0, maximum=8000.0),
            units=Law(kind="lognormal", mean=150.0, cv=0.8, minimum=1.0, maximum=2000.0),
            deadline_s=10.0,
        ),
    ),
    arrivals=Arrivals(load=0.8),
    topology=Topology(kind="ring", n_sites=3, link_delay_s=0.004),
    timeline=(Change(time_s=10.0, node=2, what="speed", value=0.25),),
    n_requests=n_requests,
)
save_scenario(scenario, path)
assert load_scenario(path) == scenario

env = gym.make("edge_gym:edge_gym/Routing-v0", scenario=path, render_mode="ansi")
env.action_space.seed(0)
obs, info = env.reset(seed=0)
for _ in range(n_requests // 2):
    obs, reward, terminated, truncated, info = env.step(env.action_space.sample(info["action_mask"].astype("int8")))
print(env.render())
