"""A few episodes of a run, played again exactly, for what their rows do not say: who waited when, and why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from edge_gym.errors import EdgeGymInputError
from edge_gym.evaluation.recording import Recording, record
from edge_gym.kernel.tables import SECOND
from edge_gym.policy import make_policy
from edge_gym.report.regimes import Regime
from edge_gym.report.run_data import Run
from edge_gym.scenario import Scenario
from edge_gym.scenario.io import fingerprint, loads

MAX_RECORDINGS = 100  # seeds
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
        step_s: (K,) end of each step of the controller.
        cost: (K,) minus the reward of each step.
        marks: What happened in the world; the same for every policy.
        n_nodes: Of the world.
    """

    seed: int
    arrive_s: np.ndarray
    latency_s: np.ndarray
    node: np.ndarray
    step_s: np.ndarray
    cost: np.ndarray
    marks: tuple[Mark, ...]
    n_nodes: int


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
    scenario = _scenario(run, regime)
    episodes: dict[str, list[Episode]] = {}
    left_out = {}
    for policy in regime.policies:
        reason = _why_not(regime, policy)
        if reason:
            left_out[policy] = reason
            continue
        episodes[policy] = list(_episodes(scenario, regime, policy, recordings))
    return Played(episodes, left_out)


def _episodes(scenario: Scenario, regime: Regime, policy: str, recordings: int) -> Iterator[Episode]:
    for row in regime.episodes[policy][:recordings]:
        found = record(scenario, policy, row["seed"], regime.task, seeds=regime.seeds, every_s=1e9)
        found.compare(row, "was the run made with another version? --recordings 0 makes a report without playing")
        yield _episode(found)


def _episode(found: Recording) -> Episode:
    log = np.sort(found.requests, order="arrive_ns")
    return Episode(
        seed=found.seed,
        arrive_s=log["arrive_ns"] / SECOND,
        latency_s=log["latency_ns"] / SECOND,
        node=log["node"].astype(np.int64),
        step_s=found.reward_time_s,
        cost=-found.reward,
        marks=tuple(sorted([*_onsets(found), *_messages(found)])),
        n_nodes=found.world.n_nodes,
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


def _scenario(run: Run, regime: Regime) -> Scenario:
    """The scenario from the manifest, checked as strictly as a file."""
    where = "manifest.json: scenarios"
    for given in _entries(run.manifest.get("scenarios")):
        if given.get("fingerprint") != regime.fingerprint:
            continue
        plain = {key: value for key, value in given.items() if key != "fingerprint"}
        scenario = loads(json.dumps(plain), "json", f"{where} {regime.scenario[:80]}")
        if fingerprint(scenario) != regime.fingerprint:
            hint = "it, or a file that it names, has changed"
            raise EdgeGymInputError("fingerprint", fingerprint(scenario), regime.fingerprint, where, hint)
        return scenario
    raise EdgeGymInputError("fingerprint", regime.fingerprint, "that of a scenario in the manifest", where)


def _entries(value: Any) -> list[dict[str, Any]]:
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _why_not(regime: Regime, policy: str) -> str:
    """Why a policy cannot be played again; "" if it can."""
    if regime.row[policy]["bound"]:
        return "a bound plays nothing"
    try:
        made = make_policy(policy)
    except EdgeGymInputError as error:
        return str(error)
    if hasattr(made, "begin_shard"):
        return "it asks a language model; edge-gym replay plays it from a transcript"
    return ""
