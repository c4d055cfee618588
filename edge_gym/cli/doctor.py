"""`edge-gym doctor`: is everything here that edge_gym needs, and what to do about what is not."""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import NamedTuple

NEEDED = {
    "numpy": (2, 0),
    "numba": (0, 61),
    "scipy": (1, 14),
    "networkx": (3, 2),
    "gymnasium": (1, 2),
    "pettingzoo": (1, 27),
    "pyyaml": (6, 0),
    "rich": (13, 7),
}
EXTRAS = {
    "plot": "matplotlib",
    "rl": "stable-baselines3",
    "onnx": "onnxscript",
    "llm": "openai",
    "agentscope": "agentscope",
    "ray": "ray",
}
OLDEST_PYTHON = (3, 11)


class Finding(NamedTuple):
    """One line of the report: "ok", "note" (works without) or "broken", and what to do."""

    state: str
    what: str
    advice: str = ""


def doctor() -> int:
    """Print every finding; 1 if something is broken, else 0."""
    broken = False
    for finding in examine():
        line = f"{finding.state:>6}  {finding.what}"
        print(f"{line}\n        -> {finding.advice}" if finding.advice else line, flush=True)
        broken |= finding.state == "broken"
    print("Something is broken: see the arrows above." if broken else "All is well.")
    return int(broken)


def examine() -> Iterator[Finding]:
    """Every check in turn; what a later one needs has been checked before."""
    found = sys.version_info[:2]
    shown = f"Python {platform.python_version()} on {platform.platform()}"
    if found < OLDEST_PYTHON:
        yield Finding("broken", shown, "install Python 3.11 or newer")
    else:
        yield Finding("ok", shown)
    missing = False
    for finding in _packages():
        missing |= finding.state == "broken"
        yield finding
    yield from _extras()
    if missing:
        return
    yield from _plugins()
    yield _cache()
    yield _smoke_run()


def _packages() -> Iterator[Finding]:
    for name, oldest in NEEDED.items():
        wanted = ".".join(map(str, oldest))
        advice = f"python -m pip install --upgrade '{name}>={wanted}'"
        try:
            found = version(name)
        except PackageNotFoundError:
            yield Finding("broken", f"{name} is not installed", advice)
            continue
        state = "ok" if _numbers(found) >= oldest else "broken"
        yield Finding(state, f"{name} {found}", "" if state == "ok" else advice)


def _extras() -> Iterator[Finding]:
    for extra, package in EXTRAS.items():
        try:
            yield Finding("ok", f"extra '{extra}': {package} {version(package)}")
        except PackageNotFoundError:
            advice = f"if you want it: python -m pip install -c constraints.txt -e '.[{extra}]'"
            yield Finding("note", f"extra '{extra}' is not installed", advice)


def _plugins() -> Iterator[Finding]:
    from edge_gym.plugins import load_plugins

    for plugin, problem in load_plugins().items():
        if problem:
            advice = "update or uninstall that package, or tell its authors; the names of others are not affected"
            yield Finding("broken", f"plugin {plugin} could not be loaded: {problem}", advice)
        else:
            yield Finding("ok", f"plugin {plugin}")


def _cache() -> Finding:
    from edge_gym.kernel._jit import CACHE_DIR

    if not CACHE_DIR:
        advice = "set EDGE_GYM_CACHE_DIR to a folder that can be written; until then every start compiles for 20 s"
        return Finding("broken", "no folder for the compiled kernel can be written", advice)
    compiled = sum(1 for _ in Path(CACHE_DIR).rglob("*.nbc"))
    state = f"{compiled} compiled functions" if compiled else "nothing compiled yet, the first run takes 20 s longer"
    return Finding("ok", f"kernel cache {CACHE_DIR}: {state}")


def _smoke_run() -> Finding:
    """One short episode, declining nothing."""
    try:
        import numpy as np

        from edge_gym.evaluation.shards import plan, run_shard

        class FirstLegal:
            name = "first_legal"

            def reset(self, n_envs: int, seed: int) -> None:
                """Nothing to forget."""

            def act(self, obs: np.ndarray, action_mask: np.ndarray, context: object) -> np.ndarray:
                return action_mask.argmax(axis=1)

        began = time.perf_counter()
        (shard,) = plan(FirstLegal(), "routing", "stationary", [0], 1, {})
        _, first = run_shard(shard)
        rows, timing = run_shard(shard)
    except Exception as error:
        advice = "please report this, with the traceback of: edge-gym bench --scenario toy2 --debug"
        return Finding("broken", f"a smoke run failed: {type(error).__name__}: {error}", advice)
    start_s = time.perf_counter() - began - timing["total_s"]
    speed = rows[0]["requests"] / timing["total_s"]
    return Finding("ok", f"smoke run: ready after {start_s:.1f} s, then {speed:,.0f} decisions/s in a single world")


def _numbers(text: str) -> tuple[int, ...]:
    """Leading numbers of a version: "2.0.1rc1" -> (2, 0)."""
    found = []
    for part in text.split(".")[:2]:
        digits = "".join(c for c in part if c.isdigit())
        if not digits:
            break
        found.append(int(digits))
    return tuple(found)
