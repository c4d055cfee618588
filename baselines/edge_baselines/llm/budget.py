"""Hard budgets: a call is made only if its worst case still fits, so that no limit is ever overshot by a call."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

from edge_baselines.llm.settings import LlmSettings
from edge_gym.errors import MISSING, EdgeGymInputError
from edge_gym.fields import check, number, part

SCOPES = ("decision", "episode", "run")
BYTES_PER_TOKEN = 32  # on average no tokeniser does better; a smaller count than this implies is implausible
TOLERANCE = 4  # a count so many times above our own bound is believed: the bill follows the endpoint's count


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What may be spent; None is without limit."""

    calls: int | None = number(None, 0, 10**9, "calls", "requests sent, failed ones included")
    tokens_in: int | None = number(None, 0, 10**12, "tokens", "of prompts")
    tokens_out: int | None = number(None, 0, 10**12, "tokens", "of answers")
    dollars: float | None = number(None, 0.0, 1e9, "dollars", "at the prices of the settings")
    wall_s: float | None = number(None, 0.0, 1e9, "s", "spent asking and waiting")

    def __post_init__(self) -> None:
        check(self)


@dataclass(frozen=True, kw_only=True)
class BudgetLimits:
    """The limits of each decision, of each episode and of the whole run."""

    decision: Limits = part(Limits(), "of each decision")
    episode: Limits = part(Limits(), "of each episode")
    run: Limits = part(Limits(calls=10_000), "of the whole run")

    def __post_init__(self) -> None:
        check(self)


@dataclass
class Spend:
    """What was spent, or is reserved."""

    calls: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    dollars: float = 0.0
    wall_s: float = 0.0

    def add(self, other: Spend) -> None:
        """Add another spend to this one."""
        for name in vars(other):
            setattr(self, name, getattr(self, name) + getattr(other, name))

    def exceeds(self, more: Spend, limits: Limits) -> str | None:
        """Name of the first limit that this and `more` together exceed, or None."""
        for name in vars(self):
            limit = getattr(limits, name)
            if limit is not None and getattr(self, name) + getattr(more, name) > limit:
                return name
        return None


@dataclass
class Budget:
    """Counts what is spent, by decision, episode and run.

    Attributes:
        limits: What may be spent.
        settings: Prices.
        run: Spend of the whole run.
    """

    limits: BudgetLimits
    settings: LlmSettings
    run: Spend = field(default_factory=Spend)
    _episodes: dict[Hashable, Spend] = field(default_factory=dict)
    _decision: Spend = field(default_factory=Spend)
    _episode: Hashable = 0

    def require_prices(self) -> None:
        """Refuses to spend what cannot be counted.

        Raises:
            EdgeGymInputError: If a price is unknown and `allow_unpriced` is not set.
        """
        if not self.settings.is_priced and not self.settings.allow_unpriced:
            hint = "dollars per token; or set allow_unpriced"
            raise EdgeGymInputError("price_in, price_out", MISSING, "given", "LlmSettings", hint)

    def start_decision(self, episode: Hashable) -> None:
        """A new decision begins, in this episode; several episodes may run side by side."""
        self._decision, self._episode = Spend(), episode
        self._episodes.setdefault(episode, Spend())

    def start_episode(self, episode: Hashable) -> None:
        """Forget what this episode's key spent before."""
        self._episodes[episode] = Spend()

    def refusal(self, tokens_in: int, tokens_out: int) -> str | None:
        """Which limit forbids a call of at most so many tokens, as `run.dollars`; None if it may be made."""
        worst = self._priced(1, tokens_in, tokens_out, 0.0)
        for scope, spent in zip(SCOPES, self._scopes(), strict=True):
            limits = getattr(self.limits, scope)
            name = spent.exceeds(worst, limits)
            if name is None and limits.wall_s is not None and spent.wall_s >= limits.wall_s:
                name = "wall_s"
            if name is not None:
                return f"{scope}.{name}"
        return None

    def seconds_left(self) -> float:
        """The least that is left of the wall-clock limits; infinity without any."""
        left = [float("inf")]
        for scope, spent in zip(SCOPES, self._scopes(), strict=True):
            limit = getattr(self.limits, scope).wall_s
            left.append(float("inf") if limit is None else limit - spent.wall_s)
        return min(left)

    def spend(self, tokens_in: int, tokens_out: int, wall_s: float) -> Spend:
        """Book a call that was made. Returns what it cost."""
        cost = self._priced(1, tokens_in, tokens_out, wall_s)
        for scope in self._scopes():
            scope.add(cost)
        return cost

    def wait(self, seconds: float) -> None:
        """Book time spent waiting between calls."""
        for scope in self._scopes():
            scope.wall_s += seconds

    def _scopes(self) -> tuple[Spend, Spend, Spend]:
        return self._decision, self._episodes.setdefault(self._episode, Spend()), self.run

    def _priced(self, calls: int, tokens_in: int, tokens_out: int, wall_s: float) -> Spend:
        price_in, price_out = self.settings.price_in or 0.0, self.settings.price_out or 0.0
        return Spend(calls, tokens_in, tokens_out, tokens_in * price_in + tokens_out * price_out, wall_s)


def believed(reported: int | None, at_least_bytes: int, at_most: int) -> tuple[int, bool]:
    """Tokens to book, and whether the reported count was replaced by its upper bound.

    Args:
        reported: The endpoint's count, or None.
        at_least_bytes: Bytes of text these tokens certainly hold.
        at_most: Upper bound of the count.

    Returns:
        The reported count if it is plausible, else `at_most`: a wrong count never lowers the spend.
    """
    least = max(1, at_least_bytes // BYTES_PER_TOKEN)
    if reported is not None and least <= reported <= TOLERANCE * at_most:
        return reported, False
    return at_most, True
