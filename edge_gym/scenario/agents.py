"""The parts of a scenario that are about AI agents: their roles, applications, users on the move, migration, prices."""

from __future__ import annotations

from dataclasses import dataclass

from edge_gym.errors import EdgeGymInputError
from edge_gym.fields import NAME_PATTERN, REQUIRED, check, choice, number, part, text
from edge_gym.scenario.parts import MAX_HORIZON_S, Law

SHAPES = ("chain", "star", "tree")
MOBILITIES = ("none", "markov", "waypoint", "commute", "trace")
MODES = ("lightweight", "full")
# An exported AgentScope 2.0 state holds 471 bytes, 375 for each message and one for each character of it, of which a
# token is taken to have four: measured by `edge-gym testbed`, as are the times of writing and reading it
# (docs/migration.md).
STATE_BYTES, BYTES_PER_MESSAGE, BYTES_PER_TOKEN = 471.0, 375.0, 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentRole:
    """A kind of AI agent: what it calls, how often it is asked, and what it takes of its node."""

    name: str = text(REQUIRED, "short id", NAME_PATTERN)
    model: str = text(REQUIRED, "the model it calls: one of the workloads", NAME_PATTERN)
    share: float = number(1.0, 0, 1e6, "weight", "share of the agents, relative to the other roles", low_open=True)
    rate_per_s: float = number(0.05, 0, 1e4, "requests/s", "requests of its user, mean", low_open=True)
    memory_bytes: float = number(2e8, 0, 1e13, "bytes", "its process and the cache of its context, weights excluded")
    image_bytes: float = number(5e8, 0, 1e13, "bytes", "its software: pulled when it is placed, and kept on storage")
    peer_bytes: float = number(2e4, 0, 1e12, "bytes", "exchanged with its peer in each request, there and back")
    peer_rounds: float = number(1.0, 0, 1e4, "rounds", "how often it turns to its peer and waits, in each request")

    def __post_init__(self):
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Applications:
    """Applications: agents that arrive together for one user, talk to each other, and leave together."""

    at_start: int = number(0, 0, 100_000, "applications", "there when the episode begins")
    applications_per_s: float = number(0.0, 0, 1e4, "1/s", "Poisson arrivals of further ones; 0: none come")
    n_applications: int | None = number(None, 1, 1e9, "applications", "no more than so many arrive; null: no limit")
    most: int = number(64, 1, 100_000, "applications", "present at the same time; what comes beyond is turned away")
    lifetime_mean_s: float = number(1e7, 1e-3, 1e7, "s", "mean of the exponential time until one leaves")
    size: Law = part(Law(kind="constant", mean=4.0, minimum=1.0), "agents of one")
    most_agents: int = number(16, 1, 10_000, "agents", "of one; larger draws are clipped")
    shape: str = choice("tree", SHAPES, "who talks to whom: the one before, the first, or any one before")
    need_cv: float = number(0.0, 0, 5, "ratio", "spread of the agents' rate and needs around their role's, log-normal")
    most_waiting: int = number(16, 1, 10_000, "requests", "that wait for an agent that starts or moves")
    load_limit: float = number(0.9, 0.01, 0.95, "share", "of a node's throughput that agents may take")
    pods_path: str | None = text(None, "file of arrivals (docs/data.md), scaled to applications_per_s if that is > 0")

    def __post_init__(self):
        check(self)
        if self.at_start > self.most:
            raise EdgeGymInputError("at_start", self.at_start, f"<= most = {self.most}", "Applications")
        if self.size.maximum < 1:
            raise EdgeGymInputError("size", self.size, "a law that yields at least 1 agent", "Applications")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mobility:
    """How users move from site to site; each move is a handover."""

    kind: str = choice("none", MOBILITIES, "random neighbour, random destination, between two places, or a trace")
    dwell_mean_s: float = number(60.0, 1e-3, 1e7, "s", "mean stay at a site (markov), at a destination (the others)")
    hop_s: float = number(5.0, 1e-3, 1e6, "s", "time from site to site on the way (waypoint, commute)")
    mobility_path: str | None = text(None, "file of positions (trace): see docs/data.md")

    def __post_init__(self):
        check(self)
        if (self.kind == "trace") != (self.mobility_path is not None):
            allowed = "the path of a file" if self.mobility_path is None else "null unless kind is trace"
            raise EdgeGymInputError("mobility_path", self.mobility_path, allowed, "Mobility")


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """How an agent moves, and when somebody is asked whether it should. Defaults: docs/migration.md."""

    mode: str = choice("lightweight", MODES, "what travels: its state, or its state and its image")
    review_s: float = number(0.0, 0, MAX_HORIZON_S, "s", "each agent is asked about so often; 0: no reviews")
    pause_s: float = number(2.0, 0, 1e6, "s", "an agent is not asked about again, nor moved, before")
    overload: float = number(2.0, 0.1, 1e6, "requests/slot", "asked about when its node has so many outstanding")
    startup_s: float = number(0.5, 0, 1e5, "s", "time to start its process")
    state_bytes: float = number(STATE_BYTES, 0, 1e12, "bytes", "size of an empty state")
    bytes_per_message: float = number(BYTES_PER_MESSAGE, 0, 1e9, "bytes", "state added by a message, text excluded")
    bytes_per_token: float = number(BYTES_PER_TOKEN, 0, 1e6, "bytes", "state added by a token of a message")
    context_tokens: int = number(8192, 1, 10_000_000, "tokens", "longest context; then its older half is summed up")
    export_s: float = number(2e-5, 0, 1e4, "s", "time to write down a state, constant part")
    export_s_per_byte: float = number(2.9e-9, 0, 1, "s/byte", "time to write down a state")
    import_s: float = number(2.4e-3, 0, 1e4, "s", "time to read a state, constant part")
    import_s_per_byte: float = number(1.6e-8, 0, 1, "s/byte", "time to read a state")
    ping_pong_s: float = number(60.0, 0, MAX_HORIZON_S, "s", "back where it was within this time: ping-pong")
    after_move_s: float = number(10.0, 0, MAX_HORIZON_S, "s", "late requests this long after a move are counted apart")

    def __post_init__(self):
        check(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """What agents cost beside the compute they reserve."""

    storage_usd_per_gb_month: float = number(0.08, 0, 1e6, "USD/GB/month", "images on a node's storage")
    traffic_usd_per_gb: float = number(0.02, 0, 1e6, "USD/GB", "bytes that leave a site's own nodes")
    compute_margin: float = number(1.0, 0, 1e6, "ratio", "price of reserved throughput over the node's own cost")

    def __post_init__(self):
        check(self)
