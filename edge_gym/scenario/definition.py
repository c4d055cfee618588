"""A scenario: the frozen, checked description of a world.

Every field carries its range, unit and help in its metadata. Nothing derived is stored. Variants are made by
`Scenario.with_overrides` or `dataclasses.replace`, and a variant is checked like the original.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edge_gym import devices as catalog
from edge_gym.devices import DeviceType, ModelType, Service
from edge_gym.errors import EdgeGymInputError, nearest
from edge_gym.fields import NAME_PATTERN, REQUIRED, check, check_unique, choice, number, part, text
from edge_gym.scenario.agents import AgentRole, Applications, Migration, Mobility, Prices
from edge_gym.scenario.parts import (
    MAX_HORIZON_S,
    Arrivals,
    Change,
    Churn,
    Control,
    Drift,
    Pool,
    RewardWeights,
    Router,
    Semantic,
    Telemetry,
    Topology,
    Workload,
)

VERSION = 1
TASKS = ("routing", "placement", "migration", "joint")
MAX_REQUESTS = 1e10


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A world: who serves, who asks, over which network, what is observed and what counts."""

    version: int = number(VERSION, VERSION, VERSION, "version of this format", "version of this format")
    name: str = text(REQUIRED, "name shown in results", NAME_PATTERN)
    task: str = choice("routing", TASKS, "which decisions the controller gets")
    pool: Pool = part(REQUIRED, "the nodes")
    workloads: tuple[Workload, ...] = part(REQUIRED, "the requests, one entry for each model", 1, 1000)
    arrivals: Arrivals = part(REQUIRED, "when requests arrive")
    topology: Topology = part(Topology(), "the network")
    telemetry: Telemetry = part(Telemetry(), "what the router measures")
    weights: RewardWeights = part(RewardWeights(), "what counts")
    drift: Drift = part(Drift(), "unannounced slow-downs")
    churn: Churn = part(Churn(), "nodes that leave and join")
    semantic: Semantic = part(Semantic(), "what the users of nodes do, and what is said about it")
    router: Router = part(Router(), "the fast path, the world's own router")
    control: Control = part(Control(), "the control surface of the fast path and its guards")
    roles: tuple[AgentRole, ...] = part((), "kinds of AI agents; none: nothing but requests", 0, 1000)
    applications: Applications = part(Applications(), "AI agents that arrive together for one user")
    mobility: Mobility = part(Mobility(), "how the users of the agents move")
    migration: Migration = part(Migration(), "how agents move")
    prices: Prices = part(Prices(), "what agents cost")
    timeline: tuple[Change, ...] = part((), "changes in order of time")
    horizon_s: float = number(3600.0, 0, MAX_HORIZON_S, "s", "arrivals stop here", low_open=True)
    n_requests: int | None = number(None, 1, MAX_REQUESTS, "requests", "arrivals stop after so many; null: no limit")
    drain_s: float = number(600.0, 0, 1e7, "s", "longest time for the world to empty after the last arrival")
    max_retries: int = number(2, 0, 100, "times", "how often a request whose node left is decided again")
    bias_sigma: float = number(0.0, 0, 2, "log", "sigma of the log-normal factor per (node, model) that nobody knows")
    stutter_gap_ratio: float = number(2.0, 1, 1000, "ratio", "a token gap beyond this times the nominal one stutters")
    stutter_gap_s: float = number(0.2, 0, 1e4, "s", "a token gap beyond this stutters", low_open=True)
    drop_charge_deadlines: float = number(2.0, 1, 100, "deadlines", "latency charged for a request never answered")
    devices: tuple[DeviceType, ...] = part((), "own device types beside the shipped ones", 0, 10_000)
    models: tuple[ModelType, ...] = part((), "own model types beside the shipped ones", 0, 1000)
    services: tuple[Service, ...] = part((), "own service figures; they replace a shipped figure", 0, 100_000)

    def __post_init__(self):
        check(self)
        _check_names(self)
        _check_hosts(self)
        _check_agents(self)
        _check_time(self)

    def device(self, name: str) -> DeviceType:
        """Returns a device type by name, own or shipped."""
        return _find(name, self.devices, catalog.device_types(), "device type")

    def model(self, name: str) -> ModelType:
        """Returns a model type by name, own or shipped."""
        return _find(name, self.models, catalog.model_types(), "model")

    def service(self, device: str, model: str) -> Service | None:
        """Returns the service figures of a model on a device, own before shipped; None if it is not served there."""
        own = (s for s in self.services if (s.device, s.model) == (device, model))
        return next(own, None) or catalog.services().get((device, model))

    def node_types(self) -> tuple[str, ...]:
        """Returns the device types that nodes really have (a pool may name more types than it has nodes)."""
        return tuple(dict.fromkeys(self.pool.device_types[: self.pool.n_nodes]))

    def with_overrides(self, **flat: Any) -> Scenario:
        """Returns a checked variant; see `edge_gym.scenario.overrides`.

        Args:
            **flat: A field of the scenario (`horizon_s=60`), of one of its parts if no other part has that name
                (`n_nodes=32`, `load=0.7`), or with the part in front (`arrivals_kind`, or `"arrivals.kind"`).
        """
        from edge_gym.scenario.overrides import apply_overrides

        return apply_overrides(self, flat)


