"""From trajectories to the sites where users attach."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from edge_gym.errors import EdgeGymInputError
from edge_gym.traces.mobility import Mobility


class Visits(NamedTuple):
    """Changes of site, sorted by user and time; the first entry of a user is where the user appears.

    Attributes:
        user: Number of the user, int32, (n_visits,).
        time_s: Seconds since the earliest sample of all users, float64, (n_visits,).
        site: Number of the site from then on, int32, (n_visits,).
    """

    user: np.ndarray
    time_s: np.ndarray
    site: np.ndarray


def nearest_site(xy: np.ndarray, site_xy: np.ndarray, geographic: bool) -> np.ndarray:
    """Returns the number of the site nearest to each point, int32, (n,).

    Args:
        xy: Points, (n, 2): metres, or longitude and latitude in degrees if `geographic`.
        site_xy: Sites in the same coordinates, (n_sites, 2).
        geographic: Distances are great circles. (The chord through the globe grows with the arc, so it has the same
            nearest site.)

    Raises:
        EdgeGymInputError: `site_xy` has another shape, is empty or not finite.
    """
    sites = np.asarray(site_xy, dtype=np.float64)
    if sites.ndim != 2 or sites.shape[1:] != (2,) or not len(sites) or not np.isfinite(sites).all():
        raise EdgeGymInputError("site_xy", sites.shape, "finite numbers of shape (n_sites, 2)")
    if geographic:
        xy, sites = _on_sphere(np.asarray(xy)), _on_sphere(sites)
    return cKDTree(sites).query(xy)[1].astype(np.int32)


def visits(mobility: Mobility, site_xy: np.ndarray, hold_s: float = 30.0) -> Visits:
    """Returns when each user attaches to which site: the nearest, once it has been the nearest for `hold_s`.

    A user stays at the place of a sample until the next one. A change takes effect `hold_s` after the new site became
    the nearest, if it still is then; without that, a user on the border of two sites would hop at every sample. The
    first site of a user counts at once.

    Args:
        mobility: Trajectories.
        site_xy: Sites, (n_sites, 2), in the coordinates of the trajectories.
        hold_s: Seconds, >= 0.

    Raises:
        EdgeGymInputError: `hold_s` is not a number >= 0, or `site_xy` is not acceptable.
    """
    if not 0 <= hold_s < np.inf:
        raise EdgeGymInputError("hold_s", hold_s, "a finite number >= 0", hint="s")
    user, time_s = mobility.user, mobility.time_s
    site = nearest_site(np.c_[mobility.x, mobility.y], site_xy, mobility.geographic)
    appears = np.r_[True, np.diff(user) != 0]
    starts = np.flatnonzero(appears | np.r_[True, np.diff(site) != 0])
    last = np.r_[starts[1:], len(user)] - 1  # sample of each run of equal sites
    following = np.minimum(last + 1, len(user) - 1)
    until_s = np.where(user[following] == user[starts], time_s[following], time_s[last])
    first = appears[starts]
    counts = first | (until_s - time_s[starts] >= hold_s)
    starts, first = starts[counts], first[counts]
    new = first | np.r_[True, np.diff(site[starts]) != 0]
    starts, first = starts[new], first[new]
    return Visits(user[starts], time_s[starts] + np.where(first, 0.0, hold_s), site[starts])


def _on_sphere(degrees: np.ndarray) -> np.ndarray:
    """Returns longitude and latitude, (n, 2), as points of the unit sphere, (n, 3)."""
    longitude, latitude = np.radians(degrees.T)
    return np.c_[np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)]
