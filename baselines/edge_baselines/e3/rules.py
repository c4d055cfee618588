"""`e3_rules`: the meta-controller without a language model, by parser and thresholds; default and fallback.

It reads every message with the shipped parser, closes the gate of a node while its user is said to be in the
foreground or the node severely slowed, and opens it when that is over. It measures what it does not know: newcomers,
nodes whose trouble is over, and nodes that were found slow and have been silent since.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from edge_baselines.e3.reasons import why_gates, why_probe
from edge_gym.events.parser import Reading, read
from edge_gym.events.phrases import STAGES
from edge_gym.kernel import observe_control as seen
from edge_gym.kernel.observe import decode_ratio, decode_time
from edge_gym.policy import Context
from edge_gym.surface import LEVELS, Surface

AHEAD, NOW, OVER, CANCELLED, _ = range(len(STAGES))
OPEN, CAUTION, CLOSED = range(len(LEVELS))
SOON_S = 1e-6  # the turn that was asked for may begin a rounding error too early


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSettings:
    """Thresholds of the rules.

    Attributes:
        margin_s: A gate closes this long before a foreground event is said to begin.
        unsaid_s: How long an event is believed in of which nobody says how long it lasts; for as long again its gate
            stays at caution.
        foresee: A gate is at caution from the announcement of an event that will close it.
        severe: Said slow-down from which a node is closed though its user is not in the foreground.
        cautious: Said slow-down from which its gate is at caution.
        quarantine_s: A node that has joined stays at caution until it was found sound, but no longer than this.
        cold_probes: Models measured on every node in the first turn, in the order of the scenario.
        probe_after: Measure a node when its event is over.
        probe_slow: Measure a silent node believed at least this much slower than its prior; inf: never.
        silent_s: How long it has been silent.
        probes: Probes at once; 0: it never measures.
        gates: Whether it moves gates.
        explore_s: For how long after the beginning the router explores more (`configure_router`); 0: it is left alone.
        max_calls: Tool calls in an episode.
    """

    margin_s: float = 0.0
    unsaid_s: float = 15.0
    foresee: bool = True
    severe: float = 6.0
    cautious: float = 2.5
    quarantine_s: float = 30.0
    cold_probes: int = 1
    probe_after: bool = True
    probe_slow: float = 2.5
    silent_s: float = 3.0
    probes: int = 1
    gates: bool = True
    explore_s: float = 0.0
    max_calls: float = np.inf


@dataclass(slots=True)
class Belief:
    """What one world's controller believes.

    Attributes:
        begin_s: (N,) when the event of each node begins; inf: none is known.
        end_s: (N,) when it ends.
        doubt_s: (N,) for how long after that it may still go on.
        level: (N,) the gate it calls for.
        joined_s: (N,) when each node that is in quarantine joined; -inf: it is not.
        alive: (N,) which nodes were there at the last turn.
        calls: Tool calls still to be made in this turn.
        planned: The plan of this turn has been made.
        cold: Nothing has been measured yet.
        made: Tool calls of this episode.
        why: Reasons of the calls of this turn, by action.
        last: The last call made; -1: none.
    """

    begin_s: np.ndarray
    end_s: np.ndarray
    doubt_s: np.ndarray
    level: np.ndarray
    joined_s: np.ndarray
    alive: np.ndarray
    calls: deque[int] = field(default_factory=deque)
    planned: bool = False
    cold: bool = True
    made: int = 0
    why: dict[int, str] = field(default_factory=dict)
    last: int = -1


class Rules:
    """Rules for every world of a batch. Decides MetaControl; `act` returns one tool call for each world."""

    task = "metacontrol"

    def __init__(self, settings: RuleSettings | None = None) -> None:
        self.settings = settings or RuleSettings()

    def reset(self, n_envs: int, seed: int) -> None:
        """Forget everything."""
        self._beliefs: list[Belief | None] = [None] * n_envs
        self.wake_s = np.zeros(n_envs)

    def act(self, obs: np.ndarray, action_mask: np.ndarray, context: Context) -> np.ndarray:
        """(B,) tool calls: those of the plan that are legal, then finish."""
        surface = context.surface
        choice = np.full(len(obs), surface.finish)
        for b in np.flatnonzero(context.active).tolist():
            belief = self._beliefs[b]
            if belief is None or context.begun[b]:
                belief = self._beliefs[b] = blank(len(surface.nodes))
            if context.dt_s[b] > 0.0:  # somebody else may have ended its turn: a learner, whom it only advises
                belief.calls.clear()
                belief.planned = False
            if not belief.planned:
                self.listen(belief, surface, context.events[b], context.time_s[b])
                belief.calls.extend(self.plan(belief, surface, obs[b], context.time_s[b]))
                belief.planned = True
            choice[b] = self._next(belief, action_mask[b], surface.finish)
            if choice[b] == surface.finish:
                belief.planned = False
                self.wake_s[b] = self.next_wake(belief, context.time_s[b])
        return choice

    def _next(self, belief: Belief, legal: np.ndarray, finish: int) -> int:
        while belief.calls:
            call = belief.calls.popleft()
            if legal[call] and belief.made < self.settings.max_calls:
                belief.made += 1
                belief.last = call
                return call
        return finish

    def reason(self, b: int) -> str:
        """Why the last tool call in row `b` was made, in words."""
        belief = self._beliefs[b]
        return "" if belief is None else belief.why.get(belief.last, "")

    def listen(self, belief: Belief, surface: Surface, events: tuple, now_s: float) -> None:
        """Take note of the messages."""
        for event in events:
            reading = read(event.text, surface.nodes)
            if reading.node is not None:
                self.note(belief, surface.nodes.index(reading.node), reading, event.time_s, now_s)

    def note(self, belief: Belief, n: int, reading: Reading, said_s: float, now_s: float) -> None:
        """Take note of what one message says of node `n`."""
        if reading.stage in (OVER, CANCELLED):
            belief.end_s[n] = min(belief.end_s[n], now_s)
            belief.doubt_s[n] = 0.0
        elif reading.stage in (AHEAD, NOW):
            onset_s = reading.onset_s if reading.stage == AHEAD and reading.onset_s is not None else 0.0
            lasts_s = self.settings.unsaid_s if reading.duration_s is None else reading.duration_s
            belief.doubt_s[n] = lasts_s if reading.duration_s is None else 0.0
            belief.begin_s[n] = said_s + onset_s
            belief.end_s[n] = said_s + onset_s + lasts_s
            belief.level[n] = self.level_of(reading)

    def level_of(self, reading: Reading) -> int:
        """The gate that an event calls for."""
        if reading.foreground or reading.slowdown >= self.settings.severe:
            return CLOSED
        return CAUTION if reading.slowdown >= self.settings.cautious else OPEN

    def plan(self, belief: Belief, surface: Surface, obs: np.ndarray, now_s: float) -> list[int]:
        """The tool calls of this turn: gates first, the worst first, then probes."""
        rows = obs[:-1]
        gate = np.rint(rows[:, seen.GATE] * CLOSED).astype(int)
        alive = rows[:, seen.ALIVE] > 0
        over = alive & (belief.end_s + belief.doubt_s <= now_s + SOON_S)
        quarantine = np.where(self.quarantined(belief, rows, alive, now_s), CAUTION, OPEN)
        announced, cold = self.wanted(belief, now_s), belief.cold
        wanted = np.maximum(announced, quarantine)
        order = np.lexsort((belief.end_s, -wanted))
        order = sorted(order.tolist(), key=lambda n: wanted[n] > gate[n])  # what opens makes room for what closes
        moved = [n for n in order if self.settings.gates and alive[n] and wanted[n] != gate[n]]
        calls = [surface.set_risk_gate(n, int(wanted[n])) for n in moved]
        belief.why = dict(zip(calls, why_gates(moved, wanted, announced, belief.end_s), strict=True))
        probes = self.probes(surface, rows, belief, over) if self.settings.probes else []
        belief.why |= dict.fromkeys(probes, why_probe(cold))
        calls += probes
        if self.settings.explore_s > 0.0:
            calls.append(surface.set_exploration(0.5 if now_s < self.settings.explore_s else 0.0))
        belief.begin_s[over], belief.end_s[over] = np.inf, np.inf
        belief.alive = alive
        return calls

    def quarantined(self, belief: Belief, rows: np.ndarray, alive: np.ndarray, now_s: float) -> np.ndarray:
        """(N,) which nodes have joined and not yet been found sound."""
        belief.joined_s[alive & ~belief.alive] = now_s
        sound = (rows[:, seen.EVIDENCE] > 0) & (decode_ratio(rows[:, seen.ESTIMATE]) < self.settings.probe_slow)
        belief.joined_s[sound | ~alive] = -np.inf
        return belief.joined_s + self.settings.quarantine_s > now_s

    def wanted(self, belief: Belief, now_s: float) -> np.ndarray:
        """(N,) the gates that the messages call for."""
        soon_s = now_s + SOON_S
        on = (belief.begin_s - self.settings.margin_s <= soon_s) & (belief.end_s > soon_s)
        doubtful = belief.end_s <= soon_s
        if self.settings.foresee:
            doubtful |= np.isfinite(belief.begin_s) & (belief.begin_s > soon_s)
        doubtful &= belief.end_s + belief.doubt_s > soon_s  # what is called off may have been still to come
        return np.where(on, belief.level, np.where(doubtful & (belief.level == CLOSED), CAUTION, OPEN))

    def probes(self, surface: Surface, rows: np.ndarray, belief: Belief, over: np.ndarray) -> list[int]:
        """Calibration calls, each with the model that occupies the node for the shortest time."""
        settings, calls = self.settings, []
        alive = rows[:, seen.ALIVE] > 0
        quickest = surface.probe_s.argmin(axis=1)
        if belief.cold:
            belief.cold = False
            best = np.argsort(-rows[:, seen.CAPACITY], kind="stable")
            models = range(min(settings.cold_probes, len(surface.models)))
            calls += [surface.calibrate(int(n), m) for m in models for n in best]
        silent = decode_time(rows[:, seen.EVIDENCE_AGE]) > settings.silent_s
        slow = decode_ratio(rows[:, seen.ESTIMATE]) > settings.probe_slow
        doubtful = silent & slow & (rows[:, seen.PROBES] == 0.0)
        if settings.probe_after:
            doubtful |= over & slow
        doubtful |= np.isfinite(belief.joined_s) & (silent | ~belief.alive) & (rows[:, seen.PROBES] == 0.0)
        for n in np.flatnonzero(alive & doubtful):
            calls += [surface.calibrate(int(n), int(quickest[n]))] * settings.probes
        return calls

    def next_wake(self, belief: Belief, now_s: float) -> float:
        """Seconds until the next gate has to be moved; 0: the tick will do."""
        until_s = belief.end_s + belief.doubt_s
        times = np.concatenate([belief.begin_s - self.settings.margin_s, belief.end_s, until_s])
        ahead = times[(times > now_s + SOON_S) & np.isfinite(times)]
        return float(ahead.min() - now_s) if len(ahead) else 0.0


def blank(n_nodes: int) -> Belief:
    """A controller that knows nothing; all nodes are taken to be there, so that the first turn sees no newcomers."""
    return Belief(
        begin_s=np.full(n_nodes, np.inf),
        end_s=np.full(n_nodes, np.inf),
        doubt_s=np.zeros(n_nodes),
        level=np.zeros(n_nodes, int),
        joined_s=np.full(n_nodes, -np.inf),
        alive=np.ones(n_nodes, bool),
    )
