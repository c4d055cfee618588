"""`edge-gym testbed`: move a real agent between real processes and measure what it takes."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module

from edge_gym.cli.bench import names, whole_number
from edge_gym.errors import EdgeGymInputError, nearest

BOTH = "both"


def run(options: argparse.Namespace) -> int:
    """Run the command.

    Returns:
        0, or 130 after Ctrl-C, when nothing is written.

    Raises:
        EdgeGymInputError: An argument is not valid.
    """
    # By name, since the environments do not depend on the baselines.
    measuring = import_module("edge_baselines.testbed.measure")
    modes = (*measuring.MODES, BOTH)
    if options.mode not in modes:
        raise EdgeGymInputError("--mode", options.mode, f"one of {', '.join(modes)}", hint=nearest(options.mode, modes))
    grid = measuring.Grid(
        messages=_numbers("--messages", options.messages, measuring.MAX_MESSAGES),
        characters=_numbers("--characters", options.characters, measuring.MAX_CHARACTERS),
        modes=measuring.MODES if options.mode == BOTH else (options.mode,),
        repeats=whole_number("--repeats", options.repeats, 1, measuring.MAX_REPEATS),
        image_mib=whole_number("--image-mib", options.image_mib, 1, measuring.MAX_IMAGE_MIB),
    )
    try:
        import_module("edge_baselines.testbed.run").run(grid, options.out, options.overwrite, options.json)
    except KeyboardInterrupt:
        print("edge-gym: stopped; nothing is written", file=sys.stderr)
        return 130
    return 0


def _numbers(flag: str, text: str, most: int) -> tuple[int, ...]:
    return tuple(whole_number(flag, word, 1, most) for word in names(flag, text))
