"""One network that all sites share, learned by MaskablePPO: python sites_shared_ppo.py [timesteps]

It begins as the world's own router (`e3_fast`) at every site; all sites decide at the same time. A few minutes.
"""

import sys

import numpy as np
from edge_agents import SB3VecEnv
from edge_agents.sb3_policy import RowPolicy, save_checkpoint
from edge_agents.spec import NetworkSpec
from sb3_contrib import MaskablePPO
from stable_baselines3.common.vec_env import VecMonitor, VecNormalize

from edge_gym.envs.common import resolve_task
from edge_gym.envs.sites_batch import site_rules
from edge_gym.evaluation.metrics import episode_metrics
from edge_gym.evaluation.sites import roll_out_sites
from edge_gym.evaluation.stats import ratio_interval
from edge_gym.policy import make_policy

timesteps = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
n_worlds, episodes = (16, 40) if timesteps > 10_000 else (2, 2)
scenario, slot_s, heartbeat_s = "stationary", 0.1, 4.0

task, world = resolve_task("routing", scenario, {"n_requests": 500})
names = [column.name for column in task.columns]
anchor = tuple(names.index(name) for name in ("router_cost", "is_decline"))
sites = SB3VecEnv(n_worlds, by_site=True, scenario=scenario, n_requests=500, slot_s=slot_s, heartbeat_s=heartbeat_s)
env = VecNormalize(VecMonitor(sites), norm_obs=False)
kwargs = {"spec": NetworkSpec(kind="deepsets", n_features=len(names), hidden=32, anchor=anchor)}
settings = {
    "n_steps": 256 if n_worlds > 2 else 16,
    "batch_size": 1024,
    "n_epochs": 2,
    "gamma": 0.98,
    "learning_rate": 5e-4,
}
model = MaskablePPO(RowPolicy, env, policy_kwargs=kwargs, **settings, seed=0, device="cpu", verbose=1).learn(timesteps)
save_checkpoint("shared.safetensors", model)


def latency(name, **rules):
    """(S,) mean latency of each test world."""
    rules = site_rules(world, slot_s, **rules)
    played = roll_out_sites(world, make_policy(name), name, range(1000, 1000 + episodes), rules).episodes
    return np.array([episode_metrics(one, world.params.model["kind"])["latency_mean_s"] for one in played])


central = latency("e3_fast", view="central")
print("mean latency over that of one router that sees everything (e3_fast):")
for name in ("jsq", "sect_watchdog", "e3_fast", "learned_routing", "learned:shared.safetensors"):
    ratio = ratio_interval(latency(name, heartbeat_s=heartbeat_s)[None], central)
    print(f"{name:28} {ratio.value[0]:.3f} [{ratio.low[0]:.3f}, {ratio.high[0]:.3f}]")
