"""What a site sees: its own at once, others' load when nodes tell of it, never what others choose now."""

import numpy as np
import pytest
from sites_play import DELAY_S, WORK_S, Sites, hand_world, preset
from test_sites_by_hand import seed_with

from edge_gym.devices import ModelType
from edge_gym.envs.sites_batch import site_rules
from edge_gym.kernel.observe import BACKLOG, EVIDENCE, EVIDENCE_AGE, FREE_MEMORY, OUTSTANDING, STREAM, decode_time
from edge_gym.kernel.tables import SECOND

LONG = 60  # units: nothing ends while the test looks
BEAT_S = 1.0


def watch(world, seed, other, view="own", beat_s=BEAT_S):
    """Site 0 sends its requests to node 0, site 1 its to node `other`; what site 0 sees at each step, and when."""
    game = Sites(world, [seed], view=view, heartbeat_s=beat_s)
    seen = []
    while not game.over.all() and len(seen) < 40:
        shown = game.obs[0].copy()
        shown[:, FREE_MEMORY] = 0.0  # what a node answers when it is asked: the truth, as in Routing
        seen.append((float(game.batch.time_s[0]), shown, game.batch.mask[0].copy()))
        game.step(*[node if s in game.asked else game.decline for s, node in enumerate((0, other))])
    return seen


@pytest.fixture
def world_and_seed(tmp_path):
    times = [0.0, 0.0, 0.33, 0.47, 0.81, 1.22, 1.46]
    world = hand_world(tmp_path / "t.csv", [(t, 0, LONG) for t in times], n_nodes=3)
    return world, seed_with(world, 0, 1, 0, 1, 0, 1, 0)


def _first_difference(one, two):
    for (at, obs, mask), (_, other_obs, other_mask) in zip(one, two, strict=False):
        if obs.tobytes() != other_obs.tobytes() or mask.tobytes() != other_mask.tobytes():
            return at
    return None


def test_what_another_site_chooses_is_not_seen_before_nodes_tell_of_it(world_and_seed):
    world, seed = world_and_seed
    at = _first_difference(watch(world, seed, 1), watch(world, seed, 2))
    assert at is not None and at >= BEAT_S
    later = _first_difference(watch(world, seed, 1, beat_s=1.3), watch(world, seed, 2, beat_s=1.3))
    assert later is not None and later >= 1.3


def test_the_test_above_would_notice_a_common_view(world_and_seed):
    world, seed = world_and_seed
    at = _first_difference(watch(world, seed, 1, "central"), watch(world, seed, 2, "central"))
    assert at is not None and at < BEAT_S


def test_own_dispatches_show_at_once_and_the_load_of_others_with_the_heartbeat(world_and_seed):
    world, seed = world_and_seed
    seen = watch(world, seed, 1)
    before = [obs for at, obs, _ in seen if 0.0 < at < BEAT_S]
    after = [obs for at, obs, _ in seen if at >= BEAT_S]
    assert all(obs[1, OUTSTANDING] == 0 for obs in before), "what site 1 has sent there"
    assert before[-1][0, OUTSTANDING] > before[0][0, OUTSTANDING] > 0, "what site 0 has sent itself"
    assert after[0][1, OUTSTANDING] == pytest.approx(2 / 10)
    # Two requests of 60 s each, the first under way since 0.01 s; the book counts from dispatch.
    backlog = float(decode_time(after[0][1, BACKLOG : BACKLOG + 1])[0])
    at = next(at for at, _, _ in seen if at >= BEAT_S)
    assert backlog == pytest.approx(2 * LONG * WORK_S - at, rel=0.01)


def test_own_completions_show_when_the_telemetry_comes(tmp_path):
    """Site 0 is told of its own completion at once, site 1 with the heartbeat."""
    times = [0.0, 1.05, 1.05, 1.25, 1.25, 2.15, 2.15]
    world = hand_world(tmp_path / "t.csv", [(t, 0, 1) for t in times])
    seed = seed_with(world, 0, 0, 1, 0, 1, 0, 1)
    game = Sites(world, [seed], heartbeat_s=0.7)
    game.step(0)  # delivered at 1.02; nodes tell of it at 0.7 and, that it is over, at 1.4
    assert game.batch.time_s[0] == pytest.approx(1.1) and game.asked == [0, 1]
    assert game.obs[0, 0, OUTSTANDING] == 0.0
    assert game.obs[1, 0, OUTSTANDING] == pytest.approx(1 / 9)
    assert game.obs[:, 0, EVIDENCE].tolist() == pytest.approx([1 / 9, 0.0]), "only who was served has measured anything"
    assert game.obs[1, 0, EVIDENCE_AGE] == 1.0 > game.obs[0, 0, EVIDENCE_AGE]
    game.step()
    assert game.batch.time_s[0] == pytest.approx(1.3)
    assert game.obs[1, 0, OUTSTANDING] == pytest.approx(1 / 9)
    game.step()
    assert game.batch.time_s[0] == pytest.approx(2.2)
    assert game.obs[:, 0, OUTSTANDING].tolist() == [0.0, 0.0]
    assert DELAY_S == 0.010 and np.isfinite(game.obs).all()


def test_running_responses_show_a_node_only_to_the_site_that_receives_them(tmp_path):
    streaming = (ModelType(name="work", weights_bytes=1, kind="llm"),)
    times = [0.0, 4.25, 4.25]
    world = hand_world(tmp_path / "t.csv", [(t, 0, LONG) for t in times], models=streaming)
    game = Sites(world, [seed_with(world, 0, 0, 1)])
    game.step(0)
    assert game.asked == [0, 1] and game.batch.time_s[0] == pytest.approx(4.3)
    assert game.obs[:, 0, STREAM].tolist() == [0.5, 0.0], "as the prior says, and nothing"


@pytest.mark.parametrize(("age_s", "expected_s"), [(0.2, 1.0), (2.5, 2.5)])
def test_nodes_tell_of_their_load_as_often_as_telemetry_comes_but_not_more_than_once_a_second(age_s, expected_s):
    assert site_rules(preset("stationary", age_s=age_s))["beat_ns"][0] == expected_s * SECOND
