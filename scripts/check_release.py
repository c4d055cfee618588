"""Builds the wheel of the last commit, deletes the source, and tests what was built on every Python that is here.

python scripts/check_release.py                                  # without extras: doctor, every policy, the tests
python scripts/check_release.py --quick                          # doctor and every policy only
python scripts/check_release.py --pythons python3.11 --extra test    # with all extras

In a folder that is thrown away: the commit without its three packages, and for each Python a virtual environment with
the wheel in it. Versions in pyproject.toml, `edge_gym.__version__`, CITATION.cff and CHANGELOG.md must agree.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("edge_gym", "baselines", "agents")
PYTHONS = ("python3.11", "python3.12", "python3.13", "python3.14")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit status: 1 if anything failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pythons", help="commands or paths, by commas (default: all that run)")
    parser.add_argument("--extra", default="test-light", help="what is installed for the tests (default test-light)")
    parser.add_argument("--quick", action="store_true", help="leave out the tests")
    parser.add_argument("--pytest", default="-n 2", help="arguments of pytest (default: -n 2)")
    options = parser.parse_args(arguments)
    pythons = options.pythons.split(",") if options.pythons else [name for name in PYTHONS if runs(name)]
    problems = disagreements(ROOT)
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "copy"
        check_out(copy)
        wheel = build(copy)
        problems += missing_from(wheel, copy)
        for name in SOURCES:
            shutil.rmtree(copy / name)
        for python in pythons:
            print(f"== {python}", flush=True)
            problems += [f"{python}: {problem}" for problem in try_out(wheel, copy, python, options)]
    print("\n".join(problems) or f"fine on {', '.join(pythons)}")
    return int(bool(problems))


def runs(python: str) -> bool:
    """Whether there is such a Python; a launcher without a version behind it is none."""
    path = shutil.which(python)
    return path is not None and subprocess.run([path, "-c", ""], capture_output=True).returncode == 0


def disagreements(root: Path) -> list[str]:
    """Where another version stands than in pyproject.toml."""
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    places = {
        "edge_gym/__init__.py": rf'__version__ = "{re.escape(version)}"',
        "CITATION.cff": rf"^version: {re.escape(version)}$",
        "CHANGELOG.md": rf"^## (Unreleased|\[?{re.escape(version)}\b)",
    }
    return [
        f"{name} does not say version {version}"
        for name, pattern in places.items()
        if not re.search(pattern, (root / name).read_text(), re.MULTILINE)
    ]


def check_out(target: Path) -> None:
    """The last commit, without its history."""
    target.mkdir()
    archive = target.parent / "commit.tar"
    subprocess.run(["git", "archive", "--output", str(archive), "HEAD"], cwd=ROOT, check=True)
    with tarfile.open(archive) as tar:
        tar.extractall(target, filter="data")


def build(copy: Path) -> Path:
    """The wheel, made from the copy."""
    subprocess.run(pip(sys.executable, "wheel", "--no-deps", "--wheel-dir", str(copy.parent), str(copy)), check=True)
    (wheel,) = copy.parent.glob("*.whl")
    return wheel


def missing_from(wheel: Path, copy: Path) -> list[str]:
    """Files of the packages that are not in the wheel, and files in it that are of no package."""
    packages = {"edge_gym": copy, "edge_baselines": copy / "baselines", "edge_agents": copy / "agents"}
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = {
        path.relative_to(parent).as_posix()
        for name, parent in packages.items()
        for path in (parent / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    missing = [f"{name} is missing from the wheel" for name in sorted(wanted - packed)]
    return missing + [f"{name} is in the wheel, but in no package" for name in sorted(packed - wanted)]


def try_out(wheel: Path, copy: Path, python: str, options: argparse.Namespace) -> list[str]:
    """What failed on one Python: first without extras, then the tests."""
    home = Path(tempfile.mkdtemp(dir=copy.parent))
    subprocess.run([python, "-m", "venv", str(home)], check=True)
    inside = str(home / "bin" / "python")
    subprocess.run(pip(inside, "install", str(wheel)), check=True)
    commands = {
        "doctor": [inside, "-m", "edge_gym", "doctor"],
        "every policy": [inside, "scripts/play_every_policy.py"],
    }
    found = [what for what, command in commands.items() if subprocess.run(command, cwd=copy, env=clean()).returncode]
    if options.quick:
        return found
    constraints = ["-c", str(copy / "constraints.txt")]
    subprocess.run(pip(inside, "install", *constraints, f"edge-gym[{options.extra}] @ {wheel.as_uri()}"), check=True)
    tests = [inside, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options.pytest.split()]
    return found + ["tests"] * bool(subprocess.run(tests, cwd=copy, env=clean()).returncode)


def pip(python: str, *arguments: str) -> list[str]:
    """A command of pip."""
    return [python, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]


def clean() -> dict[str, str]:
    """The environment variables without any that would let the source in."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


if __name__ == "__main__":
    sys.exit(main())
