"""Where results come from: versions, source, machine, command."""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path
from typing import Any

from edge_gym.scenario import Scenario
from edge_gym.scenario.io import fingerprint, to_plain

PACKAGES = ("numpy", "numba", "scipy", "gymnasium", "torch")
THREADS = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def about_run(scenarios: list[Scenario]) -> dict[str, Any]:
    """What a manifest says beside the identity of the run: enough to run it again."""
    return {
        "versions": versions(),
        "git": git_state(),
        "platform": platform.platform(),
        "cpu_count": os.cpu_count(),
        "processor": processor(),
        "threads": {name: os.environ[name] for name in THREADS if name in os.environ},
        "installed": installed_hash(),
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "scenarios": [{"fingerprint": fingerprint(one), **to_plain(one)} for one in scenarios],
    }


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on, those not installed left out."""
    from edge_gym import __version__

    found = {"edge_gym": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def processor() -> dict[str, Any]:
    """The processor as the compiler sees it: its name and what it can do, such as "avx2"."""
    from llvmlite import binding

    features = binding.get_host_cpu_features()
    return {"name": binding.get_host_cpu_name(), "features": sorted(name for name, there in features.items() if there)}


def installed_hash() -> str:
    """Changes whenever any installed distribution, or its version, does."""
    found = sorted({f"{one.name}=={one.version}" for one in distributions()})
    return hashlib.sha256("\n".join(found).encode()).hexdigest()[:16]


def kernel_hash() -> str:
    """Changes whenever the source of the world, Numba or Python does."""
    from edge_gym.kernel._jit import KERNEL_HASH

    return KERNEL_HASH


def git_state() -> dict[str, Any] | None:
    """Commit and whether anything differs from it; None if edge_gym does not run from a git checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    commit, changes = _git(root, "rev-parse", "HEAD"), _git(root, "status", "--porcelain")
    return None if commit is None or changes is None else {"commit": commit, "dirty": bool(changes)}


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
