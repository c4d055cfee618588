"""Let one policy decide for every site of many worlds, each site for itself, or for all sites on central books.

Each site has its own copy of the policy's memory: it is a row of the batch that the policy sees. On central books
there is one copy for each world, as of a router that is asked about the requests of all sites one after the other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from edge_gym.envs.batch import Event
from edge_gym.envs.links import log_links
from edge_gym.envs.sites_batch import make_sites_batch
from edge_gym.evaluation.agent_metrics import agent_metrics
from edge_gym.evaluation.deciders import check_for_sites
from edge_gym.evaluation.metrics import Episode
from edge_gym.evaluation.rollout import Rollout, call, check_choices, policy_seed
from edge_gym.kernel.build import World
from edge_gym.kernel.tables import TERMS
from edge_gym.policy import Context, Policy
from edge_gym.site_agency import SiteAgency
from edge_gym.tasks import get_task

REFUSED, REFUSED_SHARE = "sites.refused", "sites.refused_share"  # counters of every episode that sites decided


def roll_out_sites(
    world: World,
    policy: Policy,
    name: str,
    seeds: Sequence[int],
    rules: np.ndarray,
    task: str = "routing",
    on_end: Callable[[int], None] | None = None,
) -> Rollout:
    """Play one episode of `world` for each seed.

    Args:
        world: The scenario made ready to run.
        policy: Who decides; one that decides the task itself, without privileges.
        name: Its name, for its seed.
        seeds: One for each episode.
        rules: How the sites decide (`edge_gym.envs.sites_batch.site_rules`).
        task: What they decide.
        on_end: Called with the number of episodes that have just ended.

    Returns:
        Episodes in the order of the seeds, each with the counters `sites.refused` and `sites.refused_share` (of all
        decisions of its sites), and what deciding cost.

    Raises:
        EdgeGymInputError: The policy is privileged, or decides something else.
        EdgeGymError: It failed, or chose what is not legal.
    """
    check_for_sites(policy, name, task)
    began = time.perf_counter()
    play = _Play(world, policy, name, seeds, rules, task)
    while not play.over.all():
        ended = play.step()
        if ended and on_end is not None:
            on_end(ended)
    return Rollout(play.episodes(), play.decisions, play.decide_s, time.perf_counter() - began)


def by_sites(row: Mapping[str, Any]) -> bool:
    """Whether the sites decided the episode of a row of `episodes.jsonl`."""
    return REFUSED in row


class _Play:
    """All episodes at once. A seat is a row that the policy sees: a site, or a world on central books."""

    def __init__(
        self, world: World, policy: Policy, name: str, seeds: Sequence[int], rules: np.ndarray, task: str
    ) -> None:
        self.policy, self.name, self.world = policy, name, world
        self.batch = make_sites_batch(get_task(task), world, len(seeds), rules)
        self.batch.roots[:] = np.array(seeds, np.uint64)
        self.sites = self.batch.n_sites
        self.per_seat = self.sites if rules["central"][0] else 1
        self.over = np.zeros(len(seeds), bool)
        self.terms, self.reward = np.zeros((len(seeds), len(TERMS))), np.zeros(len(seeds))
        self.obs = np.zeros(self.batch.empty_obs().shape, np.float32)
        self.batch.reset(~self.over, self.obs)
        n_seats = self.batch.n_rows // self.per_seat
        self.dt_s, self.begun = np.zeros(n_seats), np.ones(n_seats, bool)
        self.rows, self.log = ([table] for table in self.batch.ended())
        self.agency = SiteAgency(self.batch, bool(rules["central"][0])) if self.batch.task.asks else None
        self.decided = np.zeros(len(seeds), np.int64)
        self.links = log_links(world) if getattr(policy, "wants_links", False) else None
        self.decisions, self.decide_s = 0, 0.0
        call(policy, name, "reset", n_seats, policy_seed(name, seeds))

    def step(self) -> int:
        """One step of every world that goes on; returns how many end with it."""
        batch, asked = self.batch, self._asked()
        mask = batch.mask[asked]
        if self.agency is not None:
            self.agency.sit(asked)
        seats_of_world = len(asked) // batch.n_worlds
        context = Context(
            time_s=np.repeat(batch.time_s, seats_of_world),
            dt_s=self.dt_s,
            begun=self.begun,
            active=batch.active[asked] & ~np.repeat(self.over, seats_of_world),
            ended_row=self.rows[-1] // self.per_seat,
            ended=self.log[-1],
            n_models=len(self.world.params.model),
            events=self._events(seats_of_world),
            agency=self.agency,
            links=self.links,
        )
        active = context.active.copy()
        began = time.perf_counter()
        answer = call(self.policy, self.name, "act", self.obs[asked], mask.copy(), context)
        if len(self.rows) > 1:  # the first call may import and compile
            self.decide_s += time.perf_counter() - began
            self.decisions += int(active.sum())
        choices = check_choices(answer, active, mask, batch.noop, self.name)
        self.decided += active.reshape(batch.n_worlds, -1).sum(axis=1)
        actions = np.full(batch.n_rows, batch.noop, np.int64)
        actions[asked] = choices
        out = batch.step(actions, self.over, self.obs)
        self.reward += out.reward.reshape(batch.n_worlds, -1).sum(axis=1)
        self.terms += out.terms.reshape(batch.n_worlds, -1, len(TERMS)).sum(axis=1)
        ended = out.done[:: self.sites] & ~self.over
        self.over = self.over | ended
        self.dt_s, self.begun = np.repeat(out.dt_s[:: self.sites], seats_of_world), np.zeros(len(asked), bool)
        rows, log = batch.ended()
        self.rows.append(rows)
        self.log.append(log)
        return int(ended.sum())

    def episodes(self) -> list[Episode]:
        """What is left of each."""
        worlds, log = np.concatenate(self.rows) // self.sites, np.concatenate(self.log)
        state, n_nodes = self.batch.state, self.world.n_nodes
        refused = state.panel["refused"].sum(axis=1)  # without a row where nobody decides at the same time
        arrived, world, agency = state.world["arrived"].copy(), state.world, state.agency
        if self.agency is not None:
            arrived += agency["arrived"][:, 0]
        found = [agent_metrics(agency[b, 0], n_nodes) if self.agency else {} for b in range(len(self.over))]
        found = [counted | self._own_counters(b) for b, counted in enumerate(found)]
        order = np.argsort(worlds, kind="stable")
        logs = np.split(log[order], np.cumsum(np.bincount(worlds, minlength=len(self.over)))[:-1])
        return [
            Episode(
                log=logs[b],
                terms=self.terms[b],
                reward=float(self.reward[b]),
                arrived=int(arrived[b]),
                makespan_s=float(self.batch.time_s[b]),
                masked_s=float(world["masked_s"][b]),
                calls=int(world["calls"][b]),
                interventions=int(world["interventions"][b]),
                counters=found[b] | {REFUSED: int(refused[b]), REFUSED_SHARE: refused[b] / max(self.decided[b], 1)},
            )
            for b in range(len(self.over))
        ]

    def _own_counters(self, b: int) -> dict[str, float]:
        """What the policy has counted itself, summed over the seats of a world."""
        if not hasattr(self.policy, "episode_counters"):
            return {}
        seats = len(self.dt_s) // len(self.over)
        total: dict[str, float] = {}
        for seat in range(b * seats, (b + 1) * seats):
            for name, value in call(self.policy, self.name, "episode_counters", seat).items():
                total[name] = total.get(name, 0) + value
        return total

    def _events(self, seats_of_world: int) -> list[tuple[Event, ...]]:
        """What every seat hears: all that is said in its world."""
        counts = self.batch.state.world["news_count"].tolist()
        return [found for b, n in enumerate(counts) for found in [self.batch.events(b) if n else ()] * seats_of_world]

    def _asked(self) -> np.ndarray:
        """The row of the batch in each seat: every site, or in each world the one that is asked."""
        if self.per_seat == 1:
            return np.arange(self.batch.n_rows)
        active = self.batch.active.reshape(-1, self.sites)
        return active.argmax(axis=1) + np.arange(len(active)) * self.sites
