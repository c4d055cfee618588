"""From a scenario to the tables of the kernel: the only kernel file that knows what a scenario is."""

from __future__ import annotations

import math

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array

from edge_gym.errors import EdgeGymInputError
from edge_gym.events.phrases import ACTIVITIES
from edge_gym.network.topology import Network, build_topology
from edge_gym.scenario import Law, Scenario
from edge_gym.scenario.parts import MAX_HORIZON_S
from edge_gym.traces.requests import Trace, read_trace

from . import tables
from .build_agents import build_agents
from .phrases import build_phrases
from .tables import SECOND, Params, State
from .workload import draw_counts

_KINDS = {"item": tables.ITEM, "llm": tables.TOKENS, "diffusion": tables.STEPS}
_LAWS = ("constant", "exponential", "uniform", "lognormal", "empirical")
_ARRIVALS = ("poisson", "mmpp", "diurnal", "trace", "none")
MAX_STATE_BYTES = 64 << 30  # address space; only what is used becomes memory
_MIN_LOGS = 4096  # requests that may end between two decisions about agents; then there is a step without a subject
_MEAN_POINTS = 4096  # quantiles from which the means of clipped laws are taken


class World:
    """A scenario made ready to run: tables and what the views need to know about them.

    Attributes:
        scenario: What it was built from.
        network: The topology, for drawing.
        params: The shared tables.
        rate_per_s: Mean arrival rate, requests per second.
        capacity_per_s: Largest rate any routing could sustain at nominal speed, requests per second.
        n_nodes: Number of nodes; the number of choices is one more.
        node_names: What the nodes are called in texts: their type and number.
        model_names: What the models are called.
        phrases: What can be said in this scenario; messages name them by number.
        n_jobs: Rows of the job table: one subject, and what has not been reported. That arrived within the last
            telemetry age, or was outstanding before.
    """

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.n_nodes = scenario.pool.n_nodes
        types = scenario.pool.device_types
        self.node_names = tuple(f"{types[n % len(types)]}-{n}" for n in range(self.n_nodes))
        self.model_names = tuple(w.model for w in scenario.workloads)
        self.network: Network = build_topology(scenario.topology, self.n_nodes)
        trace = read_trace(scenario.arrivals.trace_path) if scenario.arrivals.trace_path else None
        quantiles: list[float] = []
        node = _node_table(scenario)
        model = _model_table(scenario, quantiles)
        service = _service_table(scenario, node)
        size = np.array([_law_row(scenario.applications.size, quantiles)], tables.LAW)
        quantile = np.array(quantiles or [0.0])
        work_s = _mean_work_s(model, service, quantile, trace)
        self.capacity_per_s = _capacity_per_s(node, model, service, work_s)
        _mark_capacity(node, model, service, work_s)
        link = _link_table(scenario, self.network)
        delay = np.where(link["reachable"] == 1, link["delay_ns"], tables.NEVER)
        node["home"] = delay.argmin(axis=0)
        self.rate_per_s = _mean_rate_per_s(scenario, self.capacity_per_s, trace)
        rules = _rules(scenario, self.rate_per_s, trace)
        levels = (scenario.semantic.notification, scenario.drift.notification, scenario.churn.notification)
        self.phrases, phrase, run = build_phrases(levels, scenario.semantic.style)
        self.params = Params(
            rules=rules,
            node=node,
            model=model,
            service=service,
            link=link,
            site=np.cumsum(self.network.site_share / self.network.site_share.sum()),
            trace=_trace_table(trace),
            quantile=quantile,
            change=_change_table(scenario),
            phrase=phrase,
            run=run,
            size=size,
            **build_agents(scenario, self.network, node, model, service, work_s),
        )
        rows = node["limit"].sum() + most_arrivals(self.params, int(rules[0]["telemetry_age_ns"]))
        self.n_jobs = int(min(rows, scenario.n_requests or math.inf)) + 1
        apps = scenario.applications
        self.n_apps = apps.most if scenario.roles else 0
        self.n_agents = self.n_apps * apps.most_agents
        if scenario.roles:  # their requests are not among `n_requests`; they may wait; a prefill each
            self.n_jobs = int(rows) + 1 + self.n_agents * (apps.most_waiting + 1)

    def __deepcopy__(self, memo: dict) -> World:
        """Copies of an environment share the world: it is read only."""
        return self

    @property
    def n_sites(self) -> int:
        """Where requests enter."""
        return len(self.params.link)

    def allocate(
        self, n_worlds: int, control: bool = False, by_site: bool = False, waiting_s: float | None = None
    ) -> State:
        """Zeroed state tables for `n_worlds` worlds of this scenario.

        Args:
            n_worlds: Number of worlds.
            control: For a controller of the fast path: room for calibration requests, and for many ends in one step.
            by_site: For sites that decide for themselves.
            waiting_s: With books of their own: how long requests (not agents) may wait for a decision, seconds.

        Raises:
            EdgeGymInputError: They would need more than 64 GiB of address space.
        """
        p = self.params
        slots = int(p.node["slots"].max())
        n_jobs = self.n_jobs + (self.n_nodes * self.scenario.control.max_probes if control else 0)
        n_sites = self.n_sites if by_site else 0
        n_books = 0 if waiting_s is None else n_sites
        if waiting_s is not None and not self.n_apps:
            most = self.scenario.n_requests or math.inf
            n_jobs = int(min(n_jobs + most_arrivals(p, round(waiting_s * SECOND)), most + 1))
        n_logs = (n_jobs + 1) * (2 if control or (n_books and not self.n_apps) else 1)
        jobs, nodes = n_jobs * tables.JOB.itemsize + n_logs * tables.LOG.itemsize, self.n_nodes * slots
        books = n_books * self.n_nodes * (tables.NODE.itemsize + len(p.model) * tables.PAIR.itemsize)
        books += n_jobs * tables.JOB.itemsize if n_books else 0
        size = n_worlds * (jobs + nodes * tables.SLOT.itemsize + books)
        if size > MAX_STATE_BYTES:
            what = "pool.queue_capacity (with n_nodes and num_envs)"
            allowed = f"small enough for {MAX_STATE_BYTES >> 30} GiB of tables"
            hint = f"{n_worlds} worlds x {self.n_nodes} nodes need {size / 2**30:.0f} GiB"
            raise EdgeGymInputError(what, self.scenario.pool.queue_capacity, allowed, "Scenario", hint)
        if self.n_apps:
            n_logs += max(n_jobs, _MIN_LOGS)
        sizes = self.n_nodes, len(p.model), n_jobs, slots, len(p.change), n_logs, self.n_apps, self.n_agents
        return tables.allocate(n_worlds, *sizes, n_sites, n_books)


