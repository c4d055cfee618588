"""What every wrong input of the command line has in common: exit code 2, a short message, and nothing else."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

from edge_gym.cli.main import MAX_LINES, main
from edge_gym.evaluation.evaluate import evaluate

WRONG_INPUT = 2

# A world of two nodes that has one of everything that can be wrong.
SCENARIO = """\
version: 1
name: small
pool: {device_types: [box], n_nodes: 2, queue_capacity: 4, slots: 1}
workloads:
- {model: work, share: 1, deadline_s: 5, prompt_tokens: {mean: 0}, units: {kind: constant, mean: 3}}
arrivals: {kind: poisson, rate_per_s: 1}
topology: {kind: star, n_sites: 1, link_delay_s: 0.001, link_bandwidth_bytes_per_s: 1e8, seed: 0}
horizon_s: 60
devices:
- {name: box, memory_bytes: 1000, storage_bytes_per_s: 1e9, nic_bytes_per_s: 1e9, power_idle_w: 5, power_max_w: 10}
models:
- {name: work, weights_bytes: 10}
services:
- {device: box, model: work, per_unit_s: 0.1}
"""
BENCH = ("bench", "--policies", "jsq", "--episodes", "1", "--workers", "1", "--quiet", "--out", "run")


def finished_run(folder: Path) -> Path:
    """A small evaluation in a new folder."""
    evaluate(["jsq", "random"], scenario="toy2", seeds=range(1000, 1003), n_requests=4, out=folder)
    return folder


def snapshot(folder: Path) -> dict[str, str]:
    """Every file and folder below, with a hash of what is in it."""
    found = {}
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(root, name)
            regular = stat.S_ISREG(path.lstat().st_mode)
            found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest() if regular else "other"
    return found


def refused(capsys, folder: Path, *arguments: object, at_most: int = MAX_LINES) -> str:
    """Runs a command in `folder` that must be refused, and returns its message.

    Checked are the exit code, that nothing goes to stdout, the form and length of the message, that there is no
    traceback, and that every file and folder is as it was, none new.
    """
    before, came_from = snapshot(folder), os.getcwd()
    os.chdir(folder)
    try:
        code = main([str(argument) for argument in arguments])
    finally:
        os.chdir(came_from)
    out, err = capsys.readouterr()
    assert code == WRONG_INPUT, f"exit code {code}: {err}"
    assert out == "" and err.startswith("edge-gym") and "must be" in err
    assert "Traceback" not in err and len(err.splitlines()) <= at_most
    assert all(line.isprintable() for line in err.splitlines())
    assert snapshot(folder) == before, "something was written"
    return err
