"""`edge-gym doctor`: is everything here that edge_gym needs, and what to do about what is not."""

from __future__ import annotations

import argparse
import importlib
import platform
import re
import shutil
import sys
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import NamedTuple

from edge_gym.errors import install_extra

DISTRIBUTION = "edge-gym"
# What a user may want besides; the other extras are for those who work on the project.
EXTRAS = ("plot", "video", "rl", "onnx", "llm", "agentscope", "ray")
MODULES = {"pyyaml": "yaml", "stable-baselines3": "stable_baselines3", "sb3-contrib": "sb3_contrib"}
REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?([^;]*)(?:;\s*extra\s*==\s*[\"']([^\"']+)[\"'])?")
OLDEST_PYTHON = (3, 11)
LEAST_FREE_BYTES = 500e6  # what compiling everything takes, twice


class Finding(NamedTuple):
    """One line of the report: "ok", "note" (works without) or "broken", and what to do."""

    state: str
    what: str
    advice: str = ""


def run(options: argparse.Namespace) -> int:
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
    try:
        wanted = list(wanted_packages())
    except PackageNotFoundError:
        advice = "install it: python -m pip install -c constraints.txt -e . in its folder, or install the wheel"
        yield Finding("broken", f"{DISTRIBUTION} itself is not installed, so what it needs is not known", advice)
        return
    yield Finding("ok", f"{DISTRIBUTION} {version(DISTRIBUTION)} in {Path(__file__).parents[1]}")
    missing = False
    for package in wanted:
        if package.extra == "":
            finding = _needed(package)
            missing |= finding.state == "broken"
            yield finding
    for extra in EXTRAS:
        yield _extra(extra, [package for package in wanted if package.extra == extra])
    if missing:
        return
    yield from _plugins()
    yield _cache()
    yield _smoke_run()


class Package(NamedTuple):
    """A package that is needed: its name, bounds such as `<2,>=1.2`, and the extra that needs it ("": everything)."""

    name: str
    bounds: str
    extra: str

    @property
    def advice(self) -> str:
        """The command that installs what is wanted."""
        return f"python -m pip install --upgrade '{self.name}{self.bounds}'"

    def problem(self) -> str:
        """What is wrong with what is installed, or "".

        Raises:
            PackageNotFoundError: Nothing is.
        """
        found = version(self.name)
        for bound in filter(None, self.bounds.split(",")):
            sign, wanted = re.fullmatch(r"\s*([<>=!~]=?)(.*?)\s*", bound).groups()  # type: ignore[union-attr]
            low, high = _numbers(found), _numbers(wanted)
            if not {">=": low >= high, "<": low < high}.get(sign, True):
                return f"{self.name} {found} is not {sign}{wanted}"
        return ""


def wanted_packages() -> Iterator[Package]:
    """What the installed distribution says it needs.

    Raises:
        PackageNotFoundError: It is not installed.
    """
    for line in requires(DISTRIBUTION) or []:
        name, bounds, extra = REQUIREMENT.match(line).groups()  # type: ignore[union-attr]
        if name != DISTRIBUTION:
            yield Package(name, bounds.strip(), extra or "")


def _needed(package: Package) -> Finding:
    try:
        problem = package.problem()
        if not problem:
            importlib.import_module(MODULES.get(package.name, package.name))
    except PackageNotFoundError:
        problem = f"{package.name} is not installed"
    except Exception as error:  # a package that is broken may raise anything
        problem = f"{package.name} cannot be imported: {type(error).__name__}: {error}"
    if problem:
        return Finding("broken", problem, package.advice)
    return Finding("ok", f"{package.name} {version(package.name)}")


def _extra(extra: str, packages: list[Package]) -> Finding:
    advice = f"if you want it: {install_extra(extra)}"
    problems, found = [], []
    for package in packages:
        try:
            problems += filter(None, [package.problem()])
            found.append(f"{package.name} {version(package.name)}")
        except PackageNotFoundError:
            problems.append(f"{package.name} is missing")
    if not found:
        return Finding("note", f"extra '{extra}' is not installed", advice)
    if problems:
        return Finding("note", f"extra '{extra}' is not complete: {', '.join(problems)}", advice)
    return Finding("ok", f"extra '{extra}': {', '.join(found)}")


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
        advice = "set EDGE_GYM_CACHE_DIR to a folder that can be written; until then every start compiles for a minute"
        return Finding("broken", "no folder for the compiled kernel can be written", advice)
    free = shutil.disk_usage(CACHE_DIR).free
    if free < LEAST_FREE_BYTES:
        advice = "free some, or set EDGE_GYM_CACHE_DIR to a folder elsewhere"
        return Finding("broken", f"{free / 1e6:,.0f} MB free where the compiled kernel is kept, {CACHE_DIR}", advice)
    compiled = sum(1 for _ in Path(CACHE_DIR).rglob("*.nbc"))
    state = (
        f"{compiled} compiled functions" if compiled else "nothing compiled yet, the first run takes a minute longer"
    )
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