def _node_table(scenario: Scenario) -> np.ndarray:
    types = scenario.pool.device_types
    table = np.zeros(scenario.pool.n_nodes, tables.NODE_TYPE)
    for n in range(len(table)):
        device = scenario.device(types[n % len(types)])
        slots = scenario.pool.slots or device.slots
        active_w = device.power_max_w - device.power_idle_w
        price = device.price_usd_per_hour
        row = table[n]
        row["slots"] = slots
        row["limit"] = slots + scenario.pool.queue_capacity
        row["memory_bytes"] = device.memory_bytes
        row["idle_w"] = device.power_idle_w
        row["active_w"] = active_w
        row["price_per_s"] = 0.0 if scenario.roles else price / 3600.0  # with agents, compute is paid by reservation
        row["per_slot"] = 1.0 / slots
        row["per_byte"] = 1.0 / device.memory_bytes
        row["price_scaled"] = price / (1.0 + price)
        row["power_scaled"] = min(math.log2(1.0 + active_w) / 12.0, 1.0)
    return table


def _law_row(law: Law, quantiles: list[float]) -> tuple:
    first = len(quantiles)
    quantiles.extend(law.values if law.kind == "empirical" else ())
    a, b = law.mean, 0.0
    if law.kind == "uniform":
        a, b = law.low, law.high
    elif law.kind == "lognormal":
        b = math.sqrt(math.log1p(law.cv**2))
        a = math.log(law.mean) - b * b / 2.0
    return (_LAWS.index(law.kind), first, len(law.values), 0, a, b, law.minimum, law.maximum)


