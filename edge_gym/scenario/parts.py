"""The parts of a scenario: frozen, checked dataclasses with range, unit and help in each field's metadata."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from edge_gym import devices as catalog
from edge_gym.errors import EdgeGymInputError
from edge_gym.events.phrases import LEVELS, STYLES
from edge_gym.fields import NAME_PATTERN, REQUIRED, check, choice, flag, number, part, series, text

MAX_NODES = 100_000
MAX_HORIZON_S = 3.15e9  # 100 years; int64 nanoseconds end at 292
MAX_SEED = 2**63 - 1

LAWS = ("constant", "exponential", "uniform", "lognormal", "empirical")
ARRIVALS = ("poisson", "mmpp", "diurnal", "trace", "none")
TOPOLOGIES = ("star", "ring", "metro", "geometric", "waxman", "cities", "graphml", "matrix")


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """Distribution of a count (prompt tokens, output units). A draw is clipped to [minimum, maximum]."""

    kind: str = choice("constant", LAWS, "shape of the distribution")
    mean: float = number(1.0, 0, 1e7, "count", "mean before clipping (constant, exponential, lognormal)")
    cv: float = number(1.0, 0, 30, "ratio", "standard deviation over mean (lognormal)")
    low: float = number(0.0, 0, 1e7, "count", "lower bound (uniform)")
    high: float = number(1.0, 0, 1e7, "count", "upper bound (uniform)")
    values: tuple[float, ...] = series(0, 1e7, "count", "equally likely values, ascending (empirical)", 4096)
    minimum: float = number(0.0, 0, 1e7, "count", "smallest count that can be drawn")
    maximum: float = number(1e6, 0, 1e7, "count", "largest count that can be drawn")

    def __post_init__(self):
        check(self)
        if self.kind in ("exponential", "lognormal") and self.mean == 0:
            raise EdgeGymInputError("mean", self.mean, f"> 0 for kind {self.kind}", "Law")
        if self.kind == "uniform" and self.low > self.high:
            raise EdgeGymInputError("low", self.low, f"<= high = {self.high:g}", "Law")
        if self.kind == "empirical" and (not self.values or list(self.values) != sorted(self.values)):
            raise EdgeGymInputError("values", self.values, "1 to 4096 numbers in ascending order", "Law")
        if self.minimum > self.maximum:
            raise EdgeGymInputError("minimum", self.minimum, f"<= maximum = {self.maximum:g}", "Law")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The requests for one model: how many of all, how long, how urgent."""

    model: str = text(REQUIRED, "name of a model type", NAME_PATTERN)
    share: float = number(
        1.0, 0, 1e6, "weight", "share of all requests, relative to the other workloads", low_open=True
    )
    prompt_tokens: Law = part(REQUIRED, "tokens of the prompt (0 where there is none)")
    units: Law = part(REQUIRED, "output units: tokens, diffusion steps or items")
    deadline_s: float = number(REQUIRED, 1e-6, 1e6, "s", "time from arrival to the last byte of the response")

    def __post_init__(self):
        check(self)
        if self.units.maximum < 1 or (self.units.kind == "constant" and self.units.mean == 0):
            raise EdgeGymInputError("units", self.units, "a law that yields at least 1 unit", "Workload")

    @classmethod
    def default(cls, model: str, share: float = 1.0, deadline_s: float = 30.0, cv: float = 0.8) -> Workload:
        """Returns the workload of a shipped model with log-normal lengths around its measured means.

        Args:
            model: Name of a shipped model type.
            share: Weight among the workloads, > 0.
            deadline_s: Seconds, > 0.
            cv: Standard deviation over mean of both lengths, 0 to 30; 0 means constant.
        """
        kind = catalog.model_type(model)
        return cls(
            model=model,
            share=share,
            prompt_tokens=_length_law(kind.prompt_tokens_mean, cv, minimum=0.0),
            # steps of a diffusion model and items of a detector are set by the caller's settings, not by chance
            units=_length_law(kind.units_mean, cv if kind.kind == "llm" else 0.0, minimum=1.0),
            deadline_s=deadline_s,
        )


