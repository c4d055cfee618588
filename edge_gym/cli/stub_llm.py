"""`edge-gym stub-llm`: a stand-in for a language model, to try controllers without one."""

from __future__ import annotations

import argparse
import contextlib
from importlib import import_module

from edge_gym.errors import EdgeGymInputError


def run(options: argparse.Namespace) -> int:
    """Print the address for EDGE_GYM_LLM_BASE_URL and serve until a signal comes.

    Raises:
        EdgeGymInputError: If the play or the port is not acceptable.
    """
    port = options.port
    if not (port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) <= 65535):
        raise EdgeGymInputError("port", port, "a number from 0 to 65535", "edge-gym stub-llm")
    # By name, since the environments do not depend on the baselines.
    serve = import_module("edge_baselines.llm.stub.server").serve
    with contextlib.suppress(KeyboardInterrupt):
        serve(options.play, int(port))
    return 0