def _model_table(scenario: Scenario, quantiles: list[float]) -> np.ndarray:
    table = np.zeros(len(scenario.workloads), tables.MODEL)
    shares = np.array([w.share for w in scenario.workloads])
    table["cumulative_share"] = np.cumsum(shares / shares.sum())
    for m, workload in enumerate(scenario.workloads):
        model, row = scenario.model(workload.model), table[m]
        row["weights_bytes"] = model.weights_bytes
        row["deadline_ns"] = round(workload.deadline_s * SECOND)
        row["up_bytes"] = model.upload_bytes
        row["up_bytes_per_token"] = model.upload_bytes_per_prompt_token
        row["down_bytes"] = model.download_bytes
        row["down_bytes_per_unit"] = model.download_bytes_per_unit
        row["kind"] = _KINDS[model.kind]
        row["prompt"] = _law_row(workload.prompt_tokens, quantiles)
        row["units"] = _law_row(workload.units, quantiles)
        median = np.zeros(1)
        for name in ("prompt", "units"):
            draw_counts(row[name], np.array(quantiles or [0.0]), median)
            row[f"probe_{name}"] = median[0]
        row["probe_units"] = max(row["probe_units"], 1)
    return table


def _service_table(scenario: Scenario, node: np.ndarray) -> np.ndarray:
    types, workloads = scenario.pool.device_types, scenario.workloads
    table = np.zeros((scenario.pool.n_nodes, len(workloads)), tables.SERVICE)
    by_popularity = sorted(range(len(workloads)), key=lambda m: -workloads[m].share)
    for n in range(len(table)):
        device = scenario.device(types[n % len(types)])
        for m, workload in enumerate(workloads):
            service = scenario.service(device.name, workload.model)
            model = scenario.model(workload.model)
            if service is None or model.weights_bytes > device.memory_bytes:
                continue
            row = table[n, m]
            row["supported"] = 1
            row["first_s"] = service.first_s
            row["per_prompt_token_s"] = service.per_prompt_token_s
            row["beyond_2048_s"] = service.beyond_2048_s
            row["per_unit_s"] = service.per_unit_s
            row["crowding"] = 1.0 / service.gain
            slots = int(node[n]["slots"])
            row["full_slowdown"] = 1.0 + (slots - 1) / service.gain
            row["parallelism_scaled"] = slots / (slots + row["full_slowdown"])
            load_s = model.weights_bytes / device.storage_bytes_per_s + model.startup_s
            row["load_ns"] = round(load_s * SECOND)
        _mark_preloaded(scenario, table[n], node[n], by_popularity)
    return table


def _mark_preloaded(scenario: Scenario, services: np.ndarray, node: np.void, by_popularity: list[int]) -> None:
    """`popular`: the most popular model the node serves; `all_that_fit`: by popularity until memory is full."""
    if scenario.pool.preload == "none":
        return
    free = int(node["memory_bytes"])
    for m in by_popularity:
        weights = scenario.model(scenario.workloads[m].model).weights_bytes
        if services[m]["supported"] and weights <= free:
            services[m]["preload"] = 1
            free -= weights
            if scenario.pool.preload == "popular":
                return


def _link_table(scenario: Scenario, network: Network) -> np.ndarray:
    table = np.zeros(network.delay_s.shape, tables.LINK)
    types = scenario.pool.device_types
    nic = np.array([scenario.device(types[n % len(types)]).nic_bytes_per_s for n in range(table.shape[1])])
    reachable = np.isfinite(network.delay_s)
    table["reachable"] = reachable
    table["delay_ns"] = np.rint(np.where(reachable, network.delay_s, 0.0) * SECOND)
    rate = np.where(reachable, np.minimum(network.bandwidth, nic), np.inf)  # out of reach there is none to divide by
    table["s_per_byte"] = 1.0 / rate
    return table


