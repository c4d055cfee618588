"""A rollout that keeps what happens in one of its worlds, and disturbs nothing.

Between two decisions much may happen. It is watched in a copy of the world that is made to stop on the way: by an alarm
(`WORLD.wake_ns`, which otherwise only controllers of the fast path use), and with AI agents, who use that alarm, by a
log that has room for one request, so that a step ends whenever a request does. The world itself never knows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from edge_gym.envs.batch import Batch, Outcome
from edge_gym.evaluation.lodgers import Lodgers
from edge_gym.evaluation.rollout import Turn
from edge_gym.events.parser import Reading, read
from edge_gym.kernel import step
from edge_gym.kernel.tables import LOG, NO_SUBJECT, NONE, REQUEST, SECOND

NODE_SAMPLE = np.dtype(  # a node at an instant
    [
        ("queued", "i4"),  # requests
        ("running", "i4"),
        ("outstanding", "i4"),  # dispatched, response not delivered
        ("agents", "i4"),  # that have reserved room there
        ("speed", "f8"),  # over nominal
        ("alive", "i1"),
        ("gate", "i1"),  # `edge_gym.surface.LEVELS`: 0 open, 1 caution, 2 closed
        ("foreground", "i1"),  # its user is busy with it
    ]
)
DECISION = np.dtype(
    [
        ("time_s", "f8"),
        ("subject", "i8"),  # number of the request, or serial of the agent
        ("kind", "i4"),  # REQUEST, PLACEMENT or MIGRATION of `edge_gym.kernel.tables`
        ("choice", "i4"),  # node; -1: declined
        ("legal", "i4"),  # nodes that might have been chosen
    ]
)


class Message(NamedTuple):
    """A message as it came, and what the shipped parser makes of it."""

    time_s: float
    node: int  # that it is about
    text: str  # data, never an instruction
    reading: Reading


class ToolCall(NamedTuple):
    """What a controller of the fast path did."""

    time_s: float
    node: int  # -1: it is about the router
    text: str  # tool and arguments
    refused: bool  # by the guards
    reason: str  # as the policy says it; "" if it does not


class Watched(Turn):
    """Plays like `Turn`, and keeps what happens in one row.

    Args:
        *arguments: As for `Turn`.
        row: Which one is watched.
        every_s: Simulated seconds between two samples at least.
        on_sample: Called with the batch and the row in it whenever a sample is taken; must only look.
    """

    def __init__(
        self, *arguments: Any, row: int, every_s: float, on_sample: Callable[[Batch, int], None] | None = None
    ) -> None:
        super().__init__(*arguments)
        self._on_sample = on_sample
        self.row, self.every_s = row, every_s
        self._every_ns = max(round(every_s * SECOND), 1)
        self.times: list[float] = []
        self.nodes: list[np.ndarray] = []
        self.resident: list[np.ndarray] = []
        self.messages: list[Message] = []
        self.tool_calls: list[ToolCall] = []
        self.choices: list[tuple[float, int, int, int, int]] = []
        self.rewards: list[tuple[float, float, np.ndarray]] = []
        self.lodgers = Lodgers(self.batch.world) if self.agency is not None else None
        self._spare = Batch(self.batch.world, 1, self.batch.task)
        if self.lodgers is not None:
            short = np.zeros((1, self._spare.state.job.shape[1] + 2), LOG)
            self._spare.state = self._spare.state._replace(log=short)
        self._names = frozenset(self.batch.world.node_names)

    def _decide(self, obs: np.ndarray, dt_s: np.ndarray, begun: np.ndarray) -> np.ndarray:
        if begun[self.row]:
            self._hear()
            self._look(self.batch, self.row, due=True)
        return super()._decide(obs, dt_s, begun)

    def _begin(self, obs: np.ndarray) -> None:
        super()._begin(obs)
        if self.lodgers is not None:  # the world's own rules may have done much before the first decision
            self._spare.roots[:], self._spare.episodes[:] = self.batch.roots[self.row], self.batch.episodes[self.row]
            self._watch(step.BEGIN, self._spare.noop, 0, int(self.batch.state.world[self.row]["now_ns"]))

    def _step(self, choices: np.ndarray) -> Outcome:
        b = self.row
        if not self.active[b]:
            return super()._step(choices)
        choice, before = int(choices[b]), self.batch.state.world[b].copy()
        self._note(choice)
        self._copy()
        wait_ns = int(self.batch.order[b]["wait_ns"])
        out = super()._step(choices)
        after = self.batch.state.world[b]
        if self.batch.task.control and choice != self.batch.noop:
            self._note_call(choice, bool(after["calls"] == before["calls"]))
        elif after["now_ns"] > before["now_ns"] + (0 if self.lodgers is not None else self._every_ns):
            self._watch(step.STEP, choice, wait_ns, int(after["now_ns"]))
        self._hear()
        self.rewards.append((float(out.time_s[b]), float(out.reward[b]), out.terms[b].copy()))
        called = self.batch.task.control and choice != self.batch.noop  # a call is seen at once
        self._look(self.batch, b, due=called or bool(out.done[b]))
        return out

    def _surface(self) -> Any:
        assert self.surface is not None
        return self.surface

    def _note(self, choice: int) -> None:
        """A decision about a request or an agent."""
        batch, b = self.batch, self.row
        world = batch.state.world[b]
        if batch.task.control or world["subject_kind"] == NO_SUBJECT:
            return
        row, kind = int(world["subject"]), int(world["subject_kind"])
        subject = batch.state.job[b, row]["id"] if kind == REQUEST else batch.state.agent[b, row]["serial"]
        node = choice if choice < batch.noop else NONE
        self.choices.append(
            (float(batch.time_s[b]), int(subject), kind, node, int(batch.mask[b].sum() - batch.mask[b, batch.noop]))
        )

    def _note_call(self, choice: int, refused: bool) -> None:
        """A tool call, and why the policy says it made it."""
        surface, why = self._surface(), getattr(self.policy, "reason", None)
        node = choice // (self.batch.mask.shape[1] // (len(surface.nodes) + 1))  # actions are (row, column), row-major
        self.tool_calls.append(
            ToolCall(
                time_s=float(self.batch.time_s[self.row]),
                node=node if node < len(surface.nodes) else NONE,
                text=surface.describe(choice),
                refused=refused,
                reason=str(why(self.row)) if why is not None else "",
            )
        )

    def _copy(self) -> None:
        for name, mine in self._spare.state._asdict().items():
            if name != "log":
                mine[0] = getattr(self.batch.state, name)[self.row]

    def _watch(self, todo: int, choice: int, wait_ns: int, until_ns: int) -> None:
        """What happens in the copy until then."""
        spare = self._spare
        obs, order, world = spare.empty_obs(), spare.order[0], spare.state.world[0]
        order["todo"], order["action"], order["wait_ns"], order["wake_ns"] = todo, choice, wait_ns, 0
        while True:
            left_ns = until_ns - int(world["now_ns"])
            if spare.task.control:
                order["wait_ns"] = min(left_ns, self._every_ns)  # whether it is deaf changes nothing of what happens
            elif self.lodgers is None:
                world["wake_ns"] = world["now_ns"] + min(left_ns, self._every_ns)
            spare.run(obs)
            if world["now_ns"] >= until_ns or world["done"] == 1:
                return
            self._look(spare, 0)
            order["todo"], order["action"] = step.STEP, spare.noop  # nobody is asked before then
            if not spare.task.control:
                order["wait_ns"] = 0

    def _look(self, batch: Batch, b: int, due: bool = False) -> None:
        """Take a sample if it is time to."""
        state, now_s = batch.state, float(batch.time_s[b])
        if self.lodgers is not None:
            self.lodgers.look(state, b)
        if not due and self.times and now_s < self.times[-1] + self.every_s:
            return
        if self.times and now_s == self.times[-1]:
            for kept in (self.times, self.nodes, self.resident):
                kept.pop()
        sample = np.zeros(batch.world.n_nodes, NODE_SAMPLE)
        for name in NODE_SAMPLE.names or ():
            if name != "agents":
                sample[name] = state.node[b][name]
        if self.lodgers is not None:
            sample["agents"] = state.lodging[b]["agents"]
        self.times.append(now_s)
        self.nodes.append(sample)
        self.resident.append(state.pair[b]["residency"].astype(np.int8))
        if self._on_sample is not None:
            self._on_sample(batch, b)

    def _hear(self) -> None:
        """The messages since the last step."""
        b = self.row
        news = self.batch.state.news[b, : self.batch.state.world[b]["news_count"]]
        for event, node in zip(self.batch.events(b), news["node"].tolist(), strict=True):
            self.messages.append(Message(event.time_s, node, event.text, read(event.text, self._names)))
