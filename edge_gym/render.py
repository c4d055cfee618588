"""What a world looks like now, as text or as an image. Drawing reads the tables and changes nothing.

The picture shows the true state (running jobs, speed), which a controller does not see in full.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edge_gym.errors import EdgeGymInputError, install_extra
from edge_gym.kernel.build import World
from edge_gym.kernel.tables import ABSENT, LOADING, NO_SUBJECT, REQUEST, SECOND, State

MAX_LINES = 16  # nodes in the text; with the rest, about 24 lines
MAX_SITES = 6  # sites in the text
MAX_WIDTH = 118
BAR = 8  # characters of a bar


class Snapshot(NamedTuple):
    """One world, as far as a picture needs it."""

    time_s: float
    counts: dict[str, int]  # arrived, completed, rejected, dropped, in system
    alive: np.ndarray  # (N,) bool
    speed: np.ndarray  # (N,)
    slots: np.ndarray  # (N,) jobs served at once
    running: np.ndarray  # (N, M) running jobs of each model
    queued: np.ndarray  # (N,)
    outstanding: np.ndarray  # (N,) dispatched, response not delivered
    residency: np.ndarray  # (N, M) ABSENT, LOADING or RESIDENT
    site: int  # of the pending request, -1 if none is pending
    request: str  # the pending request in words
    types: list[str]  # (N,) device type
    models: list[str]  # (M,)

    @property
    def load(self) -> np.ndarray:
        """(N,) share of busy slots."""
        return self.running.sum(axis=1) / self.slots

    def busiest(self, most: int) -> np.ndarray:
        """Numbers of at most `most` nodes, the busiest first; in their own order if that is all of them."""
        n_nodes = len(self.slots)
        if n_nodes <= most:
            return np.arange(n_nodes)
        return np.lexsort((np.arange(n_nodes), -self.load, -self.outstanding))[:most]


def snapshot(world: World, state: State, b: int) -> Snapshot:
    """The figures of world `b`, copied."""
    row, node, slot = state.world[b], state.node[b], state.slot[b]
    types, models = world.scenario.pool.device_types, [clean(w.model) for w in world.scenario.workloads]
    n_of, l_of = np.nonzero(np.arange(slot.shape[1]) < node["running"][:, None])
    running = np.zeros((world.n_nodes, len(models)), np.int64)
    np.add.at(running, (n_of, state.job[b]["model"][slot["job"][n_of, l_of]]), 1)
    names = ("arrived", "completed", "rejected", "dropped", "in_system")
    site, request = _pending(world, state, b, models)
    return Snapshot(
        time_s=float(row["now_ns"] / SECOND),
        counts={name.replace("_", " "): int(row[name]) for name in names},
        alive=node["alive"] == 1,
        speed=node["speed"].copy(),
        slots=world.params.node["slots"],
        running=running,
        queued=node["queued"].copy(),
        outstanding=node["outstanding"].copy(),
        residency=state.pair[b]["residency"].copy(),
        site=site,
        request=request,
        types=[clean(types[n % len(types)]) for n in range(world.n_nodes)],
        models=models,
    )


def _pending(world: World, state: State, b: int, models: list[str]) -> tuple[int, str]:
    row = state.world[b]
    if row["subject_kind"] == NO_SUBJECT:
        return -1, "none"
    if row["subject_kind"] != REQUEST:
        return _agent(world, state, b)
    job = state.job[b][row["subject"]]
    site = int(job["site"])
    left_s = (int(job["deadline_ns"]) - int(row["now_ns"])) / SECOND
    prompt = f"prompt of {job['prompt']} tokens, " if job["prompt"] else ""
    units = "unit" if job["forecast"] == 1 else "units"
    again = f", retry {job['retries']}" if job["retries"] else ""
    return site, (
        f"{models[job['model']]} from {clean(world.network.site_names[site], 20)}, {prompt}"
        f"forecast {job['forecast']} {units}, {left_s:.3g} s to its deadline{again}"
    )


def _agent(world: World, state: State, b: int) -> tuple[int, str]:
    """The agent that is asked about: the site of its user, and what it is."""
    agent = state.agent[b][state.world[b]["subject"]]
    site = int(state.app[b][agent["app"]]["site"])
    role, name = world.scenario.roles[agent["role"]].name, clean(world.network.site_names[site], 20)
    lives = f"lives on node {agent['node']}" if agent["node"] >= 0 else "lives nowhere"
    return site, f"agent {agent['serial']} ({role}) of a user at {name}, {lives}"


def clean(text: str, most: int = 60) -> str:
    """`text` on one line without control and bidi characters, which could steer a terminal, at most `most` long."""
    kept = "".join(c for c in text[: 4 * most] if c.isprintable())
    return kept if len(kept) <= most else kept[: most - 1] + "~"


def text_frame(world: World, state: State, b: int) -> str:
    """The world as text, about 24 lines at most and without control characters but the line ends.

    Args:
        world: What the scenario was built into.
        state: The tables.
        b: Row of the batch.
    """
    now = snapshot(world, state, b)
    counts = ", ".join(f"{name} {number}" for name, number in now.counts.items())
    title = f"{clean(world.scenario.name)}   t = {now.time_s:.3f} s   {counts}"
    lines = [title, f"request: {now.request}", "", _node_line("node", "type", "up", "speed", "running", "queue", "out")]
    shown = now.busiest(MAX_LINES)
    lines += [_describe(now, int(n)) for n in shown]
    if len(shown) < world.n_nodes:
        rest = np.setdiff1d(np.arange(world.n_nodes), shown)
        lines.append(
            f"... and {len(rest)} less busy nodes: {now.running[rest].sum()} running, {now.queued[rest].sum()} queued, "
            f"{now.outstanding[rest].sum()} outstanding, {np.sum(~now.alive[rest])} away"
        )
    return "\n".join(line[:MAX_WIDTH].rstrip() for line in (*lines, _sites(world, now.site)))


def _node_line(*cells: str, models: str = "models (+: resident, ~: loading, x n: running)") -> str:
    number, kind, alive, speed, running, queue, out = cells
    return f"{number:>5} {kind:<19} {alive:<4} {speed:>5}  {running:<{BAR + 8}} {queue:>5} {out:>5}  {models}"


def _describe(now: Snapshot, n: int) -> str:
    total, slots = int(now.running[n].sum()), int(now.slots[n])
    filled = -(-BAR * total // slots)
    cells = []
    for m in np.flatnonzero((now.residency[n] != ABSENT) | (now.running[n] > 0)):
        mark = "~" if now.residency[n, m] == LOADING else "+"
        cells.append(f"{mark}{now.models[m]}" + (f" x {now.running[n, m]}" if now.running[n, m] else ""))
    return _node_line(
        str(n),
        clean(now.types[n], 19),
        "yes" if now.alive[n] else "AWAY",
        f"{now.speed[n]:.2f}",
        f"[{'#' * filled:.<{BAR}}] {total}/{slots}",
        str(now.queued[n]),
        str(now.outstanding[n]),
        models=" ".join(cells) or "-",
    )


def _sites(world: World, pending: int) -> str:
    """The sites with their share of the users; the one that asks is marked."""
    names, share = world.network.site_names, world.network.site_share
    first = np.argsort(-share, kind="stable")[:MAX_SITES]
    chosen = sorted({*first.tolist(), pending} - {-1})
    cells = [f"{'>' if s == pending else ''}{clean(names[s], 16)} {share[s]:.0%}" for s in chosen]
    return "sites: " + ", ".join(cells) + (f", and {len(names) - len(chosen)} more" if len(chosen) < len(names) else "")


def frame(world: World, state: State, b: int) -> np.ndarray:
    """The world as an image, (720, 1280, 3) uint8; needs matplotlib.

    Args:
        world: What the scenario was built into.
        state: The tables.
        b: Row of the batch.

    Raises:
        EdgeGymInputError: matplotlib is not installed.
    """
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        allowed = "'ansi' or None where matplotlib is not installed"
        raise EdgeGymInputError("render_mode", "rgb_array", allowed, hint=install_extra("plot")) from error
    from edge_gym.picture import draw

    return draw(world, snapshot(world, state, b))
