"""The C loop of `routing.c` and its headers from Python: compiled on the spot, called through ctypes."""

from __future__ import annotations

import atexit
import ctypes
import os
import shutil
import subprocess
import tempfile
from ctypes import POINTER, c_int, c_int64, c_void_p
from functools import cache
from pathlib import Path

import numpy as np

from edge_gym.kernel.build import World
from edge_gym.kernel.observe import COLUMNS, N_FEATURES
from edge_gym.kernel.tables import LINK, MODEL, NODE_TYPE, PHRASE, RULES, RUN, SERVICE

SOURCE = Path(__file__).parent / "routing.c"
# Contraction off: event times are then exact to the nanosecond. The other two change no result.
FLAGS = ("-std=c11", "-O3", "-march=native", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math")
FLAGS += ("-shared", "-fPIC", "-Wall", "-Wextra")
# The columns of the observation as the C loop writes them.
COLUMNS_OF_C = (
    "is_request model prompt forecast slack retries is_decline legal alive busy outstanding free_memory resident "
    "parallelism price power slowdown evidence overdue stream event event_slowdown event_foreground uncertainty router "
    "backlog wait first per_unit service inflicted network load evidence_age event_in event_age router_cost"
)
REFUSALS = {
    1: "out of memory",
    2: "arrivals other than Poisson",
    3: "a law that is empirical",
    4: "a timeline",
    5: "reward weights beside latency",
    6: "more than 32,767 models or sites",
}


class NoCompiler(RuntimeError):
    """There is no C compiler on this machine, or it does not compile."""


class NotCovered(ValueError):
    """The C loop does not have what the scenario asks for."""


def compiler() -> str:
    """Path of the C compiler: `$CC`, `cc`, `gcc` or `clang`.

    Raises:
        NoCompiler: None of them is there.
    """
    for name in (os.environ.get("CC", ""), "cc", "gcc", "clang"):
        found = shutil.which(name) if name else None
        if found:
            return found
    raise NoCompiler("the C loop needs a C compiler: install gcc or clang (Debian: apt-get install gcc), or set CC")


def compiler_version() -> str:
    """First line of `cc --version`."""
    done = subprocess.run([compiler(), "--version"], capture_output=True, text=True, check=False)
    return (done.stdout.splitlines() or ["unknown"])[0]


@cache
def library() -> ctypes.CDLL:
    """Compile `routing.c` into a folder that goes away with this process, and load it.

    Raises:
        NoCompiler: There is no compiler, or it fails; the message holds what it said.
        RuntimeError: A table has changed in `edge_gym/kernel/tables.py` and not in `routing.c`.
    """
    folder = tempfile.mkdtemp(prefix="edge_gym_c_")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    target = os.path.join(folder, "routing.so")
    command = [compiler(), *FLAGS, str(SOURCE), "-o", target, "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoCompiler(f"{' '.join(command)} failed:\n{done.stderr.strip()}")
    lib = ctypes.CDLL(target)
    lib.table_size.restype, lib.table_size.argtypes = c_int64, [c_int]
    lib.n_features.restype, lib.n_features.argtypes = c_int64, []
    lib.create.restype = c_void_p
    lib.create.argtypes = [c_int64] * 8 + [c_int] + [c_void_p] * 8 + [POINTER(c_int)]
    lib.reset.restype, lib.reset.argtypes = None, [c_void_p] * 4
    lib.step.restype, lib.step.argtypes = None, [c_void_p] * 6
    lib.clocks.restype, lib.clocks.argtypes = None, [c_void_p] * 2
    lib.accounts.restype, lib.accounts.argtypes = None, [c_void_p] * 4
    lib.destroy.restype, lib.destroy.argtypes = None, [c_void_p]
    tables = {"RULES": RULES, "NODE_TYPE": NODE_TYPE, "MODEL": MODEL, "SERVICE": SERVICE, "LINK": LINK}
    for which, (name, dtype) in enumerate({**tables, "PHRASE": PHRASE, "RUN": RUN}.items()):
        size = lib.table_size(which)
        if size != dtype.itemsize:
            found = f"{name} has {dtype.itemsize} bytes in tables.py and {size} in {SOURCE.name}"
            raise RuntimeError(f"{found}: bring it up to date")
    names = " ".join(column.name for column in COLUMNS)
    if names != COLUMNS_OF_C or lib.n_features() != N_FEATURES:
        raise RuntimeError(f"the columns of observe.py have changed and {SOURCE.name} has not: bring it up to date")
    return lib


def words_of(news: np.ndarray) -> int:
    """One number made of messages (K,) NEWS: when, which phrases, about which nodes (as news.h makes it)."""
    words = 0
    for entry in news:
        words = (words + int(entry["time_ns"])) * 31 + int(entry["phrase"]) * 1009 + int(entry["node"])
    return (words + 2**63) % 2**64 - 2**63


class CLoop:
    """B worlds stepped by the C loop, with buffers of their own that every call overwrites.

    Args:
        world: The scenario made ready to run.
        n_worlds: B.
        autoreset: A world that is done begins its next episode at the next step (as Gymnasium's NEXT_STEP).

    Attributes:
        obs: (B, N + 1, F) float32.
        mask: (B, N + 1) bool.
        reward: (B,) float64.
        done: (B,) bool.

    Raises:
        NoCompiler: It cannot be compiled here.
        NotCovered: The scenario asks for what the C loop does not have.
    """

    def __init__(self, world: World, n_worlds: int, autoreset: bool = True) -> None:
        self._lib = library()
        p = world.params
        self.obs = np.zeros((n_worlds, world.n_nodes + 1, N_FEATURES), np.float32)
        self.mask = np.zeros((n_worlds, world.n_nodes + 1), bool)
        self.reward, self.done = np.zeros(n_worlds), np.zeros(n_worlds, bool)
        tables = [p.rules, p.node, p.model, p.service, p.link, p.site, p.phrase, p.run]
        tables = [np.ascontiguousarray(table) for table in tables]
        sizes = (n_worlds, world.n_nodes, len(p.model), len(p.link), world.n_jobs, len(p.change))
        sizes += (len(p.phrase), p.run.shape[-1])
        error = c_int(0)
        self._handle = self._lib.create(*sizes, int(autoreset), *(t.ctypes.data for t in tables), ctypes.byref(error))
        if not self._handle:
            raise NotCovered(f"the C loop does not cover {REFUSALS[error.value]}")
        self._out = tuple(a.ctypes.data for a in (self.obs, self.mask, self.reward, self.done))

    def reset(self, roots: np.ndarray) -> None:
        """Begin episode 0 of the seeds in `roots`, (B,) uint64."""
        roots = np.ascontiguousarray(roots, np.uint64)
        self._lib.reset(self._handle, roots.ctypes.data, *self._out[:2])

    def step(self, actions: np.ndarray) -> None:
        """One decision in every world: (B,) int64, contiguous, legal."""
        self._lib.step(self._handle, actions.ctypes.data, *self._out)

    @property
    def now_ns(self) -> np.ndarray:
        """(B,) int64, simulated time."""
        now = np.empty(len(self.done), np.int64)
        self._lib.clocks(self._handle, now.ctypes.data)
        return now

    def accounts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Since the last decision, (B,) int64 each: stuttering responses, messages, and `words_of` the messages."""
        found = [np.empty(len(self.done), np.int64) for _ in range(3)]
        self._lib.accounts(self._handle, *(a.ctypes.data for a in found))
        return found[0], found[1], found[2]

    def close(self) -> None:
        """Give the memory back."""
        if self._handle:
            self._lib.destroy(self._handle)
            self._handle = None

    def __del__(self) -> None:
        if getattr(self, "_handle", None):
            self.close()
