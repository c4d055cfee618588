"""The run behind `edge-gym train`: update, validate, keep the best, and be able to go on after any interruption.

On a CPU a run that was killed and resumed ends with the same weights and the same table of progress as one that was
not: everything that decides the outcome is part of the saved state, and nothing else is read.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

from edge_agents import checkpoint
from edge_agents.learner import Learner
from edge_agents.ledger import ledger
from edge_agents.networks import RowNetwork, build
from edge_agents.progress import RATIO, STEPS, Bar, Curves, ProgressTable
from edge_agents.randomise import randomised
from edge_agents.spec import NetworkSpec
from edge_agents.training_folder import TrainingFolder
from edge_agents.training_plan import TrainingPlan
from edge_agents.validation import Figures, figures_of, validate
from edge_agents.worlds import Worlds
from edge_gym.errors import EdgeGymError, EdgeGymInputError
from edge_gym.evaluation.provenance import about_run
from edge_gym.tasks import get_task


class Trained(NamedTuple):
    """How a run ended."""

    end: str  # "steps": all taken, "patience": no improvement any more, "stopped": asked to stop
    path: Path  # the best checkpoint, or the last one where nothing was validated
    env_steps: int
    seconds: float  # of training, validation included, all parts of the run together
    validation: dict[str, float]  # of the checkpoint, empty where nothing was validated


@dataclasses.dataclass(slots=True)
class _Drive:
    """What moves beside the learner, as plain values."""

    update: int = 0
    seconds: float = 0.0
    validated: int = 0  # steps at the last validation
    stale: int = 0  # validations since the best one
    best: dict[str, float] = dataclasses.field(default_factory=dict)
    reference: Figures = dataclasses.field(default_factory=dict)
    table: str = ""

    @property
    def ratio(self) -> float | None:
        """Of the best checkpoint."""
        return self.best.get(RATIO)


def train(
    plan: TrainingPlan,
    out: str | os.PathLike,
    *,
    resume: bool = False,
    overwrite: bool = False,
    quiet: bool = True,
    save_every_s: float = 60.0,
    stop: Callable[[], bool] = lambda: False,
) -> Trained:
    """Train a controller.

    Args:
        plan: What is trained.
        out: Folder of the run: `run.json`, `progress.csv`, `best.safetensors`, `last.safetensors`, the state to resume
            from, and curves for TensorBoard if that is installed.
        resume: Go on with the unfinished run in `out`.
        overwrite: Replace the older run in `out`.
        quiet: Show nothing on stderr.
        save_every_s: Wall-clock seconds between two saves of the state.
        stop: Asked after each update; if true, the state is saved and the run ends for now.

    Returns:
        How it ended.

    Raises:
        EdgeGymInputError: Something given is not valid; nothing has been written.
        EdgeGymError: The learner's figures are not finite any more.
    """
    with _torch_settings(plan.torch_threads):
        folder = TrainingFolder(out, plan.identity(), resume, overwrite)
        learner = _learner(plan)
        with folder:
            return _Run(plan, folder, learner, quiet, save_every_s, stop).go()


class _Run:
    """One run in its folder."""

    def __init__(
        self,
        plan: TrainingPlan,
        folder: TrainingFolder,
        learner: Learner,
        quiet: bool,
        save_every_s: float,
        stop: Callable[[], bool],
    ) -> None:
        self.plan, self.folder, self.learner, self.quiet = plan, folder, learner, quiet
        self.save_every_s, self.stop = save_every_s, stop
        saved = folder.load_state() if folder.resume else None
        self.drive = _Drive() if saved is None else _Drive(**saved["drive"])
        if saved is not None:
            learner.set_state(saved["learner"])
        self.clock = time.monotonic()

    def go(self) -> Trained:
        """Run to the end, or until asked to stop."""
        plan, folder, drive = self.plan, self.folder, self.drive
        about = {**about_run(list(plan.scenarios)), "seeds": ledger(plan.validation_seeds)}
        folder.write_manifest(about, finished=False)
        if plan.validation and not drive.reference:
            drive.reference = figures_of(plan.reference[0], plan)
        table, curves = ProgressTable(folder.progress, drive.table), Curves(folder.curves, self.learner.env_steps)
        bar = Bar(plan.steps, self.learner.env_steps, drive.ratio, self.quiet)
        saved_at = time.monotonic()
        try:
            while not (end := self.end()):
                row = self.update()
                table.add(row)
                curves.add(row)
                bar.update(row, drive.ratio)
                if time.monotonic() - saved_at >= self.save_every_s:
                    self.save(table)
                    saved_at = time.monotonic()
        finally:
            bar.close()
            curves.close()
        self.save(table)
        folder.write_manifest({**about, **self.outcome(end)}, finished=end != "stopped")
        path = folder.best if drive.best else folder.last
        return Trained(end, path, self.learner.env_steps, drive.seconds, drive.best)

    def end(self) -> str:
        """Why the run ends here; empty if it does not."""
        plan, drive = self.plan, self.drive
        if self.learner.env_steps >= plan.steps:
            return "steps"
        if plan.patience and drive.stale >= plan.patience:
            return "patience"
        return "stopped" if self.stop() else ""

    def update(self) -> dict[str, float]:
        """Learn once and validate if it is time; the row for the table."""
        plan, drive, learner = self.plan, self.drive, self.learner
        figures = learner.update()
        drive.update += 1
        for name, value in figures.items():
            if name.startswith("loss/") and not math.isfinite(value):
                raise EdgeGymError(f"training diverged: {name} is {value} in update {drive.update}, {plan.algo}")
        row = {"update": drive.update, STEPS: learner.env_steps, **figures}
        last = learner.env_steps >= plan.steps
        if last or learner.env_steps - drive.validated >= plan.validate_every:
            drive.validated = learner.env_steps
            row |= self.validate()
        return row

    def validate(self) -> dict[str, float]:
        """Write the last checkpoint, see how good it is, and keep it if it is the best."""
        folder, drive = self.folder, self.drive
        self.write_checkpoint(folder.last, {})
        if not self.plan.validation:
            return {}
        found = validate(folder.last, self.plan, drive.reference)
        drive.stale += 1
        if drive.ratio is None or found[RATIO] < drive.ratio:
            drive.best, drive.stale = found, 0
            self.write_checkpoint(folder.best, found)
        return found

    def write_checkpoint(self, path: Path, found: dict[str, float]) -> None:
        """The network as it is now, and all that is known of it."""
        plan, learner = self.plan, self.learner
        self.count_seconds()
        about = checkpoint.describe(
            plan.task,
            plan.scenarios,
            learner.reward_scale,
            algo=plan.algo,
            settings=dataclasses.asdict(plan.config()),
            init=plan.identity()["init"],
            randomise=plan.randomise,
            seed=plan.seed,
            seeds=ledger(plan.validation_seeds),
            env_steps=learner.env_steps,
            training_s=round(self.drive.seconds, 3),
            threads=plan.threads,
            validation=found,
        )
        checkpoint.save(path, learner.network, about)

    def save(self, table: ProgressTable) -> None:
        """Keep everything needed to go on exactly."""
        self.count_seconds()
        self.drive.table = table.text()
        self.folder.save_state({"drive": dataclasses.asdict(self.drive), "learner": self.learner.get_state()})

    def count_seconds(self) -> None:
        """Add the time since the last call."""
        now = time.monotonic()
        self.drive.seconds, self.clock = self.drive.seconds + now - self.clock, now

    def outcome(self, end: str) -> dict[str, Any]:
        """What the manifest says at the end."""
        drive = self.drive
        reached = {"end": end, "env_steps": self.learner.env_steps, "updates": drive.update}
        return {**reached, "training_s": round(drive.seconds, 3), "best": drive.best, "reference": drive.reference}


def _learner(plan: TrainingPlan) -> Learner:
    """Worlds, network and learner, ready for the first update."""
    scenarios = list(plan.scenarios)
    if plan.randomise:
        scenarios += randomised(scenarios, plan.seed, plan.randomise)
    # Each of its own is played by one thread, so a scenario may stand there more than once.
    times = min(math.ceil(plan.threads / len(scenarios)), plan.worlds // plan.group // len(scenarios))
    scenarios *= max(1, times)
    n_each = plan.worlds // len(scenarios) // plan.group * plan.group
    worlds = Worlds(plan.task, scenarios, n_each, plan.seed, plan.group, plan.threads)
    network = _network(plan, worlds)
    return plan.algorithm.load_learner()(plan.config(), network, worlds, plan.seed)


def _network(plan: TrainingPlan, worlds: Worlds) -> RowNetwork:
    begin = None if plan.init is None else checkpoint.load(plan.init)
    kind = plan.network or (begin.spec.kind if begin else plan.algorithm.networks[0])
    if kind == "mlp" and len({batch.world.n_nodes for batch in worlds.batches}) > 1:
        hint = "it knows one number of nodes only"
        raise EdgeGymInputError("network", kind, "of another kind for scenarios of several sizes", hint=hint)
    rows = worlds.n_rows if kind == "mlp" else 0
    n_features, columns = len(get_task(plan.task).columns), worlds.columns
    spec = NetworkSpec(
        kind=kind, n_features=n_features, hidden=plan.hidden, columns=columns, anchor=plan.anchor(), rows=rows
    )
    if begin is not None:
        _check_begin(plan, begin, spec)
        spec = begin.spec
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        network = build(spec)
    if begin is not None:
        network.load_state_dict({name: torch.from_numpy(array) for name, array in begin.tensors.items()})
    return network


def _check_begin(plan: TrainingPlan, begin: checkpoint.Checkpoint, spec: NetworkSpec) -> None:
    """The checkpoint to begin with is for the same task, with the same inputs and choices; its width is its own."""
    where = str(plan.init)
    if begin.task != plan.task:
        raise EdgeGymInputError("init", begin.task, f"a checkpoint for {plan.task}", where)
    if begin.columns != list(range(spec.n_features)):
        raise EdgeGymInputError("init: features", begin.about["features"], "all columns of the task, in order", where)
    for name in ("kind", "columns", "rows"):
        found, wanted = getattr(begin.spec, name), getattr(spec, name)
        if found != wanted:
            raise EdgeGymInputError(f"init: network.{name}", found, f"{wanted} for this run", where)
    if spec.kind not in plan.algorithm.networks:
        allowed = f"one of {', '.join(plan.algorithm.networks)} for {plan.algo}"
        raise EdgeGymInputError("init: network.kind", spec.kind, allowed, where)


@contextlib.contextmanager
def _torch_settings(threads: int) -> Iterator[None]:
    """Sums in the same order every time; put back afterwards, as they belong to the whole process."""
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