def _length_law(mean: float, cv: float, minimum: float) -> Law:
    if mean == 0 or cv == 0:
        return Law(kind="constant", mean=mean, minimum=min(minimum, mean))
    return Law(kind="lognormal", mean=mean, cv=cv, minimum=max(minimum, 1.0), maximum=min(1e6, 32 * mean))


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrivals:
    """When requests arrive. Give `load` or `rate_per_s`; a trace may have neither and keeps its own clock."""

    kind: str = choice("poisson", ARRIVALS, "Poisson, bursts in two states (MMPP), sine over the day, trace file, none")
    load: float | None = number(
        None, 1e-9, 1000, "fraction of the largest sustainable rate", "mean arrival rate, relative"
    )
    rate_per_s: float | None = number(None, 1e-9, 1e6, "requests/s", "mean arrival rate, absolute")
    burst_ratio: float = number(4.0, 1, 1e4, "ratio", "rate in a burst over rate in the calm (mmpp)")
    burst_share: float = number(0.2, 0, 1, "share", "share of time in a burst (mmpp)", low_open=True, high_open=True)
    burst_mean_s: float = number(30.0, 1e-3, 1e7, "s", "mean length of a burst (mmpp)")
    period_s: float = number(86_400.0, 1e-3, 1e9, "s", "length of a cycle (diurnal)")
    amplitude: float = number(0.5, 0, 1, "ratio", "swing of the rate around its mean (diurnal)", high_open=True)
    trace_path: str | None = text(None, "CSV file in the format of the Azure LLM 2023 trace (trace)")
    trace_start: str = choice("begin", ("begin", "random"), "first row, or a row drawn at each reset (trace)")
    on_trace_end: str = choice("loop", ("loop", "stop"), "start again, or no more arrivals (trace)")

    def __post_init__(self):
        check(self)
        given = (self.load is not None) + (self.rate_per_s is not None)
        if given == 2 or (given == 0 and self.kind not in ("trace", "none")):
            shown = f"load {self.load}, rate_per_s {self.rate_per_s}"
            raise EdgeGymInputError("load", shown, "given, or rate_per_s, but not both", "Arrivals")
        if (self.kind == "trace") != (self.trace_path is not None):
            allowed = "the path of a trace file" if self.kind == "trace" else "null unless kind is trace"
            raise EdgeGymInputError("trace_path", self.trace_path, allowed, "Arrivals")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """The nodes. Node `i` is of type `device_types[i % len(device_types)]`."""

    device_types: tuple[str, ...] = part(REQUIRED, "names of device types, cycled over the nodes", 1, MAX_NODES)
    n_nodes: int = number(REQUIRED, 1, MAX_NODES, "nodes", "number of nodes")
    slots: int | None = number(None, 1, 100_000, "requests", "requests served at once; null: the device's own figure")
    queue_capacity: int = number(64, 0, 1_000_000, "requests", "requests that may wait at a node; 0: none waits")
    preload: str = choice("popular", ("none", "popular", "all_that_fit"), "models resident at the start")

    def __post_init__(self):
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """The network between the sites, where users attach, and the nodes."""

    kind: str = choice("star", TOPOLOGIES, "generator, or file format")
    n_sites: int = number(1, 1, 10_000, "sites", "ingress sites; a graphml or matrix file brings its own")
    link_delay_s: float = number(
        0.001, 0, 10, "s", "one-way delay of a link, or of one side of the map (geometric, waxman)"
    )
    link_bandwidth_bytes_per_s: float = number(1.25e8, 1, 1e13, "bytes/s", "bandwidth of a link")
    access_delay_s: float = number(0.002, 0, 10, "s", "one-way delay between a user and the site")
    seed: int = number(0, 0, MAX_SEED, "seed", "seed of the instance: the same seed, the same network")
    branching: int = number(4, 1, 1000, "sites", "access sites below one aggregation site (metro)")
    degree: float = number(6.0, 1, 1000, "links", "mean number of links of a place (geometric, waxman)")
    decay: float = number(
        0.2, 0, 10, "of the longest distance", "how fast links get rarer with length (waxman)", low_open=True
    )
    path: str | None = text(None, "GraphML file, or CSV matrix of one-way delays (graphml, matrix)")
    allow_disconnected: bool = flag(False, "accept nodes that no site reaches; they are never legal there")

    def __post_init__(self):
        check(self)
        if (self.kind in ("graphml", "matrix")) != (self.path is not None):
            allowed = "the path of a file" if self.path is None else "null unless kind is graphml or matrix"
            raise EdgeGymInputError("path", self.path, allowed, "Topology")


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """What the router can measure, how late and how well."""

    age_s: float = number(0.0, 0, 60, "s", "age of what is reported about a node")
    forecast_cv: float = number(0.0, 0, 5, "ratio", "noise of the forecast of the output length; 0: exact")
    ewma: float = number(0.1, 0, 1, "weight", "weight of the newest completion in the measured slowdown", low_open=True)

    def __post_init__(self):
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class RewardWeights:
    """Weight of each named reward term; the reward is their weighted sum."""

    latency: float = number(1.0, 0, 1e9, "1/s", "request-seconds in the system")
    slo_miss: float = number(0.0, 0, 1e9, "1/request", "requests past their deadline")
    drop: float = number(0.0, 0, 1e9, "1/request", "requests rejected, dropped or left behind")
    stutter: float = number(0.0, 0, 1e9, "1/request", "requests with a gap beyond the bound")
    migration: float = number(0.0, 0, 1e9, "1/s", "seconds that requests wait for a migration")
    energy: float = number(0.0, 0, 1e9, "1/J", "energy of all nodes")
    cost: float = number(0.0, 0, 1e9, "1/USD", "price of the nodes' busy time")
    imbalance: float = number(0.0, 0, 1e9, "1", "spread of the load over the nodes")

    def __post_init__(self):
        check(self)
        if not any(getattr(self, f.name) for f in dataclasses.fields(self)):
            known = ", ".join(f.name for f in dataclasses.fields(self))
            raise EdgeGymInputError("", 0, f"> 0 in at least one of {known}", "RewardWeights")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """Nodes slow down and recover, unannounced: down a ramp, hold, up again; or nearly stop at once."""

    share: float = number(0.0, 0, 1, "share", "share of the nodes that drift; 0: none does")
    gap_mean_s: float = number(40.0, 1e-3, 1e7, "s", "mean time at nominal speed between slow-downs")
    hold_mean_s: float = number(15.0, 1e-3, 1e7, "s", "mean time at the bottom")
    ramp_s: float = number(4.0, 0, 1e6, "s", "time down, and up again; 0: at once")
    speed_low: float = number(0.1, 1e-3, 1, "factor", "deepest speed factor; drawn log-uniformly")
    speed_high: float = number(0.5, 1e-3, 1, "factor", "mildest speed factor")
    outage_share: float = number(0.2, 0, 1, "share", "share of slow-downs that are near-outages")
    outage_speed: float = number(0.02, 1e-3, 1, "factor", "speed factor of a near-outage, at once")
    notification: str = choice("none", LEVELS, "what is said when a slow-down begins and ends")

    def __post_init__(self):
        check(self)
        if self.speed_low > self.speed_high:
            raise EdgeGymInputError("speed_low", self.speed_low, f"<= speed_high = {self.speed_high:g}", "Drift")


