"""Writes one kind of file over and over in a child that is killed at random moments, and reads what is left each time.

    python tests/killed_writers.py KIND KILLS FOLDER     # prints how many kills left something to read

After every kill the file must be whole: the newest version or, where files are replaced, an older one; where a file
grows, its lines up to the last whole one.
"""

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

LATER = 10**6  # versions of a child are newer than those of all before it
SIZE = 4000  # numbers in a file, so that writing takes a while


class Writer(NamedTuple):
    """A kind of file: how version `k` is written, and how the version that is there is read (None: none yet)."""

    begin: Callable
    write: Callable
    read: Callable


def checkpoints() -> Writer:
    from edge_agents import checkpoint as cp
    from edge_agents.spec import NetworkSpec, shapes

    spec = NetworkSpec(n_features=37, hidden=64)

    def write(folder: Path, k: int) -> None:
        tensors = {name: np.full(shape, k % 100, np.float32) for name, shape in shapes(spec).items()}
        cp.write(folder / "x.safetensors", cp.Checkpoint(spec=spec, tensors=tensors, about={"task": "routing", "k": k}))

    def read(folder: Path) -> int | None:
        if not (folder / "x.safetensors").exists():
            return None
        found = cp.load(folder / "x.safetensors")
        assert all((tensor == found.about["k"] % 100).all() for tensor in found.tensors.values())
        return found.about["k"]

    return Writer(nothing, write, read)


def states() -> Writer:
    from edge_agents.training_folder import TrainingFolder

    def open_folder(folder: Path, resume: bool = True) -> TrainingFolder:
        return TrainingFolder(folder / "run", {"a": 1}, resume=resume, overwrite=not resume)

    def begin(folder: Path) -> None:
        (folder / "run").mkdir()
        with open_folder(folder, resume=False) as run:
            run.write_manifest({}, finished=False)

    def write(folder: Path, k: int) -> None:
        open_folder(folder).save_state({"k": k, "numbers": np.full(SIZE, k)})

    def read(folder: Path) -> int | None:
        with open_folder(folder) as run:  # the lock of a killed process is free
            state = run.load_state()
            assert not list(run.path.glob(".*.tmp"))
        assert state is None or (state["numbers"] == state["k"]).all()
        return None if state is None else state["k"]

    return Writer(begin, write, read)


def shards() -> Writer:
    from edge_gym.evaluation.run_folder import RunFolder

    def begin(folder: Path) -> None:
        with RunFolder(folder / "run", {}, False, False) as run:
            run.write_manifest({}, finished=False)

    def write(folder: Path, k: int) -> None:
        run = RunFolder(folder / "run", {}, True, False)
        run.store("a", [{"seed": seed, "k": k} for seed in range(SIZE // 20)], {"k": k})
        run.write_manifest({"k": k}, finished=False)

    def read(folder: Path) -> int | None:
        with RunFolder(folder / "run", {}, True, False) as run:
            assert not list(run.shards.glob(".*.tmp"))
        file = run.shards / "a.jsonl"
        if not file.exists():
            return None
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        assert json.loads(file.with_suffix(".time.json").read_text())["k"] >= rows[0]["k"]
        assert rows == [{"seed": seed, "k": rows[0]["k"]} for seed in range(SIZE // 20)]
        return rows[0]["k"]

    return Writer(begin, write, read)


def transcripts() -> Writer:
    from edge_baselines.llm.faults import FAULTS
    from edge_baselines.llm.transcript import VERSION, Line, Transcript

    def write(folder: Path, k: int) -> None:
        if k == 0 or write.file is None:
            write.file = Transcript(folder / "t", "record", "m")
        names = {"version": VERSION, "prompt_hash": str(k), "messages_hash": "x" * SIZE, "model_asked": "m"}
        rest = {"model_answered": "", "model_changed": False, "answer": None, "fault": next(iter(FAULTS)), "detail": ""}
        write.file.append(Line(**names, **rest, latency_s=0.0, retry_after_s=None, verdict="no answer"))

    def read(folder: Path) -> int | None:
        write.file = None
        transcript = Transcript(folder / "t", "record", "m")  # cuts what a kill left half-written
        transcript.close()
        lines = (folder / "t").read_bytes().splitlines()
        assert len(lines) == transcript.written and all(json.loads(line)["model_asked"] == "m" for line in lines)
        return transcript.written or None

    write.file = None
    return Writer(nothing, write, read)


def pages() -> Writer:
    """What is one text and one call: scenarios, reports, pages of recordings."""
    from edge_gym.files import atomic_write

    def write(folder: Path, k: int) -> None:
        atomic_write(folder / "page.html", f"{k} " * SIZE)

    def read(folder: Path) -> int | None:
        if not (folder / "page.html").exists():
            return None
        words = (folder / "page.html").read_text().split()
        assert len(words) == SIZE and len(set(words)) == 1
        return int(words[0])

    return Writer(nothing, write, read)


def tables() -> Writer:
    from edge_agents.progress import ProgressTable

    def write(folder: Path, k: int) -> None:
        if k == 0 or write.table is None:
            write.table = ProgressTable(folder / "progress.csv", "")
        write.table.add({f"c{i}": float(k) for i in range(20 + k % 3)})

    def read(folder: Path) -> int | None:
        write.table = None
        if not (folder / "progress.csv").exists():
            return None
        lines = (folder / "progress.csv").read_text().rpartition("\n")[0].splitlines()
        assert all(len(line.split(",")) == len(lines[0].split(",")) for line in lines)
        return len(lines) or None

    write.table = None
    return Writer(nothing, write, read)


def nothing(folder: Path) -> None:
    """There is nothing to prepare."""


KINDS = {
    "checkpoint": checkpoints,
    "state": states,
    "shard": shards,
    "transcript": transcripts,
    "page": pages,
    "table": tables,
}


def main(kind: str, kills: int, folder: Path) -> None:
    writer, draws, found = KINDS[kind](), random.Random(kind), 0
    writer.begin(folder)
    for turn in range(kills):
        ready, done = os.pipe()
        child = os.fork()
        if child == 0:
            for k in range(10**9):
                writer.write(folder, k + turn * LATER)
                if k == 0:
                    os.write(done, b".")
        os.close(done)  # else a child that failed would be waited for
        if turn % 2:
            os.read(ready, 1)  # every other kill comes when something was written, however slow the machine
        time.sleep(draws.uniform(0.0, 0.05))
        os.kill(child, signal.SIGKILL)
        assert os.WIFSIGNALED(os.waitpid(child, 0)[1]), "the child has ended by itself"
        os.close(ready)
        found += writer.read(folder) is not None
    print(found)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