def _find(name: str, own: tuple, shipped: Mapping[str, Any], what: str) -> Any:
    if name in shipped:
        return shipped[name]
    known = {entry.name: entry for entry in own}
    if name not in known:
        where = f"see edge-gym list {what.partition(' ')[0]}s"
        hint = "; ".join(filter(None, (nearest(name, (*shipped, *known)), where)))
        raise EdgeGymInputError(what, name, f"a known {what}", "Scenario", hint)
    return known[name]


def _check_names(self: Scenario) -> None:
    """Every name is known, and none means two things."""
    for path, own, shipped in (
        ("devices", self.devices, catalog.device_types()),
        ("models", self.models, catalog.model_types()),
    ):
        check_unique((entry.name for entry in own), path, "Scenario")
        taken = {name.lower() for name in shipped}
        for i, entry in enumerate(own):
            if entry.name.lower() in taken:
                allowed = "different from every shipped name"
                raise EdgeGymInputError(f"{path}[{i}].name", entry.name, allowed, "Scenario")
    check_unique((f"{s.device} {s.model}" for s in self.services), "services", "Scenario")
    check_unique((w.model for w in self.workloads), "workloads", "Scenario")
    for i, name in enumerate(self.pool.device_types):
        _named(self.device, name, f"pool.device_types[{i}]")
    for i, workload in enumerate(self.workloads):
        _named(self.model, workload.model, f"workloads[{i}].model")
    for i, service in enumerate(self.services):
        _named(self.device, service.device, f"services[{i}].device")
        _named(self.model, service.model, f"services[{i}].model")


def _named(lookup: Any, name: str, path: str) -> None:
    try:
        lookup(name)
    except EdgeGymInputError as error:
        raise EdgeGymInputError(path, name, error.allowed, error.where, error.hint) from None


def _check_hosts(self: Scenario) -> None:
    """Each model of the mix is served by, and fits into the memory of, at least one node."""
    types = [self.device(name) for name in self.node_types()]
    for i, workload in enumerate(self.workloads):
        path, name = f"workloads[{i}].model", workload.model
        serving = [d for d in types if self.service(d.name, name)]
        if not serving:
            hint = f"no service figures for it on {', '.join(d.name for d in types)}"
            raise EdgeGymInputError(path, name, "a model that some node of the pool serves", "Scenario", hint)
        largest, need = max(d.memory_bytes for d in serving), self.model(name).weights_bytes
        if need > largest:
            hint = f"it needs {need:.4g} bytes, the largest memory that serves it has {largest:.4g}"
            raise EdgeGymInputError(path, name, "a model that fits into some node of the pool", "Scenario", hint)


def _check_agents(self: Scenario) -> None:
    """Roles call models of the workloads; whoever decides about agents, or has no requests to route, needs roles."""
    check_unique((role.name for role in self.roles), "roles", "Scenario")
    models = [workload.model for workload in self.workloads]
    for i, role in enumerate(self.roles):
        if role.model not in models:
            allowed = f"one of workloads: {', '.join(models)}"
            raise EdgeGymInputError(f"roles[{i}].model", role.model, allowed, "Scenario", nearest(role.model, models))
    if not self.roles and self.task != "routing":
        raise EdgeGymInputError("roles", "()", f"at least one for the task {self.task}", "Scenario")
    if not self.roles and self.arrivals.kind == "none":
        raise EdgeGymInputError("arrivals.kind", "none", "requests, unless there are roles", "Scenario")
    if self.roles and self.task == "routing":
        raise EdgeGymInputError("roles", len(self.roles), "none for the task routing: use joint", "Scenario")
    if self.roles and not (self.applications.at_start or _more_come(self.applications)):
        allowed = "at_start, applications_per_s or pods_path set where there are roles"
        raise EdgeGymInputError("applications", "", allowed, "Scenario")


def _more_come(applications: Applications) -> bool:
    return applications.applications_per_s > 0 or applications.pods_path is not None


def _check_time(self: Scenario) -> None:
    """The timeline is in order, on existing nodes and within the horizon; the work is finite."""
    last_s = 0.0
    for i, change in enumerate(self.timeline):
        if change.node >= self.pool.n_nodes:
            raise EdgeGymInputError(
                f"timeline[{i}].node", change.node, f"< pool.n_nodes = {self.pool.n_nodes}", "Scenario"
            )
        if not last_s <= change.time_s <= self.horizon_s:
            allowed = f">= {last_s:g} (the change before it) and <= horizon_s = {self.horizon_s:g}"
            raise EdgeGymInputError(f"timeline[{i}].time_s", change.time_s, allowed, "Scenario", "s")
        last_s = change.time_s
    # A relative load becomes a rate only in kernel/build, which repeats this check.
    expected = (self.arrivals.rate_per_s or 0.0) * self.horizon_s
    if min(expected, self.n_requests or expected) > MAX_REQUESTS:
        hint = "rate_per_s times horizon_s; shorten horizon_s or set n_requests"
        raise EdgeGymInputError(
            "horizon_s",
            self.horizon_s,
            f"such that requests <= {MAX_REQUESTS:g}",
            "Scenario",
            f"{expected:.3g} expected: {hint}",
        )
