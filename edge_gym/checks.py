"""Checks for environments: for a registered id, or any function that makes a `gymnasium.Env`.

    from edge_gym import checks
    checks.check_all("edge_gym/Routing-v0")
    checks.check_determinism(lambda: MyEnv(), n_steps=2000)

Gymnasium's `check_env` looks at one step; these look at thousands, and at what it does not look at: masks, hidden
state, aliasing, copies. Each check returns nothing, or raises an `AssertionError` that says what is wrong and where.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import pickle  # noqa: S403 - only its own bytes are read back
import struct
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import gymnasium
import numpy as np

Make = str | Callable[[], gymnasium.Env]


class Moment(NamedTuple):
    """What an environment returned, and the action that led there (None after a reset)."""

    action: Any
    obs: Any
    reward: Any
    terminated: bool
    truncated: bool
    info: dict[str, Any]

    @property
    def over(self) -> bool:
        """Whether the episode has ended."""
        return bool(self.terminated or self.truncated)


class Player:
    """Plays random legal actions, episode after episode; players with the same seeds do the same in the same world.

    Attributes:
        env: What is played.
        last: The last moment.
    """

    def __init__(self, env: gymnasium.Env, seed: int, policy_seed: int = 0) -> None:
        self.env = env
        self._rng = np.random.default_rng([policy_seed, 0x636865636B])
        self._arrive(Moment(None, *_after_reset(env, seed)))

    def step(self) -> Moment:
        """One step; after the end of an episode, a reset without a seed instead."""
        if self._over:
            return self._arrive(Moment(None, *_after_reset(self.env, None)))
        action = self.choose()
        obs, reward, terminated, truncated, info = self.env.step(action)
        return self._arrive(Moment(action, obs, reward, terminated, truncated, info))

    def play(self, n_steps: int) -> list[str]:
        """Fingerprints of the last moment and the `n_steps` that follow."""
        return [fingerprint(self.last), *(fingerprint(self.step()) for _ in range(n_steps))]

    def choose(self) -> Any:
        """A random legal action."""
        space = self.env.action_space
        if self.mask is not None and isinstance(space, gymnasium.spaces.Discrete):
            legal = np.flatnonzero(self.mask)
            return int(legal[self._rng.integers(len(legal))] + space.start)
        sampler = copy.deepcopy(space)
        sampler.seed(int(self._rng.integers(2**31)))
        return sampler.sample()

    def on(self, env: gymnasium.Env) -> Player:
        """The same player at the same moment, going on in another environment."""
        other = copy.copy(self)
        other.env, other._rng = env, copy.deepcopy(self._rng)
        return other

    def _arrive(self, moment: Moment) -> Moment:
        # The mask is kept apart, so that whoever spoils the moment does not spoil the next choice.
        self.last, self.mask, self._over = moment, legal_mask(self.env, moment.info), moment.over
        return moment


def make_env(make: Make) -> gymnasium.Env:
    """A new environment from an id or a function."""
    return gymnasium.make(make) if isinstance(make, str) else make()


def legal_mask(env: gymnasium.Env, info: dict[str, Any]) -> np.ndarray | None:
    """A copy of the action mask in `info`, or of `action_masks()`; None if the environment has neither."""
    if "action_mask" in info:
        return np.array(info["action_mask"])
    masks = getattr(env.unwrapped, "action_masks", None)
    return None if masks is None else np.array(masks())


def fingerprint(value: Any) -> str:
    """sha256 of the canonical form of a value: equal only if every bit, type and shape is equal."""
    digest = hashlib.sha256()
    _feed(digest, value)
    return digest.hexdigest()


def spoil(value: Any) -> None:
    """Overwrite everything that can be written in a returned value."""
    if isinstance(value, dict):
        for item in value.values():
            spoil(item)
        value.clear()
    elif isinstance(value, list):
        value.clear()
    elif isinstance(value, np.ndarray) and value.flags.writeable and value.dtype.kind in "biuf":
        value[...] = np.logical_not(value) if value.dtype == bool else 77


def check_all(make: Make) -> None:
    """Every check of this module, with its default length."""
    for check in CHECKS:
        check(make)


def check_determinism(make: Make, n_steps: int = 10_000, seeds: Iterable[int] = (1, 2, 3)) -> None:
    """Two instances with the same seed are equal bit for bit; the next seed leads elsewhere.

    Args:
        make: Id or function.
        n_steps: Length of the trajectories, over as many episodes as it takes.
        seeds: Seeds to try.
    """
    for seed in seeds:
        first = Player(make_env(make), seed).play(n_steps)
        second = Player(make_env(make), seed).play(n_steps)
        _assert_same(first, second, f"two instances with seed {seed}")
        other = Player(make_env(make), seed + 1).play(min(n_steps, 1000))
        assert other != first[: len(other)], f"seeds {seed} and {seed + 1} lead to the same trajectory"


def check_spaces_and_masks(make: Make, n_steps: int = 2000, seed: int = 1, probes: int = 10) -> None:
    """Observations lie in their space and are finite, rewards and flags have their types, masks mean what they say.

    Args:
        make: Id or function.
        n_steps: How many steps to look at.
        seed: Seed of the environment.
        probes: At so many moments each choice is tried on a copy: legal ones must be accepted, the others refused
            with a `ValueError` that changes nothing, or taken as declining with `info["invalid_action"]`.
    """
    player = Player(make_env(make), seed)
    env = player.env
    spaces = env.observation_space, env.action_space
    for k in range(n_steps):
        where = f"{type(env.unwrapped).__name__}, step {k}"
        _assert_moment(env, player.last, where)
        if player.mask is not None:
            _assert_mask(env, player.mask, where)
            if k % max(n_steps // probes, 1) == 0 and not player.last.over:
                _probe(env, player.mask, where)
        player.step()
    same = env.observation_space is spaces[0] and env.action_space is spaces[1]
    assert same, "the spaces are other objects than at the beginning"


def check_conservation(make: Make, n_steps: int = 4000, seed: int = 1) -> bool:
    """No request is lost or made up, and the latency terms of an episode add up to the latency of its requests.

    Returns:
        Whether the counters of the world could be reached; if not, nothing was checked.
    """
    player = Player(make_env(make), seed)
    batch: Any = getattr(player.env.unwrapped, "batch", None)
    if not hasattr(getattr(batch, "state", None), "world"):
        return False
    latency_ns = 0
    for k in range(n_steps):
        world = batch.state.world[0]
        ends = world["completed"] + world["rejected"] + world["dropped"]
        arrived = world["arrived"] + batch.state.agency[0]["arrived"].sum()  # requests for agents count by themselves
        assert arrived == ends + world["in_system"], (
            f"step {k}: arrived {arrived}, ended {ends}, in the system {world['in_system']}"
        )
        assert min(ends, world["in_system"]) >= 0, f"step {k}: a negative counter"
        latency_ns -= round(player.last.info["reward_terms"]["latency"] * 1e9)
        if player.last.over:
            booked = int(world["latency_total_ns"])
            assert world["in_system"] == 0, f"step {k}: {world['in_system']} requests are left after the end"
            # A term is a float in seconds, exact to the nanosecond below 2**53 ns.
            assert latency_ns == booked, f"step {k}: the terms say {latency_ns} ns, the requests {booked} ns"
            latency_ns = 0
        player.step()
    return True


def check_clone_and_state(
    make: Make, n_steps: int = 300, seed: int = 1, moments: Iterable[int] = (0, 1, 57, 230)
) -> None:
    """Copies made in mid-episode go on exactly as the original does, and do not disturb it.

    Tried are `copy.deepcopy`, `pickle`, and where they exist `clone` and `get_state`/`set_state` into a new instance.

    Args:
        make: Id or function.
        n_steps: How far originals and copies are played.
        seed: Seed of the environment.
        moments: After how many steps copies are made.
    """
    for moment in moments:
        player = Player(make_env(make), seed)
        for _ in range(moment):
            player.step()
        copies = {how: player.on(env) for how, env in _copies(player.env, make).items()}
        expected = player.play(n_steps)
        for how, other in copies.items():
            _assert_same(expected, other.play(n_steps), f"the original and its {how}, made after {moment} steps")


def check_render_has_no_effect(make: Make, n_steps: int = 300, seed: int = 1) -> None:
    """Looking changes nothing: `render`, `repr`, the masks and the saved state between any two steps.

    Args:
        make: Id or function; give it a render mode, or `render` has nothing to do.
        n_steps: Length of the trajectories.
        seed: Seed of the environment.
    """
    expected = Player(make_env(make), seed).play(n_steps)
    player = Player(make_env(make), seed)
    found = [fingerprint(player.last)]
    for _ in range(n_steps):
        for _ in range(2):
            repr(player.env), str(player.env)
            if player.env.render_mode is not None:
                player.env.render()
            for name in ("action_masks", "get_state"):
                getattr(player.env.unwrapped, name, lambda: None)()
        found.append(fingerprint(player.step()))
    _assert_same(expected, found, "a run and the same run looked at")


def check_no_aliasing(make: Make, n_steps: int = 300, seed: int = 1, keep: int = 100) -> None:
    """What was returned stays as it is, what is done to it has no effect inside, and actions are not written to.

    Args:
        make: Id or function.
        n_steps: Length of the trajectories.
        seed: Seed of the environment.
        keep: How many steps each returned value is kept before it is looked at again.
    """
    player = Player(make_env(make), seed)
    kept = [player.last]
    expected = [fingerprint(player.last)]
    for _ in range(n_steps):
        kept.append(player.step())
        expected.append(fingerprint(kept[-1]))
        if len(kept) > keep:
            _assert_untouched(kept, expected, len(kept) - 1 - keep)
    for k in range(max(len(kept) - keep, 0), len(kept)):
        _assert_untouched(kept, expected, k)

    spoiled = Player(make_env(make), seed)
    found = [fingerprint(spoiled.last)]
    for _ in range(n_steps):
        spoil(spoiled.last.obs)
        spoil(spoiled.last.info)
        found.append(fingerprint(spoiled.step()))
    _assert_same(expected, found, "a run and the same run with every returned value overwritten")


CHECKS: tuple[Callable[..., Any], ...] = (
    check_determinism,
    check_spaces_and_masks,
    check_conservation,
    check_clone_and_state,
    check_render_has_no_effect,
    check_no_aliasing,
)


def _after_reset(env: gymnasium.Env, seed: int | None) -> tuple[Any, float, bool, bool, dict[str, Any]]:
    obs, info = env.reset(seed=seed)
    return obs, 0.0, False, False, info


def _feed(digest: Any, value: Any) -> None:
    """Add type, shape and content of `value`; every part says where it ends, so parts cannot run into each other."""
    if isinstance(value, np.ndarray) and value.dtype != object:
        digest.update(f"array {value.dtype.descr if value.dtype.names else value.dtype.str} {value.shape} ".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, dict):
        digest.update(f"dict {len(value)} ".encode())
        for key in sorted(value, key=str):
            digest.update(f"{key!r} ".encode())
            _feed(digest, value[key])
    elif isinstance(value, list | tuple | np.ndarray):
        digest.update(f"list {len(value)} ".encode())
        for item in value:
            _feed(digest, item)
    elif isinstance(value, float):
        digest.update(b"float" + struct.pack("<d", value))
    elif isinstance(value, np.generic):
        digest.update(f"scalar {value.dtype.str} ".encode() + value.tobytes())
    elif value is None or isinstance(value, bool | int | str | bytes):
        text = repr(value)
        digest.update(f"{type(value).__name__} {len(text)} {text} ".encode())
    else:
        raise AssertionError(f"{type(value).__name__} has no canonical form: return plain data and arrays")


def _assert_same(expected: list[str], found: list[str], what: str) -> None:
    for k, (a, b) in enumerate(zip(expected, found, strict=True)):
        assert a == b, f"{what} differ, first at step {k} of {len(expected) - 1}"


def _assert_moment(env: gymnasium.Env, moment: Moment, where: str) -> None:
    space = env.observation_space
    inside = space.contains(moment.obs)
    assert inside, f"{where}: the observation is not in {_short(space)}: {_outside(space, moment.obs)}"
    if isinstance(moment.obs, np.ndarray):
        assert moment.obs.dtype == space.dtype, f"{where}: dtype {moment.obs.dtype} instead of {space.dtype}"
        assert np.isfinite(moment.obs).all(), f"{where}: the observation is not finite"
    reward = moment.reward
    assert isinstance(reward, float) and math.isfinite(reward), f"{where}: reward {reward!r} is not a finite float"
    for name in ("terminated", "truncated"):
        flag = getattr(moment, name)
        assert type(flag) is bool, f"{where}: {name} is a {type(flag).__name__}, not a bool"
    assert isinstance(moment.info, dict), f"{where}: info is a {type(moment.info).__name__}, not a dict"
    try:
        json.dumps(moment.info, allow_nan=False, default=lambda value: value.tolist())
    except (TypeError, ValueError, AttributeError) as error:
        raise AssertionError(f"{where}: info is not plain, finite data: {error}") from error


def _assert_mask(env: gymnasium.Env, mask: np.ndarray, where: str) -> None:
    n = getattr(env.action_space, "n", None)
    assert mask.dtype == bool and mask.shape == (n,), f"{where}: the mask is {mask.dtype} {mask.shape}, not bool ({n},)"
    # An `edge_gym` environment knows which choice changes nothing; elsewhere the last one declines.
    noop = getattr(getattr(env.unwrapped, "batch", None), "noop", len(mask) - 1)
    assert mask[noop], f"{where}: choice {noop}, which changes nothing, is not legal"
    masks = getattr(env.unwrapped, "action_masks", None)
    if masks is not None:
        assert np.array_equal(masks(), mask), f"{where}: action_masks() and info['action_mask'] differ"


def _probe(env: gymnasium.Env, mask: np.ndarray, where: str) -> None:
    """Try every choice on a copy."""
    for k in range(len(mask)):
        action = k + int(getattr(env.action_space, "start", 0))
        twin = copy.deepcopy(env)
        before = _state(twin)
        try:
            *_, info = twin.step(action)
        except ValueError as error:
            assert not mask[k], f"{where}: choice {k} is legal by the mask but was refused: {error}"
            assert _state(twin) == before, f"{where}: refusing choice {k} has changed the state"
        else:
            declined = bool(info.get("invalid_action", False))
            assert mask[k] or declined, f"{where}: choice {k} is masked out but was accepted"
            assert not (mask[k] and declined), f"{where}: choice {k} is legal by the mask but was called invalid"


def _state(env: gymnasium.Env) -> str:
    save = getattr(env.unwrapped, "get_state", None)
    return "" if save is None else fingerprint(save())


def _copies(env: gymnasium.Env, make: Make) -> dict[str, gymnasium.Env]:
    copies = {
        "deepcopy": copy.deepcopy(env),
        "pickle": pickle.loads(pickle.dumps(env)),  # noqa: S301
    }
    inner = env.unwrapped
    if hasattr(inner, "clone"):
        copies["clone"] = inner.clone()
    if hasattr(inner, "get_state"):
        other: Any = make_env(make).unwrapped
        other.set_state(inner.get_state())
        copies["saved state"] = other
    return copies


def _assert_untouched(kept: list[Moment], expected: list[str], k: int) -> None:
    assert fingerprint(kept[k]) == expected[k], f"what step {k} returned, or the action it got, changed in later steps"


def _outside(space: gymnasium.Space, obs: Any) -> str:
    """Where an observation leaves its box."""
    if not isinstance(space, gymnasium.spaces.Box) or np.shape(obs) != space.shape:
        return f"{type(obs).__name__} of shape {np.shape(obs)}"
    wrong = np.argwhere(~((np.asarray(obs) >= space.low) & (np.asarray(obs) <= space.high)))
    if not len(wrong):
        return f"dtype {np.asarray(obs).dtype}"
    at = tuple(int(i) for i in wrong[0])
    return f"{np.asarray(obs)[at]} at {at}, allowed {space.low[at]} to {space.high[at]} ({len(wrong)} such)"


def _short(space: gymnasium.Space) -> str:
    return f"{type(space).__name__}{space.shape}"
