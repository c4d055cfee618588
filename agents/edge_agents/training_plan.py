"""What a training run is: everything that decides its outcome, checked before anything is built. Needs no torch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from edge_agents.algorithms import ALGORITHMS, Algorithm
from edge_gym.envs.common import resolve_task
from edge_gym.errors import EdgeGymInputError, nearest
from edge_gym.evaluation.provenance import kernel_hash, versions
from edge_gym.evaluation.splits import HELD_OUT_STYLE, TUNE
from edge_gym.fields import REQUIRED, check, conform, number, part, text, type_hints
from edge_gym.files import file_sha256
from edge_gym.scenario import Scenario
from edge_gym.scenario.io import fingerprint
from edge_gym.tasks import get_task

MAX_VALIDATION = TUNE.last - TUNE.first + 1
# What a learned controller is compared with while it trains, on the same worlds, and by which metric: the lower the
# ratio of means, the better. With agents the return counts (it is negative), as latency is not all that matters there.
REFERENCES = {
    "routing": ("oracle", "latency_mean_s"),
    "metacontrol": ("oracle", "latency_mean_s"),
    "placement": ("greedy", "return"),
    "migration": ("myopic", "return"),
    "joint": ("together", "return"),
}
# Columns whose sum is the cost by which an untrained network decides. In routing, declining shows no cost of the
# router, so that its row is set apart by `is_decline`; for agents the row of declining shows its own cost. Joint has
# none: no sum of columns is right for requests and agents alike.
ANCHORS = {"routing": ("router_cost", "is_decline"), "placement": ("outlook",), "migration": ("agent_cost",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """What is trained, where, by what and how long.

    Attributes:
        task: Name of the task.
        scenarios: Where it is trained and validated; their names differ.
        algo: One of `ALGORITHMS`.
        network: Kind of the network; "" for the algorithm's own, or that of `init`.
        hidden: Its width.
        seed: Of everything that is drawn.
        steps: Decisions, of all worlds together; the update during which they are reached is finished.
        worlds: Worlds at the same time, of all scenarios together; each gets the same number, at least a group.
        group: So many worlds meet the same requests (`Worlds.group`).
        randomise: Train in so many variants of each scenario too (`randomise.py`).
        settings: Of the algorithm, beside its defaults: by the names of the fields of its config.
        init: A checkpoint to begin with, or None.
        validation: Episodes of a validation on each scenario; 0: no validation.
        validate_every: Decisions between two validations.
        patience: The run ends after so many validations without improvement; 0: it never does.
        threads: Of the worlds and of the learner. What is drawn for a world, and the order of sums, may depend on
            it, so it is part of the run.

    Raises:
        EdgeGymInputError: Anything is not valid.
    """

    task: str = text(REQUIRED, "name of the task")
    scenarios: tuple[Scenario, ...] = part(REQUIRED, "where", 1, 1000)
    algo: str = text("ppo", "one of the algorithms")
    network: str = text("", "kind of the network")
    hidden: int = number(64, 4, 1024, "", "width of the network")
    seed: int = number(0, 0, 2**62, "seed", "of everything that is drawn")
    steps: int = number(2_000_000, 1, 1e12, "decisions", "of all worlds together")
    worlds: int = number(256, 1, 1_000_000, "worlds", "at the same time")
    group: int = number(1, 1, 10_000, "worlds", "that meet the same requests")
    randomise: int = number(0, 0, 1000, "variants", "of each scenario")
    settings: dict = dataclasses.field(default_factory=dict)
    init: str | None = text(None, "path of a checkpoint")
    validation: int = number(20, 0, MAX_VALIDATION, "episodes", "of a validation on each scenario; 0: none")
    validate_every: int = number(100_000, 1, 1e12, "decisions", "between two validations")
    patience: int = number(0, 0, 1_000_000, "validations", "without improvement; 0: for ever")
    threads: int = number(2, 1, 1024, "threads", "of the network and the worlds")

    def __post_init__(self) -> None:
        check(self)
        get_task(self.task)
        if self.algo not in ALGORITHMS:
            known = ", ".join(ALGORITHMS)
            raise EdgeGymInputError("algo", self.algo, f"one of {known}", hint=nearest(self.algo, ALGORITHMS))
        kinds = self.algorithm.networks
        if self.network and self.network not in kinds:
            allowed = f"one of {', '.join(kinds)} for {self.algo}"
            raise EdgeGymInputError("network", self.network, allowed, hint=nearest(self.network, kinds))
        _check_scenarios(self)
        if teacher := getattr(self.config(), "teacher", ""):
            from edge_agents.teachers import check_teacher  # it needs the worlds, which are heavy

            check_teacher(teacher, self.task)

    @property
    def algorithm(self) -> Algorithm:
        """What `algo` names."""
        return ALGORITHMS[self.algo]

    @property
    def arena(self) -> str:
        """The task in whose worlds it plays, and by whose name these are evaluated."""
        return get_task(self.task).worlds

    @property
    def reference(self) -> tuple[str, str]:
        """The policy it is validated against, and by which metric."""
        return REFERENCES[self.task]

    @property
    def validation_seeds(self) -> range:
        """Seeds of the worlds in which it is validated; no training world has them."""
        return range(TUNE.first, TUNE.first + self.validation)

    def config(self) -> Any:
        """The settings of the algorithm.

        Raises:
            EdgeGymInputError: An unknown setting, or a value that is not allowed, or the package that knows is missing.
        """
        cls = self.algorithm.load_config()
        hints, fields = type_hints(cls), {field.name: field for field in dataclasses.fields(cls)}
        known = {"total_steps": self.steps, "threads": self.threads}
        values = {name: value for name, value in known.items() if name in fields}
        for name, value in self.settings.items():
            if name not in fields:
                allowed = f"a setting of {self.algo}: {', '.join(fields)}"
                raise EdgeGymInputError(name, value, allowed, hint=nearest(name, fields))
            values[name] = conform(value, hints[name], name, fields[name].metadata)
        return cls(**values)

    @property
    def torch_threads(self) -> int:
        """Threads of torch's own: only where the learner has none, as both would get in each other's way."""
        fields = {field.name for field in dataclasses.fields(self.algorithm.load_config())}
        return 1 if "threads" in fields else self.threads

    def columns(self, names: tuple[str, ...]) -> tuple[int, ...]:
        """Numbers of columns of the task's observation."""
        known = [column.name for column in get_task(self.task).columns]
        return tuple(known.index(name) for name in names)

    def anchor(self) -> tuple[int, ...]:
        """Columns of the cost by which an untrained network decides."""
        return self.columns(ANCHORS.get(self.task, ()))

    def identity(self) -> dict[str, Any]:
        """What must be the same for a run to go on and end as if it had never stopped; plain values."""
        apart = ("scenarios", "settings", "init")
        found = {field.name: getattr(self, field.name) for field in dataclasses.fields(self) if field.name not in apart}
        installed = versions()
        return {
            **found,
            "scenarios": {scenario.name: fingerprint(scenario) for scenario in self.scenarios},
            **{f"settings.{name}": repr(value) for name, value in dataclasses.asdict(self.config()).items()},
            "init": None if self.init is None else file_sha256(self.init),
            **{f"versions.{name}": installed.get(name) for name in ("edge_gym", "numpy", "torch")},
            "kernel": kernel_hash(),
        }


def _check_scenarios(plan: TrainingPlan) -> None:
    names = [scenario.name for scenario in plan.scenarios]
    for k, name in enumerate(names):
        if name in names[:k]:
            raise EdgeGymInputError("scenario", name, "given once only")
    for scenario in plan.scenarios:
        resolve_task(plan.task, scenario, {})  # of this task, and it can be built
        if scenario.semantic.style == HELD_OUT_STYLE:
            allowed = "a scenario whose wording is not held out for tests"
            raise EdgeGymInputError("scenario", scenario.name, allowed, hint=f"semantic.style is {HELD_OUT_STYLE}")
    least = plan.group * len(plan.scenarios) * (plan.randomise + 1)
    if plan.worlds < least:
        allowed = f">= {least}: a group for each scenario and variant"
        raise EdgeGymInputError("worlds", plan.worlds, allowed)
