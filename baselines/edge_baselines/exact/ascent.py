"""Steps uphill on a concave function with kinks, each price at its own pace."""

import numpy as np


class Ascent:
    """Prices that move along supergradients, scaled by the root of their mean square (Adam, Kingma and Ba 2015).

    Plain subgradient steps are all of one length in all directions; here some prices are right after ten steps and
    others change once in a thousand.
    """

    def __init__(self, values: np.ndarray, pace: float) -> None:
        """Start.

        Args:
            values: Of any shape, the first prices; changed in place.
            pace: About how far a price moves in the first steps.
        """
        self.values = values
        self._pace, self._n = pace, 0
        self._mean, self._square = np.zeros_like(values), np.zeros_like(values)

    def step(self, uphill: np.ndarray, damping: float) -> None:
        """Move once; `damping` goes from 1 to near 0 while the ascent lasts."""
        self._n += 1
        self._mean += 0.1 * (uphill - self._mean)
        self._square += 0.01 * (uphill * uphill - self._square)
        scale = np.sqrt(self._square / (1.0 - 0.99**self._n)) + 1e-3
        self.values += damping * self._pace * self._mean / scale
