"""Sites that share one network, with Stable-Baselines3: the adapter is the vector environment, and MaskablePPO runs."""

import numpy as np
import pytest

pytest.importorskip("sb3_contrib")
from edge_agents import SB3VecEnv
from sb3_contrib import MaskablePPO

from edge_gym.envs.sites import SitesVectorEnv
from edge_gym.errors import EdgeGymInputError

SMALL = {"scenario": "churn", "n_nodes": 4, "n_sites": 3, "n_requests": 20, "slot_s": 0.3}


def test_the_adapter_agrees_with_the_vector_environment():
    adapter, native = SB3VecEnv(2, by_site=True, **SMALL), SitesVectorEnv(2, autoreset_mode="same_step", **SMALL)
    assert adapter.num_envs == native.num_envs == 6
    adapter.seed(4)
    obs, (expected, info) = adapter.reset(), native.reset(seed=4)
    rng, ends = np.random.default_rng(0), 0
    for _ in range(300):
        assert obs.tobytes() == expected.tobytes()
        assert (adapter.action_masks() == info["action_mask"]).all()
        actions = np.where(info["action_mask"], rng.random((6, 5)), -1.0).argmax(axis=1)
        obs, reward, done, infos = adapter.step(actions)
        expected, paid, _, truncated, info = native.step(actions)
        assert (done == truncated).all() and (reward == paid.astype(np.float32)).all()
        for row in np.flatnonzero(done):
            ends += 1
            assert infos[row]["terminal_observation"].tobytes() == info["final_obs"][row].tobytes()
    assert ends >= 6


@pytest.mark.parametrize(
    ("field", "value"), [("reward", "foo"), ("slot_s", 1.0), ("heartbeat_s", 1.0), ("view", "own")]
)
def test_what_sites_alone_have_needs_sites(field, value):
    with pytest.raises(EdgeGymInputError, match=f"{field} = {value!r}: must be left out, or by_site=True given"):
        SB3VecEnv(2, **{field: value})


def test_maskable_ppo_trains_one_network_for_all_sites():
    env = SB3VecEnv(2, by_site=True, flatten=True, reward="shared", **SMALL)
    model = MaskablePPO("MlpPolicy", env, n_steps=16, batch_size=32, n_epochs=1, seed=0, device="cpu")
    model.learn(192)
    obs, mask = env.reset(), env.action_masks()
    actions, _ = model.predict(obs, action_masks=mask)
    assert mask[np.arange(6), actions].all()
