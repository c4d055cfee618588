"""The decorators of every compiled function of the placement solvers."""

from collections.abc import Callable
from pathlib import Path

from edge_gym.kernel._jit import compile_function, compiler_for

# Called from Python; cached on disk under a key of the sources of this folder and of the kernel.
compiled = compiler_for(Path(__file__).parent)


def inlined(function: Callable) -> Callable:
    """Compile a function that only compiled ones call, into its callers.

    It has no cache of its own: the entry of an inlined function would not notice an edit in what it calls.
    """
    return compile_function(function, "", no_cpython_wrapper=True)
