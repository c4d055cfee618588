"""Trajectories of users: SUMO's floating car data and GeoLife."""

from __future__ import annotations

import os
from array import array
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edge_gym.errors import MISSING, EdgeGymInputError
from edge_gym.traces.cells import MAX_SECONDS

MAX_SAMPLES = 50_000_000  # all of GeoLife is 25 million
MAX_USERS = 1_000_000
MAX_NAME = 200


@dataclass(eq=False, frozen=True, kw_only=True)
class Mobility:
    """Where users were, sorted by user and time; no user has two samples at the same time.

    Attributes:
        format: "sumo" or "geolife".
        user: Number of the user of each sample, int32, (n_samples,).
        time_s: Seconds since the earliest sample of all users, float64, (n_samples,).
        x: Metres to the east, or longitude in degrees if `geographic`, float64, (n_samples,).
        y: Metres to the north, or latitude in degrees if `geographic`, float64, (n_samples,).
        user_names: Name of each user.
        geographic: What `x` and `y` are.
        n_repeated: Samples of a user at the time of another one; the last in the file stands.
        n_dropped: Samples off the globe, left out (GeoLife is known to have one).
    """

    format: str
    user: np.ndarray
    time_s: np.ndarray
    x: np.ndarray
    y: np.ndarray
    user_names: tuple[str, ...]
    geographic: bool
    n_repeated: int
    n_dropped: int


class Samples:
    """Samples as they are read, 28 bytes each."""

    def __init__(self) -> None:
        self.names: dict[str, int] = {}
        self.user, self.time_ns, self.x, self.y = array("i"), array("q"), array("d"), array("d")
        self.n_dropped = 0
        self._first_ns: int | None = None

    def number_of(self, name: str) -> int:
        """Returns the number of a user, a new one for a new name.

        Raises:
            EdgeGymInputError: Too many users; the caller adds where.
        """
        found = self.names.setdefault(name, len(self.names))
        if found >= MAX_USERS:
            raise EdgeGymInputError("users", MISSING, f"at most {MAX_USERS}")
        return found

    def add(self, user: int, time_ns: int, x: float, y: float) -> None:
        """Takes a sample.

        Raises:
            EdgeGymInputError: Too many samples, or too long a time; the caller adds where.
        """
        if self._first_ns is None:
            self._first_ns = time_ns
        time_ns -= self._first_ns  # nanoseconds since the year 1 would not fit
        if len(self.user) >= MAX_SAMPLES or abs(time_ns) > MAX_SECONDS * 10**9:
            allowed = f"one of at most {MAX_SAMPLES}, within 100 years of the first"
            raise EdgeGymInputError("sample", MISSING, allowed)
        self.user.append(user)
        self.time_ns.append(time_ns)
        self.x.append(x)
        self.y.append(y)

    def finish(self, format: str, where: str, geographic: bool) -> Mobility:
        """Returns the samples in order."""
        if not self.user:
            raise EdgeGymInputError("samples", MISSING, "at least one", where)
        user, time_ns = np.frombuffer(self.user, np.int32), np.frombuffer(self.time_ns, np.int64)
        order = np.lexsort((time_ns, user))  # stable, so the last of equal ones stays the last
        user, time_ns = user[order], time_ns[order]
        stays = np.r_[(np.diff(user) != 0) | (np.diff(time_ns) != 0), True]
        order = order[stays]
        return Mobility(
            format=format,
            user=user[stays],
            time_s=(time_ns[stays] - time_ns.min()) / 1e9,
            x=np.frombuffer(self.x)[order],
            y=np.frombuffer(self.y)[order],
            user_names=tuple(self.names),
            geographic=geographic,
            n_repeated=int((~stays).sum()),
            n_dropped=self.n_dropped,
        )


def read_mobility(path: str | os.PathLike, geographic: bool | None = None) -> Mobility:
    """Reads trajectories.

    Args:
        path: SUMO's output of floating car data (XML, gzipped if it ends with .gz), a GeoLife file (.plt, one user),
            or a folder of those (`USER/Trajectory/*.plt`, or `*.plt` with a user for each file).
        geographic: SUMO's `x` and `y` are degrees; by default as SUMO's own comment in the file says.

    Raises:
        EdgeGymInputError: Names file and line, element or column, and value.
    """
    from edge_gym.traces.geolife import is_geolife, read_geolife
    from edge_gym.traces.sumo import read_sumo

    if is_geolife(Path(path)):
        return read_geolife(path)
    return read_sumo(path, geographic)
