"""What is released is what was tested: the wheel alone, far from the sources, gives the same table."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_gym.evaluation.evaluate import evaluate

ROOT = Path(__file__).resolve().parent.parent
PACKED = ("edge_gym", "baselines", "agents", "pyproject.toml", "README.md", "LICENSE")
DEMO = re.search(r"^DEMO \?= (.*?[^\\])\n", (ROOT / "Makefile").read_text(), re.MULTILINE | re.DOTALL)[1]


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with the wheel's content; the wheel was built from a copy, which is gone."""
    scratch = tmp_path_factory.mktemp("release")
    copy = scratch / "copy"
    copy.mkdir()
    for name in PACKED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif (ROOT / name).exists():
            shutil.copy(ROOT / name, copy)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-deps", "--no-index", "--no-build-isolation"]
    subprocess.run([*pip, "wheel", *offline, "--wheel-dir", str(scratch), str(copy)], check=True, timeout=120)
    shutil.rmtree(copy)
    (wheel,) = scratch.glob("*.whl")
    target = scratch / "target"
    subprocess.run([*pip, "install", *offline, "--target", str(target), str(wheel)], check=True, timeout=120)
    return target


def test_rep_16_the_demo_from_the_wheel_gives_the_same_table(installed, tmp_path):
    """A short episode of each policy of `make demo`, played by the wheel without compiling, to the last bit."""
    words = shlex.split(DEMO.replace("\\\n", " ").replace("$(RUNS)", str(tmp_path / "run")))
    words[words.index("--episodes") + 1] = "1"
    words += ["--set", "n_requests=40"]
    run = [
        f"import sys; sys.path.insert(0, {str(installed)!r})",
        f"import edge_gym, edge_baselines; assert edge_gym.__file__.startswith({str(installed)!r})",
        f"from edge_gym.cli.main import main; sys.exit(main({words!r}))",
    ]
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"NUMBA_DISABLE_JIT": "1"}
    command = [sys.executable, "-c", "; ".join(run)]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = [json.loads(line) for line in (tmp_path / "run" / "episodes.jsonl").read_text().splitlines()]
    names = words[words.index("--policies") + 1].split(",")
    expected = evaluate(names, "routing", "stationary", [1000], n_requests=40).rows
    assert [row["policy"] for row in rows] == names
    assert rows == json.loads(json.dumps(expected))


def test_rep_16_the_wheel_holds_the_files_of_the_packages_and_nothing_else(installed):
    for package, folder in {"edge_gym": "", "edge_baselines": "baselines", "edge_agents": "agents"}.items():
        assert files_of(installed / package) == files_of(ROOT / folder / package)


def files_of(folder: Path) -> set[Path]:
    paths = folder.rglob("*")
    return {path.relative_to(folder) for path in paths if path.is_file() and "__pycache__" not in path.parts}
