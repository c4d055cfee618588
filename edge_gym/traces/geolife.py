"""GeoLife trajectories: six lines of preamble, then `latitude,longitude,0,altitude in feet,days,date,time` (GMT).

Samples off the globe are left out and counted. The number of days repeats date and time and is ignored.
"""

from __future__ import annotations

import os
from codecs import BOM_UTF8
from pathlib import Path

from edge_gym.errors import MISSING, EdgeGymInputError
from edge_gym.traces.cells import STAMP_FORM, number, stamp_ns
from edge_gym.traces.mobility import Mobility, Samples
from edge_gym.traces.text import open_bytes, open_lines

FIRST_LINE = "Geolife trajectory"
PREAMBLE = 6  # lines
CELLS = ("latitude", "longitude", "zero", "altitude", "days", "date", "time")
MAX_FILES = 200_000


def is_geolife(path: Path) -> bool:
    """Tells a folder, a file called so, or a file that begins so from other trajectories."""
    if os.path.isdir(path) or path.suffix.casefold() == ".plt":
        return True
    with open_bytes(path) as (stream, _):
        return stream.read(100).removeprefix(BOM_UTF8).startswith(FIRST_LINE.encode())


def plt_files(path: Path) -> list[tuple[str, Path]]:
    """Returns (user, file) for a file, and for a folder with `USER/Trajectory/*.plt`, `Trajectory/*.plt` or `*.plt`.

    Raises:
        EdgeGymInputError: There is none, there are too many, or a link leads out of the folder.
    """
    if not os.path.isdir(path):
        return [(path.stem, path)]
    here = path.resolve()
    found = [(file.parent.parent.name, file) for file in sorted(path.glob("*/Trajectory/*.plt"))]
    found += [(here.name, file) for file in sorted(path.glob("Trajectory/*.plt"))]
    found += [(file.stem, file) for file in sorted(path.glob("*.plt"))]
    if not 0 < len(found) <= MAX_FILES:
        allowed = f"a folder with 1 to {MAX_FILES} files */Trajectory/*.plt or *.plt"
        raise EdgeGymInputError("", MISSING, allowed, str(path), f"found {len(found)}")
    for _, file in found:
        if not file.resolve().is_relative_to(here):
            raise EdgeGymInputError("path", file.name, "inside the folder", str(path), "a link leads out of it")
    return found


def read_geolife(path: str | os.PathLike) -> Mobility:
    """Reads a file or a folder; see `read_mobility`."""
    samples = Samples()
    for user, file in plt_files(Path(path)):
        _read_file(file, samples.number_of(user), samples)
    return samples.finish("geolife", Path(path).name, True)


def _read_file(file: Path, user: int, samples: Samples) -> None:
    with open_lines(file) as lines:
        for line in lines:
            if lines.number <= PREAMBLE:
                if lines.number == 1 and line.strip() != FIRST_LINE:
                    raise lines.wrong("line", line.strip(), FIRST_LINE)
                continue
            if line.isspace():
                continue
            cells = line.rstrip("\r\n").split(",")
            if len(cells) != len(CELLS):
                raise lines.wrong("row", MISSING, f"{len(CELLS)} cells", f"found {len(cells)}")
            latitude, longitude = number(cells[0], -1e6, 1e6), number(cells[1], -1e6, 1e6)
            now = stamp_ns(f"{cells[5]} {cells[6]}")
            if latitude is None or longitude is None:
                at = 0 if latitude is None else 1
                raise lines.wrong(CELLS[at], cells[at], "a number (degrees)")
            if now is None:
                raise lines.wrong("date,time", f"{cells[5]},{cells[6]}", STAMP_FORM.replace(" hh", ",hh"))
            if abs(latitude) > 90 or abs(longitude) > 180:
                samples.n_dropped += 1
                continue
            try:
                samples.add(user, now, longitude, latitude)
            except EdgeGymInputError as error:
                raise error.moved(where=f"{lines.name}:{lines.number}") from None
