"""RUN-16, RUN-18: every kind of file survives a kill at any moment, and a disk that is full is called so."""

import os
import subprocess
import sys
from pathlib import Path

import killed_writers
import pytest

from edge_gym.files import atomic_write

ROOT = Path(__file__).resolve().parent.parent
KILLS = int(os.environ.get("EDGE_GYM_KILLS", "20"))  # 200 take a few minutes


def run_python(*words):
    """A child that finds the tests' modules."""
    paths = os.pathsep.join([str(ROOT / "tests"), *sys.path])
    more = {"env": {**os.environ, "PYTHONPATH": paths}, "timeout": 250}
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False, **more)


@pytest.mark.parametrize("kind", killed_writers.KINDS)
def test_run_16_a_writer_that_is_killed_leaves_whole_files(kind, tmp_path):
    done = run_python(str(ROOT / "tests" / "killed_writers.py"), kind, str(KILLS), str(tmp_path))
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= KILLS // 2, "too many of the kills came before anything was written"


# A file may grow to so many bytes and no further, as where a quota is reached.
LIMITED = """
import resource, sys
from edge_gym.cli.main import main
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), resource.RLIM_INFINITY))
sys.exit(main(sys.argv[2:]))
"""
BENCH = ["bench", "--task", "routing", "--scenario", "toy2", "--policies", "jsq,round_robin", "--workers", "1"]


def test_run_18_a_full_disk_is_named_with_path_need_and_room_and_what_was_there_stays(tmp_path):
    folder = tmp_path / "run"
    first = run_python("-m", "edge_gym", *BENCH, "--episodes", "2", "--out", str(folder))
    assert first.returncode == 0, first.stderr
    before = {path: path.read_bytes() for path in folder.rglob("*.json*")}
    other = tmp_path / "other"
    done = run_python("-c", LIMITED, "3000", *BENCH, "--episodes", "60", "--out", str(other))
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert str(other) in done.stderr and "bytes to write" in done.stderr and "free" in done.stderr
    assert not list(other.rglob("*.tmp")), "half-written files are removed"
    assert before == {path: path.read_bytes() for path in folder.rglob("*.json*")}
    again = run_python("-m", "edge_gym", *BENCH, "--episodes", "60", "--out", str(other), "--resume")
    assert again.returncode == 0, again.stderr
    assert len((other / "episodes.jsonl").read_text().splitlines()) == 120


def test_run_18_a_write_that_fails_keeps_the_old_file(tmp_path):
    script = """
import resource, sys
from edge_gym.files import atomic_write
atomic_write(sys.argv[1], "old")
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    atomic_write(sys.argv[1], "n" * 5000)
except OSError as error:
    print(error)
"""
    path = tmp_path / "file.json"
    done = run_python("-c", script, str(path))
    assert done.returncode == 0, done.stderr
    assert "5000 bytes to write" in done.stdout and "free" in done.stdout and str(path) in done.stdout
    assert path.read_text() == "old" and os.listdir(tmp_path) == ["file.json"]


def test_run_18_a_folder_that_is_gone_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        atomic_write(tmp_path / "nowhere" / "file.json", "x")
    assert os.listdir(tmp_path) == []
