"""Seeds have one use each, and nobody is tested where it was trained or chosen (BEN-05)."""

import dataclasses

import numpy as np
import pytest
from edge_agents import checkpoint
from edge_agents.learned import SHIPPED, Learned
from edge_agents.ledger import ledger, recipe, seen_seeds
from edge_agents.training_plan import MAX_VALIDATION, TrainingPlan

from edge_gym.cli.main import main
from edge_gym.errors import EdgeGymInputError
from edge_gym.evaluation.evaluate import evaluate
from edge_gym.evaluation.splits import LAST, PLAY, SPLITS, TEST, TRAIN, TUNE, check_unseen, split_of, splits_of
from edge_gym.scenario.presets import preset

SMALL = {"scenario": "stationary", "n_nodes": 4, "n_requests": 20}
SHIPPED_NAMES = sorted(path.stem for path in SHIPPED.glob("*.safetensors"))


class Trained:
    """The first legal choice, from somebody who was trained on worlds 10 to 12 and one more."""

    name = "trained"
    trained_on = ((10, 12), (2000, 2000))

    def reset(self, n_envs, seed):
        pass

    def act(self, obs, action_mask, context):
        return action_mask.argmax(axis=1)


def test_splits_cover_every_seed_once():
    assert SPLITS[0].first == 0 and SPLITS[-1].last == LAST == 2**63 - 1
    for before, after in zip(SPLITS, SPLITS[1:], strict=False):
        assert after.first == before.last + 1
    assert len({split.name for split in SPLITS}) == len(SPLITS)


@pytest.mark.parametrize(
    ("seed", "split"),
    [(0, PLAY), (499, PLAY), (500, TUNE), (999, TUNE), (1000, TEST), (2**40 - 1, TEST), (2**40, TRAIN), (LAST, TRAIN)],
)
def test_split_of(seed, split):
    assert split_of(seed) is split


def test_splits_of():
    assert splits_of([1003, 999, 1000]) == [TUNE, TEST]


def test_training_and_validation_stay_in_their_splits():
    plan = TrainingPlan(task="routing", scenarios=(preset("stationary"),), algo="hindsight", validation=MAX_VALIDATION)
    assert {split_of(seed) for seed in plan.validation_seeds} == {TUNE}
    assert ledger(plan.validation_seeds) == {"training_from": TRAIN.first, "validation": [TUNE.first, TUNE.last]}
    assert ledger(range(500, 500))["validation"] == []


@pytest.mark.parametrize("seed", [10, 11, 12, 2000])
def test_a_seed_of_the_training_is_refused(seed):
    with pytest.raises(EdgeGymInputError, match=f"seeds = {seed}: must be a seed that 'trained' has not seen"):
        evaluate(Trained(), seeds=[9, seed], **SMALL)


def test_other_seeds_are_not():
    assert len(evaluate(Trained(), seeds=[9, 13, 1999, 2001], **SMALL).rows) == 4
    check_unseen("x", None, [500])
    check_unseen("x", (), [500])


@pytest.mark.parametrize("wrong", [3, [3], [(1, 2, 3)], [("a", "b")]])
def test_ranges_that_are_none_are_refused(wrong):
    with pytest.raises(EdgeGymInputError, match="x: trained_on"):
        check_unseen("x", wrong, [500])


def test_refusal_writes_nothing(tmp_path):
    with pytest.raises(EdgeGymInputError, match="not seen"):
        evaluate(["jsq", "learned_routing"], seeds=[500], out=tmp_path / "run", **SMALL)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", SHIPPED_NAMES)
def test_shipped_controllers_know_what_they_have_seen(name):
    learned = Learned(SHIPPED / f"{name}.safetensors")
    with pytest.raises(EdgeGymInputError, match="not seen"):
        check_unseen(name, learned.trained_on, [TUNE.first])
    with pytest.raises(EdgeGymInputError, match="not seen"):
        check_unseen(name, learned.trained_on, [TRAIN.first + 12345])
    check_unseen(name, learned.trained_on, range(TEST.first, TEST.first + 1000))
    assert len(learned.training["recipe"]) == 16 and isinstance(learned.training["seed"], int)


@pytest.mark.parametrize(
    "seeds",
    [3, ["1"], {}, {"training_from": 1}, {"training_from": "1", "validation": []},
     {"training_from": 1, "validation": [1]}, {"training_from": 1, "validation": [1, 2.5]}],
)  # fmt: skip
def test_a_ledger_that_is_none_is_refused(seeds):
    with pytest.raises(EdgeGymInputError, match="a ledger"):
        seen_seeds({"seeds": seeds}, "file")


def test_what_says_nothing_is_not_known():
    assert seen_seeds({}, "file") == () == seen_seeds({"seeds": []}, "file")
    assert seen_seeds({"seeds": [7, 9]}, "file") == ((7, 7), (9, 9))
    assert seen_seeds({"seeds": {"training_from": 5, "validation": []}}, "file") == ((5, LAST),)


def test_a_recipe_is_the_same_for_another_seed_only():
    one = checkpoint.load(SHIPPED / "learned_routing.safetensors")

    def changed(**about):
        return dataclasses.replace(one, about={**one.about, **about})

    assert recipe(changed(seed=99, env_steps=1, training_s=2.0, validation={})) == recipe(one)
    for about in ({"algo": "ppo"}, {"randomise": 7}, {"scenarios": {"mixed": "x"}}, {"settings": {"a": 1}}):
        assert recipe(changed(**about)) != recipe(one)
    wider = dataclasses.replace(one, spec=dataclasses.replace(one.spec, hidden=2 * one.spec.hidden))
    assert recipe(wider) != recipe(one)


def test_held_out_wordings_are_not_trained_on():
    with pytest.raises(EdgeGymInputError, match="held out for tests"):
        TrainingPlan(task="routing", scenarios=(preset("mixed-ood"),), algo="hindsight")


@pytest.mark.parametrize(
    ("seed", "words"), [("500", "the split 'tune' (500 ... 999)"), ("0", "'play'"), ("998", "'tune'"), ("1000", None)]
)
def test_bench_says_which_split_is_none_to_report(seed, words, capsys):
    assert main(["bench", "--scenario", "toy2", "--policies", "jsq", "--seed", seed, "--episodes", "3",
                 "--workers", "1", "--quiet"]) == 0  # fmt: skip
    out = capsys.readouterr().out
    assert words in out if words else "split" not in out


def test_seeds_of_a_policy_are_its_own():
    """What a policy draws comes from another stream than the worlds, whatever the split."""
    from edge_gym.evaluation.rollout import policy_seed

    assert not {policy_seed("a", [first]) for first in np.arange(1000, 1020).tolist()} & set(range(1000, 1020))