def _mean_work_s(model: np.ndarray, service: np.ndarray, quantile: np.ndarray, trace: Trace | None) -> np.ndarray:
    """Mean nominal work (N, M) in seconds; clipped and rounded laws are averaged over their quantiles."""
    prompt, units = np.zeros(_MEAN_POINTS), np.zeros(_MEAN_POINTS)
    work = np.zeros(service.shape)
    for m in range(len(model)):
        if trace is not None:
            prompt, units = trace.prompt_tokens.astype(float), trace.units.astype(float)
        else:
            draw_counts(model[m]["prompt"], quantile, prompt)
            draw_counts(model[m]["units"], quantile, units)
        s = service[:, m]
        beyond = np.maximum(prompt - 2048, 0).mean()
        prefill = s["first_s"] + s["per_prompt_token_s"] * prompt.mean() + s["beyond_2048_s"] * beyond
        work[:, m] = prefill + s["per_unit_s"] * units.mean()
    return work


def _capacity_per_s(node: np.ndarray, model: np.ndarray, service: np.ndarray, work_s: np.ndarray) -> float:
    """Largest total rate any static split over the nodes could sustain at nominal speed (a linear program).

    Maximise r subject to sum_n x[n, m] = r share[m] and sum_m x[n, m] work[n, m] / throughput[n, m] <= 1. Nodes of one
    kind are interchangeable, so the program has a row for each kind, with their number on the right.
    """
    used = service["supported"] == 1
    idle = np.flatnonzero((used & (work_s <= 0.0)).any(axis=0))
    if len(idle):
        where = f"workloads[{idle[0]}].units"
        raise EdgeGymInputError(where, 0, "a law whose counts, rounded and clipped, are not all 0", "Scenario")
    slots = node["slots"][:, None]
    throughput = slots / (1.0 + (slots - 1) * service["crowding"])
    busy_s, count = np.unique(np.where(used, work_s / throughput, np.inf), axis=0, return_counts=True)
    n_models, share = len(model), np.diff(model["cumulative_share"], prepend=0.0)
    kind_of, m_of = np.nonzero(np.isfinite(busy_s))
    # Scaled so that the numbers the solver sees are near one.
    scale = float((count[:, None] / busy_s).sum())
    columns = np.arange(len(kind_of))
    limits = csr_array((busy_s[kind_of, m_of] * scale, (kind_of, columns)), shape=(len(count), len(columns) + 1))
    flows = csr_array(
        (
            np.r_[np.ones(len(columns)), -share],
            (np.r_[m_of, np.arange(n_models)], np.r_[columns, [len(columns)] * n_models]),
        ),
        shape=(n_models, len(columns) + 1),
    )
    goal = np.zeros(len(columns) + 1)
    goal[-1] = -1.0
    found = linprog(goal, A_ub=limits, b_ub=count, A_eq=flows, b_eq=np.zeros(n_models), method="highs")
    if not found.success:
        raise EdgeGymInputError("workloads", "", f"a mix the nodes can serve ({found.message})", "Scenario")
    return float(found.x[-1] * scale)


def _mark_capacity(node: np.ndarray, model: np.ndarray, service: np.ndarray, work_s: np.ndarray) -> None:
    """Each node's share of the requests per second that the pool could serve, in the mix of the models."""
    slots, share = node["slots"][:, None], np.diff(model["cumulative_share"], prepend=0.0)
    throughput = slots / (1.0 + (slots - 1) * service["crowding"])
    per_s = np.where(service["supported"] == 1, throughput / np.maximum(work_s, 1e-12), 0.0) @ share
    node["capacity_share"] = per_s / per_s.sum()


