"""Drawing: nothing changes, nothing dangerous is printed, large pools stay short."""

import random
import sys

import numpy as np
import pytest

from edge_gym import window
from edge_gym.envs.single import EdgeEnv
from edge_gym.errors import EdgeGymInputError
from edge_gym.render import frame, text_frame


def play(scenario, draw, **kw):
    env = EdgeEnv(scenario=scenario, **kw)
    rows = [env.reset(seed=1)[0]]
    for k in range(25):
        action = int(np.flatnonzero(env.action_masks())[k % 3])
        if draw and k % 6 == 0:
            text_frame(env.world, env.batch.state, 0), frame(env.world, env.batch.state, 0)
        obs, reward, _, _, _ = env.step(action)
        rows += [obs, np.array(reward)]
    return rows


def test_drawing_changes_nothing():
    a = play("stationary", False)
    before = np.random.get_state()[1].copy(), random.getstate()  # noqa: NPY002
    b = play("stationary", True)
    after = np.random.get_state()[1], random.getstate()  # noqa: NPY002
    assert (after[0] == before[0]).all() and after[1] == before[1]
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("scenario", ["toy2", "stationary", "metro64", "metro1000"])
def test_frames(scenario):
    env = EdgeEnv(scenario=scenario, render_mode="rgb_array", n_requests=6, timeline=())
    for f in (env.render(), (env.reset(seed=0), env.render())[1]):
        assert f.shape == (720, 1280, 3) and f.dtype == np.uint8 and f.std() > 5 and f.flags.owndata
    env.render_mode = "ansi"
    done = False
    while not done:
        done = env.step(0)[3]
        text = env.render()
        assert len(text.splitlines()) <= 24 and all(len(x) <= 120 for x in text.splitlines())
    assert "request: none" in text
    env.render_mode = "rgb_array"
    assert env.render().shape == (720, 1280, 3)


def test_names_from_files_are_harmless(monkeypatch):
    env = EdgeEnv(scenario="stationary")
    env.reset(seed=0)
    bad = ("\x1b[2Jx\x9b", r"$\frac$", "\u202eabc\u6771\u4eac", "a\nb")
    monkeypatch.setattr(env.world.network, "site_names", bad)
    text = text_frame(env.world, env.batch.state, 0)
    assert all(c == "\n" or c.isprintable() for c in text) and len(text.splitlines()) == 21
    assert frame(env.world, env.batch.state, 0).shape == (720, 1280, 3)


def test_without_matplotlib(monkeypatch):
    env = EdgeEnv(scenario="toy2", render_mode="rgb_array")
    env.reset(seed=0)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(EdgeGymInputError, match=r"pip install .* '\.\[plot\]'"):
        env.render()


def test_away_nodes():
    from edge_gym.scenario import Change

    env = EdgeEnv(
        scenario="toy2",
        timeline=(
            Change(time_s=0.0, node=1, what="alive", value=0),
            Change(time_s=0.0, node=0, what="speed", value=0.5),
        ),
    )
    env.reset(seed=0)
    env.step(0)
    t = text_frame(env.world, env.batch.state, 0)
    assert "AWAY" in t and "0.50" in t


def test_human_without_a_screen_says_so(monkeypatch):
    import matplotlib

    matplotlib.use("agg")
    with pytest.raises(EdgeGymInputError, match=r"no screen.*agg.*edge-gym replay"):
        EdgeEnv(scenario="toy2", render_mode="human")


def test_human_shows_every_state_and_stays_closed(monkeypatch):
    import matplotlib
    from matplotlib import pyplot

    matplotlib.use("agg")  # in memory
    monkeypatch.setattr(window, "has_screen", lambda: True)
    waited = []
    monkeypatch.setattr(pyplot, "pause", waited.append)
    env = EdgeEnv(scenario="toy2", render_mode="human")
    env.reset(seed=1)
    first = env._window._image.get_array().copy()
    for _ in range(3):
        env.step(0)
    assert waited == [0.25] * 4 and env.render() is None and env.clone()._window is env._window
    shown = env._window._image.get_array()
    assert (shown == frame(env.world, env.batch.state, 0)).all() and (shown != first).any()
    pyplot.close(env._window._figure)  # by whoever watched
    env.step(0)
    assert len(waited) == 4
    env.close(), env.close()
