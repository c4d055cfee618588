"""`edge-gym train`: check the arguments, train, and say how to compare what was trained."""

from __future__ import annotations

import argparse
import shlex
import signal
import sys
import threading
from importlib import import_module
from types import FrameType
from typing import Any, NoReturn

from edge_gym.cli.bench import check_folder, given, names, parse_settings, whole_number
from edge_gym.errors import EdgeGymInputError, install_extra, printable
from edge_gym.evaluation.splits import TEST
from edge_gym.scenario.presets import resolve
from edge_gym.tasks import get_task

GRACE_S = 6.0  # an update that takes longer is given up: the run goes on from the last saved state
MOST = 10**12


def run(options: argparse.Namespace) -> int:
    """Run the command; everything is checked before anything is written.

    Returns:
        0, or 130 or 143 if a signal stopped it; then its state is saved.

    Raises:
        EdgeGymInputError: An argument is not valid.
    """
    check_folder(options)
    plan = _plan(options)
    try:  # by name, since the environments do not depend on the learners
        training = import_module("edge_agents.train")
    except ImportError as error:
        hint = f"{error}; {install_extra('rl')}"
        raise EdgeGymInputError("command", "train", "used where the extra 'rl' is installed", hint=hint) from error
    with _Signals() as signals:
        found = training.train(
            plan,
            options.out,
            resume=options.resume,
            overwrite=options.overwrite,
            quiet=options.quiet,
            save_every_s=whole_number("--save-every", options.save_every, 1, 10**6),
            stop=lambda: signals.number is not None,
        )
    if found.end == "stopped":
        print("edge-gym: stopped; everything is saved, go on with --resume", file=sys.stderr)
        return 128 + int(signals.number or 0)
    if not options.quiet:
        _show(options, plan, found)
    return 0


def _plan(options: argparse.Namespace) -> Any:
    task = get_task(options.task)
    settings = parse_settings(options.set)
    steps = whole_number("--steps", options.steps, 1, MOST)
    every = given(options.validate_every, str(max(1, steps // 20)))
    hyper = parse_settings(options.hyper, "--hyper")
    if options.teacher is not None:
        hyper = {"teacher": options.teacher, **hyper}
    plan = import_module("edge_agents.training_plan")
    return plan.TrainingPlan(
        task=options.task,
        scenarios=tuple(
            resolve(name, task.worlds, **settings)
            for name in names("--scenario", given(options.scenario, task.scenario))
        ),
        algo=options.algo,
        network=options.network or "",
        hidden=whole_number("--hidden", options.hidden, 4, 1024),
        seed=whole_number("--seed", options.seed, 0, 2**62),
        steps=steps,
        worlds=whole_number("--worlds", options.worlds, 1, 1_000_000),
        group=whole_number("--group", options.group, 1, 10_000),
        randomise=0 if options.randomise is None else whole_number("--randomise", options.randomise, 1, 1000),
        settings=hyper,
        init=options.init,
        validation=whole_number("--validate", options.validate, 0, plan.MAX_VALIDATION),
        validate_every=whole_number("--validate-every", every, 1, MOST),
        patience=whole_number("--patience", options.patience, 0, 1_000_000),
        threads=whole_number("--threads", options.threads, 1, 1024),
    )


class _Signals:
    """SIGINT and SIGTERM ask the run to stop; a second one, or `GRACE_S` seconds, break it off where it is.

    Attributes:
        number: The signal that came, or None.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._before: dict[int, Any] = {}
        self._timer: threading.Timer | None = None

    def __enter__(self) -> _Signals:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *_: Any) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None:
            self._break_off(self.number, frame)
        self.number = number
        self._timer = threading.Timer(GRACE_S, _signal_again, [number])
        self._timer.daemon = True
        self._timer.start()

    def _break_off(self, number: int, frame: FrameType | None) -> NoReturn:
        """As if we had not listened: what the command line does about signals."""
        handler = self._before[number]
        if callable(handler):
            handler(number, frame)
        raise KeyboardInterrupt


def _signal_again(number: int) -> None:
    """Send a signal to the main thread, from another one."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(int(threading.main_thread().ident or 0), number)
    else:  # Windows; there it waits until the main thread has an instruction to run
        signal.raise_signal(number)


def _show(options: argparse.Namespace, plan: Any, found: Any) -> None:
    """What came of it, and the command that compares it on test seeds."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = max(console.width, 120)
    reference = plan.reference[0]
    table = Table(title=f"{plan.task}: {plan.algo}, seed {plan.seed}", title_justify="left")
    for column in ("scenario", f"x {reference} (validation)", "95 % interval"):
        table.add_column(column)
    for scenario in plan.scenarios:
        key = f"validation/ratio/{scenario.name}"
        if key in found.validation:
            low, high = found.validation[f"{key}/low"], found.validation[f"{key}/high"]
            table.add_row(scenario.name, f"{found.validation[key]:.4f}", f"{low:.4f} ... {high:.4f}")
    if found.validation:
        console.print(table)
    why = "no improvement any more" if found.end == "patience" else "all steps taken"
    words = f"{found.env_steps:,} steps in {found.seconds / 60:.1f} minutes ({why})."
    path = printable(str(found.path), 300)
    console.print(f"{words}\nThe controller is in {path}; compare it on test seeds:", markup=False, soft_wrap=True)
    console.print(shlex.join(_bench(options, plan, found.path)), markup=False, soft_wrap=True)


def _bench(options: argparse.Namespace, plan: Any, path: Any) -> list[str]:
    policies = dict.fromkeys([f"learned:{path}", plan.reference[0], *get_task(plan.task).policies])
    command = ["edge-gym", "bench", "--task", plan.arena]
    command += ["--scenario", options.scenario or get_task(plan.task).scenario, "--policies", ",".join(policies)]
    for setting in options.set:
        command += ["--set", setting]
    return [*command, "--episodes", "20", "--seed", str(TEST.first)]
