"""A live window for `render_mode="human"`: the picture of `render.frame`, by matplotlib where there is a screen."""

from __future__ import annotations

from typing import Any

import numpy as np

from edge_gym.errors import EdgeGymInputError, install_extra

SIZE_IN = (12.8, 7.2)


class Window:
    """A window that shows one picture after another. When somebody closes it, it stays closed.

    Args:
        title: Of the window.

    Raises:
        EdgeGymInputError: matplotlib is not installed, or there is no screen it can use.
    """

    def __init__(self, title: str) -> None:
        try:
            from matplotlib import pyplot
        except ImportError as error:
            allowed = "'ansi' or None where matplotlib is not installed"
            raise EdgeGymInputError("render_mode", "human", allowed, hint=install_extra("plot")) from error
        if not has_screen():
            allowed = "'ansi' or 'rgb_array' where there is no screen"
            hint = f"matplotlib found none and took {pyplot.get_backend()}; 'edge-gym replay' makes pages and videos"
            raise EdgeGymInputError("render_mode", "human", allowed, hint=hint)
        self._pyplot = pyplot
        self._figure = pyplot.figure(num=title, figsize=SIZE_IN)
        axes = self._figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.axis("off")
        self._image: Any = axes.imshow(np.zeros((720, 1280, 3), np.uint8))

    def __deepcopy__(self, memo: dict) -> Window:
        """Copies of an environment share its window."""
        return self

    def show(self, picture: np.ndarray, seconds: float) -> None:
        """Show a picture, and give the window time to draw it.

        Args:
            picture: (H, W, 3) uint8.
            seconds: How long it is to stand at least.
        """
        if self._pyplot.fignum_exists(self._figure.number):
            self._image.set_data(picture)
            self._figure.canvas.draw_idle()
            self._pyplot.pause(seconds)

    def close(self) -> None:
        """Close the window; may be called again."""
        self._pyplot.close(self._figure)


def has_screen() -> bool:
    """Whether matplotlib can open a window here. Asking settles which of its backends is used."""
    from matplotlib import pyplot
    from matplotlib.backends import BackendFilter, backend_registry

    interactive = backend_registry.list_builtin(BackendFilter.INTERACTIVE)
    return pyplot.get_backend().lower() in [name.lower() for name in interactive]
