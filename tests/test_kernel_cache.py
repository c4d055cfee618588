"""Where compiled code is kept: the versions used last, whoever else is there."""

import os

from edge_gym.kernel import _jit


def test_the_versions_that_were_used_last_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGE_GYM_CACHE_DIR", str(tmp_path))
    for age in range(6):
        (tmp_path / "kernel" / f"old-{age}").mkdir(parents=True)
        os.utime(tmp_path / "kernel" / f"old-{age}", (1e9 - age, 1e9 - age))
    mine = tmp_path / "kernel" / _jit.KERNEL_HASH
    mine.mkdir()
    os.utime(mine, (1e8, 1e8))  # made long ago, and used now
    assert _jit._writable_cache_dir("kernel", _jit._KERNEL) == str(mine)
    assert sorted(path.name for path in mine.parent.iterdir()) == sorted([mine.name, "old-0", "old-1", "old-2"])
    assert mine.stat().st_mtime > 1e9


def test_a_folder_that_another_process_removes_just_now_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("EDGE_GYM_CACHE_DIR", str(tmp_path))
    gone = tmp_path / "kernel" / "gone"
    gone.mkdir(parents=True)
    is_dir = _jit.Path.is_dir

    def removed(path):
        found = is_dir(path)
        if path == gone:
            path.rmdir()
        return found

    monkeypatch.setattr(_jit.Path, "is_dir", removed)
    assert _jit._writable_cache_dir("kernel", _jit._KERNEL).startswith(str(tmp_path))
