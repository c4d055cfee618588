"""One decorator for every compiled function of the world.

Numba's own cache looks only at the file of the outermost function, so an edit in a helper module would leave a stale
kernel on disk. Here the cache folder is named after a hash of every kernel source, and a machine without a writable
home still imports: the next candidate folder is taken, or none.
"""

import contextlib
import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
from numba.core import config as numba_config


def sources_hash(*folders: Path) -> str:
    digest = hashlib.sha256(f"{numba.__version__} {sys.version}".encode())
    for folder in folders:
        for path in sorted(folder.glob("*.py")):
            digest.update(path.name.encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def _writable_cache_dir(name: str, *folders: Path) -> str:
    """First folder that can be written, or an empty string: then nothing is cached.

    Args:
        name: What is compiled.
        *folders: Where its sources are.
    """
    home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    user = getattr(os, "getuid", lambda: "user")()
    candidates = [
        os.environ.get("EDGE_GYM_CACHE_DIR", ""),
        os.path.join(home, "edge_gym"),
        os.path.join(tempfile.gettempdir(), f"edge_gym-{user}"),
    ]
    for candidate in filter(None, candidates):
        folder = Path(candidate) / name / sources_hash(*folders)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            os.utime(folder)  # the last used are kept
            _forget_old(folder)
            with tempfile.TemporaryFile(dir=folder):
                return str(folder)
        except OSError:
            continue
    return ""


def _forget_old(newest: Path, keep: int = 4) -> None:
    """Remove the caches of all but the last few versions of the kernel that were used."""
    with contextlib.suppress(OSError):  # another process is doing the same
        others = [path for path in newest.parent.iterdir() if path.is_dir() and path != newest]
        others.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        for path in others[keep - 1 :]:
            shutil.rmtree(path, ignore_errors=True)


_KERNEL = Path(__file__).parent
KERNEL_HASH = sources_hash(_KERNEL)
CACHE_DIR = _writable_cache_dir("kernel", _KERNEL)


def compile_function(
    function: Callable, cache_dir: str = CACHE_DIR, nrt: bool = False, inline: bool = True, **options: bool
) -> Callable:
    if numba_config.DISABLE_JIT:
        return np.errstate(over="ignore")(function)  # the generator's integers are meant to wrap
    previous = numba_config.CACHE_DIR
    numba_config.CACHE_DIR = cache_dir
    try:
        # No fastmath: results must not depend on the machine. No reference counts: nothing is allocated, and counting
        # the views of a row would cost more than the physics. Inlined: a row is eight arrays, dear to pass by value.
        return numba.njit(
            function,
            nogil=True,
            cache=bool(cache_dir),
            error_model="numpy",
            _nrt=nrt,
            forceinline=inline,
            no_cfunc_wrapper=True,
            **options,
        )
    finally:
        numba_config.CACHE_DIR = previous


def jit_call(function: Callable) -> Callable:
    """Compile a kernel function that only kernel functions call, and keep it out of line.

    For what happens seldom and is long: calling it costs some 50 ns, but it is compiled once and not at each call.
    """
    return compile_function(function, inline=False, no_cpython_wrapper=True)


def jit(function: Callable) -> Callable:
    """Compile a kernel function that Python may call."""
    return compile_function(function)


def jit_row(function: Callable) -> Callable:
    """Compile a kernel function that only kernel functions call; without a wrapper it compiles faster."""
    return compile_function(function, no_cpython_wrapper=True)


def compiler_for(folder: Path) -> Callable[[Callable], Callable]:
    """A decorator for compiled functions outside the kernel that call kernel functions; they may allocate.

    Args:
        folder: Where the sources of everything they call beside the kernel are; part of the key of their cache.
    """
    cache_dir = _writable_cache_dir(folder.name, _KERNEL, folder)

    def decorate(function: Callable) -> Callable:
        return compile_function(function, cache_dir, nrt=True, inline=False)

    return decorate
