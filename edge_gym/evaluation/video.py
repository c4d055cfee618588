"""A video of an episode from the pictures of `render.frame`: GIF by Pillow, MP4 by the ffmpeg of imageio-ffmpeg."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from edge_gym.envs.batch import Batch
from edge_gym.errors import Unavailable, install_extra
from edge_gym.render import frame

FRAMES = 180  # about; drawing one takes more than a tenth of a second
FPS = 12
GIF_SIZE = (960, 540)


class Film:
    """Collects pictures while an episode is played, and writes them."""

    def __init__(self) -> None:
        self.pictures: list[Any] = []

    def shoot(self, batch: Batch, b: int) -> None:
        """Take a picture of world `b` as it is now."""
        from PIL import Image

        self.pictures.append(Image.fromarray(frame(batch.world, batch.state, b)))

    def save(self, target: Path) -> None:
        """Write all pictures as .gif or .mp4, whole or not at all."""
        handle, name = tempfile.mkstemp(suffix=target.suffix.lower(), dir=target.parent)
        os.close(handle)
        try:
            if target.suffix.lower() == ".gif":
                self._save_gif(name)
            else:
                self._save_mp4(name)
            os.chmod(name, 0o644)
            os.replace(name, target)
        finally:
            Path(name).unlink(missing_ok=True)

    def _save_gif(self, name: str) -> None:
        from PIL import Image

        palette = self.pictures[len(self.pictures) // 2].resize(GIF_SIZE).quantize(128)  # one for all, or it flickers
        small = [one.resize(GIF_SIZE).quantize(palette=palette, dither=Image.Dither.NONE) for one in self.pictures]
        small[0].save(name, save_all=True, append_images=small[1:], duration=round(1000 / FPS), loop=0, optimize=False)

    def _save_mp4(self, name: str) -> None:
        import imageio_ffmpeg

        # yuv420p is what every browser and player reads; it wants even sizes, which the pictures have.
        writer = imageio_ffmpeg.write_frames(name, self.pictures[0].size, fps=FPS, codec="libx264", macro_block_size=2)
        writer.send(None)
        for one in self.pictures:
            writer.send(np.ascontiguousarray(one))
        writer.close()


def check_video(target: Path) -> None:
    """Say now what is missing, before an episode is played.

    Raises:
        Unavailable: A package is not installed.
    """
    needed = {"matplotlib": "plot", "PIL": "plot"}
    if target.suffix.lower() == ".mp4":
        needed["imageio_ffmpeg"] = "video"
    for module, extra in needed.items():
        try:
            __import__(module)
        except ImportError:
            other = "; a .gif needs no such package" if extra == "video" else ""
            raise Unavailable(f"a video needs the package {module}: {install_extra(extra)}{other}") from None