@dataclass(frozen=True, slots=True, kw_only=True)
class Churn:
    """Nodes leave and join. What a node had not finished comes back; it joins with software factors drawn anew."""

    share: float = number(0.0, 0, 1, "share", "share of the nodes that leave and join; 0: none does")
    up_mean_s: float = number(60.0, 1e-3, 1e7, "s", "mean time between failures")
    down_mean_s: float = number(15.0, 1e-3, 1e7, "s", "mean time to return")
    slow_start_s: float = number(5.0, 0, 1e6, "s", "time after joining at reduced speed; 0: none")
    slow_start_speed: float = number(0.5, 1e-3, 1, "factor", "speed factor while it warms up")
    notification: str = choice("none", LEVELS, "what is said when a node has left or joined")

    def __post_init__(self):
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Semantic:
    """What the users of nodes do: a game, an update. It slows the node, and somebody may say so, truly or not."""

    share: float = number(0.0, 0, 1, "share", "share of the nodes with such users; 0: none")
    gap_mean_s: float = number(60.0, 1e-3, 1e7, "s", "mean time between the end of an event and the next one's news")
    lead_mean_s: float = number(5.0, 0, 1e6, "s", "mean time from the announcement to the event; 0: at once")
    duration_mean_s: float = number(20.0, 1e-3, 1e7, "s", "mean length of an event")
    foreground_share: float = number(0.6, 0, 1, "share", "share of events in which the user needs the node at once")
    foreground_low: float = number(0.05, 1e-3, 1, "factor", "deepest speed factor then; drawn log-uniformly")
    foreground_high: float = number(0.25, 1e-3, 1, "factor", "mildest speed factor then")
    background_low: float = number(0.2, 1e-3, 1, "factor", "deepest speed factor in the other events")
    background_high: float = number(0.8, 1e-3, 1, "factor", "mildest speed factor in the other events")
    silent_share: float = number(0.0, 0, 1, "share", "share of events nobody mentions")
    late_share: float = number(0.1, 0, 1, "share", "share of events announced only after they began")
    late_mean_s: float = number(5.0, 0, 1e6, "s", "mean time after the beginning")
    false_share: float = number(0.1, 0, 1, "share", "share of announcements nothing follows; half are called off")
    contradict_share: float = number(0.05, 0, 1, "share", "share of events called off by a message though they go on")
    end_share: float = number(0.7, 0, 1, "share", "share of events whose end is announced")
    chatter_gap_s: float = number(120.0, 0, 1e7, "s", "mean time between messages that mean nothing, a node; 0: none")
    notification: str = choice("text", LEVELS, "what is said: nothing, that something changed, what, or in words")
    style: str = choice("standard", STYLES, "wording: the templates, or paraphrases held out from them")

    def __post_init__(self):
        check(self)
        for group in ("foreground", "background"):
            low, high = getattr(self, f"{group}_low"), getattr(self, f"{group}_high")
            if low > high:
                raise EdgeGymInputError(f"{group}_low", low, f"<= {group}_high = {high:g}", "Semantic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """The fast path, the world's own router, as it is set when an episode begins."""

    exploration: float = number(0.1, 0, 10, "standard deviations", "optimism about nodes of unknown performance")
    forgetting: float = number(0.99, 0.5, 1, "factor", "weight of a report when the next one comes; 1: for ever")
    trend_sigma: float = number(0.3, 0, 10, "log", "how far a node's speed is expected to stray for a while; 0: never")
    trend_s: float = number(8.0, 1e-3, 1e6, "s", "how long it strays")
    congestion: float = number(2.0, 0, 100, "weight", "how much the delay of the node's other requests counts")
    caution_s: float = number(2.0, 0, 1e4, "s", "what a risk gate at 'caution' adds to a node's expected time")

    def __post_init__(self):
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """The control surface of the fast path, and the guards that bind whoever uses it."""

    tick_s: float = number(10.0, 0.01, 1e6, "s", "the controller is asked at least this often")
    cooldown_s: float = number(0.5, 0, 1e6, "s", "shortest time between two turns")
    max_gated_share: float = number(0.5, 0, 1, "share", "largest share of the live nodes that may be closed")
    max_gated_a_turn: float = number(0.25, 0, 1, "share", "largest share of them closed in one turn, at least 1")
    max_calls_a_turn: int = number(16, 1, 1000, "calls", "tool calls in one turn")
    calls_per_s: float = number(2.0, 0.001, 1e6, "calls/s", "tool calls in the long run")
    max_probes: int = number(4, 0, 100, "probes", "calibration requests outstanding at a node")

    def __post_init__(self):
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Something that happens to a node at a known time and that nobody announces."""

    time_s: float = number(REQUIRED, 0, MAX_HORIZON_S, "s", "when")
    node: int = number(REQUIRED, 0, MAX_NODES - 1, "node number", "to which node")
    what: str = choice(REQUIRED, ("speed", "alive"), "what is set")
    value: float = number(REQUIRED, 0, 100, "factor, or 0 and 1", "the new value until the next change")

    def __post_init__(self):
        check(self)
        if self.what == "alive" and self.value not in (0, 1):
            raise EdgeGymInputError("value", self.value, "0 or 1 for alive", "Change")
        if self.what == "speed" and self.value < 1e-3:
            raise EdgeGymInputError("value", self.value, ">= 0.001 and <= 100 for speed", "Change", "1 = nominal")
