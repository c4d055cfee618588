"""Draw the pictures of the documentation from played episodes: docs/images/*.png.

python scripts/make_pictures.py                 all of them, a minute or two
python scripts/make_pictures.py regimes         those named

Each is one white sheet, so that it reads the same by day and at night.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from PIL import Image

import edge_gym
from edge_gym.evaluation.recording import Recording, record
from edge_gym.network.topology import build_topology
from edge_gym.privileged import foreknow
from edge_gym.scenario import Topology

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
SEED = 0  # of the split for play
INK, GREY, AWAY, GRID = "#22303c", "#5d6f7e", "#b4bcc2", "#e2e7eb"
BLUE, ORANGE, GREEN, RED = "#3b6fb6", "#d9822b", "#2e8b5f", "#c43b3b"
SLOW = LinearSegmentedColormap.from_list("slow", ("#6d1a1a", "#c9503c", "#f0b58f", "#f4f6f8"))
SPEEDS = LogNorm(0.02, 1.0)
DPI, COLOURS = 150, 128


def sheet(width_in: float, height_in: float) -> Figure:
    """An empty white figure."""
    figure = Figure(figsize=(width_in, height_in), dpi=DPI, facecolor="white", layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def tidy(axes, title: str, x: str = "", y: str = "") -> None:
    """The same plain look for every diagram."""
    axes.set_title(title, fontsize=9, color=INK, loc="left")
    axes.set_xlabel(x, fontsize=8, color=GREY)
    axes.set_ylabel(y, fontsize=8, color=GREY)
    axes.tick_params(labelsize=7, colors=GREY, length=2)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(AWAY)


def world() -> Figure:
    """One instant of a world, as `render_mode="rgb_array"` shows it."""
    from edge_gym.envs.single import EdgeEnv

    env = EdgeEnv(scenario="semantic", render_mode="rgb_array")
    policy = edge_gym.make_policy("jsq")
    policy.reset(1, 0)
    obs, info = env.reset(seed=SEED)
    for _ in range(900):
        action = policy.act(obs[None], info["action_mask"][None], None)
        obs, _, _, _, info = env.step(int(action[0]))
    picture = env.render()
    env.close()
    figure = Figure(figsize=(12.8, 7.2), dpi=100)
    FigureCanvasAgg(figure)
    figure.figimage(picture)
    return figure


def networks() -> Figure:
    """The generated kinds of network, one beside the other."""
    kinds = {
        "star": Topology(kind="star", n_sites=6),
        "ring": Topology(kind="ring", n_sites=8),
        "metro": Topology(kind="metro", n_sites=8),
        "geometric": Topology(kind="geometric", n_sites=12),
        "waxman": Topology(kind="waxman", n_sites=12),
        "cities": Topology(kind="cities", n_sites=24),
    }
    figure = sheet(9.6, 5.6)
    for axes, (name, topology) in zip(figure.subplots(2, 3).flat, kinds.items(), strict=True):
        network = build_topology(topology, 24)
        plan = network.plan
        width = min(1.0, 40 / len(plan.link_u))
        for u, v in zip(plan.link_u, plan.link_v, strict=True):
            axes.plot(*plan.xy[[u, v]].T, color="#b3c0ca", linewidth=width, zorder=1)
        axes.scatter(*network.site_xy.T, s=46, color="#ffd873", edgecolors="#f2a900", zorder=2, label="site")
        axes.scatter(*network.node_xy.T, s=11, color=BLUE, zorder=3, label="node")
        axes.set_aspect("equal")
        axes.margins(0.08)
        axes.axis("off")
        axes.set_title(name, fontsize=10, color=INK)
    marks, words = axes.get_legend_handles_labels()
    figure.legend(marks, words, loc="outside lower center", ncols=2, fontsize=8, frameon=False, labelcolor=INK)
    return figure


def speeds(recording: Recording, until_s: float, step_s: float = 0.25) -> tuple[np.ndarray, np.ndarray]:
    """Times (T,), and the true speed (N, T) of each node over nominal; NaN while it is away."""
    times = np.arange(0.0, until_s, step_s)
    now = np.ones((recording.world.n_nodes, len(times)))
    for change in recording.changes:
        now[change["node"], times >= change["time_s"]] = change["speed"] if change["alive"] else np.nan
    return times, now


def draw_speeds(figure: Figure, axes, times: np.ndarray, now: np.ndarray) -> object:
    """A row for each node: white is nominal, red slow, grey away."""
    axes.set_facecolor(AWAY)
    drawn = axes.pcolormesh(times, np.arange(len(now)), now, cmap=SLOW, norm=SPEEDS, shading="nearest", rasterized=True)
    axes.set_ylim(len(now) - 0.5, -0.5)
    axes.set_yticks(range(0, len(now), 5))
    return drawn


def regimes() -> Figure:
    """True speed of each node in the regimes, software factors in a cold start, and arrivals that are not even."""
    figure = sheet(9.6, 8.2)
    grid = figure.subplots(4, 2)
    for axes, name in zip(grid[:2].flat, ("drift", "churn", "semantic", "mixed"), strict=True):
        drawn = draw_speeds(figure, axes, *speeds(record(name, "jsq", SEED), 120.0))
        tidy(axes, name, "simulated s", "node")
    bar = figure.colorbar(drawn, ax=grid[:2], shrink=0.6, pad=0.01, ticks=[0.02, 0.05, 0.1, 0.2, 0.5, 1.0])
    bar.ax.set_yticklabels(["1/50", "1/20", "1/10", "1/5", "1/2", "1"], fontsize=7, color=GREY)
    bar.set_label("speed over nominal (grey: away)", fontsize=8, color=GREY)
    _draw_biases(figure, grid[2, 0])
    for axes, name in zip((grid[2, 1], *grid[3]), ("bursty", "diurnal", "overload"), strict=True):
        _draw_arrivals(axes, name)
    return figure


def _draw_biases(figure: Figure, axes) -> None:
    played = record("coldstart", "jsq", SEED)
    first = foreknow(played.world, SEED)
    bias = np.ones((played.world.n_nodes, len(played.scenario.workloads)))
    for stretch, row in zip(first.stretch[::-1], first.bias[::-1], strict=True):  # the earliest of each node stays
        bias[stretch["node"]] = row
    nodes = np.arange(len(bias))
    for m, workload in enumerate(played.scenario.workloads):
        colour = (BLUE, ORANGE, GREEN, RED)[m]
        axes.plot(nodes, bias[:, m], "o", markersize=3.5, color=colour, label=workload.model)
    axes.axhline(1.0, color=AWAY, linewidth=0.8)
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.legend(fontsize=6.5, frameon=False, ncols=4, loc="lower left", handletextpad=0.1, columnspacing=0.8)
    axes.set_ylim(0.15, 5)
    tidy(axes, "coldstart: hidden factor of the work", "node", "real over prior")


def _draw_arrivals(axes, name: str) -> None:
    played = record(name, "jsq", SEED)
    arrived = np.sort(played.requests["arrive_ns"]) / 1e9
    per_s = np.bincount(arrived.astype(int))
    axes.bar(np.arange(len(per_s)) + 0.5, per_s, width=1.0, color=BLUE)
    axes.set_xlim(0, min(len(per_s), 120))
    tidy(axes, name, "simulated s", "requests/s")


def episode() -> Figure:
    """One episode of `mixed` under three policies: what the nodes did, and what each request waited."""
    figure = sheet(9.6, 7.0)
    axes = figure.subplots(4, 1, sharex=True, height_ratios=(1.1, 1, 1, 1))
    played = {name: record("mixed", name, SEED) for name in ("sect_blind", "e3_rules", "oracle")}
    until = max(p.requests["arrive_ns"].max() for p in played.values()) / 1e9
    drawn = draw_speeds(figure, axes[0], *speeds(played["oracle"], until))
    bar = figure.colorbar(drawn, ax=axes[0], pad=0.01, ticks=[0.02, 0.1, 0.5])
    bar.ax.set_yticklabels(["1/50", "1/10", "1/2"], fontsize=7, color=GREY)
    tidy(axes[0], "what happens to the nodes: slow (red), away (grey)", y="node")
    top = max(p.requests["latency_ns"].max() for p in played.values()) / 1e9
    for place, (name, p), colour in zip(axes[1:], played.items(), (ORANGE, BLUE, GREEN), strict=True):
        place.scatter(p.requests["arrive_ns"] / 1e9, p.requests["latency_ns"] / 1e9, s=2.5, color=colour, linewidths=0)
        place.set_yscale("log")
        place.set_ylim(0.003, 1.5 * top)
        place.grid(axis="y", color=GRID, linewidth=0.6)
        place.set_axisbelow(True)
        mark = " (sees the true present)" if p.privileged else ""
        tidy(place, f"{name}{mark}: mean {p.metrics['latency_mean_s']:.2f} s", y="latency, s")
    axes[-1].set_xlabel("arrival, simulated s", fontsize=8, color=GREY)
    return figure


def journey() -> Figure:
    """How far a user who travels is from the agent that serves it, under three policies of Migration."""
    figure = sheet(9.6, 4.6)
    rows = figure.subplots(3, 1, sharex=True, sharey=True)
    told = {name: record("roam-24", name, SEED, task="migration") for name in ("never", "always_follow", "myopic")}
    traveller = _most_moved(told["myopic"])
    for axes, (name, played), colour in zip(rows, told.items(), (ORANGE, GREEN, BLUE), strict=True):
        times, away_s, moved = _distance(played, traveller)
        axes.fill_between(times, 1e3 * away_s, step="post", color=colour, alpha=0.25, linewidth=0)
        axes.step(times, 1e3 * away_s, where="post", color=colour, linewidth=1.2)
        axes.plot(moved, np.zeros(len(moved)), "|", color=INK, markersize=14)
        cost = f"episode: {played.metrics['agents.moves']} moves, mean latency {played.metrics['latency_mean_s']:.3f} s"
        tidy(axes, f"{name} ({cost})", y="one way, ms")
    rows[0].set(xlim=(0, min(played.metrics["makespan_s"] for played in told.values())), ylim=(0, None))
    rows[-1].set_xlabel("simulated s; a tick: the agent answers from another node", fontsize=8, color=GREY)
    return figure


def _most_moved(played: Recording) -> int:
    """The application whose first agent moved most often."""
    agents = played.agents
    first = agents[np.unique(agents["application"], return_index=True)[1]]
    return int(first["application"][np.argmax([np.sum(played.moves["serial"] == a) for a in first["serial"]])])


def _distance(played: Recording, application: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Delay between a user and the first of its agents.

    Returns:
        Times (T,), one-way seconds from then on (T,), and the times (K,) at which the agent came to another node.
    """
    agent = played.agents[played.agents["application"] == application]["serial"][0]
    moves = played.moves[(played.moves["serial"] == agent) & np.isfinite(played.moves["end_s"])]
    stays = played.users[played.users["application"] == application]
    end_s = played.metrics["makespan_s"]
    times = np.unique([*moves["end_s"], *stays["time_s"], end_s])
    times = times[(times >= stays["time_s"][0]) & (times <= end_s)]
    node = moves["target"][np.searchsorted(moves["end_s"], times, side="right") - 1]
    site = stays["site"][np.searchsorted(stays["time_s"], times, side="right") - 1]
    return times, played.world.network.delay_s[site, node], moves["end_s"][1:]


def write(figure: Figure, path: Path) -> None:
    """The figure as a PNG of few colours, without a date or a version inside."""
    figure.canvas.draw()
    sheet = Image.fromarray(np.asarray(figure.canvas.buffer_rgba())[..., :3])
    sheet.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)


PICTURES: dict[str, Callable[[], Figure]] = {
    "world": world,
    "networks": networks,
    "regimes": regimes,
    "episode": episode,
    "journey": journey,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(PICTURES))
    parser.add_argument("--out", type=Path, default=IMAGES, help="folder")
    options = parser.parse_args(arguments)
    for name in set(options.names) - set(PICTURES):
        parser.error(f"no picture is called {name}: {', '.join(PICTURES)}")
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.names or PICTURES:
        path = options.out / f"{name}.png"
        write(PICTURES[name](), path)
        print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
