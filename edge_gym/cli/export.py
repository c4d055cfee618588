"""`edge-gym export`: a trained controller in the format of another runtime."""

from __future__ import annotations

import argparse
import os
from importlib import import_module
from pathlib import Path

from edge_gym.errors import EdgeGymInputError, install_extra


def run(options: argparse.Namespace) -> int:
    """Write a checkpoint as an ONNX file.

    Raises:
        EdgeGymInputError: The checkpoint is not acceptable, the file exists or has no folder, or a package is missing.
    """
    target = Path(options.out)
    if target.suffix != ".onnx" or os.path.exists(target) or not os.path.isdir(target.parent):
        raise EdgeGymInputError("OUT", options.out, "a new file that ends with .onnx, in a folder that exists")
    try:
        learned = import_module("edge_agents.onnx_export")  # learned controllers are an extra
    except ImportError as error:
        hint = install_extra("rl,onnx")
        raise EdgeGymInputError("packages", str(error), "installed to write ONNX files", hint=hint) from error
    learned.export(options.checkpoint, target)
    print(f"{target}: {target.stat().st_size} bytes")
    return 0
