"""A circuit breaker: an endpoint that keeps failing is left alone for a while, so that it costs no more time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

CLOSED, OPEN, HALF_OPEN = "closed", "open", "half_open"


@dataclass
class Breaker:
    """Opens after failures in a row, or too many of the last ones; later lets one trial through.

    Time is whatever the caller counts: decision intervals or simulated seconds. It must not be the wall clock, or a
    run could not be repeated.

    Attributes:
        in_a_row: Consecutive failures that open it.
        window: Last results that are looked at.
        share: Share of failures among a full window that opens it.
        pause: Time it stays open.
        state: "closed", "open" or "half_open".
        openings: How often it has opened.
    """

    in_a_row: int = 5
    window: int = 20
    share: float = 0.5
    pause: float = 30.0
    state: str = CLOSED
    openings: int = 0
    _opened_at: float = 0.0
    _row: int = 0
    _last: deque[bool] = field(default_factory=deque)

    def allows(self, now: float) -> bool:
        """Whether the endpoint may be asked now."""
        # Time that runs backwards belongs to a new episode: the pause begins anew with it.
        self._opened_at = min(self._opened_at, now)
        if self.state == OPEN and now - self._opened_at >= self.pause:
            self.state = HALF_OPEN
        return self.state != OPEN

    def record(self, ok: bool, now: float) -> None:
        """Take in how asking went."""
        self._last.append(ok)
        if len(self._last) > self.window:
            self._last.popleft()
        self._row = 0 if ok else self._row + 1
        failures = self._last.count(False)
        too_many = len(self._last) == self.window and failures >= self.share * self.window
        if self.state == HALF_OPEN and ok:
            self.state = CLOSED
            self._last.clear()
        elif not ok and (self.state == HALF_OPEN or self._row >= self.in_a_row or too_many):
            self.state, self._opened_at = OPEN, now
            self.openings += 1
            self._row = 0
            self._last.clear()
