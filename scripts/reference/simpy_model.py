"""The queues of a Routing scenario as a SimPy model, the way one would write it: the yardstick of the speed ratio.

The same arrivals, network times, service laws, slots, bounded queues and shared processors, from the same tables; the
policy is join-shortest-queue. No observation is made and no model is loaded, which is in SimPy's favour.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Generator
from math import floor
from typing import Any

import simpy

from edge_gym.kernel.build import World
from edge_gym.kernel.tables import CONSTANT, EXPONENTIAL, LOGNORMAL, POISSON, SECOND, UNIFORM


class Node:
    """Slots that share a processor, and a queue in front of them.

    Attributes:
        outstanding: Requests between dispatch and the delivery of their response.
        limit: Largest number of outstanding requests.
    """

    def __init__(self, env: simpy.Environment, slots: int, limit: int) -> None:
        self.env, self.slots, self.limit = env, slots, limit
        self.outstanding = 0
        self.queue: deque[list[Any]] = deque()
        self.jobs: list[list[Any]] = []  # work left in seconds, crowding, event of the completion, share
        self.settled = 0.0
        self.process = env.process(self.serve())

    def submit(self, work: float, crowding: float) -> simpy.Event:
        """A request is here; the event happens when it has been served."""
        done = self.env.event()
        self.queue.append([work, crowding, done, 1.0])
        if len(self.jobs) < self.slots:
            self.process.interrupt()
        return done

    def serve(self) -> Generator[simpy.Event, Any, None]:
        """Run until the next completion, or until a request comes while a slot is free."""
        env = self.env
        while True:
            try:
                if self.jobs:
                    yield env.timeout(max(min(job[0] / job[3] for job in self.jobs), 0.0))
                    self.settle()
                    job = min(self.jobs, key=lambda job: job[0] / job[3])
                    self.jobs.remove(job)
                    job[2].succeed()
                else:
                    yield env.event()  # until a request comes
            except simpy.Interrupt:
                self.settle()
            while self.queue and len(self.jobs) < self.slots:
                self.jobs.append(self.queue.popleft())
            crowd = 1.0 + sum(job[1] for job in self.jobs)
            for job in self.jobs:
                job[3] = 1.0 / (crowd - job[1])

    def settle(self) -> None:
        """Book the progress of the running requests up to now."""
        elapsed, self.settled = self.env.now - self.settled, self.env.now
        for job in self.jobs:
            job[0] -= elapsed * job[3]


class Model:
    """A scenario as processes.

    Args:
        world: The scenario made ready to run; Poisson arrivals and laws that are not empirical.
        seed: Seed of all draws.

    Attributes:
        decisions: Requests that have arrived.
        rejected: Of them, those that found every node full.
        latencies: Seconds from arrival to delivery of those that were served.
    """

    def __init__(self, world: World, seed: int) -> None:
        p = world.params
        if p.rules[0]["arrival_kind"] != POISSON:
            raise ValueError("the SimPy model has Poisson arrivals only")
        self.env, self.rng = simpy.Environment(), random.Random(seed)
        self.rate = float(p.rules[0]["rate_per_s"])
        self.nodes = [Node(self.env, int(row["slots"]), int(row["limit"])) for row in p.node]
        names = ("first_s", "per_prompt_token_s", "beyond_2048_s", "per_unit_s", "crowding")
        self.service = [[tuple(float(cell[name]) for name in names) for cell in row] for row in p.service]
        self.served = [[bool(cell["supported"]) for cell in row] for row in p.service]
        self.link = [[(cell["delay_ns"] / SECOND, float(cell["s_per_byte"])) for cell in row] for row in p.link]
        sizes = ("up_bytes", "up_bytes_per_token", "down_bytes", "down_bytes_per_unit")
        self.bytes = [tuple(float(row[name]) for name in sizes) for row in p.model]
        self.laws = [(_law(row["prompt"]), _law(row["units"])) for row in p.model]
        self.model_shares = p.model["cumulative_share"].tolist()
        self.site_shares = p.site.tolist()
        self.decisions = self.rejected = 0
        self.latencies: list[float] = []

    def run(self, n_requests: int) -> float:
        """Let `n_requests` more requests arrive, and no more happen; simulated seconds so far."""
        self.env.run(until=self.env.process(self.arrivals(n_requests)))
        return self.env.now

    def arrivals(self, n_requests: int) -> Generator[simpy.Event, Any, None]:
        """Requests come, and each is sent to the node with the fewest outstanding."""
        env, rng = self.env, self.rng
        models, sites = range(len(self.laws)), range(len(self.link))
        for _ in range(n_requests):
            yield env.timeout(rng.expovariate(self.rate))
            self.decisions += 1
            m = rng.choices(models, cum_weights=self.model_shares)[0]
            site = rng.choices(sites, cum_weights=self.site_shares)[0]
            prompt, units = self.draw(self.laws[m][0]), self.draw(self.laws[m][1])
            open_nodes = [
                (node.outstanding, n)
                for n, node in enumerate(self.nodes)
                if node.outstanding < node.limit and self.served[n][m]
            ]
            if open_nodes:
                env.process(self.request(min(open_nodes)[1], m, site, prompt, units))
            else:
                self.rejected += 1

    def request(self, n: int, m: int, site: int, prompt: int, units: int) -> Generator[simpy.Event, Any, None]:
        """The way of a request to its node and back."""
        env, node, began = self.env, self.nodes[n], self.env.now
        node.outstanding += 1
        delay, s_per_byte = self.link[site][n]
        up, up_per_token, down, down_per_unit = self.bytes[m]
        first, per_prompt, beyond, per_unit, crowding = self.service[n][m]
        yield env.timeout(delay + (up + up_per_token * prompt) * s_per_byte)
        work = first + per_prompt * prompt + beyond * max(prompt - 2048, 0) + per_unit * units
        yield node.submit(work, crowding)
        yield env.timeout(delay + (down + down_per_unit * units) * s_per_byte)
        node.outstanding -= 1
        self.latencies.append(env.now - began)

    def draw(self, law: tuple[int, float, float, float, float]) -> int:
        """A count from a law."""
        kind, a, b, low, high = law
        if kind == EXPONENTIAL:
            a = self.rng.expovariate(1.0 / a)
        elif kind == UNIFORM:
            a = self.rng.uniform(a, b)
        elif kind == LOGNORMAL:
            a = self.rng.lognormvariate(a, b)
        return floor(min(max(a, low), high) + 0.5)


def _law(row: Any) -> tuple[int, float, float, float, float]:
    if row["kind"] not in (CONSTANT, EXPONENTIAL, UNIFORM, LOGNORMAL):
        raise ValueError("the SimPy model has no empirical laws")
    return int(row["kind"]), float(row["a"]), float(row["b"]), float(row["minimum"]), float(row["maximum"])
