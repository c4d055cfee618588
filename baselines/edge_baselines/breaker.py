"""Outlier ejection and slow start around any policy, as proxies do it.

Source: Envoy, "Outlier detection" (base ejection time x number of ejections, a limit on the share ejected) and "Slow
start mode" (the traffic of a new endpoint grows). Envoy ejects on errors; requests here do not fail, they are late, so
an outlier is a node whose oldest request is overdue or whose last completions were slow.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from edge_baselines.common import encode_time, observe, ratio
from edge_gym.errors import EdgeGymInputError
from edge_gym.fields import check, choice, number
from edge_gym.kernel.observe import decode_time
from edge_gym.kernel.tables import COMPLETED
from edge_gym.policy import Context, Policy, is_privileged, make_policy

_STRETCHED = [observe.WAIT, observe.FIRST, observe.PER_UNIT, observe.SERVICE]
_NEVER = -np.inf


@dataclass(kw_only=True)
class Breaker:
    """Keep the requests of another policy off nodes that are outliers, for a while: `breaker:NAME`.

    An ejected node is masked (hard) or its expected times are multiplied by `penalty` in what the other policy sees
    (soft). A node that comes back, from an ejection or an absence, has its expected times multiplied by a factor that
    falls from `start_penalty` to 1. Policies that read no expected times feel only the masking.

    Raises:
        EdgeGymInputError: A setting is out of its range, or the inner policy is not known or privileged.
    """

    inner: str = field(default="sect_watchdog", kw_only=False)
    overdue_limit: float = number(5.0, 1, 1e6, "ratio", "eject beyond this overdue ratio")
    slowdown_limit: float = number(5.0, 1, 1e6, "ratio", "eject beyond this slowdown of the recent completions")
    base_s: float = number(30.0, 1e-3, 1e6, "s", "length of an ejection, times the number of recent ejections")
    max_ejected: float = number(0.1, 0, 1, "share", "largest share of the nodes ejected at a time; always at least one")
    ejection: str = choice("mask", ("mask", "penalty"), "an ejected node is masked, or its expected times are raised")
    penalty: float = number(3.0, 1, 1e6, "ratio", "factor on the expected times of an ejected node, if not masked")
    start_penalty: float = number(10.0, 1, 1e6, "ratio", "factor on the expected times of a node that just came back")
    start_s: float = number(0.0, 0, 1e6, "s", "time in which that factor falls to 1; 0: no slow start")

    def __post_init__(self) -> None:
        check(self)
        self.wrap(make_policy(self.inner))

    def wrap(self, policy: Policy) -> None:
        """Keep the requests of this policy off outliers; for policies that have no name.

        Raises:
            EdgeGymInputError: It is privileged: its results would not be marked.
        """
        if is_privileged(policy):
            raise EdgeGymInputError("inner", self.inner, "a policy that is not privileged", "Breaker")
        self._policy = policy

    def reset(self, n_envs: int, seed: int) -> None:
        """Forget every ejection; `seed` goes to the inner policy."""
        self._policy.reset(n_envs, seed)
        self._until_s = np.zeros((0, 0))

    def act(self, obs: np.ndarray, action_mask: np.ndarray, context: Context) -> np.ndarray:
        """Eject, then let the other policy choose among the rest; if nothing legal is left, among all."""
        alive = obs[:, :-1, observe.ALIVE] > 0.5
        now = context.time_s[:, None]
        self._notice(alive, now, context)
        self._eject(alive, ratio(obs, observe.OVERDUE), now)
        ejected = self._until_s > now
        factor = np.where(now - self._back_s < self.start_s, self._start_factor(now), 1.0)
        if self.ejection == "penalty":
            factor = np.where(ejected, self.penalty, factor)
        else:
            action_mask = _without(action_mask, ejected)
        return self._policy.act(_stretched(obs, factor), action_mask, context)

    def _notice(self, alive: np.ndarray, now: np.ndarray, context: Context) -> None:
        """Begin episodes, see nodes come back, and take in the slowdown of completions."""
        if self._until_s.shape != alive.shape:
            self._until_s, self._back_s = np.full((2, *alive.shape), _NEVER)
            self._times, self._slow = np.zeros((2, *alive.shape))
            self._alive = alive.copy()
        begun = context.begun
        self._until_s[begun] = self._back_s[begun] = _NEVER
        self._times[begun] = self._slow[begun] = 0.0
        joined = alive & ~self._alive & ~begun[:, None]
        self._slow[joined], self._until_s[joined] = 0.0, _NEVER
        self._back_s = np.where(joined, now, self._back_s)
        self._alive = alive.copy()
        done = context.ended["outcome"] == COMPLETED
        at = context.ended_row[done], context.ended["node"][done]
        # The weight of one sample is a half: an outlier is what was slow just now, not on the whole.
        self._slow[at] = 0.5 * self._slow[at] + 0.5 * np.log(np.maximum(context.ended["slowdown"][done], 1e-6))

    def _eject(self, alive: np.ndarray, overdue: np.ndarray, now: np.ndarray) -> None:
        """Eject the worst outliers as far as the limit allows; a quiet base time takes one off the count."""
        over = self._until_s <= now
        just_over = over & (self._until_s > _NEVER)
        self._back_s = np.where(just_over, self._until_s, self._back_s)
        self._slow[just_over], self._until_s[just_over] = 0.0, _NEVER
        severity = np.maximum(overdue / self.overdue_limit, np.exp(self._slow) / self.slowdown_limit)
        severity = np.where(alive & over, severity, 0.0)
        outlier = severity > 1.0
        if not outlier.any():
            return
        room = np.maximum((self.max_ejected * alive.sum(axis=1)).astype(np.int64), 1) - (~over).sum(axis=1)
        rank = (-severity).argsort(axis=1, kind="stable").argsort(axis=1, kind="stable")
        chosen = outlier & (rank < room[:, None])
        quiet_s = np.where(np.isfinite(self._back_s), now - self._back_s, 0.0)
        remembered = np.maximum(self._times - quiet_s // self.base_s, 0.0)
        self._times = np.where(chosen, remembered + 1.0, self._times)
        self._until_s = np.where(chosen, now + self.base_s * self._times, self._until_s)

    def _start_factor(self, now: np.ndarray) -> np.ndarray:
        """From `start_penalty` to 1 in `start_s`: the share of traffic it stands for grows linearly."""
        if self.start_s == 0.0:
            return np.ones_like(self._back_s)
        share = np.clip((now - self._back_s) / self.start_s, 0.0, 1.0)
        return 1.0 / (share + (1.0 - share) / self.start_penalty)


def _without(action_mask: np.ndarray, ejected: np.ndarray) -> np.ndarray:
    """The mask without ejected nodes, but as it was in rows where no node would be left."""
    rest = action_mask.copy()
    rest[:, :-1] &= ~ejected
    return np.where(rest[:, :-1].any(axis=1, keepdims=True), rest, action_mask)


def _stretched(obs: np.ndarray, factor: np.ndarray) -> np.ndarray:
    """The observation with the expected times of the nodes multiplied by `factor` (B, N)."""
    rows, nodes = np.nonzero(factor != 1.0)
    if not len(rows):
        return obs
    obs = obs.copy()
    at = rows[:, None], nodes[:, None], np.array(_STRETCHED)
    obs[at] = encode_time(decode_time(obs[at]) * factor[rows, nodes][:, None])
    return obs