def _mean_rate_per_s(scenario: Scenario, capacity_per_s: float, trace: Trace | None) -> float:
    arrivals = scenario.arrivals
    rate = arrivals.rate_per_s
    if arrivals.kind == "none":
        return 0.0
    if rate is None and arrivals.load is not None:
        rate = arrivals.load * capacity_per_s
    elif rate is None:
        assert trace is not None  # the scenario has checked it
        if trace.time_ns[-1] == 0 and scenario.n_requests is None:
            allowed = "a trace with requests at different times, unless n_requests is set"
            raise EdgeGymInputError("arrivals.trace_path", arrivals.trace_path, allowed, "Scenario")
        rate = len(trace.time_ns) / max(_span_ns(trace) / SECOND, 1e-9)
    expected = min(rate * scenario.horizon_s, scenario.n_requests or math.inf)
    if expected > 1e10:
        raise EdgeGymInputError(
            "horizon_s", scenario.horizon_s, "such that requests <= 1e10", "Scenario", f"{expected:.3g}"
        )
    return rate


def _span_ns(trace: Trace) -> int:
    """Length of one turn of the trace: to the last row and one mean gap further."""
    last = int(trace.time_ns[-1])
    return last + max(last // max(len(trace.time_ns) - 1, 1), 1)


def _rules(scenario: Scenario, rate_per_s: float, trace: Trace | None) -> np.ndarray:
    table = np.zeros(1, tables.RULES)
    rules, arrivals = table[0], scenario.arrivals
    rules["arrival_kind"] = _ARRIVALS.index(arrivals.kind)
    rules["max_retries"] = scenario.max_retries
    rules["n_requests"] = scenario.n_requests or tables.NEVER
    rules["horizon_ns"] = round(scenario.horizon_s * SECOND)
    rules["drain_ns"] = round(scenario.drain_s * SECOND)
    rules["telemetry_age_ns"] = round(scenario.telemetry.age_s * SECOND)
    rules["rate_per_s"] = rate_per_s
    if arrivals.kind == "mmpp":
        share = arrivals.burst_share
        rules["rate_per_s"] = rate_per_s / (1.0 - share + share * arrivals.burst_ratio)
        rules["burst_rate_per_s"] = rules["rate_per_s"] * arrivals.burst_ratio
        rules["burst_mean_s"] = arrivals.burst_mean_s
        rules["calm_mean_s"] = arrivals.burst_mean_s * (1.0 - share) / share
    rules["period_s"] = arrivals.period_s
    rules["amplitude"] = arrivals.amplitude
    if trace is not None:
        rules["trace_loops"] = arrivals.on_trace_end == "loop"
        rules["trace_random_start"] = arrivals.trace_start == "random"
        span = _span_ns(trace)
        rules["trace_scale"] = len(trace.time_ns) / (span / SECOND) / rate_per_s
        span_s = len(trace.time_ns) / rate_per_s
        if span_s > MAX_HORIZON_S:
            allowed = f"large enough for the trace to take at most {MAX_HORIZON_S:g} s"
            raise EdgeGymInputError("arrivals.rate_per_s", rate_per_s, allowed, "Scenario", f"it takes {span_s:.3g} s")
        rules["trace_span_ns"] = round(span * float(rules["trace_scale"]))
    rules["forecast_sigma"] = math.sqrt(math.log1p(scenario.telemetry.forecast_cv**2))
    rules["bias_sigma"] = scenario.bias_sigma
    rules["ewma"] = scenario.telemetry.ewma
    rules["drop_charge"] = scenario.drop_charge_deadlines
    rules["stutter_gap_s"] = scenario.stutter_gap_s
    rules["stutter_gap_ratio"] = scenario.stutter_gap_ratio
    _regime_rules(rules, scenario)
    for term in tables.TERMS:
        rules[f"weight_{term}"] = getattr(scenario.weights, term)
    return table


def most_arrivals(params: Params, span_ns: int) -> int:
    """How many requests may arrive within `span_ns`; of a Poisson process, but for a negligible chance."""
    rules = params.rules[0]
    if span_ns == 0:
        return 0
    if rules["arrival_kind"] == tables.TRACE_FILE:
        turns, rest_ns = divmod(span_ns, int(rules["trace_span_ns"]))
        at = params.trace["time_ns"] * float(rules["trace_scale"])
        twice = np.concatenate([at, at + float(rules["trace_span_ns"])])
        rounding_ns = 1000
        within = np.searchsorted(twice, at + rest_ns + rounding_ns, "right") - np.arange(len(at))
        return turns * len(at) + int(within.max())
    swing = float(rules["amplitude"]) if _ARRIVALS[rules["arrival_kind"]] == "diurnal" else 0.0
    peak_per_s = max(float(rules["rate_per_s"]) * (1.0 + swing), float(rules["burst_rate_per_s"]))
    return int(2 * peak_per_s * span_ns / SECOND) + 64


def _regime_rules(rules: np.void, scenario: Scenario) -> None:
    drift, churn = scenario.drift, scenario.churn
    rules["drift_share"] = drift.share
    rules["drift_gap_s"] = drift.gap_mean_s
    rules["drift_hold_s"] = drift.hold_mean_s
    rules["drift_ramp_s"] = drift.ramp_s
    rules["drift_low"] = drift.speed_low
    rules["drift_high"] = drift.speed_high
    rules["outage_share"] = drift.outage_share
    rules["outage_speed"] = drift.outage_speed
    rules["churn_share"] = churn.share
    rules["churn_up_s"] = churn.up_mean_s
    rules["churn_down_s"] = churn.down_mean_s
    rules["slow_start_s"] = churn.slow_start_s
    rules["slow_start_speed"] = churn.slow_start_speed
    semantic, router = scenario.semantic, scenario.router
    rules["semantic_share"] = semantic.share
    rules["event_gap_s"] = semantic.gap_mean_s
    rules["event_lead_s"] = semantic.lead_mean_s
    rules["event_hold_s"] = semantic.duration_mean_s
    rules["late_s"] = semantic.late_mean_s
    for name in ("foreground_low", "foreground_high", "background_low", "background_high"):
        rules[name] = getattr(semantic, name)
    for name in ("foreground", "silent", "late", "false", "contradict", "end"):
        rules[f"{name}_share"] = getattr(semantic, f"{name}_share")
    rules["chatter_gap_s"] = semantic.chatter_gap_s
    rules["n_foreground"] = sum(activity.foreground for activity in ACTIVITIES)
    rules["n_background"] = len(ACTIVITIES) - 2 - int(rules["n_foreground"])
    rules["exploration"] = router.exploration
    rules["forgetting"] = router.forgetting
    rules["congestion"] = router.congestion
    rules["trend_sigma"] = router.trend_sigma
    rules["trend_s"] = router.trend_s
    rules["caution_s"] = router.caution_s
    control = scenario.control
    rules["tick_ns"] = round(control.tick_s * SECOND)
    rules["cooldown_ns"] = round(control.cooldown_s * SECOND)
    rules["max_gated_share"] = control.max_gated_share
    rules["max_gated_a_turn"] = control.max_gated_a_turn
    rules["max_calls"] = control.max_calls_a_turn
    rules["calls_per_s"] = control.calls_per_s
    rules["max_probes"] = control.max_probes


def _trace_table(trace: Trace | None) -> np.ndarray:
    if trace is None:
        return np.zeros(1, tables.TRACE_ROW)
    table = np.zeros(len(trace.time_ns), tables.TRACE_ROW)
    table["time_ns"] = trace.time_ns
    table["prompt"] = trace.prompt_tokens
    table["units"] = trace.units
    return table


def _change_table(scenario: Scenario) -> np.ndarray:
    """The timeline, closed by a row that is never reached."""
    table = np.zeros(len(scenario.timeline) + 1, tables.CHANGE)
    for k, change in enumerate(scenario.timeline):
        what = tables.SET_SPEED if change.what == "speed" else tables.SET_ALIVE
        table[k] = (round(change.time_s * SECOND), what, change.node, change.value)
    table[-1]["time_ns"] = tables.NEVER
    return table
