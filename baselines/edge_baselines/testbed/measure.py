"""Runs migrations over a grid and gathers what they took."""

from __future__ import annotations

import math
import secrets
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from edge_baselines.llm.extra import require_extra
from edge_baselines.llm.stub.plays import chat
from edge_baselines.llm.stub.server import StubServer
from edge_baselines.testbed.migrate import MODES, STEPS, migrate
from edge_baselines.testbed.process import HostProcess
from edge_gym.errors import EdgeGymError, EdgeGymInputError

MAX_MESSAGES, MAX_CHARACTERS, MAX_REPEATS, MAX_IMAGE_MIB = 10_000, 10_000, 1000, 1024
MAX_TEXT = 4_000_000  # characters of a conversation: the stub takes requests of 8 MiB
MIB = 2**20
QUESTION = "What was the first thing that I said?"


@dataclass(frozen=True, kw_only=True)
class Grid:
    """What is measured.

    Attributes:
        messages: Lengths of the conversations, each from 1 to 10,000 messages.
        characters: Lengths of a message, each from 40 to 10,000 characters.
        modes: Some of `MODES`.
        repeats: Migrations of each kind, 1 to 1,000.
        image_mib: Size of the image of a full migration, 1 to 1,024 MiB.

    Raises:
        EdgeGymInputError: If one of them is out of range, or a conversation has more than 4 million characters.
    """

    messages: tuple[int, ...] = (10, 100, 1000)
    characters: tuple[int, ...] = (400, 1600)
    modes: tuple[str, ...] = MODES
    repeats: int = 5
    image_mib: int = 64

    def __post_init__(self) -> None:
        for name, values, low, high in (
            ("messages", self.messages, 1, MAX_MESSAGES),
            ("characters", self.characters, 40, MAX_CHARACTERS),
            ("repeats", (self.repeats,), 1, MAX_REPEATS),
            ("image_mib", (self.image_mib,), 1, MAX_IMAGE_MIB),
        ):
            if not values or any(type(v) is not int or not low <= v <= high for v in values):
                raise EdgeGymInputError(name, getattr(self, name), f"whole numbers in {low} ... {high}", "Grid")
            if len(set(values)) < len(values):
                raise EdgeGymInputError(name, values, "numbers that differ", "Grid")
        if not self.modes or any(mode not in MODES for mode in self.modes):
            raise EdgeGymInputError("modes", self.modes, f"some of {', '.join(MODES)}", "Grid")
        longest = max(self.messages) * max(self.characters)
        if longest > MAX_TEXT:
            raise EdgeGymInputError("messages x characters", longest, f"<= {MAX_TEXT}", "Grid")


def measure(grid: Grid, progress: Callable[[int, int], None] = lambda done, of: None) -> list[dict[str, Any]]:
    """Moves a fresh agent for each cell and repeat between two processes, and goes on with its conversation.

    The repeats go round the grid, so that a disturbance of the machine hits all cells alike. A first round is not
    counted: it warms up what a running host has warm.

    Args:
        grid: What to measure.
        progress: Told how many migrations are done, and of how many.

    Returns:
        One row for each migration: `messages`, `characters`, `mode`, `repeat`, `image_bytes`, `state_bytes`,
        `wire_bytes`, `prefill_tokens`, `prompt_tokens`, `<step>_s` for each step, `downtime_s`, and `turn_bytes`: what
        the user's next message and its answer added to the state beyond their characters.

    Raises:
        EdgeGymInputError: If agentscope or openai is not installed.
        EdgeGymError: If an agent did not remember, or a migration failed.
    """
    require_extra()
    require_extra(("agentscope",), "agentscope")
    token = secrets.token_hex(32)
    cells = [(n, c, mode) for n in grid.messages for c in grid.characters for mode in grid.modes]
    rows = []
    with (
        StubServer(chat()) as stub,
        HostProcess("host-a", stub.base_url, token) as source,
        HostProcess("host-b", stub.base_url, token) as target,
    ):
        if "full" in grid.modes:
            source.ask("prepare_image", bytes=grid.image_mib * MIB)
        for repeat in range(-1, grid.repeats):
            for messages, characters, mode in cells:
                row = _once(source, target, messages, characters, mode)
                image_bytes = grid.image_mib * MIB if mode == "full" else 0
                if repeat >= 0:
                    rows.append({**row, "image_bytes": image_bytes, "repeat": repeat})
                    progress(len(rows), len(cells) * grid.repeats)
                stub.forget()
    return rows


def _once(source: HostProcess, target: HostProcess, messages: int, characters: int, mode: str) -> dict[str, Any]:
    word = secrets.token_hex(4)
    source.ask("create", "agent", messages=messages, characters=characters, opening=f"The word is {word}.")
    before = source.conversation("agent")
    moved = migrate("agent", source, target, mode, QUESTION)
    after = target.conversation("agent")
    if word not in moved.answer or after[:-2] != before or source.has("agent"):
        raise EdgeGymError(f"after a {mode} migration with {messages} messages the agent is not what it was")
    said = sum(len(text.encode()) for _, _, text in after[-2:])
    turn_bytes = target.ask("read", "agent")["state_bytes"] - moved.state_bytes - said
    target.ask("discard", "agent")
    return {
        "messages": messages,
        "characters": characters,
        "mode": mode,
        "state_bytes": moved.state_bytes,
        "wire_bytes": moved.wire_bytes,
        "prefill_tokens": moved.prefill_tokens,
        "prompt_tokens": moved.prompt_tokens,
        **{f"{step}_s": moved.seconds[step] for step in STEPS},
        "downtime_s": moved.downtime_s,
        "turn_bytes": turn_bytes,
    }


def cells_of(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of the same cell put together.

    Returns:
        One dictionary for each cell: its counts as medians; each time as `median`, `low` and `high` (its quartiles), s.
    """
    groups: dict[tuple[int, int, str], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["messages"], row["characters"], row["mode"]), []).append(row)
    found = []
    for (messages, characters, mode), same in groups.items():
        cell: dict[str, Any] = {"messages": messages, "characters": characters, "mode": mode}
        for name in ("image_bytes", "state_bytes", "wire_bytes", "prefill_tokens", "prompt_tokens", "turn_bytes"):
            counts = [row[name] for row in same if row[name] is not None]
            cell[name] = statistics.median_low(counts) if counts else None
        for name in (*(f"{step}_s" for step in STEPS), "downtime_s"):
            cell[name] = _spread([row[name] for row in same])
        found.append(cell)
    return found


def _spread(values: Sequence[float]) -> dict[str, float]:
    known = [v for v in values if not math.isnan(v)] or [math.nan]
    low, median, high = statistics.quantiles(known, n=4, method="inclusive") if len(known) > 1 else known * 3
    return {"median": median, "low": low, "high": high}
