"""One episode of an evaluation, played again exactly, with everything kept that people want to look at.

The scenario and the seed fix everything exogenous, and a policy sees all rows of its shard whichever of them run
(`rollout.Turn`); so playing one row alone is what the evaluation played. `Recording.compare` proves it by the metrics.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from edge_gym.envs.batch import Batch
from edge_gym.envs.common import check_seed, resolve_task
from edge_gym.errors import EdgeGymError, EdgeGymInputError
from edge_gym.evaluation.lodgers import AGENT, MOVE, WHEREABOUTS
from edge_gym.evaluation.metrics import episode_metrics
from edge_gym.evaluation.results import KEYS
from edge_gym.evaluation.shards import Shard, plan
from edge_gym.evaluation.watching import DECISION, Message, ToolCall, Watched
from edge_gym.kernel.build import World
from edge_gym.kernel.tables import SECOND, TERMS
from edge_gym.policy import Policy, make_policy
from edge_gym.scenario import Scenario

CHANGE = np.dtype(  # privileged: what a node is like from then on, whatever anybody does
    [
        ("time_s", "f8"),
        ("node", "i4"),
        ("alive", "i4"),
        ("speed", "f8"),  # over nominal
        ("incarnation", "i4"),  # how often it has joined
        ("pad", "i4"),
    ]
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recording:
    """An episode. Times ending in `_s` are simulated seconds since it began, those ending in `_ns` nanoseconds.

    Attributes:
        task: Name of the task.
        scenario: The world.
        policy: Name of the policy.
        privileged: Whether the policy sees what only an oracle may see.
        seed: Of the world.
        world: The scenario made ready to run: names of nodes and models, the network for drawing.
        metrics: As in the evaluation's row (`edge_gym.evaluation.metrics.METRICS`, then counters).
        requests: (n,) `edge_gym.kernel.tables.LOG`, in the order in which they ended.
        deadline_s: (n,) seconds from the arrival of each of them to its deadline.
        time_s: (T,) of the samples, ascending.
        nodes: (T, N) `watching.NODE_SAMPLE`.
        resident: (T, N, M) int8: a model is absent (0), loading (1) or resident (2).
        messages: Every message as it came, with what the shipped parser reads in it.
        changes: (C,) `CHANGE`, true speed and presence. Privileged: no controller is told.
        calls: Tool calls of a controller of the fast path.
        decisions: (D,) `watching.DECISION`, about requests and agents; none of a controller of the fast path.
        reward_time_s: (K,) end of each step.
        reward: (K,) of each step.
        terms: (K, 8) unweighted reward terms of each step, in the order of `edge_gym.kernel.tables.TERMS`.
        agents: (A,) `lodgers.AGENT`.
        moves: (G,) `lodgers.MOVE`, starts and migrations.
        users: (U,) `lodgers.WHEREABOUTS`.
    """

    task: str
    scenario: Scenario
    policy: str
    privileged: bool
    seed: int
    world: World
    metrics: dict[str, float | int | None]
    requests: np.ndarray
    deadline_s: np.ndarray
    time_s: np.ndarray
    nodes: np.ndarray
    resident: np.ndarray
    messages: tuple[Message, ...]
    changes: np.ndarray
    calls: tuple[ToolCall, ...]
    decisions: np.ndarray
    reward_time_s: np.ndarray
    reward: np.ndarray
    terms: np.ndarray
    agents: np.ndarray
    moves: np.ndarray
    users: np.ndarray

    def compare(self, row: Mapping[str, Any], why: str = "") -> None:
        """Compare with the row of an evaluation: every metric must be the same number.

        Args:
            row: A row of `Results.rows` or of `episodes.jsonl`.
            why: What may be the reason if they differ, for the message.

        Raises:
            EdgeGymError: Something differs; names the first few.
        """
        theirs = {name: value for name, value in row.items() if name not in KEYS}
        names = [*self.metrics, *(name for name in theirs if name not in self.metrics)]
        wrong = [name for name in names if self.metrics.get(name, "-") != theirs.get(name, "-")]
        if not wrong:
            return
        mine, other = ({name: found.get(name, "-") for name in wrong[:4]} for found in (self.metrics, theirs))
        text = f"this is not the episode that was evaluated: {len(wrong)} metrics differ, here {mine}, there {other}"
        raise EdgeGymError(f"{text}; {why}" if why else text)


def record(
    scenario: Any,
    policy: str | Policy,
    seed: int,
    task: str = "routing",
    *,
    seeds: Iterable[int] | None = None,
    every_s: float = 0.25,
    on_sample: Callable[[Batch, int], None] | None = None,
    **overrides: Any,
) -> Recording:
    """Play one episode again exactly as an evaluation played it.

    Args:
        scenario: Preset name, file or `Scenario`.
        policy: Name of the policy, or the policy.
        seed: Of the world.
        task: Name of the task.
        seeds: Of the evaluation that the episode was part of: what a policy draws depends on them. By default that
            of `seed` alone.
        every_s: Simulated seconds between two samples at least. Samples are taken when a decision is due or, where
            many requests pass between decisions, when a request ends.
        on_sample: Called with a batch and a row in it whenever a sample is taken, to draw it; must only look.
        **overrides: Fields of the scenario.

    Raises:
        EdgeGymInputError: An argument is not valid, or the policy is a bound, which plays nothing.
        EdgeGymError: The policy failed or chose illegally.
    """
    seed = check_seed(seed)
    every = [seed] if seeds is None else list(seeds)
    if seed not in every:
        raise EdgeGymInputError("seed", seed, f"one of the {len(every)} seeds of the evaluation", "record")
    if not every_s > 0:
        raise EdgeGymInputError("every_s", every_s, "> 0 (s)", "record")
    if "by_site" in overrides:
        raise EdgeGymInputError(
            "by_site", overrides["by_site"], "left out: what sites decide is not recorded", "record"
        )
    shards = plan([policy], task, scenario, every, 64, overrides)
    shard = next(shard for shard in shards if seed in shard.seeds)
    if shard.bound:
        raise EdgeGymInputError("policy", shard.policy, "a policy: a bound decides nothing", "record")
    world = resolve_task(shard.task, shard.scenario, {})[1]
    return _recording(shard, world, _played(shard, world, seed, every_s, on_sample), seed)


def _played(
    shard: Shard, world: World, seed: int, every_s: float, on_sample: Callable[[Batch, int], None] | None
) -> Watched:
    """The rollout of the shard, with only the wanted row unless the policy keeps something for all rows together."""
    policy = make_policy(shard.policy) if shard.given is None else shard.given
    row = shard.seeds.index(seed)
    together = hasattr(policy, "begin_shard")  # budgets and transcripts count the questions of all episodes
    rows = np.arange(len(shard.seeds)) == row
    turn = Watched(
        world,
        policy,
        shard.policy,
        shard.seeds,
        rows | together,
        shard.task,
        row=row,
        every_s=every_s,
        on_sample=on_sample,
    )
    if together:
        policy.begin_shard(shard.label)  # type: ignore[attr-defined]
    try:
        turn.run(None)
    finally:
        if together and hasattr(policy, "close"):
            policy.close()  # type: ignore[attr-defined]
    return turn


def _recording(shard: Shard, world: World, turn: Watched, seed: int) -> Recording:
    episode = turn.episodes()[int(np.count_nonzero(turn.rows[: turn.row]))]
    lodgers = turn.lodgers
    reward_time_s, reward, terms = zip(*turn.rewards, strict=True)
    return Recording(
        task=shard.task,
        scenario=shard.scenario,
        policy=shard.policy,
        privileged=shard.privileged,
        seed=seed,
        world=world,
        metrics=episode_metrics(episode, world.params.model["kind"]),
        requests=episode.log,
        deadline_s=world.params.model["deadline_ns"][episode.log["model"]] / SECOND,
        time_s=np.array(turn.times),
        nodes=np.array(turn.nodes),
        resident=np.array(turn.resident),
        messages=tuple(turn.messages),
        changes=_changes(world, seed),
        calls=tuple(turn.tool_calls),
        decisions=np.array(turn.choices, DECISION),
        reward_time_s=np.array(reward_time_s),
        reward=np.array(reward),
        terms=np.array(terms).reshape(-1, len(TERMS)),
        agents=_table(lodgers.found.values() if lodgers else (), AGENT),
        moves=_table(lodgers.moves if lodgers else (), MOVE),
        users=_table(lodgers.users if lodgers else (), WHEREABOUTS),
    )


def _changes(world: World, seed: int) -> np.ndarray:
    """What nodes are truly like, without what does not change."""
    from edge_gym.privileged import foreknow, foreknow_agents

    stretch = (foreknow_agents if world.n_agents else foreknow)(world, seed).stretch
    table = np.zeros(len(stretch), CHANGE)
    for name in ("node", "alive", "speed", "incarnation"):
        table[name] = stretch[name]
    table["time_s"] = stretch["time_ns"] / SECOND
    last: dict[int, Any] = {}
    kept = []
    for k, (node, *now) in enumerate(table[["node", "alive", "speed", "incarnation"]].tolist()):
        if last.get(node) != now:
            kept.append(k)
        last[node] = now
    return table[kept]


def _table(rows: Iterable[Any], kind: np.dtype) -> np.ndarray:
    return np.array([tuple(row) for row in rows], kind)
