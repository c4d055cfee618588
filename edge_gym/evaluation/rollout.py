"""Let one policy play many episodes at once, and keep what the metrics need.

A policy gets observations, masks and the public context: never the worlds, their seeds or the scenario.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from edge_gym.agency import Agency
from edge_gym.envs.batch import Batch, Outcome
from edge_gym.envs.links import log_links
from edge_gym.errors import EdgeGymError, EdgeGymInputError, show
from edge_gym.evaluation.agent_metrics import agent_metrics
from edge_gym.evaluation.metrics import Episode
from edge_gym.kernel.build import World
from edge_gym.kernel.tables import LOG, SECOND, TERMS
from edge_gym.policy import Context, Policy, is_privileged, task_of
from edge_gym.surface import Surface

LONG_S = 1e8  # longer than anybody waits, and safe to add to a time
STREAM = 0x706F6C69  # sets the policies' draws apart from every other use of a world's seed


class Rollout(NamedTuple):
    """Episodes in the order of their seeds, and what deciding cost."""

    episodes: list[Episode]
    decisions: int  # those that were timed: all but the first of each episode
    decide_s: float  # wall clock inside `policy.act`
    total_s: float  # wall clock of everything


def policy_seed(name: str, seeds: Sequence[int]) -> int:
    """Seed of a policy's own draws for these worlds; differs between policies, and from every world's seed."""
    return int(np.random.SeedSequence([STREAM, seeds[0], *name.encode()]).generate_state(1, np.uint64)[0] >> 1)


def roll_out(
    world: World,
    policy: Policy,
    name: str,
    seeds: Sequence[int],
    batch_size: int = 64,
    on_end: Callable[[int], None] | None = None,
    task: str = "",
) -> Rollout:
    """Play one episode of `world` for each seed.

    Row b of the batch is always the world of `seeds[b]`, and the policy always sees all rows. A smaller `batch_size`
    only makes the rows take turns, which saves memory, and cannot change what a policy draws for a row.

    Args:
        world: The scenario made ready to run.
        policy: Who decides.
        name: Its name, for messages and its seed.
        seeds: One for each episode.
        batch_size: How many worlds run at the same time.
        on_end: Called with the number of episodes that have just ended.
        task: What is decided; by default the task that the world is for.

    Raises:
        EdgeGymError: The policy failed or returned something that is not a legal choice.
    """
    began = time.perf_counter()
    episodes: list[Episode] = []
    decisions, decide_s = 0, 0.0
    for first in range(0, len(seeds), batch_size):
        rows = np.zeros(len(seeds), bool)
        rows[first : first + batch_size] = True
        turn = Turn(world, policy, name, seeds, rows, task)
        turn.run(on_end)
        episodes += turn.episodes()
        decisions += turn.decisions
        decide_s += turn.decide_s
    return Rollout(episodes, decisions, decide_s, time.perf_counter() - began)


class Turn:
    """The rows that run at the same time. The others are never begun; their memory is never touched.

    Args:
        world: The scenario made ready to run.
        policy: Who decides.
        name: Its name, for messages and its seed.
        seeds: One for each row.
        rows: (B,) bool, those that run.
        task: What is decided; by default the task that the world is for.
    """

    def __init__(
        self, world: World, policy: Policy, name: str, seeds: Sequence[int], rows: np.ndarray, task: str = ""
    ) -> None:
        self.policy, self.name, self.rows = policy, name, rows
        self.active = rows.copy()
        self.batch = Batch(world, len(seeds), task_of(policy, task or world.scenario.task))
        self.surface = Surface(self.batch) if self.batch.task.control else None
        self.agency = Agency(self.batch) if self.batch.task.asks else None
        self.batch.roots[:] = np.array(seeds, np.uint64)
        self.links = log_links(world) if getattr(policy, "wants_links", False) else None
        self.privileged = _privileged_view(policy, self.batch)
        self.terms, self.reward = np.zeros((len(seeds), len(TERMS))), np.zeros(len(seeds))
        self.ended: list[tuple[np.ndarray, np.ndarray]] = [(np.zeros(0, np.int64), np.zeros(0, LOG))]
        self.decisions, self.decide_s = 0, 0.0

    def run(self, on_end: Callable[[int], None] | None) -> None:
        """Play all episodes to their end, once."""
        batch, active = self.batch, self.active
        self._call("reset", batch.n_worlds, policy_seed(self.name, batch.roots.tolist()))
        obs = _blank(batch)
        self._begin(obs)
        self.ended.append(batch.ended())  # before the first decision, where the world has rules of its own
        dt_s, begun = np.zeros(batch.n_worlds), active.copy()
        while active.any():
            choices = self._decide(obs, dt_s, begun)
            self._set_waits()
            out = self._step(choices)
            self._book(out)
            if out.done.any():
                active &= ~out.done
                if on_end is not None:
                    on_end(int(out.done.sum()))
            obs, dt_s, begun = out.obs, out.dt_s, np.zeros_like(active)

    def episodes(self) -> list[Episode]:
        """What is left of each row that ran."""
        row = np.concatenate([rows for rows, _ in self.ended])
        log = np.concatenate([entries for _, entries in self.ended])
        log = log[np.argsort(row, kind="stable")]
        ends = np.cumsum(np.bincount(row, minlength=self.batch.n_worlds))
        logs = np.split(log, ends[:-1])
        world, time_s = self.batch.state.world, self.batch.time_s
        arrived, masked_s = world["arrived"].copy(), world["masked_s"]
        if self.agency is not None:
            arrived += self.batch.state.agency[:, 0]["arrived"]
        return [
            Episode(
                log=logs[b],
                terms=self.terms[b],
                reward=float(self.reward[b]),
                arrived=int(arrived[b]),
                makespan_s=float(time_s[b]),
                masked_s=float(masked_s[b]),
                calls=int(world["calls"][b]),
                interventions=int(world["interventions"][b]),
                counters=self._counters(int(b)),
            )
            for b in np.flatnonzero(self.rows)
        ]

    def _counters(self, b: int) -> dict[str, float]:
        """What is counted of the agents in an episode, and what the policy counted itself."""
        batch = self.batch
        found = agent_metrics(batch.state.agency[b, 0], batch.world.n_nodes) if self.agency is not None else {}
        return {**found, **(self._call("episode_counters", b) if hasattr(self.policy, "episode_counters") else {})}

    def _decide(self, obs: np.ndarray, dt_s: np.ndarray, begun: np.ndarray) -> np.ndarray:
        """Ask the policy; its choices as (B,) int64, declining where no decision is pending."""
        batch, active = self.batch, self.active
        ended_row, ended = self.ended[-1]
        context = Context(
            time_s=np.where(active, batch.time_s, 0.0),
            dt_s=np.where(active, dt_s, 0.0),
            begun=begun,
            active=active.copy(),
            ended_row=ended_row.copy(),
            ended=ended.copy(),
            n_models=len(batch.world.params.model),
            events=[batch.events(b) if n and active[b] else () for b, n in enumerate(self._news())],
            surface=self.surface,
            agency=self.agency,
            links=self.links,
            privileged=self.privileged,
        )
        began = time.perf_counter()
        answer = self._call("act", obs, batch.mask.copy(), context)
        if len(self.ended) > 2:  # the first call may import and compile
            self.decide_s += time.perf_counter() - began
            self.decisions += int(active.sum())
        return check_choices(answer, active, batch.mask, batch.noop, self.name)

    def _news(self) -> list[int]:
        return self.batch.state.world["news_count"].tolist()

    def _set_waits(self) -> None:
        """When a controller of the fast path wants to be asked again; how long one of agents has thought."""
        if not (self.batch.task.control or self.batch.task.asks):
            return
        for name in ("wait", "wake"):
            seconds = np.minimum(np.maximum(getattr(self.policy, f"{name}_s", 0.0), 0.0), LONG_S)
            self.batch.order[f"{name}_ns"] = np.ceil(seconds * SECOND).astype(np.int64)

    def _call(self, method: str, *arguments: Any) -> Any:
        return call(self.policy, self.name, method, *arguments)

    def _begin(self, obs: np.ndarray) -> None:
        self.batch.reset(self.active, obs)

    def _step(self, choices: np.ndarray) -> Outcome:
        return self.batch.step(choices, ~self.active, _blank(self.batch))

    def _book(self, out: Outcome) -> None:
        self.reward += out.reward
        self.terms += out.terms
        self.ended.append(self.batch.ended())


def check_choices(answer: Any, active: np.ndarray, mask: np.ndarray, noop: int, name: str) -> np.ndarray:
    """What a policy answered, as (B,) int64 legal choices; `noop` where nothing is to be decided.

    Args:
        answer: What `act` returned.
        active: (B,) bool, rows with a pending decision.
        mask: (B, A) bool, the choices that are legal.
        noop: The choice that changes nothing.
        name: Of the policy, for messages.

    Raises:
        EdgeGymError: It is something else, or not legal.
    """
    try:
        choices = np.asarray(answer)
    except (ValueError, TypeError):
        choices = np.array(None)
    if choices.shape != active.shape or choices.dtype.kind not in "iu":
        found = f"{type(answer).__name__} of shape {choices.shape} and dtype {choices.dtype}"
        raise EdgeGymError(f"policy '{name}' returned {found}: must be {len(active)} integers")
    n_actions = mask.shape[1]
    # Unsigned numbers beyond int64 would wrap around into legal ones.
    choices = np.where(active, np.minimum(choices, n_actions), noop).astype(np.int64)
    legal = (choices >= 0) & (choices < n_actions)
    legal &= mask[np.arange(len(active)), np.where(legal, choices, noop)]
    wrong = np.flatnonzero(active & ~legal)
    if len(wrong):
        b = int(wrong[0])
        allowed = show(np.flatnonzero(mask[b]).tolist())
        chosen = np.asarray(answer)[b]
        raise EdgeGymError(f"policy '{name}' chose {chosen} in row {b}: legal now are {allowed}")
    return choices


def call(policy: Policy, name: str, method: str, *arguments: Any) -> Any:
    """Call a method of a policy; whatever it raises names the policy.

    Raises:
        EdgeGymError: It failed.
    """
    try:
        return getattr(policy, method)(*arguments)
    except EdgeGymInputError as error:  # what was given to it is wrong, not the policy
        where = f"policy '{name}' in {method}"
        raise error.moved(where=f"{where}: {error.where}" if error.where else where) from error
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise EdgeGymError(f"policy '{name}' failed in {method}: {reason}") from error


def _blank(batch: Batch) -> np.ndarray:
    """Zeros, for rows that are skipped are not written, and a policy computes with every row."""
    return np.zeros(batch.empty_obs().shape, np.float32)  # unlike zeros_like, this touches no memory


def _privileged_view(policy: Policy, batch: Batch) -> Any:
    if not is_privileged(policy):
        return None
    from edge_gym.privileged import Privileged

    return Privileged(batch)
