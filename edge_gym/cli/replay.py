"""`edge-gym replay`: play one episode of a finished run again, prove that it is the same, and make a page of it."""

from __future__ import annotations

import argparse
import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge_gym.cli.bench import given, whole_number
from edge_gym.cli.llm import PREFIX
from edge_gym.errors import EdgeGymError, EdgeGymInputError, printable

MAX_NODES, MAX_REQUESTS = 2000, 200_000  # of a page that a browser still likes
LEAST_S = 0.1  # between two samples
NOT_PASSED_ON = {"name", "mode", "transcript", "transcripts", "refresh"}


def run(options: argparse.Namespace) -> int:
    """Run the command; nothing is written unless the episode is the one that was evaluated."""
    from edge_gym.evaluation.finished_run import FinishedRun
    from edge_gym.evaluation.replay_data import MAX_CELLS
    from edge_gym.evaluation.sites import by_sites
    from edge_gym.evaluation.video import check_video

    episode = whole_number("--episode", options.episode, 0, 10**9)
    seed = None if options.seed is None else whole_number("--seed", options.seed, 0, 2**63 - 1)
    run = FinishedRun(options.run)
    row = run.pick(episode, options.policy, options.scenario, seed)
    if row["bound"]:
        raise EdgeGymInputError("policy", row["policy"], "a policy: a bound decides nothing that could be shown")
    if by_sites(row):
        allowed = "one in which one controller decides: episodes that the sites decided are not recorded"
        raise EdgeGymInputError("scenario", row["scenario"], allowed, options.run)
    scenario = run.scenario(row)
    _check_size(scenario.pool.n_nodes, row.get("requests"))
    page = _target(given(options.out, f"replay-{_slug(row)}.html"), (".html",), options.overwrite)
    video = None if options.video is None else _target(options.video, (".mp4", ".gif"), options.overwrite)
    if video:
        check_video(video)
    length_s = row.get("makespan_s") or 1.0
    every_s = max(LEAST_S, length_s * scenario.pool.n_nodes / MAX_CELLS)
    arguments = (scenario, row["policy"], row["seed"], row["task"])
    with _asking(run.asked(row["policy"]), options.transcript):
        _make(run, row, arguments, every_s, page)
        if video:
            _film(run, row, arguments, length_s, video)
    if options.open:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())
    return 0


def _make(run: Any, row: dict[str, Any], arguments: tuple, every_s: float, target: Path) -> None:
    """Record, compare, write the page."""
    from edge_gym.evaluation.recording import record
    from edge_gym.evaluation.replay_data import replay_data
    from edge_gym.evaluation.replay_html import replay_page
    from edge_gym.files import atomic_write

    found = record(*arguments, seeds=run.seeds(row), every_s=every_s)
    found.compare(row, run.differences() or "the version and the kernel are the same here; please report this")
    notes = {
        "run": run.path.name,
        "scenario": f"{row['scenario']} ({row['scenario_fingerprint']})",
        "checked": f"all {len(found.metrics)} metrics are those of the evaluation, to the last bit",
    }
    differences = run.differences()
    if differences:
        notes["made by another version"] = differences
    atomic_write(target, replay_page(replay_data(found, notes)))
    print(
        f"The same episode, to the last bit: {printable(row['policy'], 60)} on {row['scenario']}, seed {row['seed']}."
    )
    print(f"The page is {printable(str(target), 300)} ({target.stat().st_size / 1e3:.0f} kB)")


def _film(run: Any, row: dict[str, Any], arguments: tuple, length_s: float, target: Path) -> None:
    from edge_gym.evaluation.recording import record
    from edge_gym.evaluation.video import FRAMES, Film

    film = Film()
    record(*arguments, seeds=run.seeds(row), every_s=length_s / FRAMES, on_sample=film.shoot)
    film.save(target)
    print(f"The video is {printable(str(target), 300)} ({target.stat().st_size / 1e6:.1f} MB)")


def _check_size(n_nodes: int, n_requests: Any) -> None:
    if n_nodes > MAX_NODES:
        raise EdgeGymInputError("pool.n_nodes", n_nodes, f"<= {MAX_NODES} for a page", "replay")
    if isinstance(n_requests, int | float) and n_requests > MAX_REQUESTS:
        raise EdgeGymInputError("requests", n_requests, f"<= {MAX_REQUESTS} for a page", "replay")


def _slug(row: dict[str, Any]) -> str:
    from edge_gym.evaluation.shards import NOT_IN_NAMES

    return NOT_IN_NAMES.sub("_", f"{row['scenario']}-{row['policy']}-{row['seed']}")[:80]


def _target(path: str, endings: tuple[str, ...], overwrite: bool) -> Path:
    """Where to write: checked before anything is played."""
    target = Path(path)
    flag = "--out" if ".html" in endings else "--video"
    if "\0" in path or target.suffix.lower() not in endings:
        raise EdgeGymInputError(flag, path, f"a file that ends with {' or '.join(endings)}")
    if not os.path.isdir(target.parent):
        raise EdgeGymInputError(flag, path, "in a folder that exists")
    if os.path.exists(target) and (os.path.isdir(target) or not overwrite):
        raise EdgeGymInputError(flag, path, "a new file", hint="give another name, or --overwrite")
    return target


@contextlib.contextmanager
def _asking(asked: dict[str, Any], transcript: str | None) -> Iterator[None]:
    """The environment in which a policy that asks a language model finds what it was answered, and asks nobody."""
    if asked.get("mode", "off") != "off" and transcript is None:
        allowed = "given for a policy that asked a language model"
        raise EdgeGymInputError("--transcript", None, allowed, hint="the folder of bench --transcript")
    before = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
    for name in before:
        del os.environ[name]
    os.environ[PREFIX + "MODE"] = "off" if transcript is None else "replay"
    try:
        if transcript is not None:
            os.environ[PREFIX + "TRANSCRIPT"] = transcript
            for name, value in asked.items():
                if name not in NOT_PASSED_ON and isinstance(value, str | int | float):
                    os.environ[PREFIX + name.upper()] = str(value).lower() if isinstance(value, bool) else str(value)
        yield
    except ValueError as error:  # also of the environment, about a zero or a name that is none
        if isinstance(error, EdgeGymError):
            raise
        raise EdgeGymInputError("policies", "of the manifest", "settings of a policy", hint=str(error)) from error
    finally:
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            del os.environ[name]
        os.environ.update(before)
