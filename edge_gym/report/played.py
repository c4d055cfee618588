"""A few episodes of a run, played again exactly, for what their rows do not say: who waited when, and why."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from edge_gym.envs.common import resolve_task
from edge_gym.errors import EdgeGymError, EdgeGymInputError, printable
from edge_gym.evaluation.metrics import episode_metrics
from edge_gym.evaluation.recording import Recording, record
from edge_gym.evaluation.rollout import Turn
from edge_gym.evaluation.shards import plan
from edge_gym.evaluation.sites import by_sites
from edge_gym.kernel.tables import SECOND
from edge_gym.policy import make_policy
from edge_gym.report.regimes import Regime
from edge_gym.report.run_data import Run
from edge_gym.scenario import Scenario

MAX_RECORDINGS = 100  # seeds
HINT = "was the run made with another version? --recordings 0 makes a report without playing"
NOTHING = np.zeros(0)
HEALTHY = 0.95  # of its best speed
NODE, MESSAGE = "node", "message"


class Mark(NamedTuple):
    """Something that happened: a node became slower or left (true, privileged), or a message came."""

    time_s: float
    node: int
    kind: str  # NODE or MESSAGE
    text: str


class Episode(NamedTuple):
    """One episode of one policy.

    Attributes:
        seed: Of the world.
        arrive_s: (n,) ascending, simulated seconds.
        latency_s: (n,) of the same requests, as charged.
        node: (n,) that served each; negative: none.
        step_s: (K,) end of each step of the controller; empty for requests.
        cost: (K,) minus the reward of each step.
        marks: What happened in the world; the same for every policy.
    """

    seed: int
    arrive_s: np.ndarray
    latency_s: np.ndarray
    node: np.ndarray
    step_s: np.ndarray
    cost: np.ndarray
    marks: tuple[Mark, ...]


class Played(NamedTuple):
    """The episodes of a regime: for each policy the same seeds; and why some policies are not there."""

    episodes: dict[str, list[Episode]]
    left_out: dict[str, str]


def play(run: Run, regime: Regime, recordings: int) -> Played:
    """Plays the first worlds of a regime again with every policy.

    Args:
        run: The run.
        regime: One of its regimes.
        recordings: How many seeds.

    Raises:
        EdgeGymError: What is played differs from what the run says; or the manifest does not hold the scenario.
    """
    scenario = run.finished.scenario(next(iter(regime.episodes.values()))[0])
    if by_sites(regime.episodes[regime.policies[0]][0]):
        return Played({}, dict.fromkeys(regime.policies, "the sites decided, and such episodes are not recorded"))
    reasons = {policy: _why_not(policy) for policy in regime.policies}
    left_out = {policy: reason for policy, reason in reasons.items() if reason}
    if regime.reference in left_out:
        return Played({}, left_out)
    reference = _recorded(scenario, regime, regime.reference, recordings)
    if not regime.agents and not all(len(one.arrive_s) for one in reference):
        return Played({}, dict.fromkeys(regime.policies, "in some of these episodes no request arrives"))
    episodes = {}
    for policy in (name for name in reasons if name not in left_out):
        if policy == regime.reference:
            episodes[policy] = reference
        elif regime.agents:
            episodes[policy] = _recorded(scenario, regime, policy, recordings)
        else:
            episodes[policy] = _rolled_out(scenario, regime, policy, reference)
    return Played(episodes, left_out)


def _recorded(scenario: Scenario, regime: Regime, policy: str, recordings: int) -> list[Episode]:
    """Step by step, with what happened in the world."""
    found = []
    for row in regime.episodes[policy][:recordings]:
        one = record(scenario, policy, row["seed"], regime.task, seeds=regime.seeds, every_s=1e9)
        one.compare(row, HINT)
        marks = tuple(sorted([*_onsets(one), *_messages(one)]))
        found.append(_episode(one.seed, one.requests, marks, one.reward_time_s, -one.reward))
    return found


def _rolled_out(scenario: Scenario, regime: Regime, policy: str, like: list[Episode]) -> list[Episode]:
    """Requests alone, all worlds at the same time, which is many times faster; worlds are those of `like`."""
    found: dict[int, Episode] = {}
    marks = {one.seed: one.marks for one in like}
    for shard in plan([policy], regime.task, scenario, regime.seeds, 64, {}):
        rows = np.isin(shard.seeds, list(marks))
        if not rows.any():
            continue
        world = resolve_task(shard.task, shard.scenario, {})[1]
        turn = Turn(world, make_policy(policy), policy, shard.seeds, rows)
        turn.run(None)
        seeds = np.array(shard.seeds)[rows].tolist()
        for seed, played in zip(seeds, turn.episodes(), strict=True):
            row = regime.episodes[policy][regime.seeds.index(seed)]
            _compare(episode_metrics(played, world.params.model["kind"]), row)
            found[seed] = _episode(seed, played.log, marks[seed])
    return [found[one.seed] for one in like]


def _compare(metrics: dict[str, Any], row: dict[str, Any]) -> None:
    wrong = [name for name, value in metrics.items() if row.get(name) != value]
    if wrong:
        raise EdgeGymError(
            f"this is not the episode that was evaluated: seed {row['seed']} of {printable(row['policy'], 60)} differs "
            f"in {len(wrong)} metrics ({', '.join(wrong[:4])}); {HINT}"
        )


def _episode(
    seed: int, requests: np.ndarray, marks: tuple[Mark, ...], step_s: np.ndarray = NOTHING, cost: np.ndarray = NOTHING
) -> Episode:
    log = np.sort(requests, order="arrive_ns")
    return Episode(
        seed=seed,
        arrive_s=log["arrive_ns"] / SECOND,
        latency_s=log["latency_ns"] / SECOND,
        node=log["node"].astype(np.int64),
        step_s=step_s,
        cost=cost,
        marks=marks,
    )


def _onsets(found: Recording) -> Iterator[Mark]:
    """When a node that was present and at its best speed no longer is."""
    changes = found.changes
    for node in np.unique(changes["node"]).tolist():
        own = changes[changes["node"] == node]
        good = (own["alive"] == 1) & (own["speed"] >= HEALTHY * own["speed"].max(initial=0.0))
        for k in np.flatnonzero(good[:-1] & ~good[1:]) + 1:
            name = found.world.node_names[node]
            what = "leaves" if own["alive"][k] == 0 else "slows down"
            yield Mark(float(own["time_s"][k]), node, NODE, f"{name} {what}")


def _messages(found: Recording) -> Iterator[Mark]:
    for message in found.messages:
        yield Mark(message.time_s, message.node, MESSAGE, message.text)


def _why_not(policy: str) -> str:
    """Why a policy cannot be played again; "" if it can."""
    try:
        made = make_policy(policy)
    except EdgeGymInputError as error:
        return str(error)
    if hasattr(made, "begin_shard"):
        return "it asks a language model; edge-gym replay plays it from a transcript"
    return ""
