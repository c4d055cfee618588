"""Runs a program as compiled code and as plain Python, for tests that want the same of both."""

import json
import os
import subprocess
import sys
from pathlib import Path


def both_ways(code: str) -> tuple[dict, dict]:
    """What a program prints as JSON, compiled and with NUMBA_DISABLE_JIT=1; its argument is the folder of the tests."""
    return _play(code, "0"), _play(code, "1")


def _play(code: str, disabled: str) -> dict:
    # A RuntimeWarning would be an overflow that the compiled code does not know of.
    command = [sys.executable, "-W", "error::RuntimeWarning", "-c", code, str(Path(__file__).parent)]
    env = {**os.environ, "NUMBA_DISABLE_JIT": disabled}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=580)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout)
