"""Moves a running agent from one host to another, step by step, and never has it running at two places.

export      at the source: the agent falls silent, its state is written down
transfer    from source to target, not through here: the state, and the image if the migration is full
load        at the target: the agent is made from its state; an image is checked and written to disk
prefill     at the target: the endpoint reads the whole context once
release     at the source: what is left of the agent goes
resume      at the target: the agent runs and answers the user's next message

Until `release` is sent, a failure leaves the agent running at the source. From then on it is the target's, whatever
the source answers: the source has been silent since `export`, and only a `keep` that nobody sends any more wakes it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from edge_baselines.testbed.frames import FrameError, Header, Refused
from edge_baselines.testbed.process import HostProcess
from edge_gym.errors import EdgeGymError

STEPS = ("export", "transfer", "load", "prefill", "release", "resume")
MODES = ("lightweight", "full")
GRACE_S = 2.0  # for a host to say that it ran out of time


class MigrationFailed(EdgeGymError):
    """A step failed.

    Attributes:
        step: Which.
        runs_at: Name of the host where the agent runs now, or "" if it went down with the only host that had it.
    """

    def __init__(self, step: str, runs_at: str, reason: str):
        where = f"the agent runs at {runs_at}" if runs_at else "the agent is lost with its host"
        super().__init__(f"{step} failed ({reason}); {where}")
        self.step, self.runs_at = step, runs_at


@dataclass(frozen=True)
class Migration:
    """What one migration took.

    Attributes:
        mode: One of `MODES`.
        seconds: Of each step, on the side where it happens, by its monotonic clock.
        state_bytes: Size of the exported state.
        wire_bytes: Written and read by the source in `transfer`, frames included.
        prefill_tokens: Tokens of the context, as the endpoint counts them in `prefill`.
        prompt_tokens: The same in `resume`, with the user's next message.
        downtime_s: From before `export` until `release` has been answered, by the clock of whoever moves the agent:
            the time in which no host would have answered a message.
        answer: To the user's next message.
    """

    mode: str
    seconds: dict[str, float]
    state_bytes: int
    wire_bytes: int
    prefill_tokens: int | None
    prompt_tokens: int | None
    downtime_s: float
    answer: str


def migrate(
    agent: str,
    source: HostProcess,
    target: HostProcess,
    mode: str,
    text: str,
    within_s: int = 60,
    before_step: Callable[[str], None] = lambda step: None,
) -> Migration:
    """Moves an agent and lets it answer the user's next message.

    Args:
        agent: Name of an agent that runs at the source.
        source: Where it is.
        target: Where it goes.
        mode: "lightweight": its state; "full": also the image that the source has prepared.
        text: The user's next message.
        within_s: Longest time of a step, 1 to 120 s.
        before_step: Called with the name of each step before it begins.

    Returns:
        What it took.

    Raises:
        MigrationFailed: With the step and where the agent runs now.
    """
    done: dict[str, Header] = {}
    ticket = time.monotonic_ns()  # the later, the larger: requests of a migration that was called off may come late

    def step(name: str, host: HostProcess, **fields: Any) -> None:
        before_step(name)
        done[name] = host.ask(name, agent, within_s + GRACE_S, ticket=ticket, **fields)

    began = time.perf_counter()
    try:
        step("export", source)
        step("transfer", source, port=target.port, full=mode == "full", within_s=within_s)
        step("load", target)
        step("prefill", target)
    except (FrameError, Refused) as error:
        failed = STEPS[len(done)]
        raise MigrationFailed(failed, _call_off(agent, source, target, ticket), str(error)) from None
    except BaseException:  # Ctrl-C
        _call_off(agent, source, target, ticket)
        raise
    try:
        step("release", source)
    except (FrameError, Refused):
        done["release"] = {"seconds": float("nan")}  # the source is gone, or slow; silent in any case
    downtime_s = time.perf_counter() - began
    try:
        step("resume", target, text=text)
    except Refused as error:  # it runs there, and the endpoint did not answer it
        raise MigrationFailed("resume", target.name, str(error)) from None
    except FrameError as error:
        raise MigrationFailed("resume", target.name if target.has(agent) else "", str(error)) from None
    return Migration(
        mode=mode,
        seconds={name: done[name]["seconds"] for name in STEPS},
        state_bytes=done["export"]["state_bytes"],
        wire_bytes=done["transfer"]["wire_bytes"],
        prefill_tokens=done["prefill"]["prompt_tokens"],
        prompt_tokens=done["resume"]["prompt_tokens"],
        downtime_s=downtime_s,
        answer=done["resume"]["answer"],
    )


def _call_off(agent: str, source: HostProcess, target: HostProcess, ticket: int) -> str:
    """The source goes on with the agent, the target forgets it; returns where it runs."""
    try:
        source.ask("keep", agent, ticket=ticket)
        runs_at = source.name
    except (FrameError, Refused):
        runs_at = ""
    with contextlib.suppress(FrameError, Refused):  # what a target may still hold never runs without `resume`
        target.ask("drop", agent, GRACE_S, ticket=ticket)
    return runs_at
