"""Cities of the world with the delay of light in fibre between them."""

from __future__ import annotations

import math
from typing import NamedTuple

EARTH_RADIUS_KM = 6371.0
FIBRE_KM_PER_S = 2 / 3 * 299_792.458
DETOUR = 1.5  # cables are longer than the great circle


class City(NamedTuple):
    """A city: degrees, and millions of people in its urban area (rounded; only the weight of its users)."""

    name: str
    latitude: float
    longitude: float
    population_m: float


# From continent to continent, so that the first few are already spread over the world.
CITIES = (
    City("frankfurt", 50.11, 8.68, 2.7),
    City("new_york", 40.71, -74.01, 19.0),
    City("tokyo", 35.68, 139.69, 37.0),
    City("sao_paulo", -23.55, -46.63, 22.0),
    City("mumbai", 19.08, 72.88, 21.0),
    City("sydney", -33.87, 151.21, 5.0),
    City("johannesburg", -26.20, 28.05, 10.0),
    City("san_francisco", 37.77, -122.42, 4.7),
    City("london", 51.51, -0.13, 9.6),
    City("singapore", 1.35, 103.82, 5.9),
    City("dubai", 25.20, 55.27, 3.4),
    City("mexico_city", 19.43, -99.13, 22.0),
    City("lagos", 6.52, 3.38, 15.0),
    City("shanghai", 31.23, 121.47, 28.0),
    City("chicago", 41.88, -87.63, 8.9),
    City("paris", 48.86, 2.35, 11.0),
    City("seoul", 37.57, 126.98, 10.0),
    City("toronto", 43.65, -79.38, 6.3),
    City("madrid", 40.42, -3.70, 6.7),
    City("jakarta", -6.21, 106.85, 11.0),
    City("warsaw", 52.23, 21.01, 1.8),
    City("cairo", 30.04, 31.24, 21.0),
    City("buenos_aires", -34.60, -58.38, 15.0),
    City("stockholm", 59.33, 18.07, 1.7),
)


def great_circle_km(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Returns the distance between two points given as (latitude, longitude) in degrees."""
    lat_a, lon_a, lat_b, lon_b = map(math.radians, (*a, *b))
    half = math.sin((lat_b - lat_a) / 2) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2
    return 2 * EARTH_RADIUS_KM * math.asin(min(1.0, math.sqrt(half)))


def fibre_delay_s(a: tuple[float, float], b: tuple[float, float]) -> float:
    """Returns the one-way delay between two points: two thirds of the speed of light, over 1.5 times the distance."""
    return DETOUR * great_circle_km(a, b) / FIBRE_KM_PER_S


def map_xy(latitude: float, longitude: float) -> tuple[float, float]:
    """Returns the position on a plain world map, both in [0, 1]."""
    return (longitude + 180) / 360, (latitude + 90) / 180
