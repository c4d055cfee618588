"""Small worlds with AI agents for the tests, and a loop that plays them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from edge_gym.devices import DeviceType, ModelType, Service
from edge_gym.envs.batch import Batch, Outcome
from edge_gym.kernel.agent_tables import ASK_MIGRATIONS, ASK_PLACEMENTS, ASK_REQUESTS
from edge_gym.kernel.build import World
from edge_gym.kernel.tables import LOG
from edge_gym.scenario import Arrivals, Law, Pool, RewardWeights, Scenario, Semantic, Topology, Workload
from edge_gym.scenario.agents import AgentRole, Applications, Migration, Mobility, Prices
from edge_gym.tasks import get_task
from edge_gym.tasks.task import Task

SILENT = Semantic(notification="none")  # nothing is said in these worlds, so no phrases need be read when one is built
EVERYTHING = ASK_REQUESTS | ASK_PLACEMENTS | ASK_MIGRATIONS
Choose = Callable[[np.ndarray, np.ndarray], np.ndarray]


def asking(bits: int) -> Task:
    """A task in which the controller is asked about these kinds of subjects."""
    return replace(get_task("joint"), asks=bits)


class AgentGame:
    """A batch of worlds with agents that is stepped by hand; it keeps what a test wants to know of the episodes.

    Attributes:
        batch: The worlds.
        obs: The last observations.
        over: (B,) bool.
        terms: (B, 8) sums of the reward terms.
        reward: (B,) summed rewards.
        steps: Number of steps so far.
    """

    def __init__(self, world: World | Scenario, seeds: Iterable[int], task: Task | str = "joint") -> None:
        roots = np.array(list(seeds), np.uint64)
        self.batch = Batch(world if isinstance(world, World) else World(world), len(roots), task)
        self.batch.roots[:] = roots
        self.obs = self.batch.empty_obs()
        self.over = np.zeros(len(roots), bool)
        self.terms, self.reward = np.zeros((len(roots), 8)), np.zeros(len(roots))
        self.steps = 0
        self._logs: list[list[np.ndarray]] = [[] for _ in roots]
        self.batch.reset(~self.over, self.obs)
        self._keep_log(~self.over)

    def step(self, actions: np.ndarray) -> Outcome:
        """One decision in every row that is not over; illegal choices fail."""
        rows = np.arange(len(self.over))
        assert (self.batch.mask[rows, actions] | self.over).all(), "an illegal action"
        before = ~self.over
        out = self.batch.step(actions, self.over, self.obs)
        self._keep_log(before)
        self.terms[before] += out.terms[before]
        self.reward[before] += out.reward[before]
        self.over = self.over | out.done
        self.steps += 1
        return out

    def act(self, action: int) -> Outcome:
        """The same decision in every row."""
        return self.step(np.full(len(self.over), action, np.int64))

    def play(self, choose: Choose, each_step: Callable[[AgentGame], None] | None = None) -> AgentGame:
        """Plays to the end."""
        while not self.over.all():
            self.step(choose(self.obs, self.batch.mask))
            if each_step is not None:
                each_step(self)
        return self

    def log(self, b: int = 0) -> np.ndarray:
        """Everything that has ended in row `b`, by number of the request."""
        log = np.concatenate([*self._logs[b], np.zeros(0, LOG)])
        return log[np.argsort(log["id"], kind="stable")]

    def row(self, table: str, b: int = 0) -> Any:
        """One table of row `b`."""
        found = getattr(self.batch.state, table)[b]
        return found[0] if table == "agency" else found

    @property
    def now(self) -> int:
        """Time of the first row, ns."""
        return int(self.batch.state.world["now_ns"][0])

    @property
    def subject(self) -> int:
        """Row of the agent that the first world asks about."""
        return int(self.batch.state.world["subject"][0])

    @property
    def decline(self) -> int:
        return self.batch.world.n_nodes

    def _keep_log(self, rows: np.ndarray) -> None:
        where, entries = self.batch.ended()
        for b in np.flatnonzero(rows).tolist():
            self._logs[b].append(entries[where == b])


def always_decline(obs: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.full(len(obs), mask.shape[1] - 1)


def seed_of(scenario: Scenario, wanted: Callable[[AgentGame, int], bool], at_once: int = 64) -> int:
    """The first seed whose first moment is as wanted: a function of a game at its first decision and a row."""
    world = World(scenario)
    for first in range(0, 100 * at_once, at_once):
        game = AgentGame(world, range(first, first + at_once))
        found = [b for b in range(at_once) if wanted(game, b)]
        if found:
            return first + found[0]
    raise AssertionError("no such seed")


def constant(value: float) -> Law:
    return Law(kind="constant", mean=float(value))


def hand_world(**more: Any) -> Scenario:
    """Two offices 10 ms apart, each with a node; two models; one application of three agents in a chain; all constant.

    Node 0 (fast, two slots) needs 0.05 + 100 x 0.001 + 10 x 0.02 = 0.35 s for a chat and 0.2 s for a look, node 1
    (slow, one slot) twice as much.
    """
    fast = DeviceType(
        name="fast",
        memory_bytes=1000,
        storage_bytes=1e4,
        storage_bytes_per_s=100.0,
        nic_bytes_per_s=1e7,
        price_usd_per_hour=3.6,
        slots=2,
    )
    fields: dict[str, Any] = {
        "name": "hand",
        "task": "joint",
        "devices": (fast, replace(fast, name="slow", slots=1, price_usd_per_hour=1.8, storage_bytes_per_s=50.0)),
        "models": (
            ModelType(
                name="chat",
                kind="llm",
                weights_bytes=40,
                startup_s=4.0,
                upload_bytes=1000.0,
                upload_bytes_per_prompt_token=4.0,
                download_bytes=500.0,
                download_bytes_per_unit=20.0,
            ),
            ModelType(name="look", weights_bytes=20, upload_bytes=50_000.0, download_bytes=100.0),
        ),
        "services": (
            Service(device="fast", model="chat", first_s=0.05, per_prompt_token_s=1e-3, per_unit_s=0.02, gain=2.0),
            Service(device="slow", model="chat", first_s=0.1, per_prompt_token_s=2e-3, per_unit_s=0.04, gain=2.0),
            Service(device="fast", model="look", per_unit_s=0.2, gain=4.0),
            Service(device="slow", model="look", per_unit_s=0.4, gain=4.0),
        ),
        "pool": Pool(device_types=("fast", "slow"), n_nodes=2, queue_capacity=10, preload="all_that_fit"),
        "workloads": (
            Workload(model="chat", prompt_tokens=constant(100), units=constant(10), deadline_s=20.0),
            Workload(model="look", prompt_tokens=constant(0), units=constant(1), deadline_s=5.0),
        ),
        "arrivals": Arrivals(kind="none"),
        "semantic": SILENT,
        "topology": Topology(
            kind="ring", n_sites=2, link_delay_s=0.01, access_delay_s=0.002, link_bandwidth_bytes_per_s=1e6
        ),
        "weights": RewardWeights(latency=1.0, cost=100.0),
        "roles": (
            AgentRole(
                name="talker", model="chat", rate_per_s=0.2, memory_bytes=100.0, image_bytes=300.0, peer_bytes=2e4
            ),
            AgentRole(
                name="looker", model="look", rate_per_s=0.5, memory_bytes=50.0, image_bytes=100.0, peer_bytes=1e4
            ),
        ),
        "applications": Applications(at_start=1, most=1, size=constant(3), most_agents=3, shape="chain"),
        "migration": Migration(
            review_s=10.0,
            pause_s=1.0,
            overload=100.0,
            startup_s=0.5,
            state_bytes=600.0,
            bytes_per_message=100.0,
            bytes_per_token=4.0,
            export_s=0.01,
            export_s_per_byte=1e-6,
            import_s=0.02,
            import_s_per_byte=2e-6,
            ping_pong_s=60.0,
        ),
        "prices": Prices(storage_usd_per_gb_month=2592.0, traffic_usd_per_gb=20.0),
        "horizon_s": 60.0,
        "drain_s": 100.0,
    }
    return Scenario(**{**fields, **more})


def busy_world(**flat: Any) -> Scenario:
    """Four small nodes of three kinds at three sites, on which agents and requests are in each other's way."""
    memory = flat.pop("memory", 120)
    storage, nic = flat.pop("storage", 90.0), flat.pop("nic", 2e5)
    kinds = [("big", 2 * memory, 3, 1.0), ("mid", memory, 2, 1.6), ("wee", memory - 30, 1, 2.5)]
    devices = tuple(
        DeviceType(
            name=name,
            memory_bytes=size,
            storage_bytes=storage,
            storage_bytes_per_s=100.0,
            nic_bytes_per_s=nic,
            power_idle_w=2.0,
            power_max_w=11.0,
            price_usd_per_hour=3.0 / slow,
            slots=slots,
        )
        for name, size, slots, slow in kinds
    )
    services = tuple(
        Service(device=name, model=m, first_s=0.02 * slow, per_prompt_token_s=1e-4, per_unit_s=work * slow, gain=2.0)
        for name, _, _, slow in kinds
        for m, work in (("chat", 0.012), ("look", 0.09))
    )
    scenario = Scenario(
        name="busy",
        task="joint",
        devices=devices,
        models=(
            ModelType(name="chat", kind="llm", weights_bytes=40, startup_s=0.2, upload_bytes=500.0),
            ModelType(name="look", weights_bytes=25, upload_bytes=2e4),
        ),
        services=services,
        pool=Pool(device_types=("big", "mid", "wee"), n_nodes=4, queue_capacity=20),
        workloads=(
            Workload(
                model="chat",
                prompt_tokens=Law(kind="uniform", low=10, high=300),
                units=Law(kind="exponential", mean=12.0, minimum=1),
                deadline_s=6.0,
            ),
            Workload(model="look", prompt_tokens=constant(0), units=constant(1), deadline_s=1.0),
        ),
        arrivals=Arrivals(kind="none"),
        semantic=SILENT,
        topology=Topology(kind="ring", n_sites=3, link_delay_s=0.01, link_bandwidth_bytes_per_s=1e6),
        weights=RewardWeights(latency=1.0, cost=500.0, migration=0.3, energy=0.001, drop=0.2),
        roles=(
            AgentRole(name="talker", model="chat", rate_per_s=0.7, memory_bytes=12.0, image_bytes=20.0, peer_bytes=2e3),
            AgentRole(name="looker", model="look", rate_per_s=1.1, memory_bytes=5.0, image_bytes=8.0, peer_bytes=5e3),
        ),
        applications=Applications(
            at_start=2,
            applications_per_s=0.4,
            lifetime_mean_s=8.0,
            most=5,
            size=Law(kind="uniform", low=1, high=4, minimum=1),
            most_agents=4,
            need_cv=0.5,
        ),
        mobility=Mobility(kind="markov", dwell_mean_s=4.0, hop_s=1.0),
        migration=Migration(
            review_s=3.0, pause_s=1.0, startup_s=0.1, context_tokens=1500, ping_pong_s=8.0, after_move_s=2.0
        ),
        horizon_s=20.0,
        drain_s=60.0,
    )
    return scenario.with_overrides(**flat)
